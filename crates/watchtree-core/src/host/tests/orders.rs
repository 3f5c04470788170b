//! Orders: passed down, carried out here, holds, and what is recorded of them.

use super::*;

fn order(verb: Verb, text: &str, id: u8, now: Moment) -> Order {
    Order {
        id: [id; 16],
        target: name("h1"),
        subject: subject(text),
        incarnation: Incarnation::default(),
        verb,
        term: 5,
        boot_id: BootId([1; 16]),
        expires: now + Duration::from_secs(10),
        asked_by: "uid 0".to_string(),
    }
}

fn results(world: &World) -> Vec<Result<(), OrderRefusal>> {
    let answers = world.up.iter().filter_map(|envelope| match &envelope.message {
        Message::OrderResult(answer) => Some(answer.result),
        _ => None,
    });
    answers.collect()
}

#[test]
fn an_order_for_a_child_is_forwarded_byte_for_byte() {
    let mut world = World::settled();
    world.join_manager();
    let signed = SignedOrder {
        bytes: vec![1, 2, 3],
        key_id: "k".to_string(),
        signature: vec![4; 64],
    };
    world.manager_sends(2, Some("h1.docker.watchdog"), Message::Order(signed.clone()));
    assert_eq!(world.orders_down.len(), 1);
    assert_eq!(world.orders_down[0].message, Message::Order(signed.clone()));
    assert_eq!(world.orders_down[0].header.target, Some(name("h1.docker.watchdog")));
    // A replay of the frame is refused by its seq.
    world.manager_sends(2, Some("h1.docker.watchdog"), Message::Order(signed.clone()));
    assert_eq!(world.orders_down.len(), 1);
    // One for nobody goes nowhere.
    world.manager_sends(3, Some("h9.docker.watchdog"), Message::Order(signed));
    assert_eq!(world.orders_down.len(), 1);
}

#[test]
fn orders_are_checked_and_carried_out_once() {
    let mut world = World::settled();
    world.join_manager();
    world.up.clear();
    let now = world.now;
    let hold = Verb::Hold {
        lasts: Duration::from_secs(30),
    };
    let good = order(hold.clone(), "h1", 1, now);
    let cases = [
        good.clone(),
        good,
        Order {
            boot_id: BootId([8; 16]),
            ..order(hold.clone(), "h1", 2, now)
        },
        Order {
            expires: Moment::from_micros(now.as_micros() - 1),
            ..order(hold.clone(), "h1", 3, now)
        },
        Order {
            term: 4,
            ..order(hold.clone(), "h1", 4, now)
        },
        order(hold.clone(), "h1/docker/web", 5, now),
        Order {
            target: name("h2"),
            ..order(hold.clone(), "h1", 6, now)
        },
        Order {
            incarnation: Incarnation("another life".to_string()),
            ..order(hold, "h1", 7, now)
        },
    ];
    for order in cases {
        world.feed(HostInput::Order(OrderInput { order, local: false }));
    }
    assert_eq!(
        results(&world),
        [
            Ok(()),
            Ok(()),
            Err(OrderRefusal::OtherBoot),
            Err(OrderRefusal::Expired),
            Err(OrderRefusal::StaleTerm),
            Err(OrderRefusal::UnknownSubject),
            Err(OrderRefusal::WrongTarget),
            Err(OrderRefusal::OtherIncarnation)
        ]
    );
    assert_eq!(
        world.count("decided hold succeeded"),
        1,
        "complete, and once: {:?}",
        world.told
    );
    let refused = world
        .host
        .explain(&subject("h1"))
        .filter(|it| it.outcome == Outcome::NotTaken);
    assert_eq!(refused.count(), 6, "each at the watchdog that refused it");
    assert!(world.host.explain(&subject("h1/docker/web")).next().is_none());
}

#[test]
fn a_hold_of_no_time_is_refused_and_the_last_moment_of_an_order_counts() {
    let mut world = World::settled();
    world.join_manager();
    world.up.clear();
    let now = world.now;
    for (id, lasts) in [(1, 0), (2, 5)] {
        let lasts = Duration::from_secs(lasts);
        let order = Order {
            expires: now,
            ..order(Verb::Hold { lasts }, "h1", id, now)
        };
        world.feed(HostInput::Order(OrderInput { order, local: false }));
    }
    assert_eq!(results(&world), [Err(OrderRefusal::NotApplicable), Ok(())]);
}

