//! Who is asked when, which answers count, and how many are asked at one time.

use super::*;
use crate::container::health_check::HealthEvidence;
use crate::container::probes::spec::{ProbeSpec, Timing};
use crate::fixture::subject;
use alloc::vec;

fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn http() -> Method {
    Method::Http {
        port: 80,
        path: "/".to_string(),
        host: None,
        status: Method::STATUS,
        body: None,
    }
}

fn exec() -> Method {
    Method::Exec {
        argv: vec!["/check".to_string()],
    }
}

fn specs(kind: ProbeKind, method: Method, set: impl FnOnce(&mut Timing)) -> ProbeSpecs {
    let mut timing = Timing::of(&method, Some(Duration::from_secs(1)));
    set(&mut timing);
    let mut specs = ProbeSpecs::default();
    specs.set(kind, Some(ProbeSpec::new(kind, method, timing).expect("a probe")));
    specs
}

fn liveness() -> ProbeSpecs {
    specs(ProbeKind::Liveness, http(), |_| {})
}

struct Case {
    prober: Prober,
    specs: ProbeSpecs,
}

impl Case {
    fn new(specs: ProbeSpecs) -> Self {
        let prober = Prober::new(7);
        Self { prober, specs }
    }

    fn follow(&mut self, ms: u64, name: &str, life: &str) -> HealthEvidence {
        self.follow_so(ms, name, life, |_| {})
    }

