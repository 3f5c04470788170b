//! The two sockets of host-watchdog: a DEALER to the manager, a ROUTER for the container-watchdogs. Frames become inputs here.
//!
//! Contract: on ipc a peer is the process that the kernel names; only processes that were started or adopted have a node name. Does
//! not know what a frame causes.

use crate::children::Names;
use crate::orders::OrderVerifier;
use crate::refusals::Refusals;
use anyhow::Result;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use watchtree_config::HostConfig;
use watchtree_core::backend::{BackendInput, Peer};
use watchtree_core::frontend::FrontendInput;
use watchtree_core::host::io::HostInput;
use watchtree_core::message::Envelope;
use watchtree_keys::{CurveKeys, CurvePublic, KeyError};
use watchtree_link::{
    Clock, Dealer, DealerConfig, DownReason, LinkError, LinkHandle, LinkReader, Listen, Peer as LinkPeer, Router,
    RouterConfig, Upstream, pump,
};
use watchtree_runtime::{Code, Exit};

/// Strangers on the ipc socket that are named in the log, so that one of them cannot fill it.
const STRANGERS_MAX: usize = 32;

/// Reads the keys for the way up; `None` without a `[parent]`.
pub(crate) fn upstream(config: &HostConfig) -> Result<Option<Upstream>> {
    let Some(parent) = &config.parent else { return Ok(None) };
    let keys = CurveKeys::load(&config.keys().key).map_err(bad_key)?;
    let server_keys = CurvePublic::load(parent.server_key()).map_err(bad_key)?;
    Ok(Some(Upstream::Tcp {
        endpoint: parent.connect.endpoint(),
        keys,
        server_keys,
    }))
}

fn bad_key(error: KeyError) -> Exit {
    if error.is_permission() {
        let line = format!("{error}; run as root or as the user it belongs to");
        return Exit::new(Code::NoRights, line);
    }
    Exit::new(Code::BadInput, error.to_string())
}

fn bad_link(error: LinkError) -> Exit {
    let code = match error.exit_code() {
        2 => Code::BadInput,
        6 => Code::NoRights,
        8 => Code::Taken,
        _ => Code::Failed,
    };
    Exit::new(code, error.to_string())
}

/// Which process a core peer stands for; the connection has the link's own number.
type Connections = Arc<Mutex<BTreeMap<Peer, LinkPeer>>>;

/// The links' names in the log.
const CHILDREN: &str = "the children's socket";
const MANAGER: &str = "the link to the manager";

/// Where the links report to.
pub(crate) struct Outputs {
    pub(crate) inputs: mpsc::Sender<HostInput>,
    /// The name of a link that ended.
    pub(crate) ended: mpsc::Sender<&'static str>,
}

/// Both sockets, running.
pub(crate) struct Links {
    up: Option<LinkHandle>,
    down: LinkHandle,
    connections: Connections,
    refusals: Refusals,
    inputs: mpsc::Sender<HostInput>,
    pumps: Vec<JoinHandle<()>>,
}

impl Links {
    /// Binds and connects.
    pub(crate) fn start(
        config: &HostConfig,
        upstream: Option<Upstream>,
        names: Names,
        orders: OrderVerifier,
        refusals: &Refusals,
        outputs: Outputs,
    ) -> Result<Self> {
        let clock: Clock = Arc::new(|| watchtree_runtime::Clock.now());
        let listen = Listen::Ipc {
            path: config.children_socket(),
            uids: Vec::new(),
        };
        let (down, events) = Router::start(RouterConfig::new(listen), Arc::clone(&clock)).map_err(bad_link)?;
        let connections = Connections::default();
        refusals.include(down.clone());
        let Outputs { inputs, ended } = outputs;
        let reader = ChildrenReader::new(names, Arc::clone(&connections), refusals.clone());
        let reading = tokio::spawn(pump(CHILDREN, events, reader, inputs.clone()));
        let mut pumps = vec![tokio::spawn(report_end(CHILDREN, reading, ended.clone()))];
        let up = match upstream {
            None => None,
            Some(upstream) => {
                let (up, events) = Dealer::start(DealerConfig::new(upstream), clock).map_err(bad_link)?;
                refusals.include(up.clone());
                let refusals = refusals.clone();
                let reading = tokio::spawn(pump(
                    MANAGER,
                    events,
                    ManagerReader { orders, refusals },
                    inputs.clone(),
                ));
                pumps.push(tokio::spawn(report_end(MANAGER, reading, ended)));
                Some(up)
            }
        };
        Ok(Self {
            up,
            down,
            connections,
            refusals: refusals.clone(),
            inputs,
            pumps,
        })
    }

