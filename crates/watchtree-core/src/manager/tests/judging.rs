//! Who is lost, who is not, and whose fault it is.

use super::*;
use crate::decision::Guard;

fn seconds_until(world: &World, from: Moment, what: &str) -> f64 {
    let line = world
        .told
        .iter()
        .find(|line| line.ends_with(what))
        .unwrap_or_else(|| panic!("{what}: {:?}", world.told));
    let at: f64 = line.split(' ').next().unwrap().parse().unwrap();
    at - from.as_micros() as f64 / 1e6
}

#[test]
fn well_hosts_are_ok_and_nothing_is_told() {
    let mut world = World::of(3);
    world.run_ms(60_000);
    assert_eq!(world.told, Vec::<String>::new());
    assert_eq!(world.looked, 0);
    assert!(world.refused.is_empty());
    let all = world.shown();
    let hosts: Vec<_> = all.iter().filter(|line| !line.contains('/')).collect();
    assert_eq!(hosts, ["manager OK", "h1 OK", "h2 OK", "h3 OK"]);
}

#[test]
fn what_waits_to_become_an_incident_is_not_judged_by_a_stall_of_ours() {
    let mut world = World::of(1);
    world.report("h1/docker/web", State::Down);
    world.run_ms(1000);
    // It is repaired while we do not run; the news comes a little after we run again.
    world.host("h1").held_back = true;
    world.report("h1/docker/web", State::Ok);
    world.stall_manager(20_000);
    world.run_ms(100);
    world.host("h1").held_back = false;
    world.run_ms(30_000);
    assert_eq!(world.state("h1/docker/web"), State::Ok);
    assert!(world.opened.is_empty(), "{:?}", world.told);
}

