//! The hosts as the manager sees them: phases, freshness, goodbyes. What a silent one is called is decided in `looks`.

use super::ManagerAgent;
use super::cut_off::counted;
use super::io::{Farewell, KnownHost, ManagerEffect};
use super::looks::{Lost, Rounds};
use crate::id::NodeName;
use crate::message::Goodbye;
use crate::subject::{SubjectId, SubjectKind};
use crate::time::{Duration, Moment};
use crate::tree::unknown;
use crate::verdict::{Evidence, EvidenceKind, Level, State, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// The longest absence a goodbye can ask for.
const BACK_WITHIN_MAX: Duration = Duration::from_secs(3600);

/// A host as the manager sees it from outside.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) known: KnownHost,
    pub(super) phase: Phase,
    /// The manager's own word on it: shown at its top unless it is well and speaks for itself.
    pub(super) verdict: Verdict,
    pub(super) unconfirmed: bool,
    armed: Option<Moment>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Unknown,
    Well,
    Suspect(Rounds),
    Lost(Lost),
    Left,
}

impl ManagerAgent {
    /// A host of a former life.
    pub(super) fn restore(&mut self, now: Moment, known: KnownHost) {
        let name = known.identity.name.clone();
        let until = self.own.settled_at().max(now) + self.policy.return_within;
        let left = known.left;
        self.insert(now, known);
        self.arm(&name, Some(until));
        if let Some(farewell) = left {
            let ends = self.take_leave(now, &name, farewell);
            self.arm(&name, ends.map(|ends| ends.max(until)));
        }
    }

    fn insert(&mut self, now: Moment, known: KnownHost) {
        let name = known.identity.name.clone();
        let verdict = Verdict {
            why: "not heard since this manager started".to_string(),
            ..unknown(known.scope.clone(), SubjectKind::Host, self.identity.name.clone(), now)
        };
        let watch = Watch {
            known,
            phase: Phase::Unknown,
            verdict,
            unconfirmed: false,
            armed: None,
        };
        self.tally.counted += counted(&watch).0;
        self.hosts.insert(name, watch);
    }

    /// The only writer of what is known, and keeps it: whether a host said goodbye counts in the tally too.
    fn know(&mut self, name: &NodeName, known: KnownHost, news: bool) {
        let Some(watch) = self.hosts.get_mut(name) else { return };
        let before = counted(watch);
        watch.known = known;
        let after = counted(watch);
        self.tally.counted = self.tally.counted + after.0 - before.0;
        self.tally.silent = self.tally.silent + after.1 - before.1;
        if news {
            self.effects.push_back(ManagerEffect::StoreHost(watch.known.clone()));
        }
    }

    /// The only writer of `due`, so that the index cannot drift from the hosts.
    pub(super) fn arm(&mut self, name: &NodeName, at: Option<Moment>) {
        let Some(watch) = self.hosts.get_mut(name) else { return };
        if let Some(old) = core::mem::replace(&mut watch.armed, at) {
            self.due.remove(&(old, name.clone()));
        }
        if let Some(at) = at {
            self.due.insert((at, name.clone()));
        }
    }

    /// The only writer of phase and verdict, so that no tally drifts and no change goes unsaid.
    pub(super) fn enter(&mut self, now: Moment, name: &NodeName, phase: Phase, verdict: Verdict) {
        let Some(watch) = self.hosts.get_mut(name) else { return };
        let before = counted(watch);
        let from = watch.verdict.state;
        watch.phase = phase;
        let since = if from == verdict.state {
            watch.verdict.since
        } else {
            now
        };
        watch.verdict = Verdict { since, ..verdict };
        let after = counted(watch);
        self.tally.counted = self.tally.counted + after.0 - before.0;
        self.tally.silent = self.tally.silent + after.1 - before.1;
        let to = watch.verdict.state;
        if from != to {
            let (subject, why) = (watch.verdict.subject.clone(), watch.verdict.why.clone());
            self.effects
                .push_back(ManagerEffect::StateChanged { subject, from, to, why });
        }
    }

