//! Executes the effects of the manager role.
//!
//! Contract: never waits: the store, the webhooks and the probes have threads or tasks of their own. Does not know why an effect was
//! wanted.

use crate::hosts;
use crate::probe_targets::ProbeTargets;
use crate::webhook::Webhooks;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use watchtree_core::backend::{BackendInput, Peer};
use watchtree_core::id::NodeName;
use watchtree_core::incident::Incident;
use watchtree_core::manager::ManagerAgent;
use watchtree_core::manager::io::{AskError, ManagerEffect, ManagerInput, TargetAnswer};
use watchtree_core::message::{Envelope, Look, Message};
use watchtree_core::order::SignedOrder;
use watchtree_core::time::Moment;
use watchtree_keys::OrderKeys;
use watchtree_link::LinkHandle;
use watchtree_runtime::{Clock, Conditions, EventLog, Execute, view};
use watchtree_store::sqlite::ManagerStore;

/// The answers of all targets of one request, or why nothing was sent.
pub(crate) type Asked = Result<Vec<TargetAnswer>, AskError>;

/// Requests of people that wait for their answer, by ticket. Bounded by the API's connections.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<Tickets>>);

#[derive(Default)]
struct Tickets {
    last: u64,
    open: BTreeMap<u64, oneshot::Sender<Asked>>,
}

impl Waiting {
    /// A new ticket and the place where its answer comes.
    pub(crate) fn wait(&self) -> (u64, oneshot::Receiver<Asked>) {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.last += 1;
        let ticket = waiting.last;
        waiting.open.retain(|_, sender| !sender.is_closed());
        waiting.open.insert(ticket, sender);
        (ticket, receiver)
    }

    fn answer(&self, ticket: u64, result: Asked) {
        let sender = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open
            .remove(&ticket);
        if let Some(sender) = sender {
            // Who asked may have given up.
            let _ = sender.send(result);
        }
    }
}

/// See the file's head.
pub(crate) struct EffectExecutor {
    pub(crate) link: LinkHandle,
    pub(crate) probe_targets: ProbeTargets,
    pub(crate) order_keys: OrderKeys,
    pub(crate) store: ManagerStore,
    pub(crate) webhooks: Webhooks,
    pub(crate) events: EventLog,
    pub(crate) conditions: Conditions,
    pub(crate) waiting: Waiting,
    pub(crate) inputs: mpsc::Sender<ManagerInput>,
}

impl Execute<ManagerAgent> for EffectExecutor {
    fn execute(&mut self, _now: Moment, effect: ManagerEffect) -> ControlFlow<()> {
        match effect {
            ManagerEffect::Send { to, envelope } => self.send(to, &envelope),
            ManagerEffect::SignAndSend { to, header, order } => match watchtree_wire::encode_order(&order) {
                Ok(bytes) => {
                    let signature = self.order_keys.sign(&bytes).to_vec();
                    let signed = SignedOrder {
                        bytes,
                        key_id: self.order_keys.key_id(),
                        signature,
                    };
                    self.send(
                        to,
                        &Envelope {
                            header,
                            message: Message::Order(signed),
                        },
                    );
                }
                Err(error) => tracing::error!(subject = %order.subject, %error, "an order could not be written"),
            },
            ManagerEffect::ProbeHost {
                nonce,
                host,
                addresses,
                within,
            } => self.probe(nonce, &host, addresses, within),
            ManagerEffect::AskAnswered { ticket, result } => self.waiting.answer(ticket, result),
            ManagerEffect::StoreHost(host) => self.store.put_host(host),
            ManagerEffect::ForgetHost(name) => self.store.forget_host(name),
            ManagerEffect::StoreDecision(decision) => {
                self.events.push(view::decision_event(&decision));
                tracing::info!(subject = %decision.subject, action = decision.action.as_str(),
                    outcome = decision.outcome.as_str(), by = %decision.id.node, "decided: {}", decision.why);
                self.store.put_decision(decision);
            }
            ManagerEffect::IncidentOpened(incident) => self.incident("opened", incident),
            ManagerEffect::IncidentChanged(incident) => self.incident("changed", incident),
            ManagerEffect::IncidentNoted(incident) => self.store.put_incident(incident),
            ManagerEffect::IncidentClosed(incident) => self.incident("closed", incident),
            ManagerEffect::StateChanged { subject, from, to, why } => {
                tracing::info!(%subject, from = from.as_str(), to = to.as_str(), "state: {why}");
                self.events
                    .push(view::state_event(Clock.wall(), &subject, from, to, &why));
            }
            ManagerEffect::Condition { about, state } => {
                if self.conditions.report(&about, &state) {
                    self.events.push(view::condition_event(Clock.wall(), &about, &state));
                }
            }
            ManagerEffect::Stopped => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn status(&mut self, machine: &ManagerAgent) -> Option<String> {
        let incidents = machine.open_incidents().count();
        Some(format!("{} hosts, {incidents} open incidents", machine.hosts().count()))
    }
}

impl EffectExecutor {
    fn send(&self, to: Peer, envelope: &Envelope) {
        if matches!(envelope.message, Message::Welcome(_)) {
            self.probe_targets.welcomed(&to);
        }
        if let Err(why) = hosts::send(&self.link, &to, envelope) {
            tracing::debug!(node = %to.name, why, "a frame was not sent");
            let lost = BackendInput::NotSent {
                peer: to,
                seq: envelope.header.seq,
            };
            // A full inbox loses this hint too: what was in the frame is repeated anyway.
            let _ = self.inputs.try_send(ManagerInput::Hosts(lost));
        }
    }

    fn probe(&self, nonce: u64, host: &NodeName, addresses: Vec<String>, within: std::time::Duration) {
        let inputs = self.inputs.clone();
        let targets = self.probe_targets.of(host, addresses);
        let host = host.to_string();
        tokio::spawn(async move {
            let look = match targets {
                Ok(targets) => watchtree_probe::probe(&targets, within).await,
                Err(why) => Look::NotPossible(why),
            };
            tracing::info!(host, ?look, "probed from outside");
            // A machine that is gone wants no answer.
            let _ = inputs.send(ManagerInput::HostProbed { nonce, result: look }).await;
        });
    }

    fn incident(&mut self, change: &'static str, incident: Incident) {
        tracing::warn!(incident = incident.id, subject = %incident.subject, state = incident.state.as_str(),
            "incident {change}: {}", if incident.closed_why.is_empty() { &incident.why } else { &incident.closed_why });
        let event = view::incident_event(Clock.wall(), change, &incident);
        let notifications = self.webhooks.notifications(change, &event);
        self.events.push(event);
        // Kept before they are sent: what is settled must not be kept after that.
        self.store.put_incident_with(incident, notifications.clone());
        for notification in &notifications {
            self.webhooks.send(notification);
        }
    }
}
