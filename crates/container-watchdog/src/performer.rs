//! Performs what the container role wants done: journal, engine, link, log. Never awaits, decides nothing.
//!
//! The journal is written here and now: an effect after it is not begun before the kernel has the record. Everything else
//! is begun in a task of its own and answers through the inbox.

use crate::fault;
use crate::parent::Parent;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use watchtree_core::container::ContainerAgent;
use watchtree_core::container::io::{ContainerEffect, ContainerInput, EngineError, Record};
use watchtree_core::decision::{Decision, Outcome};
use watchtree_core::frontend::FrontendInput;
use watchtree_core::message::Envelope;
use watchtree_core::order::OrderAnswer;
use watchtree_core::time::Moment;
use watchtree_docker::Hands;
use watchtree_runtime::{Clock, Conditions, EventLog, Perform, view};
use watchtree_store::journal::Journal;

/// How often a journal in trouble is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Local requests that wait for their answer, by order id.
pub(crate) type Waiting = Arc<Mutex<BTreeMap<[u8; 16], oneshot::Sender<OrderAnswer>>>>;

/// The engine's hands, once this process may use them; until then the reason why not.
pub(crate) type Gate = Arc<Mutex<Result<Hands, String>>>;

/// See the file's head.
pub(crate) struct Performer {
    pub(crate) gate: Gate,
    pub(crate) journal: Arc<Mutex<Journal>>,
    pub(crate) link: Parent,
    pub(crate) inputs: mpsc::Sender<ContainerInput>,
    pub(crate) conditions: Conditions,
    pub(crate) events: EventLog,
    pub(crate) waiting: Waiting,
    /// What the machine was last told of the journal.
    pub(crate) journal_well: bool,
}

impl Perform<ContainerAgent> for Performer {
    fn perform(&mut self, _now: Moment, effect: ContainerEffect) -> ControlFlow<()> {
        match effect {
            ContainerEffect::Journal(record) => self.write(&record),
            ContainerEffect::Send(envelope) => self.send(&envelope),
            ContainerEffect::Decided(decision) => self.decided(&decision),
            ContainerEffect::LocalAnswer(answer) => {
                let waiter = self
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&answer.id);
                // Who asked may have given up meanwhile.
                let _ = waiter.map(|waiter| waiter.send(answer));
            }
            ContainerEffect::Condition { about, state } => self.condition(about, &state),
            ContainerEffect::Stopped => return ControlFlow::Break(()),
            engine => self.engine(engine),
        }
        ControlFlow::Continue(())
    }

    fn status(&mut self, agent: &ContainerAgent) -> Option<String> {
        let degraded = self.conditions.degraded();
        let counters = agent.counters();
        let words = match degraded.first() {
            Some((about, why)) => format!("DEGRADED: {about}: {why}"),
            None => "well".to_owned(),
        };
        Some(format!(
            "{words}; {} containers, {} starts, {} given up",
            agent.verdicts().count(),
            counters.starts,
            counters.given_up
        ))
    }
}

impl Performer {
    fn write(&mut self, record: &Record) {
        let state = self
            .journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(record);
        fault::written(record);
        self.tell_journal(state);
    }

    /// Only changes are told; while it is in trouble a task tries again without the machine's doing.
    pub(crate) fn tell_journal(&mut self, state: Result<(), String>) {
        if state.is_ok() == self.journal_well {
            return;
        }
        self.journal_well = state.is_ok();
        if state.is_err() {
            let (journal, inputs) = (Arc::clone(&self.journal), self.inputs.clone());
            tokio::spawn(retry(journal, inputs));
        }
        self.tell(ContainerInput::JournalHealth { state });
    }

    fn engine(&mut self, effect: ContainerEffect) {
        let begun = matches!(effect, ContainerEffect::Perform { .. });
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        match gate.as_mut() {
            Ok(hands) => match hands.begin(effect) {
                None if begun => fault::begun(),
                None => {}
                Some(other) => tracing::error!(?other, "nobody performs this effect"),
            },
            Err(why) => {
                let answer = refused(effect, why);
                drop(gate);
                answer.into_iter().for_each(|input| self.tell(input));
            }
        }
    }

    fn send(&mut self, envelope: &Envelope) {
        if let Err(why) = self.link.send(envelope) {
            tracing::trace!(%why, seq = envelope.header.seq, "a frame to the parent is lost");
            self.tell(ContainerInput::Link(FrontendInput::NotSent {
                seq: envelope.header.seq,
            }));
        }
    }

    fn decided(&mut self, decision: &Decision) {
        let (id, subject) = (decision.id.to_string(), decision.subject.as_str());
        let (action, outcome) = (decision.action.as_str(), decision.outcome.as_str());
        let (why, result) = (decision.why.as_str(), decision.result.as_str());
        match decision.outcome {
            Outcome::Failed => tracing::warn!(id, subject, action, outcome, result, "{why}"),
            Outcome::NotTaken | Outcome::Verifying => tracing::debug!(id, subject, action, outcome, result, "{why}"),
            _ => tracing::info!(id, subject, action, outcome, result, "{why}"),
        }
        self.events.push(view::decision_event(decision));
    }

    fn condition(&mut self, about: &str, state: &Result<String, String>) {
        if self.conditions.report(about, state) {
            self.events.push(view::condition_event(Clock.wall(), about, state));
        }
    }

    /// The inbox has room for any burst the machine makes; should it be full all the same, a task waits instead of us.
    fn tell(&self, input: ContainerInput) {
        if let Err(mpsc::error::TrySendError::Full(input)) = self.inputs.try_send(input) {
            let inputs = self.inputs.clone();
            tokio::spawn(async move { inputs.send(input).await });
        }
    }
}

/// What the machine is told of a call while there is no engine, or another healer acts on it.
fn refused(effect: ContainerEffect, why: &str) -> Option<ContainerInput> {
    let unreachable = || EngineError::Unreachable(why.to_owned());
    Some(match effect {
        ContainerEffect::Subscribe { .. } => ContainerInput::StreamEnded { why: why.to_owned() },
        ContainerEffect::List => ContainerInput::Listed(Err(unreachable())),
        ContainerEffect::Inspect { id } => ContainerInput::Inspected {
            id,
            result: Err(unreachable()),
        },
        ContainerEffect::ReadStopMark { id } => ContainerInput::StopMark {
            id,
            manually_stopped: None,
        },
        ContainerEffect::Perform { ticket, .. } => ContainerInput::Performed {
            ticket,
            result: Err(unreachable()),
        },
        _ => return None,
    })
}

/// Until the disk takes the journal again.
async fn retry(journal: Arc<Mutex<Journal>>, inputs: mpsc::Sender<ContainerInput>) {
    loop {
        tokio::time::sleep(RETRY_EVERY).await;
        let journal = Arc::clone(&journal);
        let tried = tokio::task::spawn_blocking(move || journal.lock().unwrap_or_else(PoisonError::into_inner).retry());
        if tried.await.is_ok_and(|state| state.is_ok()) {
            // An error means that the daemon has ended.
            let _ = inputs.send(ContainerInput::JournalHealth { state: Ok(()) }).await;
            return;
        }
    }
}
