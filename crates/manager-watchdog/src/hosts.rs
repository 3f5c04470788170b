//! The link to the host-watchdogs: frames and link events become inputs, envelopes become frames.
//!
//! Contract: the allow-list is read again when its folder changes. Does not judge: a disconnect is a hint, a refused frame is counted
//! by the core.

use crate::probe_targets::ProbeTargets;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use watchtree_core::backend::{BackendInput, Peer};
use watchtree_core::id::NodeName;
use watchtree_core::manager::io::ManagerInput;
use watchtree_core::message::Envelope;
use watchtree_keys::{AllowDir, AllowList, CurveKeys};
use watchtree_link::{LinkError, LinkHandle, LinkReader, Listen, Peer as LinkPeer, Router, RouterConfig, pump};
use watchtree_runtime::{Clock, Code, Conditions, Exit};

/// Binds the ROUTER and begins to read. While the loop works, an end of the reading (and the link ends with it) is a defect: nobody
/// would be heard any more.
pub(crate) fn start(
    endpoints: Vec<String>,
    keys: CurveKeys,
    allowed_dir: PathBuf,
    targets: ProbeTargets,
    inputs: mpsc::Sender<ManagerInput>,
    conditions: Conditions,
) -> Result<(LinkHandle, JoinHandle<()>), Exit> {
    let mut allowed = Allowed {
        folder: AllowDir::new(&allowed_dir),
        conditions,
    };
    // Before the port opens: who is refused once waits for a second or more before it comes again.
    let listen = Listen::Tcp {
        endpoints,
        keys,
        allowed: allowed.poll().unwrap_or_default(),
    };
    let (link, events) = Router::start(RouterConfig::new(listen), Arc::new(|| Clock.now())).map_err(link_exit)?;
    let reader = HostsReader {
        targets,
        allowed,
        link: link.clone(),
    };
    let reading = tokio::spawn(pump("hosts", events, reader, inputs));
    Ok((link, reading))
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
    let peer = LinkPeer::Node(to.name.clone());
    link.try_send(&peer, to.connection, parts)
        .map_err(|error| error.to_string())
}

/// The keys of nodes that may connect.
struct Allowed {
    folder: AllowDir,
    conditions: Conditions,
}

impl Allowed {
    /// The keys, if they changed. Small files on a local disk, once a second only looked at by their stamps.
    fn poll(&mut self) -> Option<Arc<AllowList>> {
        let (keys, state) = match self.folder.poll() {
            Ok(None) => return None,
            Ok(Some(reload)) => {
                let count = reload.now.len();
                tracing::info!(count, "keys of nodes that may connect");
                let state = match reload.bad.first() {
                    Some(bad) => Err(format!("{bad} (this file is skipped)")),
                    None => Ok(format!("{count} nodes may connect")),
                };
                (Some(reload.now), state)
            }
            Err(error) => (None, Err(format!("{error}; the keys read before stay in force"))),
        };
        self.conditions.report("allowed", &state);
        keys
    }
}

/// Reads the ROUTER.
struct HostsReader {
    targets: ProbeTargets,
    allowed: Allowed,
    link: LinkHandle,
}

impl LinkReader for HostsReader {
    type Input = ManagerInput;

    const POLL_EVERY: Duration = Duration::from_secs(1);

    fn poll(&mut self) {
        if let Some(keys) = self.allowed.poll() {
            self.link.set_allowed(keys);
        }
    }

    fn peer_seen(&mut self, peer: LinkPeer, connection: u64, address: Option<IpAddr>) -> Option<ManagerInput> {
        tracing::info!(%peer, connection, "connected");
        self.targets.connected(connection, address);
        None
    }

    fn peer_gone(&mut self, peer: LinkPeer, connection: u64) -> Option<ManagerInput> {
        tracing::info!(%peer, connection, "connection gone");
        self.targets.gone(connection);
        let name = node(peer)?;
        let why = "the transport reports a disconnect".to_string();
        Some(ManagerInput::Hosts(BackendInput::PeerGone { name, why }))
    }

    fn frame(&mut self, peer: LinkPeer, connection: u64, parts: Vec<Vec<u8>>) -> Option<ManagerInput> {
        let name = node(peer)?;
        let peer = Peer { name, connection };
        Some(ManagerInput::Hosts(watchtree_wire::received(peer, &parts)))
    }
}

/// On tcp a peer is always the node of its key.
fn node(peer: LinkPeer) -> Option<NodeName> {
    match peer {
        LinkPeer::Node(name) => Some(name),
        LinkPeer::Parent | LinkPeer::Local(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use watchtree_link::{Dealer, DealerConfig, Upstream};

    fn write_key(folder: &std::path::Path, name: &str, keys: &CurveKeys) {
        let text = format!("watchtree-key v1 curve public\npublic {}\n", keys.public());
        std::fs::write(folder.join(format!("{name}.pub")), text).expect("a file can be written");
    }

    #[test]
    fn who_is_on_the_list_is_let_in_from_the_first_moment_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let (server, node) = (
            CurveKeys::generate().expect("keys"),
            CurveKeys::generate().expect("keys"),
        );
        write_key(folder.path(), "h1", &node);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (inputs, _inbox) = mpsc::channel(16);
        // Nothing is ever run in this runtime: the list that is in force is the one the link was started with.
        let (manager, _reading) = runtime.block_on(async {
            start(
                vec!["tcp://127.0.0.1:0".to_string()],
                server.clone(),
                folder.path().to_path_buf(),
                ProbeTargets::default(),
                inputs,
                Conditions::new(),
            )
            .map_err(|exit| exit.to_string())
            .expect("it listens")
        });
        let upstream = Upstream::Tcp {
            endpoint: manager.bound()[0].clone(),
            keys: node,
            server_keys: vec![server.public()],
        };
        let (child, _events) = Dealer::start(DealerConfig::new(upstream), Arc::new(|| Clock.now())).expect("it starts");
        let begin = Instant::now();
        while !child.is_up() {
            assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", child.counters());
            std::thread::yield_now();
        }
        assert_eq!(child.counters().handshakes_failed, 0);
    }

    #[tokio::test]
    async fn the_end_of_the_link_ends_the_reading() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inputs, mut inbox) = mpsc::channel(16);
        let (link, reading) = start(
            vec!["tcp://127.0.0.1:0".to_string()],
            CurveKeys::generate().expect("keys"),
            folder.path().to_path_buf(),
            ProbeTargets::default(),
            inputs,
            Conditions::new(),
        )
        .map_err(|exit| exit.to_string())
        .expect("it listens");
        link.stop(Duration::ZERO);
        reading.await.expect("no panic");
        assert_eq!(inbox.recv().await, None);
    }
}
