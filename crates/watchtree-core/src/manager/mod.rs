//! The manager role: the tree of all hosts, incidents, orders.
//!
//! ```text
//!   hosts ──▶ Backend ──▶ Hosts (who is heard) ──▶ Partition (or is it we?) ──▶ Incidents ──▶ store, webhooks
//!                │           │ Ping, probe from outside
//!                ◀───────────┘
//!                ◀── OrderDispatch ◀── a person
//! ```
//!
//! Wiring only: believes what hosts report while they are heard, and says itself what is true of a host that is not heard.
//! Each rule stands in a file of its own; all that leaves goes over the desk.

use crate::backend::{Admission, Backend, BackendPolicy, Child, Happening, Refusal};
use crate::conditions::Conditions;
use crate::decision::Decision;
use crate::id::{NodeIdentity, NodeName};
use crate::incident::Incident;
use crate::machine::Machine;
use crate::order::OrderAnswer;
use crate::random::mix;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::{ObserverHealth, Verdict};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

mod announced_leave;
mod desk;
mod fleet;
mod fleet_view;
mod forgetting;
mod host_conditions;
mod host_monitor;
mod host_probe;
mod hosts;
mod incidents;
pub mod io;
mod order_dispatch;
mod order_targets;
mod own_state;
pub mod page;
mod partition;
mod suspicion;

use desk::Desk;
use fleet::{Fleet, Step};
use forgetting::Forgetting;
use io::{Ask, ManagerEffect, ManagerInput, ManagerStart, TargetAnswer};
use order_dispatch::OrderDispatch;
use page::{Shown, TreeCursor, TreeReader};

/// The manager's machine.
#[derive(Debug)]
pub struct ManagerAgent {
    identity: NodeIdentity,
    sessions: Backend,
    fleet: Fleet,
    orders: OrderDispatch,
    desk: Desk,
}

impl ManagerAgent {
    /// The manager at its start; hosts it knew before are UNKNOWN until they beat.
    pub fn new(now: Moment, start: ManagerStart) -> Self {
        let (identity, policy, seed) = (start.identity, start.policy, start.seed);
        let backend_policy = BackendPolicy {
            admission: Admission::Hosts,
            beat: policy.beat,
            margin: policy.margin,
            ack_every: policy.ack_every,
            parent_silence: policy.parent_silence,
            term: start.term,
        };
        let (name, next) = (identity.name.clone(), start.next_incident);
        let mut manager = Self {
            sessions: Backend::new(identity.clone(), backend_policy, seed),
            orders: OrderDispatch::new(start.term, &policy, mix(seed)),
            fleet: Fleet::new(now, name, policy, next, mix(mix(seed))),
            desk: Desk::new(&identity, now, start.wall, start.decisions),
            identity,
        };
        let (fleet, mut step) = manager.step(now);
        fleet.restore(&mut step, start.hosts, start.incidents);
        manager
    }

    /// Who it is.
    pub fn identity(&self) -> &NodeIdentity {
        &self.identity
    }

    /// Its term.
    pub fn term(&self) -> u64 {
        self.orders.term()
    }

    /// When it started.
    pub fn started(&self) -> Moment {
        self.fleet.started()
    }

    /// True once a whole healthy window has passed since its start or its last stall: only then its verdicts count.
    pub fn is_settled(&self, now: Moment) -> bool {
        self.fleet.hosts().local().may_judge(now)
    }

    /// How well it is itself.
    pub fn health(&self, now: Moment) -> ObserverHealth {
        self.fleet.hosts().local().health(now)
    }

    /// What is wrong with it or its view just now.
    pub fn conditions(&self) -> &Conditions {
        self.desk.conditions()
    }

    /// Frames refused since its start, by reason.
    pub fn refused(&self) -> &BTreeMap<Refusal, u64> {
        self.sessions.refused()
    }

    /// The hosts it knows, with the manager's own word on each.
    pub fn hosts(&self) -> impl Iterator<Item = (&NodeName, &Verdict)> {
        self.fleet
            .hosts()
            .all()
            .iter()
            .map(|(name, host)| (name, host.verdict()))
    }

    /// A host's session; `None` before its first Hello since this manager started.
    pub fn host(&self, name: &NodeName) -> Option<&Child> {
        self.sessions.child(name)
    }

