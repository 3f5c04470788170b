//! The container role on an event stream that is open and silent, that never opens, or whose stamps cannot be trusted:
//! what a person stopped is left alone, and what crashed is healed all the same.

mod world;

use watchtree_core::verdict::State;
use world::World;

/// The stream is open and nothing comes through it: an end that only the list shows is no proof that nobody stopped it.
#[test]
fn a_stop_on_a_silent_stream_is_not_undone() {
    for ring in [true, false] {
        for mark in [true, false] {
            let mut w = World::with(&["a", "b"]);
            w.mark_readable = mark;
            w.docker_stop("b", 10);
            w.run(1000);
            w.docker_start("b");
            w.run(60_000);
            w.deafen_stream();
            w.docker_stop("a", 10);
            w.run(1000);
            if !ring {
                w.ring.clear();
            }
            w.run(60_000);
            let what = format!("ring {ring}, mark {mark}: {:?} {}", w.calls, w.why("a"));
            assert!(w.calls.is_empty(), "{what}");
            let expected = if ring || mark { State::Stopped } else { State::GivenUp };
            assert_eq!(w.state("a"), Some(expected), "{what}");
            // It was opened again, and hears.
            w.crash("b", 1);
            w.run(300);
            assert_eq!(w.calls, ["Start b"], "{what}");
        }
    }
}

#[test]
fn a_crash_on_a_silent_stream_is_healed_within_a_list_period() {
    for ring in [true, false] {
        for mark in [true, false] {
            let mut w = World::with(&["a", "b"]);
            w.mark_readable = mark;
            w.docker_stop("b", 10);
            w.run(60_000);
            w.deafen_stream();
            w.crash("a", 137);
            w.run(100);
            if !ring {
                w.ring.clear();
            }
            w.run(9900);
            let what = format!("ring {ring}, mark {mark}: {:?} {}", w.calls, w.why("a"));
            // Where events are lost for good and the mark cannot be read, nothing can tell.
            assert_eq!(w.running("a"), ring || mark, "{what}");
        }
    }
}

#[test]
fn many_ends_on_a_silent_stream_are_one_break() {
    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut w = World::with(&names);
    let losses = w.agent.as_ref().unwrap().counters().stream_losses;
    w.deafen_stream();
    w.ring.clear();
    names.iter().for_each(|name| w.crash(name, 137));
    w.run(60_000);
    assert!(names.iter().all(|name| w.running(name)), "{}", w.why("c7"));
    let after = w.agent.as_ref().unwrap().counters().stream_losses;
    assert_eq!(after - losses, 1, "one for all of them");
}

/// `/events` is taken and never answered: after 10 s the list must do, but it covers nothing.
#[test]
fn a_stream_that_never_opens_covers_nothing() {
    for mark in [true, false] {
        for reopened in [true, false] {
            let mut w = World::with(&["a", "b"]);
            w.mark_readable = mark;
            w.events_hang = true;
            w.cut_stream();
            w.run(60_000);
            w.docker_stop("a", 10);
            w.run(500);
            w.ring.clear();
            if reopened {
                w.events_hang = false;
            }
            w.run(60_000);
            let what = format!("mark {mark}, reopened {reopened}: {:?} {}", w.calls, w.why("a"));
            assert!(w.calls.is_empty(), "{what}");
            if mark {
                assert_eq!(w.state("a"), Some(State::Stopped), "{what}");
                w.crash("b", 1);
                w.run(20_000);
                assert!(w.running("b"), "{what} {}", w.why("b"));
            }
        }
    }
}
