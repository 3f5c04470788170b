//! What is remembered of a subject: its last end, its limit, its budget, what is shown; and what the guards say to it.

use super::*;
use crate::time::Past;
use crate::verdict::Level;

fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn exit(class: ExitClass) -> ExitRecord {
    ExitRecord::new(Incarnation("1".to_string()), class, at(1000), "exited (1)", "so it is")
}

fn fact() -> Evidence {
    Evidence::new(EvidenceKind::Exited, at(1000), "exit code 1")
}

#[test]
fn each_class_of_end_is_judged_by_the_guard_that_it_concerns() {
    let guards = [Guard::OperatorIntent, Guard::MeantToRun, Guard::KnownCause];
    let verdicts = |supervision: &Supervision| {
        guards.map(|guard| {
            let mut admission = Admission::default();
            admission.ask(guard, || supervision.guard_exit(guard));
            match admission.finish() {
                Ok(answers) => answers[0].verdict.as_str(),
                Err(blocked) => blocked.shown().as_str(),
            }
        })
    };
    let cases = [
        (ExitClass::Crash, ["passed", "passed", "passed"]),
        (ExitClass::EngineOrHost, ["passed", "passed", "passed"]),
        (ExitClass::Operator, ["STOPPED", "passed", "passed"]),
        (ExitClass::Finished, ["passed", "FINISHED", "passed"]),
        (ExitClass::FirstSight, ["not_asked", "not_asked", "UNKNOWN"]),
        (ExitClass::CannotTell, ["not_asked", "passed", "GIVEN UP"]),
    ];
    let mut supervision = Supervision::default();
    assert_eq!(verdicts(&supervision), ["not_asked"; 3], "it has not ended");
    for (class, expected) in cases {
        supervision.set_exit(exit(class));
        assert_eq!(verdicts(&supervision), expected, "{class:?}");
    }
}

#[test]
fn an_end_keeps_what_was_found_and_takes_new_evidence() {
    let mut exit = exit(ExitClass::CannotTell).correlated(true).own_stop();
    assert!(exit.is_correlated() && exit.is_own_stop());
    exit.set_due(Some(at(5000)));
    exit.reclassify(ExitClass::Crash, "nobody stopped it", fact());
    assert_eq!((exit.class(), exit.why()), (ExitClass::Crash, "nobody stopped it"));
    assert_eq!((exit.evidence(), exit.due()), (&[fact()][..], Some(at(5000))));
}

#[test]
fn an_end_is_a_failure_once_and_our_own_stop_is_none() {
    let mut supervision = Supervision::default();
    assert!(!supervision.take_failure(at(2000)), "it has not ended");
    supervision.set_exit(exit(ExitClass::Crash));
    assert_eq!([0; 2].map(|_| supervision.take_failure(at(2000))), [true, false]);
    supervision.set_exit(exit(ExitClass::Crash).own_stop());
    assert!(!supervision.take_failure(at(2000)));
    supervision.set_exit(exit(ExitClass::Operator));
    assert!(!supervision.take_failure(at(2000)));
    supervision.clear_exit();
    assert!(supervision.exit().is_none());
}

#[test]
fn a_remembered_limit_gets_its_own_policy_and_a_new_one_keeps_what_it_was_reached_by() {
    let shipped = RestartPolicy::default();
    let own = shipped.with_allowance(Allowance {
        budget: 2,
        window: Duration::from_secs(60),
    });
    assert_eq!((own.allowance.budget, own.verify), (2, shipped.verify));
    let mut supervision = Supervision::default();
    supervision.restore([at(2), at(1)].map(Past::from), Some(Limit::remembered(at(3), &shipped)));
    assert_eq!(supervision.budget().last(), Some(at(2).into()));
    let why = |supervision: &Supervision| {
        supervision
            .limit()
            .map(|limit| (limit.since(), limit.why().to_string()))
    };
    assert_eq!(
        why(&supervision),
        Some((at(3), "12 restarts in 600 s are used up".to_string()))
    );
    supervision.apply_policy(&own);
    assert_eq!(
        why(&supervision),
        Some((at(3), "2 restarts in 60 s are used up".to_string()))
    );
    supervision.apply_policy(&shipped);
    assert_eq!(
        why(&supervision),
        Some((at(3), "2 restarts in 60 s are used up".to_string()))
    );
}

