//! The container role: wires the fleet of one engine's containers to parent, people and driver. Decides nothing itself.
//!
//! ```text
//! input ─▶ fleet (observe, classify, admit, repair) ─▶ outbox ─▶ effects
//!          orders, holds, conditions ─▶ fleet            ▲
//!          frontend (uplink) ────────────────────────────┘          its own states: see `lifecycle`
//! ```

use super::backstop::Backstop;
use super::climate::Climate;
use super::fleet::ContainerFleet;
use super::inventory::CONTAINERS_MAX;
use super::io::{ContainerEffect, ContainerInput, EngineError, Recovered};
use super::lifecycle::Lifecycle;
use super::orders::Orders;
use super::outbox::Outbox;
use super::own_state::{OwnState, PARENT};
use super::policy::PolicyLines;
use super::settings::ContainerSettings;
use super::status::ContainerCounters;
use super::words;
use crate::decision::Decision;
use crate::frontend::{Frontend, FrontendNotice, FrontendSettings};
use crate::machine::Machine;
use crate::message::{Capabilities, Digest, Goodbye, OrderFrame, OrderInput};
use crate::order::OrderAnswer;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::Verdict;
use alloc::format;
use alloc::string::{String, ToString};

/// Heals the containers of one engine. Drive it by [`Machine`].
pub struct ContainerAgent {
    fleet: ContainerFleet,
    frontend: Frontend,
    orders: Orders,
    own: OwnState,
    lifecycle: Lifecycle,
    backstop: Backstop,
    stalls: u64,
    out: Outbox,
}

impl ContainerAgent {
    /// Starts with what the journal held. The first effects ask for the event stream.
    pub fn new(settings: ContainerSettings, mut recovered: Recovered, now: Moment) -> Self {
        let frontend = FrontendSettings {
            identity: settings.identity.clone(),
            capabilities: Capabilities(Capabilities::REPORTS | Capabilities::ORDERS | Capabilities::EVENTS),
            scope: settings.engine.clone(),
            beat_wanted: settings.beat_wanted,
            look_at: settings.look_at.clone(),
        };
        let orders = Orders::restored(now, &settings, &mut recovered);
        let backstop = Backstop::new(now, settings.list_every);
        let mut fleet = ContainerFleet::new(settings, recovered.last_event.take(), now);
        fleet.restore(now, recovered);
        let mut out = Outbox::default();
        fleet.subscribe(&mut out);
        Self {
            fleet,
            frontend: Frontend::new(frontend, now),
            orders,
            own: OwnState::default(),
            lifecycle: Lifecycle::default(),
            backstop,
            stalls: 0,
            out,
        }
    }

