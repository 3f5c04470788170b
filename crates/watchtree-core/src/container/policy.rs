//! The policy of one container: each value, and where it comes from. The nearest word counts: what ships, the configuration,
//! the classes that fit (a later one overrules an earlier one), the container's labels.
//!
//! Decides what is in force; does not know what follows from it.

use super::io::ContainerView;
use super::labels::{Labels, SETTINGS, Switch};
use super::overrides::{Action, InForce, Source};
use super::probes::spec::ProbeSpecs;
use super::probes::words::ProbesInForce;
use super::settings::{ContainerSettings, HealMode};
use super::written::shown;
use crate::supervisor::{Allowance, RestartLimits, RestartPolicy};
use crate::time::Duration;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// One line of a policy, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyLine {
    /// Which value, as it is written in the configuration.
    pub key: &'static str,
    /// What is in force.
    pub value: String,
    /// Where it comes from.
    pub source: String,
}

/// A whole policy, for people.
pub type PolicyLines = Vec<PolicyLine>;

/// See the module's text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContainerPolicy {
    labels: Labels,
    in_force: InForce,
    probes: ProbesInForce,
    /// Why the limits that were asked for are none.
    unfit: Option<String>,
    own_stop_timeout: Option<Duration>,
    start_period: Duration,
}

