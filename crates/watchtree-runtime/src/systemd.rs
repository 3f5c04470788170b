//! Notifications to the service manager: ready, stopping, a status line, and the watchdog's sign of life.
//!
//! Contract: without `NOTIFY_SOCKET` nothing here has an effect. The protocol's variables must not reach child processes: whoever
//! starts one removes [`ENV_NAMES`].

use sd_notify::NotifyState;
use watchtree_core::time::{Duration, Moment};

/// The variables by which systemd talks to *this* process only.
pub const ENV_NAMES: [&str; 5] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
];

/// Speaks to the service manager on behalf of the drive loop.
#[derive(Debug)]
pub(crate) struct Notifier {
    pet_every: Option<Duration>,
    pet_at: Moment,
    status: String,
    status_at: Moment,
    complained: bool,
}

impl Notifier {
    const STATUS_EVERY: Duration = Duration::from_secs(2);

    pub(crate) fn from_env() -> Self {
        Self {
            // A third of the watchdog's time: two pets may get lost to a slow turn.
            pet_every: sd_notify::watchdog_enabled().map(|within| within / 3),
            pet_at: Moment::ZERO,
            status: String::new(),
            status_at: Moment::ZERO,
            complained: false,
        }
    }

    pub(crate) fn ready(&mut self) {
        self.notify(&[NotifyState::Ready]);
    }

    pub(crate) fn stopping(&mut self) {
        self.notify(&[NotifyState::Stopping]);
    }

    /// A reload is one message pair; it was finished before this is called.
    pub(crate) fn reloaded(&mut self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.notify(&[NotifyState::Reloading, now]);
        }
        self.notify(&[NotifyState::Ready]);
    }

    /// Pets the watchdog when it is due. Called once per turn of the loop, from nowhere else.
    pub(crate) fn pet(&mut self, now: Moment) {
        let Some(every) = self.pet_every else { return };
        if self.pet_at <= now {
            self.pet_at = now + every;
            self.notify(&[NotifyState::Watchdog]);
        }
    }

    /// True when a new status line may be sent.
    pub(crate) fn wants_status(&self, now: Moment) -> bool {
        self.status_at <= now
    }

    pub(crate) fn status(&mut self, now: Moment, line: String) {
        self.status_at = now + Self::STATUS_EVERY;
        if line != self.status {
            self.notify(&[NotifyState::Status(&line)]);
            self.status = line;
        }
    }

    fn notify(&mut self, state: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(state)
            && !std::mem::replace(&mut self.complained, true)
        {
            tracing::warn!(%error, "cannot notify the service manager; it may end this daemon");
        }
    }
}
