//! The rules of the supervisor, on a subject that fails on request: budget, limit, half-open retry, back-off, waivers,
//! what is recorded and what is not.

use super::*;
use crate::id::{AgentEpoch, NodeName};
use crate::recorder::DecisionRecorder;
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, WallTime};
use crate::verdict::EvidenceKind;
use alloc::collections::VecDeque;
use alloc::string::ToString;

mod memory;
mod others;
mod refused;

/// Ends and begins as a test says; its repairs end as a test says.
struct Puppet {
    id: SubjectId,
    life: u64,
    since: Option<Moment>,
    class: ExitClass,
    ends_with: Option<Outcome>,
    /// Why its repair is refused next, and whether before anything was done.
    refused: Option<(Refusal, bool)>,
    held: bool,
}

impl Subject for Puppet {
    type Around<'a> = ();
    type Repair = ();
    type Command = &'static str;

    fn id(&self) -> &SubjectId {
        &self.id
    }

    fn incarnation(&self, _: &()) -> Incarnation {
        Incarnation(self.life.to_string())
    }

    fn ping(
        &mut self,
        now: Moment,
        _: &mut (),
        supervision: &mut Supervision,
        _: &mut Outputs<'_, &'static str>,
    ) -> Assessment {
        if let Some(since) = self.since {
            let shown = Shown::new(State::Ok, "runs");
            return Assessment::Well { since, shown };
        }
        if supervision.exit().is_none() {
            let fact = Evidence::new(EvidenceKind::Exited, now, "exit code 1");
            let exit = ExitRecord::new(
                self.incarnation(&()),
                self.class,
                now,
                "exited (1)",
                "nobody stopped it",
            );
            supervision.set_exit(exit.with_evidence(vec![fact]));
        }
        Assessment::Down
    }

    fn action(&self, _: Ill) -> ActionKind {
        ActionKind::Start
    }

    fn plan(&self, _: ActionKind) -> &'static str {
        "start it"
    }

    fn guards(
        &mut self,
        _: Moment,
        _: Ill,
        _: &mut (),
        supervision: &Supervision,
        admission: &mut Admission,
        _: &mut Outputs<'_, &'static str>,
    ) {
        let waiver = supervision.exit().and_then(ExitRecord::asked_by);
        admission.ask_unless_waived(Guard::KnownCause, waiver, || supervision.guard_exit(Guard::KnownCause));
        admission.ask(Guard::Hold, || match self.held {
            true => Block::new("held for 5 s more", State::Down).keyed("").into(),
            false => GuardResult::pass("not held"),
        });
    }

    fn reboot(
        &mut self,
        _: Moment,
        _: ActionKind,
        _: &mut (),
        _: &mut Supervision,
        out: &mut Outputs<'_, &'static str>,
    ) {
        out.command("start");
    }

    fn advance(
        &mut self,
        _: Moment,
        _: &mut (),
        _: &mut (),
        _: &mut Supervision,
        _: &mut Outputs<'_, &'static str>,
    ) -> Progress {
        if let Some((refusal, is_void)) = self.refused.take() {
            return Progress::Refused { refusal, is_void };
        }
        match self.ends_with.take() {
            Some(outcome) => Progress::Over {
                outcome,
                result: "as the test says".to_string(),
            },
            None => Progress::Waits {
                until: None,
                shown: Shown::new(State::Repairing, "being started"),
            },
        }
    }
}

struct Bench {
    puppet: Puppet,
    supervisor: Supervisor<Puppet>,
    recorder: DecisionRecorder,
    fleet: FleetBudget,
    policy: RestartPolicy,
    places: Places,
    now: Moment,
}

impl Bench {
    fn new(budget: u32) -> Self {
        let limits = RestartLimits {
            allowance: Allowance {
                budget,
                window: Duration::from_secs(600),
            },
            ..RestartLimits::default()
        };
        let id = SubjectId::new("h/puppet").unwrap();
        let node = NodeName::new("h").unwrap();
        Self {
            puppet: Puppet {
                id,
                life: 1,
                since: Some(Moment::ZERO),
                class: ExitClass::Crash,
                ends_with: None,
                refused: None,
                held: false,
            },
            supervisor: Supervisor::default(),
            recorder: DecisionRecorder::new(node, AgentEpoch(1), Moment::ZERO, WallTime(0)),
            fleet: FleetBudget::default(),
            policy: RestartPolicy::new(limits).unwrap(),
            places: Places::free(),
            now: Moment::from_millis(10_000_000),
        }
    }

    /// One step, so long after the last one. Returns when it wants to be called again, and what came out in words.
    fn after(&mut self, ms: u64) -> (Option<Moment>, Vec<String>) {
        self.now += Duration::from_millis(ms);
        let mut queue = VecDeque::new();
        let terms = Terms {
            policy: self.policy,
            fleet: &mut self.fleet,
            places: self.places,
            seed: 1,
        };
        let mut out = Outputs::new(&mut self.recorder, &mut queue);
        let wake = self
            .supervisor
            .step(self.now, &mut self.puppet, &mut (), terms, &mut out);
        (wake, queue.into_iter().map(words).collect())
    }

