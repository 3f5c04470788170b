//! The container role on an event stream that is open and silent, that never opens, or whose stamps cannot be trusted:
//! what a person stopped is left alone, and what crashed is healed all the same.

use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::state::engine::OnSignal;

/// The stream is open and nothing comes through it: an end that only the list shows is no proof that nobody stopped it.
#[test]
fn a_stop_on_a_silent_stream_is_not_undone() {
    for ring in [true, false] {
        for mark in [true, false] {
            let mut w = Scene::with(&["a", "b"]);
            w.engine().set_flag_readable(mark);
            w.docker_stop("b", 10);
            w.run(1000);
            w.docker_start("b");
            w.run(60_000);
            w.deafen_stream();
            w.docker_stop("a", 10);
            w.run(1000);
            if !ring {
                w.engine().forget_events();
            }
            w.run(60_000);
            let what = format!("ring {ring}, mark {mark}: {:?} {}", w.calls(), w.why("a"));
            assert!(w.calls().is_empty(), "{what}");
            let expected = if ring || mark { State::Stopped } else { State::GivenUp };
            assert_eq!(w.state("a"), Some(expected), "{what}");
            // It was opened again, and hears.
            w.crash("b", 1);
            w.run(300);
            assert_eq!(w.calls(), ["Start b"], "{what}");
        }
    }
}

#[test]
fn a_crash_on_a_silent_stream_is_healed_within_a_list_period() {
    for ring in [true, false] {
        for mark in [true, false] {
            let mut w = Scene::with(&["a", "b"]);
            w.engine().set_flag_readable(mark);
            w.docker_stop("b", 10);
            w.run(60_000);
            w.deafen_stream();
            w.crash("a", 137);
            w.run(100);
            if !ring {
                w.engine().forget_events();
            }
            w.run(9900);
            let what = format!("ring {ring}, mark {mark}: {:?} {}", w.calls(), w.why("a"));
            // Where events are lost for good and the mark cannot be read, nothing can tell.
            assert_eq!(w.running("a"), ring || mark, "{what}");
        }
    }
}

/// A sick engine: the mark is read after 5 s, by where the containers were known to lie.
#[test]
fn a_mark_that_is_read_late_still_tells() {
    for mark_ms in [4900, 5000, 5100, 20_000] {
        let mut w = Scene::with(&["a", "b"]);
        w.api().flag_takes(mark_ms);
        w.kill_agent();
        w.crash("a", 1);
        w.docker_stop("b", 10);
        w.run(1000);
        w.engine().forget_events();
        let before = w.decided().len();
        w.start_agent();
        w.run(mark_ms + 5000);
        let what = format!("{mark_ms}: {:?} {} / {}", w.calls(), w.why("a"), w.why("b"));
        assert_eq!(w.calls(), ["Start a"], "{what}");
        assert_eq!(w.state("b"), Some(State::Stopped), "{what}");
        let at_a_loss = w.decided()[before..]
            .iter()
            .any(|it| it.why.contains("nothing can tell"));
        assert_eq!(
            at_a_loss,
            8000 < mark_ms,
            "no person is called before the reader's own deadline: {what}"
        );
    }
}

#[test]
fn many_ends_on_a_silent_stream_are_one_break() {
    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut w = Scene::with(&names);
    let losses = w.agent().unwrap().counters().stream_losses;
    w.deafen_stream();
    w.engine().forget_events();
    names.iter().for_each(|name| w.crash(name, 137));
    w.run(60_000);
    assert!(names.iter().all(|name| w.running(name)), "{}", w.why("c7"));
    let after = w.agent().unwrap().counters().stream_losses;
    assert_eq!(after - losses, 1, "one for all of them");
}

/// `/events` is taken and never answered: after 10 s the list must do, but it covers nothing.
#[test]
fn a_stream_that_never_opens_covers_nothing() {
    for mark in [true, false] {
        for reopened in [true, false] {
            let mut w = Scene::with(&["a", "b"]);
            w.engine().set_flag_readable(mark);
            w.api().events_hang(true);
            w.cut_stream();
            w.run(60_000);
            w.docker_stop("a", 10);
            w.run(500);
            w.engine().forget_events();
            if reopened {
                w.api().events_hang(false);
            }
            w.run(60_000);
            let what = format!("mark {mark}, reopened {reopened}: {:?} {}", w.calls(), w.why("a"));
            assert!(w.calls().is_empty(), "{what}");
            if mark {
                assert_eq!(w.state("a"), Some(State::Stopped), "{what}");
                w.crash("b", 1);
                w.run(20_000);
                assert!(w.running("b"), "{what} {}", w.why("b"));
            }
        }
    }
}

