//! Carries out on one engine what the container role wants of it, and returns each answer as an input of that role.
//!
//! Contract: no call here blocks; each request runs in a task of its own. Each request is answered exactly once, but for
//! [`EngineExecutor::call`], whose late answer follows its `Deadline`. Does not know why a request was made.

use crate::engine::Engine;
use crate::events::{EventStream, StreamItem};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use watchtree_core::container::io::{ContainerId, ContainerInput, EngineCall, EngineError, EngineTime, Ticket};
use watchtree_core::time::Duration;

/// See the file's head. Must be used inside a tokio runtime.
#[derive(Debug)]
pub struct EngineExecutor {
    engine: Engine,
    inputs: mpsc::Sender<ContainerInput>,
    stream: Option<AbortHandle>,
}

impl EngineExecutor {
    /// Answers go into `inputs`; should it be full, the tasks wait (the event stream is drained all the same).
    pub fn new(engine: Engine, inputs: mpsc::Sender<ContainerInput>) -> Self {
        Self {
            engine,
            inputs,
            stream: None,
        }
    }

    /// Its engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Requests the list of all containers. To read the answer of an engine with thousands takes long: a thread of its own does.
    pub fn list(&self) {
        let (engine, inputs, runtime) = (self.engine.clone(), self.inputs.clone(), Handle::current());
        tokio::task::spawn_blocking(move || {
            let listed = runtime.block_on(engine.list());
            // An error means that the daemon has ended.
            let _ = inputs.blocking_send(ContainerInput::Listed(listed));
        });
    }

    /// Requests what the engine knows of one container.
    pub fn inspect(&self, id: ContainerId) {
        self.answer(async |engine| {
            let result = engine.inspect(&id).await;
            ContainerInput::Inspected { id, result }
        });
    }

    /// Requests the engine's manual-stop flag of one container.
    pub fn read_manual_stop(&self, id: ContainerId) {
        self.answer(async |engine| {
            let manually_stopped = engine.manual_stop(&id).await;
            ContainerInput::StopMark { id, manually_stopped }
        });
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

    /// Opens the event stream; an older one is dropped.
    pub fn subscribe(&mut self, since: Option<EngineTime>) {
        if let Some(older) = self.stream.take() {
            older.abort();
        }
        tracing::debug!(since = since.map(|at| at.0), "subscribing to the engine's events");
        let (mut stream, inputs) = (EventStream::open(&self.engine, since), self.inputs.clone());
        let forward = async move {
            while let Some(item) = stream.next().await {
                tracing::trace!(?item, "stream");
                let input = match item {
                    StreamItem::Opened(began) => ContainerInput::StreamOpened { began },
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

    /// Requests a call that changes something. After `within` a `Deadline` is reported; the call itself goes on, since
    /// nothing may cancel it.
    pub fn call(&self, ticket: Ticket, id: ContainerId, call: EngineCall, within: Duration) {
        let (engine, inputs) = (self.engine.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let mut call = Box::pin(engine.perform(&id, call));
            let result = match tokio::time::timeout(within, &mut call).await {
                Ok(result) => result,
                Err(_) => {
                    let late = Err(EngineError::Deadline);
                    // An error means that the daemon has ended, here and below.
                    let _ = inputs.send(ContainerInput::Performed { ticket, result: late }).await;
                    call.await
                }
            };
            let _ = inputs.send(ContainerInput::Performed { ticket, result }).await;
        });
    }
}

impl Drop for EngineExecutor {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.abort();
        }
    }
}
