//! How this watchdog itself is: its conditions, and what it says of them in the tree, where a log alone would be read by nobody.
//!
//! A parent that is away is left out: it is no fault of this watchdog, and nobody above could read it. Decides nothing.

use super::settings::ContainerSettings;
use crate::conditions::{ConditionChange, Conditions};
use crate::frontend::Frontend;
use crate::message::watchdog_incarnation;
use crate::subject::SubjectKind;
use crate::time::Moment;
use crate::tree::unknown;
use crate::verdict::{Level, ObserverHealth, State, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The condition of the link to the parent.
pub(crate) const PARENT: &str = "parent";

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct OwnState {
    conditions: Conditions,
    /// They have changed since they were told.
    is_changed: bool,
}

impl OwnState {
    /// Takes what is true now; returns it if it is news.
    pub(crate) fn set(&mut self, about: &str, state: Result<String, String>) -> Option<ConditionChange> {
        let change = self.conditions.set(about, state)?;
        self.is_changed = true;
        Some(change)
    }

    /// What is bad, by what it is about, in words.
    pub(crate) fn bad(&self) -> impl Iterator<Item = (&str, &str)> {
        self.conditions.bad()
    }

    /// How far others may trust it.
    pub(crate) fn health(&self) -> ObserverHealth {
        let is_bad = |about| self.conditions.is_bad(about);
        ObserverHealth(
            match (
                is_bad("engine") || is_bad("stream") || is_bad("access"),
                is_bad("journal"),
            ) {
                (true, _) => 3,
                (false, true) => 1,
                (false, false) => 0,
            },
        )
    }

    /// Tells the parent if anything has changed. One that was always well has nothing to tell.
    pub(crate) fn report(&mut self, now: Moment, settings: &ContainerSettings, frontend: &mut Frontend) {
        if !core::mem::take(&mut self.is_changed) {
            return;
        }
        let subject = settings.engine.child("@watchdog");
        let told = frontend.verdict(&subject).map(|told| (told.state, told.since));
        let bad = self.conditions.bad().filter(|(about, _)| *about != PARENT);
        let bad: Vec<String> = bad.map(|(about, why)| format!("{about}: {why}")).collect();
        let state = if bad.is_empty() { State::Ok } else { State::Degraded };
        if told.is_none() && state == State::Ok {
            return;
        }
        let identity = &settings.identity;
        let verdict = Verdict {
            incarnation: watchdog_incarnation(identity.boot_id, identity.agent_epoch),
            state,
            level: Level::Certain,
            why: if bad.is_empty() {
                "well".to_string()
            } else {
                bad.join("; ")
            },
            since: told.filter(|told| told.0 == state).map_or(now, |told| told.1),
            observer_health: frontend.health(),
            remarks: bad.into_iter().take(Verdict::REMARKS_MAX).collect(),
            ..unknown(subject, SubjectKind::Watchdog, identity.name.clone(), now)
        };
        frontend.report(now, verdict);
    }
}
