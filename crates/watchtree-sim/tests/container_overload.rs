//! Checks that fail because the machine is overloaded: one incident, no wave of restarts, and what is really ill is repaired.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};
use watchtree_sim::state::engine::Check;

/// These containers, with health checks, and a watchdog.
fn checked(names: &[impl AsRef<str>]) -> Scene {
    let mut w = Scene::new();
    for name in names {
        w.create(name.as_ref(), |it| it.check = Some(Check::default()));
    }
    w.watched()
}

/// Two are fewer than an outbreak asks for otherwise; on an overloaded machine they have one cause.
#[test]
fn two_whose_checks_time_out_on_an_overloaded_machine_have_one_cause() {
    let mut w = checked(&["a", "b"]);
    w.does("machine is busy, 100s, machine is idle, 1m");
    w.tells(expect![[r#"
        0.000  happens  machine is busy
        4.003  seen     a: health_status unhealthy
        4.003  seen     b: health_status unhealthy
        4.006  decided  escalate h1/docker: 2 of 2 turned unhealthy at once, and tasks wait for cpu 76.2 % of the time: one cause, and not theirs: a person is needed; they are restarted one at a time, while that helps; level blocked
        4.006  decided  a: unhealthy: 2 of 2 turned unhealthy at once, and tasks wait for cpu 76.2 % of the time: one cause, and not theirs; one is tried in 30 s; level blocked
        4.006  decided  b: unhealthy: 2 of 2 turned unhealthy at once, and tasks wait for cpu 76.2 % of the time: one cause, and not theirs; one is tried in 30 s; level blocked
        4.006  told     h1/docker UNHEALTHY: 2 of 2 turned unhealthy at once, and tasks wait for cpu 76.2 % of the time: one cause, and not theirs
        4.006  told     a UNHEALTHY: unhealthy: 2 of 2 turned unhealthy at once, and tasks wait for cpu 76.2 % of the time: one cause, and not theirs; one is tried in 30 s
        4.006  told     b UNHEALTHY: unhealthy: 2 of 2 turned unhealthy at once, and tasks wait for cpu 76.2 % of the time: one cause, and not theirs; one is tried in 30 s
        34.006 decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        34.006 told     a REPAIRING: being stopped, to be started again
        34.011 done     stop -t 10 a
        34.015 seen     a: kill, signal 15
        34.035 seen     a: stop
        34.035 done     stop -t 10 a → done
        34.040 seen     a: die, exit code 143
        34.040 done     start a
        34.161 done     start a → done
        34.162 decided  stop then start a: verifying, a new incarnation was seen
        34.162 told     a STARTING: started; it must stay up to count as repaired
        34.164 seen     a: start
        38.164 seen     a: health_status unhealthy
        38.166 told     a UNHEALTHY: started, and its health check fails; startup grace: 5.00 s
        39.162 decided  stop then start a: failed, it is unhealthy again
        39.162 decided  a: unhealthy: 2 of 2 turned unhealthy at once, and tasks wait for cpu 76.2 % of the time: one cause, and not theirs; restarting one did not help: the next is tried in 60 s; level blocked
        99.162 decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        99.162 told     a REPAIRING: being stopped, to be started again
        99.167 done     stop -t 10 a
        99.171 seen     a: kill, signal 15
        99.191 seen     a: stop
        99.191 done     stop -t 10 a → done
        99.196 seen     a: die, exit code 143
        99.196 done     start a
        99.317 done     start a → done
        99.318 decided  stop then start a: verifying, a new incarnation was seen
        99.318 told     a STARTING: started; it must stay up to count as repaired
        99.320 seen     a: start
        100.000 happens  machine is idle
        101.320 seen     a: health_status healthy
        102.003 seen     b: health_status healthy
        102.003 told     b OK: running, healthy
        104.318 decided  stop then start a: succeeded, a new incarnation has stayed up for 5.00 s, healthy
        104.318 told     a OK: running, healthy
        104.318 told     h1/docker is gone
    "#]]);
}

#[test]
fn an_overload_that_passes_leads_to_no_restart_and_one_that_lasts_to_one_canary_at_a_time() {
    let scripts = [
        "machine is busy, 25s, machine is idle, 3m",
        "machine is busy, 3m",
        "load is hidden, machine is busy, 25s, machine is idle, 3m",
        "machine is busy, a hangs, 25s, machine is idle, 2m",
        "a hangs, 1m, machine is busy, 10s, machine is idle, 2m",
        "a hangs, 2m",
        "load is hidden, a hangs, 2m",
    ];
    let play = |script| {
        let mut w = checked(&["a", "b"]);
        w.does(script);
        w.outcome()
    };
    outcomes(scripts, play).tells(expect![[r#"
        machine is busy, 25s, machine is idle, 3m: no call; a running OK; b running OK
        machine is busy, 3m: stop -t 10 a, start a, stop -t 10 a, start a; a running UNHEALTHY; b running UNHEALTHY
        load is hidden, machine is busy, 25s, machine is idle, 3m: stop -t 10 a, stop -t 10 b, start a, start b, stop -t 10 a, stop -t 10 b, start a, start b, stop -t 10 a, stop -t 10 b, start a, start b; a running OK; b running OK
        machine is busy, a hangs, 25s, machine is idle, 2m | a hangs, 1m, machine is busy, 10s, machine is idle, 2m | a hangs, 2m | load is hidden, a hangs, 2m: stop -t 10 a, start a; a running OK; b running OK
    "#]]);
}
