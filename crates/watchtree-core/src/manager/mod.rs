//! The manager role: the tree of all hosts, incidents, orders.
//!
//! Believes what hosts report while they are heard, and says itself what is true of a host that is not heard:
//!
//! ```text
//!              Hello                          freshness point passed
//!   Unknown ──────────▶ Well ──────────────────────────────────────────▶ Suspect ── a round: Ping, and a look whether
//!      │                 ▲ ▲ ▲                                             │  │  ▲    its kernel answers; `rounds` of them
//!      │ return_within   │ │ └──────────── fresh again, or Pong ───────────┘  │  │
//!      └─▶ Suspect       │ │                                                  ▼  │ late
//!                  Hello │ └──────────── fresh again, or Pong ──────────── Lost  │
//!                        │                     AGENT LOST (its kernel answers) / UNREACHABLE (it does not, or no look)
//!                       Left ◀── Goodbye (UNWATCHED, never DOWN) ────────────────┘ its time ran out
//! ```
//!
//! Suspects itself first: after its start or a stall of its own nobody is judged before a whole healthy window; when most
//! of its view falls silent at once it holds itself for the one that is cut off.

use crate::backend::{Admission, Backend, BackendPolicy, Happening};
use crate::decision::{ActionKind, Decision, DecisionId, GuardAnswer, Outcome};
use crate::detector::LocalHealth;
use crate::explain::DecisionLog;
use crate::id::{NodeIdentity, NodeName};
use crate::machine::Machine;
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment, WallTime};
use crate::verdict::Evidence;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

mod cut_off;
mod forget;
mod hosts;
mod incidents;
pub mod io;
mod looks;
mod orders;
pub mod pieces;
mod register;
mod troubles;
mod view;

use hosts::Watch;
use io::{ManagerEffect, ManagerInput, ManagerPolicy, ManagerStart};
use orders::Orders;
use register::Incidents;
use troubles::Troubles;

/// The condition that this process itself stalled.
const SELF: &str = "self";

/// The manager's machine.
#[derive(Debug)]
pub struct ManagerAgent {
    identity: NodeIdentity,
    term: u64,
    policy: ManagerPolicy,
    subject: SubjectId,
    started: Moment,
    wall: (Moment, WallTime),
    backend: Backend,
    own: LocalHealth,
    hosts: BTreeMap<NodeName, Watch>,
    /// When each host wants to be looked after next; mirrors `Watch::armed`, see `arm`.
    due: BTreeSet<(Moment, NodeName)>,
    looks: BTreeMap<u64, NodeName>,
    tally: cut_off::Tally,
    cut_off: bool,
    incidents: Incidents,
    log: DecisionLog,
    decisions: u64,
    orders: Orders,
    random: u64,
    troubles: Troubles,
    conditions: BTreeMap<String, Result<String, String>>,
    effects: VecDeque<ManagerEffect>,
}

impl ManagerAgent {
    /// The manager at its start; hosts it knew before are UNKNOWN until they beat.
    pub fn new(now: Moment, start: ManagerStart) -> Self {
        let policy = start.policy;
        let backend_policy = BackendPolicy {
            admission: Admission::Hosts,
            beat: policy.beat,
            margin: policy.margin,
            ack_every: policy.ack_every,
            parent_silence: policy.parent_silence,
            term: start.term,
        };
        let subject = own_subject(&start.identity);
        let mut log = DecisionLog::default();
        for decision in start.decisions {
            log.put(decision);
        }
        let mut manager = Self {
            term: start.term,
            subject,
            started: now,
            wall: (now, start.wall),
            backend: Backend::new(start.identity.clone(), backend_policy, start.seed),
            own: LocalHealth::new(now, policy.settle),
            hosts: BTreeMap::new(),
            due: BTreeSet::new(),
            looks: BTreeMap::new(),
            tally: cut_off::Tally::default(),
            cut_off: false,
            incidents: Incidents::new(start.next_incident),
            log,
            decisions: 0,
            orders: Orders::default(),
            random: start.seed ^ 0x9e37_79b9_7f4a_7c15,
            troubles: Troubles::default(),
            conditions: BTreeMap::new(),
            effects: VecDeque::new(),
            identity: start.identity,
            policy,
        };
        for known in start.hosts {
            manager.restore(now, known);
        }
        manager.take_up(now, start.incidents);
        manager.check_view(now);
        manager
    }

    fn happened(&mut self, now: Moment, happening: Happening) {
        match happening {
            Happening::Joined { name, new_life } => self.joined(now, name, new_life),
            Happening::Heard(name) | Happening::Pong(name) => self.heard(now, &name),
            Happening::Changed {
                name,
                changed,
                gone,
                whole,
            } => self.changed(now, &name, &changed, &gone, whole),
            Happening::Events {
                name,
                decisions,
                dropped,
            } => {
                self.events_came(&name, dropped);
                for decision in decisions {
                    self.take_decision(now, decision);
                }
            }
            Happening::OrderAnswered { name, answer } => self.order_answered(now, &name, answer),
            Happening::Left { name, goodbye } => self.left(now, &name, goodbye),
            Happening::Cloned { name, why } => self.cloned(&name, why),
            // A hint only: the next slot will tell.
            Happening::Gone { .. } => (),
        }
    }

