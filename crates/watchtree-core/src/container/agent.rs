//! The container role: wires the fleet of one engine's containers to the parent, to people and to the driver. Decides
//! nothing itself.
//!
//! ```text
//! input ─▶ fleet (observe, classify, admit, repair) ─▶ outbox ─▶ effects
//!          orders, holds, conditions ─▶ fleet            ▲
//!          frontend (uplink) ────────────────────────────┘          its own states: see `lifecycle`
//! ```

use super::fleet::{Climate, ContainerFleet};
use super::inventory::CONTAINERS_MAX;
use super::io::{ContainerEffect, ContainerInput, EngineError, Record, Recovered};
use super::lifecycle::Lifecycle;
use super::outbox::Outbox;
use super::settings::ContainerSettings;
use super::status::ContainerCounters;
use crate::conditions::Conditions;
use crate::decision::{ActionKind, Decision};
use crate::frontend::{Frontend, FrontendNotice, FrontendSettings};
use crate::holds::Holds;
use crate::machine::Machine;
use crate::message::{Capabilities, Digest, Goodbye, OrderFrame, OrderInput};
use crate::order::{Order, OrderAnswer, OrderRefusal, Verb};
use crate::order_inbox::{OrderInbox, OrderScope};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment, WallTime, seconds};
use crate::verdict::{ObserverHealth, Verdict};
use alloc::format;
use alloc::string::{String, ToString};

/// The list is asked for this soon after the start, and at least this often.
const LIST_FIRST: Duration = Duration::from_secs(2);
const LIST_EVERY_MAX: Duration = Duration::from_secs(10);
/// The list is asked for again this soon after one that failed.
const LIST_AGAIN: Duration = Duration::from_secs(1);

/// Heals the containers of one engine. Drive it by [`Machine`].
pub struct ContainerAgent {
    fleet: ContainerFleet,
    frontend: Frontend,
    orders: OrderInbox,
    holds: Holds,
    conditions: Conditions,
    lifecycle: Lifecycle,
    /// When the list under way was asked for, and when the next one is.
    list_asked: Option<Moment>,
    list_next: Moment,
    stalls: u64,
    orders_refused: u64,
    out: Outbox,
}