    /// What comes out of this, in words.
    fn told(&mut self, what: impl FnOnce(&mut Supervisor<Puppet>, &mut Outputs<'_, &'static str>)) -> Vec<String> {
        let mut queue = VecDeque::new();
        what(&mut self.supervisor, &mut Outputs::new(&mut self.recorder, &mut queue));
        queue.into_iter().map(words).collect()
    }

    fn ends(&mut self) {
        (self.puppet.since, self.puppet.ends_with) = (None, None);
    }

    fn runs(&mut self) {
        self.puppet.life += 1;
        (self.puppet.since, self.puppet.ends_with) = (Some(self.now), Some(Outcome::Succeeded));
    }

    fn shown(&self) -> State {
        self.supervisor.supervision().reported().state()
    }
}

fn words(output: Output<&str>) -> String {
    match output {
        Output::Decided(it) => format!("{} {}", it.action.as_str(), it.outcome.as_str()),
        Output::Restarted { .. } => "restarted".to_string(),
        Output::LimitReached { .. } => "limit".to_string(),
        Output::GivenBack { .. } => "given back".to_string(),
        Output::LimitReset => "reset".to_string(),
        Output::Repaired(outcome) => format!("repaired {}", outcome.as_str()),
        Output::Command(command) => command.to_string(),
    }
}

const START: [&str; 3] = ["start under_way", "restarted", "start"];

#[test]
fn the_record_and_the_restart_stand_before_the_command() {
    let mut bench = Bench::new(5);
    bench.ends();
    assert_eq!(bench.after(0).1, START);
    assert_eq!(bench.shown(), State::Repairing);
    bench.runs();
    assert_eq!(bench.after(6000).1, ["start succeeded", "repaired succeeded"]);
    assert_eq!(bench.shown(), State::Ok);
}

#[test]
fn a_used_up_budget_is_the_limit_then_half_open_retries_follow() {
    let mut bench = Bench::new(1);
    bench.ends();
    assert_eq!(bench.after(0).1, START);
    bench.puppet.ends_with = Some(Outcome::Failed);
    let (wake, out) = bench.after(100);
    assert_eq!(out, ["start failed", "repaired failed", "limit", "escalate not_taken"]);
    assert_eq!(
        (bench.shown(), wake),
        (State::GivenUp, Some(bench.now + Duration::from_secs(600)))
    );
    assert!(bench.after(1000).1.is_empty(), "the escalation has said it");
    let retry = bench.after(600_000).1;
    assert_eq!(
        retry,
        ["start under_way", "restarted", "limit", "start"],
        "the pause begins anew"
    );
    assert_eq!(bench.shown(), State::GivenUp, "its incident does not close yet");
    bench.runs();
    bench.after(0);
    assert_eq!(bench.shown(), State::GivenUp, "it has not proven to stay");
    let (wake, _) = bench.after(6000);
    assert_eq!((bench.shown(), wake.is_some()), (State::Ok, true));
    assert_eq!(bench.after(600_000).1, ["reset"]);
    assert!(bench.supervisor.supervision().limit().is_none());
}

#[test]
fn a_failed_repair_waits_before_the_next() {
    let mut bench = Bench::new(5);
    bench.ends();
    bench.after(0);
    bench.puppet.ends_with = Some(Outcome::Failed);
    let (wake, out) = bench.after(10);
    assert_eq!(
        out,
        ["start failed", "repaired failed"],
        "a delay of the policy is no decision"
    );
    assert_eq!(wake, Some(bench.now + Duration::from_millis(100)));
    assert_eq!(bench.after(100).1, START);
}

#[test]
fn a_delay_says_which_restart_of_the_budget_it_puts_off() {
    let mut bench = Bench::new(5);
    bench.ends();
    for next in 2..=5 {
        assert_eq!(bench.after(2000).1, START);
        bench.puppet.ends_with = Some(Outcome::Failed);
        bench.after(10);
        let why = bench.supervisor.supervision().reported().why();
        assert!(why.contains(&format!("restart {next} of 5 in ")), "{why}");
    }
}

