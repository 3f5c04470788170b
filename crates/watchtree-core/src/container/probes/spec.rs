//! One probe: what is asked of a container, how often, and what counts. Checked where it is made; knows no label and no file.
//!
//! The words and the defaults are those of Kubernetes, but for a TCP probe: a bare connect proves nothing, since the kernel accepts
//! it for a process that is frozen. So it passes by an answer only.

use crate::time::Duration;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What a probe is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum ProbeKind {
    /// Has it come up? Until this has passed once in a life, the others are not run.
    Startup,
    /// Is it well? If not, it is repaired as its policy says.
    Liveness,
    /// Can it serve just now? Shown, and nothing else.
    Readiness,
}

impl ProbeKind {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    /// As it is written in labels and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Method {
    /// `GET path`: the status must be among these, and the body must hold that text.
    Http {
        /// Where it listens.
        port: u16,
        /// Path and query.
        path: String,
        /// The `Host` header; `None` = the address.
        host: Option<String>,
        /// Least and greatest status.
        status: (u16, u16),
        /// What the body must hold.
        body: Option<String>,
    },
    /// Something is sent, and an answer must come.
    Tcp {
        /// Where it listens.
        port: u16,
        /// What is sent; may be empty.
        send: Vec<u8>,
        /// What the answer must hold; empty = any byte.
        expect: Vec<u8>,
    },
    /// A program is run in the container, and must end with 0.
    Exec {
        /// The program and its arguments.
        argv: Vec<String>,
    },
}

impl Method {
    /// Longest path, in bytes.
    pub const PATH_BYTES_MAX: usize = 256;
    /// Longest text of a body, of what is sent and of what is expected, in bytes.
    pub const TEXT_BYTES_MAX: usize = 256;
    /// Longest command with its arguments, in bytes: shorter than what is passed on of a label, so that none is cut.
    pub const ARGV_BYTES_MAX: usize = 480;
    /// Statuses that pass unless others are named.
    pub const STATUS: (u16, u16) = (200, 399);

    /// True where a process is begun for it.
    pub fn is_exec(&self) -> bool {
        matches!(self, Self::Exec { .. })
    }

    /// In a few words: `http :8080/healthz`.
    pub fn words(&self) -> String {
        match self {
            Self::Http { port, path, .. } => format!("http :{port}{path}"),
            Self::Tcp { port, .. } => format!("tcp :{port}"),
            Self::Exec { argv } => format!("exec {}", argv.first().map_or("", String::as_str)),
        }
    }

    /// What no single value shows.
    fn check(&self) -> Result<(), String> {
        let bad = |what: &str| Err(what.to_string());
        let is_text =
            |text: &str, max| !text.is_empty() && text.len() <= max && text.bytes().all(|it| it.is_ascii_graphic());
        match self {
            Self::Http { port: 0, .. } | Self::Tcp { port: 0, .. } => bad("port 0 is none"),
            Self::Http { path, .. } if !path.starts_with('/') || !is_text(path, Self::PATH_BYTES_MAX) => {
                bad("the path must begin with / and have at most 256 printable bytes")
            }
            Self::Http { host: Some(host), .. } if !is_text(host, 253) => {
                bad("the host must have 1 to 253 printable bytes")
            }
            Self::Http {
                status: (least, most), ..
            } if *least < 100 || 599 < *most || most < least => bad("a status lies between 100 and 599"),
            Self::Http { body: Some(text), .. } if text.is_empty() || Self::TEXT_BYTES_MAX < text.len() => {
                bad("the text of the body must have 1 to 256 bytes")
            }
            Self::Tcp { send, expect, .. } if Self::TEXT_BYTES_MAX < send.len().max(expect.len()) => {
                bad("send and expect have at most 256 bytes each")
            }
            Self::Exec { argv } if argv.first().is_none_or(String::is_empty) => bad("exec names no program"),
            Self::Exec { argv } if Self::ARGV_BYTES_MAX < argv.iter().map(|it| it.len() + 1).sum() => {
                bad("the command with its arguments has at most 480 bytes")
            }
            _ => Ok(()),
        }
    }
}

