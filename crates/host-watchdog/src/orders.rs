//! Verifies orders for this node: is the signature of a trusted key, and can the bytes be read? The core checks the rest.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use watchtree_core::frontend::FrontendInput;
use watchtree_core::host::io::HostInput;
use watchtree_core::id::NodeName;
use watchtree_core::message::{Envelope, Message, OrderFrame};
use watchtree_core::order::{Order, OrderAnswer, OrderRefusal, SignedOrder};
use watchtree_keys::{OrderKeyDir, TrustedOrderKeys, Untrusted};
use watchtree_runtime::Conditions;

/// Checks orders against the trusted keys, which are read again when their folder changes.
pub(crate) struct OrderVerifier {
    own: NodeName,
    keys: Mutex<Keys>,
    conditions: Conditions,
}

struct Keys {
    dir: OrderKeyDir,
    trusted: Arc<TrustedOrderKeys>,
}

impl OrderVerifier {
    pub(crate) fn new(own: &NodeName, dir: &Path, conditions: Conditions) -> Self {
        let keys = Keys {
            dir: OrderKeyDir::new(dir),
            trusted: Arc::new(TrustedOrderKeys::default()),
        };
        let desk = Self {
            own: own.clone(),
            keys: Mutex::new(keys),
            conditions,
        };
        desk.refresh();
        desk
    }

    fn refresh(&self) -> Arc<TrustedOrderKeys> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.dir.poll() {
            Ok(None) => {}
            Ok(Some(reload)) => {
                let bad = reload
                    .bad
                    .first()
                    .map(|error| format!("{error} ({} file(s) skipped)", reload.bad.len()));
                let state = bad.map_or_else(|| Ok("all key files are fine".to_string()), Err);
                self.conditions.report("order keys", &state);
                keys.trusted = reload.now;
            }
            Err(error) if error.is_missing() => {
                tracing::debug!(%error, "no order keys: orders of a manager will be refused");
                keys.trusted = Arc::new(TrustedOrderKeys::default());
            }
            Err(error) => {
                self.conditions.report("order keys", &Err(error.to_string()));
            }
        }
        Arc::clone(&keys.trusted)
    }

    /// What the core is told of a frame from the parent: an order for this node is checked first.
    pub(crate) fn input_of(&self, envelope: Envelope) -> HostInput {
        let for_us = envelope.header.target.as_ref().is_none_or(|target| *target == self.own);
        match envelope {
            Envelope {
                header,
                message: Message::Order(order),
            } if for_us => {
                let checked = self.check(&order);
                HostInput::OrderFrame(OrderFrame { header, checked })
            }
            envelope => HostInput::Link(FrontendInput::Received(envelope)),
        }
    }

    fn check(&self, signed: &SignedOrder) -> Result<Order, OrderAnswer> {
        let refused = |refusal, detail: String| {
            tracing::warn!(
                key_id = signed.key_id,
                reason = OrderRefusal::as_str(refusal),
                detail,
                "refused an order"
            );
            Err(OrderAnswer {
                id: [0; 16],
                result: Err(refusal),
                detail,
            })
        };
        if let Err(error) = self.refresh().verify(&signed.key_id, &signed.bytes, &signed.signature) {
            let refusal = match error {
                Untrusted::UnknownKey => OrderRefusal::UnknownKey,
                Untrusted::BadSignature => OrderRefusal::BadSignature,
            };
            return refused(refusal, error.to_string());
        }
        match watchtree_wire::decode_order(&signed.bytes) {
            Ok(order) => Ok(order),
            Err(error) => refused(OrderRefusal::Undecodable, error.to_string()),
        }
    }
}
