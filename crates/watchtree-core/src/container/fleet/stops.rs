//! Whose a stop is that an event tells of, and what is to be found out after it. Decides nothing of what follows.

use super::engine_view::EngineView;
use super::watched::StopTaken;
use super::watchlist::Watchlist;
use crate::container::climate::Climate;
use crate::container::io::EngineEvent;
use crate::container::subject::StopEvent;
use crate::time::Moment;

/// A stop signal was sent or a stop (`signal` = `None`) carried out: ours, or a person's? True if an inspection is to
/// tell what came of it.
pub(super) fn on_stop(
    now: Moment,
    (engine, all): (&mut EngineView, &mut Watchlist),
    event: &EngineEvent,
    signal: Option<u32>,
    climate: Climate<'_>,
) -> bool {
    let came = engine.continuity().is_live(now).then_some(now);
    if came.is_none() && engine.disown_stop(event, signal) {
        return true;
    }
    let inventory = engine.inventory();
    let of_any = || inventory.subject_of(&event.id);
    let holder = signal.map_or_else(of_any, |_| inventory.holder_of(&event.id));
    let Some(subject) = holder.cloned() else { return false };
    let (Some(watched), Some(it)) = (all.get_mut(&subject), engine.get_mut(&event.id)) else {
        return false;
    };
    let at = event.at;
    match watched.take_stop(now, StopEvent { at, signal, came }, it) {
        StopTaken::Nothing => false,
        StopTaken::Inspect => true,
        // The machine goes down, said or not: no wish to remember. An engine that goes down answers no inspection.
        StopTaken::Foreign => {
            if !climate.is_leaving {
                watched.foreign_signal(now, it);
            }
            true
        }
    }
}
