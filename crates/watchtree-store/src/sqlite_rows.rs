//! The rows of the manager's database as JSON: mirror types of the core's, which derive no `Serialize`.
//!
//! Contract: fields are only added, each with a default; a row that cannot be read (of a newer version) is skipped and counted
//! by the reader. Does not know tables.

use serde::{Deserialize, Serialize};
use watchtree_core::decision::DecisionId;
use watchtree_core::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use watchtree_core::incident::Incident;
use watchtree_core::manager::io::{AnnouncedLeave, KnownHost};
use watchtree_core::message::{Capabilities, Goodbye};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Duration, Moment, WallTime};
use watchtree_core::verdict::{Evidence, EvidenceKind, Level, State};

const STATES: [State; 14] = [
    State::Ok,
    State::Finished,
    State::Stopped,
    State::Starting,
    State::Unknown,
    State::Unwatched,
    State::Degraded,
    State::Suspect,
    State::Repairing,
    State::Unhealthy,
    State::AgentLost,
    State::Unreachable,
    State::Down,
    State::GivenUp,
];
const LEVELS: [Level; 4] = [Level::None, Level::Weak, Level::Strong, Level::Certain];
const TIERS: [Tier; 5] = [Tier::Manager, Tier::Relay, Tier::Host, Tier::Container, Tier::Service];

/// kind, detail, at
type Fact = (String, String, u64);

fn facts(evidence: &[Evidence]) -> Vec<Fact> {
    evidence
        .iter()
        .map(|fact| (fact.kind.as_str().to_string(), fact.detail.clone(), fact.at.as_micros()))
        .collect()
}

