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
    w.does("a gets label watchtree.budget=5/10m, 1s, a runs for 500ms, a exits 1, 1m, a runs on");
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

/// What ended before anybody watched it may have been stopped by a person: only who names it can mean it.
#[test]
fn a_retry_of_a_whole_engine_starts_nothing_that_a_person_may_have_stopped() {
    let mut w = Scene::new();
    ["old", "loop", "new"].iter().for_each(|name| w.create(name, |_| {}));
    w.does("docker stop old, 1s");
    let mut w = w.watched();
    w.does("loop runs for 500ms, loop exits 1, docker stop new, 1m, loop runs on")
        .outcome();
    let mut engine = w.an_order(9, "old", Verb::Retry);
    engine.subject = engine.subject.parent().expect("an engine");
    gives(&mut w, &engine, true);
    let whole = w.does("10s").outcome();
    w.does("retry old, 10s");
    let begun = w
        .decided()
        .iter()
        .rfind(|it| it.action == watchtree_core::decision::ActionKind::Start);
    let guards = &begun.expect("a start").guards[..3];
    let guards = guards
        .iter()
        .map(|it| format!("{} {}: {}\n", it.guard.as_str(), it.verdict.as_str(), it.detail));
    let guards: String = guards.collect();
    let answers: String = w.local_answers().iter().map(|it| format!("{}\n", it.detail)).collect();
    let by_name = w.outcome();
    expect![[r#"
        start loop; old exited UNKNOWN; loop running OK; new exited STOPPED
        start old; old running OK; loop running OK; new exited STOPPED
        the budget of 1 subject(s) was given back; trying now; 1 that ended unseen, perhaps by a person, can only be tried by name
        the budget of 1 subject(s) was given back; trying now
        operator_intent not_asked: nothing tells whether a person stopped it
        meant_to_run not_asked: nobody saw it run
        enabled passed: all containers are healed
    "#]].assert_eq(&format!("{whole}\n{by_name}\n{answers}{guards}"));
}
