//! What outlives a container's incarnation: budget, hold, what it is meant to do, the repair under way, the last verdict.

use super::facts::Facts;
use super::io::{ContainerId, ContainerView, Ticket};
use super::labels::Labels;
use super::record::{Desired, OpenRepair};
use super::repair::Repair;
use crate::decision::{Guard, GuardAnswer};
use crate::restart::Ledger;
use crate::subject::{Incarnation, SubjectId};
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind, Level, State};
use alloc::string::String;
use alloc::vec::Vec;

/// Why a container is down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// A person (or a tool of theirs).
    Operator(String),
    /// It ended as it should.
    Finished(String),
    /// It ended by itself.
    Crash(String),
    /// Nobody ever saw it run.
    FirstSight(String),
    /// Nothing can tell.
    CannotTell(String),
}

/// One end of one life, judged once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Death {
    pub(crate) life: Incarnation,
    pub(crate) cause: Cause,
    /// When it became known.
    pub(crate) at: Moment,
    /// Not to be started before; set when first asked.
    pub(crate) start_at: Option<Moment>,
    /// One of many of one cause: exempt from the host's budget.
    pub(crate) mass: bool,
    /// Our own stop brought it about: the engine's mark of a person's stop is ours too.
    pub(crate) ours: bool,
    pub(crate) evidence: Vec<Evidence>,
    /// The engine refused the start in a way that no retry mends, in its words.
    pub(crate) hopeless: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) container: Option<ContainerId>,
    /// Since when it has no container.
    pub(crate) empty_since: Option<Moment>,
    pub(crate) labels: Labels,
    pub(crate) ledger: Ledger,
    pub(crate) desired: Option<(ContainerId, Incarnation, Desired)>,
    pub(crate) given_up: Option<Moment>,
    pub(crate) death: Option<Death>,
    /// The life that runs, and since when.
    pub(crate) life: Incarnation,
    pub(crate) life_since: Moment,
    /// That life is known from the journal only: how old it is, the first look tells.
    pub(crate) remembered: bool,
    /// Engine restarts of that container counted so far.
    pub(crate) engine_restarts: Option<(ContainerId, u64)>,
    /// No stop-then-start before.
    pub(crate) not_before: Moment,
    /// When a stop signal of somebody else came that has not led to an end yet.
    pub(crate) signal_at: Option<Moment>,
    pub(crate) repair: Option<Repair>,
    /// From the journal, until the container was looked at.
    pub(crate) recovering: Option<OpenRepair>,
    /// A call of ours that is or may be under way in the engine.
    pub(crate) open_call: Option<Ticket>,
    /// Since when it waits for a place among the parallel repairs.
    pub(crate) queued_since: Option<Moment>,
    /// A person asked for a try: guards of time and budget do not count for the next one.
    pub(crate) forced: bool,
    /// Which non-action was recorded last: it is recorded again only when this changes.
    pub(crate) noted: Option<(Guard, Incarnation, String)>,
    pub(crate) state: State,
    pub(crate) level: Level,
    pub(crate) why: String,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) since: Moment,
    /// `handle_timeout` wants to look at it then.
    pub(crate) wake: Option<Moment>,
    /// What is in the wake index now.
    pub(crate) armed: Option<Moment>,
}

impl Subject {
    /// Sets what is believed of it.
    pub(crate) fn say(&mut self, now: Moment, state: State, level: Level, why: impl Into<String>) {
        if self.state != state {
            self.since = now;
        }
        (self.state, self.level, self.why) = (state, level, why.into());
        self.evidence.clear();
        if let Some(death) = self.death.as_ref().filter(|_| state != State::Ok) {
            self.evidence.clone_from(&death.evidence);
        }
    }

    /// Adds a fact to the verdict.
    pub(crate) fn prove(&mut self, kind: EvidenceKind, at: Moment, detail: impl Into<String>) {
        if self.evidence.len() < Evidence::COUNT_MAX {
            self.evidence.push(Evidence::new(kind, at, detail));
        }
    }

    /// Asks to be looked at again then, if not earlier.
    pub(crate) fn wake_at(&mut self, at: Moment) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// The guards asked so far, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guards(pub(crate) Vec<GuardAnswer>);

impl Guards {
    pub(crate) fn pass(&mut self, guard: Guard, detail: impl Into<String>) {
        self.0.push(GuardAnswer {
            guard,
            verdict: crate::decision::GuardVerdict::Passed,
            detail: detail.into(),
        });
    }

    pub(crate) fn fail(&mut self, guard: Guard, detail: impl Into<String>) {
        self.0.push(GuardAnswer {
            guard,
            verdict: crate::decision::GuardVerdict::Blocked,
            detail: detail.into(),
        });
    }

    /// The guard that stopped it.
    pub(crate) fn stopped_by(&self) -> Option<&GuardAnswer> {
        self.0.iter().rev().find(|answer| !answer.lets_pass())
    }
}

/// The subject a container belongs to: compose project, service and number, else its name. `None` while compose has it
/// under a temporary name: whoever that is, it is not to be started.
pub(crate) fn subject_of(engine: &SubjectId, view: &ContainerView) -> Option<SubjectId> {
    if Facts::is_temporary_name(&view.name) {
        return None;
    }
    let label = |key: &str| view.labels.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let compose = (
        label("com.docker.compose.project"),
        label("com.docker.compose.service"),
        label("com.docker.compose.container-number"),
    );
    match compose {
        (Some(project), Some(service), Some(number)) if !is_oneoff(view) => {
            Some(engine.outer_child(project).outer_child(service).outer_child(number))
        }
        _ => Some(engine.outer_child(&view.name)),
    }
}

/// `docker compose run`: ends when its command ends.
pub(crate) fn is_oneoff(view: &ContainerView) -> bool {
    view.labels
        .get("com.docker.compose.oneoff")
        .is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// Why it is not meant to be kept up, if it is not: what it began is over when it ends, and its volumes may go with it.
pub(crate) fn runs_once(view: &ContainerView) -> Option<&'static str> {
    if view.auto_remove {
        return Some("the engine removes it when it ends");
    }
    is_oneoff(view).then_some("a one-off container of compose")
}

/// Its compose project and service.
pub(crate) fn compose_of(view: &ContainerView) -> Option<(String, String)> {
    let project = view.labels.get("com.docker.compose.project")?;
    let service = view.labels.get("com.docker.compose.service")?;
    Some((project.clone(), service.clone()))
}
