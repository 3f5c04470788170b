//! Takes or refuses orders: the same rules in every role. Carried out at most once; what was answered once is answered
//! again in the same words.
//!
//! ```text
//!  order ─▶ answered before? ─yes─▶ the same answer
//!              │ no
//!              ▼
//!           target, boot, expiry, term (not asked of a person on this machine: boot, expiry, term)
//!              │ ok
//!              ▼
//!           subject known here? the incarnation it names? ─no─▶ refused, by a typed reason
//!              │ ok
//!              ▼
//!           the role carries it out and hands in the answer
//! ```
//!
//! The signature was checked at the edge. Does not know the verbs, nor how they are carried out.

use crate::decision::{ActionKind, Guard, GuardAnswer, Outcome};
use crate::id::{BootId, NodeName};
use crate::order::{Order, OrderAnswer, OrderRefusal, Verb};
use crate::recorder::Draft;
use crate::subject::{Incarnation, SubjectId};
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

/// Why an order is not carried out: the word of the wire, and words for people.
pub(crate) type Refusal = (OrderRefusal, String);

/// What the role knows of the subject that an order names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct OrderScope<'a> {
    /// The subject is one of this watchdog's.
    pub is_known: bool,
    /// The life it is in, as last reported.
    pub incarnation: Option<&'a Incarnation>,
}

/// Answers to orders, and the manager's term.
#[derive(Clone, Debug)]
pub(crate) struct OrderInbox {
    node: NodeName,
    boot_id: BootId,
    /// The watchdog's own subject: what it refuses is recorded there, for a refused order may name anything.
    own: SubjectId,
    term: u64,
    /// Oldest first.
    answers: VecDeque<OrderAnswer>,
}

impl OrderInbox {
    /// Most remembered answers.
    pub(crate) const ANSWERS_MAX: usize = 256;

    /// The inbox of that node in its present boot. `own` is the watchdog's own subject.
    pub(crate) fn new(node: NodeName, boot_id: BootId, own: SubjectId) -> Self {
        Self {
            node,
            boot_id,
            own,
            term: 0,
            answers: VecDeque::new(),
        }
    }

    /// A manager of this term has spoken: orders of earlier terms are stale from now on.
    pub(crate) fn saw_term(&mut self, term: u64) {
        self.term = self.term.max(term);
    }

    /// The answer that this order has got already.
    pub(crate) fn answered(&self, order: &Order) -> Option<&OrderAnswer> {
        self.answers.iter().find(|answer| answer.id == order.id)
    }

    /// May it be carried out? `local` = asked for by a person on this machine, who needs no term.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn judge(
        &mut self,
        now: Moment,
        order: &Order,
        local: bool,
        scope: OrderScope<'_>,
    ) -> Result<(), Refusal> {
        let no = |refusal: OrderRefusal, detail: String| Err((refusal, detail));
        if order.target != self.node {
            let detail = format!("it is for {}, this is {}", order.target, self.node);
            return no(OrderRefusal::WrongTarget, detail);
        }
        if !local {
            self.judge_time(now, order)?;
        }
        if !scope.is_known {
            return no(
                OrderRefusal::UnknownSubject,
                format!("{} is not known here", order.subject),
            );
        }
        if !order.incarnation.0.is_empty() && scope.incarnation != Some(&order.incarnation) {
            return no(OrderRefusal::OtherIncarnation, "it has another life by now".to_string());
        }
        Ok(())
    }

    fn judge_time(&mut self, now: Moment, order: &Order) -> Result<(), Refusal> {
        if order.boot_id != self.boot_id {
            let detail = "this machine has booted since".to_string();
            return Err((OrderRefusal::OtherBoot, detail));
        }
        if order.expires < now {
            let late = now - order.expires;
            let detail = format!("it expired {}.{:03} s ago", late.as_secs(), late.subsec_millis());
            return Err((OrderRefusal::Expired, detail));
        }
        if order.term < self.term {
            let detail = format!("its term is {}, a manager of term {} has spoken", order.term, self.term);
            return Err((OrderRefusal::StaleTerm, detail));
        }
        self.saw_term(order.term);
        Ok(())
    }

    /// Keeps what became of an order.
    pub(crate) fn store(&mut self, answer: OrderAnswer) {
        if Self::ANSWERS_MAX <= self.answers.len() {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
    }

    /// The record of an order that was judged here and, where it was taken, carried out. `taken_as` is the action it
    /// counts as; an order that was refused counts as none, and is recorded at this watchdog itself.
    pub(crate) fn draft(&self, now: Moment, order: &Order, answer: &OrderAnswer, taken_as: ActionKind) -> Draft {
        let asked = format!("{} asked to {} {}", order.asked_by, order.verb.as_str(), order.subject);
        let evidence = vec![Evidence::new(EvidenceKind::Order, now, asked.clone())];
        let draft = match answer.result {
            Ok(()) => {
                let guard = GuardAnswer::passed(Guard::OrderValid, "genuine, fresh, and about this life");
                Draft::new(order.subject.clone(), taken_as, asked)
                    .incarnation(order.incarnation.clone())
                    .guards(vec![guard])
                    .outcome(Outcome::Succeeded)
            }
            Err(refusal) => {
                let guard = GuardAnswer::blocked(Guard::OrderValid, format!("{}: {}", refusal.as_str(), answer.detail));
                let why = format!("{asked}: refused ({})", refusal.as_str());
                Draft::new(self.own.clone(), ActionKind::None, why).guards(vec![guard])
            }
        };
        draft.evidence(evidence).result(answer.detail.clone())
    }
}