    pub(super) fn verdict_of(
        &mut self,
        now: Moment,
        name: &NodeName,
        state: State,
        level: Level,
        why: String,
        evidence: Vec<Evidence>,
    ) -> Option<Verdict> {
        let watch = self.hosts.get(name)?;
        Some(Verdict {
            subject: watch.known.scope.clone(),
            kind: SubjectKind::Host,
            incarnation: crate::subject::Incarnation(watch.known.identity.boot_id.to_string()),
            state,
            level,
            why,
            evidence,
            observer: self.identity.name.clone(),
            observer_health: self.own.health(now),
            since: now,
            held: false,
            remarks: Vec::new(),
        })
    }

    pub(super) fn joined(&mut self, now: Moment, name: NodeName, new_life: bool) {
        let Some(child) = self.backend.child(&name) else { return };
        let known = KnownHost {
            identity: child.hello.identity.clone(),
            capabilities: child.hello.capabilities,
            scope: child.hello.scope.clone(),
            look_at: child.hello.look_at.clone(),
            seen: self.wall(now),
            left: None,
        };
        if !self.hosts.contains_key(&name) {
            self.insert(now, known.clone());
        }
        if let Some(watch) = self.hosts.get(&name) {
            let news = new_life
                || KnownHost {
                    seen: known.seen,
                    ..watch.known.clone()
                } != known;
            self.know(&name, known, news);
        }
        self.not_cloned(&name);
        self.heard(now, &name);
        // Its Hello was under way for long. What follows it may be on the way too, else it is missed: it said it was back.
        if self.hosts.get(&name).is_some_and(|it| matches!(it.phase, Phase::Left)) {
            self.arm(&name, Some(now + self.policy.beat));
        }
    }

    /// A sign of life was taken. Well hosts cost nothing here: their timer asks for the freshness when it fires.
    pub(super) fn heard(&mut self, now: Moment, name: &NodeName) {
        let Some(watch) = self.hosts.get(name) else { return };
        if matches!(watch.phase, Phase::Well) {
            return;
        }
        let Some(child) = self.backend.child(name) else { return };
        if child.left.is_some() || !child.is_fresh(now) {
            return;
        }
        let until = child.fresh_until();
        let was = watch.verdict.state;
        let why = if was == State::Unknown {
            "heard".to_string()
        } else {
            format!("heard again after {}", was.as_str())
        };
        let Some(verdict) = self.verdict_of(now, name, State::Ok, Level::Certain, why, Vec::new()) else {
            return;
        };
        self.enter(now, name, Phase::Well, verdict);
        self.arm(name, until);
        self.host_is_well(now, name);
        self.check_view(now);
    }

    pub(super) fn left(&mut self, now: Moment, name: &NodeName, goodbye: Goodbye) {
        if goodbye == Goodbye::Leaving {
            return self.forget(now, name, "it left for good");
        }
        let Some(watch) = self.hosts.get(name) else { return };
        let farewell = Farewell {
            goodbye,
            at: self.wall(now),
        };
        let known = KnownHost {
            left: Some(farewell),
            ..watch.known.clone()
        };
        self.know(name, known, true);
        let until = self.take_leave(now, name, farewell);
        self.arm(name, until);
        self.host_is_eclipsed(now, name);
        self.check_view(now);
    }

    /// Its absence is announced: UNWATCHED. Gives back when it counts again; `None` = never.
    fn take_leave(&mut self, now: Moment, name: &NodeName, farewell: Farewell) -> Option<Moment> {
        let (why, within) = match farewell.goodbye {
            Goodbye::Restart { back_within } => {
                let within = back_within.min(BACK_WITHIN_MAX);
                let secs = within.as_secs();
                let why = format!("its watchdog said goodbye and means to be back within {secs} s");
                (why, Some(within))
            }
            Goodbye::HostShutdown | Goodbye::Leaving => {
                let why = "the machine announced that it shuts down or reboots".to_string();
                (why, self.policy.back_after_shutdown)
            }
        };
        let evidence = vec![Evidence::new(EvidenceKind::Goodbye, now, why.clone())];
        if let Some(verdict) = self.verdict_of(now, name, State::Unwatched, Level::Certain, why, evidence) {
            self.enter(now, name, Phase::Left, verdict);
        }
        let gone_for = self.gone_for(now, farewell);
        within.map(|within| now + within.saturating_sub(gone_for))
    }

