//! The container role against a model engine: what people began and what they stopped is theirs, also where the engine's own
//! restart policy, or an illness, says otherwise.

use watchtree_core::container::io::*;
use watchtree_core::decision::{Guard, Outcome};
use watchtree_core::order::Verb;
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::state::engine::OnSignal;

#[test]
fn an_unhealthy_one_that_runs_once_is_reported_and_not_stopped() {
    for auto_remove in [true, false] {
        let mut w = Scene::with(&["a"]);
        w.remake("a", |it| it.auto_remove = auto_remove);
        let oneoff = ("com.docker.compose.oneoff".to_string(), "True".to_string());
        w.remake("a", |it| it.labels.extend((!auto_remove).then_some(oneoff)));
        w.run(6000);
        w.health("a", Health::Unhealthy);
        w.run(60_000);
        w.order(1, "a", Verb::Retry, true);
        w.run(60_000);
        assert!(w.calls().is_empty() && w.running("a"), "{:?}", w.calls());
        assert_eq!(w.state("a"), Some(State::Unhealthy), "{}", w.why("a"));
        let last = w.decided().last().unwrap();
        assert_eq!(last.outcome, Outcome::NotTaken);
        assert_eq!(
            last.guards.iter().find(|it| !it.lets_pass()).unwrap().guard,
            Guard::MeantToRun
        );
    }
}