/// Each guard of a record with its answer, in order.
fn guards(world: &World, of: usize) -> Vec<(Guard, GuardVerdict)> {
    let watchdog = subject("h1/docker/@watchdog");
    let records: Vec<_> = world.host.explain(&watchdog).collect();
    let guards = records[records.len() - of].guards.iter();
    guards.map(|it| (it.guard, it.verdict)).collect()
}

#[test]
fn a_record_says_of_each_guard_whether_it_was_asked_and_who_set_it_aside() {
    use GuardVerdict::{Blocked, NotAsked, Passed, Waived};
    let answers = |observer, rest: [GuardVerdict; 6]| {
        let order = [
            Guard::Hold,
            Guard::HostShutdown,
            Guard::Budget,
            Guard::Backoff,
            Guard::Budget,
            Guard::InFlight,
        ];
        let rest = order.into_iter().zip(rest);
        [(Guard::Observer, observer)]
            .into_iter()
            .chain(rest)
            .collect::<Vec<_>>()
    };
    let mut world = World::settled();
    hold(&mut world, 3000, 1);
    world.kill(ChildExit::Signal(9));
    let blocked = answers(NotAsked, [Blocked, NotAsked, NotAsked, NotAsked, NotAsked, NotAsked]);
    assert_eq!(guards(&world, 1), blocked);
    give(&mut world, Verb::Retry, "h1/docker", 2);
    assert_eq!(world.count(" STARTED"), 1, "a person's retry goes before a hold");
    let waived = answers(NotAsked, [Waived, Passed, Passed, Passed, Passed, Passed]);
    assert_eq!(guards(&world, 1), waived);
    let watchdog = subject("h1/docker/@watchdog");
    let record = world.host.explain(&watchdog).last().unwrap();
    assert!(
        record.guards[1].detail.ends_with("; waived by uid 0"),
        "{:?}",
        record.guards
    );
    assert!(
        record.why.contains("nobody here asked it to end") && record.why.contains("(asked for by uid 0)"),
        "the cause that was found stays: {}",
        record.why
    );
}

#[test]
fn a_replayed_order_frame_is_refused_whatever_it_orders() {
    let mut world = World::settled();
    world.join_manager();
    world.up.clear();
    let now = world.now;
    let header = |seq| Header {
        origin: name("manager"),
        target: Some(name("h1")),
        boot_id: BootId([9; 16]),
        agent_epoch: AgentEpoch(1),
        seq,
        sent: now,
        slot: now,
        hops_left: 8,
        trace: 0,
    };
    let (refused_before, _) = world.host.frontend().counters();
    for (seq, id) in [(1000, 1), (1000, 2), (999, 3), (1001, 4)] {
        world.feed(HostInput::OrderFrame(OrderFrame {
            header: header(seq),
            checked: Ok(order(Verb::Retry, "h1", id, now)),
        }));
    }
    assert_eq!(results(&world), [Ok(()), Ok(())], "the first and the last");
    let (refused, _) = world.host.frontend().counters();
    assert_eq!(refused - refused_before, 2);
    let answer = OrderAnswer {
        id: [0; 16],
        result: Err(OrderRefusal::BadSignature),
        detail: String::new(),
    };
    for seq in [1001, 1002] {
        world.feed(HostInput::OrderFrame(OrderFrame {
            header: header(seq),
            checked: Err(answer.clone()),
        }));
    }
    assert_eq!(results(&world)[2..], [Err(OrderRefusal::BadSignature)], "told once");
}

#[test]
fn a_hold_keeps_the_watchdog_from_being_revived_and_ends_by_itself() {
    let mut world = World::settled();
    let hold = order(
        Verb::Hold {
            lasts: Duration::from_secs(30),
        },
        "h1/docker",
        1,
        world.now,
    );
    world.feed(HostInput::Order(OrderInput {
        order: hold,
        local: true,
    }));
    assert_eq!(world.local.len(), 1);
    assert!(
        world
            .host
            .frontend()
            .verdict(&subject("h1/docker/@watchdog"))
            .unwrap()
            .held
    );
    world.kill(ChildExit::Signal(9));
    world.run_ms(29_000);
    assert_eq!(world.count(" STARTED"), 0);
    assert!(world.told.iter().any(|line| line.contains("decided none not_taken")));
    world.run_ms(2000);
    assert_eq!(world.count(" STARTED"), 1);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
}

