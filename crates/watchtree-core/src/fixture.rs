//! What the unit tests of several modules share: names, subjects, identities.

use crate::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use crate::subject::SubjectId;
use alloc::string::ToString;

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
