//! `repaired`, `given-up`: what was meant to run and failed runs again, or is given up for a reason, within its bound.
//!
//! ```text
//! bound = waits for late events + the engine's own policy first + delay(failures in a row) + a start
//!       + where it hangs: until its check tells, what is left of its grace, its stop timeout
//!       + where watchdog, engine or events were away: until a list shows it
//!       + a start for each other container that is down at the same time, of as many as run at once
//! ```
//!
//! It runs from the failure, and anew from the end of whatever keeps the watchdog from seeing or acting.

use super::facts::{Broken, Facts, Life, Meant, is_cut_off, is_ill};
use super::notes::{Listed, Ms, Presence, clock_words};
use super::world::WORLD;
use std::collections::BTreeMap;

/// Late events are waited for.
const SETTLE: Ms = 2000;
/// A container with a restart policy is left to the engine first.
const ENGINE_FIRST: Ms = 2000;
/// From the request to the new process, with the events and inspections around it, where processor time is short.
const START: Ms = 5000;
/// What one more start costs where many run at once.
const ONE_MORE: Ms = 700;
/// A list, and what follows from it.
const LIST: Ms = 12_000;
/// Events of what a list shows come within that.
const LISTED: Ms = 1500;
/// No sign of a deploy for so long ends it.
const DEPLOY_QUIET: Ms = 30_000;
/// A state is shown for so long before it is judged: the tree is read now and then.
const SHOWN: Ms = 4000;
const DELAY_FIRST: Ms = 100;
const ENGINE_DELAY_MAX: Ms = 60_000;

/// A time in which a container is not well.
#[derive(Clone, Copy, Debug)]
struct Spell {
    since: Ms,
    /// The last moment at which something kept the watchdog from seeing or acting.
    excused: Ms,
    /// Most containers that were not well at the same time.
    crowd: u64,
    hung: bool,
    told: bool,
}

/// One repair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repaired {
    pub(super) took: Ms,
    pub(super) bound: Ms,
    pub(super) hung: bool,
    /// By the watchdog, and not by the engine's own policy.
    pub(super) by_us: bool,
    /// Nothing but the failure itself was in the way.
    pub(super) plain: bool,
}

/// See the top of this file.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    spells: BTreeMap<String, Spell>,
    told_given_up: BTreeMap<String, Ms>,
    /// Since when a name has been given up for a reason.
    limited: BTreeMap<usize, Ms>,
    pub(super) repaired: Vec<Repaired>,
    pub(super) escalated: u32,
}

impl Repairs {
    /// Looks at all containers as they are known to be `now`.
    pub(super) fn check(&mut self, facts: &Facts, now: Ms) -> Vec<Broken> {
        let mut broken = Vec::new();
        let crowd = facts
            .lives
            .values()
            .filter(|life| is_due(facts, life) && is_bad(facts, life))
            .count() as u64;
        for (id, life) in &facts.lives {
            if !is_due(facts, life) {
                self.spells.remove(id);
                continue;
            }
            broken.extend(self.check_given_up(id, life, now));
            if is_bad(facts, life) {
                broken.extend(self.check_bound((id, life), facts, crowd, now));
            } else if let Some(spell) = self.spells.remove(id) {
                let from = spell.since.max(spell.excused);
                self.repaired.push(Repaired {
                    took: life.started.max(from) - from,
                    bound: bound(life, &spell),
                    hung: spell.hung,
                    by_us: life.by_us,
                    plain: spell.excused <= spell.since,
                });
            }
        }
        broken
    }

    fn check_bound(&mut self, (id, life): (&String, &Life), facts: &Facts, crowd: u64, now: Ms) -> Option<Broken> {
        let hung = life.runs && is_ill(facts, life);
        let began = match life.hurt.filter(|_| hung) {
            Some(hurt) => hurt,
            None if !life.runs && 0 < life.died => life.died,
            None => now,
        };
        let spell = self.spells.entry(id.clone()).or_insert(Spell {
            since: began.max(life.meant_since),
            excused: 0,
            crowd,
            hung,
            told: false,
        });
        if hung != spell.hung {
            (spell.hung, spell.since) = (hung, began);
        }
        spell.crowd = spell.crowd.max(crowd);
        spell.excused = spell.excused.max(excused(facts, life, now));
        let given_up = life.shown.as_ref().is_some_and(|(state, ..)| state == "given_up");
        // A start that the engine refuses is told, with the cause, and tried again every 30 s.
        let refused = life.refused != 0 && life.shown.as_ref().is_some_and(|(state, ..)| state == "down");
        if given_up || refused {
            spell.excused = now;
        }
        let (from, bound) = (spell.since.max(spell.excused), bound(life, spell));
        if spell.told || now < from + bound {
            return None;
        }
        spell.told = true;
        let shown = life.shown.as_ref().map(|(state, why, _)| format!("{state}: {why}"));
        let text = format!(
            "{}: {} since {}, not repaired {:.1} s after {} (bound {:.1} s); shown as {}",
            WORLD[life.slot].name,
            if hung { "ill" } else { "down" },
            clock_words(spell.since),
            (now - from) as f64 / 1000.0,
            clock_words(from),
            bound as f64 / 1000.0,
            shown.unwrap_or_else(|| "nothing".to_owned()),
        );
        let id = id.clone();
        Some(Broken {
            at: now,
            rule: "repaired",
            id,
            text,
        })
    }

