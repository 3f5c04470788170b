//! The container role against a model engine: what outlives a container, a watchdog, an engine or a shutdown, and whose
//! containers are left to others.

use watchtree_core::container::io::*;
use watchtree_core::order::Verb;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::state::engine::{Program, Verb as Person};

#[test]
fn what_others_own_is_reported_only() {
    for key in [
        "com.docker.swarm.task.id",
        "io.kubernetes.pod.name",
        "com.hashicorp.nomad.alloc_id",
    ] {
        let mut w = Scene::new();
        w.create("a", |it| {
            it.labels.insert(key.into(), String::new());
            it.labels.insert("watchtree.enable".into(), "true".into());
            it.labels.insert("autoheal".into(), "true".into());
        });
        w.run(60_000);
        w.start_agent();
        w.run(60_000);
        w.health("a", Health::Unhealthy);
        w.run(60_000);
        w.crash("a", 1);
        w.run(60_000);
        assert!(w.calls().is_empty(), "{key}: {:?}", w.calls());
        assert_eq!(w.state("a"), Some(State::Down), "{key}");
        assert!(w.why("a").contains("owned by"), "{}", w.why("a"));
        let said = w.decided().iter().filter(|it| format!("{it:?}").contains("owned by"));
        assert_eq!(said.count(), 1, "{key}: said once for that life");
    }
}

/// The new one takes the old one's name, whichever of the two is looked at first.
#[test]
fn two_that_are_renamed_at_once_go_by_their_new_names() {
    // By its event, and by the list, which begins with the other one.
    for heard in [true, false] {
        let mut w = Scene::with(&["web", "next"]);
        if !heard {
            w.cut_stream();
            w.engine().remember_events(0);
        }
        w.person("web", Person::Rename("old".into()));
        w.person("next", Person::Rename("web".into()));
        w.run(20_000);
        let ok = Some(State::Ok);
        assert_eq!(
            (w.state("web"), w.state("old"), w.state("next")),
            (ok, ok, None),
            "heard {heard}"
        );
        w.crash("next", 1);
        w.run(1000);
        assert_eq!(w.calls(), ["Start web"], "heard {heard}: {}", w.why("web"));
    }
}

#[test]
fn an_engine_that_takes_long_to_go_down_is_no_person() {
    let mut w = Scene::new();
    w.create("a", |_| {});
    w.create("slow", |it| {
        it.program = Program::stubborn();
        it.stop_timeout = Some(Duration::from_secs(60));
    });
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    w.docker_stop("a", 10);
    w.docker_stop("slow", 60);
    w.run(60_100);
    for name in ["a", "slow"] {
        w.forge_flag(name, false);
    }
    w.engine().forget_events();
    w.cut_stream();
    w.run(10_000);
    assert!(w.running("a") && w.running("slow"), "{}", w.why("a"));
}

#[test]
fn an_engine_that_goes_down_is_no_person_to_a_restarted_watchdog_either() {
    let mut w = Scene::with(&["a", "b", "c"]);
    w.docker_stop("b", 10);
    w.run(3_600_000);
    w.docker_stop("a", 10);
    w.run(1000);
    w.docker_stop("c", 10);
    w.run(5000);
    assert_eq!(w.state("a"), Some(State::Stopped), "{}", w.why("a"));
    w.kill_agent();
    w.start_agent();
    w.run(5000);
    assert_eq!(w.state("a"), Some(State::Stopped), "{}", w.why("a"));
    for name in ["a", "b", "c"] {
        w.forge_flag(name, false);
    }
    w.engine().forget_events();
    w.cut_stream();
    w.run(10_000);
    assert!(w.running("a") && w.running("c"), "{}", w.why("a"));
    assert!(!w.running("b"), "what was stopped long before stays so");
}

#[test]
fn grace_holds_over_a_restart_of_the_watchdog() {
    let mut w = Scene::new();
    w.create("db", |it| {
        it.labels.insert("watchtree.grace".into(), "10m".into());
    });
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    w.kill_agent();
    w.run(1000);
    w.health("db", Health::Unhealthy);
    w.start_agent();
    w.run(400_000);
    assert!(w.calls().is_empty(), "{:?}", w.calls());
    assert!(w.why("db").contains("grace"), "{}", w.why("db"));
    w.run(120_000);
    assert_eq!(w.calls().len(), 2, "{:?} {}", w.calls(), w.why("db"));
}

