//! The container role against the model engine: what people began and what they stopped is theirs, also where the engine's own
//! restart policy, or its health, says otherwise.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, same, story};
use watchtree_sim::state::engine::{OnSignal, Version};

#[test]
fn what_a_person_does_to_a_running_one_is_theirs() {
    let cases = [
        "docker pause a, 1m",
        "docker pause a, 1m, docker unpause a, 10s",
        "docker pause a, 1s, a is unhealthy, 1m",
        "docker pause a, 1s, docker stop a, 1m",
        "docker restart a, 10s",
        "a ignores TERM, docker restart a, 20s",
        "docker rename a b, 10s, docker stop b, 1m",
        "docker exec a kill 15, 10s",
        "docker exec a kill 9, 10s",
    ];
    outcomes(cases, |script: &str| Scene::with(&["a"]).does(script).outcome()).tells(expect![[r#"
        docker pause a, 1m | docker pause a, 1s, a is unhealthy, 1m: no call; a paused STOPPED
        docker pause a, 1m, docker unpause a, 10s | docker restart a, 10s | a ignores TERM, docker restart a, 20s | docker exec a kill 9, 10s: no call; a running OK
        docker pause a, 1s, docker stop a, 1m: no call; a exited STOPPED
        docker rename a b, 10s, docker stop b, 1m: no call; b exited STOPPED
        docker exec a kill 15, 10s: start a; a running OK
    "#]]);
}

/// The engine is too busy to be inspected, and the next try of a repair is due meanwhile.
#[test]
fn a_pause_counts_from_its_event_on() {
    let mut w = Scene::with(&["a"]);
    w.does("a is unhealthy, 3s, a is unhealthy, 2100ms").story_begins();
    w.api().late_inspects(3);
    w.does("docker pause a, 30s").tells(expect![[r#"
        0.000  happens  docker pause a
        0.003  seen     a: pause
        0.003  decided  stop then start a: overruled, it was paused
        0.003  told     a STOPPED: a person paused it
        5.003  told     watchdog degraded, engine: the engine did not answer in time
        9.904  told     watchdog no longer degraded, engine
    "#]]);
}

/// Whether it is removed at its end, or is a `docker compose run`.
#[test]
fn an_unhealthy_one_that_runs_once_is_reported_and_not_stopped() {
    let play = |(_, auto_remove): (&str, bool)| {
        let mut w = Scene::with(&["a"]);
        w.remake("a", |it| {
            it.auto_remove = auto_remove;
            if !auto_remove {
                it.labels.insert("com.docker.compose.oneoff".into(), "True".into());
            }
        });
        w.does("6s").story_begins();
        w.does("a is unhealthy, 1m, retry a, 1m").take_story()
    };
    outcomes([("docker run --rm", true), ("docker compose run", false)], play).tells(expect![[r#"
        docker run --rm:
        0.000  happens  a is unhealthy
        0.003  seen     a: health_status unhealthy
        0.005  decided  a: unhealthy: the engine removes it when it ends; meant_to_run blocked
        0.005  told     a UNHEALTHY: unhealthy: the engine removes it when it ends
        60.000 happens  retry a
        60.000 decided  a: a test asked to retry h1/docker/a, succeeded, the budget of 1 subject(s) was given back; trying now
        60.000 decided  a: unhealthy: the engine removes it when it ends; meant_to_run blocked
        60.000 told     the person: carried out; the budget of 1 subject(s) was given back; trying now
        docker compose run:
        0.000  happens  a is unhealthy
        0.003  seen     a: health_status unhealthy
        0.005  decided  a: unhealthy: a one-off container of compose; meant_to_run blocked
        0.005  told     a UNHEALTHY: unhealthy: a one-off container of compose
        60.000 happens  retry a
        60.000 decided  a: a test asked to retry h1/docker/a, succeeded, the budget of 1 subject(s) was given back; trying now
        60.000 decided  a: unhealthy: a one-off container of compose; meant_to_run blocked
        60.000 told     the person: carried out; the budget of 1 subject(s) was given back; trying now
    "#]]);
}

#[test]
fn a_persons_stop_during_the_engines_backoff_stays() {
    let policies = ["always", "unless-stopped"];
    let absences = [
        ("watched", "0s", "0s"),
        ("not watched", "watchdog killed", "watchdog started"),
    ];
    let cases = [
        ("docker stop", "docker stop a", true),
        ("docker stop, flag unreadable", "docker stop a", false),
        ("docker kill", "docker kill a", true),
        ("docker kill, flag unreadable", "docker kill a", false),
    ];
    let play = |(_, stop, flag): (&str, &str, bool)| {
        same(policies, |policy| {
            same(["1s", "4s", "30s"], |after| {
                same(absences, |(_, away, back)| {
                    let mut w = Scene::with(&["a"]);
                    w.does(&format!("docker update --restart {policy} a"))
                        .backs_off("a", 60_000);
                    w.does("10s").engine().set_flag_readable(flag);
                    w.does("a exits 1").does(after).does(away).does(stop).does("1s");
                    let stopped = w.does(back).does("2m").outcome();
                    format!("{stopped}, then {}", w.does("docker start a, 20s").outcome())
                })
            })
        })
    };
    outcomes(cases, play).tells(expect![[r#"
        docker stop | docker stop, flag unreadable | docker kill: no call; a exited STOPPED, then no call; a running OK
        docker kill, flag unreadable: no call; a exited GIVEN UP, then no call; a running OK
    "#]]);
}

/// A signal of another meaning leaves the flag too.
#[test]
fn a_policy_start_that_fails_is_nobodys_stop() {
    let cases = [
        ("flag readable", true, false),
        ("flag unreadable", false, false),
        ("flag set by a HUP", true, true),
    ];
    let play = |(_, flag, hup): (&str, bool, bool)| {
        let mut w = Scene::with(&["a"]);
        w.does("docker update --restart always a").backs_off("a", 5000);
        w.does("10s").engine().set_flag_readable(flag);
        let waits = w
            .does("a fails to start: address already in use, a exits 1, 4s")
            .outcome();
        w.forge_flag("a", hup);
        format!("{waits}, then {}", w.does("1100ms, a starts again, 20s").outcome())
    };
    outcomes(cases, play).tells(expect![[r#"
        flag readable | flag unreadable | flag set by a HUP: no call; a restarting REPAIRING, then start a, start a; a running OK
    "#]]);
}

/// A signal of another meaning (HUP) has called the engine's policy off, and so many inspects that would show it get no answer.
#[test]
fn a_late_inspect_does_not_leave_a_policy_that_was_called_off_to_the_engine() {
    let play = |late| {
        let mut w = Scene::with(&["a"]);
        w.does("docker update --restart always a, 10s, docker kill -s HUP a, 1m, a exits 1, 1s");
        w.api().late_inspects(late);
        w.run(1500 + u64::from(late) * 5100);
        w.outcome()
    };
    outcomes([0, 1, 2, 3_u32], play).tells(expect![[r#"
        0 | 1 | 2 | 3: start a; a running STARTING
    "#]]);
}

/// What flushes for two minutes because a person gave it that long is not cut short for being unhealthy meanwhile.
#[test]
fn a_persons_slow_stop_is_not_cut_short() {
    let play = |then: &str| {
        let mut w = Scene::with(&["a"]);
        w.does("a ignores TERM, docker stop -t 120 a, 30s, a is unhealthy")
            .does(then);
        let waits = w.does("1m").outcome();
        let last = w.decided().last().unwrap();
        let guard = last.guards.iter().find(|it| !it.lets_pass()).unwrap().guard;
        format!(
            "{waits}, {} by {guard:?}, then {}",
            last.outcome.as_str(),
            w.does("1m").outcome()
        )
    };
    outcomes(["0s", "watchdog killed, watchdog started"], play).tells(expect![[r#"
        0s | watchdog killed, watchdog started: no call; a running UNHEALTHY, not_taken by OperatorIntent, then no call; a exited STOPPED
    "#]]);
}

#[test]
fn a_signal_that_ended_nothing_does_not_keep_repairs_away_for_ever() {
    let mut w = Scene::with(&["a"]);
    w.program("a", |it| it.handlers = [(3, OnSignal::Ignore)].into());
    w.steps(&["docker kill -s QUIT a, 1s, a is unhealthy, 500s", "2m"])
        .tells(expect![[r#"
            docker kill -s QUIT a, 1s, a is unhealthy, 500s: no call; a running UNHEALTHY
            2m: stop -t 10 a, start a; a running OK
        "#]]);
}

/// A retry means it, but not against a stop that is under way in its ordinary time.
#[test]
fn a_retry_waives_the_long_wait_after_a_signal_and_not_the_short_one() {
    let script = "a ignores TERM, docker kill -s TERM a, 1s, a is unhealthy, 1s, retry a, 38s";
    story(&["a"], script).tells(expect![[r#"
        0.000  happens  a ignores TERM
        0.000  happens  docker kill -s TERM a
        0.003  seen     a: kill, signal 15
        1.000  happens  a is unhealthy
        1.003  seen     a: health_status unhealthy
        1.005  decided  a: unhealthy: somebody sent it a stop signal, and it may be ending as it should; operator_intent blocked
        1.005  told     a UNHEALTHY: unhealthy: somebody sent it a stop signal, and it may be ending as it should
        2.000  happens  retry a
        2.000  decided  a: a test asked to retry h1/docker/a, succeeded, the budget of 1 subject(s) was given back; trying now
        2.000  decided  a: unhealthy: somebody sent it a stop signal, and it may be ending as it should; operator_intent blocked
        2.000  told     the person: carried out; the budget of 1 subject(s) was given back; trying now
        12.003 decided  stop then start a: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row; operator_intent waived: somebody sent it a stop signal, and it may be ending as it should; waived by a test
        12.003 told     a REPAIRING: being stopped, to be started again
        12.008 done     stop -t 10 a
        12.012 seen     a: kill, signal 15
        22.012 seen     a: kill, signal 9
        22.032 seen     a: stop
        22.032 done     stop -t 10 a → done
        22.037 seen     a: die, exit code 137
        22.037 done     start a
        22.158 done     start a → done
        22.159 decided  stop then start a: verifying, a new incarnation was seen
        22.159 told     a STARTING: started; it must stay up to count as repaired
        22.161 seen     a: start
        27.159 decided  stop then start a: succeeded, a new incarnation has stayed up for 5.00 s
        27.159 told     a OK: running
    "#]]);
}

/// Our own stop, a start that the engine refused, and a restart of ours: the stop is still ours, and no end that was meant.
#[test]
fn our_own_stop_is_no_persons_after_a_refused_start_and_our_death() {
    let cases = [
        ("exit 143", "no", 143),
        ("exit 0 after a stop event", "no", 0),
        ("exit 143, unless-stopped", "unless-stopped", 143),
    ];
    let play = |(_, policy, code): (&str, &str, i64)| {
        same(["", "events lost"], |lost| {
            let mut w = Scene::with(&["a"]);
            w.does(&format!(
                "docker update --restart {policy} a, 6s, a fails to start: driver failed"
            ));
            w.engine()
                .set_version(if code == 0 { Version::V26_1 } else { Version::V20_10 });
            w.does("a is unhealthy");
            // One try within the repair, one more by the guards.
            while w.calls().len() < 3 {
                w.run(10);
            }
            w.does("20ms, watchdog killed").does(lost).forge_exit_code("a", code);
            let healed = w.does("a starts again, watchdog started, 1m").outcome();
            let stopped = w
                .does("docker stop a, 5s, watchdog killed, watchdog started, 1m")
                .outcome();
            format!("{healed}\ndocker stop: {stopped}")
        })
    };
    outcomes(cases, play).tells(expect![[r#"
        exit 143 | exit 0 after a stop event | exit 143, unless-stopped:
        stop -t 10 a, start a, start a, start a; a running OK
        docker stop: no call; a exited STOPPED
    "#]]);
}

#[test]
fn a_removal_that_does_not_end_is_told_with_the_command_and_nothing_is_started() {
    let script = "the removal of web hangs, 2m, docker rm -f web, 1m";
    story(&["web"], script).tells(expect![[r#"
        0.000  happens  the removal of web hangs
        0.003  seen     web: kill, signal 9
        0.003  seen     web: die, exit code 137
        0.003  told     web SUSPECT: exited (137); finding out whether its engine is going down
        0.005  told     web STOPPED: it is being removed
        60.005 told     web DOWN: its removal is stuck: the engine says that it is being removed, for more than 60 s; it starts no more, and holds its name: docker rm -f web
        120.000 happens  docker rm -f web
        120.003 seen     web: destroy
        120.003 told     web UNKNOWN: its container was removed; a successor may come
        125.003 told     web is gone
    "#]]);
    story(&["web"], "the removal of web fails, 2m").tells(expect![[r#"
        0.000  happens  the removal of web fails
        0.003  seen     web: kill, signal 9
        0.003  seen     web: die, exit code 137
        0.003  told     web SUSPECT: exited (137); finding out whether its engine is going down
        0.005  told     web STOPPED: it is being removed
        60.005 told     web DOWN: its removal failed: the engine says that it is dead, for more than 60 s; it starts no more, and holds its name: docker rm -f web
    "#]]);
}
