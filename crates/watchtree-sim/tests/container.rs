//! The container role against a model engine: who stopped it, what is healed, what is left alone, what a restart of the
//! watchdog or a break of its stream changes.

use watchtree_core::container::io::*;
use watchtree_core::decision::{ActionKind, Outcome};
use watchtree_core::order::Verb;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::state::engine::Verb as Person;

#[test]
fn a_crash_is_started_in_the_same_turn_and_verified() {
    let mut w = Scene::with(&["a"]);
    assert_eq!(w.state("a"), Some(State::Ok));
    let before = w.records().len();
    w.crash("a", 1);
    w.run(4);
    assert_eq!(w.calls(), ["Start a"], "{:?}", w.why("a"));
    let records: Vec<String> = w.records()[before..]
        .iter()
        .map(|r| format!("{r:?}").split([' ', '{', '(']).next().unwrap().into())
        .collect();
    assert_eq!(
        records,
        ["Decided", "Charged", "Repair", "LastEvent"],
        "announced before it is done, the bookmark after"
    );
    w.run(1000);
    assert!(w.running("a"));
    assert_eq!(w.state("a"), Some(State::Starting));
    w.run(5000);
    assert_eq!(w.state("a"), Some(State::Ok));
    let last = w.decided().last().unwrap();
    assert_eq!((last.action, last.outcome), (ActionKind::Start, Outcome::Succeeded));
    assert_eq!(w.starts("a"), 1);
}

#[test]
fn what_a_person_stops_stays_stopped() {
    for stop_before_die in [true, false] {
        for act in 0..5 {
            let mut w = Scene::with(&["a", "b"]);
            w.engine().set_stop_before_die(stop_before_die);
            match act {
                0 => w.docker_stop("a", 10),
                1 => w.docker_kill("a", 9),
                2 => w.docker_rm_f("a"),
                3 => {
                    w.ignores_term("a");
                    w.docker_stop("a", 10);
                }
                _ => {
                    w.remake("a", |it| it.stop_signal = Some(3));
                    w.cut_stream();
                    w.run(100);
                    w.docker_kill("a", 3);
                }
            }
            w.run(60_000);
            assert!(w.calls().is_empty(), "act {act}: {:?} {}", w.calls(), w.why("a"));
            if act != 2 {
                assert_eq!(w.state("a"), Some(State::Stopped), "act {act}: {}", w.why("a"));
                w.docker_start("a");
                w.run(20_000);
                assert_eq!(w.state("a"), Some(State::Ok));
                w.crash("a", 1);
                w.run(10_000);
                assert_eq!(w.calls(), ["Start a"]);
            } else {
                assert_eq!(w.state("a"), None, "it is gone");
            }
        }
    }
}

#[test]
fn a_hup_is_no_stop() {
    let mut w = Scene::with(&["a"]);
    w.docker_kill("a", 1);
    w.run(1000);
    w.crash("a", 1);
    w.run(1000);
    assert!(w.running("a"), "{}", w.why("a"));
    let mut w = Scene::with(&["a"]);
    w.docker_update("a", RestartPolicy::Always);
    w.docker_kill("a", 1);
    w.run(60_000);
    w.crash("a", 1);
    w.run(1500);
    assert!(!w.running("a"), "the engine goes first, and here it never does");
    w.run(2000);
    assert!(w.running("a"), "{}", w.why("a"));
}

#[test]
fn the_engine_goes_first_and_its_flaps_count() {
    let mut w = Scene::with(&["a"]);
    w.docker_update("a", RestartPolicy::Always);
    w.backs_off("a", 300);
    w.run(10_000);
    for n in 0..7 {
        w.crash("a", 1);
        w.run(5000);
        assert!(w.running("a"), "{n}");
        if n == 5 {
            assert_eq!(w.agent().unwrap().counters().given_up, 1);
        }
    }
    assert!(w.calls().is_empty(), "{:?}", w.calls());
    assert!(w.decided().iter().any(|it| it.action == ActionKind::Escalate));
}

