//! One repair by itself: what it posts, what it waits for, and how it ends.
mod capturing;

use super::*;
use crate::container::io::{CheckRun, ContainerView, EngineEvent, EventAction, Health, RunState};
use crate::time::seconds;

const NEWEST: EngineTime = EngineTime(77);
/// A stop that was posted at 0 s should have shown by then.
const STOP_IS_LATE: Option<u64> = Some(12_000);

fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn stamp(ms: u64) -> EngineTime {
    EngineTime(ms * 1_000_000)
}

/// A repair, and the container and the engine that it sees.
struct Bench {
    repair: Repair,
    it: ContainerObservation,
    gap_until: Option<Moment>,
    deploy_until: Option<Moment>,
    is_leaving: bool,
    grace: Duration,
    acts: Vec<Act>,
}

impl Bench {
    /// Of a container that was seen like that, at 0 s.
    fn new(run: RunState, repair: impl FnOnce(&ContainerObservation) -> Repair) -> Self {
        let mut it = ContainerObservation::new("c1".into(), at(0));
        see(&mut it, 0, (run, "1"));
        Self {
            repair: repair(&it),
            it,
            gap_until: None,
            deploy_until: None,
            is_leaving: false,
            grace: Duration::from_secs(10),
            acts: Vec::new(),
        }
    }

    fn start() -> Self {
        Self::new(RunState::Exited, |it| {
            Repair::start("c1".into(), it.incarnation(), at(0))
        })
    }

    /// One whose container was captured at 0 s.
    fn stop_then_start() -> Self {
        let mut bench = Self::capturing();
        bench.repair.step = Step::Capturing;
        bench
    }

    fn capturing() -> Self {
        let own = OwnStop::new(NEWEST, 15, Duration::from_secs(10));
        Self::new(RunState::Running, |it| {
            Repair::stop_then_start("c1".into(), it.incarnation(), own, 10)
        })
    }

    /// One whose new incarnation, the second, was seen at 0 s.
    fn verifying() -> Self {
        let mut bench = Self::start();
        see(&mut bench.it, 0, (RunState::Running, "2"));
        let (since, life) = (at(0), bench.it.incarnation());
        bench.repair.step = Step::Verifying { since, life };
        bench
    }

    fn moved(&mut self, ms: u64) -> Moved {
        let scene = Scene {
            observation: &self.it,
            gap_until: self.gap_until,
            newest_event: NEWEST,
            engine_now: stamp(ms),
            deploy_until: self.deploy_until,
            is_leaving: self.is_leaving,
            ticket: Ticket(7),
            start_deadline: Duration::from_secs(60),
            verify: Duration::from_secs(5),
            grace: self.grace,
        };
        self.repair.advance(at(ms), &scene, &mut self.acts)
    }

    fn waits(&mut self, ms: u64, until: Option<u64>) {
        assert_eq!(self.moved(ms), Moved::Waits(until.map(at)), "at {ms} ms");
    }

    fn ends(&mut self, ms: u64, outcome: Outcome, why: &str) {
        assert_eq!(self.moved(ms), Moved::Over(outcome, why.to_string()), "at {ms} ms");
    }

    /// What it wanted since the last time, in words.
    fn wanted(&mut self) -> Vec<String> {
        let words = |act: Act| match act {
            Act::Inspect => "inspect".to_string(),
            Act::Capture(order) => format!("capture {order:?}"),
            Act::LookAtShim(pid) => format!("look at the shim of {pid}"),
            Act::KillShim(shim) => format!("kill shim {shim}"),
            Act::Journal(step) => format!("journal {step:?}"),
            Act::Post { ticket, call, within } => format!("{} {call:?} within {}", ticket.0, seconds(within)),
        };
        self.acts.drain(..).map(words).collect()
    }

    fn answered(&mut self, ms: u64, result: Result<Performed, EngineError>) {
        let acts = self.repair.answered(at(ms), Ticket(7), result);
        self.acts.extend(acts.expect("its call"));
    }

    fn inspected(&mut self, ms: u64, run: RunState, life: &str) {
        see(&mut self.it, ms, (run, life));
    }

    fn dies(&mut self, ms: u64) {
        let event = EngineEvent {
            at: stamp(100_000 + ms),
            id: "c1".into(),
            name: "web".into(),
            compose: None,
            action: EventAction::Die { exit_code: 0 },
        };
        assert!(self.it.take(at(ms), &event, true));
    }
}

/// An inspection, asked for and answered at that moment; incarnation 1 began 1 s after the engine's zero, and so on.
fn see(it: &mut ContainerObservation, ms: u64, (run, life): (RunState, &str)) {
    see_health(it, ms, (run, life), (Health::None, None));
}