impl ContainerAgent {
    /// Starts with what the journal held. The first effects ask for the event stream.
    pub fn new(settings: ContainerSettings, mut recovered: Recovered, now: Moment) -> Self {
        let identity = settings.identity.clone();
        let frontend = FrontendSettings {
            identity: identity.clone(),
            capabilities: Capabilities(Capabilities::REPORTS | Capabilities::ORDERS | Capabilities::EVENTS),
            scope: settings.engine.clone(),
            beat_wanted: settings.beat_wanted,
            look_at: settings.look_at.clone(),
        };
        let mut orders = OrderInbox::new(identity.name, identity.boot_id, settings.engine.child("@watchdog"));
        for (id, done, detail) in core::mem::take(&mut recovered.orders) {
            let result = if done { Ok(()) } else { Err(refusal_of(&detail)) };
            orders.store(OrderAnswer { id, result, detail });
        }
        let mut holds = Holds::default();
        for (subject, memory) in &recovered.subjects {
            let until = memory.held.map_or(now, |held| settings.moment_after(now, held));
            if now < until {
                holds.restore(subject.clone(), until);
            }
        }
        let mut fleet = ContainerFleet::new(settings, recovered.last_event.take(), now);
        fleet.restore(now, recovered);
        let mut out = Outbox::default();
        fleet.subscribe(&mut out);
        Self {
            fleet,
            frontend: Frontend::new(frontend, now),
            orders,
            holds,
            conditions: Conditions::default(),
            lifecycle: Lifecycle::default(),
            list_asked: None,
            list_next: now + LIST_FIRST,
            stalls: 0,
            orders_refused: 0,
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

    /// Digest of all verdicts.
    pub fn digest(&self) -> Digest {
        self.frontend.digest()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> ContainerCounters {
        ContainerCounters {
            stalls: self.stalls,
            orders_refused: self.orders_refused,
            ..self.fleet.counters()
        }
    }

    /// What is degraded, by topic, in words.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.conditions.bad()
    }

    /// Holds in force, and until when.
    pub fn holds(&self) -> impl Iterator<Item = (&SubjectId, Moment)> {
        self.holds.iter()
    }

    /// True once the containers were listed and the event stream is open and whole: from then on a crash is healed at
    /// once.
    pub fn is_ready(&self) -> bool {
        self.fleet.is_ready()
    }

    /// True while a parent has said Welcome and the link is up.
    pub fn is_joined(&self) -> bool {
        self.frontend.is_joined()
    }

    fn condition(&mut self, about: &'static str, state: Result<String, String>) {
        if let Some(change) = self.conditions.set(about, state) {
            let state = change.state;
            self.out.later(ContainerEffect::Condition { about, state });
            self.observe_self();
        }
    }

    /// How well this watchdog is itself, for beats and verdicts.
    fn observe_self(&mut self) {
        let is_bad = |about| self.conditions.is_bad(about);
        let health = match (is_bad("engine") || is_bad("stream"), is_bad("journal")) {
            (true, _) => 3,
            (false, true) => 1,
            (false, false) => 0,
        };
        let figures = self.fleet.figures().map(|(name, value)| (name.to_string(), value));
        self.frontend.set_health(ObserverHealth(health), figures.to_vec());
    }

    fn ask_list(&mut self, now: Moment) {
        self.list_asked = Some(now);
        self.list_next = now + self.fleet.settings().list_every.min(LIST_EVERY_MAX);
        self.out.push(ContainerEffect::List);
    }

    fn engine_failed(&mut self, error: &EngineError) {
        let why = match error {
            EngineError::NotFound => return,
            EngineError::Refused { status, message } => format!("the engine answered {status}: {message}"),
            EngineError::Deadline => "the engine did not answer in time".to_string(),
            EngineError::Unreachable(why) | EngineError::BadAnswer(why) => why.clone(),
        };
        self.condition("engine", Err(why));
    }

    fn take(&mut self, now: Moment, input: ContainerInput) {
        match input {
            ContainerInput::StreamOpened => {
                self.fleet.stream_opened(now, &mut self.out);
                self.condition("stream", Ok("the event stream is open".to_string()));
                self.ask_list(now);
            }
            ContainerInput::StreamEnded { why } => {
                self.condition("stream", Err(why));
                self.fleet.stream_broke(now, true, &mut self.out);
            }
            ContainerInput::Event(event) => {
                let climate = climate(&self.holds, self.lifecycle);
                if !self.fleet.on_event(now, &event, climate, &mut self.out) {
                    let why = format!("more than {CONTAINERS_MAX} containers: further ones are not watched");
                    self.condition("containers", Err(why));
                }
            }
            ContainerInput::Listed(Ok(entries)) => {
                let asked = self.list_asked.take().unwrap_or(now);
                self.condition("engine", Ok("the engine answers".to_string()));
                self.fleet.on_listed(now, asked, &entries, &mut self.out);
            }
            ContainerInput::Listed(Err(error)) => {
                self.list_asked = None;
                self.engine_failed(&error);
                self.list_next = self.list_next.min(now + LIST_AGAIN);
            }
            ContainerInput::Inspected { id, result: Ok(view) } => {
                self.fleet.on_inspected(now, &id, view, &mut self.out);
            }
            ContainerInput::Inspected { id, result: Err(error) } => {
                self.engine_failed(&error);
                self.fleet.inspection_failed(now, &id, &error);
            }
            ContainerInput::StopMark { id, manually_stopped } => self.fleet.on_flag(&id, manually_stopped),
            ContainerInput::Performed { ticket, result } => {
                if let Err(error @ (EngineError::Unreachable(_) | EngineError::BadAnswer(_))) = &result {
                    self.engine_failed(error);
                }
                self.fleet.on_performed(now, ticket, result, &mut self.out);
            }
            ContainerInput::JournalHealth { state } => {
                let state = state.map(|()| "the journal can be written again".to_string());
                self.condition("journal", state);
            }
            ContainerInput::Link(input) => self.frontend.handle(now, input),
            ContainerInput::Order(input) => self.on_order(now, input),
            ContainerInput::OrderRefused(answer) => self.order_refused(now, answer),
            ContainerInput::OrderFrame(OrderFrame { header, checked }) => {
                if self.frontend.takes(now, &header) {
                    match checked {
                        Ok(order) => self.on_order(now, OrderInput { order, local: false }),
                        Err(answer) => self.order_refused(now, answer),
                    }
                }
            }
            ContainerInput::Stalled { .. } => {
                self.stalls += 1;
                self.fleet.stream_broke(now, false, &mut self.out);
                self.ask_list(now);
            }
            ContainerInput::HostShutdown => self.host_shutdown(now),
            ContainerInput::Stop => self.stop(now),
        }
    }

    fn order_refused(&mut self, now: Moment, answer: OrderAnswer) {
        self.orders_refused += 1;
        self.frontend.order_result(now, answer);
    }

    fn on_order(&mut self, now: Moment, OrderInput { order, local }: OrderInput) {
        let answer = match self.orders.answered(&order) {
            Some(answer) => answer.clone(),
            None => self.obey(now, &order, local),
        };
        if local {
            self.out.later(ContainerEffect::LocalAnswer(answer));
        } else {
            self.frontend.order_result(now, answer);
        }
    }

    /// Carries out an order that was not answered before, if it may be; keeps the answer and makes a record of it.
    fn obey(&mut self, now: Moment, order: &Order, local: bool) -> OrderAnswer {
        let engine = &self.fleet.settings().engine;
        let is_above = engine.is_within(&order.subject);
        let scope = OrderScope {
            is_known: is_above || (order.subject.is_within(engine) && self.fleet.watches_within(&order.subject)),
            incarnation: self.frontend.verdict(&order.subject).map(|it| &it.incarnation),
        };
        let judged = self.orders.judge(now, order, local, scope);
        let done = judged.and_then(|()| {
            let refused = |why| (OrderRefusal::NotApplicable, why);
            self.carry_out(now, order).map_err(refused)
        });
        let (result, detail) = match done {
            Ok(detail) => (Ok(()), detail),
            Err((refusal, detail)) => {
                self.orders_refused += 1;
                (Err(refusal), format!("{}: {detail}", refusal.as_str()))
            }
        };
        let id = order.id;
        let answer = OrderAnswer { id, result, detail };
        let action = if order.verb == Verb::Retry {
            ActionKind::None
        } else {
            ActionKind::Hold
        };
        let draft = self.orders.draft(now, order, &answer, action);
        self.fleet.record(now, draft, &mut self.out);
        self.orders.store(answer.clone());
        let (done, detail) = (result.is_ok(), answer.detail.clone());
        self.out.journal(Record::Ordered { id, done, detail });
        answer
    }

    fn carry_out(&mut self, now: Moment, order: &Order) -> Result<String, String> {
        let subject = &order.subject;
        let done = match order.verb {
            Verb::Hold { lasts } => self.hold(now, subject, lasts)?,
            Verb::Release => {
                let ended = self.holds.release(subject);
                if ended.is_empty() {
                    return Err("nothing is held here".to_string());
                }
                ended
                    .iter()
                    .for_each(|it| self.out.journal(Record::Released { subject: it.clone() }));
                format!("{} hold(s) ended", ended.len())
            }
            Verb::Retry => {
                let count = self.fleet.retry(now, subject, &order.asked_by, &mut self.out)?;
                format!("the budget of {count} subject(s) was given back; trying now")
            }
        };
        self.fleet.touch_below(subject);
        Ok(done)
    }

    fn hold(&mut self, now: Moment, subject: &SubjectId, lasts: Duration) -> Result<String, String> {
        let until = self
            .holds
            .hold(now, subject, lasts)
            .map_err(|error| error.to_string())?;
        let settings = self.fleet.settings();
        let millis = u64::try_from(lasts.as_millis()).unwrap_or(0);
        let record = Record::Held {
            subject: subject.clone(),
            until,
            boot_id: settings.identity.boot_id,
            until_wall: WallTime(settings.wall(now).0.saturating_add(millis)),
        };
        self.out.journal(record);
        Ok(format!("held for {}", seconds(lasts)))
    }

    fn stop(&mut self, now: Moment) {
        let until = now + self.fleet.settings().stop_bound;
        if self.lifecycle.stop(until) {
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
        let climate = climate(&self.holds, self.lifecycle);
        self.fleet.reconcile_dirty(now, climate, &mut self.out);
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
        for sid in self.out.take_reconciled() {
            if !self.fleet.watches(&sid) {
                self.frontend.report_gone(now, &sid);
            } else if let Some(verdict) = self.fleet.verdict(&sid) {
                let (held, observer_health) = (self.holds.on(&sid).is_some(), self.frontend.health());
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
            let state = match notice {
                FrontendNotice::Joined { parent, term } => {
                    self.orders.saw_term(term);
                    Ok(format!("joined {parent}"))
                }
                FrontendNotice::Lost(why) => Err(why),
                FrontendNotice::ParentSilent(time) => Err(format!("the parent has been silent for {}", seconds(time))),
                FrontendNotice::ParentBack => Ok("the parent speaks again".to_string()),
                FrontendNotice::Refused(why, detail) => Err(format!("the parent refused a frame: {why}: {detail}")),
                FrontendNotice::Accepted => Ok("the parent takes our frames again".to_string()),
                // Orders come checked, as inputs of their own; probes of neighbours are the host-watchdog's.
                FrontendNotice::Order(_) | FrontendNotice::ProbeRequest { .. } => continue,
            };
            self.condition("parent", state);
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
        let climate = climate(&self.holds, self.lifecycle);
        self.fleet.handle_timeout(now, climate, &mut self.out);
        if self.list_next <= now {
            self.ask_list(now);
            self.observe_self();
        }
        for subject in self.holds.expire(now) {
            self.fleet.touch_below(&subject);
            self.out.journal(Record::Released { subject });
        }
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
            Some(self.list_next),
            self.holds.next_deadline(),
            self.lifecycle.deadline(),
        ];
        all.into_iter().flatten().min()
    }
}

fn climate(holds: &Holds, lifecycle: Lifecycle) -> Climate<'_> {
    Climate {
        holds,
        is_leaving: !lifecycle.is_healing(),
        hands_off: lifecycle.is_hands_off(),
    }
}

/// The journal keeps the answer's words; they begin with the refusal's.
fn refusal_of(detail: &str) -> OrderRefusal {
    let word = detail.split(':').next().unwrap_or("");
    OrderRefusal::from_word(word).unwrap_or(OrderRefusal::NotApplicable)
}
