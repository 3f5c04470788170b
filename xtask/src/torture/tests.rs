//! Each rule against a story that breaks it, and one that does not.

use super::super::notes::{Ask, Call, Event, Listed, Ms, Note, Presence, What};
use super::super::world::WORLD;
use super::Checker;

/// A container of the world, up and listed so, under a watchdog that is there.
struct Story {
    checker: Checker,
    now: Ms,
    ticket: u64,
}

const ID: &str = "c1";

impl Story {
    fn of(name: &str) -> Self {
        let slot = WORLD
            .iter()
            .position(|spec| spec.name == name)
            .expect("it is in the world");
        let mut story = Self {
            checker: Checker::new(),
            now: 0,
            ticket: 0,
        };
        story.note(What::Watchdog(Presence::Here));
        story.note(What::Made { slot });
        story.asks(Ask::Start, 204, &[Event::Start]);
        story.listed("running");
        // Long enough for a run that is no short one.
        story.after(700_000);
        story
    }

    fn after(&mut self, ms: Ms) -> &mut Self {
        self.now += ms;
        self
    }

    fn note(&mut self, what: What) -> &mut Self {
        let (at, id) = (self.now, ID.to_owned());
        self.checker.hear(Note { at, id, what });
        self.after(1)
    }

    fn event(&mut self, event: Event) -> &mut Self {
        self.note(What::Event(event))
    }

    fn listed(&mut self, state: &str) -> &mut Self {
        let (state, alive) = (state.to_owned(), state == "running");
        self.note(What::Listed(Listed {
            state,
            alive,
            code: None,
        }))
    }

    fn asks(&mut self, ask: Ask, status: u16, events: &[Event]) -> &mut Self {
        self.note(What::Asked(ask));
        for event in events {
            self.event(event.clone());
        }
        self.note(What::Answered(ask, Some(status)))
    }

    fn stopped(&mut self) -> &mut Self {
        let events = [Event::Kill { signal: 15 }, Event::Die { code: 143 }, Event::Stop];
        self.asks(Ask::Stop, 204, &events).listed("exited")
    }

    fn crashes(&mut self) -> &mut Self {
        self.event(Event::Die { code: 137 }).listed("exited")
    }

    fn posts(&mut self, call: Call, status: u16) -> &mut Self {
        self.ticket += 1;
        let ticket = self.ticket;
        self.note(What::Posted(call, ticket)).after(50);
        if call == Call::Start && status == 204 {
            self.event(Event::Start).listed("running");
        }
        self.note(What::Replied(ticket, Some(status)))
    }

    /// The rules that are broken so far.
    fn breaks(&mut self, expected: &[&str]) {
        self.checker.advance(self.now + super::LAG);
        let broken: Vec<&str> = self.checker.broken.iter().map(|it| it.rule).collect();
        assert_eq!(broken, expected, "{:?}", self.checker.broken);
    }
}

#[test]
fn what_a_person_stopped_is_not_started() {
    Story::of("plain-a")
        .stopped()
        .after(5000)
        .posts(Call::Start, 204)
        .breaks(&["person-wins"]);
    Story::of("plain-a")
        .crashes()
        .after(300)
        .posts(Call::Start, 204)
        .breaks(&[]);
    let mut story = Story::of("plain-a");
    story
        .crashes()
        .stopped_while_down()
        .after(5000)
        .posts(Call::Start, 204)
        .breaks(&[]);
    let mut story = Story::of("plain-a");
    story.stopped().posts(Call::Start, 204).breaks(&[]);
    assert_eq!(story.checker.races, 1, "it was on its way");
}

impl Story {
    fn stopped_while_down(&mut self) -> &mut Self {
        self.asks(Ask::Stop, 304, &[])
    }
}

#[test]
fn what_is_paused_or_has_finished_is_left_alone() {
    let mut story = Story::of("plain-a");
    story
        .asks(Ask::Pause, 204, &[Event::Pause])
        .after(5000)
        .posts(Call::Stop, 204)
        .breaks(&["person-wins"]);
    let mut story = Story::of("plain-a");
    story.event(Event::Die { code: 0 }).listed("exited").after(5000);
    story.posts(Call::Start, 204).breaks(&["person-wins"]);
}

#[test]
fn what_is_well_is_not_stopped_and_what_hangs_is() {
    Story::of("asked-a")
        .posts(Call::Stop, 204)
        .breaks(&["healthy-left-alone"]);
    Story::of("asked-a")
        .note(What::Hurt)
        .after(9000)
        .posts(Call::Stop, 204)
        .breaks(&[]);
}

#[test]
fn what_is_not_ours_held_or_being_replaced_is_not_touched() {
    Story::of("stranger-a")
        .crashes()
        .after(500)
        .posts(Call::Start, 204)
        .breaks(&["not-ours"]);
    Story::of("plain-a").posts(Call::Other, 204).breaks(&["not-ours"]);
    let mut story = Story::of("plain-a");
    let until = story.now + 20_000;
    story
        .note(What::Held(until))
        .crashes()
        .after(5000)
        .posts(Call::Start, 204)
        .breaks(&["held"]);
    let mut story = Story::of("plain-a");
    story
        .note(What::Deploys(true))
        .stopped()
        .after(5000)
        .posts(Call::Start, 204)
        .breaks(&["deploy"]);
}

#[test]
fn a_budget_is_not_exceeded_and_a_start_not_posted_twice() {
    let mut story = Story::of("plain-b");
    for _ in 0..8 {
        story.crashes().after(200).posts(Call::Start, 204).after(1000);
    }
    story.breaks(&[]);
    story.crashes().after(200).posts(Call::Start, 204).breaks(&["budget"]);
    let mut story = Story::of("plain-a");
    story
        .crashes()
        .after(200)
        .note(What::Posted(Call::Start, 90))
        .note(What::Posted(Call::Start, 91))
        .breaks(&["once"]);
}

#[test]
fn what_failed_is_repaired_or_given_up_within_its_bound() {
    let mut story = Story::of("plain-a");
    story.crashes().after(6000).breaks(&[]);
    story.after(6000).breaks(&["repaired"]);
    let mut story = Story::of("plain-a");
    story.crashes().after(300).posts(Call::Start, 204).breaks(&[]);
    assert_eq!(story.checker.repairs.repaired.len(), 1);
    let mut story = Story::of("plain-a");
    let given_up = What::Shown("given_up".to_owned(), "for no reason".to_owned());
    story
        .crashes()
        .after(100)
        .note(given_up)
        .after(10_000)
        .breaks(&["given-up"]);
}

#[test]
fn a_hang_has_the_time_of_its_check_and_of_its_stop() {
    let mut story = Story::of("asked-a");
    story.event(Event::Healthy).note(What::Hurt).after(20_000).breaks(&[]);
    story.after(20_000).breaks(&["repaired"]);
}
