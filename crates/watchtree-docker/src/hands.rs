//! Performs the container role's effects on one engine and feeds the answers back as its inputs.
//!
//! Performing never blocks: each call runs in a task of its own. Every effect that asks for an answer gets exactly one,
//! but for `Perform`, whose late answer follows its `Deadline`. Knows nothing of why an effect was wanted.

use crate::engine::Engine;
use crate::events::StreamItem;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use watchtree_core::container::io::{
    ContainerEffect, ContainerId, ContainerInput, EngineCall, EngineError, EngineTime, Ticket,
};
use watchtree_core::time::Duration;

/// See the file's head. Must be used inside a tokio runtime.
#[derive(Debug)]
pub struct Hands {
    engine: Engine,
    inputs: mpsc::Sender<ContainerInput>,
    stream: Option<AbortHandle>,
}

impl Hands {
    /// Answers go into `inputs`; should it be full, the tasks wait (the event stream is drained all the same).
    pub fn new(engine: Engine, inputs: mpsc::Sender<ContainerInput>) -> Self {
        Self {
            engine,
            inputs,
            stream: None,
        }
    }

    /// Begins an effect that is about the engine; gives back any other.
    pub fn begin(&mut self, effect: ContainerEffect) -> Option<ContainerEffect> {
        match effect {
            ContainerEffect::Subscribe { since } => self.subscribe(since),
            ContainerEffect::List => self.answer(async |engine| ContainerInput::Listed(engine.list().await)),
            ContainerEffect::Inspect { id } => self.answer(async |engine| {
                let result = engine.inspect(&id).await;
                ContainerInput::Inspected { id, result }
            }),
            ContainerEffect::ReadStopMark { id } => self.answer(async |engine| {
                let manually_stopped = engine.stop_mark(&id).await;
                ContainerInput::StopMark { id, manually_stopped }
            }),
            ContainerEffect::Perform {
                ticket,
                id,
                call,
                within,
            } => {
                // Detached on purpose: nothing may cancel it.
                drop(self.perform(ticket, id, call, within));
            }
            other => return Some(other),
        }
        None
    }

    fn answer<F>(&self, call: impl FnOnce(Engine) -> F)
    where
        F: Future<Output = ContainerInput> + Send + 'static,
    {
        let (answer, inputs) = (call(self.engine.clone()), self.inputs.clone());
        tokio::spawn(async move {
            // An error means that the daemon has ended.
            let _ = inputs.send(answer.await).await;
        });
    }

    fn subscribe(&mut self, since: Option<EngineTime>) {
        if let Some(older) = self.stream.take() {
            older.abort();
        }
        tracing::debug!(since = since.map(|at| at.0), "subscribing to the engine's events");
        let (mut stream, inputs) = (self.engine.events(since), self.inputs.clone());
        let forward = async move {
            while let Some(item) = stream.next().await {
                tracing::trace!(?item, "stream");
                let input = match item {
                    StreamItem::Opened => ContainerInput::StreamOpened,
                    StreamItem::Event(event) => ContainerInput::Event(event),
                    StreamItem::Ended(why) => ContainerInput::StreamEnded { why },
                };
                if inputs.send(input).await.is_err() {
                    return;
                }
            }
        };
        self.stream = Some(tokio::spawn(forward).abort_handle());
    }

    fn perform(&self, ticket: Ticket, id: ContainerId, call: EngineCall, within: Duration) -> JoinHandle<()> {
        let (engine, inputs) = (self.engine.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let mut call = Box::pin(engine.perform(&id, call));
            let result = match tokio::time::timeout(within, &mut call).await {
                Ok(result) => result,
                Err(_) => {
                    let _ = inputs
                        .send(ContainerInput::Performed {
                            ticket,
                            result: Err(EngineError::Deadline),
                        })
                        .await;
                    call.await
                }
            };
            let _ = inputs.send(ContainerInput::Performed { ticket, result }).await;
        })
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.abort();
        }
    }
}
