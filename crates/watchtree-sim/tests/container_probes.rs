//! The container role against the model engine: probes of our own, and what follows from what they say.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};
use watchtree_sim::state::engine::{Check, Spec};

type Labels = &'static [(&'static str, &'static str)];

const LIVENESS: Labels = &[
    ("watchtree.liveness.http", ":80/healthz"),
    ("watchtree.liveness.period", "250ms"),
    ("watchtree.grace", "0s"),
];
const READINESS: Labels = &[
    ("watchtree.readiness.http", ":80/ready"),
    ("watchtree.readiness.period", "1s"),
    ("watchtree.readiness.success-threshold", "2"),
];
const STARTUP: Labels = &[
    ("watchtree.startup.tcp", ":80"),
    ("watchtree.startup.period", "1s"),
    ("watchtree.startup.failure-threshold", "30"),
];

fn labelled(spec: &mut Spec, labels: &[Labels]) {
    let all = labels.iter().copied().flatten();
    let all = all.map(|(key, value)| (key.to_string(), value.to_string()));
    spec.labels.extend(all);
    spec.stop_timeout = Some(std::time::Duration::from_secs(1));
}

fn scene(names: &[&str], labels: &[Labels]) -> Scene {
    let mut w = Scene::new();
    names.iter().for_each(|name| w.create(name, |it| labelled(it, labels)));
    w.watched()
}

fn web(labels: &[Labels]) -> Scene {
    scene(&["web"], labels)
}

