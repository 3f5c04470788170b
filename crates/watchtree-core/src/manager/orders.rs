//! Requests of people, turned into orders: one per watchdog that stands over the subject, repeated until answered,
//! dead after a while on the target's own clock.

use super::ManagerAgent;
use super::hosts::Phase;
use super::io::{Ask, AskError, ManagerEffect, TargetAnswer};
use crate::decision::{ActionKind, Decision, Guard, GuardAnswer, Outcome};
use crate::id::NodeName;
use crate::order::{Order, OrderAnswer, Verb};
use crate::subject::{SubjectId, SubjectKind};
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Most requests under way at one time.
const ASKS_MAX: usize = 64;
/// Most targets of one request.
const TARGETS_MAX: usize = 64;

/// The requests under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    asks: BTreeMap<u64, Pending>,
}

#[derive(Clone, Debug)]
struct Pending {
    orders: Vec<Sent>,
    ends: Moment,
    decision: Decision,
}

#[derive(Clone, Debug)]
struct Sent {
    via: NodeName,
    order: Order,
    again: Moment,
    answer: Option<OrderAnswer>,
}

impl Orders {
    pub(super) fn next_due(&self) -> Option<Moment> {
        let again = |pending: &Pending| {
            let open = pending.orders.iter().filter(|sent| sent.answer.is_none());
            open.map(|sent| sent.again).chain([pending.ends]).min()
        };
        self.asks.values().filter_map(again).min()
    }
}

impl ManagerAgent {
    /// A person asks.
    pub(super) fn ask(&mut self, now: Moment, ask: Ask) {
        let ticket = ask.ticket;
        let action = match ask.verb {
            Verb::Hold { .. } | Verb::Release => ActionKind::Hold,
            Verb::Retry => ActionKind::SendOrder,
        };
        let asked = format!("{} asked to {} {}", ask.asked_by, ask.verb.as_str(), ask.subject);
        let targets = match self.check_ask(&ask).and_then(|()| self.targets(&ask.subject)) {
            Ok(targets) => targets,
            Err(error) => {
                self.note_refusal(now, &ask.subject, &asked, action, &error);
                return self.effects.push_back(ManagerEffect::AskAnswered {
                    ticket,
                    result: Err(error),
                });
            }
        };
        let evidence = vec![Evidence::new(EvidenceKind::Order, now, asked.clone())];
        let names: Vec<&str> = targets.iter().map(|(_, target)| target.as_str()).collect();
        let names = names.join(", ");
        let guards = vec![GuardAnswer {
            guard: Guard::OrderValid,
            verdict: crate::decision::GuardVerdict::Passed,
            detail: format!("over it stand {names}"),
        }];
        let why = format!("{asked}: order it from {names}");
        let subject = ask.subject.clone();
        let decision = self.decide(now, subject, evidence, guards, action, Outcome::UnderWay, why);
        let mut orders = Vec::new();
        for (via, target) in targets {
            let Some(order) = self.order(now, &via, target, &ask) else {
                continue;
            };
            orders.push(Sent {
                via,
                order,
                again: now,
                answer: None,
            });
        }
        let ends = now + self.policy.order_lives;
        self.orders.asks.insert(ticket, Pending { orders, ends, decision });
        self.orders_due(now);
    }

    /// What a person asked for and did not get is a decision too.
    pub(super) fn note_refusal(
        &mut self,
        now: Moment,
        subject: &SubjectId,
        asked: &str,
        action: ActionKind,
        error: &AskError,
    ) {
        let guard = match error {
            AskError::Busy => Guard::InFlight,
            _ => Guard::OrderValid,
        };
        let detail = error.to_string();
        let why = format!("{asked}: refused, {detail}");
        let guards = vec![GuardAnswer {
            guard,
            verdict: crate::decision::GuardVerdict::Blocked,
            detail,
        }];
        let evidence = vec![Evidence::new(EvidenceKind::Order, now, asked)];
        self.decide(now, subject.clone(), evidence, guards, action, Outcome::NotTaken, why);
    }

    fn check_ask(&self, ask: &Ask) -> Result<(), AskError> {
        if matches!(&ask.verb, Verb::Hold { lasts } if Verb::HOLD_MAX < *lasts || lasts.is_zero()) {
            let days = Verb::HOLD_MAX.as_secs() / 86_400;
            return Err(AskError::Bad(format!(
                "a hold lasts from 1 s to {days} days: give --for accordingly"
            )));
        }
        if self.orders.asks.contains_key(&ask.ticket) {
            return Err(AskError::Bad(format!("ticket {} is under way already", ask.ticket)));
        }
        if ASKS_MAX <= self.orders.asks.len() {
            return Err(AskError::Busy);
        }
        Ok(())
    }

