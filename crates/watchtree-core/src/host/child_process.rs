//! One container-watchdog as a process: what the kernel and its link have shown of it. The only writer of its phase.
//!
//! ```text
//!           start            started             Hello            freshness point passed
//!   Absent ───────▶ Starting ───────▶ Greeting ─────────▶ Live ─────────────────────────▶ Doubted (was pinged)
//!    ▲ ▲                │ failed         ▲ │               ▲ │                               │  │
//!    │ └────────────────┘        found ──┘ │               └─┼── fresh again, or Pong ───────┘  │
//!    │                                     ▼                 ▼                                  │
//!    └────── the kernel says it is gone ── Ending (SIGTERM or SIGKILL) ◀────────────────────────┘
//! ```
//!
//! Does not know why it is started or ended, nor how often: that is its supervisor's.

use super::io::{ChildExit, ChildSignal};
use crate::id::NodeName;
use crate::subject::{Incarnation, SubjectId};
use crate::time::Moment;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

/// Most ends that wait for the answers to their starts; a lost answer leaves one.
const EARLY_ENDS_MAX: usize = 8;

/// Where a process stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Not running.
    Absent,
    /// The driver was asked to start it.
    Starting { until: Moment },
    /// It runs and has not said Hello yet.
    Greeting { pid: u32, until: Moment },
    /// It runs and beats.
    Live { pid: u32 },
    /// It runs, missed its beats and was asked to answer.
    Doubted { pid: u32, until: Moment },
    /// It was sent this signal; the kernel has not confirmed yet.
    Ending {
        pid: u32,
        until: Moment,
        signal: ChildSignal,
    },
}

/// How a process ended, or why there is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ProcessEnd {
    /// The driver could not start it, in words.
    NotStarted(String),
    /// The kernel says it is gone.
    Exited {
        pid: u32,
        exit: ChildExit,
        last_line: String,
    },
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct ChildProcess {
    engine: String,
    node: NodeName,
    scope: SubjectId,
    subject: SubjectId,
    phase: Phase,
    incarnation: Incarnation,
    /// When it said Hello, in this life.
    joined: Option<Moment>,
    /// It said goodbye, and no Hello since.
    left: bool,
    /// Of a former life of this daemon: only such a one can be of another build than what would be started now.
    adopted: bool,
    /// The newest end that nobody has looked at.
    end: Option<ProcessEnd>,
    /// Ends that were told before the answers to their starts, in the order they came.
    early: VecDeque<(u32, ProcessEnd)>,
}

impl ChildProcess {
    /// Absent, and never started. `scope` is `HOST/ENGINE`.
    pub(super) fn new(engine: &str, node: NodeName, scope: SubjectId) -> Self {
        Self {
            engine: engine.to_string(),
            node,
            subject: scope.child("@watchdog"),
            scope,
            phase: Phase::Absent,
            incarnation: Incarnation::default(),
            joined: None,
            left: false,
            adopted: false,
            end: None,
            early: VecDeque::new(),
        }
    }

    /// Name of its engine.
    pub(super) fn engine(&self) -> &str {
        &self.engine
    }

    /// Its name on the link.
    pub(super) fn node(&self) -> &NodeName {
        &self.node
    }

    /// The top of what it watches.
    pub(super) fn scope(&self) -> &SubjectId {
        &self.scope
    }

    /// The watchdog itself.
    pub(super) fn subject(&self) -> &SubjectId {
        &self.subject
    }

    /// Where it stands.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Nothing runs, nothing is being started.
    pub(super) fn is_absent(&self) -> bool {
        self.phase == Phase::Absent
    }

    /// It beats, or may still answer that it lives.
    pub(super) fn is_heard(&self, now: Moment) -> bool {
        match self.phase {
            Phase::Live { .. } => true,
            Phase::Doubted { until, .. } => now < until,
            Phase::Absent | Phase::Starting { .. } | Phase::Greeting { .. } | Phase::Ending { .. } => false,
        }
    }

    /// A sign of life may change what is to be done: it was asked to answer, or waits to be replaced.
    pub(super) fn is_awaited(&self) -> bool {
        self.adopted || matches!(self.phase, Phase::Doubted { .. })
    }

    /// Its process, while one runs.
    pub(super) fn pid(&self) -> Option<u32> {
        match self.phase {
            Phase::Absent | Phase::Starting { .. } => None,
            Phase::Greeting { pid, .. }
            | Phase::Live { pid }
            | Phase::Doubted { pid, .. }
            | Phase::Ending { pid, .. } => Some(pid),
        }
    }

    /// Until when something is waited for.
    pub(super) fn until(&self) -> Option<Moment> {
        match self.phase {
            Phase::Absent | Phase::Live { .. } => None,
            Phase::Starting { until }
            | Phase::Greeting { until, .. }
            | Phase::Doubted { until, .. }
            | Phase::Ending { until, .. } => Some(until),
        }
    }

