//! Goodbyes: an announced absence is no alarm, and is not forgotten either.

use super::*;

/// The machine of `h1` announces that it goes down, and is silent from then on.
fn power_off(world: &mut World, text: &str) {
    world.say(text, |frontend, now| frontend.goodbye(now, Goodbye::HostShutdown));
    world.host(text).frozen = true;
    world.kernels.insert(name(text), Look::Silent("nothing".to_string()));
}

#[test]
fn a_goodbye_is_unwatched_and_never_down() {
    let mut world = World::of(1);
    world.say("h1", |frontend, now| {
        frontend.goodbye(
            now,
            Goodbye::Restart {
                back_within: Duration::from_secs(30),
            },
        )
    });
    world.host("h1").frozen = true;
    world.run_ms(29_000);
    assert_eq!(world.state("h1"), State::Unwatched);
    let why = "its watchdog said goodbye and means to be back within 30 s";
    assert_eq!(world.manager.hosts().next().unwrap().1.why, why);
    assert_eq!(world.state("h1/docker/web"), State::Unwatched);
    assert!(world.opened.is_empty());
    // It is not back in the time it asked for.
    world.run_ms(10_000);
    assert_eq!(world.state("h1"), State::AgentLost);
}

#[test]
fn a_restart_with_goodbye_is_welcome() {
    let mut world = World::of(1);
    world.say("h1", |frontend, now| {
        frontend.goodbye(
            now,
            Goodbye::Restart {
                back_within: Duration::from_secs(30),
            },
        )
    });
    world.run_ms(0);
    world.add("h1", 2);
    world.run_ms(3000);
    assert_eq!(world.state("h1"), State::Ok);
    assert_eq!(world.state("h1/docker/web"), State::Ok);
    assert!(world.opened.is_empty());
}

/// Its Hello was held back on the way, and nothing came after it.
#[test]
fn one_that_was_back_and_is_silent_since_is_missed() {
    let mut world = World::of(1);
    let back_within = Duration::from_secs(600);
    world.say("h1", |frontend, now| {
        frontend.goodbye(now, Goodbye::Restart { back_within })
    });
    world.run_ms(0);
    world.add("h1", 2);
    world.host("h1").held_back = true;
    world.run_ms(6000);
    assert_eq!(world.state("h1"), State::Unwatched);
    let host = world.host("h1");
    host.frozen = true;
    let (hello, connection) = (host.queue.remove(0), host.connection);
    assert!(matches!(hello.message, Message::Hello(_)));
    let name = name("h1");
    world.receive(Peer { name, connection }, hello);
    world.run_ms(5000);
    assert_eq!(world.state("h1"), State::AgentLost);
}

#[test]
fn who_leaves_for_good_is_forgotten() {
    let mut world = World::of(2);
    world.say("h1", |frontend, now| frontend.goodbye(now, Goodbye::Leaving));
    world.host("h1").frozen = true;
    assert!(world.shown_as("h1").is_none());
    world.run_ms(60_000);
    assert!(world.opened.is_empty());
}

#[test]
fn an_announced_power_off_is_unwatched_and_named_when_it_lasts() {
    let mut world = World::of(1);
    power_off(&mut world, "h1");
    world.run_ms(14 * 60_000);
    assert_eq!(world.state("h1"), State::Unwatched);
    assert!(world.opened.is_empty());
    assert_eq!(world.looked, 0);
    world.run_ms(2 * 60_000);
    assert_eq!(world.state("h1"), State::Unreachable);
    assert_eq!(world.opened.len(), 1);
    let why = &world.opened[0].why;
    assert!(
        why.starts_with("the machine announced 15 min ago that it shuts down or reboots, and is not back"),
        "{why}"
    );
    // It is switched on again at last.
    world.add("h1", 2);
    world.run_ms(1000);
    assert_eq!(world.state("h1"), State::Ok);
    assert_eq!(world.closed.len(), 1);
    assert_eq!(world.stored[&name("h1")].left, None);
}

#[test]
fn a_reboot_whose_watchdog_does_not_start_is_agent_lost() {
    let mut world = World::of(1);
    power_off(&mut world, "h1");
    world.run_ms(60_000);
    world
        .kernels
        .insert(name("h1"), Look::Answered("tcp refused".to_string()));
    world.run_ms(16 * 60_000);
    assert_eq!(world.state("h1"), State::AgentLost);
    assert!(
        world.opened[0].why.contains("shuts down or reboots"),
        "{}",
        world.opened[0].why
    );
}

#[test]
fn a_power_off_may_last_for_ever_where_the_configuration_says_so() {
    let mut world = World::new(Vec::new());
    let policy = ManagerPolicy {
        back_after_shutdown: None,
        ..ManagerPolicy::default()
    };
    world.manager = manager_by(world.now, policy, Vec::new(), Vec::new());
    world.add("h1", 1);
    world.run_ms(10_000);
    power_off(&mut world, "h1");
    world.run_ms(24 * 3600 * 1000);
    assert_eq!(world.state("h1"), State::Unwatched);
    assert!(world.opened.is_empty());
}

#[test]
fn a_goodbye_outlives_the_manager() {
    let mut world = World::of(2);
    power_off(&mut world, "h1");
    world.run_ms(60_000);
    world.restart_manager();
    assert_eq!(world.state("h1"), State::Unwatched);
    world.run_ms(13 * 60_000);
    assert_eq!(world.state("h1"), State::Unwatched);
    assert!(world.opened.is_empty(), "{:?}", world.told);
    world.run_ms(2 * 60_000);
    assert_eq!(world.opened.len(), 1, "the time ran on");
    // A manager that starts after that time still gives it a moment, and opens no second incident.
    world.restart_manager();
    world.run_ms(60_000);
    assert_eq!(world.state("h1"), State::Unreachable);
    assert_eq!((world.opened.len(), world.closed.len()), (1, 0));
}

#[test]
fn a_restart_announced_to_the_manager_before_is_believed_by_the_next() {
    let mut world = World::of(1);
    let back_within = Duration::from_secs(60);
    world.say("h1", |frontend, now| {
        frontend.goodbye(now, Goodbye::Restart { back_within })
    });
    world.host("h1").frozen = true;
    world.run_ms(10_000);
    world.restart_manager();
    world.run_ms(45_000);
    assert_eq!(world.state("h1"), State::Unwatched);
    world.run_ms(15_000);
    assert_eq!(world.state("h1"), State::AgentLost);
}

#[test]
fn machines_that_were_switched_off_do_not_make_the_manager_the_one_cut_off() {
    let mut world = World::of(10);
    for i in 1..=6 {
        power_off(&mut world, &format!("h{i}"));
    }
    world.run_ms(20 * 60_000);
    assert_eq!(world.manager.own_verdict(world.now).state, State::Ok);
    assert_eq!(world.manager.open_incidents().count(), 6);
    for i in 1..=6 {
        world.add(&format!("h{i}"), 2);
    }
    world.run_ms(5000);
    assert_eq!(world.manager.open_incidents().count(), 0);
    let share = world.manager.fleet.hosts().share();
    assert_eq!(share.words(), "0 of 10 hosts");
}
