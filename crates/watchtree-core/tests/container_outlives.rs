//! The container role against a model engine: what outlives a container, a watchdog, an engine or a shutdown, and whose
//! containers are left to others.

mod world;

use watchtree_core::container::io::*;
use watchtree_core::order::Verb;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;
use world::World;

#[test]
fn what_others_own_is_reported_only() {
    for key in [
        "com.docker.swarm.task.id",
        "io.kubernetes.pod.name",
        "com.hashicorp.nomad.alloc_id",
    ] {
        let mut w = World::new();
        w.create("a", |it| {
            it.view.labels.insert(key.into(), String::new());
            it.view.labels.insert("watchtree.enable".into(), "true".into());
            it.view.labels.insert("autoheal".into(), "true".into());
        });
        w.run(60_000);
        w.start_agent();
        w.run(60_000);
        w.health("a", Health::Unhealthy);
        w.run(60_000);
        w.crash("a", 1);
        w.run(60_000);
        assert!(w.calls.is_empty(), "{key}: {:?}", w.calls);
        assert_eq!(w.state("a"), Some(State::Down), "{key}");
        assert!(w.why("a").contains("owned by"), "{}", w.why("a"));
        let said = w.decided.iter().filter(|it| format!("{it:?}").contains("owned by"));
        assert_eq!(said.count(), 1, "{key}: said once for that life");
    }
}

/// The new one takes the old one's name, whichever of the two is looked at first.
#[test]
fn two_that_are_renamed_at_once_go_by_their_new_names() {
    for order in [["web", "next"], ["next", "web"]] {
        let mut w = World::with(&["web", "next"]);
        w.get("web").view.name = "old".into();
        w.get("next").view.name = "web".into();
        for old_name in order {
            let old_name = old_name.to_string();
            w.emit(&World::id(&old_name), EventAction::Rename { old_name });
        }
        w.run(20_000);
        let ok = Some(State::Ok);
        assert_eq!(
            (w.state("web"), w.state("old"), w.state("next")),
            (ok, ok, None),
            "{order:?}"
        );
        w.crash("next", 1);
        w.run(1000);
        assert_eq!(w.calls, ["Start web"], "{order:?}: {}", w.why("web"));
    }
}

#[test]
fn an_engine_that_takes_long_to_go_down_is_no_person() {
    let mut w = World::new();
    w.create("a", |_| {});
    w.create("slow", |it| {
        it.ignores_term = true;
        it.view.stop_timeout = Some(Duration::from_secs(60));
    });
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    w.docker_stop("a", 10);
    w.docker_stop("slow", 60);
    w.run(60_100);
    for name in ["a", "slow"] {
        w.get(name).marked = false;
    }
    w.ring.clear();
    w.cut_stream();
    w.run(10_000);
    assert!(w.running("a") && w.running("slow"), "{}", w.why("a"));
}

#[test]
fn an_engine_that_goes_down_is_no_person_to_a_restarted_watchdog_either() {
    let mut w = World::with(&["a", "b", "c"]);
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
        w.get(name).marked = false;
    }
    w.ring.clear();
    w.cut_stream();
    w.run(10_000);
    assert!(w.running("a") && w.running("c"), "{}", w.why("a"));
    assert!(!w.running("b"), "what was stopped long before stays so");
}

#[test]
fn grace_holds_over_a_restart_of_the_watchdog() {
    let mut w = World::new();
    w.create("db", |it| {
        it.view.labels.insert("watchtree.grace".into(), "10m".into());
    });
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    w.kill_agent();
    w.run(1000);
    w.health("db", Health::Unhealthy);
    w.start_agent();
    w.run(400_000);
    assert!(w.calls.is_empty(), "{:?}", w.calls);
    assert!(w.why("db").contains("grace"), "{}", w.why("db"));
    w.run(120_000);
    assert_eq!(w.calls.len(), 2, "{:?} {}", w.calls, w.why("db"));
}

/// The grace is that of a life: a restart that leaves the budget's window meanwhile shortens none.
#[test]
fn grace_holds_though_the_window_moves_on() {
    let mut w = World::new();
    w.create("db", |it| {
        it.view.labels.insert("watchtree.grace".into(), "5m".into());
    });
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    w.crash("db", 1);
    w.run(500_000);
    w.crash("db", 1);
    w.run(90_000);
    assert_eq!(w.calls, ["Start db", "Start db"]);
    w.health("db", Health::Unhealthy);
    w.run(230_000);
    w.health("db", Health::Unhealthy);
    w.run(270_000);
    assert_eq!(w.calls.len(), 2, "{:?} {}", w.calls, w.why("db"));
    w.run(20_000);
    assert_eq!(w.calls.len(), 4, "{:?} {}", w.calls, w.why("db"));
}

#[test]
fn a_hold_outlives_its_container() {
    let mut w = World::with(&["a"]);
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
    assert!(w.calls.is_empty(), "{:?}", w.calls);
    w.run(600_000);
    assert_eq!(w.calls, ["Start a"], "{}", w.why("a"));
    w.docker_rm_f("a");
    w.run(60_000);
    let mut memory = Recovered::default();
    w.journal.iter().for_each(|record| memory.apply(record));
    assert!(memory.subjects.is_empty(), "nothing is kept of what is over");
}

#[test]
fn a_cancelled_shutdown_ends() {
    let mut w = World::with(&["a", "b"]);
    w.input(ContainerInput::HostShutdown);
    w.run(1000);
    w.crash("a", 1);
    w.docker_stop("b", 10);
    w.run(890_000);
    assert!(w.calls.is_empty());
    w.run(20_000);
    assert_eq!(w.calls, ["Start a"], "{}", w.why("a"));
    assert_eq!(w.state("b"), Some(State::Stopped), "{}", w.why("b"));
}
