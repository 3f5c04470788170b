//! What the model engine does in its own time: signals, ends, starts, and the calls of the agent.

use super::{API_MS, Act, EVENT_MS, START_MS, World};
use watchtree_core::container::io::*;

impl World {
    pub(super) fn perform(&mut self, effect: ContainerEffect) {
        match effect {
            ContainerEffect::Subscribe { .. } if self.events_hang => self.streaming = false,
            ContainerEffect::Subscribe { since } => {
                self.streaming = true;
                self.deliver(API_MS, ContainerInput::StreamOpened);
                // As the engine does it: backwards from the newest, to the first that is older.
                let replay: Vec<_> = self
                    .ring
                    .iter()
                    .rev()
                    .take_while(|it| since.is_some_and(|since| since <= it.at))
                    .cloned()
                    .collect();
                replay
                    .into_iter()
                    .rev()
                    .for_each(|event| self.deliver(EVENT_MS, ContainerInput::Event(event)));
            }
            ContainerEffect::List => {
                let list = self.boxes.values().map(|it| ListEntry {
                    id: it.view.id.clone(),
                    name: it.view.name.clone(),
                    run: it.view.run,
                    health: it.view.health,
                });
                let list = list.collect();
                self.deliver(API_MS, ContainerInput::Listed(Ok(list)));
            }
            ContainerEffect::Inspect { id } if 0 < self.late_looks => {
                self.late_looks -= 1;
                let result = Err(EngineError::Deadline);
                self.deliver(5000, ContainerInput::Inspected { id, result });
            }
            ContainerEffect::Inspect { id } => {
                self.inspects += 1;
                let result = self
                    .boxes
                    .get(&id)
                    .map(|it| it.view.clone())
                    .ok_or(EngineError::NotFound);
                self.deliver(API_MS, ContainerInput::Inspected { id, result });
            }
            ContainerEffect::ReadStopMark { id } => {
                let mark = self.boxes.get(&id).map(|it| it.marked).filter(|_| self.mark_readable);
                self.deliver(
                    self.mark_ms,
                    ContainerInput::StopMark {
                        id,
                        manually_stopped: mark,
                    },
                );
            }
            ContainerEffect::Journal(record) => self.journal.push(record),
            ContainerEffect::Perform { ticket, id, call, .. } => {
                let name = self.boxes.get(&id).map_or("?".into(), |it| it.view.name.clone());
                self.calls.push(format!("{call:?} {name}"));
                let process = self.process;
                match call {
                    EngineCall::Start => self.act(1, Act::StartCall { id, ticket, process }),
                    EngineCall::Stop { timeout_secs: secs } => {
                        self.act(
                            1,
                            Act::StopCall {
                                id,
                                ticket: Some(ticket),
                                secs,
                                process,
                            },
                        );
                    }
                }
            }
            ContainerEffect::Decided(decision) => self.decided.push(decision),
            ContainerEffect::LocalAnswer(answer) => self.local_answers.push(answer),
            ContainerEffect::Stopped => self.stopped = true,
            ContainerEffect::Send(_) | ContainerEffect::Condition { .. } => {}
        }
    }

    pub(super) fn do_act(&mut self, act: Act) {
        match act {
            Act::Deliver(process, input) => {
                if process == self.process && self.agent.is_some() {
                    self.input(*input);
                }
            }
            Act::Signal { id, signal, life } => self.signal(&id, signal, life),
            Act::Die { id, life, code } => self.die(&id, life, code),
            Act::StopDone { id } => self.emit(&id, EventAction::Stop),
            Act::Started { id, engine: true } => self.policy_start(&id),
            Act::Started { id, engine: false } => {
                if self.boxes.get(&id).is_some_and(|it| it.view.run != RunState::Running) {
                    self.started(&id, false);
                }
            }
            Act::StartCall { id, ticket, process } => self.start_call(id, ticket, process),
            Act::StopCall {
                id,
                ticket,
                secs,
                process,
            } => self.stop_call(id, ticket, secs, process),
        }
    }

    fn signal(&mut self, id: &str, signal: u32, life: u64) {
        let Some(it) = self
            .boxes
            .get(id)
            .filter(|it| it.life == life && it.view.run == RunState::Running)
        else {
            return;
        };
        let ends = signal == 9 || (signal == it.view.stop_signal && !it.ignores_term);
        self.emit(id, EventAction::Kill { signal });
        if ends {
            let code = if signal == 9 { 137 } else { 143 };
            self.act(
                20,
                Act::Die {
                    id: id.into(),
                    life,
                    code,
                },
            );
        }
    }

