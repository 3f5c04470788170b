//! Reports, orders, and who may speak.

use super::*;

#[test]
fn a_lost_report_is_repeated() {
    let mut world = World::of(1);
    world.host("h1").cut = true;
    world.report("h1/docker/web", State::Down);
    world.run_ms(400);
    world.host("h1").cut = false;
    world.run_ms(3000);
    assert_eq!(world.state("h1/docker/web"), State::Down);
}

#[test]
fn a_forgotten_verdict_comes_back_by_digest_and_snapshot() {
    let mut world = World::of(1);
    // The manager loses one verdict, as if a frame had lied.
    world.restart_manager();
    world.run_ms(1000);
    assert_eq!(world.state("h1/docker/web"), State::Ok);
    world.say("h1", |frontend, now| {
        frontend.report(now, verdict("h1/docker/new", SubjectKind::Container, State::Ok));
    });
    world.run_ms(2500);
    assert_eq!(world.state("h1/docker/new"), State::Ok);
}

#[test]
fn an_order_goes_to_each_watchdog_over_the_subject_and_is_repeated_until_answered() {
    let mut world = World::of(1);
    let ask = Ask {
        ticket: 7,
        verb: Verb::Retry,
        subject: subject("h1/docker/web"),
        incarnation: Incarnation("one life".to_string()),
        asked_by: "uid 0".to_string(),
    };
    world.manager.handle(world.now, ManagerInput::Ask(ask));
    world.settle();
    world.run_ms(2500);
    let sent: Vec<_> = world
        .host("h1")
        .orders
        .iter()
        .map(|input| input.order.clone())
        .collect();
    assert_eq!(sent.len(), 3, "once and two repetitions");
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "the very same order");
    assert_eq!(sent[0].target, name("h1.docker.watchdog"));
    assert_eq!(sent[0].incarnation.0, "one life");
    let its_now = world.now.saturating_sub(world.host("h1").behind);
    assert!(its_now < sent[0].expires && sent[0].expires <= its_now + Duration::from_secs(8));
    let answer = OrderAnswer {
        id: sent[0].id,
        result: Ok(()),
        detail: "started".to_string(),
    };
    world.say("h1", |frontend, now| frontend.order_result(now, answer.clone()));
    assert_eq!(world.answered.len(), 1);
    assert_eq!(world.answered[0].1.as_ref().unwrap()[0].answer, Some(answer));
    let decision = world.manager.explain(&subject("h1/docker/web")).last().unwrap();
    assert_eq!(decision.outcome, Outcome::Succeeded);
    assert!(decision.guards[0].lets_pass(), "{:?}", decision.guards);
    world.run_ms(20_000);
    assert_eq!(world.host("h1").orders.len(), 3);
}

#[test]
fn an_order_without_an_answer_dies() {
    let mut world = World::of(1);
    let hold = Verb::Hold {
        lasts: Duration::from_secs(60),
    };
    let ask = Ask {
        ticket: 1,
        verb: hold,
        subject: subject("h1"),
        incarnation: Incarnation::default(),
        asked_by: "uid 0".to_string(),
    };
    world.manager.handle(world.now, ManagerInput::Ask(ask));
    world.settle();
    world.run_ms(11_000);
    let targets: Vec<_> = world.answered[0]
        .1
        .as_ref()
        .unwrap()
        .iter()
        .map(|a| a.target.to_string())
        .collect();
    assert_eq!(targets, ["h1", "h1.docker.watchdog"]);
    assert!(
        world.answered[0]
            .1
            .as_ref()
            .unwrap()
            .iter()
            .all(|answer| answer.answer.is_none())
    );
}

#[test]
fn a_request_that_cannot_go_is_answered_at_once() {
    let mut world = World::of(1);
    let ask = |ticket, verb, text: &str| {
        ManagerInput::Ask(Ask {
            ticket,
            verb,
            subject: subject(text),
            incarnation: Incarnation::default(),
            asked_by: "x".to_string(),
        })
    };
    world.manager.handle(world.now, ask(1, Verb::Retry, "h9/docker/web"));
    world
        .manager
        .handle(world.now, ask(2, Verb::Retry, "h1/docker/nothing"));
    world.manager.handle(
        world.now,
        ask(
            3,
            Verb::Hold {
                lasts: Verb::HOLD_MAX * 2,
            },
            "h1",
        ),
    );
    world.settle();
    world.host("h1").frozen = true;
    world.run_ms(5000);
    world.manager.handle(world.now, ask(4, Verb::Retry, "h1/docker/web"));
    world.settle();
    let results: Vec<_> = world
        .answered
        .iter()
        .map(|(_, result)| result.clone().unwrap_err())
        .collect();
    assert!(matches!(
        results[..],
        [
            AskError::UnknownSubject,
            AskError::UnknownSubject,
            AskError::Bad(_),
            AskError::NobodyThere(_)
        ]
    ));
    // What was asked and not done is on record once, at the manager that refused it, with what stood against it.
    let record = |decision: &Decision| {
        assert_eq!(
            (decision.outcome, decision.action),
            (Outcome::NotTaken, ActionKind::None)
        );
        assert_eq!((decision.guards.len(), decision.evidence.len()), (1, 1));
        let guard = &decision.guards[0];
        assert!(!guard.lets_pass(), "{decision:?}");
        format!("{} ({})", decision.why, guard.guard.as_str())
    };
    let refused: Vec<String> = world.manager.explain(&subject("manager")).map(record).collect();
    let expected = [
        "x asked to retry h9/docker/web: refused, the tree has no such subject (order_valid)",
        "x asked to retry h1/docker/nothing: refused, the tree has no such subject (order_valid)",
        "x asked to hold h1: refused, a hold lasts from 1 s",
        "x asked to retry h1/docker/web: refused, nobody stands over it just now: h1 is AGENT LOST",
    ];
    assert_eq!(refused.len(), expected.len(), "{refused:?}");
    for (refused, expected) in refused.iter().zip(expected) {
        assert!(refused.starts_with(expected), "{refused}");
    }
    for text in ["h9/docker/web", "h1/docker/nothing", "h1", "h1/docker/web"] {
        assert_eq!(world.manager.explain(&subject(text)).count(), 0, "{text}");
    }
}

