//! Orders at the container role, the node that restarts: each is carried out at most once, and one that is late, old or
//! for another not at all.

use expect_test::expect;
use watchtree_core::container::HealMode;
use watchtree_core::container::io::ContainerInput;
use watchtree_core::id::{BootId, NodeName};
use watchtree_core::message::OrderInput;
use watchtree_core::order::{Order, Verb};
use watchtree_core::subject::Incarnation;
use watchtree_core::time::Duration;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};

/// A crash loop at its limit, under a manager of term 7.
fn at_the_limit() -> Scene {
    let mut w = Scene::with(&["a"]);
    w.does("a runs for 500ms, a exits 1, 1m, a runs on");
    let lasts = Duration::from_secs(1);
    let order = Order {
        term: 7,
        ..w.an_order(1, "a", Verb::Hold { lasts })
    };
    w.input(ContainerInput::Order(OrderInput { order, local: false }));
    w.does("2s").outcome();
    w.story_begins();
    w
}

fn gives(w: &mut Scene, order: &Order, local: bool) {
    let order = order.clone();
    w.input(ContainerInput::Order(OrderInput { order, local }));
}

/// A second one of that name is answered alike, whatever is in it: here the answer can be seen.
#[test]
fn an_order_that_is_late_old_or_for_another_restarts_nothing() {
    type Spoil = fn(&mut Order);
    let cases: [(&str, Spoil); 6] = [
        ("as it should be", |_| {}),
        ("of an older term", |it| it.term = 6),
        ("for another node", |it| {
            it.target = NodeName::new("h2.docker.watchdog").unwrap()
        }),
        ("of another boot", |it| it.boot_id = BootId([9; 16])),
        ("expired", |it| {
            it.expires = it.expires.saturating_sub(Duration::from_secs(31))
        }),
        ("of another incarnation", |it| {
            it.incarnation = Incarnation::container("another", "2020")
        }),
    ];
    let play = |(_, spoil): (&str, Spoil)| {
        let mut w = at_the_limit();
        let mut order = Order {
            term: 7,
            ..w.an_order(2, "a", Verb::Retry)
        };
        spoil(&mut order);
        gives(&mut w, &order, false);
        let decided = w.decided().iter().rfind(|it| it.why.contains("retry")).unwrap().clone();
        gives(&mut w, &order, true);
        w.does("10s");
        let answer = w.local_answers().last().unwrap().clone();
        assert_eq!(answer.id, order.id);
        format!(
            "{}, {:?}; {}; {}",
            decided.outcome.as_str(),
            answer.result,
            w.outcome(),
            decided.why
        )
    };
    outcomes(cases, play).tells(expect![[r#"
        as it should be: succeeded, Ok(()); start a; a running OK; a test asked to retry h1/docker/a
        of an older term: not_taken, Err(StaleTerm); no call; a exited GIVEN UP; a test asked to retry h1/docker/a: refused (stale_term)
        for another node: not_taken, Err(WrongTarget); no call; a exited GIVEN UP; a test asked to retry h1/docker/a: refused (wrong_target)
        of another boot: not_taken, Err(OtherBoot); no call; a exited GIVEN UP; a test asked to retry h1/docker/a: refused (other_boot)
        expired: not_taken, Err(Expired); no call; a exited GIVEN UP; a test asked to retry h1/docker/a: refused (expired)
        of another incarnation: not_taken, Err(OtherIncarnation); no call; a exited GIVEN UP; a test asked to retry h1/docker/a: refused (other_incarnation)
    "#]]);
}

/// Also by a watchdog that was killed meanwhile.
#[test]
fn a_retry_that_comes_twice_starts_once() {
    let mut w = at_the_limit();
    let order = Order {
        incarnation: w.incarnation("a"),
        term: 7,
        ..w.an_order(2, "a", Verb::Retry)
    };
    for script in ["10s", "10s", "10s, watchdog killed, watchdog started, 1s", "10s"] {
        gives(&mut w, &order, false);
        w.does(script);
    }
    expect!["start a; a running OK"].assert_eq(&w.outcome());
}

#[test]
fn a_retry_of_what_is_only_watched_is_refused_with_the_reason() {
    let mut w = Scene::new();
    w.settings().heal = HealMode::Observe;
    w.create("a", |_| {});
    w.watched().does("a exits 1, 5s, retry a, 5s").tells(expect![[r#"
        0.000  happens  a exits 1
        0.003  seen     a: die, exit code 1
        0.003  decided  a: exited (1): observe-only; enabled blocked
        0.003  told     a DOWN: exited (1): observe-only
        5.000  happens  retry a
        5.000  decided  @watchdog: a test asked to retry h1/docker/a: refused (not_applicable); order_valid blocked: not_applicable: h1/docker/a is watched and not healed here: observe-only, h1/docker/a is watched and not healed here: observe-only
        5.000  told     the person: refused, not_applicable; h1/docker/a is watched and not healed here: observe-only
    "#]]);
}
