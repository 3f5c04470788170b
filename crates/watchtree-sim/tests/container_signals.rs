//! The container role against the model engine: which signals end a container by a person's wish, which do not, and which are our
//! own, however late they come.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, same};

/// `docker kill --signal` gives any time to end well: what it leads to is what the person wanted.
#[test]
fn a_persons_signal_stands_however_long_the_end_takes() {
    let cases = ["TERM", "INT", "QUIT"];
    let absences = [
        ("watched", "0s", "0s"),
        ("watchdog away", "watchdog killed", "watchdog started"),
        ("stream cut", "stream cut", "0s"),
        ("events lost", "watchdog killed", "events lost, watchdog started"),
    ];
    let play = |signal: &str| {
        same(["no", "always", "unless-stopped", "on-failure"], |policy| {
            same([0, 3_i64], |code| {
                same(["8s", "20s", "500s"], |after| {
                    same(absences, |(_, away, back)| {
                        let mut w = Scene::with(&["a"]);
                        w.does(&format!(
                            "docker update --restart {policy} a, a ends {after} after {signal} with {code}"
                        ));
                        w.does(&format!("6s, docker kill -s {signal} a, 1s, {away}, 1s, {back}, 10m"));
                        w.outcome()
                    })
                })
            })
        })
    };
    outcomes(cases, play).tells(expect![[r#"
        TERM | INT | QUIT: no call; a exited STOPPED
    "#]]);
}

/// HUP to reload, USR1 to reopen a log: the engine sets its manual-stop flag all the same, and calls its restart policy off.
#[test]
fn another_signal_is_no_stop_however_little_is_seen_of_the_end() {
    let absences = [
        ("watched", "0s", "0s"),
        ("watchdog away", "watchdog killed", "watchdog started"),
        ("events lost", "watchdog killed", "events lost, watchdog started"),
        (
            "away twice",
            "watchdog killed, watchdog started, 1m, watchdog killed",
            "events lost, watchdog started",
        ),
    ];
    let ends = [
        "a exits 1",
        "a exits 137",
        "a exits 143",
        "a exits 0",
        "docker stop a, 11s",
    ];
    let play = |ends: &str| {
        same(["HUP", "USR1"], |signal| {
            same(["no", "always"], |policy| {
                same(absences, |(_, away, back)| {
                    let mut w = Scene::with(&["a"]);
                    w.does(&format!("docker update --restart {policy} a"));
                    w.does(&format!(
                        "6s, docker kill -s {signal} a, 1m, {away}, 1s, {ends}, {back}, 1m"
                    ));
                    w.outcome()
                })
            })
        })
    };
    outcomes(ends, play).tells(expect![[r#"
        a exits 1 | a exits 137: start a; a running OK
        a exits 143: [watched | watchdog away: start a; a running OK][events lost | away twice: no call; a exited GIVEN UP]
        a exits 0: [no: no call; a exited FINISHED][always: [watched | watchdog away: start a; a running OK][events lost | away twice: no call; a exited GIVEN UP]]
        docker stop a, 11s: [watched | watchdog away: no call; a exited STOPPED][events lost | away twice: no call; a exited GIVEN UP]
    "#]]);
}

/// A start by hand clears the flag, the engine's own restart does not.
#[test]
fn after_a_start_by_hand_the_flag_proves_a_stop_again() {
    let cases = [
        ("restarted by a person", "docker restart a, 10s"),
        ("restarted by us", "a exits 1, 10s"),
        ("not restarted", "10s"),
    ];
    let play = |(_, restart): (&str, &str)| {
        let mut w = Scene::with(&["a"]);
        w.does("docker kill -s HUP a, 5s").does(restart).outcome();
        w.does("watchdog killed, docker stop a, 11s, events lost, watchdog started, 1m")
            .outcome()
    };
    outcomes(cases, play).tells(expect![[r#"
        restarted by a person | restarted by us: no call; a exited STOPPED
        not restarted: no call; a exited GIVEN UP
    "#]]);
}

/// Nobody saw the HUP either: what ended as no stop ends a container is told to a person.
#[test]
fn a_flag_that_nobody_saw_set_proves_a_stop_only_where_it_ended_as_by_a_stop() {
    let cases = ["a exits 1", "a exits 139", "docker stop a, 11s", "docker kill a"];
    let play = |end: &str| {
        let mut w = Scene::with(&["a"]);
        w.does(&format!(
            "watchdog killed, docker kill -s HUP a, 1s, {end}, 1s, events lost, watchdog started, 1m"
        ));
        format!("{}; {}", w.outcome(), w.why("a"))
    };
    outcomes(cases, play).tells(expect![[r#"
        a exits 1: no call; a exited GIVEN UP; exited (1), and nothing can tell whether a person stopped it: the engine's manual-stop flag is set, which every signal does, and its exit code is no stop's
        a exits 139: no call; a exited GIVEN UP; exited (139), and nothing can tell whether a person stopped it: the engine's manual-stop flag is set, which every signal does, and its exit code is no stop's
        docker stop a, 11s | docker kill a: no call; a exited STOPPED; stopped by a person: the engine's manual-stop flag is set
    "#]]);
}

/// The connection of our stop breaks, and the engine's SIGKILL comes long after its time: the stop is still ours.
#[test]
fn our_own_late_sigkill_is_no_persons() {
    let cases = ["3s", "20s", "90s"];
    let meanwhile = [
        ("watched", "0s"),
        ("watchdog restarted", "1s, watchdog killed, watchdog started"),
        ("restarted later", "16s, watchdog killed, 1s, watchdog started"),
        ("restarted when given up", "75s, watchdog killed, 1s, watchdog started"),
        ("events forgotten", "1s, events lost, stream cut"),
        (
            "away and forgotten",
            "1s, watchdog killed, 2m, events lost, watchdog started",
        ),
    ];
    let play = |late: &str| {
        same(["no", "always"], |policy| {
            same(meanwhile, |(_, then)| {
                let mut w = Scene::with(&["a"]);
                w.api().stops_break(true);
                w.does(&format!(
                    "docker update --restart {policy} a, a ignores TERM, a is killed {late} late, 6s"
                ));
                w.does("a is unhealthy, until called").does(then).does("3m");
                w.outcome()
            })
        })
    };
    outcomes(cases, play).tells(expect![[r#"
        3s | 20s | 90s: stop -t 10 a, start a; a running OK
    "#]]);
}

/// The same, and a person kills it before our stop's time is up. After it nothing tells a person's SIGKILL from ours, for the
/// engine carries out our stop with either.
#[test]
fn a_persons_sigkill_before_our_stops_time_is_theirs() {
    let play = |when: &str| {
        let mut w = Scene::with(&["a"]);
        w.api().stops_break(true);
        w.does("a ignores TERM, a is killed 10m late, 6s, a is unhealthy, until called");
        w.does(when).does("docker kill a, 1m");
        w.outcome()
    };
    outcomes(["0s", "5s", "9800ms"], play).tells(expect![[r#"
        0s | 5s | 9800ms: stop -t 10 a; a exited STOPPED
    "#]]);
}

/// The watchdog was frozen for longer than it waits for a stream, within a gap: a stop that came meanwhile is still heard.
#[test]
fn a_stop_while_the_watchdog_was_frozen_within_a_gap_is_heard() {
    let play = |(_, flag): (&str, bool)| {
        let mut w = Scene::with(&["a"]);
        w.engine().set_flag_readable(flag);
        w.does(
            "watchdog killed, watchdog started, 500ms, watchdog frozen, 15s, docker stop a, 1s, watchdog thawed, 1m",
        );
        w.outcome()
    };
    outcomes([("flag readable", true), ("flag unreadable", false)], play).tells(expect![[r#"
        flag readable | flag unreadable: no call; a exited STOPPED
    "#]]);
}

/// It ended by itself just before our stop came: who ended it is found out as of any other end.
#[test]
fn what_had_ended_before_our_stop_came_is_classified() {
    let ends = ["a exits 1", "docker stop a", "docker kill a"];
    let play = |end: &str| {
        same([("die seen", false), ("die lost", true)], |(_, lost)| {
            let mut w = Scene::with(&["a"]);
            w.does("a ignores TERM, a is unhealthy, until called");
            w.lose_next_die("a", lost);
            w.does(end).does("1m");
            w.outcome()
        })
    };
    outcomes(ends, play).tells(expect![[r#"
        a exits 1: stop -t 10 a, start a; a running OK
        docker stop a | docker kill a: stop -t 10 a; a exited STOPPED
    "#]]);
}

/// The engine could not send the signal of our stop, as while its containerd is away: it sends SIGKILL two seconds later, long
/// before our stop's time is up. A person's before that is theirs.
#[test]
fn a_stop_that_the_engine_forces_is_our_own() {
    let play = |(_, then): (&str, &str)| {
        same(["no", "always"], |policy| {
            let mut w = Scene::with(&["a"]);
            w.does(&format!(
                "docker update --restart {policy} a, a ignores TERM, the stop signal to a is lost, 6s"
            ));
            w.does("a is unhealthy, until called").does(then).does("1m");
            w.outcome()
        })
    };
    let cases = [
        ("left alone", "0s"),
        ("watchdog restarted", "1s, watchdog killed, watchdog started"),
        ("killed by a person", "1s, docker kill a"),
    ];
    outcomes(cases, play).tells(expect![[r#"
        left alone | watchdog restarted: stop -t 10 a, start a; a running OK
        killed by a person: stop -t 10 a; a exited STOPPED
    "#]]);
}

/// A sick engine tells of a stop and answers nothing after it, and then this daemon dies: the next one hears of the stop again.
#[test]
fn a_stop_that_the_engine_has_not_answered_survives_a_restart_of_ours() {
    let play = |(_, late, then): (&str, u32, &str)| {
        let mut w = Scene::with(&["web", "db"]);
        w.api().late_inspects(late);
        w.does("docker stop web, 1s");
        w.does(then).does("watchdog killed, 1s, watchdog started, 1m").outcome()
    };
    let cases = [
        ("answered", 0, ""),
        ("not answered", 1, ""),
        ("not answered, and another event came", 1, "db exits 1, 20ms"),
    ];
    outcomes(cases, play).tells(expect![[r#"
        answered | not answered: no call; web exited STOPPED; db running OK
        not answered, and another event came: start db; web exited STOPPED; db running OK
    "#]]);
}

/// It is renamed while our stop is under way, and this daemon dies.
#[test]
fn a_stop_of_ours_is_ours_under_another_name_after_a_restart() {
    let play = |(_, killed): (&str, &str)| {
        let mut w = Scene::with(&["web", "db"]);
        w.does("web ignores TERM, web hangs, web is unhealthy, 2s, docker rename web new, 1s");
        w.does(killed).does("1m").outcome()
    };
    let cases = [
        ("no restart", ""),
        ("before its end", "watchdog killed, 1s, watchdog started"),
        ("over its end", "watchdog killed, 20s, watchdog started"),
        ("after its end", "7010ms, watchdog killed, 1s, watchdog started"),
        ("after the start", "7100ms, watchdog killed, 1s, watchdog started"),
        (
            "twice",
            "watchdog killed, 1s, watchdog started, 1s, watchdog killed, 1s, watchdog started",
        ),
    ];
    outcomes(cases, play).tells(expect![[r#"
        no restart | before its end | over its end | after its end | after the start | twice: stop -t 10 web, start new; new running OK; db running OK
    "#]]);
}
