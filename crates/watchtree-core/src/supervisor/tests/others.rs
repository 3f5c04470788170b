//! What comes from outside one repair: restarts of others, repairs of before, places, failures of many, a person.

use super::*;

#[test]
fn restarts_of_others_come_out_of_the_same_budget_and_may_reach_the_limit() {
    let mut bench = Bench::new(3);
    let (now, policy, id) = (bench.now, bench.policy, bench.puppet.id.clone());
    let mut restarted = |count| {
        let fact = Evidence::new(EvidenceKind::Exited, now, "exit code 1");
        let about = (id.clone(), Incarnation::default(), vec![fact]);
        bench.told(|supervisor, out| supervisor.record_restarts_of_others(now, count, about, &policy, out))
    };
    assert_eq!(restarted(2), ["restarted", "restarted"]);
    assert_eq!(restarted(1), ["restarted", "limit", "escalate not_taken"]);
    assert_eq!(restarted(1), ["restarted"], "the limit is reached once");
    assert!(bench.supervisor.supervision().limit().is_some());
}

#[test]
fn a_repair_of_before_goes_on_under_its_record() {
    let mut bench = Bench::new(5);
    bench.ends();
    assert!(bench.supervisor.repair().is_none() && bench.supervisor.repair_mut().is_none());
    let decision = crate::fixture::decision("h/puppet", 1);
    bench.supervisor.resume(decision, ());
    assert!(bench.supervisor.repair().is_some() && bench.supervisor.repair_mut().is_some());
    assert!(bench.after(0).1.is_empty(), "it is under way");
    bench.runs();
    assert_eq!(bench.after(1).1[1], "repaired succeeded");
    assert!(bench.supervisor.repair().is_none());
}

#[test]
fn a_subject_that_is_gone_ends_its_repair() {
    let mut bench = Bench::new(5);
    let abandon =
        |bench: &mut Bench| bench.told(|supervisor, out| supervisor.abandon(Outcome::Failed, "it is gone", out));
    assert!(abandon(&mut bench).is_empty(), "there is none");
    bench.ends();
    bench.after(0);
    assert_eq!(abandon(&mut bench), ["start failed", "repaired failed"]);
    assert!(bench.supervisor.repair().is_none());
}

#[test]
fn a_person_who_overrules_a_repair_is_recorded_by_it_alone() {
    let mut bench = Bench::new(5);
    bench.ends();
    bench.after(0);
    let exit = ExitRecord::new(
        Incarnation("1".to_string()),
        ExitClass::Operator,
        bench.now,
        "exited (0)",
        "docker stop",
    );
    bench.supervisor.supervision_mut().set_exit(exit);
    bench.puppet.ends_with = Some(Outcome::Overruled);
    assert_eq!(bench.after(1).1, ["start overruled", "repaired overruled"]);
    assert_eq!(bench.shown(), State::Stopped);
    assert!(bench.after(1).1.is_empty());
}

#[test]
fn each_failure_is_counted_once_among_those_of_all_and_each_restart_too() {
    let mut bench = Bench::new(5);
    for n in 0..4 {
        let other = SubjectId::new(&format!("h/{n}")).unwrap();
        bench.fleet.record_failure(bench.now, &other);
    }
    assert!(!bench.fleet.is_in_burst(bench.now));
    bench.ends();
    bench.after(0);
    assert!(bench.fleet.is_in_burst(bench.now), "it is the fifth");
    assert_eq!(bench.fleet.left(bench.now), 30, "one of many is exempt");
    let mut alone = Bench::new(5);
    alone.ends();
    alone.after(0);
    assert_eq!(alone.fleet.left(alone.now), 29);
}

#[test]
fn what_waits_for_a_place_says_so_after_a_while() {
    let mut bench = Bench::new(5);
    let taken = Place {
        is_free: false,
        under_way: 3,
        long_wait: Duration::from_secs(30),
    };
    bench.places.start = taken;
    bench.ends();
    assert_eq!(bench.after(0), (Some(bench.now + Duration::from_secs(30)), Vec::new()));
    assert_eq!(bench.shown(), State::Repairing);
    assert!(bench.after(29_999).1.is_empty(), "a mere turn");
    assert_eq!(bench.after(1).1, ["none not_taken"]);
    bench.puppet.held = true;
    bench.after(1);
    assert_eq!(
        bench.supervisor.supervision().queued(),
        None,
        "it does not wait for a place"
    );
    bench.puppet.held = false;
    bench.places = Places::free();
    assert_eq!(bench.after(1).1, START);
}

#[test]
fn a_half_open_retry_does_not_wait_for_the_back_off_and_what_puts_it_off_shows_the_limit() {
    let mut bench = Bench::new(5);
    let limits = RestartLimits {
        half_open_every: Duration::from_secs(5),
        half_open_within_budget: false,
        ..*bench.policy
    };
    bench.policy = RestartPolicy::new(limits).unwrap();
    bench.ends();
    for _ in 0..5 {
        bench.after(2000);
        bench.puppet.ends_with = Some(Outcome::Failed);
        bench.after(0);
    }
    assert!(bench.supervisor.supervision().limit().is_some());
    bench.places.start.is_free = false;
    bench.after(5000);
    assert_eq!(bench.shown(), State::GivenUp, "its turn would come");
    bench.places.start.is_free = true;
    assert!(bench.after(0).1.contains(&"start".to_string()));
    bench.runs();
    bench.after(4900);
    bench.ends();
    let (wake, out) = bench.after(0);
    assert_eq!(wake, Some(bench.now + Duration::from_millis(100)));
    assert_eq!(out, ["none not_taken"], "of this incarnation");
    assert!(bench.after(100).1.contains(&"start".to_string()));
}
