//! How a container of the model is made, and how its process behaves. Plain data without a rule of its own.
//!
//! A container's init is a program that may end by itself, react to signals, or hang; its health check passes, fails or
//! cannot run. Nothing here knows the engine that carries it out.

use std::collections::BTreeMap;
use watchtree_core::container::io::{ContainerId, Joins, Namespace, RestartPolicy};
use watchtree_core::time::Duration;

/// What `docker create` is told, as far as this model knows it.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// Its id; empty = the engine makes one up.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// The engine's own policy.
    pub policy: RestartPolicy,
    /// A stop signal of its own; `None` = TERM.
    pub stop_signal: Option<u32>,
    /// A stop timeout of its own; `None` = 10 s.
    pub stop_timeout: Option<Duration>,
    /// `--rm`.
    pub auto_remove: bool,
    /// `-t`, or `-i` without `-d`.
    pub terminal: bool,
    /// `network_mode: container:ID`, and the same of its pids and its ipc.
    pub joins: Joins,
    /// Ports of the machine that it binds.
    pub ports: Vec<u16>,
    /// Files of the machine that it mounts.
    pub mounts: Vec<String>,
    /// Networks that it is attached to.
    pub networks: Vec<String>,
    /// Its image, as it was named.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its health check, if it has one.
    pub check: Option<Check>,
    /// Its init.
    pub program: Program,
}

impl Spec {
    /// The names in a label, with commas between.
    pub(super) fn names_in(&self, label: &str) -> Vec<String> {
        let text = self.labels.get(label).map_or("", String::as_str);
        text.split(',')
            .filter(|name| !name.is_empty())
            .map(Into::into)
            .collect()
    }

    /// It joins that namespace of that container.
    pub fn join(&mut self, namespace: Namespace, owner: ContainerId) {
        self.joins.insert(namespace, owner);
    }

    /// A plain container: a well-behaved init, no policy, no check.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// What a program does when a signal reaches it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnSignal {
    /// Nothing: an init without a handler, or a handler that goes on (HUP = read the configuration anew).
    Ignore,
    /// It ends with that code after that time.
    Exit {
        /// Its exit code.
        code: i64,
        /// Its last work takes that long on top of the usual reaction.
        after: Duration,
    },
}

/// The init of a container.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Handlers; a signal that is not named here ends it with 128 + its number if it is a stop signal (INT, QUIT, TERM, or
    /// the container's own), and is ignored otherwise. KILL always ends it.
    pub handlers: BTreeMap<u32, OnSignal>,
    /// It ends by itself that long after each start, with that code.
    pub runs_for: Option<(Duration, i64)>,
    /// It cannot be started: exit code (126, 127) and the runtime's words.
    pub cannot_start: Option<(i64, String)>,
    /// It serves nobody before that long after each start.
    pub comes_up: Option<Duration>,
    /// What it says to whom asks it so (`http :80/ready`), where that is no.
    pub says_no: BTreeMap<String, String>,
}

impl Program {
    /// Ignores everything but KILL.
    pub fn stubborn() -> Self {
        let ignored = [1, 2, 3, 10, 12, 15].map(|signal| (signal, OnSignal::Ignore));
        Self {
            handlers: BTreeMap::from(ignored),
            ..Self::default()
        }
    }

    /// Ends with that code on TERM, after that time.
    pub fn on_term(code: i64, after: Duration) -> Self {
        Self {
            handlers: BTreeMap::from([(15, OnSignal::Exit { code, after })]),
            ..Self::default()
        }
    }

    /// What that signal does to it.
    pub fn reacts(&self, signal: u32, stop_signal: u32) -> OnSignal {
        if signal == 9 {
            return OnSignal::Exit {
                code: 137,
                after: Duration::ZERO,
            };
        }
        let by_default = match signal == stop_signal || [2, 3, 15].contains(&signal) {
            true => OnSignal::Exit {
                code: 128 + i64::from(signal),
                after: Duration::ZERO,
            },
            false => OnSignal::Ignore,
        };
        self.handlers.get(&signal).copied().unwrap_or(by_default)
    }
}

/// What a run of a health check comes to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum CheckResult {
    /// Exit code 0.
    #[default]
    Passes,
    /// Another exit code, with its output; 126 and 127 are a shell's words for a file that it cannot run or find.
    Fails(i64, String),
    /// The runtime could not start it; its words are all there is.
    CannotRun(String),
    /// It does not end within its timeout.
    TimesOut,
    /// Each run comes to the next of these, then to the first again.
    InTurn(Vec<Self>),
}

impl CheckResult {
    /// What the run of that number comes to.
    pub fn of_run(&self, number: usize) -> &Self {
        match self {
            Self::InTurn(results) if !results.is_empty() => results[number % results.len()].of_run(number),
            result => result,
        }
    }
}

/// A health check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// Time from the end of one run to the next.
    pub interval: Duration,
    /// Its timeout.
    pub timeout: Duration,
    /// Failed runs in a row that make it unhealthy.
    pub retries: u32,
    /// Failures within this time of the start do not count.
    pub start_period: Duration,
    /// What its next runs come to.
    pub result: CheckResult,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            retries: 2,
            start_period: Duration::ZERO,
            result: CheckResult::Passes,
        }
    }
}
