//! What people want of the tree, and the orders that were signed for it: a number stands for the signed bytes.

use std::collections::BTreeMap;
use watchtree_core::message::OrderInput;
use watchtree_core::order::{Order, SignedOrder, Verb};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Duration;

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
    /// What it is called in an order.
    pub fn verb(self) -> Verb {
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

/// All wishes and orders of a run.
#[derive(Default)]
pub(crate) struct Orders {
    signed: Vec<Order>,
    asked: BTreeMap<u64, (Wish, SubjectId)>,
}

impl Orders {
    /// The ticket of a new wish.
    pub(crate) fn asks(&mut self, wish: Wish, subject: SubjectId) -> u64 {
        let ticket = self.asked.len() as u64 + 1;
        self.asked.insert(ticket, (wish, subject));
        ticket
    }

    /// The wish of that ticket.
    pub(crate) fn asked(&self, ticket: u64) -> Option<&(Wish, SubjectId)> {
        self.asked.get(&ticket)
    }

    /// The bytes that stand for a signed order.
    pub(crate) fn sign(&mut self, order: Order) -> SignedOrder {
        let known = self.signed.iter().position(|known| *known == order);
        let number = known.unwrap_or(self.signed.len());
        if known.is_none() {
            self.signed.push(order);
        }
        SignedOrder {
            bytes: (number as u64).to_be_bytes().to_vec(),
            key_id: "sim".into(),
            signature: Vec::new(),
        }
    }

    /// The order that those bytes stand for.
    pub(crate) fn order_of(&self, signed: &SignedOrder) -> Option<OrderInput> {
        let number = u64::from_be_bytes(signed.bytes.as_slice().try_into().ok()?);
        let order = self.signed.get(usize::try_from(number).ok()?)?.clone();
        Some(OrderInput { order, local: false })
    }

    /// The order of that id.
    pub(crate) fn of_id(&self, id: [u8; 16]) -> Option<&Order> {
        self.signed.iter().find(|order| order.id == id)
    }
}
