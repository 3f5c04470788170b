//! All that a journal holds of one subject, as one line of a fold of earlier records. Does not know what else a journal holds.

use crate::journal_repair::RepairLine;
use crate::journal_stamp::{
    Stamp, Startup, core_stamp, core_startup, hold_end, hold_line, longest_hold, stamp, startup_line,
};
use serde::{Deserialize, Serialize};
use watchtree_core::container::io::EngineTime;
use watchtree_core::container::record::{Desired, Recovered, RecoveredSubject};
use watchtree_core::subject::{Incarnation, SubjectId};

/// See the module's text.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SubjectLine {
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    desired: Option<(String, String, bool)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_seen: Option<(String, u64, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flag_set: Option<(String, u64, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    startup: Option<Startup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    came_up: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    charges: Vec<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<RepairLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_up: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Stamp>,
    #[serde(default = "longest_hold")]
    held_lasts_ms: u64,
}

impl SubjectLine {
    pub(crate) fn of(subject: &SubjectId, it: &RecoveredSubject) -> Self {
        let RecoveredSubject {
            desired,
            stop_seen,
            flag_set,
            startup,
            came_up,
            replaced,
            charges,
            repair,
            given_up,
            held,
        } = it;
        let seen = |(id, at, signal): &(String, EngineTime, u32)| (id.clone(), at.0, *signal);
        Self {
            subject: subject.to_string(),
            desired: desired
                .as_ref()
                .map(|(id, incarnation, desired)| (id.clone(), incarnation.0.clone(), *desired == Desired::Running)),
            stop_seen: stop_seen.as_ref().map(seen),
            flag_set: flag_set.as_ref().map(seen),
            startup: startup.as_ref().map(startup_line),
            came_up: came_up.clone(),
            replaced: replaced.clone(),
            charges: charges.iter().map(stamp).collect(),
            repair: repair.as_ref().map(RepairLine::of),
            given_up: given_up.as_ref().map(stamp),
            held: held.as_ref().map(|end| hold_line(end).0),
            held_lasts_ms: held.as_ref().map_or(0, |end| hold_line(end).1),
        }
    }

    pub(crate) fn apply_to(self, memory: &mut Recovered) -> Option<()> {
        let subject = subject_id(&self.subject)?;
        let had_repair = self.repair.is_some();
        let repair = self.repair.and_then(RepairLine::into_core);
        let is_whole = had_repair == repair.is_some();
        let seen = |(id, at, signal): (String, u64, u32)| (id, EngineTime(at), signal);
        let it = RecoveredSubject {
            desired: self
                .desired
                .map(|(id, life, running)| (id, Incarnation(life), desired(running))),
            stop_seen: self.stop_seen.map(seen),
            flag_set: self.flag_set.map(seen),
            startup: self.startup.as_ref().and_then(core_startup),
            came_up: self.came_up,
            replaced: self.replaced,
            charges: self.charges.iter().filter_map(core_stamp).collect(),
            repair,
            given_up: self.given_up.as_ref().and_then(core_stamp),
            held: self.held.and_then(|held| hold_end(&held, self.held_lasts_ms)),
        };
        memory.subjects.insert(subject, it);
        is_whole.then_some(())
    }
}

/// The subject of that text; `None` = it names none.
pub(crate) fn subject_id(text: &str) -> Option<SubjectId> {
    SubjectId::new(text).ok()
}

/// What it is meant to do.
pub(crate) fn desired(running: bool) -> Desired {
    if running { Desired::Running } else { Desired::Stopped }
}
