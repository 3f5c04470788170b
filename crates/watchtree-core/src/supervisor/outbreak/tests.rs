//! How many are an outbreak, who is tried, and when it is over.
use super::*;
use crate::fixture::subject;

fn at(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}

fn outbreaks(size: usize, ill: &[(&str, u64)]) -> Outbreaks {
    let mut it = Outbreaks::default();
    it.set_size(size);
    ill.iter()
        .for_each(|(name, secs)| it.ill(at(*secs), &subject(name), true));
    it
}

fn lets_pass(it: &Outbreaks, secs: u64) -> bool {
    let first = it.members().next().cloned().unwrap_or_else(|| subject("h/d/a"));
    matches!(it.guard(at(secs), &first), GuardResult::Pass(_))
}

#[test]
fn three_and_a_fifth_within_a_minute_are_an_outbreak() {
    let three = [("h/d/a", 0), ("h/d/b", 30), ("h/d/c", 59)];
    assert!(outbreaks(15, &three).current().is_some());
    assert!(outbreaks(16, &three).current().is_none(), "less than a fifth");
    assert!(outbreaks(2, &three[..2]).current().is_none(), "too few");
    let slow = [("h/d/a", 0), ("h/d/b", 30), ("h/d/c", 60)];
    assert!(outbreaks(3, &slow).current().is_none(), "not at once");
    let replicas = [("h/d/shop/web/1", 0), ("h/d/shop/web/2", 0), ("h/d/shop/web/3", 0)];
    assert!(outbreaks(3, &replicas).current().is_none(), "one service");
    let others = [("h/d/shop/web/1", 0), ("h/d/shop/web/2", 0), ("h/d/shop/db/1", 0)];
    assert!(outbreaks(3, &others).current().is_some());
}

#[test]
fn one_canary_at_a_time_and_a_longer_wait_after_each_that_did_not_help() {
    let mut it = outbreaks(3, &[("h/d/a", 0), ("h/d/b", 0), ("h/d/c", 0)]);
    let [a, b] = ["h/d/a", "h/d/b"].map(subject);
    assert!(lets_pass(&it, 1));
    it.begins(&a, true);
    assert!(!lets_pass(&it, 1));
    it.ended(at(10), &a, Outcome::Failed);
    assert!(!lets_pass(&it, 69) && lets_pass(&it, 70));
    it.begins(&b, true);
    it.ended(at(80), &b, Outcome::Failed);
    assert!(!lets_pass(&it, 199) && lets_pass(&it, 200));
    it.begins(&b, true);
    it.ended(at(210), &b, Outcome::Succeeded);
    assert!(lets_pass(&it, 210), "it helped: the next");
    for n in 0..20 {
        it.ended(at(1000), &a, Outcome::Failed);
        assert!(lets_pass(&it, 1600), "{n}: never longer than ten minutes");
    }
    assert!(!lets_pass(&it, 1599));
}

#[test]
fn it_is_over_when_few_are_left() {
    let mut it = outbreaks(3, &[("h/d/a", 0), ("h/d/b", 0), ("h/d/c", 0)]);
    assert!(it.take_news() && !it.take_news());
    it.begins(&subject("h/d/a"), true);
    it.forget(at(1), &subject("h/d/a"));
    assert!(it.take_news() && it.current().is_none() && lets_pass(&it, 1));
    assert_eq!(it.members().count(), 2);
    it.ill(at(5), &subject("h/d/c"), true);
    assert!(!it.take_news(), "it was ill before");
    it.ill(at(5), &subject("h/d/a"), true);
    assert_eq!(it.current().map(|(since, _)| since), Some(at(5)), "a new one");
}

#[test]
fn many_whose_checks_cannot_be_run_any_more_are_told_as_that_until_one_is_known_to_be_ill() {
    let mut it = Outbreaks::default();
    it.set_size(4);
    let [a, b, c] = ["h/d/a", "h/d/b", "h/d/c"].map(subject);
    let said = |it: &Outbreaks| it.current().map(|(_, words)| words);
    it.note(at(0), &a, Some(Illness::Unchecked));
    it.note(at(0), &b, Some(Illness::Unchecked));
    it.note(at(0), &c, None);
    assert_eq!(said(&it), None, "two");
    it.note(at(1), &c, Some(Illness::Unchecked));
    let unchecked = "the checks of 3 of 4 cannot be run any more: one cause, and not theirs";
    assert_eq!((said(&it).as_deref(), it.is_known()), (Some(unchecked), false));
    assert!(it.take_news());
    it.note(at(2), &c, Some(Illness::Unchecked));
    assert!(!it.take_news(), "as before");
    it.note(at(3), &c, Some(Illness::Ill));
    let ill = "3 of 4 turned unhealthy at once: one cause, and not theirs";
    assert_eq!((said(&it).as_deref(), it.is_known()), (Some(ill), true));
    assert!(it.take_news());
    it.note(at(4), &c, Some(Illness::NotIll));
    assert_eq!(said(&it), None);
}

