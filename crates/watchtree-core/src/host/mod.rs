//! The host role: keeps the container-watchdogs of one machine alive, probes its engines, reports its health.
//!
//! ```text
//!   container-watchdog ──ipc──▶ Backend ──▶ HostAgent ──▶ Frontend ──tcp──▶ manager
//!      (child process)                       │   ▲
//!              StartChild, SignalChild ◀─────┘   └──── pidfd, probes, figures
//! ```
//!
//! Passes reports, events and order results of its children up, and orders for them down, byte for byte. Needs no manager
//! for any of what it does to its children. Its life of a child is in `child`; what it says of an engine in `engine_monitor`,
//! of the machine in `host_health`.
//!
//! Suspects itself first: after its start or a stall of its own no child is judged before a whole healthy window, in
//! which the backlog of their beats is taken by their slots.

use crate::backend::{Admission, Backend, BackendPolicy, Happening};
use crate::conditions::{ConditionChange, Conditions};
use crate::container::io::EngineError;
use crate::decision::Decision;
use crate::detector::SelfWatch;
use crate::explain::DecisionLog;
use crate::frontend::{Frontend, FrontendInput, FrontendNotice, FrontendSettings};
use crate::holds::Holds;
use crate::id::{NodeIdentity, NodeName};
use crate::machine::Machine;
use crate::message::{Capabilities, Envelope, Goodbye, Look, Message, OrderFrame, OrderInput};
use crate::order_inbox::OrderInbox;
use crate::random::Random;
use crate::recorder::DecisionRecorder;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::Verdict;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

mod child;
mod engine_monitor;
mod host_health;
pub mod io;
mod orders;
mod revive;
mod tell;

use child::Child;
use engine_monitor::EngineMonitor;
use host_health::HostHealth;
use io::{ChildView, EngineProbe, HostEffect, HostInput, HostPolicy, HostStart};

/// How long the manager is told to wait for the host-watchdog's return.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// The condition that this process itself stalled.
const SELF: &str = "self";

/// The host's machine.
pub struct HostAgent {
    identity: NodeIdentity,
    policy: HostPolicy,
    scope: SubjectId,
    started: Moment,
    own: SelfWatch,
    frontend: Frontend,
    backend: Backend,
    children: BTreeMap<String, Child>,
    engines: BTreeMap<String, EngineMonitor>,
    health: HostHealth,
    orders: OrderInbox,
    holds: Holds,
    log: DecisionLog,
    recorder: DecisionRecorder,
    random: Random,
    conditions: Conditions,
    /// An order for a child that is just going through the frontend's checks.
    forward_to: Option<NodeName>,
    looked_for: bool,
    stopping: bool,
    going_down: bool,
    effects: VecDeque<HostEffect>,
}

impl HostAgent {
    /// The host-watchdog at its start. It waits for `ChildrenLookedFor` before it starts any child.
    pub fn new(now: Moment, start: HostStart) -> Self {
        let scope = SubjectId::of_node(&start.identity.name);
        let policy = start.policy;
        let mut children = BTreeMap::new();
        let mut listed = BTreeMap::new();
        for name in &start.engines {
            // A name that makes no node name cannot have a child; configuration refuses it before.
            let Ok(node) = NodeName::new(&format!("{}.{name}.watchdog", start.identity.name)) else {
                continue;
            };
            listed.insert(node.clone(), scope.child(name));
            children.insert(name.clone(), Child::new(node, scope.child(name)));
        }
        let backend_policy = BackendPolicy {
            admission: Admission::Listed(listed),
            beat: policy.child_beat,
            margin: policy.child_margin,
            ack_every: 2,
            parent_silence: policy.child_beat * 6,
            term: 0,
        };
        let settings = FrontendSettings {
            identity: start.identity.clone(),
            capabilities: Capabilities(Capabilities::REPORTS | Capabilities::ORDERS | Capabilities::EVENTS),
            scope: scope.clone(),
            beat_wanted: policy.beat,
            look_at: start.look_at,
        };
        let engines = children
            .keys()
            .map(|name| (name.clone(), EngineMonitor::new(now)))
            .collect();
        let settle = policy.child_beat + policy.child_margin + policy.child_beat;
        let (node, boot_id) = (start.identity.name.clone(), start.identity.boot_id);
        let orders = OrderInbox::new(node, boot_id, scope.clone());
        let mut host = Self {
            scope,
            started: now,
            own: SelfWatch::new(now, settle),
            frontend: Frontend::new(settings, now),
            backend: Backend::new(start.identity.clone(), backend_policy, start.seed),
            children,
            engines,
            health: HostHealth::new(now),
            orders,
            holds: Holds::default(),
            log: DecisionLog::default(),
            recorder: DecisionRecorder::new(start.identity.name.clone(), start.identity.agent_epoch, now, start.wall),
            random: Random::new(start.seed),
            conditions: Conditions::default(),
            forward_to: None,
            looked_for: false,
            stopping: false,
            going_down: false,
            effects: VecDeque::new(),
            identity: start.identity,
            policy,
        };
        host.tell_all(now);
        host
    }

