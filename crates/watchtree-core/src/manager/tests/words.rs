//! What is told and written down, in full: changes, incidents, the manager's own word, requests of people.

use super::*;
use crate::order::OrderRefusal;
use crate::verdict::{Evidence, EvidenceKind};

fn told(world: &mut World) -> Vec<String> {
    let line = |line: &String| line.split_once(' ').map(|(_, rest)| rest.to_string());
    core::mem::take(&mut world.told).iter().filter_map(line).collect()
}

fn ask(world: &mut World, ticket: u64, verb: Verb, text: &str) {
    let ask = Ask {
        ticket,
        verb,
        subject: subject(text),
        incarnation: Incarnation::default(),
        asked_by: "ann".to_string(),
    };
    world.manager.handle(world.now, ManagerInput::Ask(ask));
    world.settle();
}

/// Who was asked about that subject, or why nobody.
fn asked(world: &mut World, ticket: u64, text: &str) -> Result<Vec<String>, AskError> {
    ask(world, ticket, Verb::Retry, text);
    if let Some((_, refused)) = world.answered.pop() {
        return Err(refused.unwrap_err());
    }
    let orders = core::mem::take(&mut world.host("h1").orders);
    Ok(orders.iter().map(|input| input.order.target.to_string()).collect())
}

#[test]
fn a_change_is_told_and_a_well_newcomer_is_none() {
    let mut world = World::of(1);
    for (text, state, expected) in [
        ("a", State::Ok, None),
        ("b", State::Stopped, None),
        ("c", State::Unhealthy, Some("h1/docker/c UNHEALTHY")),
        ("c", State::Repairing, Some("h1/docker/c REPAIRING")),
        ("c", State::Ok, Some("h1/docker/c OK")),
        ("a", State::Stopped, Some("h1/docker/a STOPPED")),
    ] {
        world.report(&format!("h1/docker/{text}"), state);
        let told = told(&mut world);
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{text}");
    }
    let other_words = Verdict {
        why: "for another reason".to_string(),
        ..verdict("h1/docker/a", SubjectKind::Container, State::Stopped)
    };
    world.say("h1", |frontend, now| {
        frontend.report(now, other_words);
    });
    assert!(told(&mut world).is_empty(), "the state is the same");
}

#[test]
fn an_incident_follows_its_verdict_and_an_engine_that_inhibits_no_more_sets_the_others_free() {
    let mut world = World::of(1);
    world.report("h1/docker", State::Unreachable);
    world.report("h1/docker/web", State::GivenUp);
    told(&mut world);
    world.report("h1/docker", State::GivenUp);
    let lines = ["h1/docker GIVEN UP", "changed h1/docker GIVEN UP"];
    assert!(
        lines.iter().all(|line| world.told.iter().any(|it| it.ends_with(line))),
        "{:?}",
        world.told
    );
    world.run_ms(120_000);
    let open: Vec<_> = world
        .manager
        .open_incidents()
        .map(|it| it.subject.to_string())
        .collect();
    assert_eq!(open, ["h1/docker", "h1/docker/web"]);
}

#[test]
fn what_waits_under_an_engine_that_dies_meanwhile_is_part_of_that() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::Down);
    world.run_ms(1000);
    world.report("h1/docker", State::Unreachable);
    world.run_ms(30_000);
    let open: Vec<_> = world
        .manager
        .open_incidents()
        .map(|it| it.subject.to_string())
        .collect();
    assert_eq!(open, ["h1/docker"]);
}

#[test]
fn an_escalation_is_told_with_what_its_record_says() {
    let mut world = World::of(1);
    let fact = Evidence::new(EvidenceKind::Exited, Moment::ZERO, "exit code 7");
    let mut record = crate::fixture::decision("h1/docker/new", 1);
    record.id.node = name("h1.docker.watchdog");
    record.action = ActionKind::Escalate;
    record.why = "a person is needed".to_string();
    record.incarnation = Incarnation("c9@1".to_string());
    record.evidence = vec![fact.clone()];
    world.say("h1", |frontend, now| frontend.event(now, record));
    let opened = &world.opened[0];
    assert_eq!(
        (&opened.subject, opened.state),
        (&subject("h1/docker/new"), State::GivenUp)
    );
    assert_eq!((opened.level, &*opened.why), (Level::Certain, "a person is needed"));
    assert_eq!((&*opened.evidence, opened.touched), (&[fact][..], 0));
}

#[test]
fn our_own_cut_is_told_with_its_share_and_what_is_wrong_with_us_is_a_remark() {
    let mut world = World::of(10);
    for i in 1..=6 {
        world.host(&format!("h{i}")).cut = true;
        world
            .kernels
            .insert(name(&format!("h{i}")), Look::Silent("nothing".to_string()));
    }
    world.run_ms(10_000);
    let own = world.manager.own_verdict(world.now);
    assert!(
        own.why.ends_with("are silent: holds itself for the one cut off"),
        "{}",
        own.why
    );
    assert!(
        own.remarks.iter().any(|it| it.starts_with("view: ")),
        "{:?}",
        own.remarks
    );
    let opened = &world.opened[0];
    assert_eq!(
        (opened.state, opened.level, opened.touched),
        (State::Degraded, Level::Strong, 6)
    );
    let why = "fell silent: this manager holds itself for the one cut off";
    assert!(opened.why.ends_with(why), "{}", opened.why);
}