/// How often, and how many answers count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// From the beginning of one run to the next.
    pub period: Duration,
    /// A run that takes longer has timed out.
    pub timeout: Duration,
    /// None before this after the start of the container.
    pub initial_delay: Duration,
    /// So many failures in a row are a failure.
    pub failure_threshold: u32,
    /// So many passes in a row end one.
    pub success_threshold: u32,
}

impl Timing {
    /// Shortest and longest period.
    pub const PERIOD: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
    /// Shortest period of a probe that begins a process: each costs the engine some 60 ms of a core.
    pub const EXEC_PERIOD_MIN: Duration = Duration::from_secs(1);
    /// Shortest and longest timeout.
    pub const TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
    /// Longest initial delay.
    pub const INITIAL_DELAY_MAX: Duration = Duration::from_secs(3600);
    /// Greatest threshold.
    pub const THRESHOLD_MAX: u32 = 1000;
    const PERIOD_DEFAULT: Duration = Duration::from_secs(10);
    const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
    /// An engine takes a while to begin a process.
    const EXEC_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

    /// The default of that method, where that period is asked for: a run that is to be repeated soon ends before the next one begins.
    pub fn of(method: &Method, period: Option<Duration>) -> Self {
        let period = period.unwrap_or(Self::PERIOD_DEFAULT);
        let timeout = match method.is_exec() {
            true => Self::EXEC_TIMEOUT_DEFAULT,
            false => Self::TIMEOUT_DEFAULT,
        };
        Self {
            period,
            timeout: if period < timeout { period * 4 / 5 } else { timeout },
            initial_delay: Duration::ZERO,
            failure_threshold: 3,
            success_threshold: 1,
        }
    }
}

/// A probe that can be run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeSpec {
    method: Method,
    timing: Timing,
}

impl ProbeSpec {
    /// Checks it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn new(kind: ProbeKind, method: Method, timing: Timing) -> Result<Self, String> {
        method.check()?;
        let within = |time: Duration, (least, most): (Duration, Duration)| least <= time && time <= most;
        let is_threshold = |count: u32| (1..=Timing::THRESHOLD_MAX).contains(&count);
        let wrong = if !within(timing.period, Timing::PERIOD) {
            "the period must be 100ms to 1h"
        } else if method.is_exec() && timing.period < Timing::EXEC_PERIOD_MIN {
            "the period of an exec probe must be 1s or longer"
        } else if !within(timing.timeout, Timing::TIMEOUT) {
            "the timeout must be 10ms to 60s"
        } else if Timing::INITIAL_DELAY_MAX < timing.initial_delay {
            "the initial delay is at most 1h"
        } else if !is_threshold(timing.failure_threshold) || !is_threshold(timing.success_threshold) {
            "a threshold must be 1 to 1000"
        } else if kind != ProbeKind::Readiness && timing.success_threshold != 1 {
            "the success threshold must be 1 but for readiness"
        } else {
            return Ok(Self { method, timing });
        };
        Err(wrong.to_string())
    }

    /// What is asked.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// How often.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }
}

/// The probes of one container, by [`ProbeKind`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProbeSpecs([Option<ProbeSpec>; 3]);

impl ProbeSpecs {
    /// The probe for that.
    pub fn get(&self, kind: ProbeKind) -> Option<&ProbeSpec> {
        self.0[kind as usize].as_ref()
    }

    /// Sets it.
    pub fn set(&mut self, kind: ProbeKind, spec: Option<ProbeSpec>) {
        self.0[kind as usize] = spec;
    }

    /// It has none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// Names one run of a probe. Unique within an epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct ProbeRun(pub u64);

/// What a run came to. Words are cut to [`ProbeOutcome::WORDS_BYTES_MAX`] where they are made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProbeOutcome {
    /// It is well.
    Passed,
    /// It answered, and that it is not well; or nobody listens.
    Failed(String),
    /// No answer came in time.
    TimedOut(String),
    /// It could not be asked: nothing is known of it.
    CannotRun(String),
}