    /// Who it is.
    pub fn identity(&self) -> &NodeIdentity {
        &self.identity
    }

    /// When it started.
    pub fn started(&self) -> Moment {
        self.started
    }

    /// Its side towards the manager: joined or not, every verdict it reports, round trip.
    pub fn frontend(&self) -> &Frontend {
        &self.frontend
    }

    /// Its side towards its children.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// What is wrong just now, by what it is about.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Decisions about a subject that were made here or passed through here, oldest first.
    pub fn explain(&self, subject: &SubjectId) -> impl Iterator<Item = &Decision> + use<'_> {
        self.log.of(subject)
    }

    /// The child processes, for the status page.
    pub fn children(&self) -> Vec<ChildView> {
        self.children
            .iter()
            .map(|(engine, child)| child.view(engine, &self.backend))
            .collect()
    }

    fn engines_due(&mut self, now: Moment) {
        for (engine, monitor) in &mut self.engines {
            while let Some(probe) = monitor.pop_due(now, &self.policy) {
                self.effects.push_back(HostEffect::ProbeEngine {
                    engine: engine.clone(),
                    probe,
                    within: probe.within(),
                });
            }
        }
    }

    fn probed(
        &mut self,
        now: Moment,
        engine: &str,
        (probe, took): (EngineProbe, Duration),
        result: Result<String, EngineError>,
    ) {
        // A probe that this daemon's own stall spoilt is not a probe that failed.
        let counts = self.own.may_judge(now) || result.is_ok();
        let Some(monitor) = self.engines.get_mut(engine) else {
            return;
        };
        if monitor.probed((now, took), probe, result, counts, &self.policy) {
            self.tell_engine(now, engine);
        }
    }

    fn health_due(&mut self, now: Moment) {
        if !self.health.pop_due(now, self.policy.figures_every) {
            return;
        }
        self.effects.push_back(HostEffect::ReadFigures);
        if self.health.overdue(now).is_some() {
            self.tell_host(now);
        }
    }

    fn drain(&mut self, now: Moment) {
        while let Some(happening) = self.backend.poll_happening() {
            self.happened(now, happening);
        }
        while let Some(notice) = self.frontend.poll_notice() {
            self.noticed(now, notice);
        }
        while let Some(decision) = self.recorder.poll() {
            self.log.put(decision.clone());
            self.effects.push_back(HostEffect::Decided(decision.clone()));
            self.frontend.event(now, decision);
        }
        while let Some((to, envelope)) = self.backend.poll_outgoing() {
            self.effects.push_back(HostEffect::SendToChild { to, envelope });
        }
        while let Some(envelope) = self.frontend.poll_envelope() {
            self.effects.push_back(HostEffect::Send(envelope));
        }
    }

    fn happened(&mut self, now: Moment, happening: Happening) {
        match happening {
            Happening::Joined { name, .. } => self.child_joined(now, &name),
            Happening::Heard(name) | Happening::Pong(name) => self.child_heard(now, &name),
            Happening::Changed { name, change } => {
                self.child_reported(now, &name, &change.changed, &change.gone, change.whole);
            }
            Happening::Events { decisions, .. } => {
                for decision in decisions {
                    self.log.put(decision.clone());
                    self.frontend.event(now, decision);
                }
            }
            Happening::OrderAnswered { answer, .. } => self.frontend.order_result(now, answer),
            Happening::Left { name, .. } => self.child_said_goodbye(now, &name),
            Happening::Cloned { name, why } => self.set_condition(&format!("clone {name}"), Err(why)),
            // The kernel tells of a child's end; a broken socket alone means nothing.
            Happening::Gone { .. } => (),
        }
    }

    fn noticed(&mut self, now: Moment, notice: FrontendNotice) {
        let about = "manager";
        match notice {
            FrontendNotice::Joined { parent, term } => {
                self.orders.saw_term(term);
                self.backend.tell_term(now, term);
                self.set_condition(about, Ok(format!("{parent} said welcome")));
            }
            FrontendNotice::Lost(why) => self.set_condition(about, Err(format!("no link: {why}"))),
            FrontendNotice::ParentSilent(since) => {
                self.set_condition(about, Err(format!("silent for {} s", since.as_secs())));
            }
            FrontendNotice::ParentBack => self.set_condition(about, Ok("heard again".to_string())),
            FrontendNotice::Refused(reason, detail) => {
                self.set_condition(about, Err(format!("it refused us ({reason}): {detail}")));
            }
            FrontendNotice::Accepted => self.set_condition(about, Ok("it takes our frames again".to_string())),
            FrontendNotice::Order(signed) => {
                // One for this node itself comes in by `HostInput::OrderFrame`; without a target there is nobody to give it to.
                if let Some(target) = self.forward_to.take() {
                    let header = self.backend.next_header(now, Some(target.clone()));
                    self.backend.send_with(&target, header, Message::Order(signed));
                }
            }
            FrontendNotice::ProbeRequest { nonce, target, .. } => {
                let look = Look::NotPossible("this version does not look at others".to_string());
                self.frontend.probe_result(now, nonce, target, look);
            }
        }
    }

    fn link(&mut self, now: Moment, input: FrontendInput) {
        self.forward_to = None;
        if let FrontendInput::Received(Envelope {
            header,
            message: Message::Order(_),
        }) = &input
        {
            self.forward_to = header.target.clone().filter(|target| *target != self.identity.name);
        }
        self.frontend.handle(now, input);
    }

    fn stalled(&mut self, now: Moment, gap: Duration) {
        self.own.stalled(now, gap);
        self.after_stall(now, gap);
    }

    fn after_stall(&mut self, now: Moment, gap: Duration) {
        let settled = self.own.settled_at();
        for child in self.children.values_mut() {
            child.excuse(settled);
        }
        let why = format!(
            "did not run for {} ms: no child is judged before {settled}",
            gap.as_millis()
        );
        self.set_condition(SELF, Err(why));
        self.tell_host(now);
    }

    /// A whole healthy window has passed since a stall.
    fn settle_if_due(&mut self, now: Moment) {
        if self.own.may_judge(now) && self.conditions.is_bad(SELF) {
            self.set_condition(SELF, Ok("judges again after a whole healthy window".to_string()));
            self.tell_host(now);
        }
    }

    fn stop(&mut self, now: Moment) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        if !self.going_down {
            self.frontend.goodbye(
                now,
                Goodbye::Restart {
                    back_within: BACK_WITHIN,
                },
            );
        }
        // The goodbye goes out before anything else.
        self.drain(now);
        let engines: Vec<String> = self.children.keys().cloned().collect();
        for engine in engines {
            self.stop_child(now, &engine);
        }
        self.check_stopped();
    }

    fn check_stopped(&mut self) {
        let over = |child: &Child| child.pid().is_none() && !matches!(child.phase, child::Phase::Starting { .. });
        if self.stopping && self.children.values().all(over) {
            self.effects.push_back(HostEffect::Stopped);
        }
    }

    fn set_condition(&mut self, about: &str, state: Result<String, String>) {
        if let Some(ConditionChange { about, state }) = self.conditions.set(about, state) {
            self.effects.push_back(HostEffect::Condition { about, state });
        }
    }

    fn report(&mut self, now: Moment, verdict: Verdict) {
        self.frontend.report(now, verdict);
    }
}

