//! What the containers together say of their engine: that many of them turned ill at once, which is no illness of theirs.
//! The host-watchdog's own probes say the rest, and the worse of both is shown. Decides nothing about containers.

use super::engine_view::EngineView;
use super::executor::Executor;
use crate::container::io::ContainerEffect;
use crate::container::outbox::Outbox;
use crate::container::settings::ContainerSettings;
use crate::decision::{ActionKind, Guard, GuardAnswer};
use crate::recorder::Draft;
use crate::subject::{Incarnation, SubjectId, SubjectKind};
use crate::supervisor::Outbreaks;
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind, Level, ObserverHealth, State, Verdict};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// So many of the ill are named.
const NAMED_MAX: usize = 5;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct EngineIllness {
    shown: Option<Shown>,
}

#[derive(Debug, Eq, PartialEq)]
struct Shown {
    since: Moment,
    why: String,
    named: Vec<SubjectId>,
    /// One of them at least is known to be ill.
    is_known: bool,
}

impl EngineIllness {
    /// Where more are ill at once, or fewer: asks all of them anew, and reports the engine. Asks how busy the machine is.
    pub(super) fn follow(&mut self, now: Moment, executor: &mut Executor, engine: &mut EngineView, out: &mut Outbox) {
        if executor.outbreaks_mut().handle_timeout(now) {
            out.push(ContainerEffect::ReadLoad);
        }
        if !executor.outbreaks_mut().take_news() {
            return;
        }
        executor.outbreaks().members().for_each(|sid| engine.touch(sid.clone()));
        let new = Shown::of(executor.outbreaks());
        if new == self.shown {
            return;
        }
        let since = |shown: &Option<Shown>| shown.as_ref().map(|it| it.since);
        let is_known = since(&new) == since(&self.shown);
        self.shown = new;
        let subject = executor.settings().engine.clone();
        if let Some(shown) = self.shown.as_ref().filter(|_| !is_known) {
            executor.record(now, shown.draft(&subject), out);
        }
        out.reconciled(subject);
    }

    /// There is something to be said of that subject: it is the engine, and many are ill.
    pub(super) fn is_of(&self, sid: &SubjectId, settings: &ContainerSettings) -> bool {
        self.shown.is_some() && *sid == settings.engine
    }

    /// What is believed of the engine; `None` = nothing is wrong with all together.
    pub(super) fn verdict(&self, settings: &ContainerSettings) -> Option<Verdict> {
        let shown = self.shown.as_ref()?;
        Some(Verdict {
            subject: settings.engine.clone(),
            kind: SubjectKind::Engine,
            incarnation: Incarnation::default(),
            state: State::Unhealthy,
            level: Level::Strong,
            why: shown.why.clone(),
            evidence: shown.evidence(),
            observer: settings.identity.name.clone(),
            observer_health: ObserverHealth::default(),
            since: shown.since,
            held: false,
            remarks: Vec::new(),
        })
    }
}

impl Shown {
    fn of(outbreaks: &Outbreaks) -> Option<Self> {
        let (since, why) = outbreaks.current()?;
        let named = outbreaks.members().take(NAMED_MAX).cloned().collect();
        let is_known = outbreaks.is_known();
        Some(Self {
            since,
            why,
            named,
            is_known,
        })
    }

    fn evidence(&self) -> Vec<Evidence> {
        let fact = |subject: &SubjectId| match self.is_known {
            true => format!("{subject} is unhealthy"),
            false => format!("the health check of {subject} cannot be run"),
        };
        let evidence = |fact| Evidence::new(EvidenceKind::HealthCheck, self.since, fact);
        self.named.iter().map(fact).map(evidence).collect()
    }

    fn draft(&self, engine: &SubjectId) -> Draft {
        let then = match self.is_known {
            true => "they are restarted one at a time, while that helps",
            false => "they are left alone, for nobody knows that they are ill",
        };
        let why = format!("{}: a person is needed; {then}", self.why);
        Draft::new(engine.clone(), ActionKind::Escalate, why)
            .evidence(self.evidence())
            .guards(vec![GuardAnswer::blocked(Guard::Level, &*self.why)])
    }
}
