//! The host role: wires the children, the machine's health, orders and the manager to each other. Decides nothing itself.
//!
//! ```text
//! input ─▶ children (process, link, probes) ─▶ supervisor ─▶ outbox ─▶ effects
//!          orders, holds, local health ─────────▲             └─▶ uplink ─▶ frames
//! ```

use super::children::{ChildEvent, Children, Observer};
use super::host_health::HostHealth;
use super::io::{ChildView, HostEffect, HostInput, HostPolicy, HostStart};
use super::orders::Orders;
use super::outbox::Outbox;
use super::uplink::{Uplink, UplinkEvent};
use crate::backend::Backend;
use crate::decision::Decision;
use crate::detector::LocalHealth;
use crate::frontend::Frontend;
use crate::machine::Machine;
use crate::message::{Goodbye, OrderFrame, OrderInput};
use crate::order_inbox::OrderScope;
use crate::recorder::DecisionRecorder;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// How long the manager is told to wait for the host-watchdog's return.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// The condition that this process itself stalled.
const SELF: &str = "self";

/// The host's machine. Drive it by [`Machine`].
pub struct HostAgent {
    policy: HostPolicy,
    local: LocalHealth,
    children: Children,
    health: HostHealth,
    orders: Orders,
    uplink: Uplink,
    out: Outbox,
}

impl HostAgent {
    /// The host-watchdog at its start. It waits for `ChildrenLookedFor` before it starts any child.
    pub fn new(now: Moment, start: HostStart) -> Self {
        let (children, uplink) = (Children::new(now, &start), Uplink::new(now, &start));
        let (identity, policy) = (start.identity, start.policy);
        let recorder = DecisionRecorder::new(identity.name.clone(), identity.agent_epoch, now, start.wall);
        let mut host = Self {
            local: LocalHealth::new(now, policy.child_beat * 2 + policy.child_margin),
            children,
            health: HostHealth::new(now),
            orders: Orders::new(&identity),
            uplink,
            out: Outbox::new(recorder),
            policy,
        };
        host.report_host(now);
        host.step_all(now);
        host
    }

    /// Its side towards the manager: joined or not, every verdict it reports, round trip.
    pub fn frontend(&self) -> &Frontend {
        self.uplink.frontend()
    }

    /// Its side towards its children.
    pub fn backend(&self) -> &Backend {
        self.children.backend()
    }