#[test]
fn a_hold_is_recorded_once_and_names_what_was_not_asked() {
    let mut bench = Bench::new(5);
    bench.ends();
    bench.puppet.held = true;
    let mut queue = VecDeque::new();
    let terms = Terms {
        policy: bench.policy,
        fleet: &mut bench.fleet,
        places: Places::free(),
        seed: 1,
    };
    let mut out = Outputs::new(&mut bench.recorder, &mut queue);
    bench
        .supervisor
        .step(bench.now, &mut bench.puppet, &mut (), terms, &mut out);
    let Some(Output::Decided(record)) = queue.pop_front() else {
        panic!("a record is missing");
    };
    let verdicts: Vec<_> = record
        .guards
        .iter()
        .map(|it| (it.guard.as_str(), it.verdict.as_str()))
        .collect();
    let expected = [
        ("known_cause", "passed"),
        ("hold", "blocked"),
        ("budget", "not_asked"),
        ("backoff", "not_asked"),
        ("budget", "not_asked"),
        ("in_flight", "not_asked"),
    ];
    assert_eq!(verdicts, expected);
    assert!(bench.after(1000).1.is_empty());
    bench.puppet.held = false;
    assert_eq!(bench.after(1000).1, START);
}

#[test]
fn what_a_person_stopped_is_left_alone_and_a_retry_keeps_what_was_found() {
    let mut bench = Bench::new(5);
    bench.ends();
    bench.puppet.class = ExitClass::CannotTell;
    assert_eq!(bench.after(0).1, ["none not_taken"]);
    assert_eq!(bench.shown(), State::GivenUp);
    let mut queue = VecDeque::new();
    bench
        .supervisor
        .retry("ann", &mut Outputs::new(&mut bench.recorder, &mut queue));
    assert_eq!(queue.pop_front(), Some(Output::LimitReset));
    let terms = Terms {
        policy: bench.policy,
        fleet: &mut bench.fleet,
        places: Places::free(),
        seed: 1,
    };
    let mut out = Outputs::new(&mut bench.recorder, &mut queue);
    bench
        .supervisor
        .step(bench.now, &mut bench.puppet, &mut (), terms, &mut out);
    let Some(Output::Decided(record)) = queue.pop_front() else {
        panic!("a record is missing");
    };
    assert_eq!(
        record.why,
        "exited (1), nobody stopped it: start it (asked for by ann), restart 1 in a row"
    );
    assert_eq!(record.guards[0].verdict.as_str(), "waived");
    assert_eq!(record.guards[0].detail, "nobody stopped it; waived by ann");
    assert_eq!(
        bench.supervisor.supervision().exit().map(ExitRecord::class),
        Some(ExitClass::CannotTell)
    );
}

#[test]
fn an_operators_end_is_not_retried() {
    for class in [ExitClass::Operator, ExitClass::Finished] {
        let mut bench = Bench::new(5);
        bench.ends();
        bench.puppet.class = class;
        assert_eq!(bench.after(0).1, ["none not_taken"]);
        let mut queue = VecDeque::new();
        bench
            .supervisor
            .retry("ann", &mut Outputs::new(&mut bench.recorder, &mut queue));
        assert!(!bench.after(0).1.contains(&"start".to_string()), "{class:?}");
    }
}

#[test]
fn the_budget_of_all_together_stops_one_but_not_one_of_many() {
    let mut bench = Bench::new(5);
    let limits = FleetLimits {
        allowance: Allowance {
            budget: 0,
            window: Duration::from_secs(600),
        },
        ..FleetLimits::default()
    };
    bench.fleet = FleetBudget::new(FleetPolicy::new(limits).unwrap());
    bench.ends();
    assert_eq!(bench.after(0).1, ["escalate not_taken"]);
    for n in 0..5 {
        let other = SubjectId::new(&format!("h/{n}")).unwrap();
        bench.fleet.record_failure(bench.now, &other);
    }
    assert_eq!(bench.after(0).1, START);
}

#[test]
fn retries_of_one_that_says_it_cannot_run_come_out_of_no_budget() {
    let mut bench = Bench::new(2);
    bench.puppet.since = None;
    let fact = Evidence::new(EvidenceKind::Exited, bench.now, "exit code 8");
    let exit = |at| {
        let life = Incarnation("1".to_string());
        let exit = ExitRecord::new(life, ExitClass::Crash, at, "exited (8)", "nobody stopped it");
        exit.with_evidence(vec![fact.clone()])
            .say_unfit("another one holds the engine", Duration::from_secs(10))
    };
    bench.supervisor.supervision_mut().set_exit(exit(bench.now));
    assert_eq!(bench.after(0).1[..2], ["limit", "escalate not_taken"]);
    for _ in 0..5 {
        let out = bench.after(10_000).1;
        assert!(
            out.contains(&"start".to_string()) && !out.contains(&"restarted".to_string()),
            "{out:?}"
        );
        bench.puppet.ends_with = Some(Outcome::Failed);
        bench.supervisor.supervision_mut().set_exit(exit(bench.now));
        bench.after(1);
    }
    let out = bench.after(10_000).1;
    assert!(out.contains(&"start".to_string()), "{out:?}");
    bench.runs();
    bench.after(1);
    assert_eq!(bench.shown(), State::Ok);
    let left = bench
        .supervisor
        .supervision()
        .budget()
        .left(bench.now, bench.policy.allowance);
    assert_eq!((left, bench.fleet.left(bench.now)), (2, 30));
}
