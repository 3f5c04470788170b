//! What the host role is told of an engine and what it wants done to one: the engine's part of the role's border.

use crate::container::io::EngineError;
use crate::time::Duration;
use alloc::string::String;

/// A probe of an engine. Each is answered by another part of it, and costs it little however many containers there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum EngineProbe {
    /// `GET /_ping`: the daemon serves its socket.
    Ping,
    /// `GET /containers/json` of one container: its own view of them, and its images.
    List,
    /// `GET /info`: it reaches containerd.
    Info,
}

impl EngineProbe {
    /// All, for tables.
    pub const ALL: [Self; 3] = [Self::Ping, Self::List, Self::Info];

    /// Lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::List => "list",
            Self::Info => "info",
        }
    }

    /// How long it may take, body included.
    pub const fn within(self) -> Duration {
        match self {
            Self::Ping => Duration::from_secs(1),
            Self::List => Duration::from_secs(2),
            Self::Info => Duration::from_secs(3),
        }
    }
}

/// What a probe learned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProbeAnswer {
    /// In a few words: `29.1.3, 14 containers`.
    pub words: String,
    /// Do its containers survive its own end? `None` = it was not asked.
    pub live_restore: Option<bool>,
}

impl From<&str> for ProbeAnswer {
    fn from(words: &str) -> Self {
        Self {
            words: String::from(words),
            live_restore: None,
        }
    }
}

/// When an engine that is ill may be repaired.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RepairWhen {
    /// Never: a person does it.
    Never,
    /// Where no container ends by it: with live-restore, or where most of them are down already.
    #[default]
    Safe,
    /// Also where it ends all its containers.
    Always,
}

/// What can be done to an engine, the weakest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum EngineWork {
    /// Have the daemon write down what each of its threads is at.
    DumpStacks,
    /// Kill containerd and start it again: no container ends by it.
    RestartContainerd,
    /// Kill the daemon, if it is there, and start it again.
    RestartDaemon,
}

/// What the service manager says of a daemon.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UnitPhase {
    /// Nobody knows.
    #[default]
    Unknown,
    /// It is being started, or starts again by itself.
    Starting,
    /// It runs.
    Running,
    /// It was stopped in order.
    Stopped,
    /// It has failed, and is not started again by itself.
    Failed,
}

/// The daemon as the service manager and the kernel show it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EngineUnit {
    /// What the service manager says.
    pub phase: UnitPhase,
    /// In words, with what the kernel shows of its processes: `docker.service is active; dockerd (812) is stopped (T)`.
    pub words: String,
}

/// What comes back of an engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EngineAnswer {
    /// Answers `ProbeEngine`.
    Probed {
        /// Which probe.
        probe: EngineProbe,
        /// How long it took.
        took: Duration,
        /// What it learned, or how it failed.
        result: Result<ProbeAnswer, EngineError>,
    },
    /// Answers `InspectEngine`; `Err` = nothing can be found out, in words.
    Inspected(Result<EngineUnit, String>),
    /// Answers `WorkOnEngine`.
    Worked {
        /// What was to be done.
        work: EngineWork,
        /// What was done, or why not, in words.
        result: Result<String, String>,
    },
}