    /// Decisions about a subject that were made here or passed through here, oldest first.
    pub fn explain(&self, subject: &SubjectId) -> impl Iterator<Item = &Decision> + use<'_> {
        self.out.explain(subject)
    }

    /// The child processes, for the status page.
    pub fn children(&self) -> Vec<ChildView> {
        self.children.views()
    }

    /// What this daemon knows of itself now; it borrows no other part of it.
    fn observer<'a>(now: Moment, local: &mut LocalHealth, orders: &'a Orders) -> Observer<'a> {
        Observer {
            now,
            health: local.health(now),
            settled: local.settled_at(),
            holds: orders.holds(),
        }
    }

    /// Something happened to a child: does and reports what follows.
    fn step(&mut self, now: Moment, name: &str) {
        let by = Self::observer(now, &mut self.local, &self.orders);
        self.children.step(by, name, &mut self.out);
        self.uplink.report_child(by, &mut self.children, name, &mut self.out);
    }

    /// Something happened that every child may depend on.
    fn step_all(&mut self, now: Moment) {
        for name in self.children.names() {
            self.step(now, &name);
            self.step_engine(now, &name);
        }
    }

    fn report_host(&mut self, now: Moment) {
        let by = Self::observer(now, &mut self.local, &self.orders);
        self.uplink.report_host(by, &self.health, &self.policy, &mut self.out);
    }

    /// Something happened to an engine itself: does and reports what follows.
    fn step_engine(&mut self, now: Moment, name: &str) {
        let by = Self::observer(now, &mut self.local, &self.orders);
        self.children.step_engine(by, name, &mut self.out);
        self.uplink.report_engine(by, &self.children, name, &mut self.out);
    }

    fn on_child(&mut self, now: Moment, event: ChildEvent) {
        match event {
            ChildEvent::Joined { name, is_first } => {
                if is_first {
                    self.uplink.begin_naming(now, &name);
                }
                self.step(now, &name);
            }
            ChildEvent::Touched(name) => self.step(now, &name),
            ChildEvent::Reported(name, changes) => {
                self.uplink.pass_changes(now, &self.children, &name, &changes);
                self.step(now, &name);
                self.step_engine(now, &name);
            }
            ChildEvent::Decided(decisions) => decisions.into_iter().for_each(|it| self.out.pass_up(it)),
            ChildEvent::OrderAnswered(answer) => self.uplink.order_result(now, answer),
            ChildEvent::Cloned(name, why) => self.out.condition(&format!("clone {name}"), Err(why)),
        }
    }

    fn on_uplink(&mut self, now: Moment, event: UplinkEvent) {
        match event {
            UplinkEvent::Manager(state) => self.out.condition("manager", state),
            UplinkEvent::Term(term) => {
                self.orders.saw_term(term);
                self.children.tell_term(now, term);
            }
            UplinkEvent::OrderFor(target, order) => self.children.forward(now, &target, order),
        }
    }

    fn on_order(&mut self, now: Moment, OrderInput { order, local }: OrderInput) {
        let subject = &order.subject;
        let scope = OrderScope {
            is_known: self.orders.is_own(subject) || self.children.watches(subject),
            incarnation: self.uplink.frontend().verdict(subject).map(|it| &it.incarnation),
        };
        let retry = || self.children.retry(subject, &order.asked_by, &mut self.out);
        let (answer, draft) = self.orders.obey(now, &order, local, scope, retry);
        if let Some(draft) = draft {
            self.out.record(now, draft);
            self.report_host(now);
            self.step_all(now);
        }
        match local {
            true => self.out.push(HostEffect::LocalAnswer(answer)),
            false => self.uplink.order_result(now, answer),
        }
    }

    /// What is due came too late: this process did not run. Nothing that waited meanwhile may be taken before.
    fn notice_stall(&mut self, now: Moment) {
        let due = self.next_deadline().unwrap_or(now);
        if self.local.woke(now, due) {
            self.after_stall(now, now.since(due));
        }
    }

    /// This process did not run for that long: nobody is judged before a whole healthy window.
    fn after_stall(&mut self, now: Moment, gap: Duration) {
        self.health.restart_waiting(now);
        let (settled, gap) = (self.local.settled_at(), gap.as_millis());
        self.children.extend_deadlines(settled);
        self.uplink.extend_alerts(settled);
        let why = Err(format!("did not run for {gap} ms: no child is judged before {settled}"));
        self.out.condition(SELF, why);
        self.report_host(now);
        self.step_all(now);
    }

    /// A whole healthy window has passed since a stall.
    fn settle_if_due(&mut self, now: Moment) {
        if self.local.may_judge(now) && self.out.is_bad(SELF) {
            self.out
                .condition(SELF, Ok("judges again after a whole healthy window".to_string()));
            self.report_host(now);
        }
    }

    /// What holds kept from being started is started as soon as none does.
    fn expire_holds(&mut self, now: Moment) {
        if self.orders.expire(now) {
            self.report_host(now);
            self.step_all(now);
        }
    }

    fn health_due(&mut self, now: Moment) {
        if self.health.pop_due(now, self.policy.figures_every) {
            self.out.push(HostEffect::ReadFigures);
            if self.health.overdue(now).is_some() {
                self.report_host(now);
            }
        }
    }

    fn stop(&mut self, now: Moment) {
        if !self.children.stop() {
            return;
        }
        if !self.children.is_going_down() {
            let back_within = BACK_WITHIN;
            self.uplink.goodbye(now, Goodbye::Restart { back_within });
        }
        // The goodbye goes out before anything else.
        self.drain(now);
        self.step_all(now);
    }

    fn drain(&mut self, now: Moment) {
        while let Some(event) = self.children.poll_event(now) {
            self.on_child(now, event);
        }
        while let Some(event) = self.uplink.poll_event(now) {
            self.on_uplink(now, event);
        }
        self.uplink.alert(now, &mut self.out);
        while let Some(decision) = self.out.poll_upward() {
            self.uplink.event(now, decision);
        }
        while let Some((to, envelope)) = self.children.poll_outgoing() {
            self.out.push(HostEffect::SendToChild { to, envelope });
        }
        while let Some(envelope) = self.uplink.poll_envelope() {
            self.out.push(HostEffect::Send(envelope));
        }
        if self.children.take_stopped() {
            self.out.push(HostEffect::Stopped);
        }
    }
}

