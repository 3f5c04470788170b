//! The link to the host-watchdogs: frames and link events become inputs, envelopes become frames, and the allow-list is
//! read again when its folder changes.
//!
//! Judges nothing: a disconnect is a hint, a refused frame is counted by the core.

use crate::places::Places;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use watchtree_core::backend::{BackendInput, Peer};
use watchtree_core::manager::io::ManagerInput;
use watchtree_core::message::Envelope;
use watchtree_keys::{AllowDir, AllowList, CurveKeys};
use watchtree_link::{LinkError, LinkEvent, LinkHandle, Listen, Router, RouterConfig};
use watchtree_runtime::{Clock, Code, Conditions, Exit};

/// How often the folder of allowed keys is looked at.
const KEYS_EVERY: Duration = Duration::from_secs(1);

/// Binds the ROUTER and begins to read. While the loop works, an end of the reading (and the link ends with it) is a defect: nobody
/// would be heard any more.
pub(crate) fn start(
    endpoints: Vec<String>,
    keys: CurveKeys,
    allowed_dir: PathBuf,
    places: Places,
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
    let reading = tokio::spawn(read(events, places, allowed, link.clone(), inputs));
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
    let peer = watchtree_link::Peer::Node(to.name.clone());
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

async fn read(
    mut events: mpsc::Receiver<LinkEvent>,
    places: Places,
    mut allowed: Allowed,
    link: LinkHandle,
    inputs: mpsc::Sender<ManagerInput>,
) {
    let mut poll = tokio::time::interval(KEYS_EVERY);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            _ = poll.tick() => {
                if let Some(keys) = allowed.poll() {
                    link.set_allowed(keys);
                }
                continue;
            }
            event = events.recv() => event,
        };
        let input = match event {
            None | Some(LinkEvent::Closed { .. }) => return,
            Some(event) => input(&places, event),
        };
        if let Some(input) = input
            && inputs.send(ManagerInput::Hosts(input)).await.is_err()
        {
            return;
        }
    }
}

/// What the core is told of an event of the link.
fn input(places: &Places, event: LinkEvent) -> Option<BackendInput> {
    match event {
        LinkEvent::PeerSeen {
            peer: watchtree_link::Peer::Node(name),
            connection,
            address,
        } => {
            tracing::info!(node = %name, connection, "connected");
            places.connected(connection, address);
            None
        }
        LinkEvent::PeerGone {
            peer: watchtree_link::Peer::Node(name),
            connection,
        } => {
            tracing::info!(node = %name, connection, "connection gone");
            places.gone(connection);
            Some(BackendInput::PeerGone {
                name,
                why: "the transport reports a disconnect".to_string(),
            })
        }
        LinkEvent::Frame {
            peer: watchtree_link::Peer::Node(name),
            connection,
            parts,
            ..
        } => {
            let peer = Peer { name, connection };
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
                Places::default(),
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
            Places::default(),
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
