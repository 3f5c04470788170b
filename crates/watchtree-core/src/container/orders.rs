//! Orders of people and holds: taken or refused, carried out on the fleet, answered once, recorded.
//!
//! Contract: an order is carried out at most once, also over a restart; its answer is in the journal before it is given.
//! Does not know how an order came, nor whom its answer goes to.

use super::fleet::ContainerFleet;
use super::io::{Record, Recovered};
use super::outbox::Outbox;
use super::record::HoldEnd;
use super::settings::ContainerSettings;
use crate::decision::ActionKind;
use crate::holds::Holds;
use crate::message::OrderInput;
use crate::order::{Order, OrderAnswer, OrderRefusal, Verb};
use crate::order_inbox::{OrderInbox, OrderScope, action_of};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment, WallTime, seconds};
use alloc::format;
use alloc::string::{String, ToString};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Orders {
    inbox: OrderInbox,
    holds: Holds,
    refused: u64,
}

impl Orders {
    /// With the answers and the holds of before a restart.
    pub(crate) fn restored(now: Moment, settings: &ContainerSettings, recovered: &mut Recovered) -> Self {
        let identity = settings.identity.clone();
        let mut inbox = OrderInbox::new(identity.name, identity.boot_id, settings.engine.child("@watchdog"));
        for (id, done, detail) in core::mem::take(&mut recovered.orders) {
            let (result, detail) = if done { (Ok(()), detail) } else { refusal_of(&detail) };
            inbox.store(OrderAnswer { id, result, detail });
        }
        let mut holds = Holds::default();
        for (subject, memory) in &recovered.subjects {
            let until = memory.held.map_or(now, |end| settings.end_of_hold(now, end));
            if now < until {
                holds.restore(subject.clone(), until);
            }
        }
        Self {
            inbox,
            holds,
            refused: 0,
        }
    }

    /// Holds in force.
    pub(crate) const fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Orders refused since the start.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// One was refused before it came here.
    pub(crate) fn count_refusal(&mut self) {
        self.refused += 1;
    }

    /// The parent is of this term: orders of earlier ones are stale.
    pub(crate) fn saw_term(&mut self, term: u64) {
        self.inbox.saw_term(term);
    }

    /// When the next hold ends.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.holds.next_deadline()
    }

    /// Ends the holds whose time is over.
    pub(crate) fn expire(&mut self, now: Moment, fleet: &mut ContainerFleet, out: &mut Outbox) {
        for subject in self.holds.expire(now) {
            fleet.touch_below(&subject);
            out.journal(Record::Released { subject });
        }
    }

    /// The answer to an order, which is carried out if it was not answered before and may be. `known` is the incarnation that
    /// is reported of its subject.
    pub(crate) fn answer(
        &mut self,
        now: Moment,
        OrderInput { order, local }: &OrderInput,
        known: Option<&Incarnation>,
        fleet: &mut ContainerFleet,
        out: &mut Outbox,
    ) -> OrderAnswer {
        if let Some(answer) = self.inbox.answered(order) {
            return answer.clone();
        }
        let engine = &fleet.settings().engine;
        let is_above = engine.is_within(&order.subject);
        let scope = OrderScope {
            is_known: is_above || (order.subject.is_within(engine) && fleet.watches_within(&order.subject)),
            incarnation: known,
        };
        let judged = self.inbox.judge(now, order, *local, scope);
        let done = judged.and_then(|()| {
            let refused = |why| (OrderRefusal::NotApplicable, why);
            self.carry_out(now, order, fleet, out).map_err(refused)
        });
        let (result, detail) = match done {
            Ok(detail) => (Ok(()), detail),
            Err((refusal, detail)) => (Err(refusal), detail),
        };
        let id = order.id;
        let answer = OrderAnswer { id, result, detail };
        let draft = self
            .inbox
            .draft(now, order, &answer, action_of(&order.verb, ActionKind::None));
        fleet.record(now, draft, out);
        self.inbox.store(answer.clone());
        let (done, detail) = match result {
            Ok(()) => (true, answer.detail.clone()),
            Err(refusal) => (false, format!("{}: {}", refusal.as_str(), answer.detail)),
        };
        self.refused += u64::from(!done);
        out.journal(Record::Ordered { id, done, detail });
        answer
    }

    fn carry_out(
        &mut self,
        now: Moment,
        order: &Order,
        fleet: &mut ContainerFleet,
        out: &mut Outbox,
    ) -> Result<String, String> {
        let subject = &order.subject;
        let done = match order.verb {
            Verb::Hold { lasts } => self.hold(now, subject, lasts, fleet.settings(), out)?,
            Verb::Release => {
                let ended = self.holds.release(subject);
                if ended.is_empty() {
                    return Err("nothing is held here".to_string());
                }
                ended
                    .iter()
                    .for_each(|it| out.journal(Record::Released { subject: it.clone() }));
                format!("{} hold(s) ended", ended.len())
            }
            Verb::Retry => fleet.retry(now, subject, &order.asked_by, out)?,
        };
        fleet.touch_below(subject);
        Ok(done)
    }

    fn hold(
        &mut self,
        now: Moment,
        subject: &SubjectId,
        lasts: Duration,
        settings: &ContainerSettings,
        out: &mut Outbox,
    ) -> Result<String, String> {
        let held = self.holds.hold(now, subject, lasts);
        let until = held.map_err(|error| error.to_string())?;
        let millis = u64::try_from(lasts.as_millis()).unwrap_or(0);
        let end = HoldEnd {
            until,
            boot_id: settings.identity.boot_id,
            until_wall: WallTime(settings.wall(now).0.saturating_add(millis)),
            lasts,
        };
        let subject = subject.clone();
        out.journal(Record::Held { subject, end });
        Ok(format!("held for {}", seconds(lasts)))
    }
}

/// The journal keeps a refused order's words after the word of the refusal.
fn refusal_of(kept: &str) -> (Result<(), OrderRefusal>, String) {
    let (word, detail) = kept.split_once(": ").unwrap_or((kept, ""));
    match OrderRefusal::from_word(word) {
        Some(refusal) => (Err(refusal), detail.to_string()),
        None => (Err(OrderRefusal::NotApplicable), kept.to_string()),
    }
}

#[cfg(test)]
mod tests {
    //! What the journal keeps of a refusal.
    use super::*;

    #[test]
    fn a_refusal_is_read_back_from_the_journal() {
        let kept = [
            (
                "unknown_subject: h/d/zz is not known here",
                OrderRefusal::UnknownSubject,
                "h/d/zz is not known here",
            ),
            (
                "not_applicable: nothing: held",
                OrderRefusal::NotApplicable,
                "nothing: held",
            ),
            (
                "words of a later version",
                OrderRefusal::NotApplicable,
                "words of a later version",
            ),
        ];
        for (kept, refusal, detail) in kept {
            assert_eq!(refusal_of(kept), (Err(refusal), detail.to_string()), "{kept}");
        }
    }
}
