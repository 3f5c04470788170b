//! The init processes of the containers, as the kernel shows them: an end is known at once, though its event never comes.
//!
//! ```text
//!   inspected: runs as process P ──▶ asked ──held──▶ held ── the kernel says it ended ──▶ ended: unless the engine says so
//!                                      │                                                  soon, it is inspected again
//!                                      └──hidden──▶ this daemon cannot see it
//! ```
//!
//! The engine must take note of an end before it can start the container again, and says so by its event, which is faster
//! than any inspection: so this is for ends whose event is lost. Does not know what a container is for.

use super::io::{ContainerId, ContainerView, ListEntry, ProcessSeen, RunState};
use crate::deadlines::Deadlines;
use crate::time::{Duration, Moment};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The event of an end that the kernel shows is waited for this long. Of 100 that end at once the engine tells the last
/// after 3 s: to inspect them all sooner would only keep it from that.
const EVENT_WITHIN: Duration = Duration::from_secs(1);
/// While the engine says that it runs all the same, it is inspected again after a pause that doubles up to this.
const AGAIN_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Seen {
    /// The driver was asked to hold it.
    Asked,
    Held,
    /// In words.
    Hidden(String),
    /// When it is inspected next, how long after the inspection before.
    Ended(Duration),
}

#[derive(Clone, Debug)]
struct Init {
    pid: u32,
    seen: Seen,
}

/// See the module's text. As many as there are containers.
#[derive(Clone, Debug, Default)]
pub(crate) struct InitProcesses {
    by_container: BTreeMap<ContainerId, Init>,
    checks: Deadlines<ContainerId>,
}

impl InitProcesses {
    /// A container was inspected. Returns its process, if that is a new one and is to be held.
    pub(crate) fn inspected(&mut self, view: &ContainerView) -> Option<u32> {
        let runs = matches!(view.run, RunState::Running | RunState::Paused) && view.pid != 0;
        let known = self.by_container.get(&view.id).map(|init| init.pid);
        if !runs {
            self.forget(&view.id);
            return None;
        }
        if known == Some(view.pid) {
            return None;
        }
        self.checks.disarm(&view.id);
        let init = Init {
            pid: view.pid,
            seen: Seen::Asked,
        };
        self.by_container.insert(view.id.clone(), init);
        Some(view.pid)
    }

    /// The kernel shows that of a process; one that is no container's present one tells nothing.
    pub(crate) fn take(&mut self, now: Moment, id: &ContainerId, pid: u32, seen: ProcessSeen) {
        let Some(init) = self.by_container.get_mut(id).filter(|init| init.pid == pid) else {
            return;
        };
        init.seen = match seen {
            ProcessSeen::Held { .. } => Seen::Held,
            ProcessSeen::Hidden(why) => Seen::Hidden(why),
            ProcessSeen::Ended => {
                self.checks.arm(id.clone(), now + EVENT_WITHIN);
                Seen::Ended(EVENT_WITHIN)
            }
            ProcessSeen::Shim(_) => return,
        };
    }

