//! The link to the host-watchdog: frames and link events become inputs, envelopes become frames, orders are checked.
//!
//! Losing the parent changes nothing here: it is a condition, and the link reconnects by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use watchtree_core::container::io::ContainerInput;
use watchtree_core::frontend::FrontendInput;
use watchtree_core::message::{Envelope, Message, OrderFrame};
use watchtree_core::order::{Order, OrderAnswer, OrderRefusal, SignedOrder};
use watchtree_keys::{OrderKeyDir, TrustedOrderKeys};
use watchtree_link::{Dealer, DealerConfig, LinkEvent, LinkHandle, Upstream};
use watchtree_runtime::{Clock, Conditions};

/// How often the folder of order keys is looked at.
const KEYS_EVERY: Duration = Duration::from_secs(2);

/// Starts the link's thread and the task that reads from it.
pub(crate) fn start(
    socket: &Path,
    order_keys: PathBuf,
    inputs: mpsc::Sender<ContainerInput>,
    conditions: Conditions,
) -> anyhow::Result<LinkHandle> {
    let config = DealerConfig::new(Upstream::Ipc {
        path: socket.to_owned(),
    });
    let (link, events) = Dealer::start(config, Arc::new(|| Clock.now()))?;
    tokio::spawn(read(events, order_keys, inputs, conditions));
    Ok(link)
}

/// Hands an envelope to the link; `Err` = it is lost, and why.
pub(crate) fn send(link: &LinkHandle, envelope: &Envelope) -> Result<(), String> {
    let parts = watchtree_wire::encode(envelope).map_err(|error| error.to_string())?;
    link.try_send_up(parts).map_err(|error| error.to_string())
}

async fn read(
    mut events: mpsc::Receiver<LinkEvent>,
    order_keys: PathBuf,
    inputs: mpsc::Sender<ContainerInput>,
    conditions: Conditions,
) {
    let folder = OrderKeyDir::new(&order_keys);
    let mut keys = Keys {
        path: order_keys,
        folder,
        trusted: Arc::default(),
        conditions,
    };
    let mut poll = tokio::time::interval(KEYS_EVERY);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            _ = poll.tick() => {
                keys.poll();
                continue;
            }
            event = events.recv() => event,
        };
        let input = match event {
            None | Some(LinkEvent::Closed { .. }) => return,
            Some(LinkEvent::Up) => ContainerInput::Link(FrontendInput::Up),
            Some(LinkEvent::Down { why }) => ContainerInput::Link(FrontendInput::Down { why: why.to_string() }),
            Some(LinkEvent::Frame { parts, .. }) => match watchtree_wire::decode(&parts) {
                Ok(Envelope {
                    header,
                    message: Message::Order(signed),
                }) => {
                    let checked = keys.check(&signed);
                    ContainerInput::OrderFrame(OrderFrame { header, checked })
                }
                Ok(envelope) => ContainerInput::Link(FrontendInput::Received(envelope)),
                Err(error) => {
                    tracing::warn!(%error, "a frame of the parent cannot be read");
                    continue;
                }
            },
            Some(other) => {
                tracing::debug!(?other, "link");
                continue;
            }
        };
        if inputs.send(input).await.is_err() {
            return;
        }
    }
}

/// Whose orders are obeyed.
struct Keys {
    path: PathBuf,
    folder: OrderKeyDir,
    trusted: Arc<TrustedOrderKeys>,
    conditions: Conditions,
}

impl Keys {
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