/// What was not known before a restart of this daemon is not known after it.
#[test]
fn a_stop_before_the_stream_opened_at_last_is_not_forgotten_by_a_restart() {
    let mut w = Scene::with(&["a", "b", "c"]);
    w.engine().set_flag_readable(false);
    w.api().events_hang(true);
    w.cut_stream();
    w.run(30_000);
    w.docker_stop("a", 10);
    w.run(20_000);
    w.engine().forget_events();
    w.api().events_hang(false);
    w.run(60_000);
    w.crash("b", 1);
    w.run(10_000);
    assert_eq!(
        (w.state("a"), w.running("b")),
        (Some(State::GivenUp), true),
        "{}",
        w.why("a")
    );
    w.kill_agent();
    w.crash("c", 1);
    w.start_agent();
    w.run(60_000);
    assert!(!w.running("a"), "{:?} {}", w.calls(), w.why("a"));
    assert_eq!(w.state("a"), Some(State::GivenUp), "{}", w.why("a"));
    assert!(w.running("c"), "what was seen to run since is healed: {}", w.why("c"));
}

/// The clock went two hours ahead when the containers were started, and then was set right.
#[test]
fn a_clock_that_is_set_back_hides_no_stop_and_no_crash() {
    for start_seen in [false, true] {
        for mark in [true, false] {
            for act in 0..4 {
                let mut w = Scene::with(&["a", "b"]);
                w.engine().set_flag_readable(mark);
                if start_seen {
                    for name in ["a", "b"] {
                        w.docker_stop(name, 10);
                        w.run(1000);
                        w.docker_start(name);
                    }
                    w.run(60_000);
                }
                if act == 3 {
                    // The signal is sent before the clock is set, and the end comes after it.
                    w.remake("a", |it| {
                        it.stop_signal = Some(12);
                        it.program.handlers.insert(15, OnSignal::Ignore);
                    });
                    w.run(1000);
                    w.docker_kill("a", 15);
                    w.run(100);
                }
                w.set_clock(-7_200_000);
                match act {
                    0 => w.docker_stop("a", 10),
                    1 => w.docker_kill("a", 9),
                    2 => {
                        w.ignores_term("a");
                        w.docker_stop("a", 10);
                    }
                    _ => w.crash("a", 143),
                }
                w.run(30_000);
                let what = format!("start seen {start_seen}, mark {mark}, act {act}: {:?}", w.calls());
                assert!(w.calls().is_empty(), "{what} {}", w.why("a"));
                assert_eq!(w.state("a"), Some(State::Stopped), "{what} {}", w.why("a"));
                w.crash("b", 1);
                w.run(1000);
                assert!(w.running("b"), "{what} {}", w.why("b"));
                w.run(60_000);
                assert_eq!(w.state("b"), Some(State::Ok), "{what} {}", w.why("b"));
                // A new life, by the new clock: all is as ever.
                w.docker_start("a");
                w.run(60_000);
                assert_eq!(w.state("a"), Some(State::Ok), "{what} {}", w.why("a"));
                let losses = w.agent().unwrap().counters().stream_losses;
                w.cut_stream();
                w.crash("a", 1);
                w.run(700);
                assert!(w.running("a"), "{what} {}", w.why("a"));
                let after = w.agent().unwrap().counters().stream_losses;
                assert_eq!(losses, after, "{what}: the newest event is known again");
            }
        }
    }
}

/// Our stop is ours whatever the clock does meanwhile, and a person's that falls into it is theirs.
#[test]
fn a_clock_that_is_set_back_during_our_stop_is_no_person() {
    for back in [50, 1000, 3000, 6000, 7_200_000] {
        for ignores_term in [false, true] {
            for set_after_ms in [0, 1, 1000] {
                for person in [None, Some(9), Some(15)] {
                    let mut w = Scene::with(&["a", "b"]);
                    if ignores_term {
                        w.ignores_term("a");
                    }
                    w.health("a", watchtree_core::container::io::Health::Unhealthy);
                    w.run(set_after_ms);
                    w.set_clock(-back);
                    w.run(3000 - set_after_ms);
                    let what = format!("back {back}, ignores {ignores_term}, after {set_after_ms}, {person:?}");
                    if let (Some(signal), true) = (person, ignores_term) {
                        w.docker_kill("a", signal);
                        w.run(60_000);
                        assert!(!w.running("a"), "{what}: {:?} {}", w.calls(), w.why("a"));
                        assert_eq!(w.state("a"), Some(State::Stopped), "{what}: {}", w.why("a"));
                    } else {
                        w.run(60_000);
                        assert!(w.running("a"), "{what}: {:?} {}", w.calls(), w.why("a"));
                        assert_eq!(w.calls().len(), 2, "{what}: {:?}", w.calls());
                    }
                }
            }
        }
    }
}
