//! The container role on an event stream that is open and silent, that never opens, or whose stamps cannot be trusted:
//! what a person stopped is left alone, and what crashed is healed all the same.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, same};
use watchtree_sim::state::engine::OnSignal;

/// What is left to know of a silent interval, and so whether events are lost and whether the manual-stop flag is readable.
const KNOWN: [(&str, &str, bool); 4] = [
    ("events and flag", "", true),
    ("events only", "", false),
    ("flag only", "events lost", true),
    ("neither", "events lost", false),
];

/// The stream is open and nothing comes through it: an end that only the list shows is no proof that nobody stopped it.
#[test]
fn a_stop_on_a_silent_stream_is_not_undone() {
    let play = |(_, lost, flag): (&str, &str, bool)| {
        let mut w = Scene::with(&["a", "b"]);
        w.engine().set_flag_readable(flag);
        w.does("docker stop b, 1s, docker start b, 1m, stream silent, docker stop a, 1s");
        let stopped = w.does(lost).does("1m").outcome();
        // The stream was opened again, and hears.
        w.does("b exits 1, 300ms");
        format!("{stopped}, then {}", w.calls().join(", "))
    };
    outcomes(KNOWN, play).tells(expect![[r#"
        events and flag | events only | flag only: no call; a exited STOPPED; b running OK, then start b
        neither: no call; a exited GIVEN UP; b running OK, then start b
    "#]]);
}

/// Where events are lost for good and the flag cannot be read, nothing can tell.
#[test]
fn a_crash_on_a_silent_stream_is_healed_within_a_list_period() {
    let play = |(_, lost, flag): (&str, &str, bool)| {
        let mut w = Scene::with(&["a", "b"]);
        w.engine().set_flag_readable(flag);
        w.does("docker stop b, 1m, stream silent, a exits 137, 100ms");
        w.does(lost).does("9900ms").outcome()
    };
    outcomes(KNOWN, play).tells(expect![[r#"
        events and flag | events only | flag only: start a; a running OK; b exited STOPPED
        neither: no call; a exited GIVEN UP; b exited STOPPED
    "#]]);
}

/// A sick engine: its flag is read after so many milliseconds, by where the containers were known to lie. No person is called
/// before the reader's own deadline of 8 s.
#[test]
fn a_manual_stop_flag_that_is_read_late_still_decides() {
    let play = |flag_ms| {
        let mut w = Scene::with(&["a", "b"]);
        w.api().flag_takes(flag_ms);
        w.does("watchdog killed, a exits 1, docker stop b, 1s, events lost");
        let before = w.decided().len();
        w.does("watchdog started, 5s").run(flag_ms);
        let called = w.decided()[before..]
            .iter()
            .any(|it| it.why.contains("nothing can tell"));
        format!("a person is called: {called}, {}", w.outcome())
    };
    outcomes([4900, 5000, 5100, 20_000_u64], play).tells(expect![[r#"
        4900 | 5000 | 5100: a person is called: false, start a; a running STARTING; b exited STOPPED
        20000: a person is called: true, start a; a running STARTING; b exited STOPPED
    "#]]);
}

#[test]
fn many_ends_on_a_silent_stream_are_one_break() {
    let names = Scene::names(20);
    let mut w = Scene::with(&names);
    let losses = w.agent().unwrap().counters().stream_losses;
    w.does("stream silent, events lost");
    names.iter().for_each(|name| w.crash(name, 137));
    w.does("1m");
    assert!(names.iter().all(|name| w.running(name)), "{}", w.why("c7"));
    let after = w.agent().unwrap().counters().stream_losses;
    assert_eq!(after - losses, 1, "one for all of them");
}

/// `/events` is taken and never answered: after 10 s the list must do, but it covers nothing.
#[test]
fn a_stream_that_never_opens_covers_nothing() {
    let cases = [
        ("flag readable, the stream opens at last", true, true),
        ("flag readable, the stream never opens", true, false),
        ("flag unreadable, the stream opens at last", false, true),
        ("flag unreadable, the stream never opens", false, false),
    ];
    let play = |(_, flag, opens): (&str, bool, bool)| {
        let mut w = Scene::with(&["a", "b"]);
        w.engine().set_flag_readable(flag);
        w.api().events_hang(true);
        w.does("stream cut, 1m, docker stop a, 500ms, events lost");
        w.api().events_hang(!opens);
        let stopped = w.does("1m").outcome();
        format!("{stopped}, then {}", w.does("b exits 1, 20s").outcome())
    };
    outcomes(cases, play).tells(expect![[r#"
        flag readable, the stream opens at last | flag readable, the stream never opens: no call; a exited STOPPED; b running OK, then start b; a exited STOPPED; b running OK
        flag unreadable, the stream opens at last: no call; a exited GIVEN UP; b running OK, then start b; a exited GIVEN UP; b running OK
        flag unreadable, the stream never opens: no call; a exited GIVEN UP; b running OK, then no call; a exited GIVEN UP; b exited GIVEN UP
    "#]]);
}

/// What was not known before a restart of this daemon is not known after it; what was seen to run since is healed.
#[test]
fn a_stop_before_the_stream_opened_at_last_is_not_forgotten_by_a_restart() {
    let mut w = Scene::with(&["a", "b", "c"]);
    w.engine().set_flag_readable(false);
    w.api().events_hang(true);
    w.does("stream cut, 30s, docker stop a, 20s, events lost");
    w.api().events_hang(false);
    w.steps(&["1m, b exits 1, 10s", "watchdog killed, c exits 1, watchdog started, 1m"])
        .tells(expect![[r#"
            1m, b exits 1, 10s: start b; a exited GIVEN UP; b running OK; c running OK
            watchdog killed, c exits 1, watchdog started, 1m: start c; a exited GIVEN UP; b running OK; c running OK
        "#]]);
}

/// The clock went two hours ahead when the containers were started, and then was set right: before the script that ends `a`,
/// or before its last act.
#[test]
fn a_clock_that_is_set_back_hides_no_stop_and_no_crash() {
    let cases = [
        ("docker stop", "", "docker stop a"),
        ("docker kill", "", "docker kill a"),
        (
            "docker stop of one that ignores TERM",
            "",
            "a ignores TERM, docker stop a",
        ),
        (
            "a signal, and the end by it later",
            "1s, docker kill -s TERM a, 100ms",
            "a exits 143",
        ),
    ];
    let play = |(_, before, after): (&str, &str, &str)| {
        same(
            [
                "",
                "docker stop a, 1s, docker start a, docker stop b, 1s, docker start b, 1m",
            ],
            |start_seen| {
                same([true, false], |flag| {
                    let mut w = Scene::with(&["a", "b"]);
                    w.engine().set_flag_readable(flag);
                    if !before.is_empty() {
                        w.remake("a", |it| it.stop_signal = Some(12));
                        w.program("a", |it| it.handlers = [(15, OnSignal::Ignore)].into());
                    }
                    w.does(start_seen).does(before).set_clock(-7_200_000);
                    let stopped = w.does(after).does("30s").outcome();
                    let healed = w.does("b exits 1, 1s").outcome();
                    // A new incarnation, by the new clock: all is as ever, and the newest event is known again.
                    let started = w.does("1m, docker start a, 1m").outcome();
                    let losses = w.agent().unwrap().counters().stream_losses;
                    let crashed = w.does("stream cut, a exits 1, 700ms").outcome();
                    assert_eq!(losses, w.agent().unwrap().counters().stream_losses);
                    format!("{stopped}\nb exits: {healed}\na is started: {started}\na exits: {crashed}")
                })
            },
        )
    };
    outcomes(cases, play).tells(expect![[r#"
        docker stop | docker kill | docker stop of one that ignores TERM | a signal, and the end by it later:
        no call; a exited STOPPED; b running OK
        b exits: start b; a exited STOPPED; b running STARTING
        a is started: no call; a running OK; b running OK
        a exits: start a; a running STARTING; b running OK
    "#]]);
}

/// Our stop is ours whatever the clock does meanwhile, and a person's that falls into it is theirs.
#[test]
fn a_clock_that_is_set_back_during_our_stop_is_no_person() {
    let cases = [
        ("takes TERM", "", ""),
        ("ignores TERM", "a ignores TERM", ""),
        ("ignores TERM, docker kill", "a ignores TERM", "docker kill a"),
        (
            "ignores TERM, docker kill -s TERM",
            "a ignores TERM",
            "docker kill -s TERM a",
        ),
    ];
    let play = |(_, before, act): (&str, &str, &str)| {
        same([50, 1000, 3000, 6000, 7_200_000], |back| {
            same([0, 1, 1000_u64], |set_after_ms| {
                let mut w = Scene::with(&["a"]);
                w.does(before).does("a is unhealthy").run(set_after_ms);
                w.set_clock(-back);
                w.run(3000 - set_after_ms);
                w.does(act).does("1m").outcome()
            })
        })
    };
    outcomes(cases, play).tells(expect![[r#"
        takes TERM | ignores TERM: stop -t 10 a, start a; a running OK
        ignores TERM, docker kill | ignores TERM, docker kill -s TERM: stop -t 10 a; a exited STOPPED
    "#]]);
}

/// The list of a large engine comes rarely: the kernel shows an end that no event tells. Where it cannot, the list comes often.
#[test]
fn an_end_that_no_event_tells_is_seen_by_the_kernel_or_by_the_list() {
    let play = |(_, hides, millis): (&str, bool, u64)| {
        let mut w = Scene::with(&["a"]);
        w.api().list_takes(400);
        w.api().hides_processes(hides);
        w.does("watchdog killed, 1s, watchdog started, 2m, stream silent, a exits 1")
            .run(millis);
        w.outcome()
    };
    let cases = [
        ("seen by the kernel, and its event is waited for", false, 900),
        ("seen by the kernel", false, 6000),
        ("seen by the list", true, 9000),
    ];
    outcomes(cases, play).tells(expect![[r#"
        seen by the kernel, and its event is waited for: no call; a exited OK
        seen by the kernel: start a; a running STARTING
        seen by the list: start a; a running OK
    "#]]);
}
