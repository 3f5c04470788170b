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

/// The tokio runtime of a daemon whose work is small: all of it on the thread that calls `block_on`. A wake-up of another thread
/// costs more than most of what these daemons do then. What may take long goes to `spawn_blocking`.
///
/// # Errors
/// The kernel's, if it gives no descriptors.
pub fn one_thread_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    exit::works_from_now();
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(8)
        .thread_name("watchtree")
        // The loop that drives the machine has its turn after so many tasks at the latest.
        .event_interval(8)
        .enable_all()
        .build()
}

/// The tokio runtime of a daemon that has much to do: two workers are plenty, and each costs memory.
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
