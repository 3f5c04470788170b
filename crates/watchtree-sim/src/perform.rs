//! Carries out the effects of the machines in the simulated world: the synchronous twin of the daemons' drivers.

use crate::book::Posted;
use crate::engine::Asker;
use crate::fault::Fault;
use crate::world::{Bug, Happening, World};
use watchtree_core::container::io::{ContainerEffect, ContainerInput, EngineCall, EngineError, Performed, Ticket};
use watchtree_core::host::io::{ChildExit, ChildSignal, HostEffect, HostFigures, HostInput};
use watchtree_core::id::NodeName;
use watchtree_core::manager::io::{ManagerEffect, ManagerInput};
use watchtree_core::message::{Envelope, Look, Message};
use watchtree_core::time::Duration;

/// Tickets of calls that a planted defect posts anew: a core's own never grow that far.
const AGAIN: u64 = 1 << 40;

/// A host-watchdog finds what runs within this time of its start.
const FOUND_WITHIN: Duration = Duration::from_millis(4);

/// Name of the container-watchdog of a host.
pub(crate) fn child_name(host: &NodeName) -> NodeName {
    NodeName::new(&format!("{host}.docker.watchdog")).expect("a host's name and a short suffix")
}

impl World {
    // --- container-watchdog ---

    /// One effect of a container-watchdog.
    pub fn child_effect(&mut self, h: usize, effect: ContainerEffect) {
        let epoch = self.hosts[h].child.epoch;
        match effect {
            ContainerEffect::Subscribe { since } => {
                self.hosts[h].subscription = (self.hosts[h].subscription.0 + 1, false);
                let number = self.hosts[h].subscription.0;
                let delay = self.rng.millis(2, 6);
                self.after(delay, Happening::StreamOpens(h, epoch, number, since));
            }
            ContainerEffect::List => {
                let delay = self.rng.millis(5, 20);
                self.after(delay, Happening::ListRead(h, epoch));
            }
            ContainerEffect::Inspect { id } => {
                let delay = self.rng.millis(1, 4);
                let asked = self.now;
                self.after(delay, Happening::InspectRead(h, epoch, id, asked));
            }
            ContainerEffect::ReadStopMark { id } => {
                let delay = self.rng.millis(1, 2);
                self.after(delay, Happening::MarkRead(h, epoch, id));
            }
            ContainerEffect::Journal(record) => self.journal(h, record),
            ContainerEffect::Perform {
                ticket,
                id,
                call,
                within,
            } => {
                if matches!(call, EngineCall::Stop { .. }) {
                    self.spring_ambush(h, &id);
                }
                self.check_hands_off(h, &id, call);
                let world = &mut self.hosts[h];
                if let Err((rule, why)) = world.book.post(self.now, &world.journal, (epoch, ticket.0), &id, call) {
                    self.breaks(rule, format!("host {h}: {why}"));
                }
                self.post(h, id, call, (epoch, ticket.0));
                self.after(within, Happening::CallDeadline(h, epoch, ticket));
            }
            ContainerEffect::Send(envelope) => self.child_sends(h, envelope),
            ContainerEffect::Decided(decision) => self.check_decision(&decision),
            ContainerEffect::LocalAnswer(_) | ContainerEffect::Condition { .. } => {}
            ContainerEffect::Stopped => self.child_gone(h, ChildExit::Code(0)),
        }
    }

    /// A call leaves for the engine.
    fn post(&mut self, h: usize, id: String, call: EngineCall, (epoch, ticket): (u64, u64)) {
        self.hosts[h].calls.insert((epoch, ticket));
        let delay = self.rng.millis(1, 3);
        let asker = Asker::Watchdog { epoch, ticket };
        self.after(delay, Happening::CallArrives(h, id, call, asker));
    }

    fn spring_ambush(&mut self, h: usize, id: &str) {
        let Some(c) = self.hosts[h].ambush else { return };
        if self.hosts[h].engine.containers[c].view.id == id {
            self.hosts[h].ambush = None;
            let delay = self.rng.millis(20, 6000);
            self.counted("stop_into_repair");
            self.after(delay, Happening::Fault(Fault::OperatorStop { host: h, container: c }));
        }
    }

    /// A call reaches the engine.
    pub fn call_arrives(&mut self, h: usize, id: &str, call: EngineCall, asker: Asker) {
        if !self.hosts[h].powered {
            return;
        }
        self.check_call(h, id, call, asker);
        let (slow, found) = (self.hosts[h].engine.slow.len(), self.hosts[h].engine.find(id));
        self.hosts[h].engine.call(self.now, id, call, asker);
        if self.hosts[h].engine.slow.len() < slow {
            self.counted("slow_start");
        }
        self.engine_speaks(h);
        let Asker::Watchdog { epoch, ticket } = asker else {
            return;
        };
        if found.is_some() && found == self.hosts[h].break_call && self.hosts[h].calls.contains(&(epoch, ticket)) {
            self.hosts[h].break_call = None;
            let delay = self.rng.millis(50, 900);
            self.after(delay, Happening::ConnectionBreaks(h, (epoch, ticket)));
        }
    }