#[test]
fn a_frozen_agent_is_agent_lost_within_4_s_and_back_when_it_runs_again() {
    let mut world = World::of(1);
    let from = world.now;
    world.host("h1").frozen = true;
    world.run_ms(10_000);
    assert!(seconds_until(&world, from, "h1 SUSPECT") <= 1.6);
    assert!(seconds_until(&world, from, "h1 AGENT LOST") <= 4.0, "{:?}", world.told);
    assert_eq!(world.opened.len(), 1);
    assert_eq!(
        (world.opened[0].state, world.opened[0].level),
        (State::AgentLost, Level::Strong)
    );
    assert!(
        world.opened[0]
            .evidence
            .iter()
            .any(|e| e.kind == crate::verdict::EvidenceKind::KernelAnswers)
    );
    // Below it nobody is called ill: unwatched, with the root cause.
    let web = world.shown_as("h1/docker/web");
    assert_eq!(web, Some((State::Unwatched, Some(subject("h1")))));
    world.host("h1").frozen = false;
    world.run_ms(1000);
    assert_eq!(world.state("h1"), State::Ok);
    assert_eq!(world.state("h1/docker/web"), State::Ok);
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn a_cut_host_is_unreachable_unconfirmed_within_4_s() {
    let mut world = World::of(2);
    let from = world.now;
    world.host("h1").cut = true;
    world
        .kernels
        .insert(name("h1"), Look::Silent("tcp h1:22: no answer in 0.7 s".to_string()));
    world.run_ms(6000);
    assert!(seconds_until(&world, from, "h1 UNREACHABLE") <= 4.0, "{:?}", world.told);
    assert!(world.opened[0].unconfirmed);
    assert_eq!(world.opened[0].level, Level::Strong);
    assert_eq!(world.state("h2"), State::Ok);
    world.host("h1").cut = false;
    world.run_ms(1000);
    assert_eq!(world.state("h1"), State::Ok);
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn queued_stale_beats_do_not_keep_alive() {
    let mut world = World::of(1);
    world.host("h1").held_back = true;
    world.run_ms(1000);
    world.host("h1").frozen = true;
    world.run_ms(4000);
    assert_eq!(world.state("h1"), State::AgentLost);
    // The queue empties at last; the host is still frozen.
    world.host("h1").frozen = false;
    let peer = Peer {
        name: name("h1"),
        connection: world.host("h1").connection,
    };
    let queued: Vec<Envelope> = world.host("h1").queue.drain(..).collect();
    world.host("h1").frozen = true;
    assert!(!queued.is_empty());
    for envelope in queued {
        world.receive(peer.clone(), envelope);
    }
    assert_eq!(world.state("h1"), State::AgentLost);
    world.run_ms(10_000);
    assert_eq!(world.state("h1"), State::AgentLost);
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_stall_of_the_manager_judges_nobody() {
    for stall in [400, 1500, 5000, 60_000] {
        let mut world = World::of(5);
        world.stall_manager(stall);
        world.run_ms(20_000);
        assert_eq!(world.told, Vec::<String>::new(), "stall {stall}");
        assert!(world.manager.is_settled(world.now));
        assert_eq!(world.manager.conditions().bad().count(), 0);
    }
}

#[test]
fn a_stall_without_its_news_is_noticed_by_the_late_wake_up() {
    let mut world = World::of(3);
    // Nothing is handed in and nothing told: only the timer comes late.
    world.now += Duration::from_secs(30);
    let now = world.now;
    world.manager.handle_timeout(now);
    assert!(!world.manager.is_settled(now));
    world.settle();
    world.run_ms(20_000);
    assert!(world.told.is_empty(), "{:?}", world.told);
}

#[test]
fn after_a_stall_the_really_lost_are_still_found() {
    let mut world = World::of(5);
    world.host("h1").frozen = true;
    world.stall_manager(5000);
    world.run_ms(8000);
    assert_eq!(world.state("h1"), State::AgentLost);
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn after_its_restart_nobody_is_judged_and_all_living_are_back_within_5_s() {
    let mut world = World::of(10);
    world.restart_manager();
    assert_eq!(world.state("h3"), State::Unknown);
    assert_eq!(world.state("h3/docker/web"), State::Unknown);
    world.run_ms(5000);
    for i in 1..=10 {
        assert_eq!(world.state(&format!("h{i}/docker/web")), State::Ok);
        assert_eq!(world.state(&format!("h{i}")), State::Ok);
    }
    world.run_ms(60_000);
    assert!(world.opened.is_empty());
    assert!(
        !world.told.iter().any(|line| line.contains("SUSPECT")),
        "{:?}",
        world.told
    );
}

#[test]
fn a_host_that_does_not_come_back_after_the_restart_is_found_and_its_incident_is_not_doubled() {
    let mut world = World::of(3);
    world.host("h1").frozen = true;
    world.run_ms(5000);
    assert_eq!(world.opened.len(), 1);
    world.restart_manager();
    world.run_ms(20_000);
    assert_eq!(world.state("h1"), State::AgentLost);
    assert_eq!(world.opened.len(), 1, "{:?}", world.told);
    assert_eq!(world.manager.open_incidents().count(), 1);
    world.host("h1").frozen = false;
    world.run_ms(3000);
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn most_of_the_view_silent_is_our_own_cut() {
    let mut world = World::of(10);
    for i in 1..=6 {
        world.host(&format!("h{i}")).cut = true;
        world
            .kernels
            .insert(name(&format!("h{i}")), Look::Silent("nothing".to_string()));
    }
    world.run_ms(10_000);
    let subjects: Vec<String> = world
        .opened
        .iter()
        .map(|incident| incident.subject.to_string())
        .collect();
    assert_eq!(subjects, ["manager"]);
    assert_eq!(world.manager.own_verdict(world.now).state, State::Degraded);
    for i in 1..=6 {
        let records: Vec<_> = world.manager.explain(&subject(&format!("h{i}"))).cloned().collect();
        assert_eq!(records.len(), 1, "what was not told is on record, once: {records:?}");
        assert_eq!(
            (records[0].action, records[0].outcome),
            (ActionKind::Escalate, Outcome::NotTaken)
        );
        assert_eq!(
            (records[0].guards[0].guard, records[0].guards[0].lets_pass()),
            (Guard::Observer, false)
        );
        assert!(!records[0].evidence.is_empty());
    }
    // Two come back: the other four are incidents of their own now.
    world.host("h1").cut = false;
    world.host("h2").cut = false;
    world.run_ms(3000);
    assert_eq!(world.closed.len(), 1);
    assert_eq!(world.manager.open_incidents().count(), 4);
}

#[test]
fn our_own_cut_ends_after_our_restart_too() {
    for still_cut in [true, false] {
        let mut world = World::of(10);
        for i in 1..=6 {
            world.host(&format!("h{i}")).cut = true;
            world
                .kernels
                .insert(name(&format!("h{i}")), Look::Silent("nothing".to_string()));
        }
        world.run_ms(10_000);
        world.restart_manager();
        for i in 1..=6 {
            world.host(&format!("h{i}")).cut = still_cut;
        }
        world.run_ms(30_000);
        assert_eq!(world.opened.len(), 1, "{:?}", world.told);
        assert_eq!(world.closed.len(), usize::from(!still_cut), "{:?}", world.told);
        assert_eq!(world.manager.own_verdict(world.now).state == State::Ok, !still_cut);
    }
}

#[test]
fn half_of_the_view_silent_are_incidents_of_their_own() {
    let mut world = World::of(10);
    for i in 1..=5 {
        world.host(&format!("h{i}")).cut = true;
        world
            .kernels
            .insert(name(&format!("h{i}")), Look::Silent("nothing".to_string()));
    }
    world.run_ms(10_000);
    assert_eq!(world.manager.open_incidents().count(), 5);
}

#[test]
fn the_same_script_twice_gives_the_same_story() {
    let story = || {
        let mut world = World::of(6);
        world.host("h1").frozen = true;
        world.host("h2").cut = true;
        world.run_ms(7000);
        world.stall_manager(3000);
        world.host("h1").frozen = false;
        world.run_ms(7000);
        world.told
    };
    assert_eq!(story(), story());
}
