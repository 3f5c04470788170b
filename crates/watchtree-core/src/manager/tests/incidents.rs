//! Incidents of containers: when they open, what explains them, and that each comes to its end.

use super::*;
use crate::decision::{Decision, DecisionId, Guard};

/// As container-watchdog writes it: the restart was not taken, a person is needed.
fn escalation(count: u64) -> Decision {
    Decision {
        id: DecisionId {
            node: name("h1.docker.watchdog"),
            epoch: 1,
            count,
        },
        at: Moment::ZERO,
        wall: WallTime(0),
        subject: subject("h1/docker/web"),
        incarnation: Incarnation::default(),
        evidence: Vec::new(),
        guards: vec![GuardAnswer {
            guard: Guard::Budget,
            verdict: crate::decision::GuardVerdict::Blocked,
            detail: "5 restarts in 600 s are used up".to_string(),
        }],
        action: ActionKind::Escalate,
        budget_left: Some(0),
        outcome: Outcome::NotTaken,
        why: "5 restarts in 600 s did not help".to_string(),
        result: String::new(),
    }
}

#[test]
fn an_escalation_and_its_verdict_are_one_incident() {
    for verdict_first in [true, false] {
        let mut world = World::of(1);
        if verdict_first {
            world.report("h1/docker/web", State::GivenUp);
        }
        world.say("h1", |frontend, now| frontend.event(now, escalation(1)));
        assert_eq!(world.opened.len(), 1, "the record alone is enough");
        world.report("h1/docker/web", State::GivenUp);
        // At least once: the same record comes again.
        world.say("h1", |frontend, now| frontend.event(now, escalation(1)));
        world.run_ms(15_000);
        assert_eq!((world.opened.len(), world.closed.len()), (1, 0));
        assert_eq!(world.opened[0].state, State::GivenUp);
        let open = world.manager.open_incidents().next().unwrap();
        assert_eq!(open.decisions.len(), 1);
        assert_eq!(world.manager.explain(&subject("h1/docker/web")).count(), 1);
        // The slow retry does not end it; only being well does.
        world.report("h1/docker/web", State::Repairing);
        world.report("h1/docker/web", State::GivenUp);
        assert_eq!((world.opened.len(), world.closed.len()), (1, 0));
        world.report("h1/docker/web", State::Ok);
        assert_eq!(world.closed.len(), 1);
        world.say("h1", |frontend, now| frontend.event(now, escalation(1)));
        assert_eq!(world.opened.len(), 1);
    }
}

#[test]
fn unhealthy_is_an_incident_only_when_it_lasts() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::Unhealthy);
    world.run_ms(30_000);
    world.report("h1/docker/web", State::Repairing);
    world.run_ms(1000);
    world.report("h1/docker/web", State::Ok);
    world.run_ms(120_000);
    assert!(world.opened.is_empty());
    world.report("h1/docker/web", State::Unhealthy);
    world.run_ms(61_000);
    assert_eq!(world.opened.len(), 1);
}

/// It is stopped and started again and again, and is never well in between.
#[test]
fn a_repair_that_does_not_help_puts_no_incident_off() {
    let mut world = World::of(1);
    for _ in 0..4 {
        world.report("h1/docker/web", State::Unhealthy);
        world.run_ms(12_000);
        world.report("h1/docker/web", State::Repairing);
        world.run_ms(1000);
        world.report("h1/docker/web", State::Starting);
        world.run_ms(2000);
    }
    assert!(world.opened.is_empty());
    world.report("h1/docker/web", State::Repairing);
    world.run_ms(3000);
    world.report("h1/docker/web", State::Unhealthy);
    world.run_ms(5000);
    assert_eq!(world.opened.len(), 1);
    world.report("h1/docker/db", State::Unhealthy);
    world.run_ms(59_000);
    world.report("h1/docker/db", State::Starting);
    world.run_ms(20_000);
    world.report("h1/docker/db", State::Ok);
    world.run_ms(120_000);
    assert_eq!(world.opened.len(), 1, "the repair has helped");
}

#[test]
fn a_removed_container_takes_its_incident_with_it() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::GivenUp);
    world.say("h1", |frontend, now| {
        frontend.report_gone(now, &subject("h1/docker/web"))
    });
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn a_lost_host_explains_the_incidents_below_and_opens_one() {
    let mut world = World::of(2);
    world.report("h1/docker/web", State::GivenUp);
    world.host("h1").frozen = true;
    world.run_ms(6000);
    let open: Vec<_> = world
        .manager
        .open_incidents()
        .map(|i| (i.subject.to_string(), i.root_cause.clone()))
        .collect();
    assert_eq!(
        open,
        [
            ("h1".to_string(), None),
            ("h1/docker/web".to_string(), Some(subject("h1")))
        ]
    );
    world.host("h1").frozen = false;
    world.run_ms(2000);
    let open: Vec<_> = world
        .manager
        .open_incidents()
        .map(|i| (i.subject.to_string(), i.root_cause.clone()))
        .collect();
    assert_eq!(open, [("h1/docker/web".to_string(), None)]);
}

