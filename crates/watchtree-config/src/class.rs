//! `[[class]]` of `host.toml`: what holds for all containers that share a label, a name, an image or a compose project.

use crate::error::ConfigError;
use crate::probe::Probe;
use crate::value::{Label, Span};
use serde::Deserialize;
use watchtree_core::container::classes::{Class as CoreClass, Glob, Selector};
use watchtree_core::container::overrides::{Action as CoreAction, BUDGET_MAX, Overrides};
use watchtree_core::container::probes::spec::ProbeKind;

/// Longest name of a class, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// `[[class]]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Class {
    name: String,
    label: Option<Label>,
    container: Option<String>,
    image: Option<String>,
    project: Option<String>,
    heal: Option<bool>,
    action: Option<Action>,
    budget: Option<u32>,
    window: Option<Span<10_000, 604_800_000>>,
    delay_min: Option<Span<10, 60_000>>,
    delay_max: Option<Span<100, 3_600_000>>,
    clean_after: Option<Span<1000, 86_400_000>>,
    verify: Option<Span<100, 600_000>>,
    grace: Option<Span<0, 3_600_000>>,
    unhealthy_for: Option<Span<0, 604_800_000>>,
    stop_timeout: Option<Span<0, 3_600_000>>,
    retry_given_up: Option<Span<60_000, 86_400_000>>,
    startup: Option<Probe>,
    liveness: Option<Probe>,
    readiness: Option<Probe>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Action {
    Restart,
    Notify,
}

impl Class {
    /// The label that it is told by: the key alone.
    pub fn label_key(&self) -> Option<&str> {
        self.label.as_ref().map(Label::key)
    }

    /// For the core.
    pub fn core(&self) -> CoreClass {
        let glob = |text: &Option<String>| text.as_deref().map(Glob::new);
        let label = self.label.as_ref().map(|label| match label.as_str().split_once('=') {
            Some((key, value)) => (key.to_string(), Some(Glob::new(value))),
            None => (label.as_str().to_string(), None),
        });
        CoreClass {
            name: self.name.clone(),
            selector: Selector {
                label,
                container: glob(&self.container),
                image: glob(&self.image),
                project: glob(&self.project),
            },
            set: Overrides {
                heal: self.heal,
                action: self.action.map(|action| match action {
                    Action::Restart => CoreAction::Restart,
                    Action::Notify => CoreAction::Notify,
                }),
                budget: self.budget,
                window: self.window.map(Span::get),
                delay_min: self.delay_min.map(Span::get),
                delay_max: self.delay_max.map(Span::get),
                clean_after: self.clean_after.map(Span::get),
                verify: self.verify.map(Span::get),
                grace: self.grace.map(Span::get),
                unhealthy_for: self.unhealthy_for.map(Span::get),
                stop_timeout: self.stop_timeout.map(Span::get),
                retry_given_up: self.retry_given_up.map(Span::get),
            },
            probes: self
                .probes()
                .map(|(_, probe)| probe.as_ref().map(Probe::core).unwrap_or_default()),
        }
    }

    fn probes(&self) -> [(ProbeKind, &Option<Probe>); 3] {
        [
            (ProbeKind::Startup, &self.startup),
            (ProbeKind::Liveness, &self.liveness),
            (ProbeKind::Readiness, &self.readiness),
        ]
    }

    /// What no single value shows.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        let bad = |what: &str| Err(ConfigError::new(format!("[[class]]: `{name}` {what}")));
        if name.is_empty() || NAME_BYTES_MAX < name.len() || name.chars().any(char::is_control) {
            return bad("is no name for a class; give 1 to 64 printable bytes");
        }
        if self.core().selector.is_empty() {
            return bad("says of no container that it belongs to it; give label, container, image or project");
        }
        if self.budget.is_some_and(|budget| budget == 0 || BUDGET_MAX < budget) {
            return bad("has a budget that is none; give 1 to 100 restarts, or heal = false");
        }
        for (kind, probe) in self.probes() {
            let checked = probe.as_ref().map_or(Ok(()), |probe| probe.check(kind));
            if let Err(why) = checked {
                return bad(&format!("has a {} probe that is none: {why}", kind.as_str()));
            }
        }
        match (self.delay_min, self.delay_max) {
            (Some(min), Some(max)) if max.get() < min.get() => {
                bad("has a delay_max that is shorter than its delay_min")
            }
            _ => Ok(()),
        }
    }
}
