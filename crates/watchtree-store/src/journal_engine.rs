//! A life of the engine as JSON. Knows no record.

use crate::journal_stamp::hex16;
use serde::{Deserialize, Serialize};
use watchtree_core::container::io::EngineTime;
use watchtree_core::container::record::EngineLife;
use watchtree_core::id::BootId;

/// See [`EngineLife`].
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct EngineLine {
    began: u64,
    boot: String,
    silent_since: u64,
    going_down_since: u64,
}

impl EngineLine {
    pub(crate) fn of(life: &EngineLife) -> Self {
        Self {
            began: life.began.0,
            boot: life.boot_id.to_string(),
            silent_since: life.silent_since.0,
            going_down_since: life.going_down_since.0,
        }
    }

    pub(crate) fn into_core(self) -> Option<EngineLife> {
        Some(EngineLife {
            began: EngineTime(self.began),
            boot_id: BootId(hex16(&self.boot)?),
            silent_since: EngineTime(self.silent_since),
            going_down_since: EngineTime(self.going_down_since),
        })
    }
}
