//! What must hold: the rules of the architecture (§7), checked against the log of a run.
//!
//! The log is all that is seen of the run. A rule about something that happens (a record, a call, an event, a changed state)
//! is checked at that step; a rule about how long something may last, every quarter of a second; what must be true when the
//! faults are over, at the end. Each rule has a name, in the file that holds it; the first one broken ends the run.
//!
//! `decision_has_evidence` every decision names its evidence, and one that acts the guards that it asked

mod facts;
mod overload;
mod reported;
mod rules_of_calls;
mod rules_of_captures;
mod rules_of_dependants;
mod rules_of_hosts;
mod rules_of_orders;
mod rules_of_repair;
mod rules_of_the_end;

use crate::log::{Node, Observation, Seen};
use facts::{HostFacts, ProcessFacts, take_of_manager};
use reported::Broken;
use rules_of_captures::Captures;
use rules_of_orders::{Arrival, OrderFacts};
use rules_of_repair::Troubles;
use watchtree_core::decision::{ActionKind, Decision};
use watchtree_core::order::Verb;
use watchtree_core::time::Moment;
use watchtree_core::verdict::State;

/// See the top of this file.
pub struct Checker {
    hosts: Vec<(HostFacts, Troubles)>,
    captures: Vec<Captures>,
    manager: ProcessFacts,
    orders: OrderFacts,
    broken: Option<String>,
}

impl Checker {
    /// Of a run with so many hosts that begins now; `strict` = rules that the product is known to break are checked too.
    pub fn new(hosts: usize, now: Moment, strict: bool) -> Self {
        Self {
            hosts: (0..hosts)
                .map(|h| (HostFacts::new(h, now, strict), Troubles::new()))
                .collect(),
            captures: (0..hosts).map(|_| Captures::default()).collect(),
            manager: ProcessFacts::default(),
            orders: OrderFacts::default(),
            broken: None,
        }
    }

    /// The rule that broke first, and what happened.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Reads on in the log.
    pub fn read(&mut self, seen: &Seen) {
        if self.broken.is_some() {
            return;
        }
        if let Err((rule, why)) = self.check(seen.at, &seen.what) {
            self.broken = Some(format!("{rule}: {why} (at {})", seen.at));
        }
    }

    /// True if a container waits, unhealthy, until its grace is over, or until its check can tell (bounds too, but longer ones than
    /// the calm), or is in the repair that follows.
    pub fn somebody_has_grace(&self) -> bool {
        self.hosts.iter().any(|(host, _)| {
            let mut there = host.containers.iter().filter(|(_, c)| !c.now.removed);
            there.any(|(place, c)| match host.held(&host.subject(*place)) {
                Some(State::Unhealthy | State::Degraded) => c.now.hung,
                Some(State::Repairing | State::Starting) => true,
                _ => false,
            })
        })
    }

