//! The one driver of a core machine. Every daemon's working loop is this function and nothing else.
//!
//! ```text
//!        ┌─────────────────────────────────────────────────────────────────────────────┐
//!        ▼                                                                             │
//!   own stall? report it ─▶ drain inbox ─▶ handle_timeout ─▶ execute effects ─▶ pulse, pet ─▶ wait ≤ 250 ms
//! ```
//!
//! Contract: in each turn the input that reports a stall of this process comes before every input that waited during it, and
//! those before any deadline; so nothing that waited is taken for what happens just now, and no subject is judged by time in
//! which this process did not run. Deadlines are compared with the clock, not with how long the loop slept. Executing an
//! effect never awaits: slow work runs in a task that answers through the inbox. The systemd watchdog and `/livez` are fed
//! here only, so they prove that *this* loop turns.
//!
//! Does not know roles, sockets or files.

use crate::clock::Clock;
use crate::pulse::Pulse;
use crate::signals::{SignalRequest, Signals};
use crate::systemd::Notifier;
use std::ops::ControlFlow;
use tokio::sync::{mpsc, oneshot};
use watchtree_core::machine::Machine;
use watchtree_core::time::{Duration, Moment};

/// The loop turns at least this often.
pub const TICK: Duration = Duration::from_millis(250);
/// No turn for longer than this is a stall of our own.
pub const STALL: Duration = Duration::from_secs(1);
/// After a stall the other threads (sockets, event streams) get this long to hand over what waited for them as well.
pub const SETTLE: Duration = Duration::from_millis(100);
/// Most reads served in one turn.
const READS_PER_TURN_MAX: usize = 16;
/// A read that is not served within this fails as [`Unresponsive`].
const READ_WITHIN: Duration = Duration::from_secs(2);

/// A read of the machine, run between two turns.
pub type StateRead<M> = Box<dyn FnOnce(&M) + Send>;

/// Reads the state of a driven machine, from any task. Clones read the same machine.
#[derive(Debug)]
pub struct StateReader<M>(mpsc::Sender<StateRead<M>>);

impl<M> Clone for StateReader<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The machine did not serve a read within 2 s: its loop stands, is flooded, or has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the working loop did not answer within 2 s")]
pub struct Unresponsive;

impl<M: 'static> StateReader<M> {
    /// A reader, and the receiver for [`Drive::reads`].
    pub fn pair() -> (Self, mpsc::Receiver<StateRead<M>>) {
        let (sender, receiver) = mpsc::channel(64);
        (Self(sender), receiver)
    }

    /// Runs `extract` on the machine between two turns and returns its result.
    ///
    /// # Errors
    /// [`Unresponsive`].
    pub async fn read<R: Send + 'static>(
        &self,
        extract: impl FnOnce(&M) -> R + Send + 'static,
    ) -> Result<R, Unresponsive> {
        let (answer, waiting) = oneshot::channel();
        let read: StateRead<M> = Box::new(move |machine| {
            // The asker may have given up meanwhile; then nobody wants the answer.
            let _ = answer.send(extract(machine));
        });
        let answered = async {
            self.0.send(read).await.map_err(|_| Unresponsive)?;
            waiting.await.map_err(|_| Unresponsive)
        };
        tokio::time::timeout(READ_WITHIN, answered)
            .await
            .map_err(|_| Unresponsive)?
    }
}

/// Executes effects. Never awaits and never blocks longer than a local file write: slow work goes to a task.
pub trait Execute<M: Machine> {
    /// Executes one effect. `Break` ends the loop after this effect: the machine is done.
    fn execute(&mut self, now: Moment, effect: M::Effect) -> ControlFlow<()>;

    /// SIGHUP: read again what may change while running. The default says that there is nothing.
    fn reload(&mut self, _now: Moment) {
        tracing::warn!(
            "SIGHUP changes nothing: the configuration is read at a start only, so restart this daemon after a change; \
             keys are read again by themselves"
        );
    }

    /// One line for `systemctl status`; asked at most every 2 s. The default says nothing.
    fn status(&mut self, _machine: &M) -> Option<String> {
        None
    }
}