    /// What is believed of every container, parents before children.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.frontend.verdicts()
    }

    /// The newest decisions, oldest first; at most [`super::record::Recovered::DECISIONS_MAX`].
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.fleet.decisions()
    }

    /// The policy in force of a container, value by value and with where each comes from; `None` if it is not known.
    pub fn policy(&self, subject: &SubjectId) -> Option<PolicyLines> {
        self.fleet.policy_lines(subject)
    }

    /// Digest of all verdicts.
    pub fn digest(&self) -> Digest {
        self.frontend.digest()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> ContainerCounters {
        ContainerCounters {
            stalls: self.stalls,
            orders_refused: self.orders.refused(),
            ..self.fleet.counters()
        }
    }

    /// What is degraded, by topic, in words.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.own.bad()
    }

    /// Holds in force, and until when.
    pub fn holds(&self) -> impl Iterator<Item = (&SubjectId, Moment)> {
        self.orders.holds().iter()
    }

    /// True once the containers were listed and the event stream is open and whole: a crash is healed at once.
    pub fn is_ready(&self) -> bool {
        self.fleet.is_ready()
    }

    /// True while a parent has said Welcome and the link is up.
    pub fn is_joined(&self) -> bool {
        self.frontend.is_joined()
    }

    fn condition(&mut self, about: &'static str, state: Result<String, String>) {
        if let Some(change) = self.own.set(about, state) {
            let state = change.state;
            self.out.later(ContainerEffect::Condition { about, state });
            self.observe_self();
        }
    }

    /// How well this watchdog is itself, for beats and verdicts.
    fn observe_self(&mut self) {
        let figures = self.fleet.figures().map(|(name, value)| (name.to_string(), value));
        self.frontend.set_health(self.own.health(), figures.to_vec());
    }

    fn engine_failed(&mut self, error: &EngineError) {
        if let Some(why) = words::failure(error) {
            self.condition("engine", Err(why));
        }
    }

    fn take(&mut self, now: Moment, input: ContainerInput) {
        match input {
            ContainerInput::StreamOpened { began } => {
                self.fleet.stream_opened(now, began, &mut self.out);
                self.condition("stream", Ok("the event stream is open".to_string()));
                self.backstop.ask_list(now, &mut self.out);
            }
            ContainerInput::StreamEnded { why } => {
                self.condition("stream", Err(why));
                self.fleet.stream_broke(now, true, &mut self.out);
            }
            ContainerInput::Event(event) => {
                let climate = Climate::new(self.orders.holds(), self.lifecycle);
                if !self.fleet.on_event(now, &event, climate, &mut self.out) {
                    let why = format!("more than {CONTAINERS_MAX} containers: further ones are not watched");
                    self.condition("containers", Err(why));
                }
            }
            ContainerInput::Listed(Ok(entries)) => {
                let asked = self.backstop.listed(now, &entries);
                self.condition("engine", Ok("the engine answers".to_string()));
                self.condition("processes", self.backstop.processes_seen());
                self.fleet.on_listed(now, asked, &entries, &mut self.out);
            }
            ContainerInput::Listed(Err(error)) => {
                self.engine_failed(&error);
                self.backstop.list_failed(now);
            }
            ContainerInput::Inspected { id, result: Ok(view) } => {
                self.backstop.inspected(&view, &mut self.out);
                self.fleet.on_inspected(now, &id, view, &mut self.out);
            }
            ContainerInput::Inspected { id, result: Err(error) } => {
                self.engine_failed(&error);
                self.fleet.inspection_failed(now, &id, &error);
            }
            ContainerInput::Process { id, pid, seen } => {
                self.fleet.on_process(now, &id, (pid, &seen));
                self.backstop.process(now, &id, pid, seen);
            }
            ContainerInput::Load(load) => self.fleet.on_load(now, load, &mut self.out),
            ContainerInput::StopMark { id, manually_stopped } => self.fleet.on_flag(&id, manually_stopped),
            ContainerInput::Performed { ticket, result } => {
                if let Err(error @ (EngineError::Unreachable(_) | EngineError::BadAnswer(_))) = &result {
                    self.engine_failed(error);
                }
                self.fleet.on_performed(now, ticket, result, &mut self.out);
            }
            ContainerInput::Captured { id, asked, captured } => {
                self.fleet.on_captured(now, &id, (asked, &captured), &mut self.out);
            }
            ContainerInput::Probed { run, answer } => self.fleet.on_probed(now, run, answer, &mut self.out),
            ContainerInput::JournalHealth { state } => self.condition("journal", words::journal(state)),
            ContainerInput::Link(input) => self.frontend.handle(now, input),
            ContainerInput::Order(input) => self.on_order(now, &input),
            ContainerInput::OrderRefused(answer) => self.order_refused(now, answer),
            ContainerInput::OrderFrame(OrderFrame { header, checked }) => match checked {
                _ if !self.frontend.takes(now, &header) => {}
                Ok(order) => self.on_order(now, &OrderInput { order, local: false }),
                Err(answer) => self.order_refused(now, answer),
            },
            ContainerInput::Stalled { .. } => {
                self.stalls += 1;
                self.fleet.stalled(now, &mut self.out);
                self.backstop.ask_list(now, &mut self.out);
            }
            ContainerInput::HostShutdown => self.host_shutdown(now),
            ContainerInput::Stop => self.stop(now),
        }
    }

    fn order_refused(&mut self, now: Moment, answer: OrderAnswer) {
        self.orders.count_refusal();
        self.frontend.order_result(now, answer);
    }

    fn on_order(&mut self, now: Moment, input: &OrderInput) {
        let known = self.frontend.verdict(&input.order.subject).map(|it| &it.incarnation);
        let answer = self.orders.answer(now, input, known, &mut self.fleet, &mut self.out);
        match input.local {
            true => self.out.later(ContainerEffect::LocalAnswer(answer)),
            false => self.frontend.order_result(now, answer),
        }
    }

    fn stop(&mut self, now: Moment) {
        if self.lifecycle.stop(now + self.fleet.settings().stop_bound) {
            self.out.later(ContainerEffect::Stopped);
        }
        self.fleet.touch_all();
    }

    fn host_shutdown(&mut self, now: Moment) {
        let was_leaving = self.lifecycle.host_shutdown(now);
        self.frontend.goodbye(now, Goodbye::HostShutdown);
        self.fleet.touch_all();
        if was_leaving {
            self.flush_frontend();
            self.stop(now);
        }
    }

    /// Reconciles what the input touched, then lets out what waits.
    fn finish(&mut self, now: Moment) {
        let climate = Climate::new(self.orders.holds(), self.lifecycle);
        self.fleet.reconcile_touched(now, climate, &mut self.out);
        let fleet = &self.fleet;
        if self.lifecycle.leave(now, || fleet.is_busy()) {
            let back_within = fleet.settings().back_within;
            self.report(now);
            self.frontend.goodbye(now, Goodbye::Restart { back_within });
            self.flush_frontend();
            self.out.push(ContainerEffect::Stopped);
        }
        self.report(now);
        self.drain_uplink();
        self.out.flush();
        self.flush_frontend();
    }

    /// Tells the parent what is believed now, and what was decided.
    fn report(&mut self, now: Moment) {
        let told = self.out.take_conditions();
        told.into_iter().for_each(|(about, state)| self.condition(about, state));
        self.own.report(now, self.fleet.settings(), &mut self.frontend);
        for sid in self.out.take_reconciled() {
            if !self.fleet.reports(&sid) {
                self.frontend.report_gone(now, &sid);
            } else if let Some(verdict) = self.fleet.verdict(&sid) {
                let (held, observer_health) = (self.orders.holds().on(&sid).is_some(), self.frontend.health());
                let verdict = Verdict {
                    held,
                    observer_health,
                    ..verdict
                };
                self.frontend.report(now, verdict);
            }
        }
        for decision in self.out.take_decided() {
            self.frontend.event(now, decision);
        }
    }

    fn flush_frontend(&mut self) {
        while let Some(envelope) = self.frontend.poll_envelope() {
            self.out.push(ContainerEffect::Send(envelope));
        }
    }

    fn drain_uplink(&mut self) {
        while let Some(notice) = self.frontend.poll_notice() {
            if let FrontendNotice::Joined { term, .. } = &notice {
                self.orders.saw_term(*term);
            }
            if let Some(state) = words::uplink(notice) {
                self.condition(PARENT, state);
            }
        }
    }
}

