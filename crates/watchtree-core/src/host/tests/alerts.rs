//! When a host calls a person itself, and what it does not call for.

use super::*;
use crate::host::io::{AlertPolicy, AlertWhen};
use crate::incident::Incident;

const WEB: &str = "h1/docker/web";

/// As [`World::settled`], on a host that calls then.
fn settled(when: AlertWhen, told: Vec<Incident>) -> World {
    let mut world = World::new();
    let mut start = start(1);
    start.policy.alerts = AlertPolicy {
        when,
        ..AlertPolicy::default()
    };
    (start.alerts, start.next_alert) = (told, 8);
    world.host = HostAgent::new(world.now, start);
    world.feed(HostInput::ChildrenLookedFor);
    world.run_ms(10_000);
    world
}

fn alone(secs: u64) -> AlertWhen {
    let after = Duration::from_secs(secs);
    AlertWhen::Alone { after }
}

/// What a person was told since this was last asked, without the times.
fn alerts(world: &mut World) -> String {
    let told = core::mem::take(&mut world.told);
    let alerts = told
        .iter()
        .filter_map(|line| line.split_once(" ALERT ").map(|(_, words)| words));
    alerts.collect::<Vec<_>>().join("; ")
}

/// It is so for that long; what a person was told meanwhile.
fn after(world: &mut World, state: State, secs: u64) -> String {
    world.child_reports(WEB, state);
    world.run_ms(secs * 1000);
    alerts(world)
}

fn manager_goes(world: &mut World) {
    let why = "it ended".to_string();
    world.feed(HostInput::Link(FrontendInput::Down { why }));
}

#[test]
fn an_illness_that_lasts_is_told_once_and_its_end_too() {
    for when in [alone(0), AlertWhen::Always] {
        let mut world = settled(when, Vec::new());
        assert_eq!(after(&mut world, State::GivenUp, 1), "opened h1/docker/web GIVEN UP");
        assert_eq!(after(&mut world, State::Repairing, 9), "");
        assert_eq!(after(&mut world, State::GivenUp, 9), "", "it is the same illness");
        assert_eq!(
            after(&mut world, State::Unhealthy, 9),
            "changed h1/docker/web UNHEALTHY"
        );
        assert_eq!(after(&mut world, State::Ok, 9), "closed h1/docker/web UNHEALTHY");
        assert_eq!(after(&mut world, State::Down, 4), "");
        assert_eq!(after(&mut world, State::Ok, 9), "", "it was repaired in time");
        assert_eq!(after(&mut world, State::Down, 6), "opened h1/docker/web DOWN");
        assert_eq!(after(&mut world, State::Stopped, 1), "closed h1/docker/web DOWN");
        assert_eq!(after(&mut world, State::Unhealthy, 59), "");
        assert_eq!(
            after(&mut world, State::Repairing, 5),
            "",
            "a repair that does not help makes nobody well"
        );
        assert_eq!(after(&mut world, State::Unhealthy, 5), "opened h1/docker/web UNHEALTHY");
        let now = world.now;
        world.process().frontend.report_gone(now, &subject(WEB));
        world.run_ms(11_000);
        assert_eq!(alerts(&mut world), "closed h1/docker/web UNHEALTHY");
    }
    let mut world = settled(AlertWhen::Never, Vec::new());
    assert_eq!(after(&mut world, State::GivenUp, 300), "");
}

#[test]
fn while_a_manager_is_in_sight_it_calls() {
    let mut world = settled(alone(60), Vec::new());
    world.join_manager();
    assert_eq!(after(&mut world, State::GivenUp, 100), "");
    manager_goes(&mut world);
    world.run_ms(59_000);
    assert_eq!(alerts(&mut world), "");
    world.run_ms(1000);
    assert_eq!(alerts(&mut world), "opened h1/docker/web GIVEN UP");
    world.join_manager_by(2);
    assert_eq!(
        after(&mut world, State::Ok, 1),
        "closed h1/docker/web GIVEN UP",
        "whoever told it ends it"
    );
    assert_eq!(after(&mut world, State::GivenUp, 100), "");
    manager_goes(&mut world);
    world.run_ms(30_000);
    world.join_manager_by(3);
    world.run_ms(100_000);
    assert_eq!(alerts(&mut world), "", "it was back in time");
    let mut world = settled(AlertWhen::Always, Vec::new());
    world.join_manager();
    assert_eq!(after(&mut world, State::GivenUp, 1), "opened h1/docker/web GIVEN UP");
}

#[test]
fn what_an_engine_explains_is_told_only_if_it_outlasts_it() {
    let mut world = settled(alone(0), Vec::new());
    world.engine = Err(EngineError::Deadline);
    world.run_ms(10_000);
    assert_eq!(alerts(&mut world), "opened h1/docker UNREACHABLE");
    assert_eq!(after(&mut world, State::GivenUp, 100), "");
    world.engine = Ok("29.1".into());
    world.run_ms(20_000);
    assert_eq!(
        alerts(&mut world),
        "closed h1/docker UNREACHABLE; opened h1/docker/web GIVEN UP"
    );
}

/// What a former start told of that subject.
fn told(path: &str) -> Incident {
    Incident {
        id: 7,
        subject: subject(path),
        state: State::GivenUp,
        level: Level::Certain,
        unconfirmed: false,
        why: String::new(),
        root_cause: None,
        touched: 0,
        opened: Moment::ZERO,
        opened_wall: WallTime(0),
        closed_wall: None,
        closed_why: String::new(),
        evidence: Vec::new(),
        decisions: Vec::new(),
    }
}

#[test]
fn a_restart_tells_nothing_twice_and_ends_what_was_told() {
    let mut world = settled(alone(0), vec![told(WEB), told("h1/docker/away")]);
    assert_eq!(
        alerts(&mut world),
        "closed h1/docker/web GIVEN UP",
        "well by the first report"
    );
    world.run_ms(60_000);
    assert_eq!(
        alerts(&mut world),
        "closed h1/docker/away GIVEN UP",
        "nobody names it any more"
    );
    let mut world = settled(alone(0), vec![told("h1/docker/db")]);
    world.child_reports("h1/docker/db", State::GivenUp);
    world.run_ms(100_000);
    assert_eq!(alerts(&mut world), "");
    world.child_reports("h1/docker/db", State::Ok);
    assert_eq!(alerts(&mut world), "closed h1/docker/db GIVEN UP");
}

#[test]
fn a_stall_of_the_host_is_no_time_in_which_something_was_ill_or_nobody_in_sight() {
    let mut world = settled(alone(60), Vec::new());
    world.child_reports(WEB, State::Unhealthy);
    world.stall_host(300_000);
    world.child_reports(WEB, State::Ok);
    world.run_ms(30_000);
    assert_eq!(alerts(&mut world), "");
}

#[test]
fn a_host_that_may_never_or_always_call_does_not_think_that_it_stood_still() {
    for (when, left) in [
        (AlertWhen::Never, vec![told(WEB)]),
        (AlertWhen::Always, Vec::new()),
        (alone(0), vec![told(WEB)]),
    ] {
        let mut world = settled(when, left);
        world.run_ms(100_000);
        assert_eq!(world.count("did not run"), 0, "{when:?}: {:?}", world.told);
        assert!(world.host.next_deadline().is_some_and(|at| world.now < at), "{when:?}");
    }
}
