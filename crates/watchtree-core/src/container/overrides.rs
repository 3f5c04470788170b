//! The values of a policy that a class or a label may set, and those in force with their sources. Knows no container.

use crate::time::Duration;
use alloc::string::String;
use core::fmt;

/// What is done where it would be repaired.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Action {
    /// It is started, or stopped and started.
    #[default]
    Restart,
    /// It is reported.
    Notify,
}

impl Action {
    /// As it is written in labels and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Notify => "notify",
        }
    }

    /// Reads it.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Restart, Self::Notify]
            .into_iter()
            .find(|it| word.eq_ignore_ascii_case(it.as_str()))
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// What ships.
    Default,
    /// `[heal]` or `[[engine]]` of the configuration.
    Config,
    /// A class of the configuration: its place, from 1, and its name.
    Class(usize, String),
    /// A label of the container.
    Label(&'static str),
    /// How the container was made.
    Container(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Config => f.write_str("configuration"),
            Self::Class(number, name) => write!(f, "class {number} ({name})"),
            Self::Label(key) => write!(f, "label {key}"),
            Self::Container(what) => write!(f, "the container's {what}"),
        }
    }
}

macro_rules! overrides {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// Values that a class or a label may set.
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        pub struct Overrides { $($(#[$doc])* pub $name: Option<$kind>,)* }

        /// Values in force, each with its source; `None` where nobody set it.
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        pub(crate) struct InForce { $(pub(crate) $name: Option<($kind, Source)>,)* }

        impl InForce {
            /// What `set` says overrules what was said before.
            pub(crate) fn overrule(&mut self, set: &Overrides, source: impl Fn(&'static str) -> Source) {
                $(if let Some(value) = set.$name {
                    self.$name = Some((value, source(stringify!($name))));
                })*
            }
        }
    };
}

overrides! {
    /// Whether it is healed.
    heal: bool,
    /// What is done.
    action: Action,
    /// Restarts within `window`.
    budget: u32,
    /// See `budget`.
    window: Duration,
    /// Delay before the second restart in a row.
    delay_min: Duration,
    /// Longest delay.
    delay_max: Duration,
    /// A run of that length makes the next restart a first one.
    clean_after: Duration,
    /// A restarted one counts as repaired after this.
    verify: Duration,
    /// After a start, `unhealthy` is not acted on for this long.
    grace: Duration,
    /// It must have been unhealthy for this long.
    unhealthy_for: Duration,
    /// Between the stop signal and SIGKILL.
    stop_timeout: Duration,
    /// How often one retry is made once the limit is reached.
    retry_given_up: Duration,
}

/// Longest time that a class or a label may give.
pub const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Largest budget that a class or a label may give.
pub const BUDGET_MAX: u32 = 100;
