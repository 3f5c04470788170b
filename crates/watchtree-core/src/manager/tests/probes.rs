//! What looks from outside say, and what they leave open.

use super::*;
use crate::verdict::EvidenceKind;

fn kernel(world: &mut World, look: Look) {
    world.kernels.insert(name("h1"), look);
}

fn incident(world: &World) -> Incident {
    world.manager.open_incidents().next().unwrap().clone()
}

#[test]
fn a_look_that_could_not_run_is_named_and_is_no_silence() {
    let mut world = World::of(1);
    world.host("h1").cut = true;
    world
        .kernels
        .insert(name("h1"), Look::NotPossible("no route (NAT)".to_string()));
    world.run_ms(6000);
    assert_eq!(world.state("h1"), State::Unreachable);
    assert_eq!(world.opened[0].level, Level::Weak);
    assert!(
        world.opened[0].why.contains("could not be looked at: no route (NAT)"),
        "{}",
        world.opened[0].why
    );
    let kinds: Vec<_> = world.opened[0]
        .evidence
        .iter()
        .map(|evidence| evidence.kind.as_str())
        .collect();
    assert_eq!(kinds, ["missed_slot", "ping", "no_look"]);
}

#[test]
fn a_look_that_never_comes_back_counts_as_no_look() {
    let mut world = World::of(1);
    world.host("h1").cut = true;
    world.kernels.clear();
    world.run_ms(6000);
    assert!(
        world.opened[0].why.contains("the look itself did not come back"),
        "{}",
        world.opened[0].why
    );
}

#[test]
fn down_is_never_said_from_silence() {
    let mut world = World::of(2);
    world.host("h1").cut = true;
    world.kernels.insert(name("h1"), Look::Silent("nothing".to_string()));
    world.run_ms(24 * 3600 * 1000);
    assert!(!world.told.iter().any(|line| line.contains("DOWN")));
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn agent_lost_and_unreachable_follow_what_the_kernel_does() {
    let mut world = World::of(1);
    world.host("h1").frozen = true;
    world.run_ms(5000);
    assert_eq!(world.state("h1"), State::AgentLost);
    world.kernels.insert(name("h1"), Look::Silent("nothing".to_string()));
    world.run_ms(10_000);
    assert_eq!(world.state("h1"), State::Unreachable);
    world
        .kernels
        .insert(name("h1"), Look::Answered("icmp echo".to_string()));
    world.run_ms(5000);
    assert_eq!(world.state("h1"), State::AgentLost);
    assert_eq!(world.opened.len(), 1);
    assert!(world.told.iter().any(|line| line.ends_with("changed h1 UNREACHABLE")));
    let looked = world.looked;
    world.run_ms(60_000);
    assert!(
        world.looked - looked <= 30,
        "looks are rationed: {}",
        world.looked - looked
    );
}

#[test]
fn a_silence_that_could_not_be_asked_in_every_way_is_weak() {
    let mut world = World::of(1);
    world.host("h1").cut = true;
    let how = "tcp no answer; not asked: icmp: no rights";
    kernel(&mut world, Look::SilentInPart(how.to_string()));
    world.run_ms(6000);
    assert_eq!(world.state("h1"), State::Unreachable);
    let incident = incident(&world);
    assert_eq!((incident.level, incident.unconfirmed), (Level::Weak, true));
    assert!(incident.why.contains(how), "{}", incident.why);
}

#[test]
fn looks_that_cannot_run_leave_agent_lost_as_it_is() {
    let no_look = [None, Some(Look::NotPossible("no route".to_string()))];
    for look in no_look {
        let mut world = World::of(1);
        world.host("h1").frozen = true;
        world.run_ms(5000);
        assert_eq!(world.state("h1"), State::AgentLost);
        match look.clone() {
            Some(look) => kernel(&mut world, look),
            None => world.kernels.clear(),
        }
        world.run_ms(60_000);
        assert_eq!(world.state("h1"), State::AgentLost, "{look:?}");
        kernel(&mut world, Look::Silent("nothing".to_string()));
        world.run_ms(10_000);
        assert_eq!(world.state("h1"), State::Unreachable);
    }
}

#[test]
fn a_later_silence_takes_the_place_of_no_look() {
    let mut world = World::of(1);
    world.host("h1").cut = true;
    kernel(&mut world, Look::NotPossible("no route".to_string()));
    world.run_ms(6000);
    assert_eq!(incident(&world).level, Level::Weak);
    kernel(
        &mut world,
        Look::SilentInPart("tcp no answer; not asked: icmp".to_string()),
    );
    world.run_ms(10_000);
    assert!(
        incident(&world).why.contains("as far as it could be asked"),
        "{}",
        incident(&world).why
    );
    assert_eq!(incident(&world).level, Level::Weak);
    kernel(&mut world, Look::Silent("nothing".to_string()));
    world.run_ms(10_000);
    assert_eq!(
        (incident(&world).level, incident(&world).unconfirmed),
        (Level::Strong, true)
    );
    let last = incident(&world).evidence.last().unwrap().kind;
    assert_eq!(last, EvidenceKind::KernelSilent);
    // One that cannot run any more takes nothing back.
    let told = world.told.len();
    kernel(&mut world, Look::NotPossible("no route".to_string()));
    world.run_ms(60_000);
    assert_eq!(incident(&world).level, Level::Strong);
    assert_eq!(world.told.len(), told, "{:?}", world.told);
}

#[test]
fn a_lost_host_that_is_probed_again_does_not_weigh_the_view_again() {
    let mut world = World::of(3);
    world.host("h1").cut = true;
    kernel(&mut world, Look::Silent("nothing".to_string()));
    world.run_ms(6000);
    let (weighed, looked) = (world.manager.fleet.weighed(), world.looked);
    world.run_ms(600_000);
    assert!(looked + 100 < world.looked, "it is probed again and again");
    assert_eq!(world.manager.fleet.weighed(), weighed);
    world.host("h1").cut = false;
    world.run_ms(3000);
    assert_eq!(world.manager.fleet.weighed(), weighed + 1, "it is heard");
}