impl ContainerPolicy {
    /// Of a container as it was inspected.
    pub fn of(view: &ContainerView, settings: &ContainerSettings) -> Self {
        let mut it = Self {
            labels: Labels::read(&view.labels, settings),
            own_stop_timeout: view.stop_timeout,
            start_period: view.health_start_period,
            ..Self::default()
        };
        let classes = settings.classes.iter().enumerate();
        let classes = classes.filter(|(_, class)| class.selector.fits(view));
        let classes = classes.map(|(at, class)| (class, Source::Class(at + 1, class.name.clone())));
        for (class, source) in classes.clone() {
            it.in_force.overrule(&class.set, |_: &'static str| source.clone());
        }
        it.probes = ProbesInForce::of(
            classes.map(|(class, source)| (&class.probes, source)),
            &it.labels.probes,
        );
        let aliases = it.labels.aliases;
        it.in_force.overrule(&it.labels.set, |name| {
            let is_alias = aliases && name == "stop_timeout";
            Source::Label(if is_alias {
                "autoheal.stop.timeout"
            } else {
                label_of(name)
            })
        });
        it.unfit = it.checked(&settings.policy).err();
        it
    }

    /// One sentence per bad label, per limits that do not fit together, and per probe that is not run for what is said of it.
    pub(crate) fn remarks(&self) -> impl Iterator<Item = &String> {
        let remarks = self.labels.remarks.iter().chain(&self.unfit);
        remarks.chain(self.probes.remarks())
    }

    /// Its probes.
    pub(crate) fn probes(&self) -> &ProbeSpecs {
        self.probes.specs()
    }

    /// Its owner said that it is to be healed.
    pub(crate) fn is_wanted(&self) -> bool {
        match self.labels.enable {
            Some(switch) => switch == Switch::On,
            None => matches!(self.in_force.heal, Some((true, _))),
        }
    }

    /// The limits of its restarts.
    pub(crate) fn limits(&self, default: &RestartPolicy) -> RestartPolicy {
        self.checked(default).unwrap_or(*default)
    }

    fn checked(&self, default: &RestartPolicy) -> Result<RestartPolicy, String> {
        let set = &self.in_force;
        let or = |value: &Option<(Duration, Source)>, default| value.as_ref().map_or(default, |(time, _)| *time);
        let limits = RestartLimits {
            allowance: Allowance {
                budget: set
                    .budget
                    .as_ref()
                    .map_or(default.allowance.budget, |(count, _)| *count),
                window: or(&set.window, default.allowance.window),
            },
            // Whoever sets a budget means every restart.
            stop_budget: set.budget.as_ref().map_or(default.stop_budget, |(count, _)| *count),
            delay_first: or(&set.delay_min, default.delay_first),
            delay_max: or(&set.delay_max, default.delay_max),
            reset_after_stable: or(&set.clean_after, default.reset_after_stable),
            verify: or(&set.verify, default.verify),
            half_open_every: or(&set.retry_given_up, default.half_open_every),
            ..**default
        };
        RestartPolicy::new(limits).map_err(|error| format!("its limits are not used: {error}"))
    }

    /// The startup grace that somebody has asked for.
    pub(crate) fn asked_grace(&self) -> Option<Duration> {
        self.in_force.grace.as_ref().map(|(time, _)| *time)
    }

    /// For how long it must have been unhealthy, and who says so.
    pub(crate) fn unhealthy_for(&self) -> Option<&(Duration, Source)> {
        self.in_force.unhealthy_for.as_ref()
    }

    /// How long `/stop` gives it; whole seconds, rounded up.
    pub(crate) fn stop_secs(&self, default: Duration) -> u32 {
        let timeout = self.stop_timeout(default).0;
        let secs = timeout.as_secs() + u64::from(timeout.subsec_nanos() != 0);
        u32::try_from(secs).unwrap_or(u32::MAX)
    }

    fn stop_timeout(&self, default: Duration) -> (Duration, Option<Source>) {
        match (&self.in_force.stop_timeout, self.own_stop_timeout) {
            (Some((time, source)), _) => (*time, Some(source.clone())),
            (None, Some(own)) => (own, Some(Source::Container("stop timeout"))),
            (None, None) => (default, None),
        }
    }

    /// May it be started when it has crashed? `Err` says why not.
    ///
    /// # Errors
    /// The reason in words.
    pub(crate) fn heals_crash(&self, heal: HealMode) -> Answer {
        self.is_ours(heal)?;
        let labels = &self.labels;
        let healed = match (labels.enable, labels.autoheal, &self.in_force.heal) {
            (Some(Switch::Off), ..) => Err("label watchtree.enable=false".into()),
            (Some(Switch::Unreadable), ..) => Err("label watchtree.enable cannot be read: taken for no".into()),
            (Some(Switch::On), ..) => Ok("label watchtree.enable=true".into()),
            (None, Some(Switch::Off), _) => Err("label autoheal=false".into()),
            (None, Some(Switch::Unreadable), _) => Err("label autoheal cannot be read: taken for no".into()),
            (None, _, Some((false, source))) => Err(format!("{source} says no").into()),
            (None, _, Some((true, source))) => Ok(source.to_string().into()),
            (None, _, None) if heal == HealMode::All => Ok("all containers are healed".into()),
            (None, Some(Switch::On), None) => Err("label autoheal=true heals unhealthy only".into()),
            (None, None, None) => Err("no label watchtree.enable=true".into()),
        };
        healed.and_then(|why| self.acts(why))
    }

    /// May it be restarted when it is unhealthy? `Err` says why not.
    ///
    /// # Errors
    /// The reason in words.
    pub(crate) fn heals_unhealthy(&self, heal: HealMode) -> Answer {
        self.is_ours(heal)?;
        let labels = &self.labels;
        // A label overrules a class; where that heals crashes too, its word is the further one.
        let asked_for = match &self.in_force.heal {
            Some((heals, _)) => !heals,
            None => heal == HealMode::Labelled,
        };
        let only_unhealthy = labels.enable.is_none() && asked_for;
        match labels.autoheal {
            Some(Switch::On) if only_unhealthy => self.acts("label autoheal=true".into()),
            _ => self.heals_crash(heal),
        }
    }

    fn is_ours(&self, heal: HealMode) -> Result<(), Cow<'static, str>> {
        if let Some(owner) = self.labels.owner {
            return Err(owner.into());
        }
        if !self.labels.selected {
            return Err("not selected by the configured label".into());
        }
        match heal {
            HealMode::Observe => Err("observe-only".into()),
            HealMode::Labelled | HealMode::All => Ok(()),
        }
    }

    /// Where it is healed: by an act?
    fn acts(&self, why: Cow<'static, str>) -> Answer {
        match &self.in_force.action {
            Some((Action::Notify, source)) => Err(format!("its action is notify ({source}): a person is told").into()),
            _ => Ok(why),
        }
    }

