//! The container role while its engine is stopped, killed or started, or loses its machine: what ran runs again, and what a
//! person stopped or what had finished before does not.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, same, story};
use watchtree_sim::state::engine::{OnSignal, Version};

#[test]
fn a_stopped_daemon_is_no_person() {
    story(&["web"], "dockerd terminated, 6s, dockerd started, 15s").tells(expect![[r#"
        0.000  happens  dockerd terminated
        0.003  seen     web: kill, signal 15
        0.004  told     watchdog degraded, engine: connection refused: is the engine running?
        0.023  seen     web: stop
        0.028  seen     web: die, exit code 143
        0.028  told     web SUSPECT: exited (143); finding out whether its engine is going down
        5.025  happens  dockerd ends
        5.025  seen     the event stream ends
        5.026  told     watchdog degraded, stream: the engine went
        6.000  happens  dockerd started
        7.000  happens  dockerd answers
        7.018  told     watchdog no longer degraded, engine
        7.138  seen     the event stream opens
        7.138  told     watchdog no longer degraded, stream
        7.340  decided  start web: exited (143), it ended while its engine was going down, and the engine's manual-stop flag is not set: start it, restart 1 in a row
        7.340  done     start web
        7.340  told     web REPAIRING: being started
        7.461  done     start web → done
        7.464  seen     web: start
        7.466  decided  start web: verifying, a new incarnation was seen
        7.466  told     web STARTING: started; it must stay up to count as repaired
        12.464 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        12.464 told     web OK: running
    "#]]);
}

/// The new daemon's TERM sets the manual-stop flag, and what it forgot, it forgot with the old one.
#[test]
fn a_killed_daemon_is_no_person() {
    story(&["web"], "dockerd killed, 5s, dockerd started, 15s").tells(expect![[r#"
        0.000  happens  dockerd killed
        0.000  happens  dockerd ends
        0.000  seen     the event stream ends
        0.001  told     watchdog degraded, stream: the engine went
        0.004  told     watchdog degraded, engine: connection refused: is the engine running?
        5.000  happens  dockerd started
        6.020  happens  dockerd answers
        6.023  told     web SUSPECT: exited (143); waits until the event stream is whole again
        6.129  seen     the event stream opens
        6.129  told     watchdog no longer degraded, stream
        6.131  told     watchdog no longer degraded, engine
        6.132  seen     web: kill, signal 15
        6.132  seen     web: stop
        6.132  seen     web: die, exit code 143
        6.332  decided  start web: exited (143), it ended while no engine answered: nobody can have asked for it: start it, restart 1 in a row
        6.332  done     start web
        6.332  told     web REPAIRING: being started
        6.453  done     start web → done
        6.456  seen     web: start
        6.458  decided  start web: verifying, a new incarnation was seen
        6.458  told     web STARTING: started; it must stay up to count as repaired
        11.456 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        11.456 told     web OK: running
    "#]]);
}

/// `web` has no policy; `zero` ends with 0 on TERM, as `job` did by itself; the engine restarts `fail` after a failure only, and
/// `db` always; `idle` was stopped by a person.
fn fleet() -> Scene {
    let mut w = Scene::with(&["web", "zero", "fail", "db", "idle", "job"]);
    for name in ["zero", "fail"] {
        w.program(name, |program| {
            let (code, after) = (0, std::time::Duration::ZERO);
            program.handlers = [(15, OnSignal::Exit { code, after })].into();
        });
    }
    w.does("docker update --restart on-failure fail, docker update --restart unless-stopped db");
    w.does("docker stop idle, job exits 0, 1m");
    w
}

const WENT: [&str; 12] = [
    "dockerd terminated, 6s, dockerd started, 1m",
    "dockerd terminated, 2m, dockerd started, 1m",
    "dockerd killed, 5s, dockerd started, 1m",
    "dockerd killed, 2m, dockerd started, 1m",
    "dockerd terminated, 6s, dockerd started, 1s, dockerd killed, 5s, dockerd started, 1m",
    "dockerd killed, 5s, dockerd started, 1100ms, dockerd terminated, 6s, dockerd started, 1m",
    "dockerd killed, 1s, watchdog killed, 5s, dockerd started, 5s, watchdog started, 1m",
    "dockerd terminated, 1s, watchdog killed, 5s, dockerd started, 5s, watchdog started, 1m",
    "dockerd killed, 5s, dockerd started, 1500ms, watchdog killed, 5s, watchdog started, 1m",
    "watchdog killed, dockerd terminated, 5s, dockerd started, 5s, watchdog started, 1m",
    "watchdog killed, 2m, dockerd killed, 5s, dockerd started, 2m, watchdog started, 1m",
    "power lost for 20s, 22s, watchdog started, 1m",
];

#[test]
fn what_ran_runs_again_and_what_did_not_does_not() {
    let play = |script: &str| {
        same([Version::V20_10, Version::V26_1], |version| {
            let mut w = fleet();
            w.engine().settings_mut().version = version;
            let outcome = w.does(script).outcome();
            let (calls, standing) = outcome.split_once("; ").expect("calls and containers");
            let mut calls: Vec<&str> = calls.split(", ").collect();
            calls.sort_unstable();
            format!("{}; {standing}", calls.join(", "))
        })
    };
    outcomes(WENT, play).tells(expect![[r#"
        dockerd terminated, 6s, dockerd started, 1m | dockerd terminated, 2m, dockerd started, 1m | dockerd terminated, 6s, dockerd started, 1s, dockerd killed, 5s, dockerd started, 1m | dockerd terminated, 1s, watchdog killed, 5s, dockerd started, 5s, watchdog started, 1m | watchdog killed, dockerd terminated, 5s, dockerd started, 5s, watchdog started, 1m: start fail, start web, start zero; web running OK; zero running OK; fail running OK; db running OK; idle exited STOPPED; job exited FINISHED
        dockerd killed, 5s, dockerd started, 1m | dockerd killed, 2m, dockerd started, 1m | dockerd killed, 5s, dockerd started, 1100ms, dockerd terminated, 6s, dockerd started, 1m | dockerd killed, 1s, watchdog killed, 5s, dockerd started, 5s, watchdog started, 1m | dockerd killed, 5s, dockerd started, 1500ms, watchdog killed, 5s, watchdog started, 1m | watchdog killed, 2m, dockerd killed, 5s, dockerd started, 2m, watchdog started, 1m: start db, start fail, start web, start zero; web running OK; zero running OK; fail running OK; db running OK; idle exited STOPPED; job exited FINISHED
        power lost for 20s, 22s, watchdog started, 1m: start web, start zero; web running OK; zero running OK; fail running OK; db running OK; idle exited STOPPED; job exited FINISHED
    "#]]);
}

/// A reload sets the manual-stop flag for good; it is no reason to leave anything down.
#[test]
fn what_was_sent_another_signal_before_runs_again_too() {
    let play = |script: &str| {
        let mut w = fleet();
        w.does("docker kill -s HUP web, docker kill -s USR1 zero, docker kill -s HUP db, 1m");
        let outcome = w.does(script).outcome();
        outcome.split_once("; ").expect("calls and containers").1.to_owned()
    };
    outcomes(WENT, play).tells(expect![[r#"
        dockerd terminated, 6s, dockerd started, 1m | dockerd terminated, 2m, dockerd started, 1m | dockerd killed, 5s, dockerd started, 1m | dockerd killed, 2m, dockerd started, 1m | dockerd terminated, 6s, dockerd started, 1s, dockerd killed, 5s, dockerd started, 1m | dockerd killed, 5s, dockerd started, 1100ms, dockerd terminated, 6s, dockerd started, 1m | dockerd killed, 1s, watchdog killed, 5s, dockerd started, 5s, watchdog started, 1m | dockerd terminated, 1s, watchdog killed, 5s, dockerd started, 5s, watchdog started, 1m | dockerd killed, 5s, dockerd started, 1500ms, watchdog killed, 5s, watchdog started, 1m | watchdog killed, dockerd terminated, 5s, dockerd started, 5s, watchdog started, 1m | watchdog killed, 2m, dockerd killed, 5s, dockerd started, 2m, watchdog started, 1m | power lost for 20s, 22s, watchdog started, 1m: web running OK; zero running OK; fail running OK; db running OK; idle exited STOPPED; job exited FINISHED
    "#]]);
}

/// The daemon is stopped in order while the watchdog stands still or is away; a person's stop comes seconds before. All were sent HUP.
#[test]
fn a_persons_stop_before_an_engine_that_nobody_watched_go_is_not_undone() {
    let goes = "dockerd terminated, 6s, dockerd started, 3s";
    let absences = [
        ("watchdog frozen", "watchdog thawed"),
        ("watchdog killed", "watchdog started"),
    ];
    let scripts: Vec<String> = absences
        .into_iter()
        .flat_map(|(away, back)| {
            ["1s", "5s"].map(|before| format!("{away}, 10s, docker stop web, {before}, {goes}, {back}, 1m"))
        })
        .chain(absences.map(|(away, back)| format!("{away}, 10s, {goes}, {back}, 1m")))
        .collect();
    let play = |script: &str| {
        let mut w = fleet();
        w.does("docker kill -s HUP web, docker kill -s HUP zero, docker kill -s HUP db, 1m");
        let outcome = w.does(script).outcome();
        outcome.split_once("; ").expect("calls and containers").1.to_owned()
    };
    outcomes(scripts.iter().map(String::as_str), play).tells(expect![[r#"
        watchdog frozen, 10s, docker stop web, 1s, dockerd terminated, 6s, dockerd started, 3s, watchdog thawed, 1m | watchdog frozen, 10s, docker stop web, 5s, dockerd terminated, 6s, dockerd started, 3s, watchdog thawed, 1m | watchdog killed, 10s, docker stop web, 1s, dockerd terminated, 6s, dockerd started, 3s, watchdog started, 1m | watchdog killed, 10s, docker stop web, 5s, dockerd terminated, 6s, dockerd started, 3s, watchdog started, 1m: web exited GIVEN UP; zero running OK; fail running OK; db running OK; idle exited STOPPED; job exited FINISHED
        watchdog frozen, 10s, dockerd terminated, 6s, dockerd started, 3s, watchdog thawed, 1m | watchdog killed, 10s, dockerd terminated, 6s, dockerd started, 3s, watchdog started, 1m: web running OK; zero running OK; fail running OK; db running OK; idle exited STOPPED; job exited FINISHED
    "#]]);
}

/// Where it cannot be read since when the engine answers, an engine that nobody could reach was none.
#[test]
fn an_engine_that_does_not_tell_since_when_it_answers_is_known_by_its_silence() {
    let play = |script: &str| {
        let mut w = Scene::new();
        w.engine().settings_mut().hides_its_beginning = true;
        ["web", "idle"].iter().for_each(|name| w.create(name, |_| {}));
        let mut w = w.watched();
        w.does("docker stop idle, 1m").does(script).outcome()
    };
    outcomes(WENT.into_iter().take(6), play).tells(expect![[r#"
        dockerd terminated, 6s, dockerd started, 1m | dockerd terminated, 2m, dockerd started, 1m | dockerd killed, 5s, dockerd started, 1m | dockerd killed, 2m, dockerd started, 1m | dockerd terminated, 6s, dockerd started, 1s, dockerd killed, 5s, dockerd started, 1m | dockerd killed, 5s, dockerd started, 1100ms, dockerd terminated, 6s, dockerd started, 1m: start web; web running OK; idle exited STOPPED
    "#]]);
}

/// The person comes just before the daemon goes, just after it is back, or while the watchdog is away.
#[test]
fn a_person_before_and_after_the_daemon_wins() {
    let cases = [
        "docker stop web, 100ms, dockerd killed, 5s, dockerd started, 1m",
        "docker stop web, 100ms, dockerd terminated, 6s, dockerd started, 1m",
        "docker kill web, 100ms, dockerd killed, 5s, dockerd started, 1m",
        "docker stop web, 1s, watchdog killed, dockerd killed, 5s, dockerd started, 1m, watchdog started, 1m",
        "watchdog killed, docker stop web, 1s, dockerd killed, 2s, dockerd started, 20s, watchdog started, 1m",
        "watchdog killed, docker stop web, 2m, dockerd killed, 2s, dockerd started, 2m, watchdog started, 1m",
        "watchdog killed, docker stop web, 1s, dockerd terminated, 6s, dockerd started, 20s, watchdog started, 1m",
        "dockerd killed, 5s, dockerd started, 20s, docker stop web, 100ms, watchdog killed, 5s, watchdog started, 1m",
        "watchdog killed, dockerd killed, 5s, dockerd started, 2s, docker start web, 1s, docker stop web, 1s, watchdog started, 1m",
    ];
    let play = |script: &str| Scene::with(&["web", "db"]).does(script).outcome();
    outcomes(cases, play).tells(expect![[r#"
        docker stop web, 100ms, dockerd killed, 5s, dockerd started, 1m | docker stop web, 100ms, dockerd terminated, 6s, dockerd started, 1m | docker kill web, 100ms, dockerd killed, 5s, dockerd started, 1m | docker stop web, 1s, watchdog killed, dockerd killed, 5s, dockerd started, 1m, watchdog started, 1m | watchdog killed, docker stop web, 1s, dockerd killed, 2s, dockerd started, 20s, watchdog started, 1m | watchdog killed, docker stop web, 2m, dockerd killed, 2s, dockerd started, 2m, watchdog started, 1m | watchdog killed, docker stop web, 1s, dockerd terminated, 6s, dockerd started, 20s, watchdog started, 1m | watchdog killed, dockerd killed, 5s, dockerd started, 2s, docker start web, 1s, docker stop web, 1s, watchdog started, 1m: start db; web exited STOPPED; db running OK
        dockerd killed, 5s, dockerd started, 20s, docker stop web, 100ms, watchdog killed, 5s, watchdog started, 1m: start db, start web; web exited STOPPED; db running OK
    "#]]);
}

/// A job that ended well while nobody watched, long before the engine went down with the others.
#[test]
fn what_finished_while_nobody_watched_is_not_run_again() {
    let script = "watchdog killed, job exits 0, 5m, dockerd terminated, 6s, dockerd started, 1m, watchdog started, 1m";
    let outcome = Scene::with(&["web", "db", "job"]).does(script).outcome();
    expect!["start db, start web; web running OK; db running OK; job exited FINISHED"].assert_eq(&outcome);
}

/// With live-restore they live on.
#[test]
fn what_lives_on_without_its_daemon_is_left_alone() {
    let cases = [
        "dockerd killed, 5s, dockerd started, 1m",
        "dockerd terminated, 6s, dockerd started, 1m",
        "dockerd killed, 1s, db exits 0, 4s, dockerd started, 1m",
        "dockerd killed, 5s, dockerd started, 20s, docker stop db, 1m",
    ];
    let play = |script: &str| {
        let mut w = Scene::with(&["web", "db"]);
        w.engine().settings_mut().live_restore = true;
        w.does(script).outcome()
    };
    outcomes(cases, play).tells(expect![[r#"
        dockerd killed, 5s, dockerd started, 1m | dockerd terminated, 6s, dockerd started, 1m: no call; web running OK; db running OK
        dockerd killed, 1s, db exits 0, 4s, dockerd started, 1m: no call; web running OK; db exited FINISHED
        dockerd killed, 5s, dockerd started, 20s, docker stop db, 1m: no call; web running OK; db exited STOPPED
    "#]]);
}

/// The clock is set between the signal of a person and the end that it leads to.
#[test]
fn a_persons_stop_is_one_whatever_the_clock_does_meanwhile() {
    let play = |offset_ms: i64| {
        let mut w = Scene::with(&["web"]);
        w.does("web ignores TERM, docker stop web, 2s").set_clock(offset_ms);
        w.does("1m").outcome()
    };
    outcomes([3_600_000, 15_000, 600_000, -15_000, -600_000, -3_600_000], play).tells(expect![[r#"
        3600000 | 15000 | 600000 | -15000 | -600000 | -3600000: no call; web exited STOPPED
    "#]]);
}

/// Charges of before the boot are older than the boot.
#[test]
fn restarts_of_long_before_a_boot_count_no_more_after_it() {
    let crashes = |times: usize| "web exits 1, 15s, ".repeat(times);
    let play = |before: &str| {
        let mut w = Scene::with(&["web"]);
        w.does("web gets label watchtree.budget=5/10m, 1s");
        w.does(&crashes(4)).does(before);
        w.does("power lost for 20s, 22s, watchdog started, 30s")
            .does(&crashes(2))
            .outcome()
    };
    outcomes(["1s", "24m"], play).tells(expect![[r#"
        1s: start web, start web, start web, start web, start web; web exited GIVEN UP
        24m: start web, start web, start web, start web, start web, start web, start web; web running OK
    "#]]);
}

/// Also where it was just being started anew: nobody has inspected the new incarnation yet.
#[test]
fn a_daemon_that_is_stopped_while_a_repair_is_under_way_is_no_person() {
    let after = (100..=145).step_by(3).chain([200, 1000, 6000, 9000]);
    let play = |ms: u64| {
        let mut w = Scene::with(&["web", "other"]);
        w.does(&format!(
            "web exits 1, {ms}ms, dockerd terminated, 20s, dockerd started, 1m"
        ));
        w.outcome()
    };
    outcomes(after, play).tells(expect![[r#"
        100 | 103 | 106 | 109 | 112 | 115 | 118 | 121: start web, start web, start other; web running OK; other running OK
        124 | 127 | 130 | 133 | 136 | 139 | 142 | 145 | 200 | 1000 | 6000 | 9000: start web, start other, start web; web running OK; other running OK
    "#]]);
}

/// An engine that was killed while it was to restart a container may say so for ever, and do nothing.
#[test]
fn a_restart_that_the_engine_owes_for_ever_is_told() {
    let cases = [
        ("watched", "0s"),
        ("watchdog restarted", "30s, watchdog killed, 1s, watchdog started"),
        ("events forgotten", "20s, events lost, stream cut"),
    ];
    let play = |(_, then): (&str, &str)| {
        let mut w = Scene::with(&["a"]);
        w.does("docker update --restart always a").backs_off("a", 3_600_000);
        let before = w.does("10s, a exits 1, 60s").outcome();
        format!("{before}, then {}", w.does(then).does("90s").outcome())
    };
    outcomes(cases, play).tells(expect![[r#"
        watched | watchdog restarted | events forgotten: no call; a restarting REPAIRING, then no call; a restarting GIVEN UP
    "#]]);
}
