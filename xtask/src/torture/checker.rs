//! Whether each request of the watchdog was right, judged at its moment against what was meant then; and whether what was
//! meant to run and failed was repaired, or given up for a reason, within a bound that follows from its limits.
//!
//! Notes are taken in the order of their moments, [`LAG`] later: what the engine tells of a request comes after it.
//!
//! | rule | |
//! |---|---|
//! | `not-ours` | acts on a container that nobody gave to it, or makes a request that it is never to make |
//! | `person-wins` | starts, or stops, what a person stopped or paused, or what has finished |
//! | `healthy-left-alone` | stops what is well |
//! | `held`, `deploy` | acts on what is held, or is being replaced |
//! | `budget` | starts more often than its budget allows |
//! | `once` | posts a start while one of its own is under way |
//! | `repaired` | what failed is neither repaired nor given up within its bound |
//! | `given-up` | is given up without a reason |

use super::facts::{Broken, Facts, Life, Meant, is_ill};
use super::notes::{Call, Ms, Note, Presence, What, clock_words};
use super::repairs::Repairs;
use super::world::WORLD;
use std::collections::BTreeMap;

/// Notes are taken this late.
pub(super) const LAG: Ms = 4000;
/// A request may have been on its way when a person asked, on a machine that is short of processor time.
const ON_ITS_WAY: Ms = 1000;
/// A person's stop that falls into a start of the watchdog's wins: it stops what it has started.
const UNDOES: Ms = 60_000;

/// See the top of this file.
pub(super) struct Checker {
    waiting: BTreeMap<(Ms, u64), Note>,
    count: u64,
    pub(super) facts: Facts,
    pub(super) repairs: Repairs,
    pub(super) broken: Vec<Broken>,
    /// Requests that came too late for a person's, by less than what can be helped.
    pub(super) races: u32,
    /// Requests about which nobody can say what was meant.
    pub(super) unjudged: u32,
    pub(super) posts: BTreeMap<&'static str, u32>,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            count: 0,
            facts: Facts::new(),
            repairs: Repairs::default(),
            broken: Vec::new(),
            races: 0,
            unjudged: 0,
            posts: BTreeMap::new(),
        }
    }

    pub(super) fn hear(&mut self, note: Note) {
        self.count += 1;
        self.waiting.insert((note.at, self.count), note);
    }

    /// Takes in what was seen until [`LAG`] before `now`; gives it.
    pub(super) fn advance(&mut self, now: Ms) -> Vec<Note> {
        let until = now.saturating_sub(LAG);
        let later = self.waiting.split_off(&(until, u64::MAX));
        let due = std::mem::replace(&mut self.waiting, later);
        let due: Vec<Note> = due.into_values().collect();
        for note in &due {
            self.take(note);
            self.broken.extend(self.repairs.check(&self.facts, note.at));
        }
        self.broken.extend(self.repairs.check(&self.facts, until));
        due
    }

    fn take(&mut self, note: &Note) {
        if let What::Posted(call, _) = note.what {
            *self.posts.entry(call_word(call)).or_default() += 1;
            self.judge(note, call);
        }
        self.facts.take(note);
        if let What::Replied(_, Some(200..300)) = note.what {
            self.budget(note);
        }
    }

    fn judge(&mut self, note: &Note, call: Call) {
        let Some(life) = self.facts.lives.get(&note.id) else {
            return;
        };
        match judge(&self.facts, life, note.at, call) {
            Judged::Right => self.unjudged += u32::from(life.meant == Meant::Any),
            Judged::Race => self.races += 1,
            Judged::Wrong(rule, text) => {
                let text = format!("{}: {call:?}: {text}", WORLD[life.slot].name);
                let (at, id) = (note.at, note.id.clone());
                self.broken.push(Broken { at, rule, id, text });
            }
        }
    }

    fn budget(&mut self, note: &Note) {
        let Some(life) = self.facts.lives.get(&note.id) else {
            return;
        };
        let limits = WORLD[life.slot].limits();
        let ours = life
            .our_starts
            .iter()
            .filter(|it| note.at < **it + limits.window)
            .count();
        if limits.budget < ours && life.our_starts.last() == Some(&note.at) {
            let name = WORLD[life.slot].name;
            let text = format!(
                "{name}: start number {ours} within {} s, of {}",
                limits.window / 1000,
                limits.budget
            );
            let (at, id) = (note.at, note.id.clone());
            self.broken.push(Broken {
                at,
                rule: "budget",
                id,
                text,
            });
        }
    }
}

fn call_word(call: Call) -> &'static str {
    match call {
        Call::Start => "start",
        Call::Stop => "stop",
        Call::Restart => "restart",
        Call::Kill => "kill",
        Call::Other => "other",
    }
}

enum Judged {
    Right,
    Race,
    Wrong(&'static str, String),
}

fn judge(facts: &Facts, life: &Life, at: Ms, call: Call) -> Judged {
    if !WORLD[life.slot].healed || call == Call::Other {
        return Judged::Wrong("not-ours", "nobody asked for that".to_owned());
    }
    let since = |moment: Ms| at.saturating_sub(moment);
    let late = |moment: Ms, rule, text: String| match since(moment) < ON_ITS_WAY {
        true => Judged::Race,
        false => Judged::Wrong(rule, text),
    };
    if let Some((from, until)) = life.held.filter(|(_, until)| at + ON_ITS_WAY < *until) {
        return late(from, "held", format!("held until {}", clock_words(until)));
    }
    if let Some(from) = life.deploys_since.filter(|_| call == Call::Start && !life.runs) {
        return late(from, "deploy", format!("replaced since {}", clock_words(from)));
    }
    let meant = format!("{:?} since {}", life.meant, clock_words(life.meant_since));
    match call {
        Call::Start if life.calls.values().any(|(other, _)| *other == Call::Start) && !is_new(facts, life) => {
            Judged::Wrong("once", "one of its own is under way".to_owned())
        }
        Call::Start => match life.meant {
            Meant::Up | Meant::Any => Judged::Right,
            // The engine answers that it runs.
            _ if life.runs => Judged::Right,
            _ => late(life.meant_since, "person-wins", meant),
        },
        _ if !life.runs => Judged::Right,
        _ => match life.meant {
            Meant::Any => Judged::Right,
            Meant::Up if is_ill(facts, life) => Judged::Right,
            Meant::Up => late(
                life.mended,
                "healthy-left-alone",
                format!("well since {}", clock_words(life.started)),
            ),
            _ if life.our_starts.last().is_some_and(|start| since(*start) < UNDOES) => Judged::Right,
            _ => late(life.meant_since, "person-wins", meant),
        },
    }
}

/// The watchdog lives since after all of its open requests to that container: it may not know of them.
fn is_new(facts: &Facts, life: &Life) -> bool {
    let (presence, since) = facts.watchdog;
    presence == Presence::Here && life.calls.values().all(|(_, posted)| *posted < since)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