    /// Hands a frame to the manager's link. Without a manager it is lost, as on a link that is down.
    pub(crate) fn send_up(&self, envelope: &Envelope) {
        self.refusals.count_order(&envelope.message);
        let Some(up) = &self.up else { return };
        let sent = watchtree_wire::encode(envelope)
            .map_err(|error| error.to_string())
            .and_then(|parts| up.try_send_up(parts).map_err(|error| error.to_string()));
        if let Err(why) = sent {
            tracing::debug!(why, seq = envelope.header.seq, "a frame to the manager is lost");
            let lost = FrontendInput::NotSent {
                seq: envelope.header.seq,
            };
            crate::children::enqueue(&self.inputs, HostInput::Link(lost));
        }
    }

    /// Hands a frame to a child's connection.
    pub(crate) fn send_down(&self, to: Peer, envelope: &Envelope) {
        let peer = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&to)
            .cloned();
        let sent = peer
            .ok_or_else(|| "that connection is gone".to_string())
            .and_then(|peer| {
                let parts = watchtree_wire::encode(envelope).map_err(|error| error.to_string())?;
                self.down
                    .try_send(&peer, to.connection, parts)
                    .map_err(|error| error.to_string())
            });
        if let Err(why) = sent {
            tracing::debug!(why, to = %to.name, seq = envelope.header.seq, "a frame to a child is lost");
            let lost = BackendInput::NotSent {
                peer: to,
                seq: envelope.header.seq,
            };
            crate::children::enqueue(&self.inputs, HostInput::Children(lost));
        }
    }

    /// Lets what was sent leave, then closes both.
    pub(crate) async fn stop(self, linger: Duration) {
        for handle in self.up.iter().chain([&self.down]) {
            handle.stop(linger);
        }
        for pump in self.pumps {
            // The link closes its channel within its own bound; a pump that waits for the ended loop ends with that.
            let _ = tokio::time::timeout(linger + Duration::from_secs(1), pump).await;
        }
    }
}

/// While the loop works, a link that ends is a defect: without it living children would count as silent, and be killed.
async fn report_end(link: &'static str, reading: JoinHandle<()>, ended: mpsc::Sender<&'static str>) {
    // An error: it panicked, and that is an end too.
    let _ = reading.await;
    // If the loop has ended, it ended the link itself.
    let _ = ended.send(link).await;
}

/// Reads the link to the manager.
struct ManagerReader {
    orders: OrderVerifier,
    refusals: Refusals,
}

impl LinkReader for ManagerReader {
    type Input = HostInput;

    fn up(&mut self) -> Option<HostInput> {
        Some(HostInput::Link(FrontendInput::Up))
    }

    fn down(&mut self, why: DownReason) -> Option<HostInput> {
        let why = why.to_string();
        Some(HostInput::Link(FrontendInput::Down { why }))
    }

    fn frame(&mut self, _manager: LinkPeer, _connection: u64, parts: Vec<Vec<u8>>) -> Option<HostInput> {
        match watchtree_wire::decode(&parts) {
            Ok(envelope) => Some(self.orders.input_of(envelope)),
            Err(error) => {
                self.refusals.count("undecodable");
                tracing::warn!(%error, "a frame of the manager cannot be read");
                None
            }
        }
    }
}

/// Reads the ipc socket.
struct ChildrenReader {
    names: Names,
    connections: Connections,
    refusals: Refusals,
    /// The children by connection.
    peers: BTreeMap<u64, Peer>,
    /// Process ids of strangers that were logged.
    strangers: Vec<u32>,
}

impl LinkReader for ChildrenReader {
    type Input = HostInput;

    fn peer_seen(&mut self, peer: LinkPeer, connection: u64, _address: Option<IpAddr>) -> Option<HostInput> {
        if let LinkPeer::Local(local) = &peer
            && self.known(&peer, connection).is_none()
            && self.strangers.len() < STRANGERS_MAX
            && !self.strangers.contains(&local.pid)
        {
            self.strangers.push(local.pid);
            tracing::warn!(%peer, "no child of ours: its frames are refused");
        }
        None
    }