#[test]
fn a_remembered_limit_that_starts_had_not_reached_was_reached_by_stops() {
    let shipped = RestartPolicy::default();
    let why = |restarts: u64| {
        let mut supervision = Supervision::default();
        let limit = Limit::remembered(at(100), &shipped);
        supervision.restore((0..restarts).map(|it| Past::from(at(it))), Some(limit));
        supervision.apply_policy(&shipped);
        supervision.limit().map(|limit| limit.why().to_string())
    };
    assert_eq!(why(12).as_deref(), Some("12 restarts in 600 s are used up"));
    assert_eq!(why(7).as_deref(), Some("5 restarts in 600 s are used up"));
}

#[test]
fn a_waiver_is_for_one_try_and_ends_where_it_runs() {
    let mut supervision = Supervision::default();
    supervision.retry("ann");
    assert_eq!(supervision.waiver(), Some("ann"));
    supervision.drop_waiver();
    assert_eq!(supervision.waiver(), None);
    let mut bench = Bench::new(5);
    bench.told(|supervisor, out| supervisor.retry("ann", out));
    bench.after(0);
    assert_eq!(bench.supervisor.supervision().waiver(), None, "it is well");
}

#[test]
fn what_runs_is_not_rebooted_before_its_time() {
    let mut supervision = Supervision::default();
    supervision.back_off(at(1000), &RestartPolicy::default());
    supervision.take_restart(at(1000));
    supervision.back_off(at(1000), &RestartPolicy::default());
    let verdict = |now| {
        let mut admission = Admission::default();
        let incarnation = Incarnation::default();
        admission.ask(Guard::Backoff, || supervision.guard_not_before(at(now), &incarnation));
        admission
            .finish()
            .map(drop)
            .map_err(|blocked| (blocked.again(), blocked.is_recorded()))
    };
    assert_eq!(verdict(1099), Err((Some(at(1100)), false)));
    assert_eq!(verdict(1100), Ok(()));
}

#[test]
fn the_budget_of_all_gives_back_what_has_left_its_window() {
    let limits = FleetLimits {
        allowance: Allowance {
            budget: 2,
            window: Duration::from_secs(60),
        },
        ..FleetLimits::default()
    };
    let mut fleet = FleetBudget::new(FleetPolicy::new(limits).unwrap());
    assert_eq!((fleet.left(at(0)), fleet.free_at(at(7))), (2, at(7)));
    fleet.record_restart(at(1000));
    fleet.record_restart(at(2000));
    assert_eq!((fleet.left(at(3000)), fleet.free_at(at(3000))), (0, at(61_000)));
}

#[test]
fn the_jitter_depends_on_the_seed_the_moment_and_the_row() {
    let policy = RestartPolicy::default();
    // Low bits of the moment that are all set, or none: neither hides those of the seed.
    for now in [0x00ff_ffff, 0x0100_0000] {
        let now = Moment::from_micros(now);
        let mut budget = RestartBudget::default();
        (0..3).for_each(|_| budget.record_restart(now));
        let mut delays: Vec<Duration> = (0..100).map(|seed| budget.next_delay(now, &policy, seed)).collect();
        assert!(
            delays.iter().all(|it| (300..=400).contains(&it.as_millis())),
            "{delays:?}"
        );
        delays.sort_unstable();
        delays.dedup();
        assert!(90 < delays.len(), "{} of 100 differ at {now}", delays.len());
        assert!(
            delays[delays.len() - 1] - delays[0] > Duration::from_millis(80),
            "up to a quarter less"
        );
    }
}

#[test]
fn what_does_not_fit_is_said_in_words() {
    let all = [
        (PolicyError::Budget, "a budget is at most 500 restarts"),
        (PolicyError::Window, "the window of a budget is longer than zero"),
        (PolicyError::Delay, "the first delay is at most the longest delay"),
        (PolicyError::Grace, "the least grace is at most the longest grace"),
        (
            PolicyError::HalfOpen,
            "the pause between retries after the limit is longer than zero",
        ),
        (PolicyError::Parallel, "at least one repair may be under way"),
    ];
    for (error, words) in all {
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn what_is_shown_keeps_its_facts_and_how_sure_it_is() {
    let shown = Shown::new(State::Ok, "runs").level(Level::Weak).evidence(vec![fact()]);
    let shown = shown.with_state(State::Suspect);
    assert_eq!((shown.state(), shown.why()), (State::Suspect, "runs"));
    let mut supervision = Supervision::default();
    assert_eq!(supervision.reported().level(), Level::None);
    supervision.show(at(5), shown);
    let reported = supervision.reported();
    assert_eq!(
        (reported.state(), reported.level(), reported.why()),
        (State::Suspect, Level::Weak, "runs")
    );
    assert_eq!((reported.evidence(), reported.since()), (&[fact()][..], at(5)));
}