impl<M: Machine, F: FnMut(Moment, M::Effect) -> ControlFlow<()>> Execute<M> for F {
    fn execute(&mut self, now: Moment, effect: M::Effect) -> ControlFlow<()> {
        self(now, effect)
    }
}

/// What a drive needs besides the machine.
pub struct Drive<M: Machine> {
    /// Everything the machine is told. The loop ends when every sender is gone.
    pub inbox: mpsc::Receiver<M::Input>,
    /// Status queries; see [`StateReader::pair`].
    pub reads: mpsc::Receiver<StateRead<M>>,
    /// SIGTERM, SIGINT, SIGHUP; see [`Signals::catch`].
    pub signals: Signals,
    /// The stamp for `/livez`; keep a clone.
    pub pulse: Pulse,
    /// The input that tells the machine of a stall of its own, if it wants to know.
    pub stalled: fn(Duration) -> Option<M::Input>,
    /// The input that asks the machine to end in order.
    pub stop: fn() -> M::Input,
    /// After `stop` was fed, the loop ends after this even if the machine never says that it is done.
    pub stop_within: Duration,
}

/// Why a drive ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// An effect said `Break`: in order.
    InOrder,
    /// `stop_within` ran out, or a second stop signal came.
    Cut,
    /// Every sender of the inbox is gone.
    InboxClosed,
}

/// Drives the machine to its end. Run it on the main thread with `block_on`: then its turn comes before any task's.
pub async fn drive<M, P>(machine: &mut M, executor: &mut P, parts: Drive<M>) -> Ended
where
    M: Machine,
    P: Execute<M>,
{
    let mut parts = parts;
    let mut state = Loop {
        clock: Clock,
        notifier: Notifier::from_env(),
        turn_began: None,
        slept: None,
        stop_by: None,
    };
    state.notifier.ready();
    let mut came = None;
    loop {
        state.take_in(machine, &mut parts, came).await;
        machine.handle_timeout(state.clock.now());
        while let Some(effect) = machine.poll_effect() {
            if executor.execute(state.clock.now(), effect).is_break() {
                state.notifier.stopping();
                return Ended::InOrder;
            }
        }
        for _ in 0..READS_PER_TURN_MAX {
            match parts.reads.try_recv() {
                Ok(read) => read(machine),
                Err(_) => break,
            }
        }
        let now = state.clock.now();
        parts.pulse.turned(now);
        state.notifier.pet(now);
        if state.notifier.wants_status(now)
            && let Some(line) = executor.status(machine)
        {
            state.notifier.status(now, line);
        }
        if state.stop_by.is_some_and(|by| by <= now) {
            tracing::warn!("the machine did not end in time; leaving the rest to the journal");
            return Ended::Cut;
        }
        came = match state.wait(machine, executor, &mut parts).await {
            ControlFlow::Continue(input) => input,
            ControlFlow::Break(ended) => return ended,
        };
    }
}

/// The loop's own memory.
struct Loop {
    clock: Clock,
    notifier: Notifier,
    /// When the last turn began, on both clocks.
    turn_began: Option<Moment>,
    slept: Option<Moment>,
    stop_by: Option<Moment>,
}

impl Loop {
    /// Notes the start of a turn; tells how long none began if that is a stall. A sleep of the whole machine, which the
    /// monotonic clock does not see, counts as well.
    fn gap(&mut self, now: Moment) -> Option<Duration> {
        let boot = self.clock.boot_time();
        let awake = self
            .turn_began
            .replace(now)
            .map_or(Duration::ZERO, |last| now.since(last));
        let all = self.slept.replace(boot).map_or(Duration::ZERO, |last| boot.since(last));
        let gap = awake.max(all);
        (STALL < gap).then_some(gap)
    }