/// The grace is that of a life: a restart that leaves the budget's window meanwhile shortens none.
#[test]
fn grace_holds_though_the_window_moves_on() {
    let mut w = Scene::new();
    w.create("db", |it| {
        it.labels.insert("watchtree.grace".into(), "5m".into());
    });
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    w.crash("db", 1);
    w.run(500_000);
    w.crash("db", 1);
    w.run(90_000);
    assert_eq!(w.calls(), ["Start db", "Start db"]);
    w.health("db", Health::Unhealthy);
    w.run(230_000);
    w.health("db", Health::Unhealthy);
    w.run(270_000);
    assert_eq!(w.calls().len(), 2, "{:?} {}", w.calls(), w.why("db"));
    w.run(20_000);
    assert_eq!(w.calls().len(), 4, "{:?} {}", w.calls(), w.why("db"));
}

#[test]
fn a_hold_outlives_its_container() {
    let mut w = Scene::with(&["a"]);
    let lasts = Duration::from_secs(600);
    w.order(1, "a", Verb::Hold { lasts }, true);
    w.docker_rm_f("a");
    w.run(60_000);
    assert_eq!(w.state("a"), None, "it is gone");
    w.kill_agent();
    w.start_agent();
    w.run(1000);
    w.create("a", |_| {});
    w.run(60_000);
    w.crash("a", 1);
    w.run(60_000);
    assert!(w.calls().is_empty(), "{:?}", w.calls());
    w.run(600_000);
    assert_eq!(w.calls(), ["Start a"], "{}", w.why("a"));
    w.docker_rm_f("a");
    w.run(60_000);
    let mut memory = Recovered::default();
    w.records().iter().for_each(|record| memory.apply(record));
    assert!(memory.subjects.is_empty(), "nothing is kept of what is over");
}

#[test]
fn a_cancelled_shutdown_ends() {
    let mut w = Scene::with(&["a", "b"]);
    w.input(ContainerInput::HostShutdown);
    w.run(1000);
    w.crash("a", 1);
    w.docker_stop("b", 10);
    w.run(890_000);
    assert!(w.calls().is_empty());
    w.run(20_000);
    assert_eq!(w.calls(), ["Start a"], "{}", w.why("a"));
    assert_eq!(w.state("b"), Some(State::Stopped), "{}", w.why("b"));
}

/// Given up is given up: what stays ill gets one slow retry at a time, however long it runs meanwhile.
#[test]
fn an_illness_that_stays_does_not_win_the_budget_back() {
    let mut w = Scene::with(&["a"]);
    let stops = |w: &Scene| w.calls().iter().filter(|it| it.starts_with("Stop")).count();
    let falls_ill_after_each_start = |w: &mut Scene, secs: u64| {
        for _ in 0..secs {
            if w.running("a") && w.inspect("a").health != Health::Unhealthy {
                w.health("a", Health::Unhealthy);
            }
            w.run(1000);
        }
    };
    falls_ill_after_each_start(&mut w, 300);
    assert_eq!((stops(&w), w.state("a")), (5, Some(State::GivenUp)), "{}", w.why("a"));
    for retry in 1..5 {
        falls_ill_after_each_start(&mut w, 620);
        assert_eq!(stops(&w), 5 + retry, "{:?} {}", w.calls(), w.why("a"));
    }
    let cleared = w.records().iter().filter(|it| matches!(it, Record::Cleared { .. }));
    assert_eq!(cleared.count(), 0);
    // It is well again, and stays so.
    w.health("a", Health::Healthy);
    w.run(620_000);
    assert_eq!(w.state("a"), Some(State::Ok), "{}", w.why("a"));
    falls_ill_after_each_start(&mut w, 300);
    assert_eq!(stops(&w), 5 + 4 + 5, "the budget is whole: {}", w.why("a"));
}
