//! The link to host-watchdog: frames and link events become inputs, envelopes become frames, signatures of orders are verified.
//!
//! Contract: losing the parent is only a condition; the link reconnects by itself, and a link that ended is made anew. Does not know
//! what an order causes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use watchtree_core::container::io::ContainerInput;
use watchtree_core::frontend::FrontendInput;
use watchtree_core::message::{Envelope, Message, OrderFrame};
use watchtree_core::order::{Order, OrderAnswer, OrderRefusal, SignedOrder};
use watchtree_keys::{OrderKeyDir, TrustedOrderKeys};
use watchtree_link::{
    Dealer, DealerConfig, DownReason, LinkError, LinkEvent, LinkHandle, LinkReader, Peer, Upstream, pump,
};
use watchtree_runtime::{Clock, Conditions};

/// A link that ended by itself is made anew after this.
const ANEW_AFTER: Duration = Duration::from_secs(1);

/// The link to the parent. Clones share it.
#[derive(Clone)]
pub(crate) struct Parent(Arc<Mutex<Link>>);

struct Link {
    handle: LinkHandle,
    stopped: bool,
}

/// Where the parent is, and what its frames need.
#[derive(Clone)]
struct Way {
    socket: PathBuf,
    order_keys: PathBuf,
    inputs: mpsc::Sender<ContainerInput>,
    conditions: Conditions,
}

/// Starts the link's thread and the task that reads from it.
pub(crate) fn start(
    socket: &Path,
    order_keys: PathBuf,
    inputs: mpsc::Sender<ContainerInput>,
    conditions: Conditions,
) -> anyhow::Result<Parent> {
    let way = Way {
        socket: socket.to_owned(),
        order_keys,
        inputs,
        conditions,
    };
    let (handle, events) = way.connect()?;
    let parent = Parent(Arc::new(Mutex::new(Link { handle, stopped: false })));
    tokio::spawn(parent.clone().run(way, events));
    Ok(parent)
}

impl Way {
    fn connect(&self) -> Result<(LinkHandle, mpsc::Receiver<LinkEvent>), LinkError> {
        let config = DealerConfig::new(Upstream::Ipc {
            path: self.socket.clone(),
        });
        Dealer::start(config, Arc::new(|| Clock.now()))
    }

    fn reader(&self) -> Keys {
        Keys {
            path: self.order_keys.clone(),
            folder: OrderKeyDir::new(&self.order_keys),
            trusted: Arc::default(),
            conditions: self.conditions.clone(),
        }
    }
}

impl Parent {
    /// EngineExecutor an envelope to the link; `Err` = it is lost, and why.
    pub(crate) fn send(&self, envelope: &Envelope) -> Result<(), String> {
        let parts = watchtree_wire::encode(envelope).map_err(|error| error.to_string())?;
        let sent = self.lock().handle.try_send_up(parts);
        sent.map_err(|error| error.to_string())
    }

    /// Lets what was sent leave, then closes.
    pub(crate) fn stop(&self, linger: Duration) {
        let mut link = self.lock();
        link.stopped = true;
        link.handle.stop(linger);
    }

