//! A container's labels, read once: what they switch on, what they set, and what was wrong with them.
//!
//! | label | means | bad value |
//! |---|---|---|
//! | `watchtree.enable` | `true`, `yes`, `on`, `1`: heal it; `false`, `no`, `off`, `0`: never | never |
//! | `watchtree.action` | `restart`; `notify`: report it and do nothing | `notify` |
//! | `watchtree.budget` | `5/10m`: at most 5 restarts in 10 minutes; `5` in the window | the next further word |
//! | `watchtree.window` | `10m` | the next further word |
//! | `watchtree.delay-min`, `-max`, `watchtree.clean-after`, `watchtree.verify`, `watchtree.retry-given-up` | as `[heal]` in the configuration | the next further word |
//! | `watchtree.grace` | `30s`: after a start, `unhealthy` is not acted on | the health check's start period |
//! | `watchtree.unhealthy-for` | `5m`: acted on when it was unhealthy for that long | the next further word |
//! | `watchtree.stop-timeout` | `3s`: between stop signal and SIGKILL | the container's own |
//! | `watchtree.depends-on`, `watchtree.restart-with` | see docs/one-host.md | not followed |
//! | `watchtree.startup…`, `watchtree.liveness…`, `watchtree.readiness…` | probes: [`super::probes::words`] | that probe is not run |
//! | `autoheal` | `true`: heal it when `unhealthy`, not when it exits; `false`: never | never |
//! | `autoheal.monitor.enable`, `autoheal.restart.enable` | `false`: never | never |
//! | `autoheal.stop.timeout` | seconds | the container's own |
//!
//! Words are read without regard to case and blanks. Of two labels that say whether to heal, `watchtree.enable` counts.
//!
//! Labels come from outside: a bad one is named in the tree. A value that cannot be read is replaced by the default; a word
//! that was to say whether to heal or what to do, and cannot be read, means no.

use super::dependency_labels::{self, DEPENDS_ON, RESTART_WITH};
use super::overrides::{Action, BUDGET_MAX, Overrides, TIME_MAX};
use super::probes::words::{self, ProbeLabels};
use super::settings::ContainerSettings;
use super::written::read_duration;
use crate::time::Duration;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Longest stop timeout and grace a label may ask for.
const LABEL_TIME_MAX: Duration = Duration::from_secs(3600);
/// Shortest window of a budget.
const WINDOW_MIN: Duration = Duration::from_secs(1);

/// The labels that set a value, and which.
pub(crate) const SETTINGS: [(&str, &str); 11] = [
    ("watchtree.action", "action"),
    ("watchtree.budget", "budget"),
    ("watchtree.window", "window"),
    ("watchtree.delay-min", "delay_min"),
    ("watchtree.delay-max", "delay_max"),
    ("watchtree.clean-after", "clean_after"),
    ("watchtree.verify", "verify"),
    ("watchtree.grace", "grace"),
    ("watchtree.unhealthy-for", "unhealthy_for"),
    ("watchtree.stop-timeout", "stop_timeout"),
    ("watchtree.retry-given-up", "retry_given_up"),
];
/// All of ours begin so.
const PREFIX: &str = "watchtree.";
/// The label that switches healing on or off.
const ENABLE: &str = "watchtree.enable";
/// Labels of ours that set no value of a policy.
const KNOWN: [&str; 3] = [ENABLE, DEPENDS_ON, RESTART_WITH];

/// Labels by which others mark what is theirs, and what is said of it. Their healer is somebody else.
pub const OWNERS: [(&str, &str); 3] = [
    ("com.docker.swarm.", "owned by Docker Swarm: hands off"),
    ("com.hashicorp.nomad.", "owned by Nomad: hands off"),
    ("io.kubernetes.", "owned by Kubernetes: hands off"),
];

/// A label that begins so, in whatever case, was to say whether to heal.
const MEANT_ENABLE: [&str; 2] = ["watchtree.enab", "watchtree.disab"];

/// What a label says that switches something on or off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
    /// It cannot be read: acting on it would be a guess.
    Unreadable,
}

