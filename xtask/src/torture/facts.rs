//! What is known of each container: what people mean it to do, by their requests alone, and what it does, by engine and kernel.
//!
//! ```text
//!             start, restart, unpause, run ─▶ Up ◀──────────────┐
//!  stop, kill of what runs (its kill or stop event) ─▶ Down     │ a person's start
//!  pause ─▶ Paused     exit 0 without a policy ─▶ Finished ─────┘
//!  a stop of what is down, and a kill past a containerd that is away, which leave no trace; a request without an answer;
//!  a start by the engine of what was stopped; a paused one that its engine took along ─▶ Any: not judged until the next request
//! ```
//!
//! It knows nothing of what the watchdog says, and judges nothing.

use super::notes::{Ask, Call, Event, Listed, Ms, Note, Presence, What};
use super::world::{Kind, WORLD};
use std::collections::BTreeMap;

/// A rule that was broken.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) at: Ms,
    pub(super) rule: &'static str,
    pub(super) id: String,
    pub(super) text: String,
}

/// What people mean a container to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meant {
    Up,
    Down,
    Paused,
    Finished,
    Any,
}

/// An event that has not come after this does not come.
const UNSEEN: Ms = 3000;

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) slot: usize,
    pub(super) gone: bool,
    pub(super) meant: Meant,
    pub(super) meant_since: Ms,
    pub(super) restart: &'static str,
    /// The request under way, what was meant before it, and whether its effect was seen.
    pub(super) ask: Option<(Ask, Meant, bool)>,
    pub(super) answered: Ms,
    pub(super) runs: bool,
    pub(super) started: Ms,
    pub(super) died: Ms,
    /// When it last had stayed up for a whole window, which resets its restart limit.
    pub(super) stayed: Ms,
    pub(super) hurt: Option<Ms>,
    /// It was hurt until it was started anew.
    pub(super) mended: Ms,
    pub(super) was_healthy: bool,
    /// The engine does not check it: nobody can see that it hangs.
    pub(super) unchecked: bool,
    /// A signal of another meaning has set the engine's manual-stop flag.
    pub(super) flagged: bool,
    pub(super) held: Option<(Ms, Ms)>,
    pub(super) may_be_held: Ms,
    pub(super) deploys_since: Option<Ms>,
    pub(super) deployed: Ms,
    /// The watchdog's requests without an answer.
    pub(super) calls: BTreeMap<u64, (Call, Ms)>,
    /// When the engine refused the newest start of the watchdog's; 0 after one that it carried out.
    pub(super) refused: Ms,
    pub(super) our_starts: Vec<Ms>,
    pub(super) engine_starts: Vec<Ms>,
    /// Short runs in a row.
    pub(super) failures: u32,
    pub(super) listed: Option<Listed>,
    pub(super) listed_at: Ms,
    /// The watchdog began its present incarnation.
    pub(super) by_us: bool,
    pub(super) shown: Option<(String, String, Ms)>,
}

impl Life {
    fn new(slot: usize, at: Ms) -> Self {
        Self {
            slot,
            gone: false,
            meant: Meant::Any,
            meant_since: at,
            restart: WORLD[slot].restart,
            ask: None,
            answered: at,
            runs: false,
            started: 0,
            died: 0,
            stayed: 0,
            hurt: None,
            mended: 0,
            was_healthy: false,
            unchecked: false,
            flagged: false,
            held: None,
            may_be_held: 0,
            deploys_since: None,
            deployed: 0,
            calls: BTreeMap::new(),
            refused: 0,
            our_starts: Vec::new(),
            engine_starts: Vec::new(),
            failures: 0,
            listed: None,
            listed_at: 0,
            by_us: false,
            shown: None,
        }
    }

    fn inherit(&mut self, before: &Self) {
        self.our_starts.clone_from(&before.our_starts);
        self.engine_starts.clone_from(&before.engine_starts);
        self.failures = before.failures;
        self.stayed = before.stayed;
    }

    fn mean(&mut self, at: Ms, meant: Meant) {
        if self.meant != meant {
            (self.meant, self.meant_since) = (meant, at);
        }
    }

    /// A stop of the watchdog's is under way, or its answer was lost.
    pub(super) fn has_stop_under_way(&self) -> bool {
        self.calls.values().any(|(call, _)| *call != Call::Start)
    }

    fn asked(&mut self, at: Ms, ask: Ask) {
        self.ask = Some((ask, self.meant, false));
        self.mean_any(at);
    }

    fn mean_any(&mut self, at: Ms) {
        (self.meant, self.meant_since) = (Meant::Any, at);
    }