    /// The next container to be inspected because its process has ended, if it is still believed to run.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<ContainerId> {
        self.checks.pop_due(now)
    }

    /// It was believed to run, and is being inspected: asked for again after a longer pause.
    pub(crate) fn is_asked_for(&mut self, now: Moment, id: &ContainerId) {
        if let Some(Seen::Ended(pause)) = self.by_container.get_mut(id).map(|init| &mut init.seen) {
            *pause = (*pause * 2).min(AGAIN_MAX);
            self.checks.arm(id.clone(), now + *pause);
        }
    }

    /// All containers were listed: what does not run any more has no process.
    pub(crate) fn listed(&mut self, entries: &[ListEntry]) {
        let running = entries
            .iter()
            .filter(|entry| matches!(entry.run, RunState::Running | RunState::Paused))
            .map(|entry| &entry.id);
        let running: BTreeSet<_> = running.collect();
        let gone = self.by_container.keys().filter(|id| !running.contains(id));
        let gone: Vec<_> = gone.cloned().collect();
        gone.iter().for_each(|id| self.forget(id));
    }

    /// It is known to have ended.
    pub(crate) fn forget(&mut self, id: &ContainerId) {
        self.by_container.remove(id);
        self.checks.disarm(id);
    }

    /// Can the end of each be seen? In words.
    pub(crate) fn state(&self) -> Result<String, String> {
        let mut hidden = self.by_container.values().filter_map(|init| match &init.seen {
            Seen::Hidden(why) => Some(why),
            Seen::Asked | Seen::Held | Seen::Ended(_) => None,
        });
        let (count, all) = (hidden.clone().count(), self.by_container.len());
        match hidden.next_back() {
            Some(why) => Err(format!(
                "{count} of {all} processes of containers cannot be seen from here ({why}): the whole list is asked for \
                 more often instead"
            )),
            None => Ok("the end of each container's process can be seen".to_string()),
        }
    }

    /// When the next inspection is due.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.checks.next()
    }
}

#[cfg(test)]
mod tests {
    //! Who is held, who is inspected again.
    use super::*;
    use alloc::vec;

    fn view(pid: u32, run: RunState) -> ContainerView {
        ContainerView {
            id: "c1".into(),
            pid,
            run,
            ..ContainerView::default()
        }
    }

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn held() -> InitProcesses {
        let mut it = InitProcesses::default();
        assert_eq!(it.inspected(&view(7, RunState::Running)), Some(7));
        it.take(
            at(0),
            &"c1".into(),
            7,
            ProcessSeen::Held {
                namespaces: BTreeMap::new(),
            },
        );
        it
    }

    #[test]
    fn a_process_is_held_once() {
        let mut it = held();
        assert_eq!(it.inspected(&view(7, RunState::Paused)), None);
        assert_eq!(it.inspected(&view(8, RunState::Running)), Some(8));
        assert_eq!(it.inspected(&view(0, RunState::Exited)), None);
        assert_eq!(it.inspected(&view(0, RunState::Restarting)), None);
        assert_eq!(
            it.inspected(&view(8, RunState::Running)),
            Some(8),
            "it was let go meanwhile"
        );
    }

    #[test]
    fn an_end_that_the_engine_does_not_tell_is_asked_for_with_growing_pauses() {
        let mut it = held();
        it.take(at(0), &"c1".into(), 6, ProcessSeen::Ended);
        assert_eq!(it.next_deadline(), None, "that was another process");
        it.take(at(0), &"c1".into(), 7, ProcessSeen::Ended);
        let mut asked = vec![];
        for _ in 0..9 {
            let due = it.next_deadline().unwrap();
            assert_eq!(it.pop_due(due), Some("c1".into()));
            it.is_asked_for(due, &"c1".into());
            asked.push(due.as_micros() / 1_000_000);
        }
        assert_eq!(asked, [1, 3, 7, 15, 31, 63, 123, 183, 243]);
        it.forget(&"c1".into());
        assert_eq!(it.next_deadline(), None, "it is known to have ended");
    }

    #[test]
    fn what_runs_no_more_hides_nothing() {
        let mut it = held();
        assert!(it.state().is_ok());
        it.take(at(0), &"c1".into(), 7, ProcessSeen::Hidden("no process 7 here".into()));
        let why = it.state().unwrap_err();
        assert!(
            why.starts_with("1 of 1 processes") && why.contains("no process 7 here"),
            "{why}"
        );
        let entry = |run| ListEntry {
            id: "c1".into(),
            run,
            ..ListEntry::default()
        };
        it.listed(&[entry(RunState::Running)]);
        assert!(it.state().is_err());
        it.listed(&[entry(RunState::Exited)]);
        assert!(it.state().is_ok());
    }
}