    fn follow_so(&mut self, ms: u64, name: &str, life: &str, set: impl FnOnce(&mut Target<'_>)) -> HealthEvidence {
        let id = ContainerId::from(name);
        let mut target = Target {
            id: &id,
            life: Incarnation::container(name, life),
            pid: 7,
            address: None,
            since: Moment::ZERO,
            not_before: None,
            has_started: false,
            specs: &self.specs,
        };
        set(&mut target);
        self.prober.follow(at(ms), &subject(name), Some(target)).health
    }

    fn begun(&mut self, ms: u64) -> Vec<Begun> {
        core::iter::from_fn(|| self.prober.next_run(at(ms))).collect()
    }

    /// The only run that begins, as soon as it is due.
    fn next(&mut self) -> (u64, ProbeRun) {
        let due = self
            .prober
            .next_deadline()
            .expect("something is due")
            .as_micros()
            .div_ceil(1000);
        let begun = self.begun(due);
        assert_eq!(begun.len(), 1);
        (due, begun[0].run)
    }

    fn answer(&mut self, ms: u64, run: ProbeRun, outcome: ProbeOutcome) -> bool {
        self.prober.answered(at(ms), run, outcome.into()).is_some()
    }
}

fn timed_out() -> ProbeOutcome {
    ProbeOutcome::TimedOut("no answer".to_string())
}

#[test]
fn one_run_at_a_time_each_a_period_after_the_beginning_of_the_last() {
    let mut case = Case::new(liveness());
    assert_eq!(case.follow(0, "h/d/a", "1"), HealthEvidence::NotYet);
    let (first, run) = case.next();
    assert!(first < 1000, "within the first period");
    assert_eq!(case.begun(first + 5000), [], "one at a time");
    assert!(case.answer(first + 10, run, ProbeOutcome::Passed));
    assert_eq!(case.follow(first + 10, "h/d/a", "1"), HealthEvidence::Passing);
    let (second, run) = case.next();
    assert_eq!(second, first + 1000);
    assert!(!case.answer(second + 1000, run, timed_out()), "one is not three");
    let (third, run) = case.next();
    assert_eq!(third, second + 1000, "the one after a silence at once");
    case.answer(third + 1000, run, timed_out());
    let (fourth, run) = case.next();
    assert!(case.answer(fourth + 1000, run, timed_out()));
    assert_eq!(case.follow(fourth + 1000, "h/d/a", "1"), HealthEvidence::Failing);
}

#[test]
fn a_hundred_are_spread_over_their_period_and_bounded() {
    let mut case = Case::new(liveness());
    for n in 0..100 {
        case.follow(0, &format!("h/d/c{n}"), "1");
    }
    let mut tenths = [0; 10];
    while let Some(due) = case.prober.next_deadline().filter(|due| *due < at(1000)) {
        tenths[due.as_micros() as usize / 100_000] += 1;
        for begun in case.begun(due.as_micros().div_ceil(1000)) {
            case.answer(999, begun.run, ProbeOutcome::Passed);
        }
    }
    assert!(tenths.iter().all(|count| (2..25).contains(count)), "{tenths:?}");
    let begun = case.begun(60_000);
    assert_eq!(begun.len(), RUNS_MAX);
    assert_eq!(case.begun(60_001), []);
    case.answer(60_002, begun[0].run, ProbeOutcome::Passed);
    assert_eq!(case.begun(60_002).len(), 1, "who waits is next");
}

#[test]
fn processes_are_rationed_over_all_and_in_each() {
    let mut all = ProbeSpecs::default();
    for kind in [ProbeKind::Liveness, ProbeKind::Readiness] {
        let one = specs(kind, exec(), |_| {});
        all.set(kind, one.get(kind).cloned());
    }
    let mut case = Case::new(all);
    case.follow(0, "h/d/a", "1");
    let first = case.begun(5000);
    assert_eq!(first.len(), 1, "never two at once in one container");
    case.follow(5000, "h/d/b", "1");
    case.follow(5000, "h/d/c", "1");
    assert_eq!(case.begun(7000).len(), EXEC_RUNS_MAX - 1);
    assert!(case.answer(7000, first[0].run, ProbeOutcome::Passed));
    assert_eq!(case.begun(7000).len(), 1);
}

#[test]
fn an_answer_of_another_life_counts_for_nobody() {
    let mut case = Case::new(specs(ProbeKind::Liveness, http(), |it| it.failure_threshold = 1));
    case.follow(0, "h/d/a", "1");
    let (due, run) = case.next();
    assert_eq!(case.follow(due, "h/d/a", "2"), HealthEvidence::NotYet);
    assert!(!case.answer(due + 1, run, ProbeOutcome::Failed("refused".to_string())));
    assert_eq!(case.follow(due + 1, "h/d/a", "2"), HealthEvidence::NotYet);
    let (due, run) = case.next();
    case.prober.follow(at(due), &subject("h/d/a"), None);
    assert!(
        !case.answer(due + 1, run, ProbeOutcome::Failed("refused".to_string())),
        "it was paused meanwhile"
    );
    assert_eq!(case.prober.next_deadline(), None);
}

#[test]
fn what_was_under_way_when_this_watchdog_stood_still_is_void_and_asked_again() {
    let mut case = Case::new(specs(ProbeKind::Liveness, http(), |it| it.failure_threshold = 1));
    case.follow(0, "h/d/a", "1");
    let (_, run) = case.next();
    case.prober.stalled(at(30_000));
    assert!(!case.answer(30_000, run, timed_out()));
    assert_eq!(case.follow(30_000, "h/d/a", "1"), HealthEvidence::NotYet);
    let (due, run) = case.next();
    assert!((30_000..31_000).contains(&due));
    assert!(
        case.answer(due + 1251, run, timed_out()),
        "told late: that is not known"
    );
    assert_eq!(case.follow(due + 1251, "h/d/a", "1"), HealthEvidence::CannotRun);
    let (due, run) = case.next();
    assert!(case.answer(due + 1250, run, timed_out()));
    assert_eq!(case.follow(due + 1250, "h/d/a", "1"), HealthEvidence::Failing);
}

#[test]
fn no_answer_at_all_is_no_failure() {
    let mut case = Case::new(specs(ProbeKind::Liveness, http(), |it| it.failure_threshold = 1));
    case.follow(0, "h/d/a", "1");
    let (due, run) = case.next();
    let lost = due + 1000 + 10_000;
    assert_eq!(case.prober.next_deadline(), Some(at(lost)));
    assert_eq!(case.prober.next_lost(at(lost)), Some(subject("h/d/a")));
    assert_eq!(case.follow(lost, "h/d/a", "1"), HealthEvidence::CannotRun);
    assert!(!case.answer(lost, run, ProbeOutcome::Passed), "too late");
}

#[test]
fn nobody_is_asked_before_its_delay_nor_while_somebody_is_stopping_it() {
    let mut case = Case::new(specs(ProbeKind::Liveness, http(), |it| {
        it.initial_delay = Duration::from_secs(20);
    }));
    case.follow_so(1000, "h/d/a", "1", |it| it.since = at(1000));
    let (due, run) = case.next();
    assert!((21_000..22_000).contains(&due));
    case.follow_so(due, "h/d/a", "1", |it| it.not_before = Some(at(60_000)));
    assert!(!case.answer(due + 1, run, ProbeOutcome::Passed), "void");
    let (due, _) = case.next();
    assert!((60_000..61_000).contains(&due));
}

#[test]
fn where_it_is_asked_from_is_told_once() {
    let mut case = Case::new(liveness());
    case.follow(0, "h/d/a", "1");
    case.follow(0, "h/d/b", "1");
    assert_eq!(case.prober.take_places(), None);
    let run = case.begun(1000)[0].run;
    let answer = ProbeAnswer {
        outcome: ProbeOutcome::Passed,
        outside: Some("no right to".to_string()),
    };
    case.prober.answered(at(1000), run, answer);
    let why = case.prober.take_places().expect("news").unwrap_err();
    assert!(why.ends_with(": no right to"), "{why}");
    assert_eq!(case.prober.take_places(), None, "it was said");
    ["h/d/a", "h/d/b"]
        .iter()
        .for_each(|it| case.prober.forget(&subject(it)));
    assert!(
        case.prober.take_places().is_some_and(|it| it.is_ok()),
        "nobody is any more"
    );
}
