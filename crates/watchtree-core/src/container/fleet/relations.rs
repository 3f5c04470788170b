//! What a step of one container means for those that depend on it. Decides nothing about the container itself.

use super::engine_view::EngineView;
use super::watchlist::Watchlist;
use crate::container::inventory::Inventory;
use crate::container::io::ContainerId;
use crate::container::naming::runs_once;
use crate::container::relatives;
use crate::container::settings::ContainerSettings;
use crate::container::subject::RestartAfter;
use crate::id::NodeName;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::Verdict;
use alloc::string::ToString;

/// It has taken a step: whoever waits for it looks again where it is shown otherwise, and whoever is restarted with it follows.
pub(super) fn pass_on(
    now: Moment,
    sid: &SubjectId,
    watched: &mut Watchlist,
    engine: &mut EngineView,
    settings: &ContainerSettings,
) {
    let Some(stepped) = watched.get_mut(sid) else { return };
    let (is_news, is_restarted) = (stepped.take_news(), stepped.take_restarted());
    let Some(id) = engine.inventory().container_of(sid).cloned() else {
        return;
    };
    if is_restarted {
        follow(now, &id, watched, engine, settings);
    }
    if is_news || is_restarted {
        engine.touch_children(&id);
    }
}

/// It began a new incarnation by a repair of ours: who is restarted with it is marked, in the incarnation that is older than that.
fn follow(now: Moment, id: &ContainerId, watched: &mut Watchlist, engine: &EngineView, settings: &ContainerSettings) {
    let inventory = engine.inventory();
    let Some(it) = inventory.get(id) else { return };
    for follower in relatives::followers(inventory, id) {
        let (own, known) = (inventory.observation_of(&follower), watched.get_mut(&follower));
        let (Some(own), Some(known)) = (own, known) else {
            continue;
        };
        // It may be seen late, and that one may have followed by itself.
        let is_older = own.started_at() < it.started_at();
        if !is_older || own.view().and_then(runs_once).is_some() {
            continue;
        }
        let after = RestartAfter {
            parent: it.name().to_string(),
            began: it.incarnation(),
            since: now,
            own: own.incarnation(),
        };
        known.restart_after(after, settings);
    }
}

/// What is believed of a subject, with what a person should see of its dependencies.
pub(super) fn verdict(
    sid: &SubjectId,
    watched: &Watchlist,
    inventory: &Inventory,
    observer: &NodeName,
) -> Option<Verdict> {
    let it = inventory.observation_of(sid);
    let remarks = it.map(|it| relatives::remarks(inventory, it.id()));
    watched.get(sid)?.verdict(it, observer, remarks.unwrap_or_default())
}
