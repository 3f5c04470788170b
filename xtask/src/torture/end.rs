//! What must be true when the faults are over: each container is what was meant, and the watchdog's tree tells the same as the
//! engine.

use super::facts::{Facts, Life, Meant, is_ill};
use super::repairs::is_unrepaired;
use super::world::WORLD;

/// One sentence for each container that is not as it should be.
pub(super) fn left(facts: &Facts) -> Vec<String> {
    let there = facts
        .newest
        .values()
        .filter_map(|id| facts.lives.get(id))
        .filter(|life| !life.gone);
    there
        .filter_map(|life| Some(format!("{} {}", WORLD[life.slot].name, of(facts, life)?)))
        .collect()
}

fn of(facts: &Facts, life: &Life) -> Option<String> {
    let (state, why) = life
        .shown
        .as_ref()
        .map_or(("unknown", ""), |(state, why, _)| (state.as_str(), why.as_str()));
    let listed = life.listed.as_ref().map_or("nothing", |it| it.state.as_str());
    let shown = format!("and is {listed}, shown as {state} ({why})");
    let is = |words: &[&str]| words.contains(&state);
    let runs = life.listed_as("running");
    if state == "missing" {
        return Some(format!("is {listed}, and not in the tree"));
    }
    let (as_meant, as_shown) = match life.meant {
        Meant::Up if !WORLD[life.slot].healed => (true, runs == is(&["ok", "starting", "unhealthy", "degraded"])),
        Meant::Up if state == "given_up" => (true, true),
        // The engine refuses its start, and that is told.
        Meant::Up if life.refused != 0 && state == "down" => (true, true),
        // One that joins the network of what is down waits for it.
        Meant::Up if facts.owner(life).is_some_and(|owner| !owner.runs) => (true, true),
        Meant::Up => (!is_unrepaired(facts, life), is_ill(facts, life) || is(&["ok"])),
        Meant::Down => (!runs, is(&["stopped", "finished"])),
        Meant::Paused => (life.listed_as("paused"), is(&["stopped"])),
        Meant::Finished => (!runs, is(&["finished", "stopped"])),
        Meant::Any => (
            true,
            runs == is(&["ok", "starting", "unhealthy", "degraded"]) || is(&["given_up", "stopped"]),
        ),
    };
    match (as_meant, as_shown) {
        (true, true) => None,
        (false, _) => Some(format!("is meant {:?} {shown}", life.meant)),
        (true, false) => Some(format!("is not shown as it is: meant {:?} {shown}", life.meant)),
    }
}
