//! A container's labels, read once: what they switch on, and what was wrong with them.
//!
//! | label | means | bad value |
//! |---|---|---|
//! | `watchtree.enable` | `true`: heal it; `false`: never | as if not there |
//! | `watchtree.budget` | `5/10m`: at most 5 restarts in 10 minutes | the configured budget |
//! | `watchtree.stop-timeout` | `3s`: between stop signal and SIGKILL | the container's own |
//! | `watchtree.grace` | `30s`: after a start, `unhealthy` is not acted on | the health check's start period |
//! | `autoheal` | `true`: heal it when `unhealthy`, not when it exits | as if not there |
//! | `autoheal.stop.timeout` | seconds | the container's own |
//!
//! Labels come from outside: a bad one is named in the tree and replaced by the default, never more.

use super::settings::{ContainerSettings, HealMode};

use crate::supervisor::{Allowance, RestartPolicy};
use crate::time::Duration;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Longest stop timeout and grace a label may ask for.
const LABEL_TIME_MAX: Duration = Duration::from_secs(3600);
/// Largest budget that a label may give: as the configuration's.
const LABEL_BUDGET_MAX: u32 = 100;
/// Longest window of a budget.
const LABEL_WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

/// Labels by which others mark what is theirs, and what is said of it. Their healer is somebody else.
pub const OWNERS: [(&str, &str); 3] = [
    ("com.docker.swarm.", "owned by Docker Swarm: hands off"),
    ("com.hashicorp.nomad.", "owned by Nomad: hands off"),
    ("io.kubernetes.", "owned by Kubernetes: hands off"),
];

/// What the labels of one container say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Labels {
    /// `watchtree.enable`.
    pub enable: Option<bool>,
    /// `autoheal=true`.
    pub autoheal: bool,
    /// `watchtree.budget`: restarts and window.
    pub budget: Option<(u32, Duration)>,
    /// `watchtree.stop-timeout`, else `autoheal.stop.timeout`.
    pub stop_timeout: Option<Duration>,
    /// `watchtree.grace`.
    pub grace: Option<Duration>,
    /// Whose it is, in words, if it is somebody's who heals it.
    pub owner: Option<&'static str>,
    /// False where a selector is configured and does not fit.
    pub selected: bool,
    /// One sentence per bad label.
    pub remarks: Vec<String>,
}

impl Labels {
    /// Reads them. Never fails.
    pub fn read(labels: &BTreeMap<String, String>, settings: &ContainerSettings) -> Self {
        let mut it = Self {
            selected: true,
            ..Self::default()
        };
        if let Some((key, value)) = &settings.selector {
            it.selected = labels.get(key) == Some(value);
        }
        let owns = |prefix: &str| labels.keys().any(|key| key.starts_with(prefix));
        it.owner = OWNERS.iter().find(|(prefix, _)| owns(prefix)).map(|(_, words)| *words);
        it.enable = it.take(labels, "watchtree.enable", "true or false; ignored", read_bool);
        it.autoheal = it
            .take(labels, "autoheal", "true or false; ignored", read_bool)
            .unwrap_or(false);
        it.budget = it.take(
            labels,
            "watchtree.budget",
            "N/TIME such as 5/10m; the default is used",
            read_budget,
        );
        it.grace = it.take(
            labels,
            "watchtree.grace",
            "a time such as 30s, at most 1h; the default is used",
            read_time,
        );
        let wanted = "a time such as 3s, at most 1h; the container's own is used";
        let autoheal = it.take(labels, "autoheal.stop.timeout", wanted, read_time);
        it.stop_timeout = it
            .take(labels, "watchtree.stop-timeout", wanted, read_time)
            .or(autoheal);
        it
    }

    fn take<T>(
        &mut self,
        labels: &BTreeMap<String, String>,
        key: &str,
        wanted: &str,
        read: fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = labels.get(key)?.trim();
        let value = read(text);
        if value.is_none() {
            let shown: String = text.chars().take(32).collect();
            self.remarks
                .push(format!("label {key}={shown:?} is not understood: want {wanted}"));
        }
        value
    }

    /// The policy for this container.
    pub fn policy(&self, default: &RestartPolicy) -> RestartPolicy {
        match self.budget {
            Some((budget, window)) => default.with_allowance(Allowance { budget, window }),
            None => *default,
        }
    }

    /// How long `/stop` gives it: a label, its own, or the default; whole seconds, rounded up.
    pub(crate) fn stop_secs(&self, own: Option<Duration>, default: Duration) -> u32 {
        let timeout = self.stop_timeout.or(own).unwrap_or(default);
        let secs = timeout.as_secs() + u64::from(timeout.subsec_nanos() != 0);
        u32::try_from(secs).unwrap_or(u32::MAX)
    }

    /// May it be started when it has crashed? `Err` says why not.
    ///
    /// # Errors
    /// The reason in words.
    pub fn heals_crash(&self, heal: HealMode) -> Result<&'static str, &'static str> {
        if let Some(owner) = self.owner {
            return Err(owner);
        }
        match (heal, self.enable) {
            _ if !self.selected => Err("not selected by the configured label"),
            (HealMode::Observe, _) => Err("observe-only"),
            (_, Some(false)) => Err("label watchtree.enable=false"),
            (HealMode::All, _) => Ok("all containers are healed"),
            (HealMode::Labelled, Some(true)) => Ok("label watchtree.enable=true"),
            (HealMode::Labelled, None) if self.autoheal => Err("label autoheal=true heals unhealthy only"),
            (HealMode::Labelled, None) => Err("no label watchtree.enable=true"),
        }
    }

    /// May it be restarted when it is unhealthy? `Err` says why not.
    ///
    /// # Errors
    /// The reason in words.
    pub fn heals_unhealthy(&self, heal: HealMode) -> Result<&'static str, &'static str> {
        match self.heals_crash(heal) {
            Err(_)
                if self.owner.is_none()
                    && self.autoheal
                    && self.selected
                    && heal == HealMode::Labelled
                    && self.enable.is_none() =>
            {
                Ok("label autoheal=true")
            }
            answer => answer,
        }
    }
}

fn read_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

fn read_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

fn read_time(text: &str) -> Option<Duration> {
    read_duration(text).filter(|time| *time <= LABEL_TIME_MAX)
}

fn read_budget(text: &str) -> Option<(u32, Duration)> {
    let (count, window) = text.split_once('/')?;
    let count: u32 = count.trim().parse().ok()?;
    let window = read_duration(window.trim())?;
    let fits = count <= LABEL_BUDGET_MAX && Duration::from_secs(1) <= window && window <= LABEL_WINDOW_MAX;
    fits.then_some((count, window))
}