    fn gone_for(&self, now: Moment, farewell: Farewell) -> Duration {
        Duration::from_millis(self.wall(now).0.saturating_sub(farewell.at.0))
    }

    /// What is to be said of a host that is missing although it announced to be back.
    pub(super) fn overdue(&self, now: Moment, name: &NodeName) -> Option<String> {
        let farewell = self.hosts.get(name)?.known.left?;
        let gone_for = in_words(self.gone_for(now, farewell));
        Some(match farewell.goodbye {
            Goodbye::Restart { .. } => format!("its watchdog said goodbye {gone_for} ago and is not back in time"),
            Goodbye::HostShutdown | Goodbye::Leaving => {
                format!("the machine announced {gone_for} ago that it shuts down or reboots, and is not back")
            }
        })
    }

    pub(super) fn forget(&mut self, now: Moment, name: &NodeName, why: &str) {
        self.arm(name, None);
        let Some(watch) = self.hosts.remove(name) else { return };
        let (counted, silent) = counted(&watch);
        self.tally.counted -= counted;
        self.tally.silent -= silent;
        self.backend.forget(name);
        self.no_troubles(name);
        self.close_within(now, &watch.known.scope, why);
        self.effects.push_back(ManagerEffect::ForgetHost(name.clone()));
        self.check_view(now);
    }

    /// After a stall of our own: what was being concluded begins anew once we are well.
    pub(super) fn excuse(&mut self, name: &NodeName, settled: Moment) {
        let Some(watch) = self.hosts.get_mut(name) else { return };
        if let Phase::Suspect(rounds) = &mut watch.phase {
            *rounds = Rounds::default();
        }
        if let Phase::Lost(lost) = &mut watch.phase {
            *lost = lost.excused();
        }
        let at = watch.armed.map_or(settled, |armed| armed.max(settled));
        self.arm(name, Some(at));
    }

    pub(super) fn host_due(&mut self, now: Moment, name: &NodeName) {
        if !self.own.may_judge(now) {
            let settled = self.own.settled_at();
            return self.excuse(name, settled);
        }
        let Some(watch) = self.hosts.get(name) else { return };
        match &watch.phase {
            Phase::Well => self.check_freshness(now, name),
            Phase::Unknown => {
                let what = "no Hello since this manager started".to_string();
                self.suspect(now, name, Evidence::new(EvidenceKind::MissedSlot, now, what));
            }
            Phase::Left => {
                let back = || "its watchdog was back, and is silent since".to_string();
                let what = self.overdue(now, name).unwrap_or_else(back);
                self.suspect(now, name, Evidence::new(EvidenceKind::Goodbye, now, what));
            }
            Phase::Suspect(_) => self.round_over(now, name),
            Phase::Lost(_) => self.lost_due(now, name),
        }
    }

    fn check_freshness(&mut self, now: Moment, name: &NodeName) {
        let Some(child) = self.backend.child(name) else {
            return self.arm(name, None);
        };
        match child.fresh_until() {
            Some(until) if now < until => self.arm(name, Some(until)),
            until => {
                let slot = child.newest().map_or(Moment::ZERO, |(slot, _)| slot);
                let late = until.map_or(Duration::ZERO, |until| now.since(until)) + self.policy.margin;
                let what = format!(
                    "nothing after slot {slot} of its clock; the next one is {:.1} s late",
                    late.as_secs_f32()
                );
                self.suspect(now, name, Evidence::new(EvidenceKind::MissedSlot, now, what));
            }
        }
    }

    /// The host whose scope holds this subject.
    pub(super) fn host_of(&self, subject: &SubjectId) -> Option<&NodeName> {
        let name = NodeName::new(subject.root()).ok()?;
        self.hosts.get_key_value(&name).map(|(name, _)| name)
    }
}

fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        secs @ 0..120 => format!("{secs} s"),
        secs => format!("{} min", secs / 60),
    }
}