/// What the labels of one container say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Labels {
    /// `watchtree.enable`.
    pub enable: Option<Switch>,
    /// `autoheal`, or one of its siblings that says no.
    pub autoheal: Option<Switch>,
    /// What they set.
    pub set: Overrides,
    /// Its probes.
    pub(crate) probes: ProbeLabels,
    /// The stop timeout is that of `autoheal.stop.timeout`.
    pub aliases: bool,
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
        it.enable = it.switch(labels, ENABLE);
        it.autoheal = it.switch(labels, "autoheal");
        for key in ["autoheal.monitor.enable", "autoheal.restart.enable"] {
            it.autoheal = match it.switch(labels, key) {
                None | Some(Switch::On) => it.autoheal,
                no => no,
            };
        }
        it.name_unknown(labels, &settings.named_labels);
        it.read_settings(labels);
        it.probes = ProbeLabels::read(labels, &mut it.remarks);
        it.remarks.extend(dependency_labels::remarks(labels));
        it
    }

    fn read_settings(&mut self, labels: &BTreeMap<String, String>) {
        // Whoever set an action that is not known wants something else than a restart.
        let action = self.take(
            labels,
            "watchtree.action",
            "restart or notify; it is only reported",
            Action::from_word,
        );
        let has_action = labels.contains_key("watchtree.action");
        self.set.action = action.or(has_action.then_some(Action::Notify));
        let wanted = "N or N/TIME such as 5/10m; the default is used";
        let budget = self.take(labels, "watchtree.budget", wanted, read_budget);
        self.set.budget = budget.map(|(count, _)| count);
        let wanted = "a time such as 10m, 1s to 7d; the default is used";
        let window = self.take(labels, "watchtree.window", wanted, read_window);
        self.set.window = window.or(budget.and_then(|(_, window)| window));
        let wanted = "a time such as 30s, at most 7d; the default is used";
        self.set.delay_min = self.take(labels, "watchtree.delay-min", wanted, read_long);
        self.set.delay_max = self.take(labels, "watchtree.delay-max", wanted, read_long);
        self.set.clean_after = self.take(labels, "watchtree.clean-after", wanted, read_long);
        self.set.verify = self.take(labels, "watchtree.verify", wanted, read_long);
        self.set.unhealthy_for = self.take(labels, "watchtree.unhealthy-for", wanted, read_long);
        self.set.retry_given_up = self.take(labels, "watchtree.retry-given-up", wanted, read_long);
        let wanted = "a time such as 30s, at most 1h; the default is used";
        self.set.grace = self.take(labels, "watchtree.grace", wanted, read_time);
        let wanted = "a time such as 3s, at most 1h; the container's own is used";
        let autoheal = self.take(labels, "autoheal.stop.timeout", wanted, read_time);
        let own = self.take(labels, "watchtree.stop-timeout", wanted, read_time);
        self.aliases = own.is_none() && autoheal.is_some();
        self.set.stop_timeout = own.or(autoheal);
    }

    /// A word that says yes or no.
    fn switch(&mut self, labels: &BTreeMap<String, String>, key: &str) -> Option<Switch> {
        let text = labels.get(key)?;
        let switch = read_switch(text);
        if switch == Switch::Unreadable {
            self.remark(key, text, "true or false; until then it is not healed");
        }
        Some(switch)
    }

    /// Names what looks like a label of ours and is none: whoever wrote it believes that it holds.
    fn name_unknown(&mut self, labels: &BTreeMap<String, String>, named: &[String]) {
        for key in labels.keys() {
            let lower = key.to_ascii_lowercase();
            let is_known = KNOWN.contains(&key.as_str()) || settings().chain(words::labels()).any(|known| key == known);
            if !lower.starts_with(PREFIX) || is_known || named.contains(key) {
                continue;
            }
            let shown: String = key.chars().take(48).collect();
            if MEANT_ENABLE.iter().any(|begin| lower.starts_with(begin)) {
                self.enable.get_or_insert(Switch::Unreadable);
                let cure = "write watchtree.enable=true or =false; until then it is not healed";
                self.remarks.push(format!("label {shown} is not known: {cure}"));
            } else {
                let near = nearest(&lower).map_or(String::new(), |near| format!("; did you mean {near}?"));
                self.remarks
                    .push(format!("label {shown} is not known and says nothing{near}"));
            }
        }
    }

    fn remark(&mut self, key: &str, text: &str, wanted: &str) {
        let shown: String = text.trim().chars().take(32).collect();
        self.remarks
            .push(format!("label {key}={shown:?} is not understood: want {wanted}"));
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
            self.remark(key, text, wanted);
        }
        value
    }
}

fn settings() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|(known, _)| *known)
}

/// The known label that begins like this one for longest, if for more than our own prefix.
fn nearest(key: &str) -> Option<&'static str> {
    let common = |known: &str| key.bytes().zip(known.bytes()).take_while(|(a, b)| a == b).count();
    let known = settings().chain([DEPENDS_ON, RESTART_WITH]).chain(words::labels());
    let nearest = known.max_by_key(|known| common(known));
    nearest.filter(|known| PREFIX.len() < common(known))
}

fn read_switch(text: &str) -> Switch {
    let is = |words: &[&str]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
    if is(&["true", "yes", "on", "1"]) {
        Switch::On
    } else if is(&["false", "no", "off", "0"]) {
        Switch::Off
    } else {
        Switch::Unreadable
    }
}

fn read_time(text: &str) -> Option<Duration> {
    read_duration(text).filter(|time| *time <= LABEL_TIME_MAX)
}

fn read_long(text: &str) -> Option<Duration> {
    read_duration(text).filter(|time| *time <= TIME_MAX)
}

fn read_window(text: &str) -> Option<Duration> {
    read_long(text).filter(|time| WINDOW_MIN <= *time)
}

fn read_budget(text: &str) -> Option<(u32, Option<Duration>)> {
    let (count, window) = match text.split_once('/') {
        Some((count, window)) => (count, Some(read_window(window.trim())?)),
        None => (text, None),
    };
    let count: u32 = count.trim().parse().ok()?;
    (count <= BUDGET_MAX).then_some((count, window))
}

#[cfg(test)]
mod tests {
    //! Which labels are named as unknown.
    use super::*;
    use crate::fixture::{identity, subject};
    use crate::id::Tier;
    use alloc::string::ToString;

    #[test]
    fn a_label_that_the_configuration_goes_by_is_known_whatever_it_begins_with() {
        let mut settings = ContainerSettings::new(identity("c", Tier::Container, 1), subject("h/d"));
        let labels = ["watchtree.tier", "watchtree.enabled"].map(|key| (key.to_string(), "db".to_string()));
        let labels = BTreeMap::from(labels);
        let read = Labels::read(&labels, &settings);
        assert_eq!((read.remarks.len(), read.enable), (2, Some(Switch::Unreadable)));
        settings.named_labels = labels.keys().cloned().collect();
        let read = Labels::read(&labels, &settings);
        assert_eq!((read.remarks.len(), read.enable), (0, None));
    }
}
