//! A stopwatch that begins anew where this machine stood still: a bound in seconds is the product's, and a pause of the
//! machine (a virtual one that is not scheduled, say) is not. The product, too, judges nobody by what it missed.
//!
//! A thread looks at the time every few milliseconds; a machine that is merely busy lets it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// No look for longer than this: the machine stood still.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs from its start on.
pub struct Stopwatch(Arc<Mutex<Seen>>);

struct Seen {
    began: Instant,
    last: Instant,
}

impl Seen {
    fn look(&mut self) -> Duration {
        let now = Instant::now();
        if PAUSE < now - self.last {
            self.began = now;
        }
        self.last = now;
        now - self.began
    }
}

impl Stopwatch {
    /// Starts one; its thread ends soon after it was dropped.
    pub fn start() -> Self {
        let now = Instant::now();
        let seen = Arc::new(Mutex::new(Seen { began: now, last: now }));
        let watched = Arc::downgrade(&seen);
        std::thread::spawn(move || {
            while let Some(seen) = watched.upgrade() {
                seen.lock().unwrap_or_else(PoisonError::into_inner).look();
                drop(seen);
                std::thread::sleep(LOOK);
            }
        });
        Self(seen)
    }

    /// The time since then, or since this machine last stood still.
    pub fn elapsed(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).look()
    }
}