    fn die(&mut self, id: &str, life: u64, code: i64) {
        let at = EngineTime(self.stamp());
        let Some(it) = self
            .boxes
            .get_mut(id)
            .filter(|it| it.life == life && it.view.run == RunState::Running)
        else {
            return;
        };
        let by_engine = !matches!(it.view.restart_policy, RestartPolicy::No) && !it.marked;
        it.view.run = if by_engine {
            RunState::Restarting
        } else {
            RunState::Exited
        };
        it.view.exit_code = code;
        it.view.finished_at = at;
        let backoff = it.backoff_ms;
        self.emit(id, EventAction::Die { exit_code: code });
        if by_engine {
            self.act(
                backoff,
                Act::Started {
                    id: id.into(),
                    engine: true,
                },
            );
        }
    }

    /// The back-off is over. A start that fails ends the engine's tries, and its mark of a person's stop stays as it was.
    fn policy_start(&mut self, id: &str) {
        let Some(it) = self.boxes.get_mut(id).filter(|it| it.view.run == RunState::Restarting) else {
            return;
        };
        match it.refuses.clone() {
            Some(why) => (it.view.run, it.view.error) = (RunState::Exited, why),
            None => self.started(id, true),
        }
    }

    fn answer(&mut self, process: u64, after: u64, ticket: Ticket, result: Result<Performed, EngineError>) {
        self.act(
            after,
            Act::Deliver(process, Box::new(ContainerInput::Performed { ticket, result })),
        );
    }

    fn cannot_join(&self, id: &str) -> Option<String> {
        match self.boxes.get(id) {
            None => Some(format!(
                "joining network namespace of container: No such container: {id}"
            )),
            Some(it) if it.view.run == RunState::Running => None,
            Some(_) => Some(format!("cannot join network of a non running container: {id}")),
        }
    }

    fn start_call(&mut self, id: String, ticket: Ticket, process: u64) {
        let now = self.now;
        let Some(joins) = self.boxes.get(&id).map(|it| it.view.joins.clone()) else {
            return self.answer(process, 1, ticket, Err(EngineError::NotFound));
        };
        if let Some(message) = joins.and_then(|other| self.cannot_join(&other)) {
            return self.answer(process, 5, ticket, Err(EngineError::Refused { status: 409, message }));
        }
        let Some(it) = self.boxes.get_mut(&id) else { return };
        if now < it.busy_until {
            let wait = it.busy_until - now;
            return self.act(wait, Act::StartCall { id, ticket, process });
        }
        if let Some(message) = it.refuses.clone() {
            return self.answer(process, 5, ticket, Err(EngineError::Refused { status: 500, message }));
        }
        if matches!(it.view.run, RunState::Running | RunState::Restarting) {
            return self.answer(process, 1, ticket, Ok(Performed::AlreadySo));
        }
        it.busy_until = now + START_MS;
        it.starts += 1;
        self.act(START_MS, Act::Started { id, engine: false });
        if self.break_starts {
            return self.answer(process, 10, ticket, Err(EngineError::BadAnswer("cut".into())));
        }
        if self.hang_calls {
            return self.answer(process, 30_000, ticket, Err(EngineError::Deadline));
        }
        self.answer(process, START_MS + 1, ticket, Ok(Performed::Done));
    }

    fn stop_call(&mut self, id: String, ticket: Option<Ticket>, secs: u32, process: u64) {
        let Some(it) = self.boxes.get_mut(&id) else { return };
        if it.view.run != RunState::Running && self.now < it.busy_until {
            // A start under way holds the container's lock.
            let wait = it.busy_until - self.now;
            let again = Act::StopCall {
                id,
                ticket,
                secs,
                process,
            };
            return self.act(wait, again);
        }
        if it.view.run == RunState::Restarting {
            // It ends the back-off: the only event is `stop`, and the end it had is the end it keeps.
            (it.marked, it.view.run) = (true, RunState::Exited);
            self.emit(&id, EventAction::Stop);
            if let Some(ticket) = ticket {
                self.answer(process, 1, ticket, Ok(Performed::Done));
            }
            return;
        }
        if it.view.run != RunState::Running {
            if let Some(ticket) = ticket {
                self.answer(process, 1, ticket, Ok(Performed::AlreadySo));
            }
            return;
        }
        it.marked = true;
        let (life, signal) = (it.life, it.view.stop_signal);
        let lasts = if it.ignores_term { u64::from(secs) * 1000 } else { 0 };
        it.busy_until = it.busy_until.max(self.now + lasts + 30);
        let ignores = it.ignores_term;
        self.signal(&id, signal, life);
        if ignores {
            self.act(
                lasts,
                Act::Signal {
                    id: id.clone(),
                    signal: 9,
                    life,
                },
            );
        }
        let stop_at = if self.stop_before_die { lasts + 15 } else { lasts + 28 };
        self.act(stop_at, Act::StopDone { id });
        if let Some(ticket) = ticket {
            self.answer(process, lasts + 31, ticket, Ok(Performed::Done));
        }
    }
}