    fn drain_backend(&mut self, now: Moment) {
        while let Some(happening) = self.backend.poll_happening() {
            self.happened(now, happening);
        }
        while let Some((to, envelope)) = self.backend.poll_outgoing() {
            self.effects.push_back(ManagerEffect::Send { to, envelope });
        }
    }

    /// This process did not run: nobody is judged by that time.
    fn stalled(&mut self, now: Moment, gap: Duration) {
        self.own.stalled(now, gap);
        self.after_stall(gap);
    }

    fn after_stall(&mut self, gap: Duration) {
        let settled = self.own.settled_at();
        let waiting: Vec<NodeName> = self.due.iter().map(|(_, name)| name.clone()).collect();
        for name in waiting {
            self.excuse(&name, settled);
        }
        // How long an illness lasts, and whether a subject is gone, was not seen either.
        self.incidents.put_off(settled);
        let why = format!(
            "did not run for {} ms: nobody is judged before {settled}",
            gap.as_millis()
        );
        self.set_condition(SELF.to_string(), Err(why));
    }

    /// A whole healthy window has passed since a stall.
    fn settle_if_due(&mut self, now: Moment) {
        if self.own.may_judge(now) && self.conditions.contains_key(SELF) {
            self.set_condition(
                SELF.to_string(),
                Ok("judges again after a whole healthy window".to_string()),
            );
        }
    }

    fn wall(&self, now: Moment) -> WallTime {
        let (at, wall) = self.wall;
        WallTime(wall.0 + u64::try_from(now.since(at).as_millis()).unwrap_or(0))
    }

    fn random(&mut self) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn set_condition(&mut self, about: String, state: Result<String, String>) {
        let news = match (self.conditions.get(&about), &state) {
            (Some(old), new) => old != new,
            (None, Ok(_)) => false,
            (None, Err(_)) => true,
        };
        if !news {
            return;
        }
        if state.is_ok() {
            self.conditions.remove(&about);
        } else {
            self.conditions.insert(about.clone(), state.clone());
        }
        self.effects.push_back(ManagerEffect::Condition { about, state });
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    fn decide(
        &mut self,
        now: Moment,
        subject: SubjectId,
        evidence: Vec<Evidence>,
        guards: Vec<GuardAnswer>,
        action: ActionKind,
        outcome: Outcome,
        why: String,
    ) -> Decision {
        self.decisions += 1;
        let id = DecisionId {
            node: self.identity.name.clone(),
            epoch: self.identity.agent_epoch.0,
            count: self.decisions,
        };
        let decision = Decision {
            id,
            at: now,
            wall: self.wall(now),
            subject,
            incarnation: Incarnation::default(),
            evidence,
            guards,
            action,
            budget_left: None,
            outcome,
            why,
            result: String::new(),
        };
        self.keep(decision.clone());
        decision
    }

    fn keep(&mut self, decision: Decision) -> bool {
        self.effects.push_back(ManagerEffect::StoreDecision(decision.clone()));
        self.log.put(decision)
    }
}

/// The manager's own place in the tree.
fn own_subject(identity: &NodeIdentity) -> SubjectId {
    SubjectId::of_node(&identity.name)
}

impl Machine for ManagerAgent {
    type Input = ManagerInput;
    type Effect = ManagerEffect;

    fn handle(&mut self, now: Moment, input: ManagerInput) {
        match input {
            ManagerInput::Hosts(input) => self.backend.handle(now, input),
            ManagerInput::Looked { nonce, look } => self.looked(now, nonce, look),
            ManagerInput::Ask(ask) => self.ask(now, ask),
            ManagerInput::Forget { ticket, host, asked_by } => self.ask_to_forget(now, ticket, &host, &asked_by),
            ManagerInput::Remembered { hosts, incidents } => self.remembered(now, hosts, incidents),
            ManagerInput::StoreHealth { state } => {
                let state = state.map(|()| "the store can be written again".to_string());
                self.set_condition("store".to_string(), state);
            }
            ManagerInput::Wall(wall) => self.wall = (now, wall),
            ManagerInput::Stalled { gap } => self.stalled(now, gap),
            ManagerInput::Stop => self.effects.push_back(ManagerEffect::Stopped),
        }
        self.drain_backend(now);
    }

    fn handle_timeout(&mut self, now: Moment) {
        let Some(due) = self.next_deadline().filter(|due| *due <= now) else {
            return;
        };
        if self.own.woke(now, due) {
            self.after_stall(now.since(due));
        }
        self.settle_if_due(now);
        while let Some((at, name)) = self.due.first().cloned() {
            if now < at {
                break;
            }
            self.host_due(now, &name);
        }
        self.incidents_due(now);
        self.orders_due(now);
        self.drain_backend(now);
    }

    fn poll_effect(&mut self) -> Option<ManagerEffect> {
        self.effects.pop_front()
    }

    fn next_deadline(&self) -> Option<Moment> {
        let host = self.due.first().map(|(at, _)| *at);
        let settled = self.conditions.contains_key(SELF).then(|| self.own.settled_at());
        [host, self.incidents.next_due(), self.orders.next_due(), settled]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests;