    /// Every value in force, for people.
    pub(crate) fn lines(&self, settings: &ContainerSettings) -> Vec<PolicyLine> {
        let (set, limits) = (&self.in_force, self.limits(&settings.policy));
        let config = |key: &str| match settings.configured.contains(&key) {
            true => Source::Config,
            false => Source::Default,
        };
        // Limits that do not fit together are not used.
        let of = |key: &'static str, value: String, source: Option<&Source>| PolicyLine {
            key,
            value,
            source: source.cloned().unwrap_or_else(|| config(key)).to_string(),
        };
        let limit = |key, time: Duration, set: &Option<(Duration, Source)>| {
            let source = set.as_ref().filter(|_| self.unfit.is_none());
            of(key, shown(time), source.map(|(_, source)| source))
        };
        let healed = |key, answer: Answer| {
            let (value, why) = match answer {
                Ok(why) => ("yes", why),
                Err(why) => ("no", why),
            };
            PolicyLine {
                key,
                value: value.to_string(),
                source: why.into_owned(),
            }
        };
        let source =
            |it: &Option<(u32, Source)>| it.as_ref().filter(|_| self.unfit.is_none()).map(|(_, it)| it.clone());
        let (action, by) = match &set.action {
            Some((action, source)) => (*action, Some(source)),
            None => (Action::default(), None),
        };
        let (stop_timeout, stop_source) = self.stop_timeout(settings.stop_timeout);
        let start_period = Source::Container("health check's start period");
        let grace = match &set.grace {
            Some((_, source)) => source,
            None => &start_period,
        };
        let unhealthy_for = set.unhealthy_for.as_ref();
        let mut lines = alloc::vec![
            healed("heal crashes", self.heals_crash(settings.heal)),
            healed("heal unhealthy", self.heals_unhealthy(settings.heal)),
            of("action", action.as_str().to_string(), by),
            of(
                "budget",
                limits.allowance.budget.to_string(),
                source(&set.budget).as_ref()
            ),
            of(
                "stop_budget",
                limits.for_stop().allowance.budget.to_string(),
                source(&set.budget).as_ref()
            ),
            limit("window", limits.allowance.window, &set.window),
            limit("delay_min", limits.delay_first, &set.delay_min),
            limit("delay_max", limits.delay_max, &set.delay_max),
            limit("clean_after", limits.reset_after_stable, &set.clean_after),
            limit("verify", limits.verify, &set.verify),
            of(
                "grace",
                shown(self.asked_grace().unwrap_or(self.start_period)),
                Some(grace)
            ),
            of(
                "unhealthy_for",
                shown(unhealthy_for.map_or(Duration::ZERO, |(time, _)| *time)),
                unhealthy_for.map(|(_, source)| source),
            ),
            of("stop_timeout", shown(stop_timeout), stop_source.as_ref()),
            limit("retry_given_up", limits.half_open_every, &set.retry_given_up),
        ];
        let probes = self.probes.lines().into_iter();
        lines.extend(probes.map(|(key, value, source)| PolicyLine {
            key,
            value,
            source: source.unwrap_or(Source::Default).to_string(),
        }));
        lines
    }
}

/// Yes or no, and why in words.
pub(crate) type Answer = Result<Cow<'static, str>, Cow<'static, str>>;

