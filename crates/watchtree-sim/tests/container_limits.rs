//! The container role against a model engine: budgets, refusals, lost answers, orders, labels, deployments, shutdown.

use watchtree_core::container::io::*;
use watchtree_core::decision::Outcome;
use watchtree_core::machine::Machine;
use watchtree_core::order::{OrderRefusal, Verb};
use watchtree_core::supervisor::{FleetLimits, FleetPolicy};
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::state::engine::{Check, Program, Spec};

#[test]
fn exited_at_first_sight_is_reported_only() {
    let mut w = Scene::new();
    w.create("a", |_| {});
    w.crash("a", 1);
    w.run(1000);
    w.start_agent();
    w.run(30_000);
    assert!(w.calls().is_empty());
    assert_eq!(w.state("a"), Some(State::Unknown), "{}", w.why("a"));
}

#[test]
fn a_refused_start_backs_off_and_a_hopeless_one_is_not_repeated() {
    let mut w = Scene::with(&["a", "b"]);
    w.refuses(
        "a",
        Some("joining network namespace of container: No such container: abc"),
    );
    w.refuses("b", Some("driver failed"));
    w.crash("a", 1);
    w.crash("b", 1);
    w.run(30_000);
    assert_eq!(
        w.calls().iter().filter(|it| it.ends_with('a')).count(),
        1,
        "{}",
        w.why("a")
    );
    assert_eq!(
        w.calls().iter().filter(|it| it.ends_with('b')).count(),
        5,
        "{}",
        w.why("b")
    );
    assert_eq!(
        (w.state("a"), w.state("b")),
        (Some(State::GivenUp), Some(State::GivenUp))
    );
}

/// A check that passes, with a start period of so many seconds.
fn passing_check(secs: u64) -> Check {
    Check {
        start_period: Duration::from_secs(secs),
        ..Check::default()
    }
}

/// A container that joins the network of another.
fn app_behind_vpn() -> Scene {
    let mut w = Scene::with(&["app", "vpn"]);
    w.remake("app", |it| it.joins = Some(Scene::id("vpn")));
    w.run(1000);
    w
}

/// The engine refuses it while the other is away: that is no try of its own, however long it lasts.
#[test]
fn one_whose_network_is_away_waits_for_it_and_keeps_its_budget() {
    for (away_secs, by_person) in [(1, true), (5, true), (3000, true), (60, false)] {
        let mut w = app_behind_vpn();
        if by_person {
            w.docker_stop("vpn", 10);
        } else {
            w.docker_update("vpn", RestartPolicy::Always);
            w.backs_off("vpn", 60_000);
            w.run(1000);
            w.crash("vpn", 1);
        }
        w.run(500);
        w.crash("app", 1);
        w.run(away_secs * 1000 - 600);
        let what = format!(
            "{away_secs} s, by a person: {by_person}: {:?} {}",
            w.calls(),
            w.why("app")
        );
        assert!(w.calls().is_empty(), "{what}");
        assert_eq!(w.state("app"), Some(State::Down), "{what}");
        if by_person {
            w.docker_start("vpn");
        }
        w.run(1000);
        let what = format!(
            "{away_secs} s, by a person: {by_person}: {:?} {}",
            w.calls(),
            w.why("app")
        );
        assert_eq!(w.calls(), ["Start app"], "{what}");
        assert!(w.running("app"), "{what}");
    }
}

#[test]
fn one_whose_network_is_gone_for_good_is_given_up() {
    let mut w = app_behind_vpn();
    w.docker_stop("vpn", 10);
    w.run(500);
    w.crash("app", 1);
    w.run(5000);
    w.docker_rm_f("vpn");
    w.run(60_000);
    assert_eq!(w.calls(), ["Start app"], "{}", w.why("app"));
    assert_eq!(w.state("app"), Some(State::GivenUp), "{}", w.why("app"));
    assert!(w.why("app").contains("No such container"), "{}", w.why("app"));
}

