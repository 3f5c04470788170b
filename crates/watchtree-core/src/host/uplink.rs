//! What the host says to the manager: its own verdicts, merged with what its children report.
//!
//! Owns the frontend, and the alerts that follow from what is said. The host speaks for itself, its engines and its container-watchdogs; everything below is passed on
//! as the children report it, and as UNWATCHED while nobody looks at it. Decides nothing.

use super::alerts::Alerts;
use super::children::{Changes, Children, Observer};
use super::engine_monitor::EngineVerdict;
use super::host_health::HostHealth;
use super::io::{HostPolicy, HostStart};
use super::outbox::Outbox;
use super::watched_engine::WatchedEngine;
use crate::backend::{Backend, Child as Session};
use crate::deadlines::Deadlines;
use crate::decision::Decision;
use crate::frontend::{Frontend, FrontendInput, FrontendNotice, FrontendSettings};
use crate::id::{NodeIdentity, NodeName};
use crate::message::{Capabilities, Envelope, Goodbye, Header, Look, Message, watchdog_incarnation};
use crate::order::{OrderAnswer, SignedOrder};
use crate::subject::{Incarnation, SubjectId, SubjectKind};
use crate::time::{Duration, Moment};
use crate::tree::{masked_state, unknown};
use crate::verdict::{Evidence, Level, ObserverHealth, State, Verdict};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What a child's new life does not name within this time is gone. Until then it is shown as it was: a watchdog that has
/// just started does not know its containers yet.
const NAMING_TIME: Duration = Duration::from_secs(5);

/// Said of each engine where it is so.
const NO_LIVE_RESTORE: &str = "live-restore is off: its containers end when it does";

/// What the host role should know of its manager.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum UplinkEvent {
    /// How the manager is: in words, `Err` = out of reach.
    Manager(Result<String, String>),
    /// A manager of that term has said Welcome.
    Term(u64),
    /// An order for a child.
    OrderFor(NodeName, SignedOrder),
}

/// See the module's text.
pub(super) struct Uplink {
    identity: NodeIdentity,
    scope: SubjectId,
    frontend: Frontend,
    /// Until when a child's new life may name what it watches, by engine.
    naming: Deadlines<String>,
    /// An order for a child that is just going through the frontend's checks.
    forward_to: Option<NodeName>,
    events: VecDeque<UplinkEvent>,
    alerts: Alerts,
    /// Of whom something was said since the alerts were last stepped.
    touched: BTreeSet<SubjectId>,
}

impl Uplink {
    /// The link is down, nothing was reported; alerts of a former start are open.
    pub(super) fn new(now: Moment, start: &HostStart) -> Self {
        let scope = SubjectId::of_node(&start.identity.name);
        let settings = FrontendSettings {
            identity: start.identity.clone(),
            capabilities: Capabilities(Capabilities::REPORTS | Capabilities::ORDERS | Capabilities::EVENTS),
            scope: scope.clone(),
            beat_wanted: start.policy.beat,
            look_at: start.look_at.clone(),
        };
        Self {
            identity: start.identity.clone(),
            scope,
            frontend: Frontend::new(settings, now),
            naming: Deadlines::default(),
            forward_to: None,
            events: VecDeque::new(),
            alerts: Alerts::new(now, start.policy.alerts, &start.alerts, start.next_alert),
            touched: BTreeSet::new(),
        }
    }

    /// The frontend, to be looked at.
    pub(super) fn frontend(&self) -> &Frontend {
        &self.frontend
    }

    /// Calls a person for what was said since the last time, where that is this host's to do.
    pub(super) fn alert(&mut self, now: Moment, out: &mut Outbox) {
        let touched = core::mem::take(&mut self.touched);
        self.alerts.step(now, &touched, &self.frontend, out);
    }

    /// This process did not run until then.
    pub(super) fn extend_alerts(&mut self, until: Moment) {
        self.alerts.extend(until);
    }

    /// Takes what the link says.
    pub(super) fn handle(&mut self, now: Moment, input: FrontendInput) {
        self.forward_to = match &input {
            FrontendInput::Received(Envelope {
                header,
                message: Message::Order(_),
            }) => header.target.clone().filter(|target| *target != self.identity.name),
            FrontendInput::Received(_)
            | FrontendInput::Up
            | FrontendInput::Down { .. }
            | FrontendInput::NotSent { .. } => None,
        };
        self.frontend.handle(now, input);
    }

