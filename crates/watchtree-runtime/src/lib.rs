//! The one tokio driver of a core machine, and what every daemon does alike: clock, signals, service manager, log,
//! exit codes, conditions, the status API's server.
//!
//! Knows no role and no technology of a role; decides nothing.

pub mod clock;
pub mod conditions;
pub mod drive;
pub mod events;
pub mod exit;
pub mod http;
pub mod logging;
pub mod pulse;
pub mod signals;
pub mod systemd;
pub mod view;

pub use clock::Clock;
pub use conditions::Conditions;
pub use drive::{Drive, Ended, Execute, StateRead, StateReader, Unresponsive, drive};
pub use events::EventLog;
pub use exit::{Code, Exit};
pub use http::{HttpError, HttpServer, Serving};
pub use pulse::Pulse;
pub use signals::{SignalRequest, Signals};

/// The tokio runtime of a daemon: two workers are plenty, and each costs memory.
///
/// # Errors
/// The kernel's, if threads cannot be made.
pub fn tokio_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    exit::works_from_now();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_name("watchtree")
        .enable_all()
        .build()
}