fn hello_frame(world: &mut World, text: &str) -> Envelope {
    let its_now = world.now;
    let settings = FrontendSettings {
        identity: identity(text, Tier::Host, 1),
        capabilities: Capabilities(1),
        scope: subject(text),
        beat_wanted: Duration::from_millis(500),
        look_at: Vec::new(),
    };
    let mut frontend = Frontend::new(settings, its_now);
    frontend.handle(its_now, FrontendInput::Up);
    frontend.poll_envelope().unwrap()
}

#[test]
fn a_stolen_name_a_clone_and_a_replay_are_refused_counted_and_change_nothing() {
    let mut world = World::of(2);
    let hosts = |world: &World| world.shown().split_off(1);
    let before = hosts(&world);
    // h2's key, h1's name.
    let stolen = hello_frame(&mut world, "h1");
    world.receive(
        Peer {
            name: name("h2"),
            connection: 77,
        },
        stolen,
    );
    // A second machine with h1's name and key.
    let mut clone = hello_frame(&mut world, "h1");
    if let Message::Hello(hello) = &mut clone.message {
        hello.identity.node_id = NodeId([99; 16]);
    }
    world.receive(
        Peer {
            name: name("h1"),
            connection: 78,
        },
        clone,
    );
    // A replay of h1's first frame.
    let mut replay = hello_frame(&mut world, "h1");
    replay.header.seq = 1;
    world.receive(
        Peer {
            name: name("h1"),
            connection: 79,
        },
        replay,
    );
    assert_eq!(hosts(&world), before);
    let refused: Vec<_> = world
        .manager
        .refused()
        .iter()
        .map(|(reason, count)| (*reason, *count))
        .collect();
    assert_eq!(
        refused,
        [(Refusal::StolenName, 1), (Refusal::Clone, 1), (Refusal::ReplayedSeq, 1)]
    );
    assert!(world.manager.conditions().is_bad("clone"));
    world.run_ms(10_000);
    assert!(world.opened.is_empty());
    assert_eq!(world.state("h1"), State::Ok);
}

#[test]
fn a_doubled_frame_is_refused_and_changes_nothing() {
    let mut world = World::of(1);
    let peer = Peer {
        name: name("h1"),
        connection: world.host("h1").connection,
    };
    world.host("h1").held_back = true;
    world.report("h1/docker/web", State::Down);
    let frames: Vec<Envelope> = world.host("h1").queue.drain(..).collect();
    world.host("h1").held_back = false;
    for frame in frames.iter().chain(&frames) {
        world.receive(peer.clone(), frame.clone());
    }
    assert_eq!(world.state("h1/docker/web"), State::Down);
    assert!(world.manager.refused().contains_key(&Refusal::ReplayedSeq));
}

#[test]
fn a_wiped_state_folder_is_not_locked_out() {
    let mut world = World::of(1);
    world.host("h1").frozen = true;
    world.run_ms(5000);
    // The fresh life counts epochs and frames from 1 again: only a new node id makes it another node.
    let mut fresh = hello_frame(&mut world, "h1");
    if let Message::Hello(hello) = &mut fresh.message {
        hello.identity.node_id = NodeId([42; 16]);
    }
    world.receive(
        Peer {
            name: name("h1"),
            connection: 5,
        },
        fresh,
    );
    assert_eq!(
        world.manager.host(&name("h1")).unwrap().hello().identity.node_id,
        NodeId([42; 16])
    );
}

#[test]
fn a_verdict_outside_the_own_scope_is_refused() {
    let mut world = World::of(2);
    let peer = Peer {
        name: name("h1"),
        connection: world.host("h1").connection,
    };
    world.host("h1").held_back = true;
    world.report("h1/docker/web", State::Down);
    let mut frame = world.host("h1").queue.pop().unwrap();
    if let Message::Report(report) = &mut frame.message {
        report.verdicts[0].subject = subject("h2/docker/web");
    }
    world.receive(peer, frame);
    assert_eq!(world.manager.refused().get(&Refusal::OutOfScope), Some(&1));
    assert_eq!(world.state("h2/docker/web"), State::Ok);
}
