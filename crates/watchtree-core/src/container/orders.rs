//! Holds and people: orders from above and from this machine, each carried out at most once.

use super::agent::ContainerAgent;
use super::facts::secs;
use super::io::{ContainerEffect, Record, Recovered};
use super::subject::{Cause, Guards, Subject};
use crate::decision::{ActionKind, Guard, Outcome};
use crate::message::OrderInput;
use crate::order::{Order, OrderAnswer, OrderRefusal, Verb};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment, WallTime};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Most holds in force at one time.
const HOLDS_MAX: usize = 256;

impl ContainerAgent {
    pub(crate) fn on_order(&mut self, now: Moment, input: OrderInput) {
        let OrderInput { order, local } = input;
        if let Some((_, done, detail)) = self.orders.iter().find(|(id, _, _)| *id == order.id) {
            let result = if *done { Ok(()) } else { Err(refusal_of(detail)) };
            let answer = OrderAnswer {
                id: order.id,
                result,
                detail: detail.clone(),
            };
            return self.answer(now, answer, local);
        }
        let checked = self.check(now, &order, local);
        let outcome = checked.and_then(|()| self.obey(now, &order));
        let (result, detail) = match outcome {
            Ok(detail) => (Ok(()), detail),
            Err((refusal, detail)) => {
                self.counters.orders_refused += 1;
                (Err(refusal), format!("{}: {detail}", refusal.as_str()))
            }
        };
        self.record_order(now, &order, result, &detail);
        if Recovered::ORDERS_MAX <= self.orders.len() {
            self.orders.pop_front();
        }
        self.orders.push_back((order.id, result.is_ok(), detail.clone()));
        self.journal(Record::Ordered {
            id: order.id,
            done: result.is_ok(),
            detail: detail.clone(),
        });
        self.answer(
            now,
            OrderAnswer {
                id: order.id,
                result,
                detail,
            },
            local,
        );
    }

    fn answer(&mut self, now: Moment, answer: OrderAnswer, local: bool) {
        if local {
            self.later.push(ContainerEffect::LocalAnswer(answer));
        } else {
            self.frontend.order_result(now, answer);
        }
    }

    fn record_order(&mut self, now: Moment, order: &Order, result: Result<(), OrderRefusal>, detail: &str) {
        let mut guards = Guards::default();
        let outcome = match result {
            Ok(()) => {
                guards.pass(Guard::OrderValid, "genuine, fresh, and about this life");
                Outcome::Succeeded
            }
            Err(_) => {
                guards.fail(Guard::OrderValid, detail);
                Outcome::NotTaken
            }
        };
        let action = if result.is_ok() && order.verb != Verb::Retry {
            ActionKind::Hold
        } else {
            ActionKind::None
        };
        let asked = format!("{} was ordered by {}", order.verb.as_str(), order.asked_by);
        let evidence = vec![Evidence::new(EvidenceKind::Order, now, asked.clone())];
        let why = format!("{asked}: {detail}");
        self.decide(
            now,
            &order.subject,
            order.incarnation.clone(),
            action,
            outcome,
            why,
            evidence,
            guards,
            None,
        );
    }

    /// A person on this machine needs no term and no target; everything else is asked of both.
    fn check(&mut self, now: Moment, order: &Order, local: bool) -> Result<(), (OrderRefusal, String)> {
        let no = |refusal: OrderRefusal, detail: String| Err((refusal, detail));
        let me = &self.settings.identity;
        if !local {
            if order.target != me.name {
                return no(
                    OrderRefusal::WrongTarget,
                    format!("it is for {}, this is {}", order.target, me.name),
                );
            }
            if order.boot_id != me.boot_id {
                return no(OrderRefusal::OtherBoot, "this machine has booted since".to_string());
            }
            if order.expires < now {
                return no(
                    OrderRefusal::Expired,
                    format!("it expired {} ago", secs(now - order.expires)),
                );
            }
            if order.term < self.term {
                return no(
                    OrderRefusal::StaleTerm,
                    format!("its term is {}, this is {}", order.term, self.term),
                );
            }
            self.term = order.term;
        }
        let engine = &self.settings.engine;
        let above = engine.is_within(&order.subject);
        let here = self.subjects.iter().filter(|(sid, _)| sid.is_within(&order.subject));
        if !above && (!order.subject.is_within(engine) || here.count() == 0) {
            return no(
                OrderRefusal::UnknownSubject,
                format!("{} is not known here", order.subject),
            );
        }
        if !order.incarnation.0.is_empty() {
            let life = self.frontend.verdict(&order.subject).map(|it| it.incarnation.clone());
            if life.as_ref() != Some(&order.incarnation) {
                return no(OrderRefusal::OtherIncarnation, "it has another life by now".to_string());
            }
        }
        Ok(())
    }

