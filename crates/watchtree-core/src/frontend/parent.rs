//! What a child knows of its parent: whose frames came, in which order, when it was heard, whether it refuses ours.
//!
//! Nothing follows from silence but a notice. Does not know what the frames say.

use super::io::FrontendNotice;
use crate::id::{AgentEpoch, BootId, NodeName};
use crate::message::Header;
use crate::time::{Duration, Moment};
use alloc::collections::BTreeMap;

/// Orders come from the manager through the parent: a few origins at most.
const ORIGINS_MAX: usize = 16;
/// A frame of ours was refused: so long (or eight beats) without another refusal, and the next acknowledgement ends it.
const REFUSED_STAYS: Duration = Duration::from_secs(10);

/// See the module's text.
pub(super) struct Parent {
    silence: Duration,
    /// When it was heard last, or the link came up.
    heard: Option<Moment>,
    is_silent: bool,
    /// When it refused a frame of ours last, while the role counts that as a trouble.
    refused_at: Option<Moment>,
    /// Life and newest frame of each origin.
    newest: BTreeMap<NodeName, (BootId, AgentEpoch, u64)>,
    /// Frames of its that were not taken.
    not_taken: u64,
}

impl Parent {
    /// A parent that may be silent for that long.
    pub(super) fn new(silence: Duration) -> Self {
        Self {
            silence,
            heard: None,
            is_silent: false,
            refused_at: None,
            newest: BTreeMap::new(),
            not_taken: 0,
        }
    }

    /// The link is up: its silence counts from now on.
    pub(super) fn up(&mut self, now: Moment) {
        self.heard = Some(now);
    }

    /// The link is down: of its silence nothing follows.
    pub(super) fn down(&mut self) {
        self.heard = None;
        self.refused_at = None;
    }

    /// It said Welcome, and how long it may be silent.
    pub(super) fn welcomed(&mut self, silence: Duration) {
        self.silence = silence;
        self.refused_at = None;
    }

    /// Whether a frame with this header is a new one; a replay is counted.
    pub(super) fn takes(&mut self, header: &Header) -> bool {
        let (boot, epoch) = (header.boot_id, header.agent_epoch);
        let known = self.newest.get(&header.origin);
        if known.is_some_and(|known| (known.0, known.1) == (boot, epoch) && header.seq <= known.2) {
            self.not_taken += 1;
            return false;
        }
        if known.is_some() || self.newest.len() < ORIGINS_MAX {
            self.newest.insert(header.origin.clone(), (boot, epoch, header.seq));
        }
        true
    }

    /// It was heard; the notice if it had been silent.
    pub(super) fn heard(&mut self, now: Moment) -> Option<FrontendNotice> {
        self.heard = Some(now);
        core::mem::take(&mut self.is_silent).then_some(FrontendNotice::ParentBack)
    }

    /// The notice of its silence, once.
    pub(super) fn check_silence(&mut self, now: Moment) -> Option<FrontendNotice> {
        if now < self.silent_from()? {
            return None;
        }
        self.is_silent = true;
        Some(FrontendNotice::ParentSilent(now - self.heard?))
    }

    /// When its silence will be noticed.
    pub(super) fn silent_from(&self) -> Option<Moment> {
        let heard = self.heard.filter(|_| !self.is_silent)?;
        Some(heard + self.silence)
    }

    /// It said something that only a child says.
    pub(super) fn strayed(&mut self) {
        self.not_taken += 1;
    }

    /// How many of its frames were not taken.
    pub(super) fn not_taken(&self) -> u64 {
        self.not_taken
    }

    /// It refused a frame of ours.
    pub(super) fn refused(&mut self, now: Moment) {
        self.refused_at = Some(now);
    }

    /// It took something of ours: what it refused lately may still be repeated, what it refused long ago is over.
    pub(super) fn accepted(&mut self, now: Moment, beat: Duration) -> Option<FrontendNotice> {
        let stays = REFUSED_STAYS.max(beat * 8);
        let over = self.refused_at.take_if(|at| *at + stays <= now);
        over.map(|_| FrontendNotice::Accepted)
    }
}