/// With the exit code of the last run of its health check, if it has failed.
fn see_health(
    it: &mut ContainerObservation,
    ms: u64,
    (run, life): (RunState, &str),
    (health, failed): (Health, Option<i64>),
) {
    assert!(it.begin_inspection(at(ms)));
    let started_at = stamp(1000 * life.parse::<u64>().expect("a number"));
    let is_down = matches!(run, RunState::Exited | RunState::Dead);
    let failed = failed.map(|exit_code| CheckRun {
        exit_code,
        ..CheckRun::default()
    });
    let view = ContainerView {
        run,
        health,
        health_streak: failed.iter().len() as u32,
        health_failures: failed.into_iter().collect(),
        started_at,
        started_at_text: life.to_string(),
        finished_at: if is_down { started_at } else { EngineTime(0) },
        exit_code: if is_down { 3 } else { 0 },
        stop_signal: 15,
        ..ContainerView::default()
    };
    it.absorb(at(ms), view);
}

const START: [&str; 2] = ["journal StartPosted", "7 Start within 60 s"];

#[test]
fn a_start_is_written_down_posted_answered_and_seen() {
    let mut bench = Bench::start();
    assert_eq!(bench.repair.shown().state(), State::Repairing);
    bench.waits(0, None);
    assert_eq!(bench.wanted(), START);
    assert_eq!((bench.repair.is_calling(), bench.repair.last_event()), (true, NEWEST));
    assert_eq!(
        bench.repair.answered(at(1), Ticket(6), Ok(Performed::Done)),
        None,
        "of before"
    );
    bench.answered(100, Ok(Performed::Done));
    assert!(!bench.repair.is_calling() && !bench.repair.is_verifying());
    assert_eq!(bench.wanted(), ["journal StartAnswered", "inspect"]);
    bench.waits(100, None);
    assert_eq!(bench.wanted(), ["inspect"], "what was known is of before the answer");
    assert!(bench.it.begin_inspection(at(150)));
    bench.waits(150, None);
    assert!(bench.wanted().is_empty(), "one is under way");
    bench.it.inspection_failed();
    bench.inspected(200, RunState::Running, "2");
    assert_eq!(bench.moved(250), Moved::Restarted(at(250)));
    assert!(bench.repair.is_verifying());
    assert_eq!(bench.repair.shown().state(), State::Starting);
}

#[test]
fn a_stop_that_is_answered_waits_for_the_end_it_causes_then_starts() {
    let mut bench = Bench::stop_then_start();
    bench.waits(0, STOP_IS_LATE);
    assert_eq!(
        bench.wanted(),
        ["journal StopPosted", "7 Stop { timeout_secs: 10 } within 25 s"]
    );
    assert!(bench.repair.is_half_done() && bench.repair.is_stopping() && bench.repair.stops_first());
    assert!(bench.repair.takes_signal(stamp(101_000), 15, Some(at(10))));
    assert!(bench.repair.takes_stop(stamp(101_100), Some(at(20))));
    bench.answered(100, Ok(Performed::Done));
    assert_eq!(bench.wanted(), ["journal StopAnswered", "inspect"]);
    bench.waits(100, Some(1100));
    bench.gap_until = Some(at(3000));
    bench.dies(200);
    bench.waits(200, Some(3000));
    bench.gap_until = None;
    bench.is_leaving = true;
    bench.waits(300, None);
    assert_eq!(
        bench.wanted(),
        START,
        "it is down by our own doing, and comes up whoever leaves"
    );
}

#[test]
fn a_stop_that_ends_nothing_is_a_failed_repair() {
    let refused = |status| {
        let message = "no".to_string();
        Err(EngineError::Refused { status, message })
    };
    let broken = || Err(EngineError::Unreachable("connection reset".to_string()));
    let cases = [
        (Ok(Performed::Done), 1000, false, "the stop never reached it"),
        (Ok(Performed::Done), 1000, true, "it was stopped and runs on"),
        (refused(500), 0, false, "the engine refused the stop (500): no"),
        (broken(), 15_000, false, "the stop never reached it"),
    ];
    for (answer, wait, is_seen, why) in cases {
        let mut bench = Bench::stop_then_start();
        bench.waits(0, STOP_IS_LATE);
        bench.answered(100, answer);
        if is_seen {
            assert!(bench.repair.takes_signal(stamp(101_000), 15, Some(at(110))));
        }
        if 0 < wait {
            bench.waits(100, Some(100 + wait));
        }
        bench.wanted();
        bench.waits(100 + wait, None);
        assert_eq!(bench.wanted(), ["inspect"], "{why}");
        bench.inspected(100 + wait, RunState::Running, "1");
        bench.ends(101 + wait, Outcome::Failed, why);
    }
}

