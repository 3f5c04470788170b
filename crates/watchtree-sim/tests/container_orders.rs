//! Orders at the container role, the node that restarts: each is carried out at most once, and one that is late, old or
//! for another not at all.

use watchtree_core::container::io::*;
use watchtree_core::decision::Outcome;
use watchtree_core::id::{BootId, NodeName};
use watchtree_core::message::OrderInput;
use watchtree_core::order::{Order, OrderRefusal, Verb};
use watchtree_core::subject::Incarnation;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;

#[test]
fn an_order_that_is_late_old_or_for_another_restarts_nothing() {
    let mut w = Scene::with(&["a"]);
    w.dies_after_start("a", Some(500));
    w.crash("a", 1);
    while w.state("a") != Some(State::GivenUp) {
        w.run(10);
    }
    let starts = w.starts("a");
    let now = w.moment();
    let retry = |w: &Scene, id| w.an_order(id, "a", Verb::Retry);
    let hold = Verb::Hold {
        lasts: Duration::from_secs(1),
    };
    let newer = Order {
        term: 7,
        ..w.an_order(1, "a", hold)
    };
    w.input(ContainerInput::Order(OrderInput {
        order: newer,
        local: false,
    }));
    let cases = [
        (
            OrderRefusal::StaleTerm,
            Order {
                term: 6,
                ..retry(&w, 2)
            },
        ),
        (
            OrderRefusal::WrongTarget,
            Order {
                target: NodeName::new("h2.docker.watchdog").unwrap(),
                term: 7,
                ..retry(&w, 3)
            },
        ),
        (
            OrderRefusal::OtherBoot,
            Order {
                boot_id: BootId([9; 16]),
                term: 7,
                ..retry(&w, 4)
            },
        ),
        (
            OrderRefusal::Expired,
            Order {
                expires: now.saturating_sub(Duration::from_millis(1)),
                term: 7,
                ..retry(&w, 5)
            },
        ),
        (
            OrderRefusal::OtherIncarnation,
            Order {
                incarnation: Incarnation::container("another", "2020"),
                term: 7,
                ..retry(&w, 6)
            },
        ),
    ];
    w.run(2000);
    for (refusal, order) in cases {
        let id = order.id;
        w.input(ContainerInput::Order(OrderInput {
            order: order.clone(),
            local: false,
        }));
        let told = w.decided().last().unwrap();
        assert!(
            told.outcome == Outcome::NotTaken && told.why.contains(refusal.as_str()),
            "{told:?}"
        );
        // A second one of that name is answered alike, whatever is in it: here the answer can be seen.
        w.input(ContainerInput::Order(OrderInput { order, local: true }));
        let answer = w.local_answers().last().unwrap();
        assert_eq!((answer.id, answer.result), (id, Err(refusal)));
        w.run(2000);
        assert_eq!(w.starts("a"), starts, "{refusal:?}");
    }
}

#[test]
fn a_retry_that_comes_twice_starts_once() {
    let mut w = Scene::with(&["a"]);
    w.dies_after_start("a", Some(500));
    w.crash("a", 1);
    while w.state("a") != Some(State::GivenUp) {
        w.run(10);
    }
    let starts = w.starts("a");
    w.dies_after_start("a", None);
    let life = w.incarnation("a");
    let order = Order {
        incarnation: life,
        ..w.an_order(1, "a", Verb::Retry)
    };
    for _ in 0..3 {
        w.input(ContainerInput::Order(OrderInput {
            order: order.clone(),
            local: false,
        }));
        w.run(10_000);
    }
    // Also by a watchdog that was killed meanwhile.
    w.kill_agent();
    w.start_agent();
    w.run(1000);
    w.input(ContainerInput::Order(OrderInput { order, local: false }));
    w.run(10_000);
    assert_eq!((w.starts("a"), w.state("a")), (starts + 1, Some(State::Ok)));
}

#[test]
fn a_retry_of_what_is_only_watched_is_refused_with_the_reason() {
    let mut w = Scene::new();
    w.settings().heal = watchtree_core::container::HealMode::Observe;
    w.create("a", |_| {});
    w.start_agent();
    w.run(5000);
    w.crash("a", 1);
    w.run(5000);
    w.order(1, "a", Verb::Retry, true);
    w.run(5000);
    let answer = w.local_answers().last().unwrap();
    assert_eq!(answer.result, Err(OrderRefusal::NotApplicable));
    assert!(answer.detail.contains("observe-only"), "{answer:?}");
    assert!(w.calls().is_empty(), "{:?}", w.calls());
}
