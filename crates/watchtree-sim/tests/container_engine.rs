//! The container role while its engine is stopped or started, or loses its machine: what the engine ended is no person's.
//! What it does wrong there is in known_defects.rs.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, story};

#[test]
fn a_stopped_daemon_is_no_person() {
    story(&["web"], "dockerd terminated, 6s, dockerd started, 15s").tells(expect![[r#"
        0.000  happens  dockerd terminated
        0.003  seen     web: kill, signal 15
        0.004  told     watchdog degraded, engine: connection refused: is the engine running?
        0.023  seen     web: stop
        0.028  seen     web: die, exit code 143
        0.028  decided  web: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended; operator_intent blocked
        0.028  told     web STOPPED: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended
        5.025  happens  dockerd ends
        5.025  seen     the event stream ends
        5.026  told     web SUSPECT: exited (143); waits until the event stream is whole again
        5.026  told     watchdog degraded, stream: the engine went
        6.000  happens  dockerd started
        7.000  happens  dockerd answers
        7.018  told     watchdog no longer degraded, engine
        8.036  seen     the event stream opens
        8.036  told     watchdog no longer degraded, stream
        10.038 decided  start web: exited (143), nobody stopped it: start it, restart 1 in a row
        10.038 done     start web
        10.038 told     web REPAIRING: being started
        10.159 done     start web → done
        10.162 seen     web: start
        10.164 decided  start web: verifying, a new incarnation was seen
        10.164 told     web STARTING: started; it must stay up to count as repaired
        15.162 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        15.162 told     web OK: running
    "#]]);
}

/// `web` has no policy, the engine starts `db` by its own, and `idle` was stopped by a person.
#[test]
fn what_the_engine_or_its_machine_ended_is_started_and_what_a_person_stopped_is_not() {
    let cases = [
        "dockerd terminated, 6s, dockerd started, 1m",
        "watchdog killed, dockerd terminated, 5s, dockerd started, 5s, watchdog started, 1m",
        "power lost for 20s, 22s, watchdog started, 1m",
    ];
    let play = |script: &str| {
        let mut w = Scene::with(&["web", "db", "idle"]);
        w.does("docker update --restart unless-stopped db, docker stop idle, 5m")
            .does(script)
            .outcome()
    };
    outcomes(cases, play).tells(expect![[r#"
        dockerd terminated, 6s, dockerd started, 1m | watchdog killed, dockerd terminated, 5s, dockerd started, 5s, watchdog started, 1m | power lost for 20s, 22s, watchdog started, 1m: start web; web running OK; db running OK; idle exited STOPPED
    "#]]);
}