    /// Which watchdogs stand over the subject, each with the host through which it is reached.
    fn targets(&self, subject: &SubjectId) -> Result<Vec<(NodeName, NodeName)>, AskError> {
        let host = self.host_of(subject).ok_or(AskError::UnknownSubject)?;
        let (Some(watch), Some(child)) = (self.hosts.get(host), self.backend.child(host)) else {
            return Err(AskError::NobodyThere(format!(
                "{host} was not heard since this manager started"
            )));
        };
        let segments: Vec<&str> = subject.as_str().split('/').collect();
        let known = segments.len() == 1 || child.book.within(subject).next().is_some() || subject.last() == "@agent";
        if !known {
            return Err(AskError::UnknownSubject);
        }
        if !matches!(watch.phase, Phase::Well | Phase::Suspect(_)) {
            let verdict = &watch.verdict;
            return Err(AskError::NobodyThere(format!(
                "{host} is {}: {}",
                verdict.state.as_str(),
                verdict.why
            )));
        }
        let mut nodes = BTreeSet::new();
        let engine = segments.get(1).copied();
        // The host-watchdog stands over its engines and watchdogs; containers are their container-watchdog's.
        if segments.len() <= 2 || segments.last() == Some(&"@watchdog") {
            nodes.insert(host.clone());
        }
        let engines = child.book.iter().filter(|verdict| verdict.kind == SubjectKind::Engine);
        for verdict in engines.filter(|verdict| engine.is_none_or(|engine| verdict.subject.last() == engine)) {
            let name = format!("{host}.{}.watchdog", verdict.subject.last());
            if segments.last() != Some(&"@watchdog") {
                nodes.extend(NodeName::new(&name).ok());
            }
        }
        if TARGETS_MAX < nodes.len() {
            return Err(AskError::Bad(format!("more than {TARGETS_MAX} targets: ask for less")));
        }
        if nodes.is_empty() {
            return Err(AskError::NobodyThere(format!("no watchdog stands over {subject}")));
        }
        Ok(nodes.into_iter().map(|node| (host.clone(), node)).collect())
    }

    fn order(&mut self, now: Moment, via: &NodeName, target: NodeName, ask: &Ask) -> Option<Order> {
        let child = self.backend.child(via)?;
        let (boot_id, its_now) = (child.hello.identity.boot_id, child.its_now(now)?);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random().to_be_bytes());
        id[8..].copy_from_slice(&self.random().to_be_bytes());
        Some(Order {
            id,
            target,
            subject: ask.subject.clone(),
            incarnation: ask.incarnation.clone(),
            verb: ask.verb.clone(),
            term: self.term,
            boot_id,
            expires: its_now + self.policy.order_lives,
            asked_by: ask.asked_by.clone(),
        })
    }

    /// Sends what was not answered yet once more; ends what has lived its time.
    pub(super) fn orders_due(&mut self, now: Moment) {
        let over: Vec<u64> = self
            .orders
            .asks
            .iter()
            .filter(|(_, pending)| pending.ends <= now || pending.orders.iter().all(|sent| sent.answer.is_some()))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in over {
            self.finish_ask(ticket);
        }
        let again = now + self.policy.order_again;
        let mut to_send = Vec::new();
        for pending in self.orders.asks.values_mut() {
            for sent in pending
                .orders
                .iter_mut()
                .filter(|sent| sent.answer.is_none() && sent.again <= now)
            {
                sent.again = again;
                to_send.push((sent.via.clone(), sent.order.clone()));
            }
        }
        for (via, order) in to_send {
            let Some(to) = self.backend.child(&via).map(|child| child.peer().clone()) else {
                continue;
            };
            let header = self.backend.next_header(now, Some(order.target.clone()));
            self.effects.push_back(ManagerEffect::SignAndSend { to, header, order });
        }
    }

    pub(super) fn order_answered(&mut self, now: Moment, name: &NodeName, answer: OrderAnswer) {
        // A target that cannot read an order (unknown key, bad signature) cannot name it either: then it is the oldest
        // unanswered one of those sent that way.
        let nameless = answer.id == [0; 16] && answer.result.is_err();
        let orders = self.orders.asks.values_mut().flat_map(|pending| &mut pending.orders);
        let fits = |sent: &&mut Sent| sent.order.id == answer.id || (nameless && sent.answer.is_none());
        let Some(sent) = orders.filter(|sent| sent.via == *name).find(fits) else {
            return;
        };
        sent.answer = Some(answer);
        self.orders_due(now);
    }

    fn finish_ask(&mut self, ticket: u64) {
        let Some(pending) = self.orders.asks.remove(&ticket) else {
            return;
        };
        let done = pending
            .orders
            .iter()
            .all(|sent| sent.answer.as_ref().is_some_and(|answer| answer.result.is_ok()));
        let mut decision = pending.decision;
        decision.outcome = if done { Outcome::Succeeded } else { Outcome::Failed };
        let words: Vec<String> = pending.orders.iter().map(in_words).collect();
        decision.result = words.join("; ");
        self.keep(decision);
        let answers = pending
            .orders
            .into_iter()
            .map(|sent| TargetAnswer {
                target: sent.order.target,
                answer: sent.answer,
            })
            .collect();
        self.effects.push_back(ManagerEffect::AskAnswered {
            ticket,
            result: Ok(answers),
        });
    }
}

fn in_words(sent: &Sent) -> String {
    let said = match &sent.answer {
        None => "no answer".to_string(),
        Some(OrderAnswer {
            result: Ok(()), detail, ..
        }) => format!("done {detail}"),
        Some(OrderAnswer {
            result: Err(refusal),
            detail,
            ..
        }) => format!("refused ({}) {detail}", refusal.as_str()),
    };
    format!("{}: {}", sent.order.target, said.trim_end())
}