#[test]
fn a_stall_that_is_told_counts_though_nothing_came_late() {
    let mut world = World::of(1);
    assert!(world.manager.is_settled(world.now));
    let gap = Duration::from_secs(2);
    world.manager.handle(world.now, ManagerInput::Stalled { gap });
    assert!(!world.manager.is_settled(world.now));
    let own = world.manager.own_verdict(world.now);
    assert_eq!((own.state, own.observer_health.0), (State::Starting, 3));
    world.run_ms(20_000);
    assert_eq!(world.manager.own_verdict(world.now).state, State::Ok);
    assert_eq!(world.state("h1"), State::Ok);
}

#[test]
fn records_that_were_lost_on_the_way_are_a_condition_until_their_host_is_forgotten() {
    let mut world = World::of(2);
    let peer = Peer {
        name: name("h1"),
        connection: world.host("h1").connection,
    };
    let header = crate::message::Header::new(&identity("h1", Tier::Host, 1), 1_000_000, world.now);
    let decisions = Vec::new();
    let message = Message::Events { decisions, dropped: 3 };
    world.receive(peer, Envelope { header, message });
    let words = |world: &World| world.manager.own_verdict(world.now).remarks.join("; ");
    assert_eq!(words(&world), "events: 3 decision records of h1 were lost on the way");
    world.host("h1").cut = true;
    world.run_ms(10_000);
    let input = ManagerInput::Forget {
        ticket: 1,
        host: subject("h1"),
        asked_by: "ann".to_string(),
    };
    world.manager.handle(world.now, input);
    world.settle();
    assert_eq!(words(&world), "");
}

#[test]
fn a_host_is_stored_anew_only_with_news() {
    let mut world = World::of(1);
    let seen = |world: &World| world.stored[&name("h1")].seen;
    let first = seen(&world);
    world.run_ms(5000);
    world.say("h1", |frontend, now| {
        let why = "cut".to_string();
        frontend.handle(now, FrontendInput::Down { why });
        frontend.handle(now, FrontendInput::Up);
    });
    world.run_ms(1000);
    assert_eq!(seen(&world), first, "the same life says the same");
    world.add("h1", 2);
    world.run_ms(1000);
    assert!(first < seen(&world));
}

#[test]
fn who_stands_over_a_subject_is_asked() {
    let mut world = World::of(1);
    world.say("h1", |frontend, now| {
        frontend.report(now, verdict("h1/podman", SubjectKind::Engine, State::Ok));
        frontend.report(now, verdict("h1/docker/@watchdog", SubjectKind::Watchdog, State::Ok));
    });
    let (docker, podman) = ("h1.docker.watchdog", "h1.podman.watchdog");
    let cases = [
        ("h1", vec!["h1", docker, podman]),
        ("h1/docker", vec!["h1", docker]),
        ("h1/docker/@watchdog", vec!["h1"]),
        ("h1/docker/web", vec![docker]),
    ];
    for (ticket, (text, expected)) in cases.into_iter().enumerate() {
        assert_eq!(
            asked(&mut world, ticket as u64, text),
            Ok(expected.iter().map(ToString::to_string).collect())
        );
    }
    let mut ticket = 10;
    for (engines, fits) in [(63, true), (64, false)] {
        let mut world = World::of(1);
        for i in 1..engines {
            world.say("h1", |frontend, now| {
                frontend.report(now, verdict(&format!("h1/e{i}"), SubjectKind::Engine, State::Ok));
            });
        }
        ticket += 1;
        world.run_ms(3000);
        let asked = asked(&mut world, ticket, "h1");
        assert_eq!(asked.is_ok(), fits, "{engines} engines and the host: {asked:?}");
    }
}

#[test]
fn a_refusal_that_cannot_name_its_order_is_of_the_oldest_and_an_unknown_answer_of_none() {
    let mut world = World::of(1);
    for ticket in [1, 2] {
        ask(&mut world, ticket, Verb::Retry, "h1/docker/web");
    }
    let answer = |id, result| OrderAnswer {
        id,
        result,
        detail: String::new(),
    };
    let refused = Err(OrderRefusal::ALL[0]);
    for unknown in [
        answer([0; 16], Ok(())),
        answer([7; 16], refused),
        answer([7; 16], Ok(())),
    ] {
        world.say("h1", |frontend, now| frontend.order_result(now, unknown));
        assert!(world.answered.is_empty());
    }
    world.say("h1", |frontend, now| {
        frontend.order_result(now, answer([0; 16], refused))
    });
    assert_eq!(world.answered.iter().map(|it| it.0).collect::<Vec<_>>(), [1]);
    let record = world.manager.explain(&subject("h1/docker/web")).next().unwrap();
    let words = format!("h1.docker.watchdog: refused ({})", OrderRefusal::ALL[0].as_str());
    assert_eq!((record.outcome, &record.result), (Outcome::Failed, &words));
    world.run_ms(30_000);
    assert_eq!(world.answered.len(), 2, "the other one dies");
    let record = world.manager.explain(&subject("h1/docker/web")).last().unwrap();
    assert_eq!(record.result, "h1.docker.watchdog: no answer");
}

#[test]
fn a_hold_that_is_too_long_is_refused_with_what_may_be_asked_for() {
    let mut world = World::of(1);
    let lasts = Verb::HOLD_MAX + Duration::from_secs(1);
    ask(&mut world, 1, Verb::Hold { lasts }, "h1/docker/web");
    let why = "a hold lasts from 1 s to 7 days: give --for accordingly".to_string();
    assert_eq!(world.answered.pop().unwrap().1, Err(AskError::Bad(why)));
    ask(&mut world, 2, Verb::Hold { lasts: Verb::HOLD_MAX }, "h1/docker/web");
    assert!(world.answered.is_empty(), "under way");
}