    /// Which life it is in, or was in last, as it said in its Hello.
    pub(super) fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// When it said Hello, in this life.
    pub(super) fn joined(&self) -> Option<Moment> {
        self.joined
    }

    /// It said goodbye, and no Hello since.
    pub(super) fn has_left(&self) -> bool {
        self.left
    }

    /// It was running when this daemon started.
    pub(super) fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// It was found running; it is to say Hello until then.
    pub(super) fn found(&mut self, pid: u32, until: Moment) {
        self.phase = Phase::Greeting { pid, until };
        self.adopted = true;
    }

    /// The driver is asked to start it; asked again if it has not answered until then.
    pub(super) fn start(&mut self, until: Moment) {
        self.phase = Phase::Starting { until };
        self.joined = None;
    }

    /// The driver has not answered in time, and is not asked again.
    pub(super) fn start_is_lost(&mut self) {
        self.phase = Phase::Absent;
    }

    /// The driver has answered; a new process is to say Hello until then.
    pub(super) fn started(&mut self, result: Result<u32, String>, until: Moment) {
        // The answer to a start that was repeated: what runs goes on.
        if self.joined.is_some() || (self.pid().is_some() && result.is_err()) {
            return;
        }
        self.end = None;
        match result {
            Ok(pid) => {
                self.phase = Phase::Greeting { pid, until };
                self.adopted = false;
                let place = self.early.iter().rposition(|(gone, _)| *gone == pid);
                if let Some((_, end)) = place.and_then(|place| self.early.remove(place)) {
                    self.ended(end);
                }
            }
            Err(why) => self.ended(ProcessEnd::NotStarted(why)),
        }
    }

    /// The kernel says that a process is gone. True if it was this one's present process. An end that overtakes the
    /// answer to its start is kept for that answer: else a process that is gone would be waited for, for ever.
    pub(super) fn exited(&mut self, pid: u32, exit: ChildExit, last_line: String) -> bool {
        let end = ProcessEnd::Exited { pid, exit, last_line };
        if self.pid() == Some(pid) {
            self.ended(end);
            return true;
        }
        if self.joined.is_none() {
            if EARLY_ENDS_MAX <= self.early.len() {
                self.early.pop_front();
            }
            self.early.push_back((pid, end));
        }
        false
    }

    fn ended(&mut self, end: ProcessEnd) {
        self.phase = Phase::Absent;
        self.joined = None;
        self.end = Some(end);
    }

    /// The newest end, once.
    pub(super) fn take_end(&mut self) -> Option<ProcessEnd> {
        self.end.take()
    }

    /// It said Hello. False if it does not run any more as far as is known, or was told to end.
    pub(super) fn said_hello(&mut self, now: Moment, incarnation: Incarnation) -> bool {
        let Some(pid) = self.pid().filter(|_| !matches!(self.phase, Phase::Ending { .. })) else {
            return false;
        };
        self.phase = Phase::Live { pid };
        self.joined.get_or_insert(now);
        self.incarnation = incarnation;
        self.left = false;
        self.early.clear();
        true
    }

    /// It said goodbye.
    pub(super) fn said_goodbye(&mut self) {
        self.left = true;
    }

    /// It missed its beats; it is to answer a ping until then.
    pub(super) fn doubt(&mut self, until: Moment) {
        if let Phase::Live { pid } = self.phase {
            self.phase = Phase::Doubted { pid, until };
        }
    }

    /// It is fresh again.
    pub(super) fn trust(&mut self) {
        if let Phase::Doubted { pid, .. } = self.phase {
            self.phase = Phase::Live { pid };
        }
    }

    /// It is sent this signal; if it is not gone until then, it is killed. Returns its process, if it has one.
    pub(super) fn end_by(&mut self, signal: ChildSignal, until: Moment) -> Option<u32> {
        let pid = self.pid()?;
        self.phase = Phase::Ending { pid, until, signal };
        Some(pid)
    }

    /// After a stall of the observer: no waiting of before counts.
    pub(super) fn extend_deadlines(&mut self, settled: Moment) {
        self.trust();
        match &mut self.phase {
            Phase::Starting { until }
            | Phase::Greeting { until, .. }
            | Phase::Ending {
                until,
                signal: ChildSignal::Terminate,
                ..
            } => *until = (*until).max(settled),
            Phase::Absent | Phase::Live { .. } | Phase::Doubted { .. } | Phase::Ending { .. } => (),
        }
    }
}

#[cfg(test)]
mod tests {
    //! The phases, and what comes out of turn.
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn process() -> ChildProcess {
        let node = NodeName::new("h1.docker.watchdog").unwrap();
        ChildProcess::new("docker", node, SubjectId::new("h1/docker").unwrap())
    }