impl Machine for HostAgent {
    type Input = HostInput;
    type Effect = HostEffect;

    fn handle(&mut self, now: Moment, input: HostInput) {
        self.notice_stall(now);
        match input {
            HostInput::Link(input) => self.uplink.handle(now, input),
            HostInput::Children(input) => self.children.handle(now, input),
            HostInput::ChildFound { engine, pid } => {
                self.children.found(now, &engine, pid, &mut self.out);
                self.step(now, &engine);
            }
            HostInput::ChildrenLookedFor => {
                self.children.start_missing(now, &mut self.out);
                self.step_all(now);
            }
            HostInput::ChildStarted { engine, result } => {
                self.children.started(now, &engine, result);
                self.step(now, &engine);
            }
            HostInput::ChildExited {
                engine,
                pid,
                exit,
                last_line,
            } => {
                if self.children.exited(&engine, pid, exit, last_line) {
                    self.uplink.end_naming(&engine);
                    self.step(now, &engine);
                }
            }
            HostInput::Engine { engine, answer } => {
                let may_judge = self.local.may_judge(now);
                if self.children.engine_answered(now, &engine, answer, may_judge) {
                    self.step_engine(now, &engine);
                }
            }
            HostInput::Figures(figures) => {
                self.health.take(now, figures);
                self.report_host(now);
            }
            HostInput::OrderFrame(OrderFrame { header, checked }) => {
                if self.uplink.takes(now, &header) {
                    match checked {
                        Ok(order) => self.on_order(now, OrderInput { order, local: false }),
                        Err(answer) => self.uplink.order_result(now, answer),
                    }
                }
            }
            HostInput::Order(input) => self.on_order(now, input),
            HostInput::OrderRefused(answer) => self.uplink.order_result(now, answer),
            HostInput::Wall(wall) => self.out.recorder().set_wall(now, wall),
            HostInput::Stalled { gap } => {
                self.local.stalled(now, gap);
                self.after_stall(now, gap);
            }
            HostInput::HostShutdown => {
                self.children.host_shutdown();
                self.uplink.goodbye(now, Goodbye::HostShutdown);
            }
            HostInput::Stop => self.stop(now),
        }
        self.drain(now);
    }

    fn handle_timeout(&mut self, now: Moment) {
        self.notice_stall(now);
        self.settle_if_due(now);
        self.expire_holds(now);
        let due = self.children.due(now, self.local.settled_at());
        due.iter().for_each(|name| self.step(now, name));
        let due = self.children.due_engines(now);
        due.iter().for_each(|name| self.step_engine(now, name));
        self.uplink.expire_unnamed(now, &self.children);
        self.children.probe(now, &mut self.out);
        self.health_due(now);
        self.uplink.handle_timeout(now);
        self.drain(now);
    }

    fn poll_effect(&mut self) -> Option<HostEffect> {
        self.out.poll()
    }

    fn next_deadline(&self) -> Option<Moment> {
        let settled = self.local.settled_at();
        let all = [
            self.children.next_deadline(settled),
            self.uplink.next_deadline(),
            Some(self.health.next_deadline()),
            self.orders.holds().next_deadline(),
            self.out.is_bad(SELF).then_some(settled),
        ];
        all.into_iter().flatten().min()
    }
}