    /// The effect of a request was seen, before its answer.
    fn seen(&mut self, at: Ms, event: &Event) {
        let Some((ask, before, false)) = self.ask else { return };
        let stops = matches!(ask, Ask::Stop | Ask::Kill(9 | 15));
        let meant = match event {
            Event::Kill { .. } | Event::Stop if stops && !self.has_stop_under_way() => Meant::Down,
            Event::Pause if ask == Ask::Pause => Meant::Paused,
            _ => return,
        };
        self.ask = Some((ask, before, true));
        self.mean(at, meant);
    }

    fn answer(&mut self, at: Ms, ask: Ask, status: Option<u16>) {
        let Some((_, before, seen)) = self.ask.take() else {
            return;
        };
        self.answered = at;
        let Some(status) = status else { return self.mean_any(at) };
        let done = (200..300).contains(&status);
        if let (Ask::Kill(1 | 10), true) = (ask, done) {
            self.flagged = true;
        }
        match (ask, done) {
            _ if seen => {}
            // An engine whose containerd does not answer kills without it, and tells of no signal.
            (Ask::Kill(9), true) => self.mean_any(at),
            (Ask::Stop | Ask::Kill(15), true) => self.mean(at, Meant::Down),
            // It was down already: nobody can see that somebody wants it to stay so.
            (Ask::Stop | Ask::Kill(9 | 15), false) if before == Meant::Up => self.mean_any(at),
            (Ask::Pause, true) => self.mean(at, Meant::Paused),
            (Ask::Start, _) if done || status == 304 => self.wanted_up(at),
            (Ask::Restart | Ask::Unpause, true) => self.wanted_up(at),
            _ => (self.meant, self.meant_since) = (before, at),
        }
    }

    fn wanted_up(&mut self, at: Ms) {
        self.flagged = false;
        self.mean(at, Meant::Up);
    }

    fn take_event(&mut self, at: Ms, event: &Event, engine: Presence) {
        self.seen(at, event);
        match event {
            Event::Start => self.take_start(at),
            Event::Die { code } => self.take_die(at, *code, engine),
            Event::Destroy => self.gone = true,
            Event::Healthy => self.was_healthy = true,
            Event::Kill { .. } | Event::Stop | Event::Pause | Event::Unpause | Event::Unhealthy => {}
        }
    }

    fn take_start(&mut self, at: Ms) {
        let by_us = self
            .calls
            .values()
            .any(|(call, _)| matches!(call, Call::Start | Call::Restart));
        let by_person = self.ask.is_some();
        self.by_us = by_us;
        if !by_us && !by_person {
            self.engine_starts.push(at);
            // An engine that begins starts what it has a policy for, whoever stopped it.
            if self.meant != Meant::Up {
                self.mean_any(at);
            }
        }
        if self.hurt.take().is_some() {
            self.mended = at;
        }
        (self.runs, self.started, self.was_healthy, self.unchecked) = (true, at, false, false);
    }

    fn take_die(&mut self, at: Ms, code: i32, engine: Presence) {
        let limits = WORLD[self.slot].limits();
        let short = at.saturating_sub(self.started) < limits.clean_after;
        self.failures = if short { self.failures + 1 } else { 1 };
        if self.started + limits.window <= at {
            self.stayed = at;
        }
        (self.runs, self.died) = (false, at);
        // A person froze it, and the engine took it along: nobody can say what it is to do now.
        if self.meant == Meant::Paused && engine == Presence::Away {
            return self.mean_any(at);
        }
        let ends_well = code == 0 && matches!(self.restart, "no" | "on-failure");
        if !ends_well || self.meant != Meant::Up || self.ask.is_some() || self.has_stop_under_way() {
            return;
        }
        match (engine, WORLD[self.slot].kind) {
            (Presence::Here | Presence::Frozen, _) => self.mean(at, Meant::Finished),
            // It may have been done before the engine took the rest along.
            (Presence::Away, Kind::Job) => self.mean_any(at),
            (Presence::Away, _) => {}
        }
    }

    /// An end that no event tells of: it came while no engine was there that keeps its containers.
    fn take_listed(&mut self, at: Ms, listed: &Listed, engine: Presence) {
        (self.listed, self.listed_at) = (Some(listed.clone()), at);
        let unseen = self.runs && listed.state == "exited" && self.started + UNSEEN < at && self.ask.is_none();
        if let (true, Some(code)) = (unseen, listed.code) {
            self.take_die(at, code, engine);
            if code == 0 && self.meant == Meant::Finished {
                self.mean_any(at);
            }
        }
    }

