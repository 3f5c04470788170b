//! Requests of people on their way as orders: one per watchdog over the subject, sent again until answered, dead after a
//! while on the target's own clock.
//!
//! ```text
//!   Ask ── checked ──▶ sent ── not answered ──▶ sent again ──▶ …
//!                       └── all answered, or its time is over ──▶ AskAnswered
//! ```
//!
//! Does not know who stands over what, nor what the targets decide.

use super::desk::Desk;
use super::io::{Ask, AskError, ManagerEffect, ManagerPolicy, TargetAnswer};
use super::order_targets::Targets;
use crate::backend::Backend;
use crate::deadlines::Deadlines;
use crate::decision::{ActionKind, Decision, Guard, GuardAnswer, Outcome};
use crate::id::NodeName;
use crate::order::{Order, OrderAnswer, Verb};
use crate::random::Random;
use crate::recorder::Draft;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Most requests under way at one time.
const ASKS_MAX: usize = 64;

/// See the file's head.
#[derive(Clone, Debug)]
pub(super) struct OrderDispatch {
    term: u64,
    lives: Duration,
    again: Duration,
    random: Random,
    asks: BTreeMap<u64, Pending>,
    deadlines: Deadlines<u64>,
}

/// A request under way.
#[derive(Clone, Debug)]
struct Pending {
    via: NodeName,
    orders: Vec<(Order, Option<OrderAnswer>)>,
    ends: Moment,
    decision: Decision,
}

impl Pending {
    fn is_over(&self, now: Moment) -> bool {
        self.ends <= now || self.orders.iter().all(|(_, answer)| answer.is_some())
    }
}

impl OrderDispatch {
    pub(super) const fn term(&self) -> u64 {
        self.term
    }

    pub(super) fn new(term: u64, policy: &ManagerPolicy, seed: u64) -> Self {
        Self {
            term,
            lives: policy.order_lives,
            again: policy.order_again,
            random: Random::new(seed),
            asks: BTreeMap::new(),
            deadlines: Deadlines::default(),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.next()
    }

    /// May this request go on its way, as far as it can be told without the tree?
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, ask: &Ask) -> Result<(), AskError> {
        if matches!(&ask.verb, Verb::Hold { lasts } if Verb::HOLD_MAX < *lasts || lasts.is_zero()) {
            let days = Verb::HOLD_MAX.as_secs() / 86_400;
            let why = format!("a hold lasts from 1 s to {days} days: give --for accordingly");
            return Err(AskError::Bad(why));
        }
        if self.asks.contains_key(&ask.ticket) {
            return Err(AskError::Bad(format!("ticket {} is under way already", ask.ticket)));
        }
        if ASKS_MAX <= self.asks.len() {
            return Err(AskError::Busy);
        }
        Ok(())
    }

    /// Records a request that was checked, and sends it to each of its targets.
    pub(super) fn send(&mut self, now: Moment, ask: &Ask, targets: Targets, sessions: &mut Backend, desk: &mut Desk) {
        let names: Vec<&str> = targets.nodes.iter().map(NodeName::as_str).collect();
        let (asked, names) = (ask.to_string(), names.join(", "));
        let action = match ask.verb {
            Verb::Hold { .. } | Verb::Release => ActionKind::Hold,
            Verb::Retry => ActionKind::SendOrder,
        };
        let draft = Draft::new(ask.subject.clone(), action, format!("{asked}: order it from {names}"))
            .evidence(vec![Evidence::new(EvidenceKind::Order, now, asked)])
            .guards(vec![GuardAnswer::passed(
                Guard::OrderValid,
                format!("over it stand {names}"),
            )])
            .outcome(Outcome::UnderWay);
        let decision = desk.record(now, draft);
        let Targets { via, nodes } = targets;
        let orders = nodes
            .into_iter()
            .filter_map(|target| Some((self.order(now, ask, &via, target, sessions)?, None)));
        let pending = Pending {
            orders: orders.collect(),
            via,
            ends: now + self.lives,
            decision,
        };
        self.asks.insert(ask.ticket, pending);
        self.deadlines.arm(ask.ticket, now);
        self.due(now, sessions, desk);
    }