#[test]
fn finished_is_not_crashed() {
    let mut w = Scene::with(&["a", "b"]);
    w.remake("b", |it| it.auto_remove = true);
    w.run(6000);
    w.docker_update("a", RestartPolicy::No);
    w.crash("a", 0);
    w.run(20_000);
    assert_eq!(w.state("a"), Some(State::Finished));
    assert!(w.calls().is_empty());
}

#[test]
fn a_crash_loop_is_given_up_within_its_bound_and_tried_slowly() {
    let mut w = Scene::with(&["a"]);
    w.dies_after_start("a", Some(500));
    let begin = w.now();
    let bound = w
        .settings()
        .policy
        .bound_until_limit(Duration::from_millis(500), Duration::from_millis(200));
    w.crash("a", 1);
    while w.state("a") != Some(State::GivenUp) {
        w.run(10);
        assert!(
            w.now() - begin < u64::try_from(bound.as_millis()).unwrap(),
            "{}",
            w.why("a")
        );
    }
    assert_eq!(w.starts("a"), 5);
    assert_eq!(
        w.decided()
            .iter()
            .filter(|it| it.action == ActionKind::Escalate)
            .count(),
        1
    );
    w.run(590_000);
    assert_eq!(w.starts("a"), 5);
    w.run(20_000);
    assert_eq!(w.starts("a"), 6, "one slow retry");
    w.run(600_000);
    assert_eq!(w.starts("a"), 7);
    // Also after a restart of the watchdog, and it does not begin anew.
    w.kill_agent();
    w.start_agent();
    w.run(500_000);
    assert_eq!(w.starts("a"), 7, "{}", w.why("a"));
    w.dies_after_start("a", None);
    w.order(1, "a", Verb::Retry, true);
    assert!(w.local_answers()[0].result.is_ok(), "{:?}", w.local_answers());
    w.run(10_000);
    assert_eq!((w.starts("a"), w.state("a")), (8, Some(State::Ok)));
}

#[test]
fn an_unhealthy_one_is_stopped_and_started() {
    for stop_before_die in [true, false] {
        for ignores_term in [false, true] {
            let mut w = Scene::with(&["a"]);
            w.engine().set_stop_before_die(stop_before_die);
            if ignores_term {
                w.ignores_term("a");
            }
            w.health("a", Health::Unhealthy);
            w.run(4);
            assert_eq!(w.calls(), ["Stop { timeout_secs: 10 } a"]);
            w.run(12_000);
            assert_eq!(w.calls().len(), 2, "{:?} {}", w.calls(), w.why("a"));
            assert!(w.running("a"));
            w.run(6000);
            assert_eq!(w.state("a"), Some(State::Ok));
            assert_eq!(w.decided().last().unwrap().outcome, Outcome::Succeeded);
        }
    }
}

#[test]
fn an_unhealthy_one_is_found_by_the_list_too() {
    let mut w = Scene::with(&["a"]);
    w.health_unseen("a", Health::Unhealthy);
    w.run(12_000);
    assert_eq!(w.calls().len(), 2, "{:?}", w.calls());
}

#[test]
fn a_persons_act_during_our_repair_wins() {
    // When (ms after we post our stop) and what.
    for stop_before_die in [true, false] {
        for after in [0, 1, 5, 500, 2900, 2999] {
            for act in 0..3 {
                let mut w = Scene::with(&["a"]);
                w.engine().set_stop_before_die(stop_before_die);
                w.ignores_term("a");
                w.remake("a", |it| it.stop_timeout = Some(Duration::from_secs(3)));
                w.cut_stream();
                w.run(6000);
                w.health_unseen("a", Health::Unhealthy);
                w.touch("a");
                while w.calls().is_empty() {
                    w.run(1);
                }
                w.run(after);
                match act {
                    0 => w.docker_stop("a", 3),
                    1 => w.docker_kill("a", 9),
                    _ => w.docker_rm_f("a"),
                }
                // A SIGKILL at the very moment ours is due cannot be told from ours; nothing is lost by it.
                w.run(30_000);
                assert!(
                    !w.running("a") && w.calls().len() == 1,
                    "act {act} {after} ms after our stop: {:?} {}",
                    w.calls(),
                    w.why("a")
                );
            }
        }
    }
}

