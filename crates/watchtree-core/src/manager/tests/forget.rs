//! A host that will not come back is taken out by a person; one that is there is not.

use super::*;

fn ask(world: &mut World, ticket: u64, text: &str) -> Result<String, AskError> {
    let input = ManagerInput::Forget {
        ticket,
        host: subject(text),
        asked_by: "uid 0".to_string(),
    };
    world.manager.handle(world.now, input);
    world.settle();
    let (answered, result) = world.answered.pop().unwrap();
    assert_eq!(answered, ticket);
    result.map(|targets| targets[0].answer.clone().unwrap().detail)
}

fn last_decision(world: &World, text: &str) -> Decision {
    world.manager.explain(&subject(text)).last().unwrap().clone()
}

#[test]
fn a_host_that_is_gone_is_taken_out_with_its_incidents() {
    let mut world = World::of(2);
    world.report("h1/docker/web", State::GivenUp);
    world.host("h1").cut = true;
    world.kernels.insert(name("h1"), Look::Silent("no answer".to_string()));
    world.run_ms(10_000);
    assert_eq!(world.state("h1"), State::Unreachable);
    assert_eq!(world.manager.open_incidents().count(), 2);
    assert_eq!(ask(&mut world, 1, "h1").unwrap(), "h1 is taken out of the tree");
    assert_eq!(world.manager.open_incidents().count(), 0);
    assert!(
        world
            .closed
            .iter()
            .all(|incident| incident.closed_why.contains("uid 0"))
    );
    assert!(!world.stored.contains_key(&name("h1")));
    assert!(world.manager.host(&name("h1")).is_none());
    let decision = last_decision(&world, "h1");
    assert_eq!(
        (decision.action, decision.outcome),
        (ActionKind::Forget, Outcome::Succeeded)
    );
    assert_eq!(ask(&mut world, 2, "h1"), Err(AskError::UnknownSubject));
    assert_eq!(last_decision(&world, "manager").outcome, Outcome::NotTaken);
    world.run_ms(60_000);
    assert_eq!(
        world.manager.open_incidents().count(),
        0,
        "nothing comes of it any more"
    );
}

#[test]
fn a_host_that_is_heard_stays() {
    let mut world = World::of(1);
    assert!(matches!(ask(&mut world, 1, "h1"), Err(AskError::StillHeard(why)) if why.contains("h1 is OK")));
    let decision = last_decision(&world, "h1");
    assert_eq!(
        (decision.action, decision.outcome),
        (ActionKind::Forget, Outcome::NotTaken)
    );
    // A suspicion is no proof either.
    world.host("h1").frozen = true;
    while world.state("h1") != State::Suspect {
        world.run_ms(10);
    }
    assert!(matches!(ask(&mut world, 2, "h1"), Err(AskError::StillHeard(_))));
    assert!(world.stored.contains_key(&name("h1")));
    assert!(matches!(ask(&mut world, 3, "h1/docker"), Err(AskError::Bad(_))));
    assert!(!last_decision(&world, "manager").guards[0].lets_pass());
    assert!(matches!(ask(&mut world, 4, "manager"), Err(AskError::Bad(_))));
}

#[test]
fn one_that_comes_back_is_there_again() {
    let mut world = World::of(1);
    world.host("h1").frozen = true;
    world.run_ms(10_000);
    ask(&mut world, 1, "h1").unwrap();
    world.host("h1").frozen = false;
    world.run_ms(10_000);
    assert_eq!(
        (world.state("h1"), world.state("h1/docker/web")),
        (State::Ok, State::Ok)
    );
}