    /// Restarts that count to its budget, within the window that ends then.
    pub(super) fn restarts(&self, at: Ms) -> usize {
        let window = WORLD[self.slot].limits().window;
        let within = |of: &[Ms]| of.iter().filter(|it| at < **it + window).count();
        within(&self.our_starts) + within(&self.engine_starts)
    }

    pub(super) fn listed_as(&self, state: &str) -> bool {
        self.listed.as_ref().is_some_and(|it| it.state == state)
    }
}

/// All that is known.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) lives: BTreeMap<String, Life>,
    /// The newest container of each place.
    pub(super) newest: BTreeMap<usize, String>,
    pub(super) engine: (Presence, Ms),
    pub(super) watchdog: (Presence, Ms),
}

impl Facts {
    pub(super) fn new() -> Self {
        Self {
            lives: BTreeMap::new(),
            newest: BTreeMap::new(),
            engine: (Presence::Here, 0),
            watchdog: (Presence::Away, 0),
        }
    }

    /// Takes in a note.
    pub(super) fn take(&mut self, note: &Note) {
        let at = note.at;
        match &note.what {
            What::Made { slot } => {
                let mut life = Life::new(*slot, at);
                // A budget is of the name, whoever bears it.
                if let Some(before) = self
                    .lives
                    .values()
                    .filter(|it| it.slot == *slot)
                    .max_by_key(|it| it.answered)
                {
                    life.inherit(before);
                }
                self.lives.insert(note.id.clone(), life);
                self.newest.insert(*slot, note.id.clone());
                return;
            }
            What::Engine(presence) => self.take_engine(at, *presence),
            What::Watchdog(presence) => self.watchdog = (*presence, at),
            _ => {}
        }
        let engine = self.engine.0;
        let Some(life) = self.lives.get_mut(&note.id) else {
            return;
        };
        match &note.what {
            What::Asked(ask) => life.asked(at, *ask),
            What::Answered(ask, status) => life.answer(at, *ask, *status),
            What::Event(event) => life.take_event(at, event, engine),
            What::Posted(call, ticket) => _ = life.calls.insert(*ticket, (*call, at)),
            What::Replied(ticket, status) => replied(life, at, *ticket, *status),
            What::Hurt => life.hurt = life.runs.then_some(at),
            What::Held(until) => life.held = Some((at, *until)),
            What::MayBeHeld(until) => life.may_be_held = *until,
            What::Released => life.held = life.held.map(|(since, until)| (since, until.min(at))),
            What::Policy(policy) => life.restart = policy,
            What::Deploys(true) => life.deploys_since = Some(at),
            What::Deploys(false) => (life.deploys_since, life.deployed) = (None, at),
            What::Listed(listed) => life.take_listed(at, listed, engine),
            What::Shown(state, why) => {
                let since = life
                    .shown
                    .as_ref()
                    .filter(|(was, ..)| was == state)
                    .map_or(at, |(.., since)| *since);
                life.shown = Some((state.clone(), why.clone(), since));
            }
            What::Made { .. } | What::Engine(_) | What::Watchdog(_) => {}
        }
    }

    fn take_engine(&mut self, at: Ms, presence: Presence) {
        let (before, since) = std::mem::replace(&mut self.engine, (presence, at));
        if before == Presence::Away {
            // An engine that finds containers alive at its start does not check them any more.
            for life in self.lives.values_mut().filter(|life| life.runs && life.started < since) {
                life.unchecked = true;
            }
        }
    }

    /// The container whose network that one joins.
    pub(super) fn owner(&self, life: &Life) -> Option<&Life> {
        let Kind::Joiner(owner) = WORLD[life.slot].kind else {
            return None;
        };
        self.lives.values().find(|it| !it.gone && WORLD[it.slot].name == owner)
    }
}

/// It hangs, or has lost the network that it joins.
pub(super) fn is_ill(facts: &Facts, life: &Life) -> bool {
    life.hurt.is_some() || is_cut_off(facts, life)
}

/// It runs in the network of an owner that was started anew since.
pub(super) fn is_cut_off(facts: &Facts, life: &Life) -> bool {
    facts
        .owner(life)
        .is_some_and(|owner| owner.runs && life.runs && life.started < owner.started)
}

fn replied(life: &mut Life, at: Ms, ticket: u64, status: Option<u16>) {
    let Some((call, _)) = life.calls.remove(&ticket) else {
        return;
    };
    if status.is_some_and(|status| (200..300).contains(&status)) {
        match call {
            Call::Start | Call::Restart => {
                life.our_starts.push(at);
                life.refused = 0;
            }
            Call::Stop | Call::Kill | Call::Other => {}
        }
    } else if call == Call::Start && status.is_some_and(|status| 400 <= status) {
        life.refused = at;
    }
}