#[test]
fn one_that_is_renamed_during_our_repair_is_started_again() {
    for after in [0, 1, 500, 2900, 3030, 3200] {
        let mut w = Scene::with(&["a"]);
        w.ignores_term("a");
        w.remake("a", |it| it.stop_timeout = Some(Duration::from_secs(3)));
        w.health("a", Health::Unhealthy);
        while w.calls().is_empty() {
            w.run(1);
        }
        w.run(after);
        w.person("a", Person::Rename("b".into()));
        w.run(30_000);
        assert!(w.running("a"), "{after} ms: {:?} {}", w.calls(), w.why("b"));
        assert_eq!(w.calls().len(), 2, "{after} ms: {:?}", w.calls());
        assert_eq!(w.state("b"), Some(State::Ok), "{after} ms: {}", w.why("b"));
    }
}

#[test]
fn a_persons_stop_during_our_start_wins() {
    for after in [30, 100, 125, 200, 3000] {
        let mut w = Scene::with(&["a"]);
        w.crash("a", 1);
        w.run(after + 4);
        w.docker_stop("a", 10);
        w.run(30_000);
        assert!(!w.running("a"), "{after}: {}", w.why("a"));
        assert_eq!(w.starts("a"), 1, "{after}");
        assert_eq!(w.state("a"), Some(State::Stopped), "{after}");
    }
}

#[test]
fn a_die_that_never_arrived_is_healed_within_a_list_period() {
    let mut w = Scene::with(&["a"]);
    w.lose_next_die("a", true);
    w.crash("a", 1);
    w.run(6500);
    assert!(w.running("a"), "{}", w.why("a"));
}

#[test]
fn after_our_own_death_only_the_crashed_one_is_healed() {
    for ring_max in [256, 0] {
        for freeze in [true, false] {
            for mark in [true, false] {
                let mut w = Scene::with(&["a", "b", "c"]);
                w.engine().set_flag_readable(mark);
                w.crash("c", 1);
                w.run(20_000);
                if freeze {
                    w.freeze();
                } else {
                    w.kill_agent();
                }
                w.run(3000);
                w.crash("a", 137);
                w.docker_kill("b", 9);
                w.run(3000);
                w.engine().remember_events(ring_max);
                w.forget_calls();
                let back = w.now();
                if freeze {
                    if ring_max == 0 {
                        // What the engine would have sent meanwhile was dropped by it.
                        w.drop_waiting();
                    }
                    w.thaw();
                } else {
                    w.start_agent();
                }
                w.run(if ring_max == 0 { 9000 } else { 900 });
                let what = format!(
                    "ring {ring_max} freeze {freeze} mark {mark}: {} / {}",
                    w.why("a"),
                    w.why("b")
                );
                if ring_max == 0 && !mark {
                    assert!(w.calls().is_empty(), "{what}");
                    assert_eq!(w.state("a"), Some(State::GivenUp), "{what}");
                } else {
                    assert_eq!(w.calls(), ["Start a"], "{what} after {} ms", w.now() - back);
                    w.run(10_000);
                    assert!(w.running("a") && !w.running("b"), "{what}");
                    assert_eq!(w.state("b"), Some(State::Stopped), "{what}");
                }
            }
        }
    }
}