    /// Hands over a stall, if there was one, then `came`, which ended the wait, then everything else that waits.
    async fn take_in<M: Machine>(&mut self, machine: &mut M, parts: &mut Drive<M>, came: Option<M::Input>) {
        let began = self.clock.now();
        if let Some(gap) = self.gap(began) {
            tokio::time::sleep(SETTLE).await;
            tracing::warn!(gap_ms = gap.as_millis(), "this process did not run for a while");
            if let Some(input) = (parts.stalled)(gap) {
                machine.handle(self.clock.now(), input);
            }
        }
        if let Some(input) = came {
            machine.handle(self.clock.now(), input);
        }
        for _ in 0..parts.inbox.len() {
            match parts.inbox.try_recv() {
                Ok(input) => machine.handle(self.clock.now(), input),
                Err(_) => break,
            }
        }
    }

    /// Waits for the next input, signal, read, deadline or tick. Returns the input: it may have waited during a stall, of
    /// which the machine must hear first.
    async fn wait<M: Machine, P: Execute<M>>(
        &mut self,
        machine: &M,
        executor: &mut P,
        parts: &mut Drive<M>,
    ) -> ControlFlow<Ended, Option<M::Input>> {
        let now = self.clock.now();
        // At least a millisecond: a deadline that has become due meanwhile must not turn into a spinning loop.
        let until = machine
            .next_deadline()
            .map_or(TICK, |due| due.since(now))
            .clamp(Duration::from_millis(1), TICK);
        tokio::select! {
            biased;
            asked = parts.signals.next() => match asked {
                SignalRequest::Stop if self.stop_by.is_some() => {
                    tracing::warn!("asked to stop a second time: ending at once");
                    return ControlFlow::Break(Ended::Cut);
                }
                SignalRequest::Stop => {
                    tracing::info!("asked to stop");
                    self.notifier.stopping();
                    self.stop_by = Some(self.clock.now() + parts.stop_within);
                    return ControlFlow::Continue(Some((parts.stop)()));
                }
                SignalRequest::Reload => {
                    executor.reload(self.clock.now());
                    self.notifier.reloaded();
                }
            },
            input = parts.inbox.recv() => match input {
                Some(input) => return ControlFlow::Continue(Some(input)),
                None => return ControlFlow::Break(Ended::InboxClosed),
            },
            Some(read) = parts.reads.recv() => read(machine),
            () = tokio::time::sleep(until) => {
                let woken = self.clock.now();
                parts.pulse.lagged(woken, woken.since(now + until));
            }
        }
        ControlFlow::Continue(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    /// Notes what it was told and does what it is told to do.
    #[derive(Default)]
    struct Toy {
        told: Vec<String>,
        effects: VecDeque<&'static str>,
        due: Option<Moment>,
    }

    impl Machine for Toy {
        type Input = &'static str;
        type Effect = &'static str;
        fn handle(&mut self, now: Moment, input: &'static str) {
            self.told.push(input.to_string());
            match input {
                "arm" => self.due = Some(now + STALL / 2),
                "stop" => self.effects.push_back("stopped"),
                "freeze" => self.effects.push_back(input),
                _ => {}
            }
        }
        fn handle_timeout(&mut self, now: Moment) {
            if self.due.is_some_and(|due| due <= now) {
                self.due = None;
                self.told.push("timeout".into());
                self.effects.push_back("rang");
            }
        }
        fn poll_effect(&mut self) -> Option<&'static str> {
            self.effects.pop_front()
        }
        fn next_deadline(&self) -> Option<Moment> {
            self.due
        }
    }

    /// Feeds `script` at once, drives until the toy says "stopped", and returns what it was told.
    async fn run(script: &[&'static str], mut execute: impl FnMut(&'static str, &mpsc::Sender<&'static str>)) -> Toy {
        let (inputs, inbox) = mpsc::channel(16);
        let (_reader, reads) = StateReader::pair();
        for input in script {
            inputs.send(*input).await.expect("the inbox is open");
        }
        let parts = Drive {
            inbox,
            reads,
            signals: Signals::catch().expect("handlers can be set"),
            pulse: Pulse::new(),
            stalled: |_| Some("stalled"),
            stop: || "stop",
            stop_within: Duration::from_secs(1),
        };
        let mut toy = Toy::default();
        let mut executor = |_: Moment, effect: &'static str| {
            execute(effect, &inputs);
            if effect == "stopped" {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        assert_eq!(drive(&mut toy, &mut executor, parts).await, Ended::InOrder);
        toy
    }

    /// A machine that really stands still here is told of that as well.
    fn first_stall_only(toy: &mut Toy) {
        let mut stalls = 0;
        toy.told.retain(|told| {
            stalls += usize::from(told == "stalled");
            told != "stalled" || stalls == 1
        });
    }

    #[tokio::test]
    async fn a_stall_comes_first_then_what_waits_then_the_deadline() {
        let mut toy = run(&["arm", "freeze"], |effect, inputs| match effect {
            "freeze" => {
                // The process stands still; evidence arrives meanwhile, and the deadline passes.
                std::thread::sleep(STALL + Duration::from_millis(100));
                inputs.try_send("evidence").expect("there is room");
            }
            "rang" => inputs.try_send("stop").expect("there is room"),
            _ => {}
        })
        .await;
        first_stall_only(&mut toy);
        assert_eq!(toy.told, ["arm", "freeze", "stalled", "evidence", "timeout", "stop"]);
    }

    #[tokio::test]
    async fn a_stall_while_it_waits_comes_before_the_input_that_ends_the_wait() {
        let mut toy = run(&["arm"], |effect, inputs| {
            if effect == "rang" {
                let inputs = inputs.clone();
                // Another task of the same thread: while it stands still, the loop that waits does as well.
                tokio::spawn(async move {
                    std::thread::sleep(STALL + Duration::from_millis(100));
                    inputs.try_send("evidence").expect("there is room");
                    inputs.try_send("stop").expect("there is room");
                });
            }
        })
        .await;
        first_stall_only(&mut toy);
        assert_eq!(toy.told, ["arm", "timeout", "stalled", "evidence", "stop"]);
    }

    #[tokio::test]
    async fn no_stall_is_seen_where_none_was() {
        // On the same thread: what it did not see of its own sleep was no stall of the loop's either.
        let stood = Arc::new(Mutex::new(Duration::ZERO));
        let longest = Arc::clone(&stood);
        let watching = tokio::spawn(async move {
            loop {
                let began = Clock.now();
                tokio::time::sleep(TICK / 5).await;
                let mut longest = longest.lock().expect("no panic");
                *longest = Clock.now().since(began).max(*longest);
            }
        });
        let mut toy = run(&["arm"], |effect, inputs| {
            if effect == "rang" {
                let inputs = inputs.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(STALL + TICK * 2).await;
                    inputs.send("stop").await.expect("the inbox is open");
                });
            }
        })
        .await;
        watching.abort();
        if STALL - TICK < *stood.lock().expect("no panic") {
            toy.told.retain(|told| told != "stalled");
        }
        assert_eq!(toy.told, ["arm", "timeout", "stop"]);
    }

    #[tokio::test]
    async fn reads_are_answered_between_turns() {
        let (inputs, inbox) = mpsc::channel(4);
        let (reader, reads) = StateReader::pair();
        let pulse = Pulse::new();
        let parts = Drive {
            inbox,
            reads,
            signals: Signals::catch().expect("handlers can be set"),
            pulse: pulse.clone(),
            stalled: |_| None,
            stop: || "stop",
            stop_within: Duration::from_secs(1),
        };
        let mut toy = Toy::default();
        let mut executor = |_: Moment, _: &'static str| ControlFlow::Break(());
        let asking = async {
            inputs.send("evidence").await.expect("the inbox is open");
            let told = reader.read(|toy: &Toy| toy.told.clone()).await;
            inputs.send("stop").await.expect("the inbox is open");
            told
        };
        let (told, ended) = tokio::join!(asking, drive(&mut toy, &mut executor, parts));
        assert_eq!(told.expect("the loop turns"), ["evidence"]);
        assert_eq!(ended, Ended::InOrder);
        assert!(pulse.is_alive());
        assert_eq!(reader.read(|toy: &Toy| toy.told.len()).await, Err(Unresponsive));
    }
}
