//! A reader never asks for more than a page, and misses nothing by that.

use super::*;

/// Everything, in pages of at most so many.
fn read(world: &World, limit: usize) -> Vec<String> {
    let (mut all, mut from) = (Vec::new(), Some(TreeCursor::default()));
    while let Some(at) = from {
        let before = all.len();
        from = world.manager.tree_page(world.now, &at, limit, |shown| {
            let cause = shown.root_cause.map_or("", SubjectId::as_str);
            all.push(format!("{} {} {cause}", shown.verdict.subject, shown.state.as_str()));
        });
        let seen = all.len() - before;
        assert!(seen <= limit, "{seen} in a page of {limit}");
        assert!(all.len() < 1000, "it goes round and round: {:?}", &all[..20]);
        assert!(from.is_none() || seen == limit, "it goes on after {seen} of {limit}");
    }
    all
}

#[test]
fn pages_of_any_size_make_the_whole_tree() {
    let mut world = World::of(3);
    for container in ["a", "shop/web/1", "shop-x", "z"] {
        world.report(&format!("h2/docker/{container}"), State::Ok);
    }
    world.say("h3", |frontend, now| {
        frontend.report(now, verdict("h3/docker", SubjectKind::Engine, State::Unreachable));
    });
    world.host("h1").frozen = true;
    world.run_ms(10_000);
    let whole = read(&world, usize::MAX);
    let hosts = ["manager OK ", "h1 AGENT LOST ", "h2 OK ", "h3 OK "].map(ToString::to_string);
    assert!(hosts.iter().all(|line| whole.contains(line)), "{whole:?}");
    for line in ["h1/docker/web UNWATCHED h1", "h3/docker/web UNWATCHED h3/docker"] {
        assert!(whole.contains(&line.to_string()), "{line}: {whole:?}");
    }
    for limit in [1, 2, 3, 4, 5, 7, 100] {
        assert_eq!(read(&world, limit), whole, "limit {limit}");
    }
}

#[test]
fn each_lost_host_has_its_line_whatever_the_page() {
    let mut world = World::of(3);
    for host in ["h2", "h3"] {
        world.host(host).frozen = true;
    }
    world.run_ms(10_000);
    let whole = read(&world, usize::MAX);
    assert_eq!(
        whole.iter().filter(|line| line.contains("AGENT LOST")).count(),
        2,
        "{whole:?}"
    );
    for limit in 1..=5 {
        assert_eq!(read(&world, limit), whole, "limit {limit}");
    }
}

#[test]
fn a_manager_without_hosts_shows_itself() {
    let world = World::of(0);
    assert_eq!(read(&world, 1), ["manager OK "]);
}

#[test]
fn the_manager_speaks_of_itself_with_certainty() {
    let world = World::of(1);
    let mut own = None;
    world.manager.tree_below(world.now, &subject("manager"), |shown| {
        own = Some(shown.verdict.clone())
    });
    let own = own.unwrap();
    assert_eq!(
        (own.state, own.level, own.kind),
        (State::Ok, Level::Certain, SubjectKind::Manager)
    );
    assert_eq!(
        (world.manager.term(), world.manager.started()),
        (1, Moment::from_millis(1_000_000))
    );
}

#[test]
fn a_stall_shows_in_its_health() {
    let mut world = World::of(1);
    assert_eq!(world.manager.health(world.now).0, 0);
    world.stall_manager(2000);
    assert_eq!(world.manager.health(world.now).0, 3);
}

#[test]
fn below_a_group_are_its_members() {
    let mut world = World::of(1);
    for container in ["shop/web/1", "shop/db/1", "shop-x"] {
        world.report(&format!("h1/docker/{container}"), State::Ok);
    }
    let below = |text: &str| {
        let mut all = Vec::new();
        world.manager.tree_below(world.now, &subject(text), |shown| {
            all.push(shown.verdict.subject.to_string())
        });
        all
    };
    assert_eq!(below("h1/docker/shop"), ["h1/docker/shop/db/1", "h1/docker/shop/web/1"]);
    assert_eq!(below("h1/docker/web"), ["h1/docker/web"]);
    assert_eq!(below("h1").len(), 6);
    assert_eq!(below("manager"), ["manager"]);
    assert_eq!(below("h1/docker/sho"), Vec::<String>::new());
    assert_eq!(below("h9"), Vec::<String>::new());
}