    fn live() -> ChildProcess {
        let mut process = process();
        process.start(at(60_000));
        process.started(Ok(7), at(10_000));
        assert!(process.said_hello(at(100), Incarnation("boot+1".to_string())));
        process
    }

    #[test]
    fn a_life_from_start_to_end() {
        let mut process = live();
        assert_eq!((process.pid(), process.joined()), (Some(7), Some(at(100))));
        process.doubt(at(900));
        process.trust();
        assert_eq!(process.phase(), Phase::Live { pid: 7 });
        assert_eq!(process.end_by(ChildSignal::Kill, at(5000)), Some(7));
        assert!(
            !process.said_hello(at(200), Incarnation::default()),
            "it was told to end"
        );
        assert!(!process.exited(6, ChildExit::Unknown, String::new()), "another process");
        assert!(process.exited(7, ChildExit::Signal(9), String::new()));
        assert_eq!((process.phase(), process.joined()), (Phase::Absent, None));
        assert!(matches!(process.take_end(), Some(ProcessEnd::Exited { pid: 7, .. })));
        assert_eq!(process.take_end(), None, "once");
        assert_eq!(process.incarnation().0, "boot+1", "the life it was in last");
        assert!(!process.said_hello(at(300), Incarnation::default()), "it does not run");
    }

    #[test]
    fn an_end_that_overtakes_the_answer_to_its_start_is_kept_for_it() {
        for (gone, phase) in [(7, Phase::Absent), (6, Phase::Greeting { pid: 7, until: at(1) })] {
            let mut process = process();
            process.start(at(60_000));
            assert!(!process.exited(gone, ChildExit::Code(1), String::new()));
            process.started(Ok(7), at(1));
            assert_eq!(process.phase(), phase);
        }
    }

    #[test]
    fn ends_of_two_processes_wait_for_the_answers_to_their_starts() {
        let mut process = process();
        process.start(at(60_000));
        process.start(at(120_000));
        for pid in [7, 8] {
            assert!(!process.exited(pid, ChildExit::Code(pid as i32), String::new()));
        }
        for pid in [7, 8] {
            process.started(Ok(pid), at(1));
            let exit = ChildExit::Code(pid as i32);
            assert!(matches!(process.take_end(), Some(ProcessEnd::Exited { exit: it, .. }) if it == exit));
            assert_eq!(process.phase(), Phase::Absent, "{pid}");
        }
        process.start(at(60_000));
        for pid in 0..100 {
            process.exited(pid, ChildExit::Unknown, String::new());
        }
        assert_eq!(process.early.len(), EARLY_ENDS_MAX);
        process.started(Ok(99), at(1));
        assert!(process.is_absent(), "the newest ends are kept");
    }

    #[test]
    fn a_life_that_is_proven_forgets_the_ends_before_it() {
        for (early, late) in [(9, 1), (1, 9)] {
            let mut process = process();
            process.start(at(60_000));
            process.exited(early, ChildExit::Unknown, String::new());
            process.started(Ok(7), at(1));
            assert!(process.said_hello(at(200), Incarnation::default()));
            process.exited(late, ChildExit::Unknown, String::new());
            process.exited(7, ChildExit::Unknown, String::new());
            process.start(at(60_000));
            process.started(Ok(9), at(1));
            assert_eq!(process.pid(), Some(9), "another process of that number");
        }
    }

    #[test]
    fn the_answer_to_a_repeated_start_ends_nothing_that_runs() {
        let mut process = live();
        for result in [Ok(8), Err("no file".to_string())] {
            process.started(result, at(1));
            assert_eq!(process.phase(), Phase::Live { pid: 7 });
        }
        process.exited(7, ChildExit::Unknown, String::new());
        process.start(at(60_000));
        process.started(Ok(8), at(1));
        process.started(Err("no file".to_string()), at(1));
        assert_eq!((process.pid(), process.take_end()), (Some(8), None));
        process.started(Ok(9), at(1));
        assert_eq!(process.pid(), Some(9), "neither has said Hello: the newest");
    }

    #[test]
    fn a_stall_of_the_observer_extends_what_is_waited_for() {
        let mut process = live();
        process.doubt(at(900));
        process.extend_deadlines(at(5000));
        assert_eq!(process.phase(), Phase::Live { pid: 7 }, "it is judged anew");
        for (signal, expected) in [(ChildSignal::Terminate, 5000), (ChildSignal::Kill, 900)] {
            process.end_by(signal, at(900));
            process.extend_deadlines(at(5000));
            let until = at(expected);
            assert_eq!(process.phase(), Phase::Ending { pid: 7, until, signal });
        }
    }

    #[test]
    fn a_goodbye_counts_until_the_next_hello() {
        let mut process = live();
        process.said_goodbye();
        assert!(process.has_left());
        assert!(process.said_hello(at(200), Incarnation::default()));
        assert!(!process.has_left());
        assert_eq!(process.joined(), Some(at(100)), "the same life");
    }
}
