//! A person asks, and orders go down: what a driver makes of the frame that carries one, and what is seen of both.

use crate::log::{Node, Observation};
use crate::scheduler::event::SimEvent;
use crate::scheduler::fault::Which;
use crate::scheduler::orders::Wish;
use crate::scheduler::sabotage::Bug;
use crate::scheduler::world::World;
use crate::state::clock;
use watchtree_core::container::io::ContainerInput;
use watchtree_core::frontend::FrontendInput;
use watchtree_core::host::io::HostInput;
use watchtree_core::manager::io::{Ask, AskError, ManagerInput, TargetAnswer};
use watchtree_core::message::{Envelope, Message, OrderInput};
use watchtree_core::order::{Order, OrderAnswer};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Duration, Moment};

/// A person asks. True if there was somebody to ask.
pub(super) fn ask(world: &mut World, subject: SubjectId, wish: Wish) -> bool {
    if !world.manager.runs() {
        return false;
    }
    let ask = Ask {
        ticket: world.orders.asks(wish, subject.clone()),
        verb: wish.verb(),
        subject,
        incarnation: Incarnation::default(),
        asked_by: "ann".into(),
    };
    let epoch = world.manager.epoch();
    world.after(Duration::ZERO, SimEvent::ToManager(epoch, ManagerInput::Ask(ask)));
    world.counted(wish.kind());
    true
}

/// What a host-watchdog is told of a frame: orders for itself are checked by its driver.
pub(super) fn host_input(world: &mut World, h: usize, envelope: Envelope) -> Option<HostInput> {
    let target = envelope.header.target.as_ref();
    match &envelope.message {
        Message::Order(signed) if target.is_none_or(|target| *target == world.hosts[h].name) => {
            let input = world.orders.order_of(signed)?;
            Some(HostInput::Order(renewed(world, h, input)))
        }
        _ => Some(HostInput::Link(FrontendInput::Received(envelope))),
    }
}

/// What a container-watchdog is told of a frame.
pub(super) fn child_input(world: &mut World, h: usize, envelope: Envelope) -> Option<ContainerInput> {
    match &envelope.message {
        Message::Order(signed) => {
            let input = world.orders.order_of(signed)?;
            Some(ContainerInput::Order(renewed(world, h, input)))
        }
        _ => Some(ContainerInput::Link(FrontendInput::Received(envelope))),
    }
}

/// The defect `OrdersRenewed`; else the order as it was signed.
fn renewed(world: &World, h: usize, mut input: OrderInput) -> OrderInput {
    if world.bug == Some(Bug::OrdersRenewed) {
        input.order.expires = Moment::FAR_FUTURE;
        input.order.term = u64::MAX;
        input.order.boot_id = world.hosts[h].clock.boot_id();
    }
    input
}

/// Before a host-watchdog takes an input.
pub(super) fn note_host_input(world: &mut World, h: usize, input: &HostInput) {
    match input {
        HostInput::Link(FrontendInput::Received(envelope)) if world.hosts[h].host.runs() => {
            note_term(world, Node::Host(h), world.hosts[h].host.epoch(), &envelope.message);
        }
        HostInput::Order(input) => note_order(world, Node::Host(h), h, &input.order),
        _ => {}
    }
}

/// Before a container-watchdog takes an input.
pub(super) fn note_child_input(world: &mut World, h: usize, input: &ContainerInput) {
    match input {
        ContainerInput::Link(FrontendInput::Received(envelope)) if world.hosts[h].child.runs() => {
            note_term(world, Node::Child(h), world.hosts[h].child.epoch(), &envelope.message);
        }
        ContainerInput::Order(input) => note_order(world, Node::Child(h), h, &input.order),
        _ => {}
    }
}

fn note_term(world: &mut World, node: Node, epoch: u64, message: &Message) {
    if let Message::Welcome(welcome) = message {
        let term = welcome.term;
        world.saw(Observation::TermTold { node, epoch, term });
    }
}

/// An order as it was signed reaches a watchdog.
fn note_order(world: &mut World, node: Node, h: usize, order: &Order) {
    let signed = world.orders.of_id(order.id).unwrap_or(order).clone();
    let clock = &world.hosts[h].clock;
    let other_boot = signed.boot_id != clock.boot_id();
    let expires = clock::world(clock.zero(), signed.expires);
    if expires < world.now {
        world.counted("order_expired");
    } else if other_boot {
        world.counted("order_of_another_boot");
    }
    world.saw(Observation::OrderArrived {
        node,
        order: signed,
        expires,
        other_boot,
    });
}

/// A node answers an order. The host-watchdog passes answers of its child on: only those to its own orders are its own.
pub(super) fn note_answer(world: &mut World, node: Node, answer: &OrderAnswer) {
    if let Node::Host(h) = node {
        let target = world.orders.of_id(answer.id).map(|order| &order.target);
        if target != Some(&world.hosts[h].name) {
            return;
        }
    }
    let answer = answer.clone();
    world.saw(Observation::OrderAnswered { node, answer });
}

/// A person gets an answer.
pub(super) fn note_ask_answered(world: &mut World, ticket: u64, result: &Result<Vec<TargetAnswer>, AskError>) {
    let Some((Wish::Hold(_), subject)) = world.orders.asked(ticket).cloned() else {
        return;
    };
    let answers = result.as_deref().unwrap_or_default();
    for host in 0..world.hosts.len() {
        let child = world.hosts[host].child_name();
        let held = |it: &TargetAnswer| it.target == child && it.answer.as_ref().is_some_and(|it| it.result.is_ok());
        if answers.iter().any(held) {
            let subject = subject.clone();
            world.saw(Observation::SaidHeld { host, subject });
        }
    }
}

/// Keeps an order back, if that is to happen now.
pub(super) fn holds_order_back(world: &mut World, h: usize, envelope: &Envelope) -> bool {
    let host = &mut world.hosts[h];
    let holds = world.now < host.orders_held_until && matches!(envelope.message, Message::Order(_));
    if holds {
        host.held_orders.push(envelope.clone());
    }
    holds
}

/// Orders that were held back on the way arrive.
pub(super) fn release_orders(world: &mut World, h: usize) {
    for envelope in std::mem::take(&mut world.hosts[h].held_orders) {
        world.counted("late_order");
        let (host, child) = (world.hosts[h].host.epoch(), world.hosts[h].child.epoch());
        if world.hosts[h].below {
            if let Some(input) = child_input(world, h, envelope) {
                world.after(Duration::ZERO, SimEvent::ToChild(h, child, input));
            }
        } else if let Some(input) = host_input(world, h, envelope) {
            world.after(Duration::ZERO, SimEvent::ToHost(h, host, input));
        }
    }
}

/// The subject of a container, or so many levels above it.
pub(super) fn subject_above(world: &World, which: Which, above: usize) -> SubjectId {
    let host = &world.hosts[which.host];
    match above {
        0 => host.subject(&host.engine.snapshot(which.place).name),
        1 => host.engine_subject(),
        _ => SubjectId::new(host.name.as_str()).expect("a plain name"),
    }
}
