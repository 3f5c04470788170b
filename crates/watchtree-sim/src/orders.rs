//! What people ask of the tree, and the orders that carry it down: in time, late, and across a manager's restart.
//!
//! `stale_order_refused` no order takes effect after its time, in another boot, or under a term that is over
//! `held_left_alone`     what is held is on the target's record, and no repair of it begins

use crate::world::{Happening, Node, World};
use std::collections::{BTreeMap, BTreeSet};
use watchtree_core::container::io::ContainerInput;
use watchtree_core::frontend::FrontendInput;
use watchtree_core::host::io::HostInput;
use watchtree_core::manager::io::{Ask, AskError, ManagerInput, TargetAnswer};
use watchtree_core::message::{Envelope, Message, OrderInput};
use watchtree_core::order::{Order, OrderAnswer, SignedOrder, Verb};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Duration, Moment};

/// A child is told of a manager's new term within this time after its host-watchdog was.
const TERM_GOES_DOWN: Duration = Duration::from_secs(1);
/// Where that frame was lost, it is asked for a Hello at its next beat, and repeats that until it is answered.
const TERM_MADE_GOOD: Duration = Duration::from_secs(3);

/// What a person wants.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wish {
    /// Repairs kept away for that long.
    Hold(Duration),
    /// A hold ended.
    Release,
    /// A try, whatever was used up.
    Retry,
}

impl Wish {
    fn verb(self) -> Verb {
        match self {
            Self::Hold(lasts) => Verb::Hold { lasts },
            Self::Release => Verb::Release,
            Self::Retry => Verb::Retry,
        }
    }

    /// The key of the counts.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Hold(_) => "ask_hold",
            Self::Release => "ask_release",
            Self::Retry => "ask_retry",
        }
    }
}

/// All orders of a run.
#[derive(Default)]
pub struct Orders {
    /// By the number that stands for their signed bytes.
    known: Vec<Order>,
    asked: BTreeMap<u64, (Wish, SubjectId)>,
    /// Came when they were stale.
    stale: BTreeSet<(Node, [u8; 16])>,
    /// Were carried out by that node, in that life of its memory.
    obeyed: BTreeSet<(Node, u64, [u8; 16])>,
}

/// The terms that the watchdogs of a host were told of: by whose epoch, which, when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    host: (u64, u64, Moment),
    child: (u64, u64),
}

impl World {
    /// A person asks.
    pub fn ask(&mut self, subject: SubjectId, wish: Wish) -> bool {
        if !self.manager.runs() {
            return false;
        }
        let ticket = self.orders.asked.len() as u64 + 1;
        self.orders.asked.insert(ticket, (wish, subject.clone()));
        let ask = Ask {
            ticket,
            verb: wish.verb(),
            subject,
            incarnation: Incarnation::default(),
            asked_by: "ann".into(),
        };
        let epoch = self.manager.epoch;
        self.after(Duration::ZERO, Happening::ToManager(epoch, ManagerInput::Ask(ask)));
        self.counted(wish.kind());
        true
    }

    /// The bytes that stand for a signed order.
    pub fn sign(&mut self, order: Order) -> SignedOrder {
        let known = self.orders.known.iter().position(|known| *known == order);
        let number = known.unwrap_or(self.orders.known.len());
        if known.is_none() {
            self.orders.known.push(order);
        }
        SignedOrder {
            bytes: (number as u64).to_be_bytes().to_vec(),
            key_id: "sim".into(),
            signature: Vec::new(),
        }
    }

    fn order_of(&self, signed: &SignedOrder) -> Option<OrderInput> {
        let number = u64::from_be_bytes(signed.bytes.as_slice().try_into().ok()?);
        let order = self.orders.known.get(number as usize)?.clone();
        Some(OrderInput { order, local: false })
    }

    /// What a host-watchdog is told of a frame: orders for itself are checked by its driver.
    pub fn host_input(&self, h: usize, envelope: Envelope) -> Option<HostInput> {
        let target = envelope.header.target.as_ref();
        match &envelope.message {
            Message::Order(signed) if target.is_none_or(|target| *target == self.hosts[h].name) => {
                self.order_of(signed).map(HostInput::Order)
            }
            _ => Some(HostInput::Link(FrontendInput::Received(envelope))),
        }
    }

    /// What a container-watchdog is told of a frame.
    pub fn child_input(&self, envelope: Envelope) -> Option<ContainerInput> {
        match &envelope.message {
            Message::Order(signed) => self.order_of(signed).map(ContainerInput::Order),
            _ => Some(ContainerInput::Link(FrontendInput::Received(envelope))),
        }
    }

