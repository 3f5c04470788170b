//! A host below a manager: what the manager tells of it, and what its host-watchdog does.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::Script;

#[test]
fn a_killed_container_watchdog_is_started_again() {
    Scene::in_a_fleet(&["web"])
        .does("watchdog killed, 10s")
        .tells(expect![[r#"
            0.000  happens  container-watchdog ends
            0.004  decided  revive watchdog @watchdog: process 1001 ended (killed by signal 9), nobody here asked it to end: start it again, restart 1 in a row
            0.004  happens  container-watchdog starts
            0.006  decided  revive watchdog @watchdog: verifying, process 1002 was started
            0.006  seen     the event stream opens
            0.008  told     manager: h1/docker/@watchdog STARTING: being started
            0.009  seen     web: create
            0.010  told     web OK: running
            0.095  decided  revive watchdog @watchdog: succeeded, process 1002 of build sim said Hello
            0.096  told     manager: h1/docker/@watchdog OK: beats, process 1002
        "#]]);
}

#[test]
fn a_crash_is_healed_here_and_told_there() {
    Scene::in_a_fleet(&["web"]).does("web exits 1, 10s").tells(expect![[r#"
        0.000  happens  web exits 1
        0.003  seen     web: die, exit code 1
        0.003  decided  start web: exited (1), nobody stopped it: start it, restart 1 in a row
        0.003  done     start web
        0.003  told     web REPAIRING: being started
        0.008  told     manager: h1/docker/web REPAIRING: being started
        0.124  done     start web → done
        0.127  seen     web: start
        0.132  decided  start web: verifying, a new incarnation was seen
        0.132  told     web STARTING: started; it must stay up to count as repaired
        0.137  told     manager: h1/docker/web STARTING: started; it must stay up to count as repaired
        5.127  decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        5.127  told     web OK: running
        5.132  told     manager: h1/docker/web OK: running
    "#]]);
}

#[test]
fn a_host_without_power_is_unreachable_and_comes_back() {
    Scene::in_a_fleet(&["web"])
        .does("power lost for 20s, 30s")
        .tells(expect![[r#"
            0.000  happens  host-watchdog ends
            0.000  happens  container-watchdog ends
            0.000  happens  the machine loses its power
            0.000  happens  dockerd ends
            1.042  told     manager: h1 SUSPECT: nothing after slot 10119.541 of its clock; the next one is 1.0 s late; asking it and looking whether its kernel answers
            2.642  told     manager: h1 UNREACHABLE: neither it nor its kernel answers (no answer); only this manager could look
            20.000 happens  the machine boots
            20.300 happens  host-watchdog starts
            20.304 happens  container-watchdog starts
            20.306 told     watchdog degraded, stream: connection refused: is the engine running?
            20.308 told     watchdog degraded, engine: connection refused: is the engine running?
            20.353 told     manager: h1 OK: heard again after UNREACHABLE
            20.360 told     manager: h1/docker UNKNOWN: not asked yet
            20.360 told     manager: h1/docker/@watchdog STARTING: runs as process 1002, has not said Hello yet
            20.394 told     manager: h1/docker/@watchdog OK: beats, process 1002
            20.400 told     manager: h1/docker/@watchdog DEGRADED: engine: connection refused: is the engine running?; stream: connection refused: is the engine running?
            21.100 happens  dockerd answers
            21.412 seen     the event stream opens
            21.412 told     watchdog no longer degraded, stream
            21.414 told     web SUSPECT: exited (255); waits until the event stream is whole again
            21.414 told     watchdog no longer degraded, engine
            21.419 told     manager: h1/docker/web SUSPECT: exited (255); waits until the event stream is whole again
            21.419 told     manager: h1/docker/@watchdog OK: beats, process 1002
            21.614 decided  start web: exited (255), it ended while its engine was going down, and the engine's manual-stop flag is not set: start it, restart 1 in a row
            21.614 done     start web
            21.614 told     web REPAIRING: being started
            21.621 told     manager: h1/docker/web REPAIRING: being started
            21.735 done     start web → done
            21.738 seen     web: start
            21.740 decided  start web: verifying, a new incarnation was seen
            21.740 told     web STARTING: started; it must stay up to count as repaired
            21.746 told     manager: h1/docker/web STARTING: started; it must stay up to count as repaired
            22.307 told     manager: h1/docker OK: answers
            26.738 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
            26.738 told     web OK: running
            26.742 told     manager: h1/docker/web OK: running
        "#]]);
}

/// Its containers are healed all the same.
#[test]
fn a_host_whose_watchdog_is_gone_is_agent_lost() {
    Scene::in_a_fleet(&["web"])
        .does("host-watchdog killed, 5s, web exits 1, 10s")
        .tells(expect![[r#"
            0.000  happens  host-watchdog ends
            0.001  told     watchdog degraded, parent: host-watchdog is gone
            1.042  told     manager: h1 SUSPECT: nothing after slot 10119.541 of its clock; the next one is 1.0 s late; asking it and looking whether its kernel answers
            2.642  told     manager: h1 AGENT LOST: its kernel answers (tcp refused), its watchdog does not
            5.000  happens  web exits 1
            5.003  seen     web: die, exit code 1
            5.003  decided  start web: exited (1), nobody stopped it: start it, restart 1 in a row
            5.003  done     start web
            5.003  told     web REPAIRING: being started
            5.124  done     start web → done
            5.127  seen     web: start
            5.132  decided  start web: verifying, a new incarnation was seen
            5.132  told     web STARTING: started; it must stay up to count as repaired
            10.127 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
            10.127 told     web OK: running
        "#]]);
}
