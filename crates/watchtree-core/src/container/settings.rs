//! How the container role is set up: checked values only, made by `watchtree-config` and the binary.

use super::classes::Class;
use super::io::EngineTime;
use super::record::HoldEnd;
use crate::id::{BootId, NodeIdentity};
use crate::message::BEAT_WANTED;
use crate::subject::SubjectId;
use crate::supervisor::{FleetPolicy, RestartPolicy};
use crate::time::{Duration, Moment, Past, WallTime};
use alloc::string::String;
use alloc::vec::Vec;

/// Which containers are healed. All are watched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HealMode {
    /// None: decisions say what would have been done.
    Observe,
    /// Those labelled `watchtree.enable=true` (and, when unhealthy only, `autoheal=true`).
    #[default]
    Labelled,
    /// All but those labelled `watchtree.enable=false`.
    All,
}

/// The settings of a [`super::ContainerAgent`].
#[derive(Clone, Debug)]
pub struct ContainerSettings {
    /// Who this watchdog is.
    pub identity: NodeIdentity,
    /// The engine whose containers it heals, for example `h1/docker`: the parent of all their subjects.
    pub engine: SubjectId,
    /// Which containers are healed.
    pub heal: HealMode,
    /// Heal only containers with this label and value. Only labels that a [`super::io::ContainerView`] carries can be
    /// named: those that begin with `watchtree.`, `autoheal` or `com.docker.compose.`.
    pub selector: Option<(String, String)>,
    /// Keys of labels that the configuration names itself, to select containers or to tell classes apart: they are known.
    pub named_labels: Vec<String>,
    /// Limits of one container, where no class and no label says otherwise.
    pub policy: RestartPolicy,
    /// Classes of containers and what holds for them; a later one overrules an earlier one. At most
    /// [`Class::CLASSES_MAX`]. Only labels that a [`super::io::ContainerView`] carries can be named.
    pub classes: Vec<Class>,
    /// Which values the configuration sets to something else than what ships, by their keys: for people.
    pub configured: Vec<&'static str>,
    /// Limits of all together.
    pub fleet_policy: FleetPolicy,
    /// Time between the stop signal and SIGKILL where neither a label nor the container says otherwise.
    pub stop_timeout: Duration,
    /// Longest time between two whole lists of containers; shorter where they cost the engine little.
    pub list_every: Duration,
    /// How long to wait for late events before a stop of unknown cause is judged.
    pub settle: Duration,
    /// How long a compose service is left alone after the last sign of its deployment.
    pub deploy_quiet: Duration,
    /// Wait for the answer of `/start`. `/stop` gets its stop timeout and 15 s on top.
    pub start_deadline: Duration,
    /// At a stop of this daemon, how long calls under way are waited for.
    pub stop_bound: Duration,
    /// What a goodbye promises the parent.
    pub back_within: Duration,
    /// How often to beat until the parent says otherwise.
    pub beat_wanted: Duration,
    /// Where this machine's kernel may be looked at from outside.
    pub look_at: Vec<String>,
    /// Seed of the jitter.
    pub seed: u64,
    /// The wall clock at the start of the monotonic one: labels, and ages across a reboot, come from it.
    pub wall_at_zero: WallTime,
}

impl ContainerSettings {
    /// The shipped values for that node and engine.
    pub fn new(identity: NodeIdentity, engine: SubjectId) -> Self {
        Self {
            identity,
            engine,
            heal: HealMode::default(),
            selector: None,
            named_labels: Vec::new(),
            policy: RestartPolicy::default(),
            classes: Vec::new(),
            configured: Vec::new(),
            fleet_policy: FleetPolicy::default(),
            stop_timeout: Duration::from_secs(10),
            list_every: Duration::from_secs(60),
            settle: Duration::from_secs(2),
            deploy_quiet: Duration::from_secs(30),
            start_deadline: Duration::from_secs(30),
            stop_bound: Duration::from_secs(5),
            back_within: Duration::from_secs(10),
            beat_wanted: BEAT_WANTED,
            look_at: Vec::new(),
            seed: 0,
            wall_at_zero: WallTime(0),
        }
    }

    /// The wall clock at that moment: a label.
    pub fn wall(&self, now: Moment) -> WallTime {
        WallTime(self.wall_at_zero.0.saturating_add(now.as_micros() / 1000))
    }

    /// The engine stamps its events with this machine's wall clock.
    pub(crate) fn engine_time(&self, at: Moment) -> EngineTime {
        EngineTime(self.wall(at).0.saturating_mul(1_000_000))
    }

    /// The moment of an engine's stamp.
    pub(crate) fn moment_of_stamp(&self, now: Moment, stamp: EngineTime) -> Moment {
        now.saturating_sub(Duration::from_nanos(self.engine_time(now).0.saturating_sub(stamp.0)))
    }

    /// A remembered moment: as it is, or, of another boot, by its wall time, and before this boot for certain.
    pub(crate) fn moment_before(&self, now: Moment, (at, boot, wall): (Moment, BootId, WallTime)) -> Past {
        if boot == self.identity.boot_id {
            return at.min(now).into();
        }
        let age = Duration::from_millis(self.wall(now).0.saturating_sub(wall.0));
        Past::ago(now, age.max(now.since(Moment::ZERO)))
    }

    /// The end of a remembered hold on this boot's clock: as it is, or by its wall time if it is of another boot. A wall clock that
    /// was set between ends it early at worst, and lets it last no longer than it was to last from its beginning.
    pub(crate) fn end_of_hold(&self, now: Moment, end: HoldEnd) -> Moment {
        if end.boot_id == self.identity.boot_id {
            return end.until;
        }
        let left = Duration::from_millis(end.until_wall.0.saturating_sub(self.wall(now).0));
        now + left.min(end.lasts)
    }
}

#[cfg(test)]
mod tests {
    //! Holds of before a restart.
    use super::*;
    use crate::fixture::{identity, subject};
    use crate::id::{BootId, Tier};

    #[test]
    fn a_wall_clock_that_was_set_makes_no_hold_longer() {
        const HOUR: Duration = Duration::from_secs(3600);
        let now = Moment::from_millis(20_000);
        let mut settings = ContainerSettings::new(identity("c", Tier::Container, 1), subject("h/d"));
        let (today, year) = (1_700_000_000_000_u64, 365 * 24 * 3_600_000_u64);
        let end = |boot_id| HoldEnd {
            until: Moment::from_millis(3_000_000),
            boot_id,
            until_wall: WallTime(today + 1_800_000),
            lasts: HOUR,
        };
        let (this, other) = (end(settings.identity.boot_id), end(BootId([9; 16])));
        assert_ne!(this.boot_id, other.boot_id);
        // How far the wall clock is from what it was; what is left of the hold then.
        let left = [
            (0, 1800),
            (600_000, 1200),
            (-600_000, 2400),
            (year.cast_signed(), 0),
            (-year.cast_signed(), 3600),
        ];
        for (set, left) in left {
            settings.wall_at_zero = WallTime(today.saturating_add_signed(set) - 20_000);
            assert_eq!(settings.end_of_hold(now, this), this.until, "{set} ms");
            let expected = now + Duration::from_secs(left);
            assert_eq!(settings.end_of_hold(now, other), expected, "{set} ms");
        }
    }
}