    /// Sends what is not answered yet once more; ends what has lived its time.
    pub(super) fn due(&mut self, now: Moment, sessions: &mut Backend, desk: &mut Desk) {
        while let Some(ticket) = self.deadlines.pop_due(now) {
            if self.end_if_over(now, ticket, desk) {
                continue;
            }
            let Some(pending) = self.asks.get(&ticket) else {
                continue;
            };
            let to = sessions.child(&pending.via).map(|child| child.peer().clone());
            for (order, _) in pending.orders.iter().filter(|(_, answer)| answer.is_none()) {
                if let Some(to) = to.clone() {
                    let (header, order) = (sessions.next_header(now, Some(order.target.clone())), order.clone());
                    desk.push(ManagerEffect::SignAndSend { to, header, order });
                }
            }
            self.deadlines.arm(ticket, pending.ends.min(now + self.again));
        }
    }

    /// An answer came through that host.
    pub(super) fn answered(&mut self, now: Moment, via: &NodeName, answer: OrderAnswer, desk: &mut Desk) {
        // A target that cannot read an order (unknown key, bad signature) cannot name it either: then it is the oldest
        // unanswered one of those sent that way.
        let is_nameless = answer.id == [0; 16] && answer.result.is_err();
        let fits = |(order, before): &&mut (Order, Option<OrderAnswer>)| {
            order.id == answer.id || (is_nameless && before.is_none())
        };
        let sent_that_way = self.asks.iter_mut().filter(|(_, pending)| pending.via == *via);
        let found = sent_that_way
            .filter_map(|(ticket, pending)| Some((*ticket, pending.orders.iter_mut().find(fits)?)))
            .next();
        if let Some((ticket, (_, place))) = found {
            *place = Some(answer);
            self.end_if_over(now, ticket, desk);
        }
    }

    fn order(&mut self, now: Moment, ask: &Ask, via: &NodeName, target: NodeName, sessions: &Backend) -> Option<Order> {
        let child = sessions.child(via)?;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.draw().to_be_bytes());
        id[8..].copy_from_slice(&self.random.draw().to_be_bytes());
        Some(Order {
            id,
            target,
            subject: ask.subject.clone(),
            incarnation: ask.incarnation.clone(),
            verb: ask.verb.clone(),
            term: self.term,
            boot_id: child.hello().identity.boot_id,
            expires: child.its_now(now)? + self.lives,
            asked_by: ask.asked_by.clone(),
        })
    }

    /// Answers a request that is over, and ends its record; false if it goes on.
    fn end_if_over(&mut self, now: Moment, ticket: u64, desk: &mut Desk) -> bool {
        if !self.asks.get(&ticket).is_some_and(|pending| pending.is_over(now)) {
            return false;
        }
        let Some(pending) = self.asks.remove(&ticket) else {
            return false;
        };
        self.deadlines.disarm(&ticket);
        let is_done = |answer: &Option<OrderAnswer>| answer.as_ref().is_some_and(|answer| answer.result.is_ok());
        let outcome = match pending.orders.iter().all(|(_, answer)| is_done(answer)) {
            true => Outcome::Succeeded,
            false => Outcome::Failed,
        };
        let words: Vec<String> = pending
            .orders
            .iter()
            .map(|(order, answer)| in_words(order, answer.as_ref()))
            .collect();
        desk.close(pending.decision, outcome, words.join("; "));
        let answers = pending.orders.into_iter().map(|(order, answer)| TargetAnswer {
            target: order.target,
            answer,
        });
        let result = Ok(answers.collect());
        desk.push(ManagerEffect::AskAnswered { ticket, result });
        true
    }
}

fn in_words(order: &Order, answer: Option<&OrderAnswer>) -> String {
    let said = match answer {
        None => "no answer".to_string(),
        Some(answer) => match answer.result {
            Ok(()) => format!("done {}", answer.detail),
            Err(refusal) => format!("refused ({}) {}", refusal.as_str(), answer.detail),
        },
    };
    format!("{}: {}", order.target, said.trim_end())
}
