//! The container role against the model engine: what a health check proves, and how long a startup grace is.

use expect_test::expect;
use watchtree_core::decision::ActionKind;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};
use watchtree_sim::state::engine::Check;

/// Containers with a check each second, two failures of which make them unhealthy, and a budget that is no matter here.
fn checked(names: &[impl AsRef<str>]) -> Scene {
    checked_since(names, "passes")
}

/// The same; before a watchdog has seen them, each check comes to that.
fn checked_since(names: &[impl AsRef<str>], result: &str) -> Scene {
    let mut w = Scene::new();
    for name in names {
        w.create(name.as_ref(), |it| {
            it.check = Some(Check::default());
            it.labels.insert("watchtree.budget".into(), "100/10m".into());
        });
    }
    for name in names {
        w.does(&format!("the check of {} {result}", name.as_ref()));
    }
    w.watched()
}

#[test]
fn a_check_that_cannot_be_run_stops_nothing() {
    let scripts = [
        "the check of a exits 127 /bin/sh: wget: not found, 1m",
        "the check of a exits 126 /bin/sh: /etc: Permission denied, 1m",
        "the check of a exits 1 /bin/sh: curl: not found, 1m",
        "the check of a exits 2 /bin/sh: can't fork: Resource temporarily unavailable, 1m",
        "the check of a cannot run: OCI runtime exec failed: exec failed: stat /nothing: no such file or directory: unknown, 1m",
        "the check of a cannot run: timed out starting health check for container, 1m",
        "exec is broken: OCI runtime exec failed: broken, 1m",
        "the check of a exits 127, 1m, retry a, 1m",
        "the check of a exits 1, 1m",
        "the check of a times out, 1m",
    ];
    let play = |script: &str| {
        let outcome = checked(&["a"]).does(script).outcome();
        match outcome.split_once(", start a") {
            Some(_) => "repaired".into(),
            None => outcome,
        }
    };
    outcomes(scripts, play).tells(expect![[r#"
        the check of a exits 127 /bin/sh: wget: not found, 1m | the check of a exits 126 /bin/sh: /etc: Permission denied, 1m | the check of a exits 1 /bin/sh: curl: not found, 1m | the check of a exits 2 /bin/sh: can't fork: Resource temporarily unavailable, 1m | the check of a cannot run: OCI runtime exec failed: exec failed: stat /nothing: no such file or directory: unknown, 1m | the check of a cannot run: timed out starting health check for container, 1m | exec is broken: OCI runtime exec failed: broken, 1m | the check of a exits 127, 1m, retry a, 1m: no call; a running DEGRADED
        the check of a exits 1, 1m | the check of a times out, 1m: repaired
    "#]]);
}

#[test]
fn why_its_check_cannot_be_run_is_said_once_with_its_words() {
    let mut w = checked(&["a"]);
    w.does("the check of a exits 127 /bin/sh: wget: not found, 2m, the check of a passes, 10s");
    w.tells(expect![[r#"
        0.000  happens  the check of a exits 127 /bin/sh: wget: not found
        2.003  seen     a: health_status unhealthy
        2.005  decided  a: its health check cannot be run: exit code 127: /bin/sh: wget: not found; nothing is known of the container itself, so it is left alone; known_cause blocked
        2.005  told     a DEGRADED: its health check cannot be run: exit code 127: /bin/sh: wget: not found; nothing is known of the container itself, so it is left alone
        120.000 happens  the check of a passes
        121.003 seen     a: health_status healthy
        121.003 told     a OK: running, healthy
    "#]]);
}

/// It crashes, and its check cannot be run in the new life either: that it stays up is all that can be verified.
#[test]
fn a_repair_is_verified_without_a_check_that_cannot_be_run() {
    let mut w = checked(&["a"]);
    w.does("exec is broken: OCI runtime exec failed: broken, 10s, a exits 1, 1m");
    w.tells(expect![[r#"
        0.000  happens  exec is broken: OCI runtime exec failed: broken
        2.003  seen     a: health_status unhealthy
        2.005  decided  a: its health check cannot be run: OCI runtime exec failed: broken; nothing is known of the container itself, so it is left alone; known_cause blocked
        2.005  told     a DEGRADED: its health check cannot be run: OCI runtime exec failed: broken; nothing is known of the container itself, so it is left alone
        10.000 happens  a exits 1
        10.003 seen     a: die, exit code 1
        10.003 decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
        10.003 done     start a
        10.003 told     a REPAIRING: being started
        10.124 done     start a → done
        10.126 decided  start a: verifying, a new incarnation was seen
        10.126 told     a STARTING: started; it must stay up to count as repaired
        10.127 seen     a: start
        12.127 seen     a: health_status unhealthy
        12.129 told     a DEGRADED: started; its health check cannot be run: OCI runtime exec failed: broken; nothing is known of the container itself, so it is left alone
        15.126 decided  start a: succeeded, a new incarnation has stayed up for 5.00 s; its health check cannot be run
        15.126 decided  a: its health check cannot be run: OCI runtime exec failed: broken; nothing is known of the container itself, so it is left alone; known_cause blocked
    "#]]);
}

/// The status is `unhealthy` all the while, so no event tells when the runs begin to fail for real.
#[test]
fn a_service_that_is_ill_is_repaired_though_its_check_could_not_run_before() {
    let scripts = [
        "exec is broken: OCI runtime exec failed: broken, 30s, a hangs, 30s, exec works, 1m",
        "the check of a exits 127, 30s, the check of a exits 1, 15s, the check of a passes, 1m",
        "the check of a exits 127/1, 30s, the check of a passes, 30s",
        "the check of a exits 1/127/127/127/127, 1m",
    ];
    let play = |script: &str| checked(&["a"]).does(script).outcome();
    outcomes(scripts, play).tells(expect![[r#"
        exec is broken: OCI runtime exec failed: broken, 30s, a hangs, 30s, exec works, 1m: stop -t 10 a, start a; a running OK
        the check of a exits 127, 30s, the check of a exits 1, 15s, the check of a passes, 1m: stop -t 10 a, start a, stop -t 10 a, start a; a running OK
        the check of a exits 127/1, 30s, the check of a passes, 30s: stop -t 10 a, start a, stop -t 10 a, start a, stop -t 10 a, start a; a running OK
        the check of a exits 1/127/127/127/127, 1m: no call; a running DEGRADED
    "#]]);
}

/// What is said of all of them together.
fn escalated(w: &Scene) -> String {
    let asked = w.decided().iter().filter(|it| it.action == ActionKind::Escalate);
    asked.map(|it| format!("{}: {}\n", it.subject, it.why)).collect()
}

#[test]
fn what_an_engine_cannot_run_any_more_has_one_cause_and_what_it_never_could_has_many() {
    let names = Scene::names(12);
    let mut w = checked(&names);
    w.does("10s, exec is broken: OCI runtime exec failed: broken, 2m");
    expect![[r#"
        h1/docker: the checks of 3 of 12 cannot be run any more: one cause, and not theirs: a person is needed; they are left alone, for nobody knows that they are ill
    "#]]
    .assert_eq(&escalated(&w));
    assert!(names.iter().all(|name| w.state(name) == Some(State::Degraded)));
    w.does("exec works, 30s");
    assert!(names.iter().all(|name| w.state(name) == Some(State::Ok)));
    assert!(w.calls().is_empty());

    let mut w = checked_since(&names, "exits 127 sh: curl: not found");
    w.does("2m");
    assert!(names.iter().all(|name| w.state(name) == Some(State::Degraded)));
    assert_eq!((escalated(&w).as_str(), w.calls().len()), ("", 0));
}

/// The list of a large engine comes once in a minute, and while the word stays `unhealthy` no event tells of the next runs: they
/// are inspected in turns.
#[test]
fn a_check_that_fails_after_it_could_not_be_run_is_seen_between_two_lists() {
    let names = Scene::names(40);
    let mut w = checked_since(&names, "exits 127");
    w.api().list_takes(400);
    w.does("watchdog killed, 1s, watchdog started, 3m");
    let mut took = Vec::new();
    for name in names.iter().step_by(5) {
        let (before, from) = (w.calls().len(), w.moment());
        w.does(&format!("the check of {name} exits 1"));
        while w.calls().len() == before && w.moment() < from + Duration::from_secs(300) {
            w.run(100);
        }
        took.push(w.moment().since(from).as_secs());
        w.does(&format!("the check of {name} passes, 13s"));
    }
    assert!(
        took.iter().all(|secs| *secs <= 2 + 15),
        "two runs, and three turns: {took:?}"
    );
}

/// The engine says `unhealthy` as soon as it stops checking: while paused (by `commit` too), and from there to the next run.
#[test]
fn the_word_of_an_engine_that_has_stopped_checking_is_no_evidence() {
    let mut w = checked(&["a"]);
    w.steps(&[
        "docker pause a, 10s",
        "docker unpause a, 500ms, a is touched, 100ms",
        "1s",
        "the check of a exits 1, 1100ms, docker pause a, 20ms, docker unpause a, 700ms, a is touched, 10ms",
        "the check of a passes, 5s",
        "docker pause a, 20ms, docker unpause a, a hangs, 1m",
    ])
    .tells(expect![[r#"
        docker pause a, 10s: no call; a paused STOPPED
        docker unpause a, 500ms, a is touched, 100ms: no call; a running STARTING
        1s: no call; a running OK
        the check of a exits 1, 1100ms, docker pause a, 20ms, docker unpause a, 700ms, a is touched, 10ms: no call; a running STARTING
        the check of a passes, 5s: no call; a running OK
        docker pause a, 20ms, docker unpause a, a hangs, 1m: stop -t 10 a, start a; a running OK
    "#]]);
}

/// What failed before a pause says nothing of what runs after it: a check must say so again.
#[test]
fn what_was_ill_before_a_pause_is_checked_again_before_it_is_stopped() {
    let mut w = checked(&["a"]);
    w.does("docker pause a").run(10);
    w.does("docker unpause a, hold a 1m, the check of a exits 1, 30s, docker pause a, 40s");
    w.steps(&[
        "docker unpause a, 900ms, a is touched, 50ms",
        "the check of a passes, 30s",
    ])
    .tells(expect![[r#"
            docker unpause a, 900ms, a is touched, 50ms: no call; a running STARTING
            the check of a passes, 30s: no call; a running OK
        "#]]);
}

/// From the hang to the new life, each time.
fn repaired_after(w: &mut Scene, hangs: usize) -> Vec<u64> {
    let mut took = Vec::new();
    for _ in 0..hangs {
        let (lives, from) = (w.incarnations("a"), w.moment());
        w.does("a hangs");
        while w.incarnations("a") == lives && w.moment() < from + Duration::from_secs(300) {
            w.run(100);
        }
        took.push(w.moment().since(from).as_secs());
        w.does("12s");
    }
    took
}

#[test]
fn each_hang_of_a_service_that_becomes_well_is_repaired_as_fast_as_the_first() {
    let mut w = checked(&["a"]);
    w.does("a ignores TERM, 12s");
    let took = repaired_after(&mut w, 6);
    assert!(took.iter().all(|secs| *secs <= took[0] + 1 && *secs < 20), "{took:?}");
    w.does("watchdog killed, 1s, watchdog started, 12s");
    let after = repaired_after(&mut w, 2);
    assert!(after.iter().all(|secs| *secs <= took[0] + 1), "{after:?}");
}

/// It was well in its new incarnation: that need not stay up for 5 s to have failed.
#[test]
fn what_was_well_and_is_ill_again_is_repaired_before_its_repair_was_verified() {
    let mut w = checked(&["a"]);
    w.does("the check of a exits 1, 2500ms, the check of a passes, 1500ms, the check of a exits 1, 2s");
    w.tells(expect![[r#"
        0.000  happens  the check of a exits 1
        2.003  seen     a: health_status unhealthy
        2.006  decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        2.006  told     a REPAIRING: being stopped, to be started again
        2.011  done     stop -t 10 a
        2.015  seen     a: kill, signal 15
        2.035  seen     a: stop
        2.035  done     stop -t 10 a → done
        2.040  seen     a: die, exit code 143
        2.040  done     start a
        2.161  done     start a → done
        2.162  decided  stop then start a: verifying, a new incarnation was seen
        2.162  told     a STARTING: started; it must stay up to count as repaired
        2.164  seen     a: start
        2.500  happens  the check of a passes
        3.164  seen     a: health_status healthy
        4.000  happens  the check of a exits 1
        5.164  seen     a: health_status unhealthy
        5.166  decided  stop then start a: failed, it is unhealthy again
        5.166  told     a REPAIRING: unhealthy: waits before the next try
        5.266  decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 2 in a row
        5.271  done     stop -t 10 a
        5.275  seen     a: kill, signal 15
        5.295  seen     a: stop
        5.295  done     stop -t 10 a → done
        5.300  seen     a: die, exit code 143
        5.300  done     start a
        5.421  done     start a → done
        5.422  decided  stop then start a: verifying, a new incarnation was seen
        5.422  told     a STARTING: started; it must stay up to count as repaired
        5.424  seen     a: start
    "#]]);
}

/// A start that never becomes well gets more time with each try; what is ill meanwhile is shown so.
#[test]
fn a_start_that_never_becomes_well_gets_more_time_and_is_shown_as_ill() {
    let mut w = checked(&["a"]);
    w.does("the check of a exits 1, 1m");
    w.tells(expect![[r#"
        0.000  happens  the check of a exits 1
        2.003  seen     a: health_status unhealthy
        2.006  decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        2.006  told     a REPAIRING: being stopped, to be started again
        2.011  done     stop -t 10 a
        2.015  seen     a: kill, signal 15
        2.035  seen     a: stop
        2.035  done     stop -t 10 a → done
        2.040  seen     a: die, exit code 143
        2.040  done     start a
        2.161  done     start a → done
        2.162  decided  stop then start a: verifying, a new incarnation was seen
        2.162  told     a STARTING: started; it must stay up to count as repaired
        2.164  seen     a: start
        4.164  seen     a: health_status unhealthy
        4.166  told     a UNHEALTHY: started, and its health check fails; startup grace: 5.00 s
        7.162  decided  stop then start a: failed, it is unhealthy again
        7.162  told     a REPAIRING: unhealthy: waits before the next try
        7.262  decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 2 in a row
        7.267  done     stop -t 10 a
        7.271  seen     a: kill, signal 15
        7.291  seen     a: stop
        7.291  done     stop -t 10 a → done
        7.296  seen     a: die, exit code 143
        7.296  done     start a
        7.417  done     start a → done
        7.418  decided  stop then start a: verifying, a new incarnation was seen
        7.418  told     a STARTING: started; it must stay up to count as repaired
        7.420  seen     a: start
        9.420  seen     a: health_status unhealthy
        9.422  told     a UNHEALTHY: started, and its health check fails; startup grace: 10 s
        17.418 decided  stop then start a: failed, it is unhealthy again
        17.418 told     a REPAIRING: unhealthy: waits before the next try
        17.618 decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 3 in a row
        17.623 done     stop -t 10 a
        17.627 seen     a: kill, signal 15
        17.647 seen     a: stop
        17.647 done     stop -t 10 a → done
        17.652 seen     a: die, exit code 143
        17.652 done     start a
        17.773 done     start a → done
        17.774 decided  stop then start a: verifying, a new incarnation was seen
        17.774 told     a STARTING: started; it must stay up to count as repaired
        17.776 seen     a: start
        19.776 seen     a: health_status unhealthy
        19.778 told     a UNHEALTHY: started, and its health check fails; startup grace: 20 s
        37.774 decided  stop then start a: failed, it is unhealthy again
        37.774 told     a REPAIRING: unhealthy: waits before the next try
        38.174 decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 4 in a row
        38.179 done     stop -t 10 a
        38.183 seen     a: kill, signal 15
        38.203 seen     a: stop
        38.203 done     stop -t 10 a → done
        38.208 seen     a: die, exit code 143
        38.208 done     start a
        38.329 done     start a → done
        38.330 decided  stop then start a: verifying, a new incarnation was seen
        38.330 told     a STARTING: started; it must stay up to count as repaired
        38.332 seen     a: start
        40.332 seen     a: health_status unhealthy
        40.334 told     a UNHEALTHY: started, and its health check fails; startup grace: 40 s
    "#]]);
}

/// Its journal knows how long a start takes: a person's restart is given that time too.
#[test]
fn a_start_gets_as_long_as_the_last_ones_took() {
    let mut w = checked(&["a"]);
    w.steps(&[
        "a exits 1, the check of a exits 1, 12s, the check of a passes, 20s",
        "watchdog killed, watchdog started, 10m",
        "docker restart a, the check of a exits 1, 6s",
        "3s",
    ])
    .tells(expect![[r#"
        a exits 1, the check of a exits 1, 12s, the check of a passes, 20s: start a, stop -t 10 a, start a; a running OK
        watchdog killed, watchdog started, 10m: no call; a running OK
        docker restart a, the check of a exits 1, 6s: no call; a running UNHEALTHY
        3s: stop -t 10 a, start a; a running STARTING
    "#]]);
}
