//! Executes the effects of the container role: journal, engine, link, log.
//!
//! Contract: never awaits. The journal is written before the next effect is begun, so the kernel has the record first; every
//! other effect runs in a task of its own and answers through the inbox. Does not know why an effect was wanted.

use crate::captures::ContainerCapturer;
use crate::engine_claim::EngineHandle;
use crate::fault;
use crate::journal_keeper::JournalKeeper;
use crate::parent::Parent;
use crate::prober::{Asked, ContainerProber};
use crate::processes::ProcessHolder;
use crate::shim;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use watchtree_core::container::ContainerAgent;
use watchtree_core::container::io::{ContainerEffect, ContainerInput, EngineError};
use watchtree_core::decision::{Decision, Outcome};
use watchtree_core::frontend::FrontendInput;
use watchtree_core::message::Envelope;
use watchtree_core::order::OrderAnswer;
use watchtree_core::pressure::MachineLoad;
use watchtree_core::time::Moment;
use watchtree_docker::EngineExecutor;
use watchtree_os::pressure::PressureMeter;
use watchtree_runtime::{Clock, Conditions, EventLog, Execute, Pulse, view};

/// Local requests that wait for their answer, by order id.
pub(crate) type Waiting = Arc<Mutex<BTreeMap<[u8; 16], oneshot::Sender<OrderAnswer>>>>;

/// See the file's head.
pub(crate) struct EffectExecutor {
    pub(crate) engine: EngineHandle,
    pub(crate) processes: ProcessHolder,
    pub(crate) prober: ContainerProber,
    pub(crate) capturer: ContainerCapturer,
    pub(crate) journal: JournalKeeper,
    pub(crate) link: Parent,
    pub(crate) inputs: mpsc::Sender<ContainerInput>,
    pub(crate) conditions: Conditions,
    pub(crate) events: EventLog,
    pub(crate) waiting: Waiting,
    pub(crate) pulse: Pulse,
    pub(crate) pressure: PressureMeter,
}

impl Execute<ContainerAgent> for EffectExecutor {
    fn execute(&mut self, _now: Moment, effect: ContainerEffect) -> ControlFlow<()> {
        match effect {
            ContainerEffect::Journal(record) => {
                self.journal.append(&record);
                fault::written(&record);
            }
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
            ContainerEffect::Subscribe { since } => {
                let refused = |why| ContainerInput::StreamEnded { why };
                self.request(|engine| engine.subscribe(since), refused);
            }
            ContainerEffect::List => {
                let refused = |why| ContainerInput::Listed(Err(EngineError::Unreachable(why)));
                self.request(|engine| engine.list(), refused);
            }
            ContainerEffect::Inspect { id } => {
                let about = id.clone();
                let refused = |why| ContainerInput::Inspected {
                    id: about,
                    result: Err(EngineError::Unreachable(why)),
                };
                self.request(|engine| engine.inspect(id), refused);
            }
            ContainerEffect::HoldProcess { id, pid } => self.processes.hold(id, pid),
            ContainerEffect::Capture { id, order } => self.capturer.begin(id, order),
            ContainerEffect::LookAtShim { id, pid } => shim::look(id, pid, self.inputs.clone()),
            ContainerEffect::KillShim { id, shim } => shim::kill(id, shim),
            ContainerEffect::ReadLoad => {
                let load = MachineLoad {
                    pressure: self.pressure.read(),
                    loop_lag: self.pulse.lag_of_late(),
                };
                self.enqueue(ContainerInput::Load(load));
            }
            ContainerEffect::Probe {
                run,
                id,
                pid,
                address,
                method,
                within,
            } => self.prober.begin(Asked {
                run,
                id,
                pid,
                address,
                method,
                within,
            }),
            ContainerEffect::ReadStopMark { id } => {
                let about = id.clone();
                let refused = |_| ContainerInput::StopMark {
                    id: about,
                    manually_stopped: None,
                };
                self.request(|engine| engine.read_manual_stop(id), refused);
            }
            ContainerEffect::Perform {
                ticket,
                id,
                call,
                within,
            } => {
                let refused = |why| ContainerInput::Performed {
                    ticket,
                    result: Err(EngineError::Unreachable(why)),
                };
                let begin = |engine: &mut EngineExecutor| {
                    engine.call(ticket, id, call, within);
                    fault::begun();
                };
                self.request(begin, refused);
            }
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
            "{words}; {} containers, {} starts, restart limit reached {} times",
            agent.verdicts().count(),
            counters.starts,
            counters.given_up
        ))
    }
}

impl EffectExecutor {
    /// Asks the engine; without one the role gets `refused` with the reason as its answer.
    fn request(&mut self, begin: impl FnOnce(&mut EngineExecutor), refused: impl FnOnce(String) -> ContainerInput) {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let why = match engine.as_mut() {
            Ok(engine) => return begin(engine),
            Err(why) => why.clone(),
        };
        drop(engine);
        self.enqueue(refused(why));
    }

    fn send(&mut self, envelope: &Envelope) {
        if let Err(why) = self.link.send(envelope) {
            tracing::trace!(%why, seq = envelope.header.seq, "a frame to the parent is lost");
            self.enqueue(ContainerInput::Link(FrontendInput::NotSent {
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
    fn enqueue(&self, input: ContainerInput) {
        if let Err(mpsc::error::TrySendError::Full(input)) = self.inputs.try_send(input) {
            let inputs = self.inputs.clone();
            tokio::spawn(async move { inputs.send(input).await });
        }
    }
}
