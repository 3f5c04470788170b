//! What the manager is told of the machine, this daemon, a watchdog and an engine: whole verdicts.

use super::*;
use crate::verdict::{Evidence, EvidenceKind};

/// `STATE level | why | evidence | remarks | whose word it is worth`
fn told(world: &World, text: &str) -> String {
    let it = world.host.frontend().verdict(&subject(text)).unwrap();
    let evidence: Vec<_> = it.evidence.iter().map(|fact| fact.kind.as_str()).collect();
    format!(
        "{} {:?} | {} | {} | {} | health {}",
        it.state.as_str(),
        it.level,
        it.why,
        evidence.join(" "),
        it.remarks.join("; "),
        it.observer_health.0
    )
}

fn incarnation(world: &World, text: &str) -> String {
    let it = world.host.frontend().verdict(&subject(text)).unwrap();
    it.incarnation.0.clone()
}

/// The living child says this.
fn child_says(world: &mut World, verdict: Verdict) {
    let now = world.now;
    world.process().frontend.report(now, verdict);
    world.settle();
}

#[test]
fn a_well_host_says_so_of_each_of_its_parts() {
    let world = World::settled();
    assert_eq!(told(&world, "h1"), "OK Certain | well |  |  | health 0");
    assert_eq!(told(&world, "h1/@agent"), "OK Certain | runs |  |  | health 0");
    assert!(
        told(&world, "h1/docker").starts_with("OK Certain | "),
        "{}",
        told(&world, "h1/docker")
    );
    assert!(told(&world, "h1/docker/@watchdog").starts_with("OK Certain | "));
    let boot = "01".repeat(16);
    assert_eq!(incarnation(&world, "h1"), boot);
    assert_eq!(incarnation(&world, "h1/@agent"), format!("{boot}+1"));
    assert_eq!(incarnation(&world, "h1/docker/@watchdog"), format!("{boot}+101"));
}

#[test]
fn a_full_disk_and_stalls_of_its_own_are_told_in_words() {
    let mut world = World::settled();
    world.feed(HostInput::Figures(figures(20)));
    assert_eq!(
        told(&world, "h1"),
        "DEGRADED Certain | disk / has 2.0 % free | host_health | disk / has 2.0 % free | health 0"
    );
    world.stall_host(2000);
    world.feed(HostInput::Figures(figures(900)));
    assert_eq!(told(&world, "h1/@agent"), "OK Certain | runs |  |  | health 3");
    world.stall_host(2000);
    world.feed(HostInput::Figures(figures(900)));
    let stalled = "DEGRADED Certain | it stalled again and again |  |  | health 4";
    assert_eq!(told(&world, "h1/@agent"), stalled);
}

#[test]
fn what_a_watchdog_says_of_itself_and_of_its_engine_counts_where_it_is_worse() {
    let mut world = World::settled();
    let fact = Evidence::new(EvidenceKind::Journal, world.now, "no space left");
    let (watchdog, engine) = ("h1/docker/@watchdog", "h1/docker");
    let ill = |text, kind| Verdict {
        why: "the disk is full".to_string(),
        evidence: vec![fact.clone()],
        remarks: vec!["journal".to_string()],
        ..verdict(text, kind, State::Degraded)
    };
    child_says(&mut world, ill(watchdog, SubjectKind::Watchdog));
    let said = "DEGRADED Certain | the disk is full | journal | journal | health 0";
    assert_eq!(told(&world, watchdog), said);
    let mut of_engine = ill(engine, SubjectKind::Engine);
    of_engine.incarnation = Incarnation("29.1".to_string());
    child_says(&mut world, of_engine.clone());
    assert!(told(&world, engine).starts_with("DEGRADED Certain | the disk is full | "));
    assert!(
        told(&world, engine).ends_with("journal | journal | health 0"),
        "{}",
        told(&world, engine)
    );
    assert_eq!(incarnation(&world, engine), "29.1");
    world.engine = Err(EngineError::Deadline);
    world.run_ms(10_000);
    assert!(
        told(&world, engine).starts_with("UNREACHABLE Strong | "),
        "the probes say worse"
    );
    world.engine = Ok("29.1".into());
    of_engine.state = State::Ok;
    child_says(&mut world, of_engine);
    world.run_ms(5000);
    let well = told(&world, engine);
    assert!(
        well.starts_with("OK Certain | ") && !well.contains("full"),
        "the probes say it as well: {well}"
    );
    assert_eq!(
        world.count("engine docker: ILL the disk is full"),
        1,
        "{:?}",
        world.told
    );
}

#[test]
fn a_silent_watchdog_is_suspected_weakly_and_one_that_left_is_not_watched() {
    let mut world = World::settled();
    world.process().frozen = true;
    while world.state("h1/docker/@watchdog") == State::Ok {
        world.run_ms(100);
    }
    let line = told(&world, "h1/docker/@watchdog");
    assert!(line.starts_with("SUSPECT Weak | "), "{line}");
    let mut world = World::settled();
    let now = world.now;
    let back_within = Duration::from_secs(30);
    world.process().frontend.goodbye(now, Goodbye::Restart { back_within });
    world.settle();
    let line = told(&world, "h1/docker/@watchdog");
    assert!(line.starts_with("UNWATCHED Certain | it said goodbye"), "{line}");
}

#[test]
fn what_the_host_decides_is_passed_up_and_it_beats_as_the_manager_said() {
    let mut world = World::settled();
    world.join_manager();
    world.run_ms(100);
    world.up.clear();
    world.run_ms(10_000);
    let beats = world
        .up
        .iter()
        .filter(|it| matches!(it.message, Message::Beat(_)))
        .count();
    assert_eq!(beats, 20);
    world.kill(ChildExit::Signal(9));
    world.run_ms(5000);
    let decided = world.up.iter().any(|envelope| match &envelope.message {
        Message::Events { decisions, .. } => decisions.iter().any(|it| it.subject == subject("h1/docker/@watchdog")),
        _ => false,
    });
    assert!(decided, "{:?}", world.told);
}