    /// The open incidents, by subject.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.fleet.incidents().open()
    }

    /// The newest incidents that were closed since this manager started, oldest first; the store has them all.
    pub fn closed_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.fleet.incidents().archived()
    }

    /// The newest decisions about a subject, oldest first; older ones are in the store.
    pub fn explain(&self, subject: &SubjectId) -> impl Iterator<Item = &Decision> + use<'_> {
        self.desk.records_of(subject)
    }

    /// Shows the next `limit` subjects, from the manager itself on; see [`page`]. `None` = that was all.
    pub fn tree_page(
        &self,
        now: Moment,
        from: &TreeCursor,
        limit: usize,
        see: impl FnMut(Shown<'_>),
    ) -> Option<TreeCursor> {
        let (fleet, own) = (self.fleet.view(&self.sessions), &self.own_verdict(now));
        TreeReader { fleet, own }.page(from, limit, see)
    }

    /// Shows a subject, if there is one of that name, and everything below it.
    pub fn tree_below(&self, now: Moment, subject: &SubjectId, see: impl FnMut(Shown<'_>)) {
        let (fleet, own) = (self.fleet.view(&self.sessions), &self.own_verdict(now));
        TreeReader { fleet, own }.below(subject, see);
    }

    /// The manager's verdict of itself.
    pub fn own_verdict(&self, now: Moment) -> Verdict {
        self.fleet.own_verdict(now, &self.desk)
    }

    const fn step(&mut self, now: Moment) -> (&mut Fleet, Step<'_>) {
        let step = Step {
            now,
            sessions: &mut self.sessions,
            desk: &mut self.desk,
        };
        (&mut self.fleet, step)
    }

    fn happened(&mut self, now: Moment, happening: Happening) {
        let (fleet, mut step) = self.step(now);
        match happening {
            Happening::Joined { name, new_life } => {
                step.desk.set_cloned(&name, None);
                fleet.joined(&mut step, &name, new_life);
            }
            Happening::Heard(name) | Happening::Pong(name) => fleet.heard(&mut step, &name),
            Happening::Changed { name, change } => fleet.reported(&mut step, &name, &change),
            Happening::Events {
                name,
                decisions,
                dropped,
            } => {
                step.desk.events_came(&name, dropped);
                for decision in decisions {
                    fleet.take_decision(&mut step, decision);
                }
            }
            Happening::OrderAnswered { name, answer } => self.orders.answered(now, &name, answer, &mut self.desk),
            Happening::Left { name, goodbye } => fleet.left(&mut step, &name, goodbye),
            Happening::Cloned { name, why } => step.desk.set_cloned(&name, Some(why)),
            // A hint only: the next slot will tell.
            Happening::Gone { .. } => (),
        }
    }

    fn drain_sessions(&mut self, now: Moment) {
        while let Some(happening) = self.sessions.poll_happening() {
            self.happened(now, happening);
        }
        while let Some((to, envelope)) = self.sessions.poll_outgoing() {
            self.desk.push(ManagerEffect::Send { to, envelope });
        }
    }

    fn ask(&mut self, now: Moment, ask: &Ask) {
        let checked = self.orders.check(ask);
        match checked.and_then(|()| order_targets::targets(self.fleet.view(&self.sessions), &ask.subject)) {
            Ok(targets) => self.orders.send(now, ask, targets, &mut self.sessions, &mut self.desk),
            Err(error) => {
                self.desk.refuse(now, &ask.to_string(), &error);
                let (ticket, result) = (ask.ticket, Err(error));
                self.desk.push(ManagerEffect::AskAnswered { ticket, result });
            }
        }
    }

    fn ask_to_forget(&mut self, now: Moment, ticket: u64, subject: &SubjectId, asked_by: &str) {
        let asked = format!("{asked_by} asked to forget {subject}");
        let own = self.desk.own().clone();
        let result = match forgetting::judge(now, self.fleet.view(&self.sessions), &own, subject, &asked) {
            Ok(Forgetting { draft, host }) => {
                self.desk.record(now, draft);
                host
            }
            Err(error) => {
                self.desk.refuse(now, &asked, &error);
                Err(error)
            }
        };
        let result = result.map(|host| {
            let (fleet, mut step) = self.step(now);
            fleet.forget(&mut step, &host, &format!("{asked_by} took the host out of the tree"));
            self.forgotten(&host)
        });
        self.desk.push(ManagerEffect::AskAnswered { ticket, result });
    }

    fn forgotten(&self, host: &NodeName) -> Vec<TargetAnswer> {
        let answer = OrderAnswer {
            id: [0; 16],
            result: Ok(()),
            detail: format!("{host} is taken out of the tree"),
        };
        vec![TargetAnswer {
            target: self.identity.name.clone(),
            answer: Some(answer),
        }]
    }
}

impl Machine for ManagerAgent {
    type Input = ManagerInput;
    type Effect = ManagerEffect;

    fn handle(&mut self, now: Moment, input: ManagerInput) {
        let (fleet, mut step) = self.step(now);
        match input {
            ManagerInput::Hosts(input) => step.sessions.handle(now, input),
            ManagerInput::HostProbed { nonce, result } => fleet.probed(nonce, result),
            ManagerInput::Ask(ask) => self.ask(now, &ask),
            ManagerInput::Forget { ticket, host, asked_by } => self.ask_to_forget(now, ticket, &host, &asked_by),
            ManagerInput::Remembered { hosts, incidents } => fleet.restore(&mut step, hosts, incidents),
            ManagerInput::StoreHealth { state } => {
                let state = state.map(|()| "the store can be written again".to_string());
                step.desk.set_condition("store", state);
            }
            ManagerInput::Wall(wall) => step.desk.set_wall(now, wall),
            ManagerInput::Stalled { gap } => fleet.stalled(&mut step, gap),
            ManagerInput::Stop => step.desk.push(ManagerEffect::Stopped),
        }
        self.drain_sessions(now);
    }

    fn handle_timeout(&mut self, now: Moment) {
        let Some(due) = self.next_deadline().filter(|due| *due <= now) else {
            return;
        };
        let (fleet, mut step) = self.step(now);
        fleet.due(&mut step, due);
        self.orders.due(now, &mut self.sessions, &mut self.desk);
        self.drain_sessions(now);
    }

    fn poll_effect(&mut self) -> Option<ManagerEffect> {
        self.desk.poll()
    }

    fn next_deadline(&self) -> Option<Moment> {
        let next = [self.fleet.next_deadline(&self.desk), self.orders.next_deadline()];
        next.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