impl Machine for HostAgent {
    type Input = HostInput;
    type Effect = HostEffect;

    fn handle(&mut self, now: Moment, input: HostInput) {
        match input {
            HostInput::Link(input) => self.link(now, input),
            HostInput::Children(input) => self.backend.handle(now, input),
            HostInput::ChildFound { engine, pid } => self.child_found(now, &engine, pid),
            HostInput::ChildrenLookedFor => self.start_missing(now),
            HostInput::ChildStarted { engine, result } => self.child_started(now, &engine, result),
            HostInput::ChildExited {
                engine,
                pid,
                exit,
                last_line,
            } => {
                self.child_exited(now, &engine, pid, exit, &last_line);
            }
            HostInput::Probed {
                engine,
                probe,
                took,
                result,
            } => self.probed(now, &engine, (probe, took), result),
            HostInput::Figures(figures) => {
                self.health.take(now, figures);
                self.tell_host(now);
            }
            HostInput::OrderFrame(OrderFrame { header, checked }) => {
                if self.frontend.takes(now, &header) {
                    match checked {
                        Ok(order) => self.ordered(now, OrderInput { order, local: false }),
                        Err(answer) => self.frontend.order_result(now, answer),
                    }
                }
            }
            HostInput::Order(input) => self.ordered(now, input),
            HostInput::OrderRefused(answer) => self.frontend.order_result(now, answer),
            HostInput::Wall(wall) => self.recorder.set_wall(now, wall),
            HostInput::Stalled { gap } => self.stalled(now, gap),
            HostInput::HostShutdown => {
                self.going_down = true;
                self.frontend.goodbye(now, Goodbye::HostShutdown);
            }
            HostInput::Stop => self.stop(now),
        }
        self.drain(now);
    }

    fn handle_timeout(&mut self, now: Moment) {
        let Some(due) = self.next_deadline().filter(|due| *due <= now) else {
            return;
        };
        if self.own.woke(now, due) {
            self.after_stall(now, now.since(due));
        }
        self.settle_if_due(now);
        self.children_due(now);
        self.engines_due(now);
        self.health_due(now);
        self.holds_due(now);
        self.frontend.handle_timeout(now);
        self.drain(now);
    }

    fn poll_effect(&mut self) -> Option<HostEffect> {
        self.effects.pop_front()
    }

    fn next_deadline(&self) -> Option<Moment> {
        let settled = self.own.settled_at();
        let children = self
            .children
            .values()
            .filter_map(|child| child.deadline(&self.backend, settled));
        let engines = self.engines.values().filter_map(EngineMonitor::next_deadline);
        let rest = [
            self.frontend.next_deadline(),
            Some(self.health.next_deadline()),
            self.holds.next_deadline(),
            self.conditions.is_bad(SELF).then_some(settled),
        ];
        children.chain(engines).chain(rest.into_iter().flatten()).min()
    }
}

#[cfg(test)]
mod tests;