#[test]
fn what_is_refused_for_a_cause_outside_it_is_no_failure_of_the_container() {
    let refused = |status| {
        let message = "no".to_string();
        Err(EngineError::Refused { status, message })
    };
    let is_void = |moved: Moved| match moved {
        Moved::Refused { is_void, .. } => is_void,
        moved => panic!("{moved:?}"),
    };
    let mut bench = Bench::start();
    bench.waits(0, None);
    bench.answered(10, refused(500));
    assert!(is_void(bench.moved(10)), "a start by itself");
    let stopping = || {
        let mut bench = Bench::stop_then_start();
        bench.waits(0, STOP_IS_LATE);
        bench
    };
    let mut bench = stopping();
    bench.answered(10, refused(403));
    assert!(is_void(bench.moved(10)), "a stop that never came to the engine");
    assert!(!bench.repair.has_stopped() && bench.repair.lingering_stop().is_none());
    let mut bench = stopping();
    bench.answered(10, Ok(Performed::Done));
    bench.dies(20);
    bench.waits(20, None);
    bench.answered(30, refused(500));
    assert!(!is_void(bench.moved(30)), "a start after our stop");
    let mut bench = stopping();
    assert!(bench.repair.takes_signal(stamp(101_000), 15, Some(at(5))));
    bench.answered(10, refused(403));
    let why = "somebody else stopped it, and our stop never came to the engine";
    assert_eq!(bench.moved(10), Moved::Overruled(why.to_string()));
}

#[test]
fn what_others_do_meanwhile_wins() {
    let mut bench = Bench::stop_then_start();
    bench.waits(0, STOP_IS_LATE);
    bench.inspected(50, RunState::Running, "2");
    bench.ends(50, Outcome::Overruled, "somebody else started it anew during our stop");
    let mut bench = Bench::stop_then_start();
    bench.waits(0, STOP_IS_LATE);
    bench.answered(10, Ok(Performed::Done));
    bench.inspected(50, RunState::Running, "2");
    bench.ends(50, Outcome::Overruled, "somebody else started it anew during our stop");
    for (run, why) in [
        (RunState::Paused, "it was paused"),
        (RunState::Removing, "it is being removed"),
    ] {
        let mut bench = Bench::verifying();
        bench.inspected(50, run, "2");
        bench.ends(50, Outcome::Overruled, why);
        let mut bench = Bench::start();
        bench.inspected(50, run, "1");
        bench.ends(50, Outcome::Overruled, why);
        let mut bench = Bench::start();
        bench.waits(0, None);
        bench.answered(10, Ok(Performed::Done));
        bench.inspected(50, run, "2");
        bench.ends(50, Outcome::Overruled, why);
    }
    let mut bench = Bench::start();
    bench.repair.overrule("first");
    bench.repair.overrule("second");
    assert_eq!(bench.moved(0), Moved::Overruled("first".to_string()));
}

#[test]
fn a_start_waits_for_a_deployment_and_is_not_begun_while_leaving() {
    let mut bench = Bench::start();
    bench.deploy_until = Some(at(500));
    bench.waits(0, Some(500));
    (bench.deploy_until, bench.is_leaving) = (None, true);
    bench.waits(500, None);
    assert!(bench.wanted().is_empty());
    bench.is_leaving = false;
    bench.waits(500, None);
    assert_eq!(bench.wanted(), START);
}

#[test]
fn a_start_that_did_nothing_is_posted_again_after_an_inspection_and_not_for_ever() {
    let mut bench = Bench::start();
    let (mut now, mut pauses) = (0, Vec::new());
    for _ in 0..12 {
        bench.waits(now, None);
        assert_eq!(bench.wanted(), START);
        bench.answered(now, Ok(Performed::AlreadySo));
        bench.inspected(now, RunState::Exited, "1");
        let Moved::Waits(Some(again)) = bench.moved(now) else {
            panic!("it is put off");
        };
        let pause = u64::try_from(again.since(at(now)).as_millis()).unwrap();
        pauses.push(pause);
        bench.wanted();
        now += pause;
        bench.waits(now, None);
        assert_eq!(bench.wanted(), ["inspect"]);
        bench.inspected(now, RunState::Exited, "1");
    }
    assert_eq!(pauses[..6], [100, 200, 400, 800, 1600, 3200]);
    assert!(pauses[6..].iter().all(|pause| *pause == 3200), "{pauses:?}");
    let why = "the engine took the start and did nothing, again and again";
    bench.ends(now, Outcome::Failed, why);
}

