//! The container role against the model engine: calls that are refused, whose answer is lost, or that wait for their turn.

use expect_test::expect;
use watchtree_core::container::io::*;
use watchtree_core::decision::{ActionKind, Decision};
use watchtree_core::machine::Machine;
use watchtree_core::supervisor::{FleetLimits, FleetPolicy};
use watchtree_core::time::{Duration, Moment};
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};
use watchtree_sim::state::engine::Program;

/// A container that joins the network of another.
fn app_behind_vpn() -> Scene {
    let mut w = Scene::with(&["app", "vpn"]);
    w.remake("app", |it| it.join(Namespace::Network, Scene::id("vpn")));
    w.does("1s").story_begins();
    w
}

/// The engine refuses it while the other is away: that is no try of its own, however long it lasts.
#[test]
fn one_whose_network_is_away_waits_for_it_and_keeps_its_budget() {
    let cases = [
        ("stopped for 1 s", 1, "docker stop vpn", "docker start vpn"),
        ("stopped for 5 s", 5, "docker stop vpn", "docker start vpn"),
        ("stopped for 50 m", 3000, "docker stop vpn", "docker start vpn"),
        (
            "backs off for 60 s",
            60,
            "docker update --restart always vpn, 1s, vpn exits 1",
            "",
        ),
    ];
    let play = |(_, secs, away, back): (&str, u64, &str, &str)| {
        let mut w = app_behind_vpn();
        w.backs_off("vpn", 60_000);
        w.does(away).does("500ms, app exits 1").run(secs * 1000 - 600);
        format!("{}, then {}", w.outcome(), w.does(back).does("1s").outcome())
    };
    outcomes(cases, play).tells(expect![[r#"
        stopped for 1 s | stopped for 5 s | stopped for 50 m: no call; app exited DOWN; vpn exited STOPPED, then start app; app running STARTING; vpn running OK
        backs off for 60 s: no call; app exited DOWN; vpn restarting REPAIRING, then start app; app running STARTING; vpn running OK
    "#]]);
}

#[test]
fn one_whose_network_is_gone_for_good_reaches_its_limit() {
    app_behind_vpn()
        .does("docker stop vpn, 500ms, app exits 1, 5s, docker rm -f vpn, 1m")
        .tells(expect![[r#"
            0.000  happens  docker stop vpn
            0.003  seen     vpn: kill, signal 15
            0.021  told     app DEGRADED: running, but cut off: vpn, whose network it joins, does not run
            0.023  seen     vpn: stop
            0.025  decided  vpn: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended; operator_intent blocked
            0.025  told     vpn STOPPED: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended
            0.028  seen     vpn: die, exit code 143
            0.500  happens  app exits 1
            0.503  seen     app: die, exit code 1
            0.503  decided  app: exited (1): it joins the network of vpn, which does not run: waits for it; known_cause blocked
            0.503  told     app DOWN: exited (1): it joins the network of vpn, which does not run: waits for it
            5.500  happens  docker rm -f vpn
            5.503  seen     vpn: destroy
            5.503  decided  start app: exited (1), nobody stopped it: start it, restart 1 in a row
            5.503  done     start app
            5.503  told     app REPAIRING: being started
            5.503  told     vpn UNKNOWN: its container was removed; a successor may come
            5.507  done     start app → refused, 404 No such container: 76706e00
            5.508  decided  start app: failed, the container that it joins was removed or made anew (the engine says: No such container: 76706e00, 404): needs recreate: remove it and run it again
            5.508  decided  escalate app: exited (1): the container that it joins was removed or made anew (the engine says: No such container: 76706e00, 404): needs recreate: remove it and run it again; backoff blocked
            5.508  told     app GIVEN UP: exited (1): the container that it joins was removed or made anew (the engine says: No such container: 76706e00, 404): needs recreate: remove it and run it again
            10.503 told     vpn is gone
        "#]]);
}

/// Two of one network die at once: which is started first is left to chance, and the second must not be lost for it. After a
/// long time without the other, the half-open retry finds it.
#[test]
fn one_that_joins_anothers_network_comes_back_after_it() {
    let play = |script: &str| app_behind_vpn().does(script).outcome();
    let cases = [
        "app exits 1, vpn exits 1, 20s",
        "vpn fails to start: not yet, app exits 1, vpn exits 1, 300ms, vpn starts again, 20s",
        "vpn fails to start: not yet, app exits 1, vpn exits 1, 100s, vpn starts again, 22m",
    ];
    outcomes(cases, play).tells(expect![[r#"
        app exits 1, vpn exits 1, 20s: start vpn, start app; app running OK; vpn running OK
        vpn fails to start: not yet, app exits 1, vpn exits 1, 300ms, vpn starts again, 20s: start vpn, start vpn, start app; app running OK; vpn running OK
        vpn fails to start: not yet, app exits 1, vpn exits 1, 100s, vpn starts again, 22m: start vpn, start vpn, start vpn, start vpn, start vpn, start vpn, start vpn, start vpn, start vpn, start app; app running OK; vpn running OK
    "#]]);
}

/// Its new incarnation is seen at once.
#[test]
fn a_start_whose_connection_broke_is_not_posted_again_where_it_was_done() {
    let mut w = Scene::with(&["a"]);
    w.api().starts_break(true);
    w.does("a exits 1, 20s").tells(expect![[r#"
        0.000  happens  a exits 1
        0.003  seen     a: die, exit code 1
        0.003  decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
        0.003  done     start a
        0.003  told     a REPAIRING: being started
        0.014  done     start a → no answer comes any more
        0.015  told     watchdog degraded, engine: the connection broke before the answer
        0.124  done     start a → done
        0.126  decided  start a: verifying, a new incarnation was seen
        0.126  told     a STARTING: started; it must stay up to count as repaired
        0.127  seen     a: start
        5.004  told     watchdog no longer degraded, engine
        5.126  decided  start a: succeeded, a new incarnation has stayed up for 5.00 s
        5.126  told     a OK: running
    "#]]);
}

#[test]
fn a_lost_answer_is_followed_by_an_inspect_and_the_call_is_never_posted_again() {
    let mut w = Scene::with(&["a"]);
    w.api().calls_hang(true);
    w.does("a exits 1, 1m").tells(expect![[r#"
        0.000  happens  a exits 1
        0.003  seen     a: die, exit code 1
        0.003  decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
        0.003  done     start a
        0.003  told     a REPAIRING: being started
        0.124  done     start a → done
        0.127  seen     a: start
        30.003 done     start a → no answer comes any more
        30.003 decided  escalate a: the engine did not answer /start in time: inspect, wait, never post it again; a person is needed; in_flight blocked: /start was posted and may still be under way in the engine
        30.003 decided  start a: verifying, a new incarnation was seen
        30.003 decided  start a: succeeded, a new incarnation has stayed up for 29 s
        30.003 told     a OK: running
    "#]]);
}

/// A stream that is lost for good is like that of an engine that went, and may be a ring that was too small.
#[test]
fn a_lost_start_is_followed_by_an_inspect_when_the_events_are_lost_too() {
    let mut w = Scene::with(&["a"]);
    w.slow_start("a", 600_000);
    w.does("a exits 1, 1s");
    assert_eq!(w.calls(), ["start a"]);
    let (ticket, mut now) = (Ticket(1), w.moment());
    let mut agent = w.take_agent();
    let mut tell = |now: Moment, input: Option<ContainerInput>| {
        match input {
            Some(input) => agent.handle(now, input),
            None => agent.handle_timeout(now),
        }
        let effects: Vec<_> = std::iter::from_fn(|| agent.poll_effect()).collect();
        let inspects = effects.iter().any(|it| matches!(it, ContainerEffect::Inspect { .. }));
        let posts = effects.iter().any(|it| matches!(it, ContainerEffect::Perform { .. }));
        (inspects, posts)
    };
    let id = Scene::id("a");
    let inspected = |result| Some(ContainerInput::Inspected { id: id.clone(), result });
    let result = Err(EngineError::Deadline);
    tell(now, Some(ContainerInput::Performed { ticket, result }));
    // One was under way, and one follows for what came meanwhile.
    while tell(now, inspected(Ok(w.inspect("a")))).0 {}
    tell(now, Some(ContainerInput::StreamEnded { why: "cut".into() }));
    tell(now, Some(ContainerInput::StreamOpened { began: None }));
    now += Duration::from_secs(2);
    assert_eq!(tell(now, None), (true, false), "an inspect first");
    // It waits while the engine is at it.
    let (_, posts) = tell(now, inspected(Err(EngineError::Deadline)));
    assert!(!posts);
    now += Duration::from_secs(5);
    tell(now, None);
    let entry = ListEntry {
        id: id.clone(),
        name: "a".into(),
        run: RunState::Exited,
        health: Health::None,
    };
    let listed = ContainerInput::Listed(Ok(vec![entry]));
    assert_eq!(tell(now, Some(listed)), (true, false), "and again");
    let (_, posts) = tell(now, inspected(Ok(w.inspect("a"))));
    assert!(posts, "it is over, and did nothing");
}

/// What was said of the call that is lost was said; the answer only ends it.
#[test]
fn a_call_that_is_lost_is_recorded_once_whatever_comes_after_it() {
    let late = [("done", Ok(Performed::Done)), ("gone", Err(EngineError::NotFound))];
    for (name, answer) in late {
        let mut w = Scene::with(&["a"]);
        w.slow_start("a", 600_000);
        w.does("a exits 1, 1s");
        let (ticket, now) = (Ticket(1), w.moment());
        let mut agent = w.take_agent();
        for result in [Err(EngineError::Deadline), answer] {
            agent.handle(now, ContainerInput::Performed { ticket, result });
        }
        let escalations = agent.decisions().filter(|it| it.action == ActionKind::Escalate);
        assert_eq!(escalations.count(), 1, "{name}");
    }
}

#[test]
fn lost_answers_do_not_stop_the_healing_of_others() {
    let names = Scene::names(12);
    let mut w = Scene::with(&names);
    let parallel = w.settings().fleet_policy.parallel as usize;
    w.api().calls_hang(true);
    names[..parallel].iter().for_each(|name| w.crash(name, 1));
    w.does("20s");
    assert_eq!(w.calls().len(), parallel);
    w.api().calls_hang(false);
    let next = &names[parallel];
    w.crash(next, 1);
    w.does("5s");
    assert!(!w.running(next), "it waits for its turn");
    w.does("6s");
    assert!(w.running(next), "{}", w.why(next));
    assert_eq!(w.calls().len(), parallel + 1);
}

/// One call at a time of each kind; `slow` takes 90 s to stop.
fn one_place(others: &[&str]) -> Scene {
    let mut w = Scene::new();
    let limits = FleetLimits {
        parallel: 1,
        ..FleetLimits::default()
    };
    w.settings().fleet_policy = FleetPolicy::new(limits).expect("a policy");
    w.create("slow", |it| {
        (it.program, it.stop_timeout) = (Program::stubborn(), Some(Duration::from_secs(90)))
    });
    others.iter().for_each(|name| w.create(name, |_| {}));
    w.watched()
}

#[test]
fn a_place_goes_to_who_waits_longest() {
    let mut w = one_place(&["a", "b", "c", "long"]);
    w.slow_start("long", 20_000);
    w.does("long exits 1, 100ms, c exits 1, 10ms, a exits 1, 10ms, b exits 1, 100s");
    expect!["start long, start c, start a, start b; slow running OK; a running OK; b running OK; c running OK; long running OK"]
        .assert_eq(&w.outcome());
}

/// A stop may take any time, and several of them for ever: nobody waits for that but who is to be stopped.
#[test]
fn a_start_never_waits_behind_a_stop() {
    let mut w = one_place(&["a", "b"]);
    w.does("slow is unhealthy, 100ms, b is unhealthy, 100ms, a exits 1, 1s");
    expect!["stop -t 90 slow, start a; slow running REPAIRING; a running STARTING; b running REPAIRING"]
        .assert_eq(&w.outcome());
}

/// Who was held meanwhile, or was well again, waits anew: it is no long wait yet, and it comes after who waited all the while.
#[test]
fn who_is_held_or_well_again_waits_for_a_place_no_more() {
    outcomes(
        ["hold b 60s, 65s", "b is healthy, 65s, b is unhealthy, 5s"],
        |meanwhile| {
            let mut w = one_place(&["b", "c"]);
            w.does("slow is unhealthy, 100ms, b is unhealthy, 10ms, c is unhealthy, 5s");
            w.does(meanwhile);
            let waits = |it: &&Decision| it.subject.as_str() == "h1/docker/b" && it.why.contains("waits for its turn");
            let long = w.decided().iter().filter(waits).count();
            format!("{long} long waits, {}", w.does("30s").outcome())
        },
    )
    .tells(expect![[r#"
        hold b 60s, 65s: 0 long waits, stop -t 90 slow, start slow, stop -t 10 c, start c, stop -t 10 b, start b; slow running OK; b running STARTING; c running OK
        b is healthy, 65s, b is unhealthy, 5s: 0 long waits, stop -t 90 slow, start slow, stop -t 10 c, start c, stop -t 10 b, start b; slow running OK; b running OK; c running OK
    "#]]);
}

/// A `/stop` with a long timeout holds its place for as long; a turn is waited for quietly at first.
#[test]
fn a_long_wait_for_a_turn_is_recorded() {
    one_place(&["b"])
        .does("slow is unhealthy, 100ms, b is unhealthy, 91s")
        .tells(expect![[r#"
            0.000  happens  slow is unhealthy
            0.003  seen     slow: health_status unhealthy
            0.006  decided  stop then start slow: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
            0.006  told     slow REPAIRING: being stopped, to be started again
            0.011  done     stop -t 90 slow
            0.015  seen     slow: kill, signal 15
            0.100  happens  b is unhealthy
            0.103  seen     b: health_status unhealthy
            0.105  told     b REPAIRING: unhealthy: waits for its turn: 1 repairs are under way
            30.105 decided  b: unhealthy: waits for its turn: 1 repairs are under way; in_flight blocked
            90.015 seen     slow: kill, signal 9
            90.035 seen     slow: stop
            90.035 done     stop -t 90 slow → done
            90.036 decided  stop then start b: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
            90.040 seen     slow: die, exit code 137
            90.040 done     start slow
            90.041 done     stop -t 10 b
            90.045 seen     b: kill, signal 15
            90.065 seen     b: stop
            90.065 done     stop -t 10 b → done
            90.070 seen     b: die, exit code 143
            90.070 done     start b
            90.161 done     start slow → done
            90.162 decided  stop then start slow: verifying, a new incarnation was seen
            90.162 told     slow STARTING: started; it must stay up to count as repaired
            90.164 seen     slow: start
            90.191 done     start b → done
            90.192 decided  stop then start b: verifying, a new incarnation was seen
            90.192 told     b STARTING: started; it must stay up to count as repaired
            90.194 seen     b: start
        "#]]);
}
