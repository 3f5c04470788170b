//! What the unit tests of several modules share: names, subjects, identities, decisions.

use crate::decision::{ActionKind, Decision, DecisionId, Outcome};
use crate::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Moment, WallTime};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub(crate) fn subject(text: &str) -> SubjectId {
    SubjectId::new(text).unwrap()
}

/// A node whose ids follow from its name.
pub(crate) fn identity(text: &str, tier: Tier, epoch: u64) -> NodeIdentity {
    let byte = text
        .bytes()
        .fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    NodeIdentity {
        name: name(text),
        tier,
        node_id: NodeId([byte; 16]),
        machine_id: MachineId([byte; 16]),
        boot_id: BootId([byte; 16]),
        agent_epoch: AgentEpoch(epoch),
        version: "1".to_string(),
    }
}

/// A decision of node `n` for nothing; the count names it.
pub(crate) fn decision(text: &str, count: u64) -> Decision {
    Decision {
        id: DecisionId {
            node: name("n"),
            epoch: 1,
            count,
        },
        at: Moment::ZERO,
        wall: WallTime(0),
        subject: subject(text),
        incarnation: Incarnation::default(),
        evidence: Vec::new(),
        guards: Vec::new(),
        action: ActionKind::None,
        budget_left: None,
        outcome: Outcome::NotTaken,
        why: String::new(),
        result: String::new(),
    }
}
