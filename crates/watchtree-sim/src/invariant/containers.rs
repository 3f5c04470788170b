//! Rules about what is done to containers.

use crate::engine::Asker;
use crate::world::World;
use watchtree_core::container::io::{EngineCall, EngineEvent, RunState};
use watchtree_core::restart::RestartPolicy;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Duration;

/// A call that was on its way when a fault came.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
/// A person's stop is an event first, and a call may be on its way by then.
const TOLD_WITHIN: Duration = Duration::from_millis(400);

/// An order that reaches a frozen watchdog is carried out when that thaws.
const ORDERED_WITHIN: Duration = Duration::from_secs(10);

impl World {
    /// The subject of a container.
    pub(crate) fn subject(&self, h: usize, c: usize) -> SubjectId {
        let host = &self.hosts[h];
        let path = format!("{}/docker/{}", host.name, host.engine.containers[c].view.name);
        SubjectId::new(&path).expect("plain names")
    }

    /// When a call reaches the engine.
    pub fn check_call(&mut self, h: usize, id: &str, call: EngineCall, asker: Asker) {
        let Asker::Watchdog { .. } = asker else { return };
        let Some(c) = self.hosts[h].engine.find(id) else { return };
        let container = &self.hosts[h].engine.containers[c];
        let (runs, hung) = (container.view.run == RunState::Running, container.hung);
        let name = container.view.name.clone();
        match call {
            EngineCall::Stop { .. } if runs && !hung => {
                let since = self.now.since(container.changed);
                if ON_ITS_WAY < since {
                    let why = format!("host {h}: {name} is well since {since:?} and is stopped");
                    self.breaks("healthy_left_alone", why);
                }
            }
            EngineCall::Start if !runs && container.stopped_by_operator => {
                let since = self.now.since(container.stop_asked);
                if TOLD_WITHIN < since && !self.is_blind(h, c) {
                    let why = format!("host {h}: a person asked to stop {name} {since:?} ago and it is started");
                    self.breaks("operator_wins", why);
                }
            }
            _ => {}
        }
    }

    /// True where nothing can tell a person's stop of that container: the engine forgot the event before the watchdog took it
    /// in, and its mark tells nothing since our own stop was there too; or no record is left of our own.
    pub(super) fn is_blind(&self, h: usize, c: usize) -> bool {
        let (host, container) = (&self.hosts[h], &self.hosts[h].engine.containers[c]);
        let forgotten = container.stop_asked <= host.forgot && !container.stop_told;
        container.unrecorded_stop || (forgotten && host.book.was_stopped_by_us(&container.view.id))
    }

    /// An event is handed to the container-watchdog: a person's stop is known from here on.
    pub fn note_told(&mut self, h: usize, event: &EngineEvent) {
        if !self.hosts[h].child.runs() {
            return;
        }
        let told = |c: &&mut crate::engine::Container| c.view.id == event.id && c.stop_event == event.at;
        if let Some(c) = self.hosts[h].engine.containers.iter_mut().find(told) {
            c.stop_told = true;
        }
    }

    /// When a call is posted: none by a watchdog that knows that the machine goes down.
    pub fn check_hands_off(&mut self, h: usize, id: &str, call: EngineCall) {
        let child = &self.hosts[h].child;
        // One that was frozen when it was told takes it in when it thaws.
        let knows =
            |(told, at): (u64, watchtree_core::time::Moment)| told == child.epoch && at.max(child.thawed.0) < self.now;
        if self.hosts[h].going_down.is_some_and(knows) {
            self.breaks(
                "hands_off",
                format!("host {h} goes down and {call:?} of {id:.6} is posted"),
            );
        }
    }

    /// When a subject's charges are given back: a person asked for it, or it has run for a whole window.
    pub fn check_cleared(&mut self, h: usize, subject: &SubjectId) {
        let count = self.hosts[h].engine.containers.len();
        let Some(c) = (0..count).find(|c| self.subject(h, *c) == *subject) else {
            return;
        };
        let ran = self.now.since(self.hosts[h].engine.containers[c].born);
        if ran < RestartPolicy::default().window && ORDERED_WITHIN < self.now.since(self.hosts[h].retried) {
            let why = format!("{subject} is given its budget back unasked, {ran:?} after its start");
            self.breaks("budget_kept", why);
        }
    }

    /// When the engine has carried out a start of ours: it was charged, each one.
    pub fn check_start(&mut self, h: usize, id: &str) {
        let Some(c) = self.hosts[h].engine.containers.iter().position(|c| c.view.id == id) else {
            return;
        };
        let (starts, subject) = (self.hosts[h].engine.containers[c].our_starts.len(), self.subject(h, c));
        let begun = self.hosts[h].book.begun(&subject);
        if begun < starts {
            let why = format!("{subject} was started {starts} times by {begun} charged repairs");
            self.breaks("budget_kept", why);
        }
    }
}