/// The action that an order counts as, where it gives back a budget: `retry` is the kind's own action.
pub(crate) const fn action_of(verb: &Verb, retry: ActionKind) -> ActionKind {
    match verb {
        Verb::Hold { .. } | Verb::Release => ActionKind::Hold,
        Verb::Retry => retry,
    }
}

#[cfg(test)]
mod tests {
    //! Each refusal, and that answers are kept.
    use super::*;
    use crate::time::Duration;

    fn inbox() -> OrderInbox {
        let own = SubjectId::new("h1/docker/@watchdog").unwrap();
        OrderInbox::new(NodeName::new("h1.docker").unwrap(), BootId([1; 16]), own)
    }

    fn order() -> Order {
        Order {
            id: [7; 16],
            target: NodeName::new("h1.docker").unwrap(),
            subject: SubjectId::new("h1/docker/web").unwrap(),
            incarnation: Incarnation::default(),
            verb: Verb::Hold {
                lasts: Duration::from_secs(60),
            },
            term: 3,
            boot_id: BootId([1; 16]),
            expires: Moment::from_millis(5000),
            asked_by: "ann".to_string(),
        }
    }

    const KNOWN: OrderScope<'static> = OrderScope {
        is_known: true,
        incarnation: None,
    };

    fn refusal(inbox: &mut OrderInbox, now_ms: u64, order: &Order, scope: OrderScope<'_>) -> Option<OrderRefusal> {
        let judged = inbox.judge(Moment::from_millis(now_ms), order, false, scope);
        judged.err().map(|(refusal, _)| refusal)
    }

    #[test]
    fn each_defect_has_its_refusal() {
        let mut inbox = inbox();
        assert_eq!(
            refusal(&mut inbox, 5000, &order(), KNOWN),
            None,
            "the last moment counts"
        );
        assert_eq!(refusal(&mut inbox, 5001, &order(), KNOWN), Some(OrderRefusal::Expired));
        let other = Order {
            boot_id: BootId([2; 16]),
            ..order()
        };
        assert_eq!(refusal(&mut inbox, 0, &other, KNOWN), Some(OrderRefusal::OtherBoot));
        let stale = Order { term: 2, ..order() };
        assert_eq!(refusal(&mut inbox, 0, &stale, KNOWN), Some(OrderRefusal::StaleTerm));
        let elsewhere = Order {
            target: NodeName::new("h2").unwrap(),
            ..order()
        };
        assert_eq!(
            refusal(&mut inbox, 0, &elsewhere, KNOWN),
            Some(OrderRefusal::WrongTarget)
        );
        let unknown = OrderScope {
            is_known: false,
            incarnation: None,
        };
        assert_eq!(
            refusal(&mut inbox, 0, &order(), unknown),
            Some(OrderRefusal::UnknownSubject)
        );
        let about = Order {
            incarnation: Incarnation("a@1".into()),
            ..order()
        };
        assert_eq!(
            refusal(&mut inbox, 0, &about, KNOWN),
            Some(OrderRefusal::OtherIncarnation)
        );
        let same = OrderScope {
            is_known: true,
            incarnation: Some(&about.incarnation),
        };
        assert_eq!(refusal(&mut inbox, 0, &about, same), None);
    }

    #[test]
    fn a_person_on_this_machine_needs_no_term_but_the_right_target() {
        let mut inbox = inbox();
        inbox.saw_term(9);
        assert!(inbox.judge(Moment::from_millis(9000), &order(), true, KNOWN).is_ok());
        let elsewhere = Order {
            target: NodeName::new("h2").unwrap(),
            ..order()
        };
        assert!(inbox.judge(Moment::ZERO, &elsewhere, true, KNOWN).is_err());
    }

    #[test]
    fn a_refused_order_is_recorded_at_the_watchdog_that_refused_it() {
        let inbox = inbox();
        let answer = |result| OrderAnswer {
            id: [7; 16],
            result,
            detail: "words".to_string(),
        };
        let mut recorder = crate::recorder::DecisionRecorder::new(
            NodeName::new("h1.docker").unwrap(),
            crate::id::AgentEpoch(1),
            Moment::ZERO,
            crate::time::WallTime(0),
        );
        let refused = inbox.draft(
            Moment::ZERO,
            &order(),
            &answer(Err(OrderRefusal::Expired)),
            ActionKind::Hold,
        );
        let refused = recorder.record(Moment::ZERO, refused);
        assert_eq!(refused.subject.as_str(), "h1/docker/@watchdog");
        assert_eq!((refused.action, refused.outcome), (ActionKind::None, Outcome::NotTaken));
        assert!(!refused.guards[0].lets_pass());
        let why = "ann asked to hold h1/docker/web: refused (expired)";
        assert_eq!((refused.why.as_str(), refused.result.as_str()), (why, "words"));
        let taken = inbox.draft(Moment::ZERO, &order(), &answer(Ok(())), ActionKind::Hold);
        let taken = recorder.record(Moment::ZERO, taken);
        assert_eq!(
            (taken.subject.as_str(), taken.outcome),
            ("h1/docker/web", Outcome::Succeeded)
        );
    }

    #[test]
    fn an_answer_is_given_again_and_the_memory_is_bounded() {
        let mut inbox = inbox();
        for i in 0..=OrderInbox::ANSWERS_MAX {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(i as u64).to_be_bytes());
            inbox.store(OrderAnswer {
                id,
                result: Ok(()),
                detail: i.to_string(),
            });
        }
        let ask = |n: u64| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&n.to_be_bytes());
            Order { id, ..order() }
        };
        assert!(inbox.answered(&ask(0)).is_none());
        assert!(inbox.answered(&ask(1)).is_some());
        assert_eq!(inbox.answered(&ask(256)).map(|it| it.detail.as_str()), Some("256"));
    }
}
