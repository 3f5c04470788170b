//! One repair of a container, as the journal writes it. Does not know what else a journal holds.

use crate::journal_stamp::hex16;
use serde::{Deserialize, Serialize};
use watchtree_core::container::io::EngineTime;
use watchtree_core::container::record::{OpenRepair, RepairStep};
use watchtree_core::id::BootId;
use watchtree_core::subject::Incarnation;
use watchtree_core::time::Moment;

/// See the module's text.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct RepairLine {
    id: String,
    incarnation: String,
    step: StepWord,
    last_event: u64,
    at: u64,
    boot: String,
    stop_timeout_secs: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StepWord {
    StopPosted,
    StopAnswered,
    StartPosted,
    StartAnswered,
    Ended,
    LeftDown,
    StopLingers,
    /// Of a newer version; never written.
    #[serde(other)]
    Unknown,
}

impl RepairLine {
    pub(crate) fn of(repair: &OpenRepair) -> Self {
        Self {
            id: repair.id.clone(),
            incarnation: repair.incarnation.0.clone(),
            step: step_word(repair.step),
            last_event: repair.last_event.0,
            at: repair.at.as_micros(),
            boot: repair.boot_id.to_string(),
            stop_timeout_secs: repair.stop_timeout_secs,
        }
    }

    /// Nothing where its step is of a newer version.
    pub(crate) fn into_core(self) -> Option<OpenRepair> {
        Some(OpenRepair {
            id: self.id,
            incarnation: Incarnation(self.incarnation),
            step: core_step(self.step)?,
            last_event: EngineTime(self.last_event),
            at: Moment::from_micros(self.at),
            boot_id: BootId(hex16(&self.boot)?),
            stop_timeout_secs: self.stop_timeout_secs,
        })
    }
}

fn step_word(step: RepairStep) -> StepWord {
    match step {
        RepairStep::StopPosted => StepWord::StopPosted,
        RepairStep::StopAnswered => StepWord::StopAnswered,
        RepairStep::StartPosted => StepWord::StartPosted,
        RepairStep::StartAnswered => StepWord::StartAnswered,
        RepairStep::Ended => StepWord::Ended,
        RepairStep::LeftDown => StepWord::LeftDown,
        RepairStep::StopLingers => StepWord::StopLingers,
    }
}

fn core_step(word: StepWord) -> Option<RepairStep> {
    Some(match word {
        StepWord::StopPosted => RepairStep::StopPosted,
        StepWord::StopAnswered => RepairStep::StopAnswered,
        StepWord::StartPosted => RepairStep::StartPosted,
        StepWord::StartAnswered => RepairStep::StartAnswered,
        StepWord::Ended => RepairStep::Ended,
        StepWord::LeftDown => RepairStep::LeftDown,
        StepWord::StopLingers => RepairStep::StopLingers,
        StepWord::Unknown => return None,
    })
}
