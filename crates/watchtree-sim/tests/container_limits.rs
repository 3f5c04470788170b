//! The container role against the model engine: budgets, grace, holds, labels, deployments, shutdown.

use expect_test::expect;
use watchtree_core::container::HealMode;
use watchtree_core::container::io::*;
use watchtree_core::decision::ActionKind;
use watchtree_core::message::OrderInput;
use watchtree_core::order::Verb;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, story};
use watchtree_sim::state::engine::{Check, CheckResult, Spec};

#[test]
fn exited_at_first_sight_is_reported_only() {
    let mut w = Scene::new();
    w.create("a", |_| {});
    w.does("a exits 1, 1s, watchdog started, 30s").tells(expect![[r#"
        0.000  happens  a exits 1
        1.000  happens  container-watchdog starts
        1.002  seen     the event stream opens
        1.006  decided  a: exited (1) before anybody watched it: nobody knows whether it is meant to run; known_cause blocked
        1.006  told     a UNKNOWN: exited (1) before anybody watched it: nobody knows whether it is meant to run
    "#]]);
}

/// A label says how often, and the journal since when.
#[test]
fn a_limit_of_before_a_restart_is_told_by_the_policy_of_its_container() {
    let mut w = Scene::new();
    w.create("a", |it| _ = it.labels.insert("watchtree.budget".into(), "1/1m".into()));
    let mut w = w.watched();
    w.does("a runs for 500ms, a exits 1, 10s");
    let before = w.why("a");
    w.does("watchdog killed, watchdog started, 10s");
    let after = w.why("a");
    expect![[r#"
        exited (1): restart limit reached: 1 restarts in 60 s are used up; a person is needed
        exited (1): restart limit reached (1 restarts in 60 s are used up); one half-open retry every 600 s"#]]
    .assert_eq(&format!("{before}\n{after}"));
}

#[test]
fn a_retry_does_not_wait_for_the_grace() {
    let mut w = Scene::with(&["a"]);
    let start_period = Duration::from_secs(60);
    let check = Check {
        start_period,
        result: CheckResult::Fails(1, String::new()),
        ..Check::default()
    };
    w.remake("a", |it| it.check = Some(check));
    w.steps(&["docker restart a, 10s, a is unhealthy, 2s", "retry a, 1s"])
        .tells(expect![[r#"
            docker restart a, 10s, a is unhealthy, 2s: no call; a running UNHEALTHY
            retry a, 1s: stop -t 10 a, start a; a running STARTING
        "#]]);
}

#[test]
fn a_correlated_failure_is_one_repair() {
    let names = Scene::names(60);
    let mut w = Scene::with(&names);
    names.iter().for_each(|name| w.crash(name, 137));
    w.does("20s");
    assert!(names.iter().all(|name| w.running(name)));
    assert_eq!(w.calls().len(), 60);
}

/// All of them are decided when they die, not when their turn comes: the last waits for longer than what counts as at once.
#[test]
fn hundreds_that_die_at_once_are_back_without_waiting_for_a_budget() {
    let names = Scene::names(300);
    let mut w = Scene::with(&names);
    names.iter().for_each(|name| w.slow_start(name, 400));
    names.iter().for_each(|name| w.crash(name, 137));
    w.does("40s");
    let down = names.iter().filter(|name| !w.running(name)).count();
    assert_eq!((down, w.calls().len()), (0, 300));
}

/// Restarts all that are unhealthy, and stay so after each start, for so many seconds; how many stops.
fn stops_of_well_processes(w: &mut Scene, names: &[String], secs: u64) -> usize {
    let before = w.calls().len();
    for _ in 0..secs {
        for name in names {
            if w.running(name) && w.inspect(name).health != Health::Unhealthy {
                w.health(name, Health::Unhealthy);
            }
        }
        w.does("1s");
    }
    w.calls()[before..].iter().filter(|it| it.starts_with("stop")).count()
}

/// Twenty processes that are well, and one thing that all their checks look at.
#[test]
fn many_that_turn_unhealthy_at_once_are_no_wave_of_restarts() {
    let names = Scene::names(20);
    let mut w = Scene::with(&names);
    let stops = stops_of_well_processes(&mut w, &names, 400);
    assert!(stops <= 8, "{stops} stops");
    let asked: Vec<_> = w
        .decided()
        .iter()
        .filter(|it| it.action == ActionKind::Escalate)
        .collect();
    expect![[r#"
        h1/docker: 4 of 20 turned unhealthy at once: one cause, and not theirs: a person is needed; they are restarted one at a time, while that helps
    "#]]
    .assert_eq(&asked.iter().map(|it| format!("{}: {}\n", it.subject, it.why)).collect::<String>());
    assert!(names.iter().all(|name| w.running(name)), "what was stopped was started");
    // What they look at is there again.
    names.iter().for_each(|name| w.health(name, Health::Healthy));
    w.does("10s");
    let before = w.calls().len();
    assert!(names.iter().all(|name| w.state(name) == Some(State::Ok)));
    let few = stops_of_well_processes(&mut w, &names[..2], 3);
    assert_eq!(
        (few, before < w.calls().len()),
        (2, true),
        "two of them are ill on their own"
    );
}

/// Where a restart helps, one follows the other.
#[test]
fn many_that_a_restart_helps_are_restarted_one_by_one() {
    let names = Scene::names(12);
    let mut w = Scene::with(&names);
    names.iter().for_each(|name| w.health(name, Health::Unhealthy));
    w.does("4s");
    let under_way = w.calls().iter().filter(|it| it.starts_with("stop")).count();
    w.does("3m");
    let stops = w.calls().iter().filter(|it| it.starts_with("stop")).count();
    assert_eq!((under_way, stops), (1, 12), "the first canary");
    assert!(names.iter().all(|name| w.state(name) == Some(State::Ok)));
}

#[test]
fn the_hosts_budget_holds_single_crashes_back() {
    let names = Scene::names(40);
    let mut w = Scene::with(&names);
    for name in &names {
        w.does(&format!("{name} exits 1, 6s"));
    }
    assert_eq!(w.calls().len(), 30);
    w.does("10m");
    assert!(names.iter().all(|name| w.running(name)), "they are not forgotten");
}

/// Also over a restart of the watchdog.
#[test]
fn holds_keep_repairs_away_and_end_by_themselves() {
    let mut w = Scene::with(&["a"]);
    w.does("hold a 60s, a exits 1, 30s, watchdog killed, watchdog started, 40s, release zz");
    w.tells(expect![[r#"
        0.000  happens  hold a 60s
        0.000  decided  hold a: a test asked to hold h1/docker/a, succeeded, held for 60 s
        0.000  told     the person: carried out; held for 60 s
        0.000  happens  a exits 1
        0.003  seen     a: die, exit code 1
        0.003  decided  a: exited (1): held for 59 s more (hold on h1/docker/a); hold blocked
        0.003  told     a DOWN: exited (1): held for 59 s more (hold on h1/docker/a)
        30.000 happens  container-watchdog ends
        30.000 happens  container-watchdog starts
        30.002 seen     the event stream opens
        30.005 seen     a: die, exit code 1
        30.006 told     a SUSPECT: exited (1); its end is old news: inspecting whether it is still so
        30.008 decided  a: exited (1): held for 29 s more (hold on h1/docker/a); hold blocked
        30.008 told     a DOWN: exited (1): held for 29 s more (hold on h1/docker/a)
        60.000 decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
        60.000 done     start a
        60.000 told     a REPAIRING: being started
        60.121 done     start a → done
        60.124 seen     a: start
        60.128 decided  start a: verifying, a new incarnation was seen
        60.128 told     a STARTING: started; it must stay up to count as repaired
        65.124 decided  start a: succeeded, a new incarnation has stayed up for 5.00 s
        65.124 told     a OK: running
        70.000 happens  release zz
        70.000 decided  @watchdog: a test asked to release h1/docker/zz: refused (unknown_subject); order_valid blocked: unknown_subject: h1/docker/zz is not known here, h1/docker/zz is not known here
        70.000 told     the person: refused, unknown_subject; h1/docker/zz is not known here
    "#]]);
}

/// The same order again is answered alike and not carried out again.
#[test]
fn a_hold_that_comes_twice_holds_once() {
    let mut w = Scene::with(&["a"]);
    let lasts = Duration::from_secs(60);
    let order = w.an_order(1, "a", Verb::Hold { lasts });
    for local in [false, true] {
        let order = order.clone();
        w.input(ContainerInput::Order(OrderInput { order, local }));
        w.does("70s");
    }
    assert_eq!(w.local_answers().last().unwrap().result, Ok(()));
    assert_eq!(w.agent().unwrap().holds().count(), 0);
}

#[test]
fn labels_decide_and_bad_ones_are_named() {
    let mut w = Scene::new();
    w.settings().heal = HealMode::Labelled;
    let labels: [(&str, &[(&str, &str)]); 3] = [
        ("plain", &[]),
        ("on", &[("watchtree.enable", "true"), ("watchtree.budget", "many")]),
        ("auto", &[("autoheal", "true"), ("autoheal.stop.timeout", "1")]),
    ];
    for (name, labels) in labels {
        let set = |it: &mut Spec| {
            it.labels
                .extend(labels.iter().map(|(key, value)| (key.to_string(), value.to_string())))
        };
        w.create(name, set);
    }
    w.watched()
        .steps(&[
            "0s",
            "plain exits 1, on exits 1, auto exits 1, 20s",
            "docker start auto, 20s, auto is unhealthy, 20s",
        ])
        .tells(expect![[r#"
            0s: no call; plain running OK; on running DEGRADED; auto running OK
            plain exits 1, on exits 1, auto exits 1, 20s: start on; plain exited DOWN; on running DEGRADED; auto exited DOWN
            docker start auto, 20s, auto is unhealthy, 20s: stop -t 1 auto, start auto; plain exited DOWN; on running DEGRADED; auto running OK
        "#]]);
}

/// The engine's API takes whole seconds; who asks for part of one gets no less than that.
#[test]
fn a_stop_timeout_of_a_label_is_rounded_up() {
    let play = |label: &str| {
        let mut w = Scene::new();
        w.create("a", |it| {
            it.labels.insert("watchtree.stop-timeout".into(), label.into());
        });
        w.watched().does("a is unhealthy, 20s").outcome()
    };
    outcomes(["1500ms", "2s", "2001ms"], play).tells(expect![[r#"
        1500ms | 2s: stop -t 2 a, start a; a running OK
        2001ms: stop -t 3 a, start a; a running OK
    "#]]);
}

/// The answer of `/readyz`.
#[test]
fn it_is_ready_once_it_has_listed_and_hears() {
    let mut w = Scene::with(&["a"]);
    let mut ready = |script: &str| w.does(script).agent().is_some_and(|agent| agent.is_ready());
    assert!(ready("0s"));
    assert!(!ready("dockerd killed, 1s"));
    assert!(ready("dockerd started, 30s"));
    assert!(!ready("watchdog killed, watchdog started"), "nothing is listed yet");
    assert!(ready("30s"));
}

/// compose v2: a new one under a temporary name, the old one is stopped and removed, the new one takes its name.
#[test]
fn a_deployment_is_left_alone() {
    let mut w = Scene::new();
    let compose = |it: &mut Spec| {
        for (key, value) in [("project", "shop"), ("service", "web"), ("container-number", "1")] {
            it.labels.insert(format!("com.docker.compose.{key}"), value.into());
        }
        it.labels.insert("watchtree.enable".into(), "true".into());
    };
    w.create("shop-web-1", compose);
    let mut w = w.watched();
    w.create("0123_shop-web-1", compose);
    w.does("docker stop -t 1 shop-web-1, 500ms, docker rm -f shop-web-1, 0123_shop-web-1 exits 1, 20s")
        .tells(expect![[r#"
            0.000  happens  docker stop -t 1 shop-web-1
            0.003  seen     0123_shop-web-1: create
            0.003  seen     shop-web-1: kill, signal 15
            0.005  told     0123_shop-web-1 OK: running
            0.023  seen     shop-web-1: stop
            0.025  decided  shop/web/1: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended; operator_intent blocked
            0.025  told     shop/web/1 STOPPED: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended
            0.028  seen     shop-web-1: die, exit code 143
            0.500  happens  docker rm -f shop-web-1
            0.500  happens  0123_shop-web-1 exits 1
            0.503  seen     shop-web-1: destroy
            0.503  told     shop/web/1 UNKNOWN: its container was removed; a successor may come
            0.503  seen     0123_shop-web-1: die, exit code 1
            0.503  decided  0123_shop-web-1: exited (1): its service, or its name, is being deployed; deploy blocked
            0.503  told     0123_shop-web-1 REPAIRING: exited (1): its service, or its name, is being deployed
        "#]]);
}

#[test]
fn equal_inputs_give_equal_effects() {
    let run = || {
        let mut w = Scene::with(&["a", "b"]);
        let told = w.does("a runs for 700ms, a exits 1, b is unhealthy, 1m").take_story();
        (told, w.decided().to_vec(), w.records().to_vec())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_host_that_goes_down_is_left_alone() {
    let mut w = Scene::with(&["a"]);
    w.input(ContainerInput::HostShutdown);
    w.does("a exits 1, 10s").tells(expect![[r#"
        0.000  told     a UNWATCHED: the host is shutting down: hands off
        0.000  happens  a exits 1
        0.003  seen     a: die, exit code 1
    "#]]);
    w.input(ContainerInput::Stop);
    assert!(w.stopped());
}

#[test]
fn a_call_under_way_is_waited_for_before_an_orderly_end() {
    let mut w = Scene::with(&["a"]);
    w.does("a exits 1, 4ms").input(ContainerInput::Stop);
    assert!(!w.stopped());
    w.does("300ms");
    assert!(w.stopped());
    w.does("watchdog started, 10s").tells(expect![[r#"
        0.000  happens  a exits 1
        0.003  seen     a: die, exit code 1
        0.003  decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
        0.003  done     start a
        0.003  told     a REPAIRING: being started
        0.124  done     start a → done
        0.125  happens  container-watchdog ends
        0.304  happens  container-watchdog starts
        0.306  seen     the event stream opens
        0.309  seen     a: die, exit code 1
        0.309  seen     a: start
        0.809  decided  start a: verifying, a new incarnation was seen
        0.809  told     a STARTING: started; it must stay up to count as repaired
        5.309  decided  start a: succeeded, a new incarnation has stayed up for 5.00 s
        5.309  told     a OK: running
    "#]]);
}

/// Its incident must not close for a guard that puts the next try off.
#[test]
fn one_at_its_limit_stays_so_while_the_watchdog_stops() {
    let mut w = Scene::with(&["a", "b"]);
    w.does("a gets label watchtree.budget=5/10m, 1s, a runs for 500ms, a exits 1, 1m, b exits 1, 4ms")
        .input(ContainerInput::Stop);
    w.does("a is touched, 50ms");
    assert!(!w.stopped(), "the call under way is waited for");
    expect!["start a, start a, start a, start a, start a, start b; a exited GIVEN UP; b exited REPAIRING"]
        .assert_eq(&w.outcome());
}

/// While it waits for a call it is asked to stop by the machine, that goes down and of which it was not told: the signals of
/// the engine are like a person's. Who ended what is judged by the watchdog that is there after the boot.
#[test]
fn what_ends_while_the_watchdog_leaves_is_judged_by_its_successor() {
    let mut w = Scene::with(&["web", "busy"]);
    w.slow_start("busy", 1000);
    let goes_down = "busy exits 1, 100ms, watchdog asked to stop, 100ms, dockerd terminated, 7s, power lost for 20s";
    w.does(goes_down).does("30s, watchdog started, 1m").tells(expect![[r#"
        0.000  happens  busy exits 1
        0.003  seen     busy: die, exit code 1
        0.003  decided  start busy: exited (1), nobody stopped it: start it, restart 1 in a row
        0.003  done     start busy
        0.003  told     busy REPAIRING: being started
        0.100  happens  watchdog asked to stop
        0.200  happens  dockerd terminated
        0.203  seen     web: kill, signal 15
        0.205  told     watchdog degraded, engine: connection refused: is the engine running?
        0.223  seen     web: stop
        0.228  seen     web: die, exit code 143
        1.004  done     start busy → done
        1.005  happens  container-watchdog ends
        5.225  happens  dockerd ends
        7.200  happens  the machine loses its power
        27.200 happens  the machine boots
        28.300 happens  dockerd answers
        37.200 happens  container-watchdog starts
        37.200 told     watchdog no longer degraded, engine
        37.202 seen     the event stream opens
        37.204 told     web SUSPECT: exited (143); waits until the event stream is whole again
        37.902 decided  start busy: failed, it ended again (255)
        37.902 told     busy SUSPECT: exited (255); events may be missing: asking the engine's manual-stop flag
        37.904 decided  start busy: exited (255), it ended while its engine was going down, and the engine's manual-stop flag is not set: start it, restart 2 in a row
        37.904 done     start busy
        37.904 told     busy REPAIRING: being started
        38.025 done     start busy → done
        38.028 seen     busy: start
        38.030 decided  start busy: verifying, a new incarnation was seen
        38.030 told     busy STARTING: started; it must stay up to count as repaired
        39.206 decided  start web: exited (143), nobody stopped it: start it, restart 1 in a row
        39.206 done     start web
        39.206 told     web REPAIRING: being started
        39.327 done     start web → done
        39.330 seen     web: start
        39.332 decided  start web: verifying, a new incarnation was seen
        39.332 told     web STARTING: started; it must stay up to count as repaired
        43.028 decided  start busy: succeeded, a new incarnation has stayed up for 5.00 s
        43.028 told     busy OK: running
        44.330 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        44.330 told     web OK: running
    "#]]);
}

/// What a person stops meanwhile stays down, and what the machine stops does not.
#[test]
fn who_stopped_it_while_the_watchdog_was_leaving() {
    let play = |script: &str| {
        let mut w = Scene::with(&["web", "busy"]);
        w.slow_start("busy", 1000);
        w.does("busy exits 1, 100ms").does(script).outcome();
        w.does("watchdog killed, 10s, watchdog started, 1m").outcome()
    };
    let scripts = [
        "watchdog asked to stop, docker stop web, 5s",
        "watchdog told of shutdown, docker stop web, 1s, busy is touched, 5s",
        "watchdog asked to stop, dockerd terminated, 7s, power lost for 20s, 30s",
        "watchdog told of shutdown, dockerd terminated, 7s, power lost for 20s, 30s",
        "watchdog asked to stop, 950ms, dockerd terminated, 7s, power lost for 20s, 30s",
    ];
    outcomes(scripts, play).tells(expect![[r#"
        watchdog asked to stop, docker stop web, 5s | watchdog told of shutdown, docker stop web, 1s, busy is touched, 5s: no call; web exited STOPPED; busy running OK
        watchdog asked to stop, dockerd terminated, 7s, power lost for 20s, 30s | watchdog told of shutdown, dockerd terminated, 7s, power lost for 20s, 30s: start busy, start web; web running OK; busy running OK
        watchdog asked to stop, 950ms, dockerd terminated, 7s, power lost for 20s, 30s: start web, start busy; web running OK; busy running OK
    "#]]);
}

/// The engine stops every container as its machine goes down, by signals like a person's: they are to run after the boot.
#[test]
fn what_the_shutdown_of_the_machine_stopped_is_started_after_it() {
    let mut w = Scene::with(&["a"]);
    w.does("6s").input(ContainerInput::HostShutdown);
    let stopped = w.does("docker stop a, 500ms").outcome();
    w.does("watchdog killed").forge_flag("a", false);
    let started = w.does("events lost, 8s, watchdog started, 10s").outcome();
    expect!["no call; a exited UNWATCHED, then start a; a running OK"].assert_eq(&format!("{stopped}, then {started}"));
}

#[test]
fn a_loop_of_ends_for_memory_is_told_by_its_cause_and_restarted_all_the_same() {
    let end = "web runs out of memory, 30s";
    story(&["web"], &[end; 3].join(", ")).tells(expect![[r#"
        0.000  happens  web runs out of memory
        0.003  seen     web: oom
        0.003  seen     web: die, exit code 137
        0.003  decided  start web: exited (137, out of memory), nobody stopped it: start it, restart 1 in a row
        0.003  done     start web
        0.003  told     web REPAIRING: being started
        0.124  done     start web → done
        0.126  decided  start web: verifying, a new incarnation was seen
        0.126  told     web STARTING: started; it must stay up to count as repaired
        0.127  seen     web: start
        5.126  decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        5.126  told     web OK: running
        30.000 happens  web runs out of memory
        30.003 seen     web: oom
        30.003 seen     web: die, exit code 137
        30.003 told     web REPAIRING: exited (137, out of memory): restart 2 of 12 in 0.07 s
        30.081 decided  start web: exited (137, out of memory), nobody stopped it: start it, restart 2 in a row
        30.081 done     start web
        30.202 done     start web → done
        30.205 seen     web: start
        30.207 decided  start web: verifying, a new incarnation was seen
        30.207 told     web STARTING: started; it must stay up to count as repaired
        35.205 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        35.205 told     web OK: running
        60.000 happens  web runs out of memory
        60.003 seen     web: oom
        60.003 seen     web: die, exit code 137
        60.003 told     web REPAIRING: exited (137, out of memory, 3 times within 600 s: it needs more memory than there is, and it has no limit of its own): restart 3 of 12 in 0.17 s
        60.176 decided  start web: exited (137, out of memory, 3 times within 600 s: it needs more memory than there is, and it has no limit of its own), nobody stopped it: start it, restart 3 in a row
        60.176 done     start web
        60.297 done     start web → done
        60.300 seen     web: start
        60.302 decided  start web: verifying, a new incarnation was seen
        60.302 told     web STARTING: started; it must stay up to count as repaired
        65.300 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        65.300 told     web OK: running
    "#]]);
}