    /// Does what has become due of the link; what new lives did not name is due by [`Self::expire_unnamed`].
    pub(super) fn handle_timeout(&mut self, now: Moment) {
        self.frontend.handle_timeout(now);
    }

    /// When to be called again.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let (frontend, alerts) = (self.frontend.next_deadline(), self.alerts.next_deadline());
        [frontend, self.naming.next(), alerts].into_iter().flatten().min()
    }

    /// The next frame for the link.
    pub(super) fn poll_envelope(&mut self) -> Option<Envelope> {
        self.frontend.poll_envelope()
    }

    /// The next thing to know.
    pub(super) fn poll_event(&mut self, now: Moment) -> Option<UplinkEvent> {
        while let Some(notice) = self.frontend.poll_notice() {
            self.noticed(now, notice);
        }
        self.events.pop_front()
    }

    fn noticed(&mut self, now: Moment, notice: FrontendNotice) {
        let manager = match notice {
            FrontendNotice::Joined { parent, term } => {
                self.events.push_back(UplinkEvent::Term(term));
                Ok(format!("{parent} said welcome"))
            }
            FrontendNotice::Lost(why) => Err(format!("no link: {why}")),
            FrontendNotice::ParentSilent(since) => Err(format!("silent for {} s", since.as_secs())),
            FrontendNotice::ParentBack => Ok("heard again".to_string()),
            FrontendNotice::Refused(reason, detail) => Err(format!("it refused us ({reason}): {detail}")),
            FrontendNotice::Accepted => Ok("it takes our frames again".to_string()),
            FrontendNotice::Order(signed) => {
                // One for this node itself comes in by `HostInput::OrderFrame`; without a target there is nobody to give
                // it to.
                let target = self.forward_to.take();
                let order = target.map(|target| UplinkEvent::OrderFor(target, signed));
                return self.events.extend(order);
            }
            FrontendNotice::ProbeRequest { nonce, target, .. } => {
                let look = Look::NotPossible("this version does not look at others".to_string());
                return self.frontend.probe_result(now, nonce, target, look);
            }
        };
        self.events.push_back(UplinkEvent::Manager(manager));
    }

    /// False if this frame of the parent is a replay.
    pub(super) fn takes(&mut self, now: Moment, header: &Header) -> bool {
        self.frontend.takes(now, header)
    }

    /// Passes a record up.
    pub(super) fn event(&mut self, now: Moment, decision: Decision) {
        self.frontend.event(now, decision);
    }

    /// Tells what became of an order.
    pub(super) fn order_result(&mut self, now: Moment, answer: OrderAnswer) {
        self.frontend.order_result(now, answer);
    }

    /// Says goodbye.
    pub(super) fn goodbye(&mut self, now: Moment, goodbye: Goodbye) {
        self.frontend.goodbye(now, goodbye);
    }

    /// Reports the machine, and this daemon.
    pub(super) fn report_host(&mut self, by: Observer<'_>, health: &HostHealth, policy: &HostPolicy, out: &mut Outbox) {
        self.frontend.set_health(by.health, health.beat_figures(by.now));
        let (remarks, evidence) = (health.remarks(by.now, policy), health.evidence());
        let is_well = remarks.is_empty();
        let boot = Incarnation(self.identity.boot_id.to_string());
        let host = Verdict {
            state: if is_well { State::Ok } else { State::Degraded },
            level: Level::Certain,
            why: if is_well {
                "well".to_string()
            } else {
                remarks.join("; ")
            },
            evidence,
            remarks,
            ..self.verdict(by, self.scope.clone(), SubjectKind::Host, boot)
        };
        let why = host.why.clone();
        out.condition("host", if is_well { Ok(why) } else { Err(why) });
        self.report(by.now, host);
        let is_ill = ObserverHealth(ObserverHealth::DEGRADED) <= by.health;
        let life = watchdog_incarnation(self.identity.boot_id, self.identity.agent_epoch);
        let agent = Verdict {
            state: if is_ill { State::Degraded } else { State::Ok },
            level: Level::Certain,
            why: if is_ill { "it stalled again and again" } else { "runs" }.to_string(),
            ..self.verdict(by, self.scope.child("@agent"), SubjectKind::Watchdog, life)
        };
        self.report(by.now, agent);
    }

    /// Reports a container-watchdog: what its supervisor shows, or what it says of itself while it is well (a full disk, a
    /// lost engine). What it watches is passed on anew if whether it is watched has changed.
    pub(super) fn report_child(&mut self, by: Observer<'_>, children: &mut Children, name: &str, out: &mut Outbox) {
        let is_other = children
            .engine_mut(name)
            .is_some_and(WatchedEngine::take_unwatched_change);
        let Some(engine) = children.engine(name) else { return };
        let verdict = self.verdict_of_child(by, engine, children.session(engine));
        self.report(by.now, verdict);
        if is_other {
            self.pass_all(by.now, engine, children.backend());
        }
        if let Some(state) = engine.condition() {
            out.condition(&format!("child {name}"), state);
        }
    }

    fn verdict_of_child(&self, by: Observer<'_>, engine: &WatchedEngine, session: Option<&Session>) -> Verdict {
        let (process, shown) = (engine.process(), engine.supervision().reported());
        let life = session.map(|session| {
            let id = &session.hello().identity;
            watchdog_incarnation(id.boot_id, id.agent_epoch)
        });
        let subject = process.subject().clone();
        let said = session.and_then(|session| session.book().get(&subject));
        let mut verdict = Verdict {
            state: shown.state(),
            why: shown.why().to_string(),
            evidence: shown.evidence().to_vec(),
            ..self.verdict(by, subject, SubjectKind::Watchdog, life.unwrap_or_default())
        };
        if verdict.state == State::Ok && process.has_left() {
            (verdict.state, verdict.why) = (State::Unwatched, "it said goodbye".to_string());
        } else if let Some(said) = said.filter(|said| verdict.state == State::Ok && said.state != State::Ok) {
            (verdict.state, verdict.why) = (said.state, said.why.clone());
            (verdict.evidence, verdict.remarks) = (said.evidence.clone(), said.remarks.clone());
        }
        verdict.level = match verdict.state {
            State::Suspect => Level::Weak,
            _ => Level::Certain,
        };
        verdict
    }

    /// Reports an engine: what the probes say, or what its watchdog says if that is worse.
    pub(super) fn report_engine(&mut self, by: Observer<'_>, children: &Children, name: &str, out: &mut Outbox) {
        let Some(engine) = children.engine(name) else { return };
        let verdict = self.verdict_of_engine(by, engine, children.session(engine));
        let is_ill = verdict.state.is_incident() || verdict.state == State::Degraded;
        let state = if is_ill {
            Err(verdict.why.clone())
        } else {
            Ok("answers".to_string())
        };
        out.condition(&format!("engine {name}"), state);
        self.report(by.now, verdict);
    }

    fn verdict_of_engine(&self, by: Observer<'_>, engine: &WatchedEngine, session: Option<&Session>) -> Verdict {
        let subject = engine.process().scope().clone();
        let EngineVerdict {
            state,
            level,
            why,
            evidence,
        } = engine.engine_verdict();
        let said = session.and_then(|session| session.book().get(&subject));
        let incarnation = said.map(|said| said.incarnation.clone()).unwrap_or_default();
        let mut verdict = Verdict {
            state,
            level,
            why,
            evidence,
            remarks: said.map(|said| said.remarks.clone()).unwrap_or_default(),
            ..self.verdict(by, subject, SubjectKind::Engine, incarnation)
        };
        if engine.monitor().live_restore() == Some(false) {
            verdict.remarks.truncate(Verdict::REMARKS_MAX - 1);
            verdict.remarks.push(NO_LIVE_RESTORE.to_string());
        }
        if let Some(said) = said.filter(|said| state < said.state || state == State::Unknown) {
            (verdict.state, verdict.level, verdict.why) = (said.state, said.level, said.why.clone());
            verdict.evidence.extend(said.evidence.iter().cloned());
        }
        verdict
    }

    /// Verdicts of a child changed: passes them on.
    pub(super) fn pass_changes(&mut self, now: Moment, children: &Children, name: &str, changes: &Changes) {
        let Some(engine) = children.engine(name) else { return };
        for subject in &changes.gone {
            self.pass_gone(now, engine, subject);
        }
        if changes.whole {
            self.pass_all(now, engine, children.backend());
        }
        for subject in &changes.changed {
            self.pass_on(now, engine, children.backend(), subject);
        }
    }

    /// Passes on what a child reports of a subject.
    fn pass_on(&mut self, now: Moment, engine: &WatchedEngine, backend: &Backend, subject: &SubjectId) {
        if speaks_for(engine, subject) {
            return;
        }
        let session = backend.child(engine.process().node());
        let Some(reported) = session.and_then(|session| session.book().get(subject)) else {
            return;
        };
        let verdict = masked(reported, engine.unwatched_because());
        self.say(now, verdict);
    }

    /// Passes on all that a child reports, after it came, went or said everything anew.
    fn pass_all(&mut self, now: Moment, engine: &WatchedEngine, backend: &Backend) {
        let Some(session) = backend.child(engine.process().node()) else {
            return;
        };
        for verdict in session.book().iter() {
            self.pass_on(now, engine, backend, &verdict.subject);
        }
    }

    /// A child says that a subject is gone. A young life has not named everything yet.
    fn pass_gone(&mut self, now: Moment, engine: &WatchedEngine, subject: &SubjectId) {
        let is_young = self.naming.get(&engine.process().engine().to_string()).is_some();
        if !is_young && !speaks_for(engine, subject) {
            self.touched.insert(subject.clone());
            self.frontend.report_gone(now, subject);
        }
    }

    /// A new life of a child begins to name what it watches.
    pub(super) fn begin_naming(&mut self, now: Moment, engine: &str) {
        self.naming.arm(engine.to_string(), now + NAMING_TIME);
    }

    /// That life is over: the next one gets its own time.
    pub(super) fn end_naming(&mut self, engine: &str) {
        self.naming.disarm(&engine.to_string());
    }

    /// What the new life of a child had its time to name, and did not, is gone.
    pub(super) fn expire_unnamed(&mut self, now: Moment, children: &Children) {
        while let Some(name) = self.naming.pop_due(now) {
            let Some(engine) = children.engine(&name) else { continue };
            let Some(session) = children.session(engine) else {
                continue;
            };
            let named: BTreeSet<&SubjectId> = session.book().iter().map(|verdict| &verdict.subject).collect();
            let shown = self.frontend.verdicts().map(|verdict| &verdict.subject);
            let below = shown.filter(|subject| subject.is_within(engine.process().scope()));
            let gone: Vec<SubjectId> = below.filter(|subject| !named.contains(subject)).cloned().collect();
            for subject in gone {
                self.pass_gone(now, engine, &subject);
            }
        }
    }

    fn verdict(&self, by: Observer<'_>, subject: SubjectId, kind: SubjectKind, incarnation: Incarnation) -> Verdict {
        let held = by.holds.on(&subject).is_some();
        Verdict {
            incarnation,
            observer_health: by.health,
            held,
            ..unknown(subject, kind, self.identity.name.clone(), by.now)
        }
    }

    /// `since` stays while the state stays.
    fn report(&mut self, now: Moment, mut verdict: Verdict) {
        let old = self.frontend.verdict(&verdict.subject);
        if let Some(old) = old.filter(|old| old.state == verdict.state) {
            verdict.since = old.since;
        }
        verdict.evidence.truncate(Evidence::COUNT_MAX);
        self.say(now, verdict);
    }

    fn say(&mut self, now: Moment, verdict: Verdict) {
        self.touched.insert(verdict.subject.clone());
        self.frontend.report(now, verdict);
    }
}