/// Two of one network die at once: which is started first is left to chance, and the second must not be lost for it.
#[test]
fn one_that_joins_anothers_network_comes_back_after_it() {
    for down_for in [0, 300, 100_000] {
        let mut w = app_behind_vpn();
        w.refuses("vpn", (0 < down_for).then_some("not yet"));
        w.crash("app", 1);
        w.crash("vpn", 1);
        w.run(down_for);
        w.refuses("vpn", None);
        // After a long time without the other, the slow retry finds it.
        w.run(if 1000 < down_for { 1_300_000 } else { 20_000 });
        assert!(
            w.running("vpn") && w.running("app"),
            "{down_for}: {:?} {} / {}",
            w.calls(),
            w.why("app"),
            w.why("vpn")
        );
    }
}

#[test]
fn a_start_whose_connection_broke_is_not_posted_again_where_it_was_done() {
    let mut w = Scene::with(&["a"]);
    w.api().starts_break(true);
    w.crash("a", 1);
    w.run(250);
    let last = w.decided().last().unwrap();
    assert_eq!(
        last.outcome,
        Outcome::Verifying,
        "its new life is seen at once: {}",
        last.result
    );
    w.run(20_000);
    assert_eq!(w.calls(), ["Start a"]);
    assert_eq!(w.state("a"), Some(State::Ok), "{}", w.why("a"));
}

#[test]
fn a_retry_does_not_wait_for_the_grace() {
    let mut w = Scene::with(&["a"]);
    w.remake("a", |it| it.check = Some(passing_check(60)));
    w.crash("a", 1);
    w.run(10_000);
    w.health("a", Health::Unhealthy);
    w.run(2000);
    assert_eq!(w.calls(), ["Start a"], "inside its grace: {}", w.why("a"));
    w.order(1, "a", Verb::Retry, true);
    w.run(1000);
    assert_eq!(
        w.calls(),
        ["Start a", "Stop { timeout_secs: 10 } a", "Start a"],
        "{}",
        w.why("a")
    );
}

#[test]
fn a_lost_answer_is_looked_after_and_never_posted_again() {
    let mut w = Scene::with(&["a"]);
    w.api().calls_hang(true);
    w.crash("a", 1);
    w.run(60_000);
    assert_eq!(w.calls(), ["Start a"]);
    assert_eq!(w.state("a"), Some(State::Ok), "{}", w.why("a"));
}

/// A stream that is lost for good looks like an engine that went, and may be a ring that was too small.
#[test]
fn a_lost_start_is_looked_after_when_the_events_are_lost_too() {
    let mut w = Scene::with(&["a"]);
    w.slow_start("a", 600_000);
    w.crash("a", 1);
    w.run(1000);
    assert_eq!(w.calls(), ["Start a"]);
    let (ticket, mut now) = (Ticket(1), w.moment());
    let mut agent = w.take_agent();
    let mut tell = |now: Moment, input: Option<ContainerInput>| {
        match input {
            Some(input) => agent.handle(now, input),
            None => agent.handle_timeout(now),
        }
        let effects: Vec<_> = std::iter::from_fn(|| agent.poll_effect()).collect();
        let looks = effects.iter().any(|it| matches!(it, ContainerEffect::Inspect { .. }));
        let posts = effects.iter().any(|it| matches!(it, ContainerEffect::Perform { .. }));
        (looks, posts)
    };
    let inspected = |result| {
        Some(ContainerInput::Inspected {
            id: Scene::id("a"),
            result,
        })
    };
    let result = Err(EngineError::Deadline);
    tell(now, Some(ContainerInput::Performed { ticket, result }));
    // One was under way, and one follows for what came meanwhile.
    while tell(now, inspected(Ok(w.inspect("a")))).0 {}
    tell(now, Some(ContainerInput::StreamEnded { why: "cut".into() }));
    tell(now, Some(ContainerInput::StreamOpened));
    now += Duration::from_secs(2);
    assert_eq!(tell(now, None), (true, false), "a look first");
    // Inspect waits while the engine is at it.
    let (_, posts) = tell(now, inspected(Err(EngineError::Deadline)));
    assert!(!posts);
    now += Duration::from_secs(5);
    tell(now, None);
    let entry = ListEntry {
        id: Scene::id("a"),
        name: "a".into(),
        run: RunState::Exited,
        health: Health::None,
    };
    let listed = ContainerInput::Listed(Ok(vec![entry]));
    assert_eq!(tell(now, Some(listed)), (true, false), "and again");
    let (_, posts) = tell(now, inspected(Ok(w.inspect("a"))));
    assert!(posts, "it is over, and did nothing");
}

