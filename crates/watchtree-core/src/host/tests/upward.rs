//! Reports up, engine probes, health.

use super::*;

#[test]
fn a_childs_reports_and_events_go_up() {
    let mut world = World::settled();
    world.join_manager();
    world.up.clear();
    world.child_reports("h1/docker/web", State::Repairing);
    // This manager acknowledges nothing: the change goes with the next repetition.
    world.run_ms(3000);
    let reported = world.up.iter().any(|envelope| {
        matches!(&envelope.message, Message::Report(report)
            if report.verdicts.iter().any(|v| v.subject == subject("h1/docker/web") && v.state == State::Repairing))
    });
    assert!(reported, "{:?}", world.up);
    let now = world.now;
    world.process().frontend.report_gone(now, &subject("h1/docker/web"));
    world.run_ms(100);
    assert!(world.host.frontend().verdict(&subject("h1/docker/web")).is_none());
}

#[test]
fn a_change_of_words_alone_goes_up_too() {
    let mut world = World::settled();
    let now = world.now;
    let verdict = Verdict {
        why: "held".to_string(),
        held: true,
        ..verdict("h1/docker/web", SubjectKind::Container, State::Ok)
    };
    world.process().frontend.report(now, verdict);
    world.settle();
    assert!(world.host.frontend().verdict(&subject("h1/docker/web")).unwrap().held);
}

#[test]
fn containers_do_not_vanish_while_a_new_child_learns_them() {
    let mut world = World::settled();
    world.child_reports("h1/docker/db", State::GivenUp);
    world.kill(ChildExit::Signal(9));
    // The new child does not name `db` at first.
    world.run_ms(2000);
    assert_eq!(world.state("h1/docker/db"), State::GivenUp);
    world.run_ms(10_000);
    assert!(
        world.host.frontend().verdict(&subject("h1/docker/db")).is_none(),
        "it is gone in the end"
    );
    assert_eq!(world.state("h1/docker/web"), State::Ok);
    assert_eq!(world.state("h1/docker"), State::Ok);
}

#[test]
fn an_engine_that_does_not_answer_is_reported_and_nothing_is_done() {
    let mut world = World::settled();
    assert_eq!(world.state("h1/docker"), State::Ok);
    world.engine = Err(EngineError::Deadline);
    world.run_ms(10_000);
    assert_eq!(world.state("h1/docker"), State::Unreachable);
    let verdict = world.host.frontend().verdict(&subject("h1/docker")).unwrap();
    assert_eq!(verdict.level, Level::Strong);
    assert!(
        verdict
            .evidence
            .iter()
            .any(|evidence| evidence.detail.contains("no answer within the deadline"))
    );
    assert_eq!(
        (world.count(" STARTED"), world.count("Kill"), world.count("decided")),
        (0, 0, 0)
    );
    assert_eq!(world.count("engine docker: ILL"), 1);
    world.engine = Ok("29.1".into());
    world.run_ms(5000);
    assert_eq!(world.state("h1/docker"), State::Ok);
}

#[test]
fn figures_past_a_threshold_are_remarks_and_conditions_are_not_repeated() {
    let mut world = World::settled();
    world.join_manager();
    for free_milli in [900, 30, 29, 28, 900] {
        world.feed(HostInput::Figures(figures(free_milli)));
        let wanted = if free_milli < 50 { State::Degraded } else { State::Ok };
        assert_eq!(world.state("h1"), wanted);
    }
    assert_eq!(world.count("host: "), 2, "{:?}", world.told);
    world.up.clear();
    world.run_ms(600);
    let beat = world.up.iter().find_map(|envelope| match &envelope.message {
        Message::Beat(beat) => Some(beat.clone()),
        _ => None,
    });
    assert!(beat.unwrap().figures.contains(&("disk_free_milli".to_string(), 900)));
}

#[test]
fn figures_that_do_not_come_are_a_remark_and_the_old_ones_are_told_no_more() {
    let mut world = World::settled();
    world.join_manager();
    world.figures = None;
    world.run_ms(9_000);
    assert_eq!(world.state("h1"), State::Ok);
    world.run_ms(5_000);
    assert_eq!(world.state("h1"), State::Degraded);
    world.run_ms(30_000);
    assert_eq!(
        world.count("host: ILL no figures of the machine"),
        1,
        "{:?}",
        world.told
    );
    let mut beats = world.up.iter().filter_map(|envelope| match &envelope.message {
        Message::Beat(beat) => Some(beat.figures.len()),
        _ => None,
    });
    assert_eq!(beats.next_back(), Some(0));
    world.figures = Some(figures(900));
    world.run_ms(3000);
    assert_eq!(world.state("h1"), State::Ok);
}

#[test]
fn without_any_manager_everything_goes_on() {
    let mut world = World::settled();
    world.feed(HostInput::Link(FrontendInput::Down {
        why: "refused".to_string(),
    }));
    world.run_ms(3600 * 1000);
    world.kill(ChildExit::Signal(9));
    world.run_ms(1000);
    assert_eq!(world.state("h1/docker/@watchdog"), State::Ok);
    assert_eq!(world.count("Kill"), 0);
}

/// A child must refuse an order of a manager whose term is over, also before the new one has ordered it anything.
#[test]
fn a_new_managers_term_goes_down_at_once() {
    let mut world = World::settled();
    world.join_manager();
    assert_eq!(world.process().term, 5);
}

/// A container-watchdog may beat, and have lost its journal.
#[test]
fn what_a_child_says_of_itself_is_said_of_it() {
    let mut world = World::settled();
    for state in [State::Degraded, State::Ok] {
        world.child_reports("h1/docker/@watchdog", state);
        world.run_ms(1000);
        assert_eq!(world.state("h1/docker/@watchdog"), state);
    }
}