    fn obey(&mut self, now: Moment, order: &Order) -> Result<String, (OrderRefusal, String)> {
        let done = match order.verb {
            Verb::Hold { lasts } => self.hold(now, &order.subject, lasts),
            Verb::Release => self.release(&order.subject),
            Verb::Retry => self.retry(&order.subject),
        };
        let done = done.map_err(|why| (OrderRefusal::NotApplicable, why))?;
        let touched: Vec<SubjectId> = self
            .subjects
            .keys()
            .filter(|sid| sid.is_within(&order.subject))
            .cloned()
            .collect();
        self.touched.extend(touched);
        Ok(done)
    }

    fn hold(&mut self, now: Moment, subject: &SubjectId, lasts: Duration) -> Result<String, String> {
        if lasts.is_zero() || Verb::HOLD_MAX < lasts {
            return Err(format!("a hold lasts between 1 s and {}", secs(Verb::HOLD_MAX)));
        }
        if HOLDS_MAX <= self.holds.len() && !self.holds.contains_key(subject) {
            return Err(format!("there are {HOLDS_MAX} holds already"));
        }
        let until = now + lasts;
        self.holds.insert(subject.clone(), until);
        let boot_id = self.settings.identity.boot_id;
        let until_wall = WallTime(
            self.settings
                .wall(now)
                .0
                .saturating_add(u64::try_from(lasts.as_millis()).unwrap_or(0)),
        );
        self.journal(Record::Held {
            subject: subject.clone(),
            until,
            boot_id,
            until_wall,
        });
        Ok(format!("held for {}", secs(lasts)))
    }

    fn release(&mut self, subject: &SubjectId) -> Result<String, String> {
        let held: Vec<SubjectId> = self.holds.keys().filter(|it| it.is_within(subject)).cloned().collect();
        if held.is_empty() {
            return Err("nothing is held here".to_string());
        }
        for it in &held {
            self.holds.remove(it);
            self.journal(Record::Released { subject: it.clone() });
        }
        Ok(format!("{} hold(s) ended", held.len()))
    }

    fn retry(&mut self, subject: &SubjectId) -> Result<String, String> {
        let ill = |it: &Subject| {
            it.repair.is_none()
                && (it.given_up.is_some()
                    || matches!(
                        it.state,
                        State::GivenUp | State::Repairing | State::Down | State::Unhealthy | State::Unknown
                    ))
                && it.container.is_some()
        };
        let ill = self
            .subjects
            .iter()
            .filter(|(sid, it)| sid.is_within(subject) && ill(it));
        let (mut ids, mut not_ours) = (Vec::new(), None);
        for (sid, it) in ill {
            // What is only watched would not be started after all: "trying now" would be a lie.
            let heals = if it.death.is_some() {
                it.labels.heals_crash(self.settings.heal)
            } else {
                it.labels.heals_unhealthy(self.settings.heal)
            };
            match heals {
                Ok(_) => ids.push(sid.clone()),
                Err(why) => not_ours = Some(format!("{sid} is watched and not healed here: {why}")),
            }
        }
        if ids.is_empty() {
            return Err(not_ours.unwrap_or_else(|| "nothing here waits for a retry".to_string()));
        }
        for sid in &ids {
            let Some(it) = self.subjects.get_mut(sid) else { continue };
            it.ledger.clear();
            it.given_up = None;
            it.not_before = Moment::ZERO;
            it.forced = true;
            it.noted = None;
            if let Some(death) = &mut it.death {
                death.start_at = None;
                death.hopeless = None;
                if matches!(death.cause, Cause::CannotTell(_) | Cause::FirstSight(_)) {
                    death.cause = Cause::Crash("a person asked for a retry".to_string());
                }
            }
            self.journal(Record::Cleared { subject: sid.clone() });
        }
        Ok(format!(
            "the budget of {} subject(s) was given back; trying now",
            ids.len()
        ))
    }

    /// The hold in force on the subject or above it, and until when.
    pub(crate) fn hold_on(&self, sid: &SubjectId) -> Option<(&SubjectId, Moment)> {
        let held = self.holds.iter().filter(|(by, _)| sid.is_within(by));
        held.max_by_key(|(_, until)| **until).map(|(by, until)| (by, *until))
    }

    pub(crate) fn end_holds(&mut self, now: Moment) {
        let over: Vec<SubjectId> = self
            .holds
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(sid, _)| sid.clone())
            .collect();
        for sid in &over {
            self.holds.remove(sid);
            self.journal(Record::Released { subject: sid.clone() });
            let below: Vec<SubjectId> = self.subjects.keys().filter(|it| it.is_within(sid)).cloned().collect();
            self.touched.extend(below);
        }
    }
}

/// The journal keeps the answer's words; they begin with the refusal's.
fn refusal_of(detail: &str) -> OrderRefusal {
    let word = detail.split(':').next().unwrap_or("");
    OrderRefusal::from_word(word).unwrap_or(OrderRefusal::NotApplicable)
}