    fn check(&mut self, now: Moment, what: &Observation) -> Result<(), Broken> {
        match what {
            Observation::Decided { decision } => decision_has_evidence(decision),
            Observation::StateChanged { subject, from, to, why } => {
                let found = self.hosts.iter().find(|(host, _)| host.name() == subject.as_str());
                found.map_or(Ok(()), |(host, _)| {
                    let change = (*from, *to, why.as_str());
                    rules_of_hosts::state_changed(host, &self.manager, now, change)
                })
            }
            Observation::Tick => {
                self.hosts
                    .iter_mut()
                    .zip(&self.captures)
                    .try_for_each(|((host, troubles), captures)| {
                        captures.check(now)?;
                        rules_of_hosts::check_silence(host, &self.manager, now)?;
                        rules_of_dependants::check(host, now)?;
                        rules_of_repair::check(host, troubles, now)
                    })
            }
            Observation::End => self
                .hosts
                .iter()
                .try_for_each(|(host, _)| rules_of_the_end::check(host, now)),
            Observation::TermTold { node, epoch, term } => {
                self.orders.told(now, *node, *epoch, *term);
                Ok(())
            }
            Observation::OrderArrived {
                node,
                order,
                expires,
                other_boot,
            } => {
                let arrival = Arrival {
                    node: *node,
                    order,
                    late: *expires < now,
                    other_boot: *other_boot,
                };
                if let Some((host, _)) = host_of(what).and_then(|h| self.hosts.get_mut(h)) {
                    self.orders.arrived(now, host, &arrival);
                    if order.verb == Verb::Retry && matches!(node, Node::Child(_)) {
                        host.retried = now;
                    }
                }
                Ok(())
            }
            Observation::OrderAnswered { node, answer } => {
                let found = host_of(what).and_then(|h| self.hosts.get(h));
                found.map_or(Ok(()), |(host, _)| self.orders.answered(host, *node, answer))
            }
            _ => match host_of(what) {
                Some(h) => {
                    let (host, _) = &mut self.hosts[h];
                    host.take(now, what, &self.manager);
                    self.captures[h].take(host, now, what);
                    let checked = rules_of_calls::check(host, now, what);
                    checked.map_err(|(rule, why)| (rule, format!("{}: {why}", host.name())))
                }
                None => {
                    take_of_manager(&mut self.manager, now, what);
                    Ok(())
                }
            },
        }
    }
}

fn decision_has_evidence(decision: &Decision) -> Result<(), Broken> {
    let repairs = matches!(
        decision.action,
        ActionKind::Start | ActionKind::StopThenStart | ActionKind::ReviveWatchdog | ActionKind::RestartEngine
    );
    let what = match (decision.evidence.is_empty(), decision.guards.is_empty() && repairs) {
        (true, _) => format!("{} names none ({})", decision.id, decision.why),
        (_, true) => format!("{} asked no guard", decision.id),
        _ => return Ok(()),
    };
    Err(("decision_has_evidence", what))
}

/// The host that an observation is about; `None` = the manager, or all.
fn host_of(what: &Observation) -> Option<usize> {
    match what {
        Observation::Booted { host, .. }
        | Observation::ClockSet { host }
        | Observation::PowerLost { host }
        | Observation::GoesDown { host, .. }
        | Observation::EngineEnded { host }
        | Observation::EngineReady { host }
        | Observation::Container { host, .. }
        | Observation::Started { host, .. }
        | Observation::Person { host, .. }
        | Observation::EventsForgotten { host, .. }
        | Observation::FlagUnreadable { host, .. }
        | Observation::ChecksFail { host, .. }
        | Observation::Excused { host, .. }
        | Observation::StreamOpened { host }
        | Observation::StreamClosed { host }
        | Observation::EventTaken { host, .. }
        | Observation::Recorded { host, .. }
        | Observation::Disk { host, .. }
        | Observation::SaysDegraded { host, .. }
        | Observation::CaptureAsked { host, .. }
        | Observation::Posted { host, .. }
        | Observation::Arrived { host, .. }
        | Observation::Finished { host, .. }
        | Observation::Lost { host, .. }
        | Observation::Holds { host, .. }
        | Observation::KilledChild { host }
        | Observation::WorkedOnEngine { host, .. }
        | Observation::SaidGoodbye { host, .. }
        | Observation::Path { host, .. }
        | Observation::HeldBack { host, .. }
        | Observation::Heard { host, .. }
        | Observation::SaidHeld { host, .. }
        | Observation::Alerted { host, .. }
        | Observation::Shown { host, .. } => Some(*host),
        Observation::ProcessStarted { node, .. }
        | Observation::ProcessEnded { node }
        | Observation::Frozen { node }
        | Observation::Thawed { node, .. }
        | Observation::TermTold { node, .. }
        | Observation::OrderArrived { node, .. }
        | Observation::OrderAnswered { node, .. } => match node {
            Node::Manager => None,
            Node::Host(h) | Node::Child(h) => Some(*h),
        },
        Observation::Decided { .. } | Observation::StateChanged { .. } | Observation::Tick | Observation::End => None,
    }
}