#[test]
fn killed_after_every_record_it_neither_forgets_nor_doubles() {
    for unhealthy in [false, true] {
        for ignores_term in [false, true] {
            for pause in [1, 50, 400, 4000] {
                for n in 1..14 {
                    let mut w = Scene::with(&["a", "b"]);
                    if ignores_term {
                        w.ignores_term("a");
                    }
                    w.remake("a", |it| it.stop_timeout = Some(Duration::from_secs(2)));
                    w.run(6000);
                    w.dies_after_records(w.records().len() + n);
                    if unhealthy {
                        w.health("a", Health::Unhealthy);
                    } else {
                        w.crash("a", 1);
                    }
                    w.run(pause);
                    if w.agent().is_none() {
                        w.start_agent();
                    }
                    for _ in 0..300 {
                        if w.agent().is_none() {
                            w.run(pause);
                            w.start_agent();
                        }
                        w.run(100);
                    }
                    let what = format!(
                        "record {n}, unhealthy {unhealthy}, pause {pause}: {:?} {}",
                        w.calls(),
                        w.why("a")
                    );
                    assert!(w.running("a"), "{what}");
                    assert_eq!(w.state("a"), Some(State::Ok), "{what}");
                    assert_eq!(w.starts("a"), 1, "{what}");
                    assert_eq!(w.lives("a"), 1, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_person_wins_also_against_a_repair_from_the_journal() {
    for n in 3..6 {
        let mut w = Scene::with(&["a"]);
        w.ignores_term("a");
        w.remake("a", |it| it.stop_timeout = Some(Duration::from_secs(3)));
        w.run(6000);
        w.health("a", Health::Unhealthy);
        w.run(100);
        assert_eq!(w.calls().len(), 1);
        w.kill_agent();
        w.run(500);
        w.docker_stop("a", 3);
        w.run(n * 100);
        w.start_agent();
        w.run(60_000);
        assert!(!w.running("a"), "{:?} {}", w.calls(), w.why("a"));
        assert_eq!(w.calls().len(), 1);
    }
}

/// A person stops a hung container and we die meanwhile: the next process must not stop it a second time, for after that
/// the end would pass for its own doing.
#[test]
fn a_persons_stop_that_takes_its_time_is_remembered_over_our_death() {
    let mut w = Scene::with(&["a", "b"]);
    w.ignores_term("a");
    w.docker_stop("a", 10);
    w.run(2000);
    w.touch("b");
    w.run(10);
    w.kill_agent();
    w.run(100);
    w.health("a", Health::Unhealthy);
    w.start_agent();
    w.run(60_000);
    assert!(
        !w.running("a") && w.calls().is_empty(),
        "{:?} {}",
        w.calls(),
        w.why("a")
    );
}

#[test]
fn an_engine_going_down_is_no_person() {
    let mut w = Scene::with(&["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        w.docker_stop(name, 10);
    }
    w.run(100);
    for name in ["a", "b", "c"] {
        w.forge_flag(name, name == "c");
    }
    w.engine().forget_events();
    w.cut_stream();
    w.run(10_000);
    assert!(
        w.running("a") && w.running("b") && !w.running("c"),
        "{} / {}",
        w.why("a"),
        w.why("c")
    );
}

/// The engine forgot the first signal of our stop, another event was taken since, and then we died: what is still to come
/// of that stop is ours all the same.
#[test]
fn our_half_done_stop_is_finished_though_the_engine_forgot_its_signal() {
    for died_after in [100, 3000, 7000] {
        let mut w = Scene::with(&["a", "b"]);
        w.ignores_term("a");
        w.health("a", Health::Unhealthy);
        w.run(100);
        assert_eq!(w.calls().len(), 1, "{:?}", w.calls());
        w.engine().forget_events();
        w.touch("b");
        w.run(died_after);
        w.kill_agent();
        w.run(300);
        w.start_agent();
        w.run(60_000);
        assert!(w.running("a"), "{:?} {}", w.calls(), w.why("a"));
        assert_eq!(w.calls().len(), 2, "{:?}", w.calls());
    }
}
