//! The manager's promises, as scripts without a clock: real frontends play the hosts, a table plays their kernels.

use super::io::{Ask, AskError, KnownHost, ManagerPolicy};
use super::page::{Shown, TreeCursor};
use super::*;
use crate::backend::{BackendInput, Peer, Refusal};
use crate::decision::{ActionKind, Decision, GuardAnswer, Outcome};
use crate::fixture::{identity, name, subject};
use crate::frontend::{Frontend, FrontendInput, FrontendNotice, FrontendSettings};
use crate::id::{NodeId, Tier};
use crate::incident::Incident;
use crate::message::{Capabilities, Envelope, Goodbye, Look, Message};
use crate::order::{OrderAnswer, Verb};
use crate::subject::{Incarnation, SubjectKind};
use crate::time::{Duration, WallTime};
use crate::tree::unknown;
use crate::verdict::{Level, State, Verdict};
use alloc::string::String;
use alloc::vec;

mod forget;
mod incidents;
mod judging;
mod leaves;
mod pages;
mod people;
mod probes;
mod words;

/// A host played by a real frontend on a clock of its own.
pub(super) struct Host {
    frontend: Frontend,
    /// Its clock is so much behind the world's.
    behind: Duration,
    /// Its process does not run (SIGSTOP).
    pub(super) frozen: bool,
    /// Nothing gets through, either way (DROP). What is sent is lost.
    pub(super) cut: bool,
    /// What is sent waits in a queue and comes when this is taken back.
    pub(super) held_back: bool,
    queue: Vec<Envelope>,
    pub(super) orders: Vec<crate::message::OrderInput>,
    connection: u64,
}

pub(super) struct World {
    pub(super) now: Moment,
    pub(super) manager: ManagerAgent,
    pub(super) hosts: BTreeMap<NodeName, Host>,
    /// What a look at a host sees; no entry = no answer ever comes back.
    pub(super) kernels: BTreeMap<NodeName, Look>,
    /// What the store keeps of the hosts.
    pub(super) stored: BTreeMap<NodeName, KnownHost>,
    /// Everything worth telling, in order: `12.500 h1 SUSPECT`.
    pub(super) told: Vec<String>,
    pub(super) opened: Vec<Incident>,
    pub(super) closed: Vec<Incident>,
    pub(super) answered: Vec<(u64, Result<Vec<TargetAnswer>, AskError>)>,
    looks: Vec<(Moment, u64, Look)>,
    pub(super) looked: usize,
    /// Refusals that hosts heard of.
    pub(super) refused: Vec<String>,
}

impl World {
    pub(super) fn new(known: Vec<KnownHost>) -> Self {
        let now = Moment::from_millis(1_000_000);
        Self {
            now,
            manager: manager(now, known, Vec::new()),
            hosts: BTreeMap::new(),
            kernels: BTreeMap::new(),
            stored: BTreeMap::new(),
            told: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            answered: Vec::new(),
            looks: Vec::new(),
            looked: 0,
            refused: Vec::new(),
        }
    }

    /// A world of so many well hosts, settled.
    pub(super) fn of(count: usize) -> Self {
        let mut world = Self::new(Vec::new());
        for i in 1..=count {
            world.add(&format!("h{i}"), 1);
        }
        world.run_ms(10_000);
        world.told.clear();
        world
    }

    pub(super) fn add(&mut self, text: &str, epoch: u64) {
        let identity = identity(text, Tier::Host, epoch);
        let behind = Duration::from_millis(777 * (1 + self.hosts.len() as u64));
        let settings = FrontendSettings {
            identity,
            capabilities: Capabilities(15),
            scope: subject(text),
            beat_wanted: Duration::from_millis(500),
            look_at: vec![format!("{text}:22")],
        };
        let its_now = self.now.saturating_sub(behind);
        let mut frontend = Frontend::new(settings, its_now);
        frontend.report(its_now, verdict(text, SubjectKind::Host, State::Ok));
        frontend.report(
            its_now,
            verdict(&format!("{text}/docker"), SubjectKind::Engine, State::Ok),
        );
        frontend.report(
            its_now,
            verdict(&format!("{text}/docker/web"), SubjectKind::Container, State::Ok),
        );
        frontend.handle(its_now, FrontendInput::Up);
        let connection = self.hosts.len() as u64 + 1000 * epoch;
        let host = Host {
            frontend,
            behind,
            frozen: false,
            cut: false,
            held_back: false,
            queue: Vec::new(),
            orders: Vec::new(),
            connection,
        };
        self.hosts.insert(name(text), host);
        self.kernels
            .insert(name(text), Look::Answered("tcp refused".to_string()));
    }

