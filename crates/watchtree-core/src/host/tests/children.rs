//! Reviving, adopting, replacing, giving up.

use super::*;

#[test]
fn a_child_is_started_once_and_lives() {
    let mut world = World::found(&[]);
    world.run_ms(600_000);
    assert_eq!(world.count(" STARTED"), 1);
    assert_eq!(world.count("Kill"), 0);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
    assert_eq!(world.state("h1/docker/web"), State::Ok);
}

#[test]
fn nothing_is_started_before_the_living_were_looked_for() {
    let mut world = World::new();
    world.run_ms(60_000);
    assert_eq!(world.count(" STARTED"), 0);
    world.feed(HostInput::ChildrenLookedFor);
    assert_eq!(world.count(" STARTED"), 1);
}

#[test]
fn a_living_child_is_adopted() {
    let mut world = World::found(&[42]);
    world.run_ms(60_000);
    assert_eq!(world.count(" STARTED"), 0);
    assert_eq!(world.pid(), Some(42));
    assert_eq!(world.state("h1/docker/web"), State::Ok);
}

#[test]
fn a_crash_of_the_host_watchdog_leaves_the_child_acting() {
    let mut world = World::settled();
    let pid = world.pid();
    world.restart_host();
    world.run_ms(60_000);
    assert_eq!(world.pid(), pid);
    assert_eq!((world.count(" STARTED"), world.count("Kill")), (0, 0));
    assert_eq!(world.state("h1/docker/web"), State::Ok);
}

#[test]
fn a_dead_child_is_revived_at_once_and_the_decision_is_recorded() {
    let mut world = World::settled();
    world.run_ms(120_000);
    let died = world.seconds();
    world.kill(ChildExit::Signal(9));
    assert_eq!(world.moment_of(" STARTED"), died);
    world.run_ms(2000);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
    let watchdog = subject("h1/docker/@watchdog");
    let decision = world.host.explain(&watchdog).last().unwrap();
    assert_eq!(
        (decision.action, decision.outcome),
        (ActionKind::ReviveWatchdog, Outcome::Succeeded)
    );
    assert!(decision.evidence[0].detail.contains("killed by signal 9"));
}

#[test]
fn a_child_that_dies_again_and_again_is_given_up_and_retried_slowly() {
    let mut world = World::settled();
    world.unfit = Some(ChildExit::Code(101));
    world.kill(ChildExit::Code(101));
    world.run_ms(120_000);
    let starts = world.count(" STARTED");
    assert!((11..=13).contains(&starts), "{starts}");
    assert_eq!(world.count("decided escalate"), 1);
    assert_eq!(world.state("h1/docker/@watchdog"), State::GivenUp);
    assert_eq!(world.state("h1/docker/web"), State::Unwatched);
    world.unfit = None;
    world.run_ms(61_000);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
    assert_eq!(world.state("h1/docker/web"), State::Ok);
}

#[test]
fn a_child_that_says_it_cannot_run_is_not_restarted_in_a_tight_loop() {
    for (code, starts) in [(2, 3), (6, 3), (8, 13)] {
        let mut world = World::new();
        world.unfit = Some(ChildExit::Code(code));
        world.feed(HostInput::ChildrenLookedFor);
        world.run_ms(121_000);
        assert_eq!(world.count(" STARTED"), starts, "exit {code}");
        assert_eq!(world.count("decided escalate"), 1);
        assert_eq!(world.state("h1/docker/@watchdog"), State::GivenUp);
        assert!(
            world
                .host
                .frontend()
                .verdict(&subject("h1/docker/@watchdog"))
                .unwrap()
                .why
                .contains("said so")
        );
    }
}

#[test]
fn a_frozen_child_is_killed_and_revived_within_3_s() {
    let mut world = World::settled();
    let from = world.seconds();
    let pid = world.pid().unwrap();
    world.process().frozen = true;
    world.run_ms(5000);
    let killed = world.moment_of(&format!("Kill {pid}")) - from;
    assert!((1.5..=2.5).contains(&killed), "{killed}");
    assert_eq!(world.count(" STARTED"), 1);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
    let watchdog = subject("h1/docker/@watchdog");
    let decision = world.host.explain(&watchdog).last().unwrap().clone();
    assert_eq!(decision.outcome, Outcome::Succeeded);
    let kinds: Vec<_> = decision
        .evidence
        .iter()
        .map(|evidence| evidence.kind.as_str())
        .collect();
    assert_eq!(kinds, ["missed_slot", "ping", "process_gone"]);
}

#[test]
fn a_child_that_answers_the_ping_lives() {
    let mut world = World::settled();
    world.process().frozen = true;
    world.run_ms(1600);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Suspect);
    world.process().frozen = false;
    world.run_ms(60_000);
    assert_eq!(world.count("Kill"), 0);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
}

#[test]
fn after_its_own_freeze_the_host_restarts_nothing() {
    for ms in [500, 1500, 5000, 60_000] {
        let mut world = World::settled();
        let pid = world.pid();
        world.stall_host(ms);
        world.run_ms(30_000);
        assert_eq!(
            (world.pid(), world.count(" STARTED"), world.count("Kill")),
            (pid, 0, 0),
            "stall {ms}"
        );
    }
}