    /// Before a host-watchdog takes an input.
    pub fn note_host_input(&mut self, h: usize, input: &HostInput) {
        let epoch = self.hosts[h].host.epoch;
        match input {
            HostInput::Link(FrontendInput::Received(Envelope {
                message: Message::Welcome(welcome),
                ..
            })) if self.hosts[h].host.runs() => self.hosts[h].told.host = (epoch, welcome.term, self.now),
            HostInput::Order(input) => {
                let (of, term, _) = self.hosts[h].told.host;
                let over = of == epoch && input.order.term < term;
                self.note_order(Node::Host(h), h, &input.order, over);
            }
            _ => {}
        }
    }

    /// Before a container-watchdog takes an input.
    pub fn note_child_input(&mut self, h: usize, input: &ContainerInput) {
        let epoch = self.hosts[h].child.epoch;
        match input {
            ContainerInput::Link(FrontendInput::Received(Envelope {
                message: Message::Welcome(welcome),
                ..
            })) if self.hosts[h].child.runs() => self.hosts[h].told.child = (epoch, welcome.term),
            ContainerInput::Order(input) => {
                let Told { host, child } = self.hosts[h].told;
                let heard = child.0 == epoch && input.order.term < child.1;
                let known_above = host.0 == self.hosts[h].host.epoch
                    && input.order.term < host.1
                    && TERM_GOES_DOWN < self.now.since(host.2)
                    && TERM_GOES_DOWN < self.now.since(self.hosts[h].child.well_since)
                    && TERM_MADE_GOOD < self.now.since(self.hosts[h].ipc_bad_until);
                self.note_order(Node::Child(h), h, &input.order, heard || known_above);
                if input.order.verb == Verb::Retry {
                    self.hosts[h].retried = self.now;
                }
            }
            _ => {}
        }
    }

    fn note_order(&mut self, node: Node, h: usize, order: &Order, term_is_over: bool) {
        let late = order.expires < self.now;
        let other_boot = order.boot_id != crate::lifecycle::boot_id(h, self.hosts[h].boots);
        if late || other_boot || term_is_over {
            self.orders.stale.insert((node, order.id));
            let kind = match (late, other_boot) {
                (true, _) => "order_expired",
                (_, true) => "order_of_another_boot",
                _ => "order_of_a_term_that_is_over",
            };
            self.counted(kind);
        }
    }

    /// A node answers an order. An answer given again is no second obedience.
    pub fn check_order_answer(&mut self, node: Node, answer: &OrderAnswer) {
        // A container-watchdog remembers what it carried out, a host-watchdog while it lives.
        let memory = match node {
            Node::Host(h) => self.hosts[h].host.epoch,
            _ => 0,
        };
        let known = (node, memory, answer.id);
        if answer.result.is_err() || self.orders.obeyed.contains(&known) {
            return;
        }
        if self.orders.stale.contains(&(node, answer.id)) {
            let why = format!("{node:?} carried out an order that was stale: {}", answer.detail);
            self.breaks("stale_order_refused", why);
        }
        self.orders.obeyed.insert(known);
    }

    /// The host-watchdog passes answers of its child on: only those to its own orders are its own.
    pub fn is_for_host(&self, h: usize, answer: &OrderAnswer) -> bool {
        let order = self.orders.known.iter().find(|order| order.id == answer.id);
        order.is_some_and(|order| order.target == self.hosts[h].name)
    }

    /// A person gets an answer: what is said to be held is on the target's record.
    pub fn check_ask_answered(&mut self, ticket: u64, result: &Result<Vec<TargetAnswer>, AskError>) {
        let Some((Wish::Hold(_), subject)) = self.orders.asked.get(&ticket) else {
            return;
        };
        let (subject, answers) = (subject.clone(), result.as_deref().unwrap_or_default());
        for h in 0..self.hosts.len() {
            let child = crate::perform::child_name(&self.hosts[h].name);
            let held = answers
                .iter()
                .any(|it| it.target == child && it.answer.as_ref().is_some_and(|answer| answer.result.is_ok()));
            if held && self.hosts[h].book.held_until(&subject).is_none() {
                let why = format!("{subject} is said to be held, and no record of it was written");
                self.breaks("held_left_alone", why);
            }
        }
    }

    /// Keeps an order back, if that is to happen now.
    pub fn holds_order_back(&mut self, h: usize, envelope: &Envelope) -> bool {
        let holds = self.now < self.hosts[h].orders_held_until && matches!(envelope.message, Message::Order(_));
        if holds {
            self.hosts[h].held_orders.push(envelope.clone());
        }
        holds
    }

    /// Orders that were held back on the way arrive.
    pub fn release_orders(&mut self, h: usize) {
        for envelope in std::mem::take(&mut self.hosts[h].held_orders) {
            self.counted("late_order");
            let (host, child) = (self.hosts[h].host.epoch, self.hosts[h].child.epoch);
            if self.hosts[h].below {
                if let Some(input) = self.child_input(envelope) {
                    self.after(Duration::ZERO, Happening::ToChild(h, child, input));
                }
            } else if let Some(input) = self.host_input(h, envelope) {
                self.after(Duration::ZERO, Happening::ToHost(h, host, input));
            }
        }
    }
}