#[test]
fn an_engine_that_is_away_is_asked_again_later_and_later() {
    let mut bench = Bench::start();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        bench.repair.step = Step::Starting {
            ticket: Ticket(7),
            lost: false,
        };
        bench.answered(0, Err(EngineError::Unreachable("no socket".to_string())));
        let Step::StartDue { at: due, inspect } = bench.repair.step else {
            panic!("it is put off");
        };
        assert_eq!(inspect, Some(due));
        pauses.push(due.since(at(0)).as_millis());
    }
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000]);
}

#[test]
fn a_call_whose_answer_is_lost_needs_a_person_until_the_container_or_the_engine_tells() {
    let mut bench = Bench::stop_then_start();
    bench.waits(0, STOP_IS_LATE);
    bench.answered(25_000, Err(EngineError::Deadline));
    assert_eq!(
        (bench.repair.lost_call(), bench.repair.shown().state()),
        (Some("/stop"), State::GivenUp)
    );
    bench.waits(25_000, Some(30_000));
    let mut went = Bench::stop_then_start();
    went.waits(0, STOP_IS_LATE);
    assert!(!went.repair.engine_went(at(10)), "its own answer is to come");
    went.answered(25_000, Err(EngineError::Deadline));
    assert!(went.repair.engine_went(at(30_000)));
    assert_eq!(went.repair.step, Step::AwaitEnd { until: at(30_000) });
    bench.wanted();
    bench.dies(40_000);
    bench.waits(40_000, None);
    assert_eq!(bench.wanted(), START);
    bench.answered(100_000, Err(EngineError::Deadline));
    assert_eq!(
        (bench.repair.lost_call(), bench.repair.shown().state()),
        (Some("/start"), State::GivenUp)
    );
    bench.waits(100_000, None);
    bench.inspected(100_001, RunState::Running, "200");
    assert_eq!(bench.moved(100_001), Moved::Restarted(at(100_001)));
    assert!(bench.repair.engine_went(at(100_002)), "nothing is under way");
}

#[test]
fn a_new_incarnation_must_stay_up_and_its_health_check_gets_its_time() {
    let waits = |ms| Moved::Waits(Some(at(ms)));
    let stayed = |text: &str| {
        Moved::Over(
            Outcome::Succeeded,
            format!("a new incarnation has stayed up for {text}"),
        )
    };
    let cases = [
        (4999, Health::Healthy, None, waits(5000)),
        (5000, Health::Healthy, None, stayed("5.00 s, healthy")),
        (5000, Health::None, None, stayed("5.00 s")),
        (5000, Health::Starting, None, waits(60_000)),
        (59_999, Health::Starting, None, waits(60_000)),
        (60_000, Health::Starting, None, stayed("60 s")),
        (5000, Health::Unhealthy, Some(1), waits(10_000)),
        (
            10_000,
            Health::Unhealthy,
            Some(1),
            Moved::Over(Outcome::Failed, "it is unhealthy again".to_string()),
        ),
        (4999, Health::Unhealthy, Some(127), waits(5000)),
        (
            5000,
            Health::Unhealthy,
            Some(127),
            stayed("5.00 s; its health check cannot be run"),
        ),
        // The engine has stopped checking.
        (5000, Health::Unhealthy, None, waits(60_000)),
        (60_000, Health::Unhealthy, None, stayed("60 s")),
    ];
    for (ms, health, failed, expected) in cases {
        let mut bench = Bench::verifying();
        see_health(&mut bench.it, ms, (RunState::Running, "2"), (health, failed));
        assert_eq!(bench.moved(ms), expected, "{health:?}, {failed:?} at {ms} ms");
    }
    let mut bench = Bench::verifying();
    let word = EngineEvent {
        at: stamp(5000),
        id: "c1".into(),
        name: "web".into(),
        compose: None,
        action: EventAction::Health(Health::Unhealthy),
    };
    assert!(bench.it.take(at(5000), &word, true));
    bench.waits(10_000, None);
    let mut bench = Bench::verifying();
    bench.grace = Duration::from_secs(2);
    see_health(
        &mut bench.it,
        1000,
        (RunState::Running, "2"),
        (Health::Unhealthy, Some(1)),
    );
    bench.waits(1999, Some(2000));
    bench.gap_until = Some(at(7000));
    bench.waits(2000, Some(7000));
    bench.gap_until = None;
    bench.ends(2000, Outcome::Failed, "it is unhealthy again");
    let mut bench = Bench::verifying();
    bench.gap_until = Some(at(7000));
    bench.waits(6000, Some(7000));
    bench.inspected(6000, RunState::Exited, "2");
    bench.ends(6000, Outcome::Failed, "it ended again (3)");
    let mut bench = Bench::verifying();
    bench.inspected(6000, RunState::Running, "3");
    bench.ends(6000, Outcome::Failed, "it was started once more by somebody else");
}