#[test]
fn lost_answers_do_not_stop_the_healing_of_others() {
    let names: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut w = Scene::with(&names);
    let parallel = w.settings().fleet_policy.parallel as usize;
    w.api().calls_hang(true);
    names[..parallel].iter().for_each(|name| w.crash(name, 1));
    w.run(20_000);
    assert_eq!(w.calls().len(), parallel);
    w.api().calls_hang(false);
    w.crash(names[parallel], 1);
    w.run(5000);
    assert!(!w.running(names[parallel]), "it waits for its turn");
    w.run(6000);
    assert!(w.running(names[parallel]), "{}", w.why(names[parallel]));
    assert_eq!(w.calls().len(), parallel + 1);
}

/// A `/stop` with a long timeout holds its place for as long.
#[test]
fn a_long_wait_for_a_turn_is_recorded() {
    let mut w = Scene::new();
    w.settings().fleet_policy = FleetPolicy::new(FleetLimits {
        parallel: 1,
        ..FleetLimits::default()
    })
    .expect("a policy");
    w.create("slow", |it| {
        it.program = Program::stubborn();
        it.stop_timeout = Some(Duration::from_secs(90));
    });
    w.create("b", |_| {});
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    w.health("slow", Health::Unhealthy);
    w.run(100);
    w.crash("b", 1);
    w.run(20_000);
    let waits = |w: &Scene| {
        w.decided()
            .iter()
            .filter(|it| it.subject == Scene::subject("b"))
            .count()
    };
    assert_eq!(waits(&w), 0, "a turn is waited for quietly");
    w.run(20_000);
    assert_eq!(waits(&w), 1, "{}", w.why("b"));
    w.run(60_000);
    assert!(w.running("b") && w.running("slow"), "{}", w.why("b"));
}

#[test]
fn many_at_once_are_one_repair() {
    let names: Vec<String> = (0..60).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut w = Scene::with(&names);
    names.iter().for_each(|name| w.crash(name, 137));
    w.run(20_000);
    assert!(names.iter().all(|name| w.running(name)));
    assert_eq!(w.calls().len(), 60);
}

#[test]
fn the_hosts_budget_holds_single_crashes_back() {
    let names: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut w = Scene::with(&names);
    for name in &names {
        w.crash(name, 1);
        w.run(6000);
    }
    assert_eq!(w.calls().len(), 30);
    w.run(600_000);
    assert!(names.iter().all(|name| w.running(name)), "they are not forgotten");
}

#[test]
fn holds_keep_repairs_away_and_end_by_themselves() {
    let mut w = Scene::with(&["a"]);
    w.order(
        1,
        "a",
        Verb::Hold {
            lasts: Duration::from_secs(60),
        },
        false,
    );
    w.crash("a", 1);
    w.run(30_000);
    assert!(w.calls().is_empty());
    w.kill_agent();
    w.start_agent();
    w.run(20_000);
    assert!(w.calls().is_empty(), "also after a restart");
    w.run(20_000);
    assert_eq!(w.calls(), ["Start a"], "{}", w.why("a"));
    // The same order again is answered alike and not carried out again.
    w.order(
        1,
        "a",
        Verb::Hold {
            lasts: Duration::from_secs(60),
        },
        true,
    );
    assert_eq!(w.local_answers().last().unwrap().result, Ok(()));
    assert_eq!(w.agent().unwrap().holds().count(), 0);
    w.order(2, "zz", Verb::Release, true);
    assert_eq!(
        w.local_answers().last().unwrap().result,
        Err(OrderRefusal::UnknownSubject)
    );
}

