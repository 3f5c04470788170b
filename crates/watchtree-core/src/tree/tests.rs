//! Roll-up, groups, eclipses and the book's digest.

use super::*;
use crate::id::NodeName;
use crate::report::digest_of;
use alloc::format;

fn verdict(path: &str, state: State) -> Verdict {
    let kind = if path.contains('/') {
        SubjectKind::Container
    } else {
        SubjectKind::Host
    };
    let subject = SubjectId::new(path).unwrap();
    Verdict {
        state,
        ..unknown(subject, kind, NodeName::new("h1").unwrap(), Moment::ZERO)
    }
}

fn book(entries: &[(&str, State)]) -> Book {
    let mut book = Book::default();
    for (path, state) in entries {
        book.put(verdict(path, *state));
    }
    book
}

#[test]
fn the_digest_is_that_of_the_protocol_whatever_the_way() {
    let mut one = book(&[("h1/d/a", State::Ok), ("h1/d/b", State::Down), ("h1/d/c", State::Ok)]);
    one.put(verdict("h1/d/a", State::Unhealthy));
    one.remove(&SubjectId::new("h1/d/c").unwrap());
    assert_eq!(one.digest(), digest_of(one.iter()));
    assert_eq!(
        one.digest(),
        book(&[("h1/d/b", State::Down), ("h1/d/a", State::Unhealthy)]).digest()
    );
}

#[test]
fn the_worst_rolls_up_past_names_that_sort_between() {
    // '-' and '.' sort before '/': a subtree is not contiguous in the order of the text.
    let book = book(&[
        ("h1", State::Ok),
        ("h1/d", State::Ok),
        ("h1/d-x", State::Ok),
        ("h1/d-x/a", State::GivenUp),
        ("h1/d.y/a", State::Ok),
        ("h1/d/shop/web/1", State::Unhealthy),
    ]);
    let top = SubjectId::new("h1").unwrap();
    let all = lines(&top, &book, None, |_| None, &TreeFilter::default());
    let worst: Vec<_> = all
        .iter()
        .map(|line| format!("{} {}", line.subject, line.worst.as_str()))
        .collect();
    assert_eq!(
        worst,
        [
            "h1 GIVEN UP",
            "h1/d UNHEALTHY",
            "h1/d/shop UNHEALTHY",
            "h1/d/shop/web UNHEALTHY",
            "h1/d/shop/web/1 UNHEALTHY",
            "h1/d-x GIVEN UP",
            "h1/d-x/a GIVEN UP",
            "h1/d.y OK",
            "h1/d.y/a OK"
        ]
    );
    let within = SubjectId::new("h1/d").unwrap();
    assert_eq!(book.within(&within).count(), 2);
}

#[test]
fn an_eclipse_covers_what_is_below_and_keeps_what_ended_on_purpose() {
    let book = book(&[
        ("h1", State::Ok),
        ("h1/d/a", State::Ok),
        ("h1/d/b", State::Stopped),
        ("h1/d/c", State::Down),
    ]);
    let top = SubjectId::new("h1").unwrap();
    let eclipse = Eclipse {
        verdict: verdict("h1", State::AgentLost),
    };
    let all = lines(&top, &book, Some(&eclipse), |_| None, &TreeFilter::default());
    let shown: Vec<_> = all
        .iter()
        .map(|line| format!("{} {}", line.subject, line.state.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            "h1 AGENT LOST",
            "h1/d UNWATCHED",
            "h1/d/a UNWATCHED",
            "h1/d/b STOPPED",
            "h1/d/c UNWATCHED"
        ]
    );
    assert_eq!(all[2].root_cause, Some(top.clone()));
    let suspect = Eclipse {
        verdict: verdict("h1", State::Suspect),
    };
    let all = lines(&top, &book, Some(&suspect), |_| None, &TreeFilter::default());
    assert_eq!(all[2].state, State::Ok);
}

#[test]
fn a_dead_engine_covers_its_containers_and_nothing_else() {
    let mut book = book(&[
        ("h1", State::Ok),
        ("h1/docker", State::Ok),
        ("h1/docker/a", State::Ok),
        ("h1/docker/b", State::Stopped),
        ("h1/docker/shop/web/1", State::GivenUp),
        ("h1/docker/shop", State::Down),
        ("h1/podman/c", State::Ok),
    ]);
    let engine = |state| Verdict {
        kind: SubjectKind::Engine,
        ..verdict("h1/docker", state)
    };
    book.put(Verdict {
        kind: SubjectKind::Watchdog,
        ..verdict("h1/docker/@watchdog", State::Ok)
    });
    let top = SubjectId::new("h1").unwrap();
    let shown = |book: &Book| -> Vec<String> {
        let all = lines(&top, book, None, |_| None, &TreeFilter::default());
        let subjects = all.iter().filter(|line| line.kind.is_some());
        let words = |line: &TreeLine| {
            let cause = line.root_cause.as_ref().map_or("", SubjectId::as_str);
            format!("{} {} {cause}", line.subject, line.state.as_str())
        };
        subjects.map(words).collect()
    };
    for dead in [State::AgentLost, State::Unreachable, State::Down] {
        book.put(engine(dead));
        assert_eq!(
            shown(&book),
            [
                "h1 OK ".to_string(),
                format!("h1/docker {} ", dead.as_str()),
                "h1/docker/@watchdog OK ".to_string(),
                "h1/docker/a UNWATCHED h1/docker".to_string(),
                "h1/docker/b STOPPED h1/docker".to_string(),
                "h1/docker/shop UNWATCHED h1/docker".to_string(),
                "h1/docker/shop/web/1 UNWATCHED h1/docker".to_string(),
                "h1/podman/c OK ".to_string(),
            ]
        );
    }
    book.put(engine(State::Degraded));
    assert!(shown(&book).contains(&"h1/docker/a OK ".to_string()));
    assert!(shown(&book).contains(&"h1/docker/shop/web/1 GIVEN UP ".to_string()));
}

#[test]
fn a_book_is_bounded() {
    let mut book = Book::default();
    for i in 0..SUBJECTS_PER_CHILD_MAX {
        assert!(book.put(verdict(&format!("h1/d/{i}"), State::Ok)).is_some());
    }
    assert!(book.put(verdict("h1/d/more", State::Ok)).is_none());
    assert!(book.put(verdict("h1/d/7", State::Down)).is_some());
}
