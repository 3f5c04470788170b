//! Orders for the host-watchdog itself: holds and retries of its children. A hold lives in memory only: a restart of
//! this daemon ends it early, never late.

use super::HostAgent;
use super::io::HostEffect;
use crate::decision::ActionKind;
use crate::message::OrderInput;
use crate::order::{Order, OrderAnswer, OrderRefusal, Verb};
use crate::order_inbox::{OrderScope, Refusal, action_of};
use crate::subject::SubjectId;
use crate::time::Moment;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl HostAgent {
    /// Till when repairs of this engine's watchdog are held off.
    pub(super) fn held_until(&self, engine: &str) -> Option<Moment> {
        let subject = self.children.get(engine)?.subject();
        self.holds.on(&subject).map(|(_, until)| until)
    }

    pub(super) fn holds_due(&mut self, now: Moment) {
        if !self.holds.expire(now).is_empty() {
            self.start_released(now);
            self.tell_all(now);
        }
    }

    pub(super) fn ordered(&mut self, now: Moment, input: OrderInput) {
        let OrderInput { order, local } = input;
        let known = self.orders.answered(&order).cloned();
        let answer = known.unwrap_or_else(|| self.answer(now, &order, local));
        if local {
            self.effects.push_back(HostEffect::LocalAnswer(answer));
        } else {
            self.frontend.order_result(now, answer);
        }
    }

    fn answer(&mut self, now: Moment, order: &Order, local: bool) -> OrderAnswer {
        let subject = &order.subject;
        let own = *subject == self.scope || *subject == self.scope.child("@agent");
        let mut children = self.children.values();
        let scope = OrderScope {
            is_known: own || children.any(|child| *subject == child.scope || *subject == child.subject()),
            incarnation: self.frontend.verdict(subject).map(|verdict| &verdict.incarnation),
        };
        let judged = self.orders.judge(now, order, local, scope);
        let (result, detail) = match judged.and_then(|()| self.carry_out(now, order)) {
            Ok(done) => (Ok(()), done),
            Err((refusal, detail)) => (Err(refusal), detail),
        };
        let answer = OrderAnswer {
            id: order.id,
            result,
            detail,
        };
        let action = action_of(&order.verb, ActionKind::ReviveWatchdog);
        self.recorder
            .record(now, self.orders.draft(now, order, &answer, action));
        self.orders.store(answer.clone());
        answer
    }

    fn carry_out(&mut self, now: Moment, order: &Order) -> Result<String, Refusal> {
        match &order.verb {
            Verb::Hold { lasts } => {
                let held = self.holds.hold(now, &order.subject, *lasts);
                held.map_err(|error| (OrderRefusal::NotApplicable, error.to_string()))?;
                // A shorter hold replaces a longer one: what waits for its end is put off anew.
                self.start_released(now);
                self.tell_all(now);
                Ok(format!("held for {} s", lasts.as_secs()))
            }
            Verb::Release => {
                let ended = self.holds.release(&order.subject).len();
                self.start_released(now);
                self.tell_all(now);
                Ok(format!("{ended} hold(s) ended"))
            }
            Verb::Retry => {
                let engines = self.engines_within(&order.subject);
                let tried = engines.iter().filter(|engine| self.retry_child(now, engine)).count();
                Ok(format!("{tried} watchdogs started"))
            }
        }
    }

    /// What holds kept from being started is started as soon as none does, also a given-up one whose retry fell due.
    fn start_released(&mut self, now: Moment) {
        for engine in self.children.keys().cloned().collect::<Vec<_>>() {
            let waits = self
                .children
                .get(&engine)
                .is_some_and(|child| child.held_back && child.pid().is_none());
            match self.held_until(&engine) {
                Some(until) if waits => self.put_off(&engine, until),
                None if waits => self.start_child(now, &engine),
                _ => (),
            }
        }
    }

    fn engines_within(&self, top: &SubjectId) -> Vec<String> {
        let within = self.children.iter().filter(|(_, child)| child.subject().is_within(top));
        within.map(|(engine, _)| engine.clone()).collect()
    }
}
