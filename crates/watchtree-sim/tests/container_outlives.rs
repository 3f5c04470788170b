//! The container role against the model engine: what outlives a container, a watchdog, an engine or a shutdown, and whose
//! containers are left to others.

use expect_test::expect;
use watchtree_core::container::io::*;
use watchtree_core::time::Duration;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, same};
use watchtree_sim::state::engine::Program;

/// Said once for each incarnation.
#[test]
fn what_others_own_is_reported_only() {
    let play = |owner: &str| {
        let mut w = Scene::new();
        w.create("a", |it| {
            let labels = [(owner, ""), ("watchtree.enable", "true"), ("autoheal", "true")];
            it.labels = labels.map(|(key, value)| (key.into(), value.into())).into();
        });
        let mut w = w.watched();
        w.does("a is unhealthy, 1m, a exits 1, 1m");
        let said = w
            .decided()
            .iter()
            .filter(|it| format!("{it:?}").contains("owned by"))
            .count();
        format!("{}, said {said} times, {}", w.outcome(), w.why("a"))
    };
    outcomes(
        [
            "com.docker.swarm.task.id",
            "io.kubernetes.pod.name",
            "com.hashicorp.nomad.alloc_id",
        ],
        play,
    )
    .tells(expect![[r#"
        com.docker.swarm.task.id: no call; a exited DOWN, said 1 times, exited (1): owned by Docker Swarm: hands off
        io.kubernetes.pod.name: no call; a exited DOWN, said 1 times, exited (1): owned by Kubernetes: hands off
        com.hashicorp.nomad.alloc_id: no call; a exited DOWN, said 1 times, exited (1): owned by Nomad: hands off
    "#]]);
}

/// The new one takes the old one's name, by its event or by the list, which begins with the other one.
#[test]
fn two_that_are_renamed_at_once_go_by_their_new_names() {
    let play = |(_, lose, ring_max): (&str, &str, usize)| {
        let mut w = Scene::with(&["web", "next"]);
        w.does(lose).engine().remember_events(ring_max);
        let renamed = w.does("docker rename web old, docker rename next web, 20s").outcome();
        format!("{renamed}, then {}", w.does("web exits 1, 1s").outcome())
    };
    let cases = [("by events", "", 256), ("by the list", "stream cut", 0)];
    outcomes(cases, play).tells(expect![[r#"
        by events | by the list: no call; old running OK; web running OK, then start web; old running OK; web running STARTING
    "#]]);
}

#[test]
fn an_engine_that_takes_long_to_go_down_is_no_person() {
    let mut w = Scene::new();
    w.create("a", |_| {});
    w.create("slow", |it| {
        (it.program, it.stop_timeout) = (Program::stubborn(), Some(Duration::from_secs(60)))
    });
    let mut w = w.watched();
    w.does("dockerd terminated, 70s, dockerd started, 20s");
    expect!["start a, start slow; a running OK; slow running OK"].assert_eq(&w.outcome());
}

/// What was stopped long before stays so.
#[test]
fn an_engine_that_goes_down_is_no_person_to_a_restarted_watchdog_either() {
    let mut w = Scene::with(&["a", "b", "c"]);
    let steps = [
        "docker stop b, 60m",
        "dockerd terminated, 1s, watchdog killed, watchdog started, 5s",
        "dockerd started, 20s",
    ];
    w.steps(&steps).tells(expect![[r#"
        docker stop b, 60m: no call; a running OK; b exited STOPPED; c running OK
        dockerd terminated, 1s, watchdog killed, watchdog started, 5s: no call; a exited unknown; b exited unknown; c exited unknown
        dockerd started, 20s: start a, start c; a running OK; b exited STOPPED; c running OK
    "#]]);
}

/// A database with that startup grace.
fn db_with_grace(grace: &str) -> Scene {
    let mut w = Scene::new();
    w.create("db", |it| {
        it.labels.insert("watchtree.grace".into(), grace.into());
    });
    w.watched()
}

#[test]
fn grace_holds_over_a_restart_of_the_watchdog() {
    let mut w = db_with_grace("10m");
    w.does("watchdog killed, 1s, db is unhealthy, watchdog started, 400s");
    assert!(w.why("db").contains("grace"), "{}", w.why("db"));
    w.steps(&["0s", "2m"]).tells(expect![[r#"
        0s: no call; db running UNHEALTHY
        2m: stop -t 10 db, start db; db running OK
    "#]]);
}

/// The grace is that of an incarnation: a restart that leaves the budget's window meanwhile shortens none.
#[test]
fn grace_holds_though_the_window_moves_on() {
    let steps = [
        "db exits 1, 500s, db exits 1, 90s",
        "db is unhealthy, 230s, db is unhealthy, 270s",
        "20s",
    ];
    db_with_grace("5m").steps(&steps).tells(expect![[r#"
        db exits 1, 500s, db exits 1, 90s: start db, start db; db running OK
        db is unhealthy, 230s, db is unhealthy, 270s: no call; db running UNHEALTHY
        20s: stop -t 10 db, start db; db running OK
    "#]]);
}

#[test]
fn a_hold_outlives_its_container() {
    let mut w = Scene::with(&["a"]);
    w.does("hold a 10m, docker rm -f a, 1m, watchdog killed, watchdog started, 1s")
        .create("a", |_| {});
    w.steps(&["1m, a exits 1, 1m", "10m", "docker rm -f a, 1m"])
        .tells(expect![[r#"
            1m, a exits 1, 1m: no call; a exited DOWN
            10m: start a; a running OK
            docker rm -f a, 1m: no call
        "#]]);
    let mut memory = Recovered::default();
    w.records().iter().for_each(|record| memory.apply(record));
    assert!(memory.subjects.is_empty(), "nothing is kept of what is over");
}

#[test]
fn a_cancelled_shutdown_ends() {
    let mut w = Scene::with(&["a", "b"]);
    w.input(ContainerInput::HostShutdown);
    w.steps(&["1s, a exits 1, docker stop b, 890s", "20s"])
        .tells(expect![[r#"
            1s, a exits 1, docker stop b, 890s: no call; a exited UNWATCHED; b exited UNWATCHED
            20s: start a; a running OK; b exited STOPPED
        "#]]);
}

/// At its limit, what stays unhealthy gets one half-open retry at a time, however long it runs meanwhile.
#[test]
fn one_that_stays_unhealthy_does_not_win_its_budget_back() {
    let unhealthy_after_each_start = |w: &mut Scene, secs: u64| {
        for _ in 0..secs {
            if w.running("a") && w.inspect("a").health != Health::Unhealthy {
                w.does("a is unhealthy");
            }
            w.does("1s");
        }
        let stops = w.calls().iter().filter(|it| it.starts_with("stop")).count();
        w.outcome();
        format!("{stops} stops, {}", w.outcome())
    };
    let mut w = Scene::with(&["a"]);
    expect!["5 stops, no call; a running GIVEN UP"].assert_eq(&unhealthy_after_each_start(&mut w, 300));
    let retried = (1..5).map(|_| unhealthy_after_each_start(&mut w, 620) + "\n");
    expect![[r#"
        1 stops, no call; a running GIVEN UP
        1 stops, no call; a running GIVEN UP
        1 stops, no call; a running GIVEN UP
        1 stops, no call; a running GIVEN UP
    "#]]
    .assert_eq(&retried.collect::<String>());
    let cleared = w.records().iter().filter(|it| matches!(it, Record::Cleared { .. }));
    assert_eq!(cleared.count(), 0);
    w.steps(&["a is healthy, 620s"]).tells(expect![[r#"
        a is healthy, 620s: no call; a running OK
    "#]]);
    // The budget is whole.
    expect!["5 stops, no call; a running GIVEN UP"].assert_eq(&unhealthy_after_each_start(&mut w, 300));
}

/// Our stop was seen by a life of the watchdog that died, and the engine has forgotten its signal since: the next one sees its newest
/// event again, and nothing of the stop. Its end is ours all the same, whenever that life dies too.
#[test]
fn our_stop_that_only_a_dead_life_saw_is_still_ours() {
    let deaths = ["10ms", "490ms", "510ms", "2s", "6s"];
    let play = |back: &str| {
        same(["no", "always"], |policy| {
            same(deaths, |lives| {
                let mut w = Scene::with(&["a", "b"]);
                w.engine().remember_events(4);
                w.does(&format!(
                    "docker update --restart {policy} a, a ignores TERM, a is killed 10s late, 6s"
                ));
                w.does("a is unhealthy, until called, 2s");
                (0..5).for_each(|_| _ = w.does("b is touched, 10ms"));
                w.does(&format!(
                    "watchdog killed, 2s, watchdog started, {lives}, watchdog killed"
                ));
                w.does(&format!("{back}, watchdog started, 3m")).outcome()
            })
        })
    };
    outcomes(["1s", "7s", "12s", "30s"], play).tells(expect![[r#"
        1s | 7s | 12s | 30s: stop -t 10 a, start a; a running OK; b running OK
    "#]]);
}

/// The same of one that was answered: its SIGKILL comes without the signal before it.
#[test]
fn the_sigkill_of_an_answered_stop_is_ours_though_its_signal_was_forgotten() {
    let mut w = Scene::with(&["a"]);
    w.does("a ignores TERM, 6s, a is unhealthy, until called, 7s, events lost, stream silent, 3200ms");
    w.does("watchdog killed, watchdog started, 3m");
    expect!["stop -t 10 a, start a; a running OK"].assert_eq(&w.outcome());
}