#[test]
fn a_hang_is_seen_by_three_silences_and_healed() {
    web(&[LIVENESS]).does("web hangs, 10s").tells(expect![[r#"
        0.000  happens  web hangs
        0.873  decided  stop then start web: its liveness probe fails: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.873  told     web REPAIRING: being stopped, to be started again
        0.878  done     stop -t 1 web
        0.882  seen     web: kill, signal 15
        1.882  seen     web: kill, signal 9
        1.902  seen     web: stop
        1.902  done     stop -t 1 web → done
        1.907  seen     web: die, exit code 137
        1.907  done     start web
        2.028  done     start web → done
        2.029  decided  stop then start web: verifying, a new incarnation was seen
        2.029  told     web STARTING: started; it must stay up to count as repaired
        2.031  seen     web: start
        7.029  decided  stop then start web: succeeded, a new incarnation has stayed up for 5.00 s, healthy
        7.029  told     web OK: running, healthy
    "#]]);
}

#[test]
fn what_cannot_be_probed_is_told_and_left_alone() {
    let mut w = web(&[LIVENESS]);
    w.does("probes cannot run: no right to, 2m, web hangs, 2m, probes can run, 10s")
        .tells(expect![[r#"
            0.000  happens  probes cannot run: no right to
            0.673  decided  web: its liveness probe cannot be run: http :80/healthz: no right to; nothing is known of the container itself, so it is left alone; known_cause blocked
            0.673  told     web DEGRADED: its liveness probe cannot be run: http :80/healthz: no right to; nothing is known of the container itself, so it is left alone
            120.000 happens  web hangs
            240.000 happens  probes can run
            240.872 decided  stop then start web: its liveness probe fails: stop it, inspect whether a person interferes, start it, restart 1 in a row
            240.872 told     web REPAIRING: being stopped, to be started again
            240.877 done     stop -t 1 web
            240.881 seen     web: kill, signal 15
            241.881 seen     web: kill, signal 9
            241.901 seen     web: stop
            241.901 done     stop -t 1 web → done
            241.906 seen     web: die, exit code 137
            241.906 done     start web
            242.027 done     start web → done
            242.028 decided  stop then start web: verifying, a new incarnation was seen
            242.028 told     web STARTING: started; it must stay up to count as repaired
            242.030 seen     web: start
            247.028 decided  stop then start web: succeeded, a new incarnation has stayed up for 5.00 s, healthy
            247.028 told     web OK: running, healthy
        "#]]);
}

#[test]
fn one_that_is_not_ready_is_shown_and_nothing_else() {
    let mut w = web(&[LIVENESS, READINESS]);
    w.does("web says no to http :80/ready: status 503, 10m, web says yes to http :80/ready, 5s");
    w.tells(expect![[r#"
        0.000  happens  web says no to http :80/ready: status 503
        2.238  told     web DEGRADED: running, not ready: http :80/ready: status 503
        600.000 happens  web says yes to http :80/ready
        601.238 told     web OK: running, healthy
    "#]]);
}

#[test]
fn a_slow_start_is_waited_for_and_one_that_never_comes_up_is_ill() {
    let mut w = web(&[LIVENESS, STARTUP]);
    w.does("web comes up 20s late, web exits 1, 40s").tells(expect![[r#"
            0.000  happens  web comes up 20s late
            0.000  happens  web exits 1
            0.003  seen     web: die, exit code 1
            0.003  decided  start web: exited (1), nobody stopped it: start it, restart 1 in a row
            0.003  done     start web
            0.003  told     web REPAIRING: being started
            0.124  done     start web → done
            0.126  decided  start web: verifying, a new incarnation was seen
            0.126  told     web STARTING: started; it must stay up to count as repaired
            0.127  seen     web: start
            20.416 decided  start web: succeeded, a new incarnation has stayed up for 20 s, healthy
            20.416 told     web OK: running, healthy
        "#]]);
    let mut w = web(&[LIVENESS, STARTUP]);
    w.does("web comes up 10m late, web exits 1, 1m").tells(expect![[r#"
        0.000  happens  web comes up 10m late
        0.000  happens  web exits 1
        0.003  seen     web: die, exit code 1
        0.003  decided  start web: exited (1), nobody stopped it: start it, restart 1 in a row
        0.003  done     start web
        0.003  told     web REPAIRING: being started
        0.124  done     start web → done
        0.126  decided  start web: verifying, a new incarnation was seen
        0.126  told     web STARTING: started; it must stay up to count as repaired
        0.127  seen     web: start
        29.248 decided  start web: failed, it is unhealthy again
        29.248 told     web REPAIRING: its startup probe fails: waits before the next try
        29.348 decided  stop then start web: its startup probe fails: stop it, inspect whether a person interferes, start it, restart 2 in a row
        29.353 done     stop -t 1 web
        29.357 seen     web: kill, signal 15
        29.377 seen     web: stop
        29.377 done     stop -t 1 web → done
        29.382 seen     web: die, exit code 143
        29.382 done     start web
        29.503 done     start web → done
        29.504 decided  stop then start web: verifying, a new incarnation was seen
        29.504 told     web STARTING: started; it must stay up to count as repaired
        29.506 seen     web: start
        58.626 decided  stop then start web: failed, it is unhealthy again
        58.626 told     web REPAIRING: its startup probe fails: waits before the next try
        58.826 decided  stop then start web: its startup probe fails: stop it, inspect whether a person interferes, start it, restart 3 in a row
        58.831 done     stop -t 1 web
        58.835 seen     web: kill, signal 15
        58.855 seen     web: stop
        58.855 done     stop -t 1 web → done
        58.860 seen     web: die, exit code 143
        58.860 done     start web
        58.981 done     start web → done
        58.982 decided  stop then start web: verifying, a new incarnation was seen
        58.982 told     web STARTING: started; it must stay up to count as repaired
        58.984 seen     web: start
    "#]]);
}

#[test]
fn many_that_fail_at_once_have_one_cause() {
    let mut w = scene(&["a", "b", "c", "d"], &[LIVENESS]);
    w.does("a says no to http :80/healthz: status 500, b says no to http :80/healthz: status 500");
    w.does("c says no to http :80/healthz: status 500, d says no to http :80/healthz: status 500, 30s");
    w.tells(expect![[r#"
        0.000  happens  a says no to http :80/healthz: status 500
        0.000  happens  b says no to http :80/healthz: status 500
        0.000  happens  c says no to http :80/healthz: status 500
        0.000  happens  d says no to http :80/healthz: status 500
        0.516  decided  stop then start a: its liveness probe fails: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.516  told     a REPAIRING: being stopped, to be started again
        0.521  done     stop -t 1 a
        0.525  seen     a: kill, signal 15
        0.545  seen     a: stop
        0.545  done     stop -t 1 a → done
        0.550  seen     a: die, exit code 143
        0.550  done     start a
        0.554  decided  stop then start d: its liveness probe fails: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.554  told     d REPAIRING: being stopped, to be started again
        0.559  done     stop -t 1 d
        0.563  seen     d: kill, signal 15
        0.571  decided  escalate h1/docker: 3 of 4 turned unhealthy at once: one cause, and not theirs: a person is needed; they are restarted one at a time, while that helps; level blocked
        0.571  told     h1/docker UNHEALTHY: 3 of 4 turned unhealthy at once: one cause, and not theirs
        0.572  decided  stop then start b: its liveness probe fails: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.572  told     b REPAIRING: being stopped, to be started again
        0.577  done     stop -t 1 b
        0.581  seen     b: kill, signal 15
        0.583  seen     d: stop
        0.583  done     stop -t 1 d → done
        0.588  seen     d: die, exit code 143
        0.588  done     start d
        0.601  seen     b: stop
        0.601  done     stop -t 1 b → done
        0.606  seen     b: die, exit code 143
        0.606  done     start b
        0.618  told     c UNHEALTHY: its liveness probe fails: 4 of 4 turned unhealthy at once: one cause, and not theirs; h1/docker/b is tried first
        0.671  done     start a → done
        0.672  decided  stop then start a: verifying, a new incarnation was seen
        0.672  told     a STARTING: started; it must stay up to count as repaired
        0.674  seen     a: start
        0.709  done     start d → done
        0.710  decided  stop then start d: verifying, a new incarnation was seen
        0.710  told     d STARTING: started; it must stay up to count as repaired
        0.712  seen     d: start
        0.727  done     start b → done
        0.728  decided  stop then start b: verifying, a new incarnation was seen
        0.728  told     b STARTING: started; it must stay up to count as repaired
        0.730  seen     b: start
        1.185  told     a UNHEALTHY: started, and its liveness probe fails; startup grace: 5.00 s
        1.262  told     d UNHEALTHY: started, and its liveness probe fails; startup grace: 5.00 s
        1.297  told     b UNHEALTHY: started, and its liveness probe fails; startup grace: 5.00 s
        5.672  decided  stop then start a: failed, it is unhealthy again
        5.710  decided  stop then start d: failed, it is unhealthy again
        5.728  decided  stop then start b: failed, it is unhealthy again
        5.728  decided  b: its liveness probe fails: 4 of 4 turned unhealthy at once: one cause, and not theirs; restarting one did not help: the next is tried in 240 s; level blocked
        5.728  decided  a: its liveness probe fails: 4 of 4 turned unhealthy at once: one cause, and not theirs; restarting one did not help: the next is tried in 240 s; level blocked
        5.728  decided  c: its liveness probe fails: 4 of 4 turned unhealthy at once: one cause, and not theirs; restarting one did not help: the next is tried in 240 s; level blocked
        5.728  decided  d: its liveness probe fails: 4 of 4 turned unhealthy at once: one cause, and not theirs; restarting one did not help: the next is tried in 240 s; level blocked
    "#]]);
}

#[test]
fn what_a_person_stops_or_pauses_stays_so() {
    let cases = [
        "web hangs, 500ms, docker stop web, 1m",
        "docker stop web, 1m",
        "web hangs, 500ms, docker pause web, 1m",
        "docker pause web, 1m, docker unpause web, 10s",
        "docker restart web, 10s",
    ];
    outcomes(cases, |script| web(&[LIVENESS]).does(script).outcome()).tells(expect![[r#"
        web hangs, 500ms, docker stop web, 1m | docker stop web, 1m: no call; web exited STOPPED
        web hangs, 500ms, docker pause web, 1m: no call; web paused STOPPED
        docker pause web, 1m, docker unpause web, 10s | docker restart web, 10s: no call; web running OK
    "#]]);
}

#[test]
fn a_watchdog_that_stood_still_judges_nobody_by_what_it_did_not_hear() {
    let cases = [
        "watchdog frozen, 30s, watchdog thawed, 10s",
        "watchdog frozen, 700ms, watchdog thawed, 10s",
        "watchdog killed, 30s, watchdog started, 10s",
        "dockerd killed, 5s, dockerd started, 30s",
        "stream cut, 10s",
    ];
    outcomes(cases, |script| web(&[LIVENESS]).does(script).outcome()).tells(expect![[r#"
        watchdog frozen, 30s, watchdog thawed, 10s | watchdog frozen, 700ms, watchdog thawed, 10s | watchdog killed, 30s, watchdog started, 10s | stream cut, 10s: no call; web running OK
        dockerd killed, 5s, dockerd started, 30s: start web; web running OK
    "#]]);
}

#[test]
fn a_probe_heals_whom_its_policy_lets_and_shows_all_others() {
    let cases: [(&str, &[Labels]); 6] = [
        ("healed", &[LIVENESS]),
        ("not healed", &[LIVENESS, &[("watchtree.enable", "false")]]),
        ("told", &[LIVENESS, &[("watchtree.action", "notify")]]),
        ("not read", &[LIVENESS, &[("watchtree.liveness.timeout", "soon")]]),
        ("switched off", &[LIVENESS, &[("watchtree.liveness", "off")]]),
        ("no probe", &[]),
    ];
    outcomes(cases, |(_, labels)| web(labels).does("web hangs, 20s").outcome()).tells(expect![[r#"
        healed: stop -t 1 web, start web; web running OK
        not healed | told: no call; web running UNHEALTHY
        not read: no call; web running DEGRADED
        switched off | no probe: no call; web running OK
    "#]]);
}

#[test]
fn a_health_check_and_a_probe_can_each_say_that_it_is_ill() {
    let cases = [
        "the check of web exits 1, 20s",
        "web says no to http :80/healthz: status 500, 2s",
        "the check of web exits 1, web says no to http :80/healthz: status 500, 20s",
        "the check of web exits 127, 20s",
    ];
    let play = |script| {
        let mut w = Scene::new();
        w.create("web", |it| {
            labelled(it, &[LIVENESS]);
            it.check = Some(Check::default());
        });
        let mut w = w.watched();
        w.does(script);
        let story = w.take_story();
        let said = story.lines().filter(|line| line.contains("decided"));
        said.take(1).map(|line| line[16..].to_string()).collect::<String>()
    };
    outcomes(cases, play).tells(expect![[r#"
        the check of web exits 1, 20s: stop then start web: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        web says no to http :80/healthz: status 500, 2s | the check of web exits 1, web says no to http :80/healthz: status 500, 20s: stop then start web: its liveness probe fails: stop it, inspect whether a person interferes, start it, restart 1 in a row
        the check of web exits 127, 20s: web: its health check cannot be run: exit code 127; nothing is known of the container itself, so it is left alone; known_cause blocked
    "#]]);
}