    /// Reads until it is stopped. A link that ends by itself, or a reading that panics, is a defect of ours; but healing goes on without
    /// a parent, and ending for it would leave the containers alone.
    async fn run(self, way: Way, mut events: mpsc::Receiver<LinkEvent>) {
        loop {
            // An error: it panicked, and that is an end too. What it read from ends with it.
            let _ = tokio::spawn(pump("parent", events, way.reader(), way.inputs.clone())).await;
            if self.lock().stopped {
                return;
            }
            let why = "the link ended by itself".to_owned();
            tracing::error!("{why}: making it anew");
            let down = ContainerInput::Link(FrontendInput::Down { why });
            if way.inputs.send(down).await.is_err() {
                return;
            }
            events = loop {
                tokio::time::sleep(ANEW_AFTER).await;
                let mut link = self.lock();
                if link.stopped {
                    return;
                }
                match way.connect() {
                    Ok((handle, events)) => {
                        link.handle = handle;
                        break events;
                    }
                    Err(error) => tracing::error!(%error, "the link cannot be made"),
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose orders are obeyed.
struct Keys {
    path: PathBuf,
    folder: OrderKeyDir,
    trusted: Arc<TrustedOrderKeys>,
    conditions: Conditions,
}

impl LinkReader for Keys {
    type Input = ContainerInput;

    fn up(&mut self) -> Option<ContainerInput> {
        Some(ContainerInput::Link(FrontendInput::Up))
    }

    fn down(&mut self, why: DownReason) -> Option<ContainerInput> {
        let why = why.to_string();
        Some(ContainerInput::Link(FrontendInput::Down { why }))
    }

    fn frame(&mut self, _parent: Peer, _connection: u64, parts: Vec<Vec<u8>>) -> Option<ContainerInput> {
        match watchtree_wire::decode(&parts) {
            Ok(Envelope {
                header,
                message: Message::Order(signed),
            }) => {
                let checked = self.check(&signed);
                Some(ContainerInput::OrderFrame(OrderFrame { header, checked }))
            }
            Ok(envelope) => Some(ContainerInput::Link(FrontendInput::Received(envelope))),
            Err(error) => {
                tracing::warn!(%error, "a frame of the parent cannot be read");
                None
            }
        }
    }

    fn poll(&mut self) {
        let state = match self.folder.poll() {
            Ok(None) => return,
            Ok(Some(reload)) => {
                self.trusted = reload.now;
                match reload.bad.first() {
                    Some(bad) => Err(bad.to_string()),
                    None => Ok(format!("{} keys whose orders are obeyed", self.trusted.len())),
                }
            }
            // A host without a manager has none, and that is as it should be.
            Err(_) if !self.path.exists() => {
                self.trusted = Arc::default();
                Ok("no keys: nobody's orders are obeyed".to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        self.conditions.report("order-keys", &state);
    }
}

impl Keys {
    /// The signature over exactly the bytes that came, then their content.
    fn check(&self, signed: &SignedOrder) -> Result<Order, OrderAnswer> {
        let refused = |refusal: OrderRefusal, id: [u8; 16], detail: String| {
            tracing::warn!(key = %signed.key_id, refusal = refusal.as_str(), "an order was refused: {detail}");
            Err(OrderAnswer {
                id,
                result: Err(refusal),
                detail,
            })
        };
        let order = watchtree_wire::decode_order(&signed.bytes);
        // The id is only for the refused sender to recognise its order by: it is not trusted.
        let claimed = order.as_ref().map_or([0; 16], |order| order.id);
        if let Err(untrusted) = self.trusted.verify(&signed.key_id, &signed.bytes, &signed.signature) {
            return refused(refusal_of(&untrusted), claimed, untrusted.to_string());
        }
        match order {
            Ok(order) => Ok(order),
            Err(error) => refused(OrderRefusal::Undecodable, claimed, error.to_string()),
        }
    }
}

fn refusal_of(untrusted: &watchtree_keys::Untrusted) -> OrderRefusal {
    match untrusted {
        watchtree_keys::Untrusted::UnknownKey => OrderRefusal::UnknownKey,
        watchtree_keys::Untrusted::BadSignature => OrderRefusal::BadSignature,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtree_link::{Listen, Router, RouterConfig};

    const DEADLINE: Duration = Duration::from_secs(30);

    async fn until(inbox: &mut mpsc::Receiver<ContainerInput>, wanted: FrontendInput) {
        let wanted = ContainerInput::Link(wanted);
        let told = async { while inbox.recv().await.expect("somebody reads") != wanted {} };
        tokio::time::timeout(DEADLINE, told).await.expect("it is told");
    }

    #[tokio::test]
    async fn a_link_that_ended_by_itself_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (socket, uids) = (folder.path().join("p.sock"), Vec::new());
        let path = socket.clone();
        let (_router, _heard) =
            Router::start(RouterConfig::new(Listen::Ipc { path, uids }), Arc::new(|| Clock.now())).expect("it listens");
        let (inputs, mut inbox) = mpsc::channel(16);
        let parent = start(&socket, folder.path().join("keys"), inputs, Conditions::new()).expect("it starts");
        until(&mut inbox, FrontendInput::Up).await;
        let handle = parent.lock().handle.clone();
        handle.stop(Duration::ZERO);
        let why = "the link ended by itself".to_owned();
        until(&mut inbox, FrontendInput::Down { why }).await;
        until(&mut inbox, FrontendInput::Up).await;
        assert!(parent.lock().handle.is_up());
        // One that was asked to end stays ended: then nobody tells anything any more.
        parent.stop(Duration::ZERO);
        let end = async { while inbox.recv().await.is_some() {} };
        tokio::time::timeout(DEADLINE, end).await.expect("it ends");
    }
}
