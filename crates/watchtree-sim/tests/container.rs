//! The container role against the model engine: who stopped a container, what is healed, what is left alone, and what a
//! restart of the watchdog changes.

use expect_test::expect;
use watchtree_core::container::io::{Record, RestartPolicy};
use watchtree_core::decision::{ActionKind, Decision};
use watchtree_core::time::Duration;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, same, story};
use watchtree_sim::state::engine::Version;

#[test]
fn a_crash_is_healed_in_the_same_turn_and_verified() {
    let mut w = Scene::with(&["web"]);
    let before = w.records().len();
    w.does("web exits 137, 10s");
    let word = |record: &Record| format!("{record:?}").split([' ', '{', '(']).next().unwrap().to_string();
    let records: Vec<String> = w.records()[before..].iter().take(4).map(word).collect();
    // Announced before it is done; the event cursor after it.
    assert_eq!(records, ["Decided", "Charged", "Repair", "LastEvent"]);
    w.tells(expect![[r#"
        0.000  happens  web exits 137
        0.003  seen     web: die, exit code 137
        0.003  decided  start web: exited (137), nobody stopped it: start it, restart 1 in a row
        0.003  done     start web
        0.003  told     web REPAIRING: being started
        0.124  done     start web → done
        0.126  decided  start web: verifying, a new incarnation was seen
        0.126  told     web STARTING: started; it must stay up to count as repaired
        0.127  seen     web: start
        5.126  decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        5.126  told     web OK: running
    "#]]);
}

#[test]
fn an_end_for_memory_is_told_as_one() {
    story(&["web"], "web runs out of memory, 10s").tells(expect![[r#"
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
    "#]]);
}

/// A child's end is none of the container, and an end by a person is theirs.
#[test]
fn memory_is_named_where_it_ended_the_container() {
    let play = |script: &str| {
        let mut w = Scene::with(&["web"]);
        w.does(script).does("4ms");
        let told = |it: &Decision| {
            let evidence: Vec<&str> = it.evidence.iter().map(|it| it.kind.as_str()).collect();
            format!("{}\n  by {}", it.why, evidence.join(", "))
        };
        w.decided().last().map_or("no decision".into(), told)
    };
    let cases = [
        "web runs out of memory",
        "a child of web runs out of memory",
        "a child of web runs out of memory, 1s, web exits 1",
        "a child of web runs out of memory, 10s, docker kill web, 100ms",
        "watchdog killed, web runs out of memory, events lost, watchdog started, 4s",
    ];
    outcomes(cases, play).tells(expect![[r#"
        web runs out of memory:
        exited (137, out of memory), nobody stopped it: start it, restart 1 in a row
          by exited, out_of_memory, nobody_stopped_it
        a child of web runs out of memory: no decision
        a child of web runs out of memory, 1s, web exits 1:
        exited (1), nobody stopped it: start it, restart 1 in a row
          by exited, nobody_stopped_it
        a child of web runs out of memory, 10s, docker kill web, 100ms:
        stopped by a person: signal 9 was sent through the engine 0.02 s before it ended
          by exited, operator_stop
        watchdog killed, web runs out of memory, events lost, watchdog started, 4s:
        exited (137, out of memory), nobody stopped it: start it, restart 1 in a row
          by exited, out_of_memory, nobody_stopped_it, new_incarnation, captured
    "#]]);
}

#[test]
fn what_a_person_stops_stays_stopped() {
    let stops = [
        "docker stop a",
        "docker kill a",
        "a ignores TERM, docker stop a",
        "stream cut, 100ms, docker kill -s QUIT a",
        "docker rm -f a",
    ];
    let play = |stop: &str| {
        same([Version::V26_1, Version::V20_10], |version| {
            let mut w = Scene::with(&["a"]);
            w.engine().set_version(version);
            w.remake("a", |it| it.stop_signal = stop.contains("QUIT").then_some(3));
            let stopped = w.does(stop).does("1m").outcome();
            if w.state("a").is_none() {
                return stopped;
            }
            let started = w.does("docker start a, 20s").outcome();
            let crashed = w.does("a exits 1, 10s").outcome();
            format!("{stopped}\nstarted: {started}\ncrashed: {crashed}")
        })
    };
    outcomes(stops, play).tells(expect![[r#"
        docker stop a | docker kill a | a ignores TERM, docker stop a | stream cut, 100ms, docker kill -s QUIT a:
        no call; a exited STOPPED
        started: no call; a running OK
        crashed: start a; a running OK
        docker rm -f a: no call
    "#]]);
}

#[test]
fn a_hup_is_no_stop() {
    story(&["a"], "docker kill -s HUP a, 1s, a exits 1, 1s").tells(expect![[r#"
        0.000  happens  docker kill -s HUP a
        0.003  seen     a: kill, signal 1
        1.000  happens  a exits 1
        1.003  seen     a: die, exit code 1
        1.003  decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
        1.003  done     start a
        1.003  told     a REPAIRING: being started
        1.124  done     start a → done
        1.127  seen     a: start
        1.129  decided  start a: verifying, a new incarnation was seen
        1.129  told     a STARTING: started; it must stay up to count as repaired
    "#]]);
}

/// It sets the manual-stop flag, so the engine's own policy, which goes first, never comes.
#[test]
fn a_hup_that_calls_the_engines_policy_off_is_no_stop() {
    let script = "docker update --restart always a, docker kill -s HUP a, 1m, a exits 1, 3500ms";
    story(&["a"], script).tells(expect![[r#"
        0.000  happens  docker update --restart always a
        0.000  happens  docker kill -s HUP a
        0.003  seen     a: update
        0.003  seen     a: kill, signal 1
        60.000 happens  a exits 1
        60.003 seen     a: die, exit code 1
        60.003 told     a REPAIRING: exited (1): the engine's own restart policy goes first
        62.005 decided  start a: exited (1), nobody stopped it: start it, restart 1 in a row
        62.005 done     start a
        62.126 done     start a → done
        62.129 seen     a: start
        62.131 decided  start a: verifying, a new incarnation was seen
        62.131 told     a STARTING: started; it must stay up to count as repaired
    "#]]);
}

#[test]
fn the_engine_goes_first_and_its_restarts_count() {
    let mut w = Scene::with(&["a"]);
    w.does("a gets label watchtree.budget=5/10m, docker update --restart always a")
        .backs_off("a", 300);
    w.does("10s, a exits 1, 5s, a exits 1, 5s, a exits 1, 5s, a exits 1, 5s");
    expect!["no call; a running OK"].assert_eq(&w.outcome());
    w.story_begins();
    w.does("a exits 1, 5s, a exits 1, 5s, a exits 1, 5s")
        .tells(expect![[r#"
            0.000  happens  a exits 1
            0.003  seen     a: die, exit code 1
            0.003  told     a REPAIRING: exited (1): the engine's own restart policy goes first
            0.005  decided  escalate a: 5 restarts in 600 s are used up and it ends again: restart limit reached, a person is needed; budget blocked
            0.005  told     a GIVEN UP: exits again and again (1); restart limit reached, the engine goes on restarting it
            0.423  seen     a: start
            5.000  happens  a exits 1
            5.003  seen     a: die, exit code 1
            5.423  seen     a: start
            10.000 happens  a exits 1
            10.003 seen     a: die, exit code 1
            10.423 seen     a: start
        "#]]);
    assert_eq!(w.agent().unwrap().counters().given_up, 1);
}

#[test]
fn finished_is_not_crashed() {
    let play = |(_, policy, auto_remove): (&str, RestartPolicy, bool)| {
        let mut w = Scene::with(&["a"]);
        w.remake("a", |it| (it.policy, it.auto_remove) = (policy, auto_remove));
        w.does("6s, a exits 0, 50ms");
        let why = w.why("a");
        format!("{}, {why}", w.does("20s").outcome())
    };
    let cases = [
        ("no policy", RestartPolicy::No, false),
        ("on-failure", RestartPolicy::OnFailure { max: 3 }, false),
        ("docker run --rm", RestartPolicy::No, true),
    ];
    outcomes(cases, play).tells(expect![[r#"
        no policy: no call; a exited FINISHED, finished: exit code 0 and no restart policy
        on-failure: no call; a exited FINISHED, finished: exit code 0 and a restart policy for failures only
        docker run --rm: no call, finished: the engine removes it when it ends
    "#]]);
}

#[test]
fn a_crash_loop_reaches_its_limit_within_its_bound_and_is_retried_half_open() {
    let mut w = Scene::with(&["a"]);
    let (run, start) = (Duration::from_millis(500), Duration::from_millis(200));
    let bound = w.settings().policy.bound_until_limit(run, start).as_millis();
    w.does(&format!("a runs for 500ms, a exits 1, {bound}ms"));
    expect!["start a, start a, start a, start a, start a, start a, start a, start a, start a, start a, start a, start a; a exited GIVEN UP"].assert_eq(&w.outcome());
    let escalated = w.decided().iter().filter(|it| it.action == ActionKind::Escalate);
    assert_eq!(escalated.count(), 1);
    w.steps(&[
        "500s",
        "100s",
        "10m",
        "watchdog killed, watchdog started, 500s",
        "a runs on, retry a, 10s",
    ])
    .tells(expect![[r#"
        500s: no call; a exited GIVEN UP
        100s: start a; a exited GIVEN UP
        10m: start a; a exited GIVEN UP
        watchdog killed, watchdog started, 500s: no call; a exited GIVEN UP
        a runs on, retry a, 10s: start a; a running OK
    "#]]);
}

#[test]
fn an_unhealthy_one_is_stopped_and_started() {
    let play = |script: &str| {
        same([Version::V26_1, Version::V20_10], |version| {
            let mut w = Scene::with(&["a"]);
            w.engine().set_version(version);
            let at_once = w.does(script).outcome();
            format!("{at_once}, then {}", w.does("18s").outcome())
        })
    };
    let cases = ["a is unhealthy, 4ms", "a ignores TERM, a is unhealthy, 4ms"];
    outcomes(cases, play).tells(expect![[r#"
        a is unhealthy, 4ms | a ignores TERM, a is unhealthy, 4ms: no call; a running OK, then stop -t 10 a, start a; a running OK
    "#]]);
}

#[test]
fn an_unhealthy_one_is_found_by_the_list_too() {
    story(&["web"], "web is unhealthy unseen, 12s").tells(expect![[r#"
        0.000  happens  web is unhealthy unseen
        0.007  decided  stop then start web: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.007  told     web REPAIRING: being stopped, to be started again
        0.012  done     stop -t 10 web
        0.016  seen     web: kill, signal 15
        0.036  seen     web: stop
        0.036  done     stop -t 10 web → done
        0.041  seen     web: die, exit code 143
        0.041  done     start web
        0.162  done     start web → done
        0.163  decided  stop then start web: verifying, a new incarnation was seen
        0.163  told     web STARTING: started; it must stay up to count as repaired
        0.165  seen     web: start
        5.163  decided  stop then start web: succeeded, a new incarnation has stayed up for 5.00 s
        5.163  told     web OK: running
    "#]]);
}

/// Containers that ignore TERM, with 3 s for a stop.
fn slow_to_stop() -> Scene {
    let mut w = Scene::with(&["a", "b"]);
    w.remake("a", |it| it.stop_timeout = Some(Duration::from_secs(3)));
    w.does("a ignores TERM, 6s");
    w
}

/// So long after our stop was posted. A SIGKILL at the very moment ours is due cannot be told from ours; nothing is lost by it.
#[test]
fn a_persons_act_during_our_repair_wins() {
    let play = |act: &str| {
        same([Version::V26_1, Version::V20_10], |version| {
            same(["0ms", "1ms", "5ms", "500ms", "2900ms", "2999ms"], |after| {
                let mut w = slow_to_stop();
                w.engine().set_version(version);
                w.does("stream cut, 6s, a is unhealthy unseen, a is touched, until called");
                w.does(after).does(act).does("30s").outcome()
            })
        })
    };
    outcomes(["docker stop -t 3 a", "docker kill a", "docker rm -f a"], play).tells(expect![[r#"
        docker stop -t 3 a | docker kill a: stop -t 3 a; a exited STOPPED; b running OK
        docker rm -f a: stop -t 3 a; b running OK
    "#]]);
}

#[test]
fn one_that_is_renamed_during_our_repair_is_started_again() {
    let play = |after: &str| {
        let mut w = slow_to_stop();
        w.does("a is unhealthy, until called")
            .does(after)
            .does("docker rename a web, 30s")
            .outcome()
    };
    outcomes(["0ms", "1ms", "500ms", "2900ms", "3030ms", "3200ms"], play).tells(expect![[r#"
        0ms | 1ms | 500ms | 2900ms: stop -t 3 a, start web; web running OK; b running OK
        3030ms | 3200ms: stop -t 3 a, start a; web running OK; b running OK
    "#]]);
}

#[test]
fn a_persons_stop_during_our_start_wins() {
    let play = |after: &str| {
        let mut w = Scene::with(&["a"]);
        w.does("a exits 1").does(after).does("docker stop a, 30s").outcome()
    };
    outcomes(["34ms", "104ms", "129ms", "204ms", "3004ms"], play).tells(expect![[r#"
        34ms | 104ms | 129ms | 204ms | 3004ms: start a; a exited STOPPED
    "#]]);
}

#[test]
fn a_die_that_never_arrived_is_healed_within_a_list_period() {
    let mut w = Scene::with(&["web"]);
    w.lose_next_die("web", true);
    w.does("web exits 1, 6500ms").tells(expect![[r#"
        0.000  happens  web exits 1
        0.006  told     web SUSPECT: exited (1); finding out whether somebody stopped it
        1.006  seen     the event stream ends
        1.008  seen     the event stream opens
        1.011  seen     web: create
        3.010  decided  start web: exited (1), nobody stopped it: start it, restart 1 in a row
        3.010  done     start web
        3.010  told     web REPAIRING: being started
        3.131  done     start web → done
        3.134  seen     web: start
        3.136  decided  start web: verifying, a new incarnation was seen
        3.136  told     web STARTING: started; it must stay up to count as repaired
    "#]]);
}

/// `a` crashes and `b` is killed by a person while nobody watches; `c` crashed long before.
#[test]
fn after_our_own_absence_only_the_crashed_one_is_healed() {
    let play = |(_, ring_max, flag): (&str, usize, bool)| {
        same([("frozen", "thawed"), ("killed", "started")], |(away, back)| {
            let mut w = Scene::with(&["a", "b", "c"]);
            w.engine().set_flag_readable(flag);
            w.does("c exits 1, 20s")
                .does(&format!("watchdog {away}, 3s, a exits 137, docker kill b, 3s"));
            w.engine().remember_events(ring_max);
            w.outcome();
            if ring_max == 0 {
                // What the engine would have sent meanwhile was dropped by it.
                w.drop_waiting();
            }
            let within = if ring_max == 0 { "9s" } else { "900ms" };
            w.does(&format!("watchdog {back}, {within}"));
            let in_time = w.calls().len();
            format!("{in_time} in time, {}", w.does("10s").outcome())
        })
    };
    let cases = [
        ("all events are kept", 256, true),
        ("all events are kept, the flag is unreadable", 256, false),
        ("events are lost", 0, true),
        ("events are lost, the flag is unreadable", 0, false),
    ];
    outcomes(cases, play).tells(expect![[r#"
        all events are kept | all events are kept, the flag is unreadable | events are lost: 1 in time, start a; a running OK; b exited STOPPED; c running OK
        events are lost, the flag is unreadable: 0 in time, no call; a exited GIVEN UP; b exited GIVEN UP; c running OK
    "#]]);
}

#[test]
fn killed_after_every_record_it_neither_forgets_nor_doubles() {
    let play = |script: &str| {
        same(["1ms", "50ms", "400ms", "4s"], |pause| {
            same(1..14, |records| {
                let mut w = Scene::with(&["a", "b"]);
                w.remake("a", |it| it.stop_timeout = Some(Duration::from_secs(2)));
                w.does("6s");
                w.dies_after_records(w.records().len() + records as usize);
                w.does(script);
                for _ in 0..300 {
                    if w.agent().is_none() {
                        w.does(pause).start_agent();
                    }
                    w.run(100);
                }
                assert_eq!((w.starts("a"), w.incarnations("a")), (1, 1));
                w.outcome()
            })
        })
    };
    let cases = ["a exits 1", "a is unhealthy", "a ignores TERM, a is unhealthy"];
    outcomes(cases, play).tells(expect![[r#"
        a exits 1: start a; a running OK; b running OK
        a is unhealthy | a ignores TERM, a is unhealthy: stop -t 2 a, start a; a running OK; b running OK
    "#]]);
}

/// The watchdog is back so long after it.
#[test]
fn a_person_wins_also_against_a_repair_from_the_journal() {
    let play = |after: &str| {
        let mut w = slow_to_stop();
        w.does("a is unhealthy, 100ms, watchdog killed, 500ms, docker stop -t 3 a");
        w.does(after).does("watchdog started, 1m").outcome()
    };
    outcomes(["300ms", "400ms", "500ms"], play).tells(expect![[r#"
        300ms | 400ms | 500ms: stop -t 3 a; a exited STOPPED; b running OK
    "#]]);
}

/// A person stops a hung container and we die meanwhile: the next process must not stop it a second time, for after that
/// the end would pass for its own doing.
#[test]
fn a_persons_stop_that_takes_its_time_is_remembered_over_our_death() {
    let mut w = Scene::with(&["a", "b"]);
    w.does("a ignores TERM, docker stop a, 2s, b is touched, 10ms, watchdog killed, 100ms");
    w.does("a is unhealthy, watchdog started, 1m");
    expect!["no call; a exited STOPPED; b running OK"].assert_eq(&w.outcome());
}

#[test]
fn an_engine_going_down_is_no_person() {
    let mut w = Scene::with(&["a", "b", "c"]);
    w.does("docker stop c, 100ms, dockerd terminated, 6s, dockerd started, 20s");
    expect!["start a, start b; a running OK; b running OK; c exited STOPPED"].assert_eq(&w.outcome());
}

/// The engine forgot the first signal of our stop, another event was taken since, and then we died: what is still to come
/// of that stop is ours all the same.
#[test]
fn our_half_done_stop_is_finished_though_the_engine_forgot_its_signal() {
    let play = |died_after: &str| {
        let mut w = Scene::with(&["a", "b"]);
        w.does("a ignores TERM, a is unhealthy, 100ms, events lost, b is touched")
            .does(died_after);
        w.does("watchdog killed, 300ms, watchdog started, 1m").outcome()
    };
    outcomes(["100ms", "3s", "7s"], play).tells(expect![[r#"
        100ms | 3s | 7s: stop -t 10 a, start a; a running OK; b running OK
    "#]]);
}
