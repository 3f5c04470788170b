//! What the host says upward: its own verdicts, merged with what its children report.

use super::HostAgent;
use super::engine_monitor::EngineVerdict;
use crate::id::NodeName;
use crate::message::watchdog_incarnation;
use crate::subject::{Incarnation, SubjectId, SubjectKind};
use crate::time::{Duration, Moment};
use crate::tree::{masked_state, unknown};
use crate::verdict::{Evidence, Level, ObserverHealth, State, Verdict};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What a child's new life does not name within this time is gone. Until then it is shown as it was: a watchdog that has
/// just started does not know its containers yet.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(5);

impl HostAgent {
    pub(super) fn tell_all(&mut self, now: Moment) {
        self.tell_host(now);
        for engine in self.children.keys().cloned().collect::<Vec<_>>() {
            self.tell_child(now, &engine);
            self.tell_engine(now, &engine);
        }
    }

    fn own_verdict(&mut self, now: Moment, subject: SubjectId, kind: SubjectKind, incarnation: Incarnation) -> Verdict {
        let held = self.holds.on(&subject).is_some();
        Verdict {
            incarnation,
            observer_health: self.own.health(now),
            held,
            ..unknown(subject, kind, self.identity.name.clone(), now)
        }
    }

    /// `since` stays while the state stays.
    fn say(&mut self, now: Moment, mut verdict: Verdict) {
        if let Some(old) = self
            .frontend
            .verdict(&verdict.subject)
            .filter(|old| old.state == verdict.state)
        {
            verdict.since = old.since;
        }
        verdict.evidence.truncate(Evidence::COUNT_MAX);
        self.report(now, verdict);
    }

    pub(super) fn tell_host(&mut self, now: Moment) {
        let health = self.own.health(now);
        self.frontend.set_health(health, self.health.beat_figures(now));
        let mut remarks = self.health.remarks(now, &self.policy);
        let boot = Incarnation(self.identity.boot_id.to_string());
        let base = self.own_verdict(now, self.scope.clone(), SubjectKind::Host, boot);
        let state = if remarks.is_empty() { State::Ok } else { State::Degraded };
        let why = if remarks.is_empty() {
            "well".to_string()
        } else {
            remarks.join("; ")
        };
        let about = "host";
        self.set_condition(
            about,
            if remarks.is_empty() {
                Ok(why.clone())
            } else {
                Err(why.clone())
            },
        );
        let evidence = self.health.evidence();
        self.say(
            now,
            Verdict {
                state,
                level: Level::Certain,
                why,
                evidence,
                remarks,
                ..base
            },
        );

        let agent = self.scope.child("@agent");
        let life = watchdog_incarnation(self.identity.boot_id, self.identity.agent_epoch);
        let base = self.own_verdict(now, agent, SubjectKind::Watchdog, life);
        let ill = ObserverHealth(ObserverHealth::DEGRADED) <= health;
        let state = if ill { State::Degraded } else { State::Ok };
        let why = if ill { "it stalled again and again" } else { "runs" }.to_string();
        remarks = Vec::new();
        self.say(
            now,
            Verdict {
                state,
                level: Level::Certain,
                why,
                remarks,
                ..base
            },
        );
    }

    /// The container-watchdog itself.
    pub(super) fn tell_child(&mut self, now: Moment, engine: &str) {
        let Some(child) = self.children.get(engine) else { return };
        let (subject, node) = (child.subject(), child.node.clone());
        let (mut state, mut why) = child.words();
        let joined = child.joined.is_some();
        if child.covered.is_some() && state == State::Ok {
            (state, why) = (State::Unwatched, "it said goodbye".to_string());
        }
        let session = self.backend.child(&node).filter(|_| joined);
        let life = session.map(|session| {
            let id = &session.hello.identity;
            watchdog_incarnation(id.boot_id, id.agent_epoch)
        });
        // What it says of itself counts while it is well: a full disk, a lost engine.
        let said = session.and_then(|session| session.book.get(&subject)).cloned();
        let mut base = self.own_verdict(now, subject, SubjectKind::Watchdog, life.unwrap_or_default());
        if let Some(said) = said.filter(|said| state == State::Ok && said.state != State::Ok) {
            (state, why) = (said.state, said.why);
            base.evidence = said.evidence;
            base.remarks = said.remarks;
        }
        let level = if state == State::Suspect {
            Level::Weak
        } else {
            Level::Certain
        };
        self.say(
            now,
            Verdict {
                state,
                level,
                why,
                ..base
            },
        );
    }