#[test]
fn a_persons_stop_during_the_engines_backoff_stays() {
    for policy in [RestartPolicy::Always, RestartPolicy::UnlessStopped] {
        for kill in [false, true] {
            for mark in [true, false] {
                for after in [1000, 4000, 30_000] {
                    for dead in [false, true] {
                        let mut w = Scene::with(&["a"]);
                        w.docker_update("a", policy);
                        w.backs_off("a", 60_000);
                        w.run(10_000);
                        w.engine().set_flag_readable(mark);
                        w.crash("a", 1);
                        w.run(after);
                        if dead {
                            w.kill_agent();
                        }
                        if kill {
                            w.docker_kill("a", 9);
                        } else {
                            w.docker_stop("a", 10);
                        }
                        w.run(1000);
                        if dead {
                            w.start_agent();
                        }
                        w.run(120_000);
                        let what = format!(
                            "{policy:?}, kill {kill}, mark {mark}, after {after}, dead {dead}: {:?} {}",
                            w.calls(),
                            w.why("a")
                        );
                        assert!(w.calls().is_empty() && !w.running("a"), "{what}");
                        let told = mark || !kill;
                        let state = if told { State::Stopped } else { State::GivenUp };
                        assert_eq!(w.state("a"), Some(state), "{what}");
                        w.docker_start("a");
                        w.run(20_000);
                        assert_eq!(w.state("a"), Some(State::Ok), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_policy_start_that_fails_is_nobodys_stop() {
    for (mark, hup) in [(true, false), (false, false), (true, true)] {
        let mut w = Scene::with(&["a"]);
        w.docker_update("a", RestartPolicy::Always);
        w.backs_off("a", 5000);
        w.run(10_000);
        w.engine().set_flag_readable(mark);
        w.refuses("a", Some("address already in use"));
        w.crash("a", 1);
        w.run(4000);
        assert!(w.calls().is_empty(), "{:?}", w.calls());
        // A signal of another meaning leaves the mark too.
        w.forge_flag("a", hup);
        w.run(1100);
        w.refuses("a", None);
        w.run(20_000);
        assert!(w.running("a"), "{:?} {}", w.calls(), w.why("a"));
    }
}

/// A signal of another meaning (HUP) has called the engine's policy off, and the look that would show it gets no answer.
#[test]
fn a_late_look_does_not_leave_a_policy_that_was_called_off_to_the_engine() {
    for late in 0..4 {
        let mut w = Scene::with(&["a"]);
        w.docker_update("a", RestartPolicy::Always);
        w.run(10_000);
        w.docker_kill("a", 1);
        w.run(60_000);
        w.crash("a", 1);
        w.run(1000);
        w.api().late_inspects(late);
        w.run(1500 + u64::from(late) * 5100);
        assert_eq!(w.calls(), ["Start a"], "{late}: {}", w.why("a"));
        assert!(w.running("a"), "{late}: {}", w.why("a"));
    }
}

/// What flushes for two minutes because a person gave it that long is not cut short for being unhealthy meanwhile.
#[test]
fn a_persons_slow_stop_is_not_cut_short() {
    for restarted in [false, true] {
        let mut w = Scene::with(&["a"]);
        w.ignores_term("a");
        w.docker_stop("a", 120);
        w.run(30_000);
        w.health("a", Health::Unhealthy);
        if restarted {
            w.kill_agent();
            w.start_agent();
        }
        w.run(60_000);
        assert!(w.calls().is_empty() && w.running("a"), "{:?} {}", w.calls(), w.why("a"));
        let last = w.decided().last().unwrap();
        assert_eq!(last.outcome, Outcome::NotTaken);
        assert_eq!(
            last.guards.iter().find(|it| !it.lets_pass()).unwrap().guard,
            Guard::OperatorIntent
        );
        w.run(60_000);
        assert!(
            w.calls().is_empty() && !w.running("a"),
            "{:?} {}",
            w.calls(),
            w.why("a")
        );
        assert_eq!(w.state("a"), Some(State::Stopped), "{}", w.why("a"));
    }
}

#[test]
fn a_signal_that_ended_nothing_does_not_keep_repairs_away_for_ever() {
    let mut w = Scene::with(&["a"]);
    w.program("a", |it| {
        it.handlers.insert(3, OnSignal::Ignore);
    });
    w.docker_kill("a", 3);
    w.run(1000);
    w.health("a", Health::Unhealthy);
    w.run(500_000);
    assert!(w.calls().is_empty(), "{:?}", w.calls());
    w.run(120_000);
    assert_eq!(w.calls().len(), 2, "{:?} {}", w.calls(), w.why("a"));
    assert!(w.running("a"));
}

/// A retry means it, but not against a stop that is under way in its ordinary time.
#[test]
fn a_retry_waives_the_long_wait_after_a_signal_and_not_the_short_one() {
    let mut w = Scene::with(&["a"]);
    w.ignores_term("a");
    w.docker_kill("a", 15);
    w.run(1000);
    w.health("a", Health::Unhealthy);
    w.run(1000);
    w.order(1, "a", Verb::Retry, true);
    w.run(8000);
    assert!(w.calls().is_empty(), "{:?}", w.calls());
    w.run(30_000);
    assert_eq!(w.calls().len(), 2, "{:?} {}", w.calls(), w.why("a"));
    assert!(w.running("a"));
}

/// Our own stop, a start that the engine refused, and a restart of ours: the stop is still ours, and no end that was meant.
#[test]
fn our_own_stop_is_no_persons_after_a_refused_start_and_our_death() {
    for (policy, code, stop_before_die) in [
        (RestartPolicy::No, 143, false),
        (RestartPolicy::No, 0, true),
        (RestartPolicy::UnlessStopped, 143, false),
    ] {
        for ring in [true, false] {
            let mut w = Scene::with(&["a", "b"]);
            w.docker_update("a", policy);
            w.run(6000);
            w.refuses("a", Some("driver failed"));
            w.engine().set_stop_before_die(stop_before_die);
            w.health("a", Health::Unhealthy);
            // One try within the repair, one more by the guards.
            while w.calls().len() < 3 {
                w.run(10);
            }
            w.run(20);
            w.kill_agent();
            if !ring {
                w.engine().forget_events();
            }
            w.forge_exit_code("a", code);
            w.refuses("a", None);
            w.start_agent();
            w.run(60_000);
            let what = format!("{policy:?}, exit {code}, ring {ring}: {:?} {}", w.calls(), w.why("a"));
            assert!(w.running("a"), "{what}");
            assert_eq!(w.calls().len(), 4, "{what}");
            w.docker_stop("a", 10);
            w.run(5000);
            w.kill_agent();
            w.start_agent();
            w.run(60_000);
            assert_eq!(w.state("a"), Some(State::Stopped), "{}", w.why("a"));
        }
    }
}
