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
    scope: SubjectId,
    holds: Holds,
}

impl Orders {
    /// No order was answered, nothing is held. What is refused is recorded at the host itself.
    pub(super) fn new(identity: &NodeIdentity) -> Self {
        let scope = SubjectId::of_node(&identity.name);
        Self {
            inbox: OrderInbox::new(identity.name.clone(), identity.boot_id, scope.clone()),
            scope,
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

    /// True for the host, and for this daemon.
    pub(super) fn is_own(&self, subject: &SubjectId) -> bool {
        *subject == self.scope || *subject == self.scope.child("@agent")
    }

    /// Answers an order as before, or refuses it or carries it out for the first time, and then makes a record. `retry`
    /// tries again what has ended below its subject, and counts it.
    pub(super) fn obey(
        &mut self,
        now: Moment,
        order: &Order,
        local: bool,
        scope: OrderScope<'_>,
        retry: impl FnOnce() -> usize,
    ) -> (OrderAnswer, Option<Draft>) {
        if let Some(answer) = self.inbox.answered(order) {
            return (answer.clone(), None);
        }
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
        (answer, Some(draft))
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

#[cfg(test)]
mod tests {
    //! Once, and what a hold reaches.
    use super::*;
    use crate::id::{AgentEpoch, BootId, MachineId, NodeId, NodeName, Tier};
    use crate::subject::Incarnation;
    use crate::time::Duration;

    #[test]
    fn an_order_is_carried_out_once_and_recorded_once() {
        let identity = NodeIdentity {
            name: NodeName::new("h1").unwrap(),
            tier: Tier::Host,
            node_id: NodeId([1; 16]),
            machine_id: MachineId([1; 16]),
            boot_id: BootId([1; 16]),
            agent_epoch: AgentEpoch(1),
            version: String::new(),
        };
        let mut orders = Orders::new(&identity);
        let order = |id, verb| Order {
            id: [id; 16],
            target: identity.name.clone(),
            subject: SubjectId::new("h1").unwrap(),
            incarnation: Incarnation::default(),
            verb,
            term: 0,
            boot_id: identity.boot_id,
            expires: Moment::ZERO,
            asked_by: "ann".to_string(),
        };
        let scope = OrderScope {
            is_known: true,
            incarnation: None,
        };
        let mut tried = 0;
        for expected in [true, false] {
            let retry = || {
                tried += 1;
                2
            };
            let (answer, draft) = orders.obey(Moment::ZERO, &order(1, Verb::Retry), false, scope, retry);
            assert_eq!(
                (answer.detail.as_str(), draft.is_some()),
                ("2 watchdogs started", expected)
            );
        }
        assert_eq!(tried, 1);
        let lasts = Duration::from_secs(5);
        let (answer, _) = orders.obey(Moment::ZERO, &order(2, Verb::Hold { lasts }), false, scope, || 0);
        assert_eq!(answer.result, Ok(()));
        let watchdog = SubjectId::new("h1/docker/@watchdog").unwrap();
        assert!(orders.holds().on(&watchdog).is_some());
        assert!(!orders.expire(Moment::from_millis(4999)) && orders.expire(Moment::from_millis(5000)));
        assert!(orders.is_own(&SubjectId::new("h1/@agent").unwrap()) && !orders.is_own(&watchdog));
    }
}
