//! The link to the host-watchdogs: frames and link events become inputs, envelopes become frames, and the allow-list is
//! read again when its folder changes.
//!
//! Judges nothing: a disconnect is a hint, a refused frame is counted by the core.

use crate::places::Places;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use watchtree_core::backend::{BackendInput, Peer};
use watchtree_core::id::NodeName;
use watchtree_core::manager::io::ManagerInput;
use watchtree_core::message::Envelope;
use watchtree_keys::{AllowDir, AllowList, CurveKeys};
use watchtree_link::{LinkError, LinkEvent, LinkHandle, Listen, Router, RouterConfig};
use watchtree_runtime::{Clock, Code, Conditions, Exit};

/// How often the folder of allowed keys is looked at.
const KEYS_EVERY: Duration = Duration::from_secs(1);

/// Binds the ROUTER and begins to read.
pub(crate) fn start(
    endpoints: Vec<String>,
    keys: CurveKeys,
    allowed_dir: PathBuf,
    places: Places,
    inputs: mpsc::Sender<ManagerInput>,
    conditions: Conditions,
) -> Result<LinkHandle, Exit> {
    let listen = Listen::Tcp {
        endpoints,
        keys,
        allowed: Arc::new(AllowList::default()),
    };
    let (link, events) = Router::start(RouterConfig::new(listen), Arc::new(|| Clock.now())).map_err(link_exit)?;
    let allowed = Allowed {
        folder: AllowDir::new(&allowed_dir),
        link: link.clone(),
        conditions,
    };
    let connections = Connections {
        numbers: BTreeMap::new(),
        places,
    };
    tokio::spawn(read(events, connections, allowed, inputs));
    Ok(link)
}

fn link_exit(error: LinkError) -> Exit {
    let code = match error.exit_code() {
        2 => Code::BadInput,
        6 => Code::NoRights,
        8 => Code::Taken,
        _ => Code::Failed,
    };
    Exit::new(code, error.to_string())
}

/// Hands an envelope to the link; `Err` = it is lost, and why.
pub(crate) fn send(link: &LinkHandle, to: &Peer, envelope: &Envelope) -> Result<(), String> {
    let parts = watchtree_wire::encode(envelope).map_err(|error| error.to_string())?;
    let peer = watchtree_link::Peer::Node(to.name.clone());
    link.try_send(&peer, parts).map_err(|error| error.to_string())
}

/// The keys of nodes that may connect.
struct Allowed {
    folder: AllowDir,
    link: LinkHandle,
    conditions: Conditions,
}

impl Allowed {
    /// Small files on a local disk, once a second only looked at by their stamps.
    fn poll(&mut self) {
        let state = match self.folder.poll() {
            Ok(None) => return,
            Ok(Some(reload)) => {
                let count = reload.now.len();
                self.link.set_allowed(reload.now);
                tracing::info!(count, "keys of nodes that may connect");
                match reload.bad.first() {
                    Some(bad) => Err(format!("{bad} (this file is skipped)")),
                    None => Ok(format!("{count} nodes may connect")),
                }
            }
            Err(error) => Err(format!("{error}; the keys read before stay in force")),
        };
        self.conditions.report("allowed", &state);
    }
}

async fn read(
    mut events: mpsc::Receiver<LinkEvent>,
    mut connections: Connections,
    mut allowed: Allowed,
    inputs: mpsc::Sender<ManagerInput>,
) {
    let mut poll = tokio::time::interval(KEYS_EVERY);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            _ = poll.tick() => {
                allowed.poll();
                continue;
            }
            event = events.recv() => event,
        };
        let input = match event {
            None | Some(LinkEvent::Closed { .. }) => return,
            Some(event) => connections.input(event),
        };
        if let Some(input) = input
            && inputs.send(ManagerInput::Hosts(input)).await.is_err()
        {
            return;
        }
    }
}

/// Numbers the connections of each node: the link tells when a new one begins.
struct Connections {
    numbers: BTreeMap<NodeName, u64>,
    places: Places,
}

impl Connections {
    fn peer(&self, name: NodeName) -> Peer {
        let connection = self.numbers.get(&name).copied().unwrap_or(0);
        Peer { name, connection }
    }

    fn input(&mut self, event: LinkEvent) -> Option<BackendInput> {
        match event {
            LinkEvent::PeerSeen {
                peer: watchtree_link::Peer::Node(name),
            } => {
                tracing::info!(node = %name, "connected");
                self.places.seen(&name);
                *self.numbers.entry(name).or_default() += 1;
                None
            }
            LinkEvent::PeerGone {
                peer: watchtree_link::Peer::Node(name),
            } => {
                tracing::info!(node = %name, "connection gone");
                Some(BackendInput::PeerGone {
                    name,
                    why: "the transport reports a disconnect".to_string(),
                })
            }
            LinkEvent::Frame {
                peer: watchtree_link::Peer::Node(name),
                parts,
                ..
            } => {
                let peer = self.peer(name);
                Some(match watchtree_wire::decode(&parts) {
                    Ok(envelope) => BackendInput::Received { peer, envelope },
                    Err(error) => BackendInput::Undecodable {
                        peer,
                        seq: watchtree_wire::seq_of(&parts),
                        why: error.to_string(),
                    },
                })
            }
            LinkEvent::Refused { why, count, address } => {
                tracing::warn!(reason = why.as_str(), count, address, "refused");
                None
            }
            LinkEvent::NotSent { peer, why, count } => {
                tracing::debug!(%peer, %why, count, "frames not sent");
                None
            }
            other => {
                tracing::debug!(?other, "link");
                None
            }
        }
    }
}