    /// The engine answers a call: the work is over, whether or not the caller still hears of it.
    pub fn call_answered(&mut self, h: usize, asker: Asker, result: Result<Performed, EngineError>) {
        let Asker::Watchdog { epoch, ticket } = asker else {
            return;
        };
        let posted = self.hosts[h]
            .book
            .finished(self.now, (epoch, ticket), result == Ok(Performed::Done));
        if let Some(Posted {
            id,
            call: EngineCall::Start,
            ..
        }) = &posted
            && result == Ok(Performed::Done)
        {
            self.check_start(h, id);
        }
        if !self.hosts[h].calls.remove(&(epoch, ticket)) {
            return; // its connection broke before
        }
        if 0 < self.hosts[h].lose_answers && self.hosts[h].child.epoch == epoch {
            self.hosts[h].lose_answers -= 1;
            self.counted("lost_answer");
            return self.connection_breaks(h, (epoch, ticket), posted);
        }
        let delay = self.rng.millis(1, 3);
        let input = ContainerInput::Performed {
            ticket: Ticket(ticket),
            result,
        };
        self.after(delay, Happening::ToChild(h, epoch, input));
    }

    /// The caller hears that its connection broke. The defect `PostedAgain` takes that for a call that was not carried out.
    fn connection_breaks(&mut self, h: usize, (epoch, ticket): (u64, u64), posted: Option<Posted>) {
        if let Some(posted) = &posted {
            self.hosts[h].book.lost(self.now, &posted.id);
        }
        if let (Some(Bug::PostedAgain), Some(posted)) = (self.bug, posted) {
            let fresh = (epoch, AGAIN + ticket);
            if let Err((rule, why)) = self.hosts[h].book.post_again(self.now, fresh, posted.clone()) {
                self.breaks(rule, format!("host {h}: {why}"));
            }
            self.post(h, posted.id, posted.call, fresh);
        }
        let delay = self.rng.millis(1, 3);
        let input = ContainerInput::Performed {
            ticket: Ticket(ticket),
            result: Err(EngineError::BadAnswer("the connection broke before the answer".into())),
        };
        self.after(delay, Happening::ToChild(h, epoch, input));
    }

    /// The connection of a call that is still under way breaks; the engine goes on with it.
    pub fn connection_breaks_midway(&mut self, h: usize, by: (u64, u64)) {
        let posted = self.hosts[h].book.unfinished(by);
        if posted.is_some() && self.hosts[h].child.epoch == by.0 && self.hosts[h].calls.remove(&by) {
            self.counted("broken_call");
            self.connection_breaks(h, by, posted);
        }
    }

    /// A call's deadline passes; said once, if the answer is still out.
    pub fn call_deadline(&mut self, h: usize, epoch: u64, ticket: Ticket) {
        if self.hosts[h].calls.contains(&(epoch, ticket.0)) {
            self.counted("call_deadline");
            if let Some(posted) = self.hosts[h].book.unfinished((epoch, ticket.0)) {
                self.hosts[h].book.lost(self.now, &posted.id);
            }
            let input = ContainerInput::Performed {
                ticket,
                result: Err(EngineError::Deadline),
            };
            self.after(Duration::ZERO, Happening::ToChild(h, epoch, input));
        }
    }

    // --- host-watchdog ---

    /// One effect of a host-watchdog.
    pub fn host_effect(&mut self, h: usize, effect: HostEffect) {
        let epoch = self.hosts[h].host.epoch;
        match effect {
            HostEffect::Send(envelope) => self.host_sends(h, envelope),
            HostEffect::SendToChild { to, envelope } => self.host_to_child(h, &to, envelope),
            HostEffect::StartChild { engine } => {
                self.start_child(h);
                let result = Ok(self.hosts[h].pid);
                let input = HostInput::ChildStarted { engine, result };
                self.after(Duration::from_millis(2), Happening::ToHost(h, epoch, input));
            }
            HostEffect::SignalChild { engine: _, pid, signal } => self.signal_child(h, pid, signal),
            HostEffect::ProbeEngine { engine, probe, within } => {
                let ill = self.now < self.hosts[h].engine_ill_until;
                let (took, result) = match ill {
                    true => (within, Err(EngineError::Deadline)),
                    false => (self.rng.millis(1, 20), Ok("answers".into())),
                };
                if ill {
                    self.counted("probe_failed");
                }
                let input = HostInput::Probed {
                    engine,
                    probe,
                    took,
                    result,
                };
                self.after(took, Happening::ToHost(h, epoch, input));
            }
            HostEffect::ReadFigures => {
                let figures = HostFigures {
                    load1_milli: 100,
                    cpus: 2,
                    memory_available_milli: 800,
                    ..HostFigures::default()
                };
                self.after(
                    Duration::from_millis(1),
                    Happening::ToHost(h, epoch, HostInput::Figures(figures)),
                );
            }
            HostEffect::Decided(decision) => self.check_decision(&decision),
            HostEffect::LocalAnswer(_) | HostEffect::Condition { .. } => {}
            HostEffect::Stopped => self.host_stopped(h),
        }
    }