    /// The engine: what the probes say, or what its watchdog says if that is worse.
    pub(super) fn tell_engine(&mut self, now: Moment, name: &str) {
        let Some(engine) = self.engines.get(name) else { return };
        let EngineVerdict {
            mut state,
            mut level,
            mut why,
            mut evidence,
        } = engine.verdict();
        let Some(child) = self.children.get(name) else { return };
        let subject = child.scope.clone();
        let session = self.backend.child(&child.node).filter(|_| child.joined.is_some());
        let said = session.and_then(|session| session.book.get(&subject)).cloned();
        let mut remarks = Vec::new();
        let mut incarnation = Incarnation::default();
        if let Some(said) = said {
            remarks = said.remarks;
            incarnation = said.incarnation;
            if state < said.state || state == State::Unknown {
                (state, level, why) = (said.state, said.level, said.why);
                evidence.extend(said.evidence);
            }
        }
        let about = &format!("engine {name}");
        let ill = state.is_incident() || state == State::Degraded;
        self.set_condition(
            about,
            if ill {
                Err(why.clone())
            } else {
                Ok("answers".to_string())
            },
        );
        let base = self.own_verdict(now, subject, SubjectKind::Engine, incarnation);
        self.say(
            now,
            Verdict {
                state,
                level,
                why,
                evidence,
                remarks,
                ..base
            },
        );
    }

    /// Verdicts of a child changed: pass them on.
    pub(super) fn child_reported(
        &mut self,
        now: Moment,
        node: &NodeName,
        changed: &[(SubjectId, Option<State>)],
        gone: &[SubjectId],
        whole: bool,
    ) {
        let Some(engine) = self
            .children
            .iter()
            .find(|(_, child)| child.node == *node)
            .map(|(name, _)| name.clone())
        else {
            return;
        };
        for subject in gone {
            self.pass_gone(now, &engine, subject);
        }
        if whole {
            self.tell_book(now, &engine);
        }
        for (subject, _) in changed {
            self.pass_on(now, &engine, subject);
        }
        self.tell_child(now, &engine);
        self.tell_engine(now, &engine);
    }

    fn pass_gone(&mut self, now: Moment, engine: &str, subject: &SubjectId) {
        let young = self.children.get(engine).is_some_and(|child| child.forget_at.is_some());
        if !young && !self.is_ours(engine, subject) {
            self.frontend.report_gone(now, subject);
        }
    }

    /// The host speaks for the engine and the watchdog itself.
    fn is_ours(&self, engine: &str, subject: &SubjectId) -> bool {
        self.children
            .get(engine)
            .is_none_or(|child| *subject == child.scope || *subject == child.subject())
    }

    fn pass_on(&mut self, now: Moment, engine: &str, subject: &SubjectId) {
        if self.is_ours(engine, subject) {
            return;
        }
        let Some(child) = self.children.get(engine) else { return };
        let Some(verdict) = self
            .backend
            .child(&child.node)
            .and_then(|session| session.book.get(subject))
        else {
            return;
        };
        let mut verdict = verdict.clone();
        if let Some(why) = child.covered.clone() {
            cover(&mut verdict, why);
        }
        self.report(now, verdict);
    }

    /// Passes on all that a child reports, after it came, went or said everything anew.
    pub(super) fn tell_book(&mut self, now: Moment, engine: &str) {
        let Some(child) = self.children.get(engine) else { return };
        let Some(session) = self.backend.child(&child.node) else {
            return;
        };
        let all: Vec<SubjectId> = session.book.iter().map(|verdict| verdict.subject.clone()).collect();
        for subject in all {
            self.pass_on(now, engine, &subject);
        }
    }

    /// A new life of a child had its time to name its containers: what it did not name is gone.
    pub(super) fn forget_unnamed(&mut self, now: Moment, engine: &str) {
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        let Some(at) = child.forget_at.filter(|at| *at <= now) else {
            return;
        };
        // One that is away again has not said what it knows: the next life gets its own time.
        child.forget_at = None;
        if child.joined.is_none_or(|joined| at < joined) {
            return;
        }
        let Some(session) = self.backend.child(&child.node) else {
            return;
        };
        let named: BTreeSet<&SubjectId> = session.book.iter().map(|verdict| &verdict.subject).collect();
        let scope = child.scope.clone();
        let shown = self.frontend.verdicts().map(|verdict| &verdict.subject);
        let gone: Vec<SubjectId> = shown
            .filter(|subject| subject.is_within(&scope) && !named.contains(subject))
            .cloned()
            .collect();
        for subject in gone {
            self.pass_gone(now, engine, &subject);
        }
    }
}

/// Nobody looks at it just now.
fn cover(verdict: &mut Verdict, why: String) {
    let state = masked_state(verdict.state);
    if state != verdict.state {
        let was: String = format!("{why}; it was {}", verdict.state.as_str());
        verdict.state = state;
        verdict.why = was;
    }
}