    pub(super) fn host(&mut self, text: &str) -> &mut Host {
        self.hosts.get_mut(&name(text)).unwrap()
    }

    pub(super) fn report(&mut self, text: &str, state: State) {
        let host = subject(text).root().to_string();
        let its_now = self.now.saturating_sub(self.host(&host).behind);
        self.host(&host)
            .frontend
            .report(its_now, verdict(text, SubjectKind::Container, state));
        self.settle();
    }

    pub(super) fn say(&mut self, text: &str, what: impl FnOnce(&mut Frontend, Moment)) {
        let its_now = self.now.saturating_sub(self.host(text).behind);
        what(&mut self.host(text).frontend, its_now);
        self.settle();
    }

    pub(super) fn receive(&mut self, peer: Peer, envelope: Envelope) {
        self.manager
            .handle(self.now, ManagerInput::Hosts(BackendInput::Received { peer, envelope }));
        self.settle();
    }

    pub(super) fn state(&self, text: &str) -> State {
        self.shown_as(text).map_or(State::Unknown, |(state, _)| state)
    }

    /// What a subject is shown as, and what masks it; `None` = there is none of that name.
    pub(super) fn shown_as(&self, text: &str) -> Option<(State, Option<SubjectId>)> {
        let (subject, mut found) = (subject(text), None);
        self.manager.tree_below(self.now, &subject, |shown| {
            if shown.verdict.subject == subject {
                found = Some((shown.state, shown.root_cause.cloned()));
            }
        });
        found
    }

    /// All that is shown, the manager's own line first.
    pub(super) fn shown(&self) -> Vec<String> {
        let mut all = Vec::new();
        let line = |shown: Shown<'_>| all.push(format!("{} {}", shown.verdict.subject, shown.state.as_str()));
        self.manager
            .tree_page(self.now, &TreeCursor::default(), usize::MAX, line);
        all
    }

    /// This process does not run for so long; then it is told, as the driver does, after what waited was handed in.
    pub(super) fn stall_manager(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        let mut waiting = Vec::new();
        while let Some(at) = self.next_of_hosts().filter(|at| *at <= until) {
            self.now = at;
            for (peer, envelope) in self.turn_hosts() {
                waiting.push((peer, envelope));
            }
        }
        self.now = until;
        for (peer, envelope) in waiting {
            self.manager
                .handle(self.now, ManagerInput::Hosts(BackendInput::Received { peer, envelope }));
        }
        self.manager.handle(
            self.now,
            ManagerInput::Stalled {
                gap: Duration::from_millis(ms),
            },
        );
        self.settle();
    }

    pub(super) fn restart_manager(&mut self) {
        let known = self.stored.values().cloned().collect();
        let open = self.manager.open_incidents().cloned().collect();
        self.manager = manager(self.now, known, open);
        self.looks.clear();
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        loop {
            let next = [
                self.next_of_hosts(),
                self.manager.next_deadline(),
                self.looks.iter().map(|l| l.0).min(),
            ];
            let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            for (peer, envelope) in self.turn_hosts() {
                self.manager
                    .handle(self.now, ManagerInput::Hosts(BackendInput::Received { peer, envelope }));
            }
            let now = self.now;
            let (due, later) = core::mem::take(&mut self.looks)
                .into_iter()
                .partition(|look| look.0 <= now);
            self.looks = later;
            let due: Vec<(Moment, u64, Look)> = due;
            for (_, nonce, look) in due {
                self.manager
                    .handle(now, ManagerInput::HostProbed { nonce, result: look });
            }
            self.manager.handle_timeout(now);
            self.settle();
            assert!(
                self.manager.next_deadline().is_none_or(|at| now < at),
                "a deadline is left in the past"
            );
        }
        self.now = until;
    }

    fn next_of_hosts(&self) -> Option<Moment> {
        let running = self.hosts.values().filter(|host| !host.frozen);
        running
            .filter_map(|host| host.frontend.next_deadline().map(|at| at + host.behind))
            .min()
    }