fn open_subjects(world: &World) -> Vec<String> {
    world.manager.open_incidents().map(|i| i.subject.to_string()).collect()
}

#[test]
fn an_escalation_that_was_overtaken_is_no_incident() {
    let mut world = World::of(1);
    let since = Moment::from_millis(5000);
    let well = Verdict {
        observer: name("h1.docker.watchdog"),
        since,
        remarks: vec!["it was given up".to_string()],
        ..verdict("h1/docker/web", SubjectKind::Container, State::Ok)
    };
    world.say("h1", |frontend, now| {
        frontend.report(now, well);
    });
    // The record was made before it became well, and only comes up now.
    world.say("h1", |frontend, now| frontend.event(now, escalation(1)));
    world.run_ms(1000);
    assert!(world.opened.is_empty());
    assert_eq!(world.manager.explain(&subject("h1/docker/web")).count(), 1);
    // A new one is told, and ends if no verdict says so too.
    let later = Decision {
        at: since + Duration::from_secs(1),
        ..escalation(2)
    };
    world.say("h1", |frontend, now| frontend.event(now, later));
    world.run_ms(1000);
    assert_eq!(world.opened.len(), 1);
    world.run_ms(10_000);
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn what_was_removed_while_the_manager_was_away_is_closed() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::GivenUp);
    world.restart_manager();
    world.say("h1", |frontend, now| {
        frontend.report_gone(now, &subject("h1/docker/web"))
    });
    world.run_ms(5000);
    assert_eq!(open_subjects(&world), ["h1/docker/web"], "it may only be late");
    world.run_ms(15_000);
    assert_eq!(open_subjects(&world), [""; 0]);
    assert_eq!(world.closed[0].closed_why, "it is gone");
}

/// A manager that begins anew with these incidents.
fn restart_with(world: &mut World, open: Vec<Incident>) {
    let known = world.stored.values().cloned().collect();
    world.manager = manager(world.now, known, open);
}

#[test]
fn of_two_that_tell_of_the_same_the_older_comes_to_its_end() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::GivenUp);
    let older = world.opened[0].clone();
    let newer = Incident {
        id: older.id + 1000,
        ..older.clone()
    };
    restart_with(&mut world, vec![older.clone(), newer.clone()]);
    world.run_ms(15_000);
    assert_eq!(open_subjects(&world), ["h1/docker/web"]);
    world.report("h1/docker/web", State::Ok);
    let closed: Vec<_> = world.closed.iter().map(|incident| incident.id).collect();
    assert_eq!(closed, [older.id, newer.id]);
    world.report("h1/docker/web", State::GivenUp);
    assert_eq!(world.opened[1].id, newer.id + 1, "no number is used again");
}

#[test]
fn what_the_store_tells_late_is_taken_up() {
    let mut world = World::of(2);
    for host in ["h1", "h2"] {
        world.report(&format!("{host}/docker/web"), State::GivenUp);
    }
    let of_former = |incident: &Incident| Incident {
        id: incident.id + 1000,
        ..incident.clone()
    };
    let former: Vec<Incident> = world.opened.drain(..).map(|incident| of_former(&incident)).collect();
    let hosts = world.stored.values().cloned().collect();
    world.manager = manager(world.now, Vec::new(), Vec::new());
    world.host("h2").frozen = true;
    world.run_ms(60_000);
    assert_eq!(open_subjects(&world), ["h1/docker/web"], "nobody knows of h2");
    let incidents = former.clone();
    world
        .manager
        .handle(world.now, ManagerInput::Remembered { hosts, incidents });
    world.run_ms(20_000);
    assert_eq!(world.state("h2"), State::AgentLost);
    assert_eq!(open_subjects(&world), ["h1/docker/web", "h2", "h2/docker/web"]);
    let closed: Vec<_> = world.closed.iter().map(|incident| incident.id).collect();
    assert_eq!(closed, [former[0].id], "of two the former ends");
    world.host("h2").frozen = false;
    world.run_ms(5000);
    world.report("h2/docker/web", State::Ok);
    assert_eq!(world.closed.last().map(|incident| incident.id), Some(former[1].id));
    assert_eq!(open_subjects(&world), ["h1/docker/web"]);
}

#[test]
fn an_illness_for_which_there_was_no_room_is_told_when_there_is() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::GivenUp);
    let one = world.opened[0].clone();
    let gone = |i: usize| Incident {
        id: i as u64 + 1,
        subject: subject(&format!("h1/docker/gone{i}")),
        ..one.clone()
    };
    restart_with(&mut world, (0..Incident::OPEN_MAX).map(gone).collect());
    world.run_ms(5000);
    assert_eq!(open_subjects(&world).len(), Incident::OPEN_MAX);
    assert_eq!(world.state("h1/docker/web"), State::GivenUp);
    world.run_ms(30_000);
    assert_eq!(open_subjects(&world), ["h1/docker/web"]);
}

