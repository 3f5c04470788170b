//! A container-watchdog and its journal: a damaged record is one record, and is said in the tree.

use expect_test::expect;
use watchtree_core::container::io::ContainerInput;
use watchtree_core::verdict::{State, Verdict};
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};

fn own(w: &Scene) -> Option<&Verdict> {
    let mut verdicts = w.agent().expect("a watchdog").verdicts();
    verdicts.find(|it| it.subject.as_str().ends_with("/@watchdog"))
}

/// The newest records are: the hold of `other`, the record of that order, its answer.
const LIVES: &str = "hold held 60m, docker stop stopped, web exits 1, 20s, hold other 60m, watchdog killed";
const CRASHES: &str = "held exits 1, other exits 1, events lost, watchdog started, 1m";

#[test]
fn one_damaged_record_is_one_thing_that_is_forgotten() {
    let play = |damage: &str| {
        let mut w = Scene::with(&["held", "stopped", "other", "web"]);
        w.does(LIVES).outcome();
        w.does(damage).does(CRASHES).outcome()
    };
    outcomes(["", "journal loses 1", "journal loses 2", "journal loses 3"], play).tells(expect![[r#"
         | journal loses 1 | journal loses 2: no call; held exited DOWN; stopped exited STOPPED; other exited DOWN; web running OK
        journal loses 3: start other; held exited DOWN; stopped exited STOPPED; other running OK; web running OK
    "#]]);
}

#[test]
fn damage_is_said_in_the_tree_until_a_person_has_looked() {
    let mut w = Scene::with(&["web"]);
    assert_eq!(own(&w), None, "it was never ill");
    w.does("web exits 1, 20s, watchdog killed, journal loses 1, watchdog started, 10s");
    let said = own(&w).expect("it is said");
    assert_eq!(said.state, State::Degraded);
    assert!(said.why.starts_with("journal: 1 record is lost"), "{}", said.why);
    assert_eq!(said.remarks.join("; "), said.why);
    let since = said.since;
    w.does("1m");
    assert_eq!(own(&w).map(|it| it.since), Some(since));
    w.does("damage seen, 1s");
    assert_eq!(own(&w).map(|it| (it.state, it.why.as_str())), Some((State::Ok, "well")));
}

#[test]
fn all_that_is_wrong_with_it_is_said_but_for_a_parent_that_is_away() {
    let mut w = Scene::with(&["web"]);
    w.input(ContainerInput::JournalHealth {
        state: Err("no space".into()),
    });
    w.does("dockerd killed, 1s");
    let said = own(&w).expect("it is said");
    let about: Vec<&str> = said.remarks.iter().filter_map(|it| it.split(':').next()).collect();
    assert_eq!(about, ["engine", "journal", "stream"]);
}