/// Facts of a kind that this version does not know are left out.
fn evidence(facts: Vec<Fact>) -> Vec<Evidence> {
    let read = |(kind, detail, at): Fact| {
        EvidenceKind::from_word(&kind).map(|kind| Evidence::new(kind, Moment::from_micros(at), detail))
    };
    facts.into_iter().filter_map(read).take(Evidence::COUNT_MAX).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct HostRow {
    name: String,
    tier: String,
    node_id: String,
    machine_id: String,
    boot_id: String,
    epoch: u64,
    version: String,
    capabilities: u64,
    scope: String,
    #[serde(default)]
    look_at: Vec<String>,
    seen: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<LeftRow>,
}

#[derive(Debug, Deserialize, Serialize)]
struct LeftRow {
    goodbye: String,
    #[serde(default)]
    back_within: u64,
    at: u64,
}

impl LeftRow {
    /// `None` for a host that left for good: it is forgotten.
    fn of(farewell: &AnnouncedLeave) -> Option<Self> {
        let (goodbye, back_within) = match farewell.goodbye {
            Goodbye::Restart { back_within } => ("restart", back_within),
            Goodbye::HostShutdown => ("host_shutdown", Duration::ZERO),
            Goodbye::Leaving => return None,
        };
        Some(Self {
            goodbye: goodbye.to_string(),
            back_within: u64::try_from(back_within.as_micros()).unwrap_or(u64::MAX),
            at: farewell.at.0,
        })
    }

    /// A goodbye of a newer version is none: the host is looked for.
    fn read(&self) -> Option<AnnouncedLeave> {
        let goodbye = match self.goodbye.as_str() {
            "restart" => Goodbye::Restart {
                back_within: Duration::from_micros(self.back_within),
            },
            "host_shutdown" => Goodbye::HostShutdown,
            _ => return None,
        };
        Some(AnnouncedLeave {
            goodbye,
            at: WallTime(self.at),
        })
    }
}

impl HostRow {
    pub(crate) fn of(host: &KnownHost) -> Self {
        let identity = &host.identity;
        Self {
            name: identity.name.to_string(),
            tier: identity.tier.as_str().to_string(),
            node_id: hex(&identity.node_id.0),
            machine_id: hex(&identity.machine_id.0),
            boot_id: hex(&identity.boot_id.0),
            epoch: identity.agent_epoch.0,
            version: identity.version.clone(),
            capabilities: host.capabilities.0,
            scope: host.scope.to_string(),
            look_at: host.look_at.clone(),
            seen: host.seen.0,
            left: host.left.as_ref().and_then(LeftRow::of),
        }
    }

    pub(crate) fn read(self) -> Option<KnownHost> {
        let identity = NodeIdentity {
            name: NodeName::new(&self.name).ok()?,
            tier: TIERS.into_iter().find(|tier| tier.as_str() == self.tier)?,
            node_id: NodeId(unhex(&self.node_id)?),
            machine_id: MachineId(unhex(&self.machine_id)?),
            boot_id: BootId(unhex(&self.boot_id)?),
            agent_epoch: AgentEpoch(self.epoch),
            version: self.version,
        };
        Some(KnownHost {
            identity,
            capabilities: Capabilities(self.capabilities),
            scope: SubjectId::new(&self.scope).ok()?,
            look_at: self.look_at,
            seen: WallTime(self.seen),
            left: self.left.as_ref().and_then(LeftRow::read),
        })
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct IncidentRow {
    id: u64,
    subject: String,
    state: String,
    level: String,
    unconfirmed: bool,
    why: String,
    root_cause: Option<String>,
    touched: u64,
    opened: u64,
    opened_wall: u64,
    closed_wall: Option<u64>,
    closed_why: String,
    evidence: Vec<Fact>,
    /// node, epoch, count
    decisions: Vec<(String, u64, u64)>,
}

impl IncidentRow {
    pub(crate) fn of(incident: &Incident) -> Self {
        let decision = |id: &DecisionId| (id.node.to_string(), id.epoch, id.count);
        Self {
            id: incident.id,
            subject: incident.subject.to_string(),
            state: incident.state.as_str().to_string(),
            level: incident.level.as_str().to_string(),
            unconfirmed: incident.unconfirmed,
            why: incident.why.clone(),
            root_cause: incident.root_cause.as_ref().map(ToString::to_string),
            touched: incident.touched,
            opened: incident.opened.as_micros(),
            opened_wall: incident.opened_wall.0,
            closed_wall: incident.closed_wall.map(|wall| wall.0),
            closed_why: incident.closed_why.clone(),
            evidence: facts(&incident.evidence),
            decisions: incident.decisions.iter().map(decision).collect(),
        }
    }

    pub(crate) fn read(self) -> Option<Incident> {
        let decision = |(node, epoch, count): (String, u64, u64)| {
            NodeName::new(&node).ok().map(|node| DecisionId { node, epoch, count })
        };
        Some(Incident {
            id: self.id,
            subject: SubjectId::new(&self.subject).ok()?,
            state: STATES.into_iter().find(|state| state.as_str() == self.state)?,
            level: LEVELS.into_iter().find(|level| level.as_str() == self.level)?,
            unconfirmed: self.unconfirmed,
            why: self.why,
            root_cause: self
                .root_cause
                .as_deref()
                .and_then(|subject| SubjectId::new(subject).ok()),
            touched: self.touched,
            opened: Moment::from_micros(self.opened),
            opened_wall: WallTime(self.opened_wall),
            closed_wall: self.closed_wall.map(WallTime),
            closed_why: self.closed_why,
            evidence: evidence(self.evidence),
            decisions: self
                .decisions
                .into_iter()
                .filter_map(decision)
                .take(Incident::DECISIONS_MAX)
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goodbye_is_kept_and_a_row_without_one_is_still_read() {
        let row = r#"{"name":"h1","tier":"host","node_id":"01010101010101010101010101010101",
            "machine_id":"02020202020202020202020202020202","boot_id":"03030303030303030303030303030303",
            "epoch":7,"version":"0.1.0","capabilities":15,"scope":"h1","look_at":["h1:22"],"seen":9}"#;
        let read = |row: &str| serde_json::from_str::<HostRow>(row).ok().and_then(HostRow::read);
        let plain = read(row).expect("a row as older programs wrote it");
        assert_eq!(plain.left, None);
        let back_within = Duration::from_secs(30);
        for goodbye in [Goodbye::HostShutdown, Goodbye::Restart { back_within }] {
            let at = WallTime(12);
            let left = KnownHost {
                left: Some(AnnouncedLeave { goodbye, at }),
                ..plain.clone()
            };
            let row = serde_json::to_string(&HostRow::of(&left)).expect("plain data");
            assert_eq!(read(&row), Some(left));
        }
        let newer = row.replace('}', r#","left":{"goodbye":"sold","at":1}}"#);
        assert_eq!(read(&newer), Some(plain), "a goodbye of a newer version is none");
    }
}