#[test]
fn what_a_blind_watchdog_does_not_name_is_not_gone() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::GivenUp);
    world.report("h1/docker/@watchdog", State::Starting);
    world.restart_manager();
    world.say("h1", |frontend, now| {
        frontend.report_gone(now, &subject("h1/docker/web"))
    });
    world.run_ms(60_000);
    assert_eq!(open_subjects(&world), ["h1/docker/web"]);
    world.report("h1/docker/@watchdog", State::Ok);
    world.report("h1/docker/web", State::GivenUp);
    world.run_ms(60_000);
    assert_eq!((world.opened.len(), world.closed.len()), (1, 0));
}

#[test]
fn an_end_that_came_too_late_to_be_believed_is_caught_up() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::GivenUp);
    let peer = Peer {
        name: name("h1"),
        connection: world.host("h1").connection,
    };
    world.host("h1").held_back = true;
    world.say("h1", |frontend, now| {
        frontend.report_gone(now, &subject("h1/docker/web"))
    });
    world.host("h1").frozen = true;
    world.run_ms(2000);
    assert_eq!(world.state("h1"), State::Suspect);
    let queued: Vec<Envelope> = world.host("h1").queue.drain(..).collect();
    for envelope in queued {
        world.receive(peer.clone(), envelope);
    }
    assert_eq!(world.state("h1"), State::Suspect);
    world.host("h1").held_back = false;
    world.host("h1").frozen = false;
    world.run_ms(15_000);
    assert_eq!(world.state("h1"), State::Ok);
    assert_eq!(open_subjects(&world), [""; 0]);
}

#[test]
fn what_fell_ill_under_a_dead_engine_is_told_when_the_engine_is_back() {
    for ill in [State::GivenUp, State::Down, State::Unhealthy] {
        let mut world = World::of(1);
        world.report("h1/docker", State::Unreachable);
        world.report("h1/docker/web", ill);
        world.say("h1", |frontend, now| frontend.event(now, escalation(1)));
        world.run_ms(120_000);
        assert_eq!(open_subjects(&world), ["h1/docker"], "the engine explains it");
        world.report("h1/docker", State::Ok);
        assert_eq!(open_subjects(&world), [""; 0], "its news may be on the way");
        world.run_ms(61_000);
        assert_eq!(open_subjects(&world), ["h1/docker/web"]);
        assert_eq!(world.opened.len(), 2);
    }
}

#[test]
fn what_is_well_again_with_its_engine_is_not_told() {
    let mut world = World::of(1);
    world.report("h1/docker", State::Unreachable);
    world.report("h1/docker/web", State::GivenUp);
    world.report("h1/docker", State::Ok);
    world.run_ms(1000);
    world.report("h1/docker/web", State::Ok);
    world.run_ms(120_000);
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_container_explains_no_project_of_its_name() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::Down);
    world.run_ms(6000);
    world.report("h1/docker/web/app/1", State::GivenUp);
    assert_eq!(open_subjects(&world), ["h1/docker/web", "h1/docker/web/app/1"]);
}

#[test]
fn nobody_is_paged_from_a_book_that_nobody_vouches_for() {
    let leave = Goodbye::Restart {
        back_within: Duration::from_secs(300),
    };
    for back_ill in [false, true] {
        let mut world = World::of(1);
        world.report("h1/docker/web", State::Unhealthy);
        world.run_ms(30_000);
        world.say("h1", |frontend, now| frontend.goodbye(now, leave));
        world.run_ms(0);
        world.host("h1").frozen = true;
        world.run_ms(60_000);
        assert_eq!(world.state("h1"), State::Unwatched);
        assert_eq!(open_subjects(&world), [""; 0], "{:?}", world.told);
        world.add("h1", 2);
        if back_ill {
            world.report("h1/docker/web", State::Unhealthy);
        }
        world.run_ms(59_000);
        assert_eq!(open_subjects(&world), [""; 0], "the time runs anew");
        world.run_ms(5000);
        assert_eq!(world.opened.len(), usize::from(back_ill), "{:?}", world.told);
    }
}

#[test]
fn a_suspect_hosts_containers_page_nobody() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::Unhealthy);
    world.run_ms(57_500);
    world.host("h1").frozen = true;
    world.run_ms(120_000);
    assert_eq!(open_subjects(&world), ["h1"]);
    world.host("h1").frozen = false;
    world.run_ms(65_000);
    assert_eq!(open_subjects(&world), ["h1/docker/web"]);
}