impl Machine for ContainerAgent {
    type Input = ContainerInput;
    type Effect = ContainerEffect;

    fn handle(&mut self, now: Moment, input: ContainerInput) {
        if !self.lifecycle.is_gone() {
            self.take(now, input);
            self.finish(now);
        }
    }

    fn handle_timeout(&mut self, now: Moment) {
        if self.lifecycle.is_gone() {
            return;
        }
        self.frontend.handle_timeout(now);
        let climate = Climate::new(self.orders.holds(), self.lifecycle);
        self.fleet.handle_timeout(now, climate, &mut self.out);
        if self.backstop.handle_timeout(now, &mut self.fleet, &mut self.out) {
            self.observe_self();
        }
        self.orders.expire(now, &mut self.fleet, &mut self.out);
        if self.lifecycle.resume(now) {
            self.fleet.touch_all();
        }
        self.finish(now);
    }

    fn poll_effect(&mut self) -> Option<ContainerEffect> {
        self.out.pop()
    }

    fn next_deadline(&self) -> Option<Moment> {
        if self.lifecycle.is_gone() {
            return None;
        }
        let all = [
            self.frontend.next_deadline(),
            self.fleet.next_deadline(),
            Some(self.backstop.next_deadline()),
            self.orders.next_deadline(),
            self.lifecycle.deadline(),
        ];
        all.into_iter().flatten().min()
    }
}
