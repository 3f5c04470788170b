//! What is below what, masks, and the digest.

use super::*;
use crate::id::NodeName;
use crate::report::digest_of;
use alloc::format;
use alloc::vec::Vec;

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
fn what_is_within_a_subject_is_not_what_sorts_between() {
    // '-' sorts before '/': a subtree is not contiguous in the order of the text.
    let entries = ["h1", "h1/d", "h1/d-x", "h1/d-x/a", "h1/d/shop/web/1"].map(|path| (path, State::Ok));
    let book = book(&entries);
    let top = SubjectId::new("h1/d").unwrap();
    let within: Vec<_> = book.within(&top).map(|verdict| verdict.subject.as_str()).collect();
    assert_eq!(within, ["h1/d", "h1/d/shop/web/1"]);
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
    let masked = |book: &Book| -> Vec<String> {
        let engine = SubjectId::new("h1/docker").unwrap();
        let masked = book
            .iter()
            .filter(|verdict| book.dead_engine_over(verdict) == Some(&engine));
        masked.map(|verdict| verdict.subject.to_string()).collect()
    };
    for dead in [State::AgentLost, State::Unreachable, State::Down] {
        book.put(engine(dead));
        let below = ["h1/docker/a", "h1/docker/b", "h1/docker/shop", "h1/docker/shop/web/1"];
        assert_eq!(masked(&book), below);
    }
    book.put(engine(State::Degraded));
    assert_eq!(masked(&book), [""; 0]);
}

#[test]
fn what_ended_on_purpose_is_shown_so_under_a_mask() {
    let shown = [State::Ok, State::GivenUp, State::Stopped, State::Finished].map(masked_state);
    let expected = [State::Unwatched, State::Unwatched, State::Stopped, State::Finished];
    assert_eq!(shown, expected);
    assert!(masks(State::AgentLost) && masks(State::Unknown) && !masks(State::Suspect));
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

#[test]
fn a_book_says_what_it_holds() {
    let mut book = Book::default();
    assert!(book.is_empty() && book.get(&SubjectId::new("h1").unwrap()).is_none());
    assert_eq!(book.put(verdict("h1", State::Ok)), Some(Before(None)));
    assert_eq!(book.put(verdict("h1", State::Down)), Some(Before(Some(State::Ok))));
    book.put(verdict("h1/d", State::Ok));
    assert_eq!((book.len(), book.is_empty()), (2, false));
    let h1 = SubjectId::new("h1").unwrap();
    assert_eq!(book.get(&h1).map(|it| it.state), Some(State::Down));
    assert!(book.remove(&h1) && !book.remove(&h1));
}