#[test]
fn labels_decide_and_bad_ones_are_named() {
    let mut w = Scene::new();
    w.settings().heal = watchtree_core::container::HealMode::Labelled;
    let label = |key: &str, value: &str| (key.to_string(), value.to_string());
    w.create("plain", |_| {});
    w.create("on", |it| {
        it.labels
            .extend([label("watchtree.enable", "true"), label("watchtree.budget", "many")])
    });
    w.create("auto", |it| {
        it.labels
            .extend([label("autoheal", "true"), label("autoheal.stop.timeout", "1")])
    });
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    assert_eq!(w.state("on"), Some(State::Degraded));
    for name in ["plain", "on", "auto"] {
        w.crash(name, 1);
    }
    w.run(20_000);
    assert_eq!(w.calls(), ["Start on"]);
    assert_eq!(w.state("plain"), Some(State::Down));
    w.docker_start("auto");
    w.run(20_000);
    w.health("auto", Health::Unhealthy);
    w.run(20_000);
    assert_eq!(w.calls()[1..], ["Stop { timeout_secs: 1 } auto", "Start auto"]);
}

#[test]
fn a_deployment_is_left_alone() {
    let mut w = Scene::new();
    let compose = |it: &mut Spec| {
        for (key, value) in [("project", "shop"), ("service", "web"), ("container-number", "1")] {
            it.labels.insert(format!("com.docker.compose.{key}"), value.into());
        }
    };
    w.create("shop-web-1", compose);
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    assert_eq!(
        w.agent().unwrap().verdicts().next().unwrap().subject.as_str(),
        "h1/docker/shop/web/1"
    );
    // compose v2: a new one under a temporary name, the old one is stopped and removed, the new one takes its name.
    let temporary = "0123456789ab_shop-web-1";
    w.create(temporary, compose);
    w.docker_stop("shop-web-1", 1);
    w.run(500);
    w.docker_rm_f("shop-web-1");
    w.crash(temporary, 1);
    w.run(20_000);
    assert!(w.calls().is_empty(), "{:?}", w.calls());
}

#[test]
fn equal_inputs_give_equal_effects() {
    let run = || {
        let mut w = Scene::with(&["a", "b"]);
        w.dies_after_start("a", Some(700));
        w.crash("a", 1);
        w.health("b", Health::Unhealthy);
        w.run(60_000);
        (w.calls().to_vec(), w.decided().to_vec(), w.records().to_vec())
    };
    assert_eq!(run(), run());
}

#[test]
fn hands_off_and_goodbye() {
    let mut w = Scene::with(&["a", "b"]);
    w.input(ContainerInput::HostShutdown);
    w.crash("a", 1);
    w.run(10_000);
    assert!(w.calls().is_empty());
    w.input(ContainerInput::Stop);
    assert!(w.stopped());
    let mut w = Scene::with(&["a"]);
    w.crash("a", 1);
    w.run(4);
    w.input(ContainerInput::Stop);
    assert!(!w.stopped(), "the call under way is waited for");
    w.run(300);
    assert!(w.stopped());
    w.kill_agent();
    w.start_agent();
    w.run(10_000);
    assert_eq!((w.starts("a"), w.state("a")), (1, Some(State::Ok)), "{}", w.why("a"));
}

/// Its incident must not close for a guard that puts the next try off.
#[test]
fn given_up_stays_given_up_while_the_watchdog_stops() {
    let mut w = Scene::with(&["a", "b"]);
    w.dies_after_start("a", Some(500));
    w.crash("a", 1);
    w.run(60_000);
    assert_eq!(w.state("a"), Some(State::GivenUp), "{}", w.why("a"));
    w.crash("b", 1);
    w.run(4);
    w.input(ContainerInput::Stop);
    assert!(!w.stopped(), "the call under way is waited for");
    w.touch("a");
    w.run(50);
    assert!(!w.stopped());
    assert_eq!(w.state("a"), Some(State::GivenUp), "{}", w.why("a"));
}

/// The engine stops every container as its machine goes down, by signals like a person's: they are to run after the boot.
#[test]
fn what_the_shutdown_of_the_machine_stopped_is_started_after_it() {
    let mut w = Scene::with(&["a"]);
    w.run(6000);
    w.input(ContainerInput::HostShutdown);
    w.docker_stop("a", 10);
    w.run(500);
    assert!(!w.running("a") && w.calls().is_empty());
    w.kill_agent();
    w.forge_flag("a", false);
    w.engine().forget_events();
    w.run(8000);
    w.start_agent();
    w.run(10_000);
    assert!(w.running("a"), "{}", w.why("a"));
}