    /// It is given up only for a reason.
    fn check_given_up(&mut self, id: &str, life: &Life, now: Ms) -> Option<Broken> {
        let (state, why, since) = life.shown.as_ref()?;
        let told = self.told_given_up.get(id) == Some(since);
        if state != "given_up" || told || now < since + SHOWN {
            return None;
        }
        self.told_given_up.insert(id.to_owned(), *since);
        self.escalated += 1;
        let limits = WORLD[life.slot].limits();
        // What runs and is ill is stopped less often than what ended is started; each restart counts to both.
        let budget = match WORLD[life.slot].check_tells_within() {
            Some(_) => limits.budget.min(limits.stop_budget),
            None => limits.budget,
        };
        let used = budget <= life.restarts(*since) + 1;
        // That lasts until it has stayed up.
        let lasts = self.limited.get(&life.slot).is_some_and(|since| life.stayed < *since);
        if used {
            self.limited.insert(life.slot, *since);
        }
        // An engine that was killed while it was to restart a container may owe that for ever, and carries out nothing else.
        let is_owed = life.listed_as("restarting");
        if used || lasts || is_owed || life.flagged {
            return None;
        }
        let text = format!(
            "{}: given up after {} restarts of {}: {why}",
            WORLD[life.slot].name,
            life.restarts(*since),
            limits.budget
        );
        let id = id.to_owned();
        Some(Broken {
            at: now,
            rule: "given-up",
            id,
            text,
        })
    }
}

/// It is meant to run, and to be healed.
fn is_due(facts: &Facts, life: &Life) -> bool {
    let owner_runs = facts.owner(life).is_none_or(|owner| owner.runs);
    !life.gone && life.meant == Meant::Up && WORLD[life.slot].healed && owner_runs && life.deploys_since.is_none()
}

fn is_bad(facts: &Facts, life: &Life) -> bool {
    // A list that is older than the last event tells nothing.
    let is_news = life.started.max(life.died) + LISTED < life.listed_at;
    let is_down = |it: &Listed| it.state != "running" || !it.alive;
    let listed_down = is_news && life.listed.as_ref().is_some_and(is_down);
    !life.runs || listed_down || (is_ill(facts, life) && !life.unchecked)
}

/// The last moment at which something kept the watchdog from seeing or acting.
fn excused(facts: &Facts, life: &Life, now: Ms) -> Ms {
    let presence = |(presence, since): (Presence, Ms)| if presence == Presence::Here { since } else { now };
    let held = life.held.map_or(0, |(_, until)| until).max(life.may_be_held).min(now);
    let deployed = if life.deployed == 0 {
        0
    } else {
        (life.deployed + DEPLOY_QUIET).min(now)
    };
    let owner = facts.owner(life).map_or(0, |owner| owner.started);
    let asked = if life.ask.is_some() { now } else { life.answered };
    let all = [
        presence(facts.engine),
        presence(facts.watchdog),
        held,
        deployed,
        owner,
        asked,
    ];
    all.into_iter().max().unwrap_or(0)
}

fn bound(life: &Life, spell: &Spell) -> Ms {
    let spec = &WORLD[life.slot];
    let limits = spec.limits();
    let doubled = |max: Ms| (DELAY_FIRST << life.failures.saturating_sub(1).min(12)).min(max);
    let mut bound = SETTLE + doubled(limits.delay_max) + START + ONE_MORE * spell.crowd;
    if life.restart != "no" {
        // The engine's own delay begins anew after a run of 10 s.
        bound += ENGINE_FIRST + doubled(ENGINE_DELAY_MAX);
    }
    if spell.hung {
        let grace = limits.grace << life.our_starts.len().min(5);
        let left = (life.started + grace).saturating_sub(spell.since.max(spell.excused));
        let left = if life.was_healthy { 0 } else { left };
        bound += spec.check_tells_within().unwrap_or(LIST) + left + limits.stop_timeout;
    }
    if spell.since <= spell.excused {
        bound += LIST;
    }
    bound
}

/// For what must be true at the end: neither well nor given up.
pub(super) fn is_unrepaired(facts: &Facts, life: &Life) -> bool {
    let given_up = life.shown.as_ref().is_some_and(|(state, ..)| state == "given_up");
    is_due(facts, life) && is_bad(facts, life) && !given_up && life.refused == 0 && !is_cut_off(facts, life)
}
