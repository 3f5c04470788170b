//! One child under its supervisor, without links: what is waited for, what is repeated, what fails.

use super::super::io::ChildExit;
use super::*;
use crate::id::{AgentEpoch, NodeName};
use crate::recorder::DecisionRecorder;
use crate::supervisor::{FleetBudget, Output, Places, Supervisor, Terms};
use crate::time::WallTime;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

struct Bench {
    process: ChildProcess,
    supervisor: Supervisor<ChildProcess>,
    recorder: DecisionRecorder,
    settled_ms: u64,
    is_going_down: bool,
}

impl Bench {
    /// A process that has just been started, as the process 7.
    fn new() -> Self {
        let node = NodeName::new("h1.docker.watchdog").unwrap();
        let mut process = ChildProcess::new("docker", node.clone(), SubjectId::new("h1/docker").unwrap());
        process.start(Moment::from_millis(60_000));
        process.started(Ok(7), Moment::from_millis(10_000));
        Self {
            process,
            supervisor: Supervisor::default(),
            recorder: DecisionRecorder::new(node, AgentEpoch(1), Moment::ZERO, WallTime(0)),
            settled_ms: 0,
            is_going_down: false,
        }
    }

    /// What is to be done then, and what was decided: `under_way`, `failed`, …
    fn at(&mut self, ms: u64) -> (Vec<ChildCommand>, Vec<&'static str>) {
        let policy = HostPolicy::default();
        let mut around = Around {
            policy: &policy,
            session: None,
            settled: Moment::from_millis(self.settled_ms),
            held_until: None,
            is_searching: false,
            is_going_down: self.is_going_down,
            build: "1",
        };
        let (mut queue, mut fleet) = (VecDeque::new(), FleetBudget::default());
        let terms = Terms {
            policy: policy.child_restart,
            fleet: &mut fleet,
            places: Places::free(),
            seed: 1,
        };
        let mut out = Outputs::new(&mut self.recorder, &mut queue);
        let now = Moment::from_millis(ms);
        self.supervisor
            .step(now, &mut self.process, &mut around, terms, &mut out);
        let (mut commands, mut outcomes) = (Vec::new(), Vec::new());
        for output in queue {
            match output {
                Output::Command(command) => commands.push(command),
                Output::Decided(decision) => outcomes.push(decision.outcome.as_str()),
                Output::Restarted { .. }
                | Output::GivenBack { .. }
                | Output::LimitReached { .. }
                | Output::LimitReset
                | Output::Repaired(_) => (),
            }
        }
        (commands, outcomes)
    }

    fn exits(&mut self, pid: u32) {
        assert!(self.process.exited(pid, ChildExit::Signal(9), String::new()));
    }
}

const KILL: ChildCommand = ChildCommand::Signal(7, ChildSignal::Kill);

#[test]
fn one_without_a_hello_is_killed_again_until_it_is_gone_and_only_then_replaced() {
    let mut bench = Bench::new();
    assert_eq!(bench.at(9999), (vec![], vec![]));
    assert_eq!(bench.at(10_000), (vec![KILL], vec!["under_way"]));
    assert_eq!(bench.at(14_999), (vec![], vec![]));
    assert_eq!(
        bench.at(15_000),
        (vec![KILL], vec![]),
        "nothing came of the first signal"
    );
    bench.exits(7);
    assert_eq!(bench.at(15_100), (vec![ChildCommand::Start], vec![]));
    assert_eq!(bench.at(75_099), (vec![], vec![]));
    assert_eq!(
        bench.at(75_100),
        (vec![ChildCommand::Start], vec![]),
        "its answer was lost"
    );
    bench.process.started(Ok(8), Moment::from_millis(90_000));
    assert_eq!(bench.at(75_200), (vec![], vec!["verifying"]));
    assert!(
        bench
            .process
            .said_hello(Moment::from_millis(75_300), Incarnation::default())
    );
    assert_eq!(bench.at(75_300), (vec![], vec!["succeeded"]));
}

#[test]
fn a_new_process_that_says_no_hello_in_its_time_ends_the_repair() {
    let mut bench = Bench::new();
    bench.at(10_000);
    bench.exits(7);
    assert_eq!(bench.at(10_100).0, [ChildCommand::Start]);
    bench.process.started(Ok(8), Moment::from_millis(20_000));
    assert_eq!(bench.at(10_200).1, ["verifying"]);
    assert_eq!(bench.at(19_999), (vec![], vec![]));
    let (commands, outcomes) = bench.at(20_000);
    assert_eq!((&*commands, outcomes[0]), (&[][..], "failed"));
    let kill = ChildCommand::Signal(8, ChildSignal::Kill);
    assert_eq!(bench.at(80_000).0, [kill], "the next repair");
}

#[test]
fn an_observer_that_is_not_settled_judges_nobody() {
    let mut bench = Bench::new();
    bench.settled_ms = 30_000;
    assert_eq!(bench.at(10_000), (vec![], vec![]));
    assert_eq!(bench.at(29_999), (vec![], vec![]));
    assert_eq!(bench.at(30_000), (vec![KILL], vec!["under_way"]));
}

#[test]
fn a_start_that_fails_ends_its_repair_and_makes_it_unfit() {
    let mut bench = Bench::new();
    bench.exits(7);
    assert_eq!(bench.at(100), (vec![ChildCommand::Start], vec!["under_way"]));
    bench
        .process
        .started(Err(String::from("no file")), Moment::from_millis(10_200));
    assert_eq!(bench.at(200).1, ["failed", "not_taken"], "failed, a person is told");
    let limit = bench.supervisor.supervision().limit().unwrap();
    assert_eq!(limit.why(), "container-watchdog of docker cannot be started: no file");
    assert_eq!(bench.at(60_199), (vec![], vec![]));
    assert_eq!(bench.at(60_200).0, [ChildCommand::Start], "the half-open retry");
}

#[test]
fn one_that_ends_while_the_machine_goes_down_is_not_started_again() {
    let mut bench = Bench::new();
    assert_eq!(bench.at(10_000), (vec![KILL], vec!["under_way"]));
    bench.is_going_down = true;
    bench.exits(7);
    assert_eq!(bench.at(10_100), (vec![], vec!["overruled", "not_taken"]));
    assert_eq!(bench.at(99_000), (vec![], vec![]));
}