/// The host speaks for the engine and the watchdog itself.
fn speaks_for(engine: &WatchedEngine, subject: &SubjectId) -> bool {
    let process = engine.process();
    subject == process.scope() || subject == process.subject()
}

/// As it was reported, or as UNWATCHED while nobody looks at it.
fn masked(reported: &Verdict, unwatched: Option<&str>) -> Verdict {
    let mut verdict = reported.clone();
    if let Some(why) = unwatched {
        let state = masked_state(verdict.state);
        if state != verdict.state {
            verdict.why = format!("{why}; it was {}", verdict.state.as_str());
            verdict.state = state;
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    //! What is masked.
    use super::*;

    #[test]
    fn what_nobody_watches_is_shown_as_such_but_for_what_ended_on_purpose() {
        let subject = SubjectId::new("h1/docker/web").unwrap();
        let node = NodeName::new("h1.docker.watchdog").unwrap();
        let verdict = |state| Verdict {
            state,
            why: "so".to_string(),
            ..unknown(subject.clone(), SubjectKind::Container, node.clone(), Moment::ZERO)
        };
        let ok = verdict(State::Ok);
        assert_eq!(masked(&ok, None), ok);
        let hidden = masked(&ok, Some("it left"));
        assert_eq!(
            (hidden.state, hidden.why.as_str()),
            (State::Unwatched, "it left; it was OK")
        );
        for state in [State::Stopped, State::Finished] {
            assert_eq!(masked(&verdict(state), Some("it left")), verdict(state));
        }
    }
}
