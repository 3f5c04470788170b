//! Orders for the host-watchdog itself: holds and retries of its children. A hold lives in memory only: a restart of
//! this daemon ends it early, never late.

use super::HostAgent;
use super::io::HostEffect;
use crate::decision::{ActionKind, Guard, GuardAnswer, Outcome};
use crate::message::OrderInput;
use crate::order::{Order, OrderAnswer, OrderRefusal, Verb};
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Most remembered answers.
const ANSWERS_MAX: usize = 256;
/// Most holds.
const HOLDS_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    term: u64,
    holds: BTreeMap<SubjectId, Moment>,
    answers: VecDeque<OrderAnswer>,
}

impl Orders {
    /// A manager of this term has spoken.
    pub(super) fn spoke(&mut self, term: u64) {
        self.term = self.term.max(term);
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.holds.values().min().copied()
    }

    fn held_until(&self, now: Moment, subject: &SubjectId) -> Option<Moment> {
        let holds = self
            .holds
            .iter()
            .filter(|(held, until)| subject.is_within(held) && now < **until);
        holds.map(|(_, until)| *until).max()
    }
}

impl HostAgent {
    /// Till when repairs of this engine's watchdog are held off.
    pub(super) fn held_until(&self, now: Moment, engine: &str) -> Option<Moment> {
        let subject = self.children.get(engine)?.subject();
        self.orders.held_until(now, &subject)
    }

    /// True while a hold lies on this subject.
    pub(super) fn is_held(&self, now: Moment, subject: &SubjectId) -> bool {
        self.orders.held_until(now, subject).is_some()
    }

    pub(super) fn holds_due(&mut self, now: Moment) {
        let before = self.orders.holds.len();
        self.orders.holds.retain(|_, until| now < *until);
        if self.orders.holds.len() != before {
            self.start_released(now);
            self.tell_all(now);
        }
    }

    pub(super) fn ordered(&mut self, now: Moment, input: OrderInput) {
        let OrderInput { order, local } = input;
        let known = self.orders.answers.iter().find(|answer| answer.id == order.id).cloned();
        let answer = known.unwrap_or_else(|| {
            let (result, detail) = match self.check(now, &order, local) {
                Err((refusal, detail)) => (Err(refusal), detail),
                Ok(()) => self.carry_out(now, &order),
            };
            self.note(now, &order, &result, &detail);
            OrderAnswer {
                id: order.id,
                result,
                detail,
            }
        });
        if !self.orders.answers.iter().any(|old| old.id == answer.id) {
            if ANSWERS_MAX <= self.orders.answers.len() {
                self.orders.answers.pop_front();
            }
            self.orders.answers.push_back(answer.clone());
        }
        if local {
            self.effects.push_back(HostEffect::LocalAnswer(answer));
        } else {
            self.frontend.order_result(now, answer);
        }
    }

    fn check(&mut self, now: Moment, order: &Order, local: bool) -> Result<(), (OrderRefusal, String)> {
        if order.target != self.identity.name {
            return Err((OrderRefusal::WrongTarget, format!("this is {}", self.identity.name)));
        }
        if !local {
            if order.boot_id != self.identity.boot_id {
                return Err((
                    OrderRefusal::OtherBoot,
                    "it is about another boot of this machine".to_string(),
                ));
            }
            if order.expires <= now {
                return Err((
                    OrderRefusal::Expired,
                    format!("it died at {}, it is {now}", order.expires),
                ));
            }
            if order.term < self.orders.term {
                return Err((OrderRefusal::StaleTerm, format!("term {} has spoken", self.orders.term)));
            }
            self.orders.spoke(order.term);
        }
        let subject = &order.subject;
        let own = *subject == self.scope || *subject == self.scope.child("@agent");
        let below = self
            .children
            .values()
            .any(|child| *subject == child.scope || *subject == child.subject());
        if !own && !below {
            let why = format!("{subject} is none of this node's: ask the watchdog that stands over it");
            return Err((OrderRefusal::UnknownSubject, why));
        }
        let life = || self.frontend.verdict(subject).map(|verdict| &verdict.incarnation);
        if !order.incarnation.0.is_empty() && life() != Some(&order.incarnation) {
            return Err((OrderRefusal::OtherIncarnation, "it has another life by now".to_string()));
        }
        Ok(())
    }

    fn carry_out(&mut self, now: Moment, order: &Order) -> (Result<(), OrderRefusal>, String) {
        match &order.verb {
            Verb::Hold { lasts } if Verb::HOLD_MAX < *lasts => (
                Err(OrderRefusal::NotApplicable),
                "a hold lasts 7 days at most".to_string(),
            ),
            Verb::Hold { .. } if HOLDS_MAX <= self.orders.holds.len() => (
                Err(OrderRefusal::NotApplicable),
                format!("{HOLDS_MAX} holds are set already"),
            ),
            Verb::Hold { lasts } => {
                self.orders.holds.insert(order.subject.clone(), now + *lasts);
                // A shorter hold replaces a longer one: what waits for its end is put off anew.
                self.start_released(now);
                self.tell_all(now);
                (Ok(()), format!("held for {} s", lasts.as_secs()))
            }
            Verb::Release => {
                let before = self.orders.holds.len();
                self.orders.holds.retain(|held, _| !held.is_within(&order.subject));
                let ended = before - self.orders.holds.len();
                self.start_released(now);
                self.tell_all(now);
                (Ok(()), format!("{ended} hold(s) ended"))
            }
            Verb::Retry => {
                let engines = self.engines_within(&order.subject);
                let tried = engines.iter().filter(|engine| self.retry_child(now, engine)).count();
                (Ok(()), format!("{tried} watchdogs started"))
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
            match self.held_until(now, &engine) {
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

    fn note(&mut self, now: Moment, order: &Order, result: &Result<(), OrderRefusal>, detail: &str) {
        let asked = format!("{} asked to {} {}", order.asked_by, order.verb.as_str(), order.subject);
        let guard = GuardAnswer {
            guard: Guard::OrderValid,
            verdict: if result.is_ok() {
                crate::decision::GuardVerdict::Passed
            } else {
                crate::decision::GuardVerdict::Blocked
            },
            detail: detail.to_string(),
        };
        let evidence = vec![Evidence::new(EvidenceKind::Order, now, asked.clone())];
        let action = match (&order.verb, result) {
            (_, Err(_)) => ActionKind::None,
            (Verb::Retry, _) => ActionKind::ReviveWatchdog,
            _ => ActionKind::Hold,
        };
        let outcome = if result.is_ok() {
            Outcome::Succeeded
        } else {
            Outcome::NotTaken
        };
        // A refused order may name anything: it is recorded at this node.
        let subject = if result.is_ok() {
            order.subject.clone()
        } else {
            self.scope.clone()
        };
        let mut why: String = asked;
        if let Err(refusal) = result {
            why = format!("{why}: refused ({})", refusal.as_str());
        }
        let mut decision = self.decide(now, subject, evidence, vec![guard], action, outcome, why);
        decision.result = detail.to_string();
        self.keep(now, decision);
    }
}