/// The answer to one run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeAnswer {
    /// What it came to.
    pub outcome: ProbeOutcome,
    /// Why it was not asked in the container's own network but at its address, if so.
    pub outside: Option<String>,
}

impl From<ProbeOutcome> for ProbeAnswer {
    fn from(outcome: ProbeOutcome) -> Self {
        let outside = None;
        Self { outcome, outside }
    }
}

impl ProbeOutcome {
    /// Longest words of an outcome, in bytes.
    pub const WORDS_BYTES_MAX: usize = 160;
}

#[cfg(test)]
mod tests {
    //! What is no probe, and why.
    use super::*;
    use alloc::vec;

    fn http(path: &str) -> Method {
        Method::Http {
            port: 80,
            path: path.to_string(),
            host: None,
            status: Method::STATUS,
            body: None,
        }
    }

    #[test]
    fn defaults_are_a_probe_of_every_kind() {
        let tcp = Method::Tcp {
            port: 1,
            send: vec![],
            expect: vec![],
        };
        let exec = Method::Exec {
            argv: vec!["/check".to_string()],
        };
        for method in [http("/"), tcp, exec] {
            for kind in ProbeKind::ALL {
                let timing = Timing::of(&method, None);
                assert_eq!(timing.period, Duration::from_secs(10));
                assert!(ProbeSpec::new(kind, method.clone(), timing).is_ok(), "{method:?}");
            }
        }
        let quick = Timing::of(&http("/"), Some(Duration::from_millis(250)));
        assert_eq!(quick.timeout, Duration::from_millis(200));
        let second = Timing::of(&http("/"), Some(Duration::from_secs(1)));
        assert_eq!(second.timeout, second.period);
    }

    #[test]
    fn what_does_not_fit_is_said_in_words() {
        let good = Timing::of(&http("/"), None);
        let exec = || Method::Exec {
            argv: vec!["/check".to_string()],
        };
        let error = |method: Method, timing: Timing, kind| ProbeSpec::new(kind, method, timing).unwrap_err();
        let of = |change: fn(&mut Timing)| {
            let mut timing = good;
            change(&mut timing);
            error(http("/"), timing, ProbeKind::Liveness)
        };
        assert_eq!(
            of(|it| it.period = Duration::from_millis(99)),
            "the period must be 100ms to 1h"
        );
        assert_eq!(
            of(|it| it.timeout = Duration::from_secs(61)),
            "the timeout must be 10ms to 60s"
        );
        assert_eq!(
            of(|it| it.initial_delay = Duration::from_secs(3601)),
            "the initial delay is at most 1h"
        );
        assert_eq!(of(|it| it.failure_threshold = 0), "a threshold must be 1 to 1000");
        assert_eq!(of(|it| it.success_threshold = 1001), "a threshold must be 1 to 1000");
        assert_eq!(
            of(|it| it.success_threshold = 2),
            "the success threshold must be 1 but for readiness"
        );
        let twice = Timing {
            success_threshold: 2,
            ..good
        };
        assert!(ProbeSpec::new(ProbeKind::Readiness, http("/"), twice).is_ok());
        let often = Timing {
            period: Duration::from_millis(999),
            ..good
        };
        assert!(error(exec(), often, ProbeKind::Liveness).contains("exec probe"));
        let methods = [
            http("healthz"),
            http("/a b"),
            http("/a\r\nX: y"),
            http(&"/x".repeat(200)),
            Method::Exec { argv: vec![] },
            Method::Exec {
                argv: vec!["x".repeat(480)],
            },
            Method::Tcp {
                port: 0,
                send: vec![],
                expect: vec![],
            },
            Method::Tcp {
                port: 1,
                send: vec![0; 257],
                expect: vec![],
            },
        ];
        for method in methods {
            let error = error(method.clone(), good, ProbeKind::Startup);
            assert!(!error.is_empty(), "{method:?}");
        }
    }
}