#[test]
fn two_on_an_overloaded_machine_are_an_outbreak_and_the_first_canary_waits() {
    let busy = || Some("tasks wait for cpu 90.0 % of the time".into());
    let replicas = ["h/d/shop/web/1", "h/d/shop/web/2"].map(subject);
    let mut it = Outbreaks::default();
    it.set_size(50);
    it.expect_load();
    assert!(it.handle_timeout(at(1)));
    it.take_load(at(1), None);
    assert_eq!(it.next_deadline(), Some(at(6)));
    it.ill(at(10), &replicas[0], true);
    let awaited = it.load_awaited_until(at(10), &replicas[0]);
    assert!(awaited.is_some(), "how busy the machine is comes first");
    assert_eq!(it.load_awaited_until(at(10), &replicas[1]), None, "it is not ill");
    assert!(it.handle_timeout(at(10)) && !it.handle_timeout(at(14)) && it.next_deadline() == Some(at(15)));
    it.take_load(at(10), busy());
    let alone = |secs| matches!(it.guard(at(secs), &replicas[0]), GuardResult::Pass(_));
    assert!(!alone(14) && alone(15), "one alone is repaired");
    assert!(it.take_news());
    it.ill(at(11), &replicas[1], true);
    let (since, words) = it.current().expect("two");
    let expected =
        "2 of 50 turned unhealthy at once, and tasks wait for cpu 90.0 % of the time: one cause, and not theirs";
    assert_eq!((since, words.as_str()), (at(11), expected));
    assert!(!lets_pass(&it, 40) && lets_pass(&it, 41));
    it.forget(at(12), &replicas[0]);
    assert!(it.current().is_none() && !lets_pass(&it, 15) && lets_pass(&it, 16));
}

#[test]
fn two_on_a_machine_that_is_not_overloaded_or_tells_nothing_are_no_outbreak() {
    let mut it = outbreaks(50, &[("h/d/a", 0)]);
    let waits = |it: &Outbreaks, secs| it.load_awaited_until(at(secs), &subject("h/d/a")).is_some();
    assert!(!waits(&it, 0), "where nobody reads it, nobody waits");
    it.expect_load();
    it.ill(at(0), &subject("h/d/c"), true);
    assert!(waits(&it, 0) && it.handle_timeout(at(0)) && waits(&it, 0));
    assert!(!waits(&it, 1), "not told in time");
    it.take_load(at(2), None);
    assert!(lets_pass(&it, 2) && it.current().is_none());
    it.take_load(at(7), Some("busy".into()));
    assert!(it.current().is_some(), "it became so while both are ill");
}

#[test]
fn where_one_is_well_by_itself_the_others_are_given_a_minute_once() {
    let mut it = outbreaks(3, &[("h/d/a", 0), ("h/d/b", 0), ("h/d/c", 0)]);
    let [a, b, c] = ["h/d/a", "h/d/b", "h/d/c"].map(subject);
    it.note(at(5), &a, Some(Illness::Well));
    assert!(!lets_pass(&it, 64) && lets_pass(&it, 65));
    assert_eq!(it.next_deadline(), Some(at(65)));
    it.note(at(20), &b, Some(Illness::Well));
    assert!(lets_pass(&it, 65), "once");
    assert!(it.current().is_some() && it.take_news());
    it.handle_timeout(at(65));
    assert!(it.current().is_none() && it.take_news() && it.next_deadline().is_none());
    assert_eq!(it.members().collect::<Vec<_>>(), [&c]);
}

#[test]
fn one_that_a_reboot_made_well_is_no_sign_that_it_passes() {
    let mut it = outbreaks(3, &[("h/d/a", 0), ("h/d/b", 0), ("h/d/c", 0)]);
    let a = subject("h/d/a");
    it.begins(&a, true);
    it.note(at(8), &a, Some(Illness::Well));
    it.ended(at(9), &a, Outcome::Succeeded);
    it.note(at(9), &a, Some(Illness::Well));
    assert!(it.current().is_none() && lets_pass(&it, 9), "few are left");
}