    fn turn_hosts(&mut self) -> Vec<(Peer, Envelope)> {
        let mut sent = Vec::new();
        for (name, host) in self.hosts.iter_mut().filter(|(_, host)| !host.frozen) {
            host.frontend.handle_timeout(self.now.saturating_sub(host.behind));
            while let Some(notice) = host.frontend.poll_notice() {
                if let FrontendNotice::Refused(reason, _) = notice {
                    self.refused.push(format!("{name} {reason}"));
                }
            }
            while let Some(envelope) = host.frontend.poll_envelope() {
                host.queue.push(envelope);
            }
            if host.cut {
                host.queue.clear();
            }
            if !host.held_back {
                let peer = Peer {
                    name: name.clone(),
                    connection: host.connection,
                };
                sent.extend(host.queue.drain(..).map(|envelope| (peer.clone(), envelope)));
            }
        }
        sent
    }

    /// Carries frames and effects until nothing moves.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            while let Some(effect) = self.manager.poll_effect() {
                moved = true;
                self.perform(effect);
            }
            for (peer, envelope) in self.turn_hosts() {
                moved = true;
                self.manager
                    .handle(self.now, ManagerInput::Hosts(BackendInput::Received { peer, envelope }));
            }
            if !moved {
                return;
            }
        }
    }

    fn perform(&mut self, effect: ManagerEffect) {
        let now = self.now;
        match effect {
            ManagerEffect::Send { to, envelope } => {
                let Some(host) = self.hosts.get_mut(&to.name) else {
                    return;
                };
                if !host.cut && !host.frozen && to.connection == host.connection {
                    host.frontend
                        .handle(now.saturating_sub(host.behind), FrontendInput::Received(envelope));
                }
            }
            ManagerEffect::SignAndSend { to, order, .. } => {
                let host = self.hosts.get_mut(&to.name).unwrap();
                host.orders.push(crate::message::OrderInput { order, local: false });
            }
            ManagerEffect::ProbeHost {
                nonce, host, within, ..
            } => {
                self.looked += 1;
                if let Some(look) = self.kernels.get(&host) {
                    let takes = if matches!(look, Look::Silent(_) | Look::SilentInPart(_)) {
                        within
                    } else {
                        Duration::from_millis(2)
                    };
                    self.looks.push((now + takes, nonce, look.clone()));
                }
            }
            ManagerEffect::StoreHost(known) => {
                self.stored.insert(known.identity.name.clone(), known);
            }
            ManagerEffect::ForgetHost(name) => {
                self.stored.remove(&name);
            }
            ManagerEffect::StateChanged { subject, to, .. } => {
                self.told.push(format!("{now} {subject} {}", to.as_str()));
            }
            ManagerEffect::IncidentOpened(incident) => {
                self.told
                    .push(format!("{now} opened {} {}", incident.subject, incident.state.as_str()));
                self.opened.push(incident);
            }
            ManagerEffect::IncidentChanged(incident) => {
                self.told.push(format!(
                    "{now} changed {} {}",
                    incident.subject,
                    incident.state.as_str()
                ));
            }
            ManagerEffect::IncidentClosed(incident) => {
                self.told.push(format!("{now} closed {}", incident.subject));
                self.closed.push(incident);
            }
            ManagerEffect::AskAnswered { ticket, result } => self.answered.push((ticket, result)),
            ManagerEffect::StoreDecision(_)
            | ManagerEffect::IncidentNoted(_)
            | ManagerEffect::Condition { .. }
            | ManagerEffect::Stopped => (),
        }
    }
}

pub(super) fn verdict(text: &str, kind: SubjectKind, state: State) -> Verdict {
    Verdict {
        state,
        level: Level::Certain,
        ..unknown(subject(text), kind, name("h"), Moment::ZERO)
    }
}

pub(super) fn manager(now: Moment, hosts: Vec<KnownHost>, incidents: Vec<Incident>) -> ManagerAgent {
    manager_by(now, ManagerPolicy::default(), hosts, incidents)
}

pub(super) fn manager_by(
    now: Moment,
    policy: ManagerPolicy,
    hosts: Vec<KnownHost>,
    incidents: Vec<Incident>,
) -> ManagerAgent {
    ManagerAgent::new(
        now,
        ManagerStart {
            identity: identity("manager", Tier::Manager, now.as_micros()),
            term: 1,
            hosts,
            incidents,
            decisions: Vec::new(),
            next_incident: 1,
            policy,
            seed: now.as_micros(),
            wall: WallTime(now.as_micros() / 1000),
        },
    )
}
