//! A shim that does nothing, and an end that the engine does not see: told apart from a service that is ill, and cured.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, story};
use watchtree_sim::state::engine::Check;

/// A container with a check each second, two failures of which make it unhealthy.
fn checked() -> Scene {
    let mut w = Scene::new();
    w.create("web", |it| it.check = Some(Check::default()));
    w.watched()
}

#[test]
fn a_stopped_shim_holds_our_stop_and_is_killed() {
    checked().does("the shim of web is stopped, 1m").tells(expect![[r#"
        0.000  happens  the shim of web is stopped
        4.003  seen     web: health_status unhealthy
        4.006  decided  stop then start web: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        4.006  told     web REPAIRING: being stopped, to be started again
        4.011  done     stop -t 10 web
        10.006 told     watchdog degraded, engine: the engine did not answer in time
        15.004 told     watchdog no longer degraded, engine
        17.013 decided  kill shim web: its shim, process 1048677, is stopped and holds our stop: kill it, the container ends with it
        17.013 done     stop -t 10 web → it was so
        17.016 seen     web: die, exit code 255
        17.016 done     start web
        17.016 decided  kill shim web: succeeded, its container has ended
        17.137 done     start web → done
        17.140 seen     web: start
        17.148 decided  stop then start web: verifying, a new incarnation was seen
        17.148 told     web STARTING: started; it must stay up to count as repaired
        18.140 seen     web: health_status healthy
        22.140 decided  stop then start web: succeeded, a new incarnation has stayed up for 5.00 s, healthy
        22.140 told     web OK: running, healthy
    "#]]);
}

#[test]
fn an_end_that_the_engine_does_not_see_is_cured_by_a_stop() {
    story(&["web"], "the shim of web is stopped, web exits 1, 1m").tells(expect![[r#"
        0.000  happens  the shim of web is stopped
        0.000  happens  web exits 1
        7.003  told     web SUSPECT: its process has ended, and the engine says that it runs
        12.002 decided  stop then start web: its process has ended, and the engine says that it runs: stop it, inspect whether a person interferes, start it, restart 1 in a row
        12.002 told     web REPAIRING: being stopped, to be started again
        12.007 done     stop -t 10 web
        20.003 told     watchdog degraded, engine: the engine did not answer in time
        20.004 told     watchdog no longer degraded, engine
        25.006 told     watchdog degraded, engine: the engine did not answer in time
        25.009 decided  kill shim web: its shim, process 1048677, is stopped and holds our stop: kill it, the container ends with it
        25.009 done     stop -t 10 web → it was so
        25.012 seen     web: die, exit code 255
        25.012 done     start web
        25.012 decided  kill shim web: succeeded, its container has ended
        25.133 done     start web → done
        25.134 decided  stop then start web: verifying, a new incarnation was seen
        25.134 told     web STARTING: started; it must stay up to count as repaired
        25.136 seen     web: start
        30.004 told     watchdog no longer degraded, engine
        30.134 decided  stop then start web: succeeded, a new incarnation has stayed up for 5.00 s
        30.134 told     web OK: running
    "#]]);
}

#[test]
fn a_shim_that_goes_on_in_time_is_left_alone() {
    outcomes(
        [
            "the shim of web is stopped, 10s, the shim of web goes on, 1m",
            "the shim of web is stopped, 1s, the shim of web goes on, 1m",
            "the shim of web is stopped, web exits 1, 3s, the shim of web goes on, 1m",
            "the shim of web is killed, 1m",
            "the end of web is missed, 1m",
        ],
        |script| checked().does(script).outcome(),
    )
    .tells(expect![[r#"
        the shim of web is stopped, 10s, the shim of web goes on, 1m | the end of web is missed, 1m: stop -t 10 web, start web; web running OK
        the shim of web is stopped, 1s, the shim of web goes on, 1m: no call; web running OK
        the shim of web is stopped, web exits 1, 3s, the shim of web goes on, 1m | the shim of web is killed, 1m: start web; web running OK
    "#]]);
}

#[test]
fn a_person_who_stops_what_has_a_stopped_shim_is_obeyed_when_it_goes_on() {
    story(
        &["web"],
        "the shim of web is stopped, docker stop web, 30s, the shim of web goes on, 1m",
    )
    .tells(expect![[r#"
        0.000  happens  the shim of web is stopped
        0.000  happens  docker stop web
        30.000 happens  the shim of web goes on
        30.003 seen     web: kill, signal 15
        30.023 seen     web: stop
        30.025 decided  web: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended; operator_intent blocked
        30.025 told     web STOPPED: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended
        30.028 seen     web: die, exit code 143
    "#]]);
}