#[cfg(test)]
mod tests {
    //! Replays, silence, refusals.
    use super::*;
    use crate::fixture::identity;
    use crate::id::Tier;
    use alloc::format;

    const SILENCE: Duration = Duration::from_secs(5);

    fn ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn header(origin: &str, epoch: u64, seq: u64) -> Header {
        Header::new(&identity(origin, Tier::Manager, epoch), seq, ms(0))
    }

    #[test]
    fn a_frame_is_taken_once_per_life_of_its_origin() {
        let mut parent = Parent::new(SILENCE);
        // Origin, epoch, seq, whether it is taken.
        let cases = [
            ("m", 1, 5, true),
            ("m", 1, 5, false),
            ("m", 1, 4, false),
            ("other", 1, 4, true),
            ("m", 1, 6, true),
            ("m", 2, 1, true),
            ("m", 2, 1, false),
        ];
        for (origin, epoch, seq, is_taken) in cases {
            assert_eq!(
                parent.takes(&header(origin, epoch, seq)),
                is_taken,
                "{origin} {epoch} {seq}"
            );
        }
        let rebooted = Header {
            boot_id: BootId([0; 16]),
            ..header("m", 2, 1)
        };
        assert!(parent.takes(&rebooted), "another boot is another life");
        parent.strayed();
        assert_eq!(parent.not_taken(), 4);
    }

    #[test]
    fn so_many_origins_are_known_and_further_ones_are_taken_all_the_same() {
        let mut parent = Parent::new(SILENCE);
        let known = ORIGINS_MAX as u64;
        for number in 0..=known {
            assert!(parent.takes(&header(&format!("n{number}"), 1, 1)));
        }
        let again = (0..=known).filter(|number| parent.takes(&header(&format!("n{number}"), 1, 1)));
        assert_eq!(
            again.collect::<alloc::vec::Vec<_>>(),
            [known],
            "only what is known is a replay"
        );
        assert!(parent.takes(&header("n0", 1, 2)) && !parent.takes(&header("n0", 1, 2)));
    }

    #[test]
    fn its_silence_is_noticed_once_and_counts_from_the_last_frame() {
        let mut parent = Parent::new(SILENCE);
        assert_eq!(
            (parent.silent_from(), parent.check_silence(ms(9000))),
            (None, None),
            "no link"
        );
        parent.up(ms(1000));
        assert_eq!(parent.heard(ms(2000)), None);
        assert_eq!(
            (parent.silent_from(), parent.check_silence(ms(6999))),
            (Some(ms(7000)), None)
        );
        assert_eq!(
            parent.check_silence(ms(7000)),
            Some(FrontendNotice::ParentSilent(SILENCE))
        );
        assert_eq!((parent.silent_from(), parent.check_silence(ms(8000))), (None, None));
        assert_eq!(parent.heard(ms(8000)), Some(FrontendNotice::ParentBack));
        parent.welcomed(SILENCE * 2);
        assert_eq!(parent.silent_from(), Some(ms(18_000)));
        parent.down();
        assert_eq!(parent.silent_from(), None);
    }

    #[test]
    fn a_refusal_is_over_after_a_while_without_one() {
        // How often it beats, and how long a refusal stays.
        for (beat, stays) in [(500, 10_000), (1250, 10_000), (2000, 16_000)] {
            let beat = Duration::from_millis(beat);
            let mut parent = Parent::new(SILENCE);
            assert_eq!(parent.accepted(ms(0), beat), None, "nothing was refused");
            parent.refused(ms(0));
            parent.refused(ms(50));
            assert_eq!(parent.accepted(ms(50 + stays - 1), beat), None);
            assert_eq!(parent.accepted(ms(50 + stays), beat), Some(FrontendNotice::Accepted));
            assert_eq!(parent.accepted(ms(90_000), beat), None, "once");
        }
        let ends: [fn(&mut Parent); 2] = [|parent| parent.down(), |parent| parent.welcomed(SILENCE)];
        for end in ends {
            let mut parent = Parent::new(SILENCE);
            parent.refused(ms(0));
            end(&mut parent);
            assert_eq!(
                parent.accepted(ms(90_000), SILENCE),
                None,
                "a new session begins without"
            );
        }
    }
}