    fn peer_gone(&mut self, _peer: LinkPeer, connection: u64) -> Option<HostInput> {
        let name = self.forget(connection)?.name;
        let why = "it closed the connection".into();
        Some(HostInput::Children(BackendInput::PeerGone { name, why }))
    }

    fn frame(&mut self, peer: LinkPeer, connection: u64, parts: Vec<Vec<u8>>) -> Option<HostInput> {
        let Some(known) = self.known(&peer, connection) else {
            self.refusals.count("stranger");
            return None;
        };
        Some(HostInput::Children(watchtree_wire::received(known, &parts)))
    }
}

impl ChildrenReader {
    fn new(names: Names, connections: Connections, refusals: Refusals) -> Self {
        Self {
            names,
            connections,
            refusals,
            peers: BTreeMap::new(),
            strangers: Vec::new(),
        }
    }

    /// The child at the other end. Looked up anew for each frame of a stranger: a child may send before its start is recorded.
    fn known(&mut self, peer: &LinkPeer, connection: u64) -> Option<Peer> {
        if let Some(known) = self.peers.get(&connection) {
            return Some(known.clone());
        }
        let LinkPeer::Local(local) = peer else { return None };
        let known = Peer {
            name: self.names.of(local.pid)?,
            connection,
        };
        self.lock().insert(known.clone(), peer.clone());
        self.peers.insert(connection, known.clone());
        Some(known)
    }

    fn forget(&mut self, connection: u64) -> Option<Peer> {
        let known = self.peers.remove(&connection)?;
        self.lock().remove(&known);
        Some(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Peer, LinkPeer>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtree_core::id::NodeName;
    use watchtree_core::time::Moment;
    use watchtree_link::{LinkEvent, LocalPeer};

    fn reader(names: &Names) -> ChildrenReader {
        ChildrenReader::new(names.clone(), Connections::default(), Refusals::default())
    }

    #[tokio::test]
    async fn the_end_of_a_link_is_reported() {
        let (inputs, _inbox) = mpsc::channel(1);
        let (ended, mut ends) = mpsc::channel(1);
        let (events, taken) = mpsc::channel(1);
        let reading = tokio::spawn(pump(CHILDREN, taken, reader(&Names::default()), inputs));
        tokio::spawn(report_end(CHILDREN, reading, ended.clone()));
        events
            .send(LinkEvent::Closed { clean: true })
            .await
            .expect("it is read");
        assert_eq!(ends.recv().await, Some(CHILDREN));
        let broken = tokio::spawn(async { panic!("a defect of ours") });
        tokio::spawn(report_end(MANAGER, broken, ended));
        assert_eq!(ends.recv().await, Some(MANAGER));
    }

    #[tokio::test]
    async fn a_child_that_sends_before_its_start_is_recorded_is_a_stranger_only_until_then() {
        let (names, name) = (Names::default(), NodeName::new("h1.docker.watchdog").expect("a name"));
        let (inputs, mut inbox) = mpsc::channel(1);
        let (events, taken) = mpsc::channel(1);
        let reader = reader(&names);
        let (connections, refusals) = (Arc::clone(&reader.connections), reader.refusals.clone());
        tokio::spawn(pump(CHILDREN, taken, reader, inputs));
        let local = LocalPeer {
            uid: 0,
            gid: 0,
            pid: 77,
        };
        let (peer, connection) = (LinkPeer::Local(local), 5);
        let frame = || LinkEvent::Frame {
            peer: peer.clone(),
            connection,
            parts: vec![b"WT1".to_vec()],
            at: Moment::ZERO,
        };
        let seen = LinkEvent::PeerSeen {
            peer: peer.clone(),
            connection,
            address: None,
        };
        // With room for one: what was sent before the last two has been dealt with.
        for event in [seen, frame(), LinkEvent::Up, LinkEvent::Up] {
            events.send(event).await.expect("it is read");
        }
        assert_eq!(refusals.all(BTreeMap::new()).get("stranger"), Some(&1));
        names.set(local.pid, name.clone());
        events.send(frame()).await.expect("it is read");
        drop(events);
        let known = Peer { name, connection };
        let told = inbox.recv().await.expect("it is told");
        assert!(
            matches!(&told, HostInput::Children(BackendInput::Undecodable { peer, .. }) if *peer == known),
            "{told:?}"
        );
        assert_eq!(connections.lock().expect("no panic").get(&known), Some(&peer));
    }
}