    /// The defect `TimerResetOnReceipt`: the slot becomes the time of receipt, seen from the first frame on.
    pub fn judge_by_receipt(&mut self, h: usize, at: watchtree_core::time::Moment, envelope: &mut Envelope) {
        if self.bug == Some(Bug::TimerResetOnReceipt) {
            let (slot, received) = *self.hosts[h].slot_shift.get_or_insert((envelope.header.slot, at));
            envelope.header.slot = slot + at.since(received);
            envelope.header.sent = envelope.header.slot;
        }
    }

    fn signal_child(&mut self, h: usize, pid: u32, signal: ChildSignal) {
        if self.hosts[h].pid != pid || !self.hosts[h].child.exists() {
            return;
        }
        match signal {
            ChildSignal::Kill => {
                self.check_child_kill(h);
                self.child_gone(h, ChildExit::Signal(9));
            }
            ChildSignal::Terminate => {
                let epoch = self.hosts[h].child.epoch;
                self.after(
                    Duration::from_micros(200),
                    Happening::ToChild(h, epoch, ContainerInput::Stop),
                );
            }
        }
    }

    /// The container-watchdog's process ends; its host-watchdog learns it from the kernel, once it has found the process.
    pub fn child_gone(&mut self, h: usize, exit: ChildExit) {
        self.hosts[h].child.kill();
        self.journal_ends(h);
        self.hosts[h].subscription = (self.hosts[h].subscription.0 + 1, false);
        let (epoch, pid) = (self.hosts[h].host.epoch, self.hosts[h].pid);
        let input = HostInput::ChildExited {
            engine: "docker".into(),
            pid,
            exit,
            last_line: String::new(),
        };
        let found = self.hosts[h].host.well_since + FOUND_WITHIN;
        let at = (self.now + Duration::from_millis(1)).max(found);
        self.at(at, Happening::ToHost(h, epoch, input));
    }

    // --- manager-watchdog ---

    /// One effect of the manager.
    pub fn manager_effect(&mut self, effect: ManagerEffect) {
        match effect {
            ManagerEffect::Send { to, envelope } => self.manager_sends(&to, envelope),
            ManagerEffect::SignAndSend { to, header, order } => {
                let message = Message::Order(self.sign(order));
                self.manager_sends(&to, Envelope { header, message });
            }
            ManagerEffect::ProbeHost {
                nonce,
                host,
                addresses: _,
                within,
            } => self.look(nonce, &host, within),
            ManagerEffect::StoreHost(host) => {
                self.store.hosts.insert(host.identity.name.clone(), host);
            }
            ManagerEffect::ForgetHost(name) => {
                self.store.hosts.remove(&name);
            }
            ManagerEffect::IncidentOpened(incident)
            | ManagerEffect::IncidentChanged(incident)
            | ManagerEffect::IncidentNoted(incident) => {
                self.store.next_incident = self.store.next_incident.max(incident.id + 1);
                self.store.incidents.insert(incident.id, incident);
            }
            ManagerEffect::IncidentClosed(incident) => {
                self.store.incidents.remove(&incident.id);
            }
            ManagerEffect::StateChanged { subject, from, to, why } => {
                self.check_state_change(&subject, from, to, &why);
            }
            ManagerEffect::StoreDecision(decision) => self.check_decision(&decision),
            ManagerEffect::AskAnswered { ticket, result } => self.check_ask_answered(ticket, &result),
            ManagerEffect::Condition { .. } => {}
            ManagerEffect::Stopped => self.manager.kill(),
        }
    }

    /// The host of that name.
    pub fn host_of(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.name.as_str() == name)
    }

    fn look(&mut self, nonce: u64, host: &NodeName, within: Duration) {
        let epoch = self.manager.epoch;
        let answers = self
            .host_of(host.as_str())
            .is_some_and(|h| self.hosts[h].powered && self.hosts[h].cut_until <= self.now);
        let (look, delay) = match answers {
            true => (Look::Answered("tcp refused".into()), Duration::from_millis(3)),
            false => (Look::Silent("no answer".into()), within),
        };
        self.after(
            delay,
            Happening::ToManager(epoch, ManagerInput::HostProbed { nonce, result: look }),
        );
    }
}