#[test]
fn a_child_that_froze_during_the_hosts_freeze_is_found_by_its_old_slots() {
    let mut world = World::settled();
    world.process().frozen = true;
    // Its frames of before the freeze are all that wait.
    world.stall_host(20_000);
    world.run_ms(6000);
    assert_eq!(world.count(" STARTED"), 1);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
}

#[test]
fn a_child_of_another_build_is_replaced_between_repairs() {
    let mut world = World::new();
    world.spawn(42, "0");
    let now = world.now;
    world
        .process()
        .frontend
        .report(now, verdict("h1/docker/web", SubjectKind::Container, State::Repairing));
    world.feed(HostInput::ChildFound {
        engine: "docker".to_string(),
        pid: 42,
    });
    world.feed(HostInput::ChildrenLookedFor);
    world.run_ms(30_000);
    assert_eq!(world.pid(), Some(42));
    world.child_reports("h1/docker/web", State::Ok);
    world.run_ms(3000);
    assert_eq!(world.count("Terminate 42"), 1);
    assert_eq!(world.count("Kill"), 0);
    assert_ne!(world.pid(), Some(42));
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
    world.run_ms(60_000);
    assert_eq!(world.count(" STARTED"), 1);
}

#[test]
fn a_child_of_the_build_that_was_just_installed_is_left_alone() {
    let mut world = World::settled();
    // Installed, but this daemon was not restarted yet.
    world.build = "2";
    world.kill(ChildExit::Signal(9));
    world.run_ms(120_000);
    assert_eq!((world.count(" STARTED"), world.count("Terminate")), (1, 0));
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
}

#[test]
fn a_child_that_does_not_stop_is_killed() {
    let mut world = World::settled();
    world.process().frozen = true;
    world.feed(HostInput::Stop);
    world.run_ms(11_000);
    assert_eq!((world.count("Terminate"), world.count("Kill")), (1, 1));
    assert!(world.stopped);
}

#[test]
fn stop_says_goodbye_first_then_stops_the_child_and_starts_none() {
    let mut world = World::settled();
    world.join_manager();
    world.up.clear();
    world.feed(HostInput::Stop);
    assert!(
        matches!(world.up[0].message, Message::Goodbye(Goodbye::Restart { .. })),
        "{:?}",
        world.up[0]
    );
    assert!(!world.stopped);
    world.run_ms(200);
    assert!(world.stopped);
    world.run_ms(60_000);
    assert_eq!(world.count(" STARTED"), 0);
    assert!(world.processes.is_empty());
}

#[test]
fn a_machine_that_goes_down_revives_nobody() {
    let mut world = World::settled();
    world.join_manager();
    world.up.clear();
    world.feed(HostInput::HostShutdown);
    assert!(matches!(world.up[0].message, Message::Goodbye(Goodbye::HostShutdown)));
    world.kill(ChildExit::Signal(15));
    world.run_ms(60_000);
    assert_eq!(world.count(" STARTED"), 0);
}

#[test]
fn a_childs_goodbye_is_unwatched_and_never_down() {
    let mut world = World::settled();
    let now = world.now;
    world.process().frontend.goodbye(
        now,
        Goodbye::Restart {
            back_within: Duration::from_secs(30),
        },
    );
    world.settle();
    assert_eq!(world.state("h1/docker/web"), State::Unwatched);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Unwatched);
    world.kill(ChildExit::Code(0));
    world.run_ms(2000);
    assert_eq!(world.state("h1/docker/web"), State::Ok);
}

#[test]
fn an_end_that_overtakes_the_answer_to_its_start_is_not_lost() {
    let mut world = World::new();
    let (now, engine) = (world.now, "docker".to_string());
    world.host.handle(now, HostInput::ChildrenLookedFor);
    while world.host.poll_effect().is_some() {}
    let exited = HostInput::ChildExited {
        engine: engine.clone(),
        pid: 7,
        exit: ChildExit::Signal(9),
        last_line: String::new(),
    };
    world.host.handle(now, exited);
    let result = Ok(7);
    world.feed(HostInput::ChildStarted { engine, result });
    world.run_ms(60_000);
    assert_eq!((world.count(" STARTED"), world.count("Kill")), (1, 0));
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
}

#[test]
fn a_found_child_that_ends_before_all_were_found_is_revived_after_that_and_once() {
    let mut world = World::new();
    world.spawn(42, "1");
    let engine = "docker".to_string();
    world.feed(HostInput::ChildFound { engine, pid: 42 });
    world.run_ms(1000);
    world.kill(ChildExit::Signal(9));
    world.run_ms(60_000);
    assert_eq!(world.count(" STARTED"), 0);
    world.feed(HostInput::ChildrenLookedFor);
    world.run_ms(1000);
    assert_eq!(world.count(" STARTED"), 1);
    world.unfit = Some(ChildExit::Code(2));
    world.kill(ChildExit::Code(2));
    world.feed(HostInput::ChildrenLookedFor);
    assert_eq!(world.count(" STARTED"), 1, "it says that it cannot run");
}

