//! Who is told of incidents, in both files: webhooks, and the programs and times of a host that calls a person itself.

use crate::error::ConfigError;
use crate::value::{Span, Url};
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use watchtree_core::host::io::{AlertPolicy, AlertWhen};

/// Most webhooks.
const WEBHOOKS_MAX: usize = 16;
/// Most programs.
const HOOKS_MAX: usize = 4;
/// Most retries that can be asked for; more is "for as long as it takes".
const RETRIES_MAX: u32 = 100;
/// Most words of a command.
const COMMAND_WORDS_MAX: usize = 16;

/// `[[webhook]]`: who is told when an incident opens, changes or closes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where the JSON is posted to.
    pub url: Url,
    /// Time for one attempt, answer included.
    #[serde(default = "webhook_deadline")]
    pub deadline: Span<100, 60_000>,
    /// A change is given up after this many more attempts; `None` = never.
    #[serde(default)]
    pub retries: Option<u32>,
}

fn webhook_deadline() -> Span<100, 60_000> {
    Span::millis(5000)
}

/// `[[hook]]`: a program that tells a person.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    command: Vec<String>,
    /// Time for one run.
    #[serde(default = "hook_deadline")]
    pub deadline: Span<100, 600_000>,
    /// As of a webhook.
    #[serde(default)]
    pub retries: Option<u32>,
}

fn hook_deadline() -> Span<100, 600_000> {
    Span::millis(30_000)
}

impl Hook {
    /// The program, by its full path, and its arguments.
    ///
    /// # Panics
    /// Never: a command without a program is no configuration.
    pub fn command(&self) -> (&Path, &[String]) {
        let (program, arguments) = self.command.split_first().expect("it was checked");
        (Path::new(program), arguments)
    }
}

/// `[alerts]`: when a host calls a person itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// In sight of a manager or not.
    pub when: AlertsWhen,
    /// With a manager: so long it must be out of sight.
    pub alone_after: Span<0, 86_400_000>,
    /// A container that stays unhealthy this long is told.
    pub unhealthy_after: Span<0, 86_400_000>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            when: AlertsWhen::default(),
            alone_after: Span::millis(60_000),
            unhealthy_after: Span::millis(60_000),
        }
    }
}

/// When a host calls a person itself.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum AlertsWhen {
    /// Where no manager is in sight.
    #[default]
    Alone,
    /// Whoever calls as well.
    Always,
    /// Never.
    Never,
}

impl Alerts {
    /// The core's numbers. `has_receivers` = somebody can be told; `has_parent` = there is a manager.
    pub(crate) fn policy(&self, has_receivers: bool, has_parent: bool) -> AlertPolicy {
        let alone_after = match has_parent {
            true => self.alone_after.get(),
            false => Duration::ZERO,
        };
        AlertPolicy {
            when: match self.when {
                _ if !has_receivers => AlertWhen::Never,
                AlertsWhen::Alone => AlertWhen::Alone { after: alone_after },
                AlertsWhen::Always => AlertWhen::Always,
                AlertsWhen::Never => AlertWhen::Never,
            },
            unhealthy_after: self.unhealthy_after.get(),
        }
    }
}

pub(crate) fn check_webhooks(webhooks: &[Webhook]) -> Result<(), ConfigError> {
    if WEBHOOKS_MAX < webhooks.len() {
        return Err(ConfigError::new(format!("[[webhook]]: at most {WEBHOOKS_MAX}")));
    }
    webhooks
        .iter()
        .try_for_each(|hook| check_retries("[[webhook]]", hook.retries))
}

pub(crate) fn check_hooks(hooks: &[Hook]) -> Result<(), ConfigError> {
    if HOOKS_MAX < hooks.len() {
        return Err(ConfigError::new(format!("[[hook]]: at most {HOOKS_MAX}")));
    }
    for hook in hooks {
        let program = hook.command.first().map(Path::new);
        if !program.is_some_and(Path::is_absolute) || COMMAND_WORDS_MAX < hook.command.len() {
            let why = format!(
                "[[hook]] command: begins with the full path of a program, and has at most {COMMAND_WORDS_MAX} words"
            );
            return Err(ConfigError::new(why));
        }
        check_retries("[[hook]]", hook.retries)?;
    }
    Ok(())
}

fn check_retries(table: &str, retries: Option<u32>) -> Result<(), ConfigError> {
    match retries.filter(|retries| RETRIES_MAX < *retries) {
        None => Ok(()),
        Some(retries) => Err(ConfigError::new(format!(
            "{table} retries: {retries} is too many; at most {RETRIES_MAX}, or leave it out to try for as long as it takes"
        ))),
    }
}