/// The label that sets that value.
fn label_of(name: &'static str) -> &'static str {
    let known = SETTINGS.iter().find(|(_, of)| *of == name);
    known.map_or("watchtree.enable", |(key, _)| key)
}

#[cfg(test)]
mod tests {
    //! Which word counts, and what is said of it.
    use super::*;
    use crate::container::classes::{Class, Glob, Selector};
    use crate::container::overrides::Overrides;
    use crate::fixture::{identity, subject};
    use crate::id::Tier;

    fn settings(classes: &[(&str, &str, Overrides)]) -> ContainerSettings {
        let mut settings = ContainerSettings::new(identity("c", Tier::Container, 1), subject("h/d"));
        settings.configured = alloc::vec!["window"];
        let class = |(name, container, set): &(&str, &str, Overrides)| Class {
            name: name.to_string(),
            selector: Selector {
                container: Some(Glob::new(container)),
                ..Selector::default()
            },
            set: set.clone(),
            ..Class::default()
        };
        settings.classes = classes.iter().map(class).collect();
        settings
    }

    fn view(labels: &[(&str, &str)]) -> ContainerView {
        ContainerView {
            name: "db".into(),
            stop_timeout: Some(Duration::from_secs(20)),
            labels: labels
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            ..ContainerView::default()
        }
    }

    /// The lines that tell of something else than a default.
    fn told(settings: &ContainerSettings, labels: &[(&str, &str)]) -> Vec<String> {
        let lines = ContainerPolicy::of(&view(labels), settings).lines(settings);
        let told = lines.into_iter().filter(|line| line.source != "default");
        told.map(|line| format!("{} {}: {}", line.key, line.value, line.source))
            .collect()
    }

    #[test]
    fn the_nearest_word_counts_and_each_says_where_it_comes_from() {
        let set = Overrides {
            heal: Some(true),
            budget: Some(3),
            stop_timeout: Some(Duration::from_secs(120)),
            grace: Some(Duration::from_secs(90)),
            ..Overrides::default()
        };
        let later = Overrides {
            budget: Some(4),
            ..Overrides::default()
        };
        let settings = settings(&[
            ("databases", "d*", set),
            ("other", "x", later.clone()),
            ("ours", "db", later),
        ]);
        let labels = [("watchtree.grace", "500ms"), ("watchtree.unhealthy-for", "5m")];
        assert_eq!(
            told(&settings, &labels),
            [
                "heal crashes yes: class 1 (databases)",
                "heal unhealthy yes: class 1 (databases)",
                "budget 4: class 3 (ours)",
                "stop_budget 4: class 3 (ours)",
                "window 10m: configuration",
                "grace 500ms: label watchtree.grace",
                "unhealthy_for 5m: label watchtree.unhealthy-for",
                "stop_timeout 2m: class 1 (databases)",
            ]
        );
    }

    #[test]
    fn autoheal_true_overrules_a_class_that_says_no_where_it_is_unhealthy_only() {
        let class = |heal| {
            let set = Overrides {
                heal: Some(heal),
                ..Overrides::default()
            };
            settings(&[("databases", "db", set)])
        };
        let heals = |settings: &ContainerSettings, mode| {
            let policy = ContainerPolicy::of(&view(&[("autoheal", "true")]), settings);
            (policy.heals_crash(mode).is_ok(), policy.heals_unhealthy(mode).is_ok())
        };
        for mode in [HealMode::Labelled, HealMode::All] {
            assert_eq!(heals(&class(false), mode), (false, true));
            assert_eq!(heals(&class(true), mode), (true, true));
        }
        assert_eq!(heals(&class(false), HealMode::Observe), (false, false));
    }

    #[test]
    fn an_action_that_cannot_be_read_is_no_restart_and_limits_that_do_not_fit_are_not_used() {
        let settings = settings(&[]);
        let labels = [
            ("watchtree.enable", "true"),
            ("watchtree.action", "reboot"),
            ("watchtree.delay-min", "2h"),
            ("autoheal.stop.timeout", "7"),
        ];
        let notify = "its action is notify (label watchtree.action): a person is told";
        assert_eq!(
            told(&settings, &labels),
            [
                format!("heal crashes no: {notify}"),
                format!("heal unhealthy no: {notify}"),
                "action notify: label watchtree.action".to_string(),
                "window 10m: configuration".to_string(),
                "grace 0s: the container's health check's start period".to_string(),
                "stop_timeout 7s: label autoheal.stop.timeout".to_string(),
            ]
        );
        let policy = ContainerPolicy::of(&view(&labels), &settings);
        assert_eq!(policy.remarks().count(), 2);
        assert_eq!(policy.limits(&settings.policy), settings.policy);
    }
}