#[test]
fn a_stop_waits_until_all_were_found_and_are_gone() {
    for found in [true, false] {
        let mut world = World::new();
        world.feed(HostInput::Stop);
        assert!(!world.stopped);
        if found {
            world.spawn(42, "1");
            let engine = "docker".to_string();
            world.feed(HostInput::ChildFound { engine, pid: 42 });
        }
        world.feed(HostInput::ChildrenLookedFor);
        assert_eq!(world.stopped, !found);
        world.run_ms(1000);
        assert!(world.stopped);
        assert_eq!(
            (world.count("Terminate 42"), world.count(" STARTED")),
            (usize::from(found), 0)
        );
    }
}

#[test]
fn a_lost_start_is_not_repeated_by_a_daemon_or_a_machine_that_goes_down() {
    for input in [None, Some(HostInput::HostShutdown), Some(HostInput::Stop)] {
        let mut world = World::new();
        world.host.handle(world.now, HostInput::ChildrenLookedFor);
        // No process comes of the start.
        while world.host.poll_effect().is_some() {}
        let (is_going_down, stops) = (input.is_some(), input == Some(HostInput::Stop));
        input.into_iter().for_each(|input| world.feed(input));
        world.run_ms(59_000);
        assert!(!world.stopped, "it may be answered yet");
        world.run_ms(120_000);
        assert_eq!(
            (world.count(" STARTED"), world.stopped),
            (usize::from(!is_going_down), stops)
        );
    }
}

#[test]
fn a_hung_child_that_nobody_revives_is_shown_as_not_watched() {
    for held in [false, true] {
        let mut world = World::settled();
        if held {
            let lasts = Duration::from_secs(3000);
            orders::give(&mut world, Verb::Hold { lasts }, "h1", 1);
        } else {
            for _ in 0..10 {
                world.kill(ChildExit::Signal(9));
                world.run_ms(15_000);
            }
        }
        world.told.clear();
        world.process().frozen = true;
        world.run_ms(1600);
        assert_eq!(world.state("h1/docker/web"), State::Ok, "it may answer yet");
        world.run_ms(2000);
        assert_eq!(world.state("h1/docker/web"), State::Unwatched, "held: {held}");
        assert_eq!((world.count("child docker: ILL"), world.count("Kill")), (1, 0));
        world.process().frozen = false;
        world.run_ms(2000);
        assert_eq!(world.state("h1/docker/web"), State::Ok, "held: {held}");
        assert_eq!(world.count("child docker: ok"), 1);
    }
}

#[test]
fn the_newest_end_says_whether_a_child_can_run() {
    let mut world = World::settled();
    let why = |world: &World| world.host.children()[0].phase.clone();
    for (code, words) in [(8, "another healer"), (2, "bad configuration"), (6, "no rights")] {
        world.unfit = Some(ChildExit::Code(code));
        match code {
            8 => world.kill(ChildExit::Code(code)),
            _ => world.run_ms(61_000),
        }
        assert!(why(&world).contains(words), "{code}: {}", why(&world));
        assert_eq!(world.state("h1/docker/@watchdog"), State::GivenUp);
    }
    assert_eq!(world.count("decided escalate"), 3, "each once");
    world.run_ms(240_000);
    assert_eq!(world.count("decided escalate"), 3);
    // It can run now, and crashes: its budget counts, and no word of before.
    world.unfit = Some(ChildExit::Code(101));
    world.run_ms(120_000);
    assert!(why(&world).contains("10 restarts"), "{}", why(&world));
    world.unfit = Some(ChildExit::Code(2));
    world.run_ms(61_000);
    assert!(why(&world).contains("bad configuration"), "{}", why(&world));
}

#[test]
fn what_waited_during_a_stall_of_the_host_is_not_judged_by_the_time_before_it() {
    for told in [true, false] {
        let mut world = World::settled();
        world.process().frozen = true;
        world.run_ms(1600);
        assert_eq!(world.state("h1/docker/@watchdog"), State::Suspect);
        world.now += Duration::from_secs(20);
        // An order waits before the child's sign of life, and makes the host look at every child.
        orders::give(&mut world, Verb::Retry, "h1", 1);
        if told {
            let gap = Duration::from_secs(20);
            world.feed(HostInput::Stalled { gap });
        }
        world.process().frozen = false;
        world.run_ms(60_000);
        assert_eq!((world.count("Kill"), world.count(" STARTED")), (0, 0), "told: {told}");
        assert_eq!(world.count(" hangs"), 0);
    }
}

#[test]
fn figures_that_waited_during_a_stall_of_the_host_are_not_missed() {
    let mut world = World::settled();
    world.figures = None;
    world.run_ms(3000);
    world.now += Duration::from_secs(20);
    let gap = Duration::from_secs(20);
    world.feed(HostInput::Stalled { gap });
    assert_eq!(world.state("h1"), State::Ok);
    world.run_ms(9000);
    assert_eq!(world.state("h1"), State::Ok);
    world.run_ms(3000);
    assert_eq!(world.state("h1"), State::Degraded, "now they are");
}
