//! The container role against the model engine: starts that are refused for a cause outside the container.

use expect_test::expect;
use watchtree_core::container::HealMode;
use watchtree_core::container::io::Namespace;
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};
use watchtree_sim::state::engine::Spec;

/// One that mounts `/m`, publishes port 80, and is in the network `back`.
fn web() -> Scene {
    let mut w = Scene::new();
    w.create("web", |it| {
        (it.mounts, it.ports) = (vec!["/m".into()], vec![80]);
        it.networks = vec!["back".into()];
    });
    w.watched()
}

/// The pauses grow to half a minute, nothing is taken from the budget, and the cause is named.
#[test]
fn a_refused_start_waits_for_its_cause_and_burns_no_budget() {
    web()
        .does("mount /m gone, web exits 1, 3s, mount /m there, 10s")
        .tells(expect![[r#"
            0.000  happens  mount /m gone
            0.000  happens  web exits 1
            0.003  seen     web: die, exit code 1
            0.003  decided  start web: exited (1), nobody stopped it: start it, restart 1 in a row
            0.003  done     start web
            0.003  told     web REPAIRING: being started
            0.007  done     start web → refused, 400 invalid mount config for type "bind": bind source path does not exist: /m
            0.008  decided  start web: failed, the source of a mount is not there: the engine refused the start (400): invalid mount config for type "bind": bind source path does not exist: /m
            0.008  told     web DOWN: exited (1): the source of a mount is not there: the engine refused the start (400): invalid mount config for type "bind": bind source path does not exist: /m; tried again every 30 s or sooner
            1.008  decided  start web: exited (1), nobody stopped it: start it, restart 1 in a row
            1.008  done     start web
            1.012  done     start web → refused, 400 invalid mount config for type "bind": bind source path does not exist: /m
            1.013  decided  start web: failed, the source of a mount is not there: the engine refused the start (400): invalid mount config for type "bind": bind source path does not exist: /m
            3.000  happens  mount /m there
            3.013  decided  start web: exited (1), nobody stopped it: start it, restart 1 in a row
            3.013  done     start web
            3.134  done     start web → done
            3.137  seen     web: start
            3.139  decided  start web: verifying, a new incarnation was seen
            3.139  told     web STARTING: started; it must stay up to count as repaired
            8.137  decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
            8.137  told     web OK: running
        "#]]);
}

/// Whatever it is, and however long it lasts; the next crash is a first one again.
#[test]
fn it_is_up_within_a_minute_after_the_cause_is_gone() {
    let cases = [
        ("mount", "mount /m gone", "mount /m there"),
        ("port", "port 80 taken", "port 80 free"),
        (
            "command",
            "web fails to start: exec: \"x\": executable file not found in $PATH",
            "web starts again",
        ),
        ("unknown", "web fails to start: something new", "web starts again"),
        ("filter", "calls forbidden", "calls allowed"),
    ];
    let play = |(_, away, back): (&str, &str, &str)| {
        let lengths = [500, 5_000, 20_000, 45_000, 600_000, 7_200_000];
        let play = |millis: u64| {
            let mut w = web();
            w.does(away).does("web exits 1").run(millis);
            assert_ne!(w.state("web"), Some(State::Ok));
            w.does(back).run(31_000);
            assert!(w.running("web"), "{away}, {millis} ms: {}", w.why("web"));
            let tries = w.calls().len();
            w.does("10s, web exits 1, 500ms");
            assert!(w.running("web"), "no delay is left");
            tries
        };
        format!("{:?} tries", lengths.map(play))
    };
    outcomes(cases, play).tells(expect![[r#"
        mount | port | command | unknown | filter: [2, 4, 6, 7, 25, 245] tries
    "#]]);
}

/// A container that has run knows its network by an id that never comes back.
#[test]
fn what_only_a_recreate_mends_is_not_tried_again_and_again() {
    let mut w = web();
    w.does("web exits 1, 10s").story_begins();
    w.does("network back gone, web exits 1, 9m").tells(expect![[r#"
        0.000  happens  network back gone
        0.000  happens  web exits 1
        0.003  seen     web: die, exit code 1
        0.003  told     web REPAIRING: exited (1): restart 2 of 12 in 0.08 s
        0.091  decided  start web: exited (1), nobody stopped it: start it, restart 2 in a row
        0.091  done     start web
        0.095  done     start web → refused, 404 network 00265677 not found
        0.096  decided  start web: failed, its network was removed or made anew (the engine says: network 00265677 not found, 404): needs recreate: remove it and run it again
        0.096  decided  escalate web: exited (1): its network was removed or made anew (the engine says: network 00265677 not found, 404): needs recreate: remove it and run it again; backoff blocked
        0.096  told     web GIVEN UP: exited (1): its network was removed or made anew (the engine says: network 00265677 not found, 404): needs recreate: remove it and run it again
    "#]]);
}

/// It is our access that is wrong: said once of the watchdog, whatever containers there are.
#[test]
fn a_filter_that_lets_no_call_through_is_a_condition_of_the_watchdog() {
    let mut w = Scene::with(&["a", "b"]);
    w.does("calls forbidden, a exits 1, b is unhealthy, 4s, docker start a, 2s, calls allowed, 40s")
        .tells(expect![[r#"
            0.000  happens  calls forbidden
            0.000  happens  a exits 1
            0.000  happens  b is unhealthy
            0.003  seen     a: die, exit code 1
            0.003  decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
            0.003  done     start a
            0.003  told     a REPAIRING: being started
            0.003  seen     b: health_status unhealthy
            0.004  done     start a → refused, 403 Forbidden
            0.005  decided  start a: failed, this watchdog may not POST /containers/ID/start: let the filter of the engine's socket allow it: the engine refused the start (403): Forbidden
            0.005  told     a DOWN: exited (1): this watchdog may not POST /containers/ID/start: let the filter of the engine's socket allow it: the engine refused the start (403): Forbidden; tried again every 30 s or sooner
            0.005  told     watchdog degraded, access: this watchdog may not POST /containers/ID/(start|stop): let the filter of the engine's socket allow it
            0.006  decided  stop then start b: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
            0.006  told     b REPAIRING: being stopped, to be started again
            0.011  done     stop -t 10 b
            0.012  done     stop -t 10 b → refused, 403 Forbidden
            0.013  decided  stop then start b: failed, this watchdog may not POST /containers/ID/stop: let the filter of the engine's socket allow it: the stop was refused (403): Forbidden
            0.013  told     b UNHEALTHY: unhealthy: this watchdog may not POST /containers/ID/stop: let the filter of the engine's socket allow it: the stop was refused (403): Forbidden; tried again every 30 s or sooner
            1.005  decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
            1.005  done     start a
            1.006  done     start a → refused, 403 Forbidden
            1.007  decided  start a: failed, this watchdog may not POST /containers/ID/start: let the filter of the engine's socket allow it: the engine refused the start (403): Forbidden
            1.013  decided  stop then start b: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
            1.018  done     stop -t 10 b
            1.019  done     stop -t 10 b → refused, 403 Forbidden
            1.020  decided  stop then start b: failed, this watchdog may not POST /containers/ID/stop: let the filter of the engine's socket allow it: the stop was refused (403): Forbidden
            3.007  decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
            3.007  done     start a
            3.008  done     start a → refused, 403 Forbidden
            3.009  decided  start a: failed, this watchdog may not POST /containers/ID/start: let the filter of the engine's socket allow it: the engine refused the start (403): Forbidden
            3.020  decided  stop then start b: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
            3.025  done     stop -t 10 b
            3.026  done     stop -t 10 b → refused, 403 Forbidden
            3.027  decided  stop then start b: failed, this watchdog may not POST /containers/ID/stop: let the filter of the engine's socket allow it: the stop was refused (403): Forbidden
            4.000  happens  docker start a
            4.123  seen     a: start
            4.125  told     a OK: running
            6.000  happens  calls allowed
            8.027  decided  stop then start b: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
            8.032  done     stop -t 10 b
            8.036  seen     b: kill, signal 15
            8.056  seen     b: stop
            8.056  done     stop -t 10 b → done
            8.057  told     watchdog no longer degraded, access
            8.061  seen     b: die, exit code 143
            8.061  done     start b
            8.182  done     start b → done
            8.183  decided  stop then start b: verifying, a new incarnation was seen
            8.183  told     b STARTING: started; it must stay up to count as repaired
            8.185  seen     b: start
            13.183 decided  stop then start b: succeeded, a new incarnation has stayed up for 5.00 s
            13.183 told     b OK: running
        "#]]);
}

/// What was given back is so for the next process too.
#[test]
fn a_restarted_watchdog_does_not_count_refused_starts() {
    let mut w = web();
    w.does("mount /m gone, web exits 1, 10m, watchdog killed, watchdog started, 10m, watchdog killed, mount /m there");
    w.does("watchdog started, 35s");
    assert!(w.running("web"), "{}", w.why("web"));
}

/// The engine's own restart policy is refused as well, and gives up.
#[test]
fn what_the_engines_policy_could_not_start_is_started_when_it_can_be() {
    let mut w = web();
    w.does("docker update --restart always web, 1s, mount /m gone, web exits 1, 45s");
    let away = w.outcome();
    let back = w.does("mount /m there, 35s").outcome();
    expect!["start web, start web, start web, start web, start web, start web; web exited DOWN, then start web; web running OK"].assert_eq(&format!("{away}, then {back}"));
}

/// `app` joins the network of `vpn` and is healed where it is unhealthy, no more; one restart in ten minutes.
fn app_behind_vpn() -> Scene {
    let mut w = Scene::new();
    w.settings().heal = HealMode::Labelled;
    w.create("vpn", |_| {});
    w.create("app", |it| {
        it.join(Namespace::Network, Scene::id("vpn"));
        it.labels.insert("autoheal".into(), "true".into());
        it.labels.insert("watchtree.budget".into(), "1/10m".into());
    });
    w.watched()
}

/// A stop that no start can follow makes it worse.
#[test]
fn what_could_not_be_started_is_not_stopped() {
    let play = |away: &str| {
        app_behind_vpn()
            .does(away)
            .does("100ms, app is unhealthy, 10m")
            .outcome()
    };
    outcomes(["docker stop vpn", "docker rm -f vpn"], play).tells(expect![[r#"
        docker stop vpn: no call; vpn exited STOPPED; app running UNHEALTHY
        docker rm -f vpn: no call; app running UNHEALTHY
    "#]]);
    let back = app_behind_vpn()
        .does("docker stop vpn, 100ms, app is unhealthy, 10m, docker start vpn, 30s")
        .outcome();
    expect!["stop -t 10 app, start app; vpn running OK; app running OK"].assert_eq(&back);
}

/// Neither a label that heals the unhealthy only, nor a used-up budget, nor a restart of the watchdog leaves it down.
#[test]
fn what_we_stopped_we_start() {
    let play = |meanwhile: &str| {
        let mut w = app_behind_vpn();
        w.does("app fails to start: not yet, app is unhealthy, 2m")
            .does(meanwhile);
        let (down, tries) = (w.state("app"), w.starts("app"));
        assert_eq!((down, tries), (Some(State::Down), 0), "{}", w.why("app"));
        w.does("app starts again, 31s");
        format!("running: {}, starts: {}", w.running("app"), w.starts("app"))
    };
    outcomes(["1s", "60m", "watchdog killed, 10s, watchdog started, 10s"], play).tells(expect![[r#"
        1s | 60m | watchdog killed, 10s, watchdog started, 10s: running: true, starts: 1
    "#]]);
}

/// A person's stop of it ends that.
#[test]
fn what_we_stopped_and_a_person_removed_is_over() {
    let mut w = app_behind_vpn();
    w.does("app fails to start: not yet, app is unhealthy, 2m, retry app, 5s, docker rm -f app, 1m");
    expect!["stop -t 10 app, start app, start app, start app, start app, start app, start app, start app, start app, start app, start app, start app; vpn running OK"].assert_eq(&w.outcome());
}

/// Nobody hears of it: the engine tells it by no event, and of a missing mount not even by an inspect.
#[test]
fn a_first_start_that_failed_is_red_and_not_started_by_us() {
    let cases = [
        (
            "command",
            "web fails to start: exec: \"x\": executable file not found in $PATH",
        ),
        ("port", "port 80 taken"),
        ("network", "network back gone"),
        ("mount", "mount /m gone"),
        ("nothing", ""),
    ];
    let play = |(name, away): (&str, &str)| {
        let mut w = Scene::with(&["other"]);
        let spec = Spec {
            id: Scene::id("web"),
            mounts: vec!["/m".into()],
            ports: vec![80],
            networks: vec!["back".into()],
            ..Spec::named("web")
        };
        w.dockerd(|engine, now| engine.create(now, spec).is_ok());
        w.does("10ms").does(away);
        if name != "nothing" {
            w.does("docker start web");
        }
        let outcome = w.does("4s").outcome();
        format!("{outcome}: {}", w.why("web"))
    };
    outcomes(cases, play).tells(expect![[r#"
        command: no call; other running OK; web created DOWN: its first start failed (exit code 128): its command cannot be run: exec: "x": executable file not found in $PATH
        port: no call; other running OK; web created DOWN: its first start failed (exit code 128): a port that it publishes is taken: driver failed programming external connectivity on endpoint web (0000000000000000000000000000000000000000000000000000000000265677): Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use
        network: no call; other running OK; web created DOWN: its first start failed (exit code 128): its network is not there: network back not found
        mount: no call; other running OK; web created DOWN: made, but never started: the source of a mount is not there: /m
        nothing: no call; other running OK; web created STOPPED: made, but never started
    "#]]);
}

/// However long after it was made.
#[test]
fn a_first_start_that_failed_late_is_found_by_the_list() {
    let mut w = Scene::with(&["other"]);
    let spec = Spec {
        id: Scene::id("web"),
        ports: vec![80],
        ..Spec::named("web")
    };
    w.dockerd(|engine, now| engine.create(now, spec).is_ok());
    w.does("60m, port 80 taken, docker start web, 1m");
    assert_eq!(w.state("web"), Some(State::Down), "{}", w.why("web"));
}