#[test]
fn release_and_retry_start_at_once() {
    let mut world = World::settled();
    let hold = order(
        Verb::Hold {
            lasts: Duration::from_secs(3000),
        },
        "h1",
        1,
        world.now,
    );
    world.feed(HostInput::Order(OrderInput {
        order: hold,
        local: true,
    }));
    world.kill(ChildExit::Signal(9));
    let release = order(Verb::Release, "h1", 2, world.now);
    world.feed(HostInput::Order(OrderInput {
        order: release,
        local: true,
    }));
    assert_eq!(world.count(" STARTED"), 1);
    world.run_ms(1000);
    world.unfit = Some(ChildExit::Code(2));
    world.kill(ChildExit::Code(2));
    assert_eq!(world.state("h1/docker/@watchdog"), State::GivenUp);
    world.unfit = None;
    let retry = order(Verb::Retry, "h1/docker/@watchdog", 3, world.now);
    world.feed(HostInput::Order(OrderInput {
        order: retry,
        local: true,
    }));
    world.run_ms(1000);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
}

pub(super) fn give(world: &mut World, verb: Verb, on: &str, id: u8) {
    let order = order(verb, on, id, world.now);
    world.feed(HostInput::Order(OrderInput { order, local: true }));
}

fn hold(world: &mut World, seconds: u64, id: u8) {
    let lasts = Duration::from_secs(seconds);
    give(world, Verb::Hold { lasts }, "h1", id);
}

#[test]
fn a_child_that_is_well_again_during_a_hold_lives() {
    let mut world = World::settled();
    hold(&mut world, 60, 1);
    let pid = world.pid();
    world.process().frozen = true;
    world.run_ms(10_000);
    assert_eq!(world.count("Kill"), 0);
    world.process().frozen = false;
    world.run_ms(2000);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
    world.run_ms(120_000);
    assert_eq!((world.pid(), world.count("Kill")), (pid, 0));
}

#[test]
fn a_child_that_hangs_is_killed_soon_after_the_release() {
    let mut world = World::settled();
    hold(&mut world, 3000, 1);
    world.process().frozen = true;
    world.run_ms(10_000);
    assert_eq!(world.count("Kill"), 0);
    give(&mut world, Verb::Release, "h1", 2);
    world.run_ms(3000);
    assert_eq!((world.count("Kill"), world.count(" STARTED")), (1, 1));
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
}

#[test]
fn a_retry_that_a_hold_put_off_follows_its_end() {
    for released in [true, false] {
        let mut world = World::settled();
        world.unfit = Some(ChildExit::Code(2));
        world.kill(ChildExit::Code(2));
        assert_eq!(world.state("h1/docker/@watchdog"), State::GivenUp);
        hold(&mut world, 3000, 1);
        world.unfit = None;
        world.run_ms(120_000);
        assert_eq!(world.count(" STARTED"), 0);
        if released {
            give(&mut world, Verb::Release, "h1", 2);
        } else {
            // Shorter than the first one.
            hold(&mut world, 5, 2);
            world.run_ms(4000);
            assert_eq!(world.count(" STARTED"), 0);
        }
        world.run_ms(2000);
        assert_eq!(world.state("h1/docker/@watchdog"), State::Ok, "{released}");
    }
}

#[test]
fn a_release_hastens_no_retry_that_it_did_not_put_off() {
    let mut world = World::settled();
    world.unfit = Some(ChildExit::Code(2));
    world.kill(ChildExit::Code(2));
    hold(&mut world, 3000, 1);
    give(&mut world, Verb::Release, "h1", 2);
    world.run_ms(1000);
    assert_eq!(world.count(" STARTED"), 0);
    assert_eq!(world.state("h1/docker/@watchdog"), State::GivenUp);
}
