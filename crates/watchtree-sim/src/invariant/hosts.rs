//! Rules about what the manager shows of the hosts.

use super::EXCUSED_FOR;
use crate::world::World;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;

/// Missed freshness point (0.5 s + 1 s) and two rounds of looks (0.7 s each), with room for one beat's phase.
const SEEN_WITHIN: Duration = Duration::from_secs(4);
/// After its own start or stall the manager waits for one healthy window and for hosts to return before that bound runs.
const MANAGER_SETTLES: Duration = Duration::from_secs(8);
/// A kernel that begins or ceases to answer is seen by the looks at a lost host: each 2 s after the one before it was over
/// (0.8 s), two in a row, and the one that was under way.
const JUDGED_AGAIN_WITHIN: Duration = Duration::from_millis(3 * 2800);

impl World {
    /// When the manager shows another state of a subject.
    pub fn check_state_change(&mut self, subject: &SubjectId, from: State, to: State, why: &str) {
        let Some(h) = self.host_of(subject.as_str()) else {
            return;
        };
        if to == State::Down {
            self.breaks("silence_is_no_death", format!("{subject} is DOWN: {why}"));
        }
        if !matches!(to, State::Suspect | State::AgentLost | State::Unreachable) {
            return;
        }
        let host = &self.hosts[h];
        let trouble = host.troubled.max(host.cut_until).max(host.host.well_since);
        let dead = host.silent_since.is_some();
        if !dead && EXCUSED_FOR < self.now.since(trouble) {
            self.breaks(
                "no_false_suspicion",
                format!("{subject}: {} to {}: {why}", from.as_str(), to.as_str()),
            );
        }
        if self.now.since(self.manager.well_since) < Duration::from_millis(1900) {
            self.breaks(
                "stall_judges_nobody",
                format!("{subject}: {} to {}: {why}", from.as_str(), to.as_str()),
            );
        }
    }

    /// A silent host: seen within the bound, and then judged by what its kernel says.
    pub(super) fn check_silence(&mut self, h: usize) {
        let Some(silent_since) = self.hosts[h].silent_since else {
            return;
        };
        // A goodbye makes it unwatched.
        if !self.manager.runs() || self.now < self.hosts[h].goodbye_until {
            return;
        }
        // A frame proves when it was sent only against a prompter one: where a manager that has just started never got a
        // prompt one (its host's frames are held back since), it cannot tell old from new, and the bound runs that much later.
        let host = &self.hosts[h];
        let unknowable = host.heard.unknowable((self.manager.epoch, host.boots));
        let (thawed, gap) = self.manager.thawed;
        let slept = if silent_since < thawed { gap } else { Duration::ZERO };
        let from = silent_since.max(self.manager.well_since + MANAGER_SETTLES) + unknowable + slept;
        if self.now.since(from) <= SEEN_WITHIN {
            return;
        }
        let subject = SubjectId::new(host.name.as_str()).expect("a host's name");
        let (answers, since) = host.answers;
        let silent = self.now.since(silent_since);
        let state = self.shown(&subject);
        if state == Some(State::Ok) {
            let why = format!("{subject} is silent since {silent:?} and shown as OK");
            return self.breaks("silence_is_seen", why);
        }
        let right = if answers { State::AgentLost } else { State::Unreachable };
        if state != Some(right) && JUDGED_AGAIN_WITHIN < self.now.since(since.max(from)) {
            let why = format!("{subject} is silent since {silent:?} and shown as {state:?}, not {right:?}");
            self.breaks("silence_is_judged", why);
        }
    }
}
