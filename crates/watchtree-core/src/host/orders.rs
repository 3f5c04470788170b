//! Orders for the host-watchdog itself, and the holds they set. A hold lives in memory only: a restart of this daemon ends
//! it early, never late. Does not know how a child is tried again.

use crate::decision::ActionKind;
use crate::holds::Holds;
use crate::id::NodeIdentity;
use crate::order::{Order, OrderAnswer, OrderRefusal, Verb};
use crate::order_inbox::{OrderInbox, OrderScope, action_of};
use crate::recorder::Draft;
use crate::subject::SubjectId;
use crate::time::Moment;
use alloc::format;
use alloc::string::{String, ToString};

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    inbox: OrderInbox,
    holds: Holds,
}

impl Orders {
    /// No order was answered, nothing is held. What is refused is recorded at `own`.
    pub(super) fn new(identity: &NodeIdentity, own: SubjectId) -> Self {
        Self {
            inbox: OrderInbox::new(identity.name.clone(), identity.boot_id, own),
            holds: Holds::default(),
        }
    }

    /// The holds in force.
    pub(super) fn holds(&self) -> &Holds {
        &self.holds
    }

    /// True if holds have ended by now.
    pub(super) fn expire(&mut self, now: Moment) -> bool {
        !self.holds.expire(now).is_empty()
    }

    /// A manager of this term has spoken.
    pub(super) fn saw_term(&mut self, term: u64) {
        self.inbox.saw_term(term);
    }

    /// The answer of before, where there is one.
    pub(super) fn answered(&self, order: &Order) -> Option<OrderAnswer> {
        self.inbox.answered(order).cloned()
    }

    /// Refuses an order or carries it out, for the first time. `retry` tries again what is below a subject, and counts it.
    pub(super) fn obey(
        &mut self,
        now: Moment,
        order: &Order,
        local: bool,
        scope: OrderScope<'_>,
        retry: impl FnOnce() -> usize,
    ) -> (OrderAnswer, Draft) {
        let judged = self.inbox.judge(now, order, local, scope);
        let done = judged.and_then(|()| self.carry_out(now, order, retry));
        let (result, detail) = match done {
            Ok(detail) => (Ok(()), detail),
            Err((refusal, detail)) => (Err(refusal), detail),
        };
        let id = order.id;
        let answer = OrderAnswer { id, result, detail };
        self.inbox.store(answer.clone());
        let action = action_of(&order.verb, ActionKind::ReviveWatchdog);
        let draft = self.inbox.draft(now, order, &answer, action);
        (answer, draft)
    }

    fn carry_out(
        &mut self,
        now: Moment,
        order: &Order,
        retry: impl FnOnce() -> usize,
    ) -> Result<String, (OrderRefusal, String)> {
        match order.verb {
            Verb::Hold { lasts } => {
                let set = self.holds.hold(now, &order.subject, lasts);
                set.map_err(|error| (OrderRefusal::NotApplicable, error.to_string()))?;
                Ok(format!("held for {} s", lasts.as_secs()))
            }
            Verb::Release => Ok(format!("{} hold(s) ended", self.holds.release(&order.subject).len())),
            Verb::Retry => Ok(format!("{} watchdogs started", retry())),
        }
    }
}
