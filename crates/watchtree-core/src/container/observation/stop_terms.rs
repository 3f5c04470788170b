//! How a container is stopped: by which signals, within which time, and with which exit codes. Pure; knows no container and no
//! event.

use crate::container::io::ContainerView;
use crate::time::Duration;

const SIGKILL: u32 = 9;
/// It ends a container that names no other.
const SIGTERM: u32 = 15;
/// Signals that end a process politely or not, whatever the container's stop signal is: INT, QUIT, KILL, TERM.
const STOP_SIGNALS: [u32; 4] = [2, 3, SIGKILL, SIGTERM];
/// The time of a stop that nobody gave another.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// From SIGKILL to the end.
const KILL_TAKES: Duration = Duration::from_secs(2);
/// A stop by a person may be given any time to end well (`docker stop --time 120`, `docker kill --signal TERM`), and no event
/// tells how much. Not for ever: the signal may have meant something else (QUIT: a thread dump).
const PATIENCE: Duration = Duration::from_secs(600);
/// What a shell, and the engine, add to the number of the signal that ended a process.
const BY_SIGNAL: i64 = 128;

/// See the module's text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct StopTerms {
    signal: u32,
    timeout: Duration,
}

impl StopTerms {
    /// Of one that says nothing of it.
    pub(super) const USUAL: Self = Self {
        signal: SIGTERM,
        timeout: TIMEOUT_DEFAULT,
    };

    /// As the container says itself, as far as that is known.
    pub(super) fn of(view: Option<&ContainerView>) -> Self {
        view.map_or(Self::USUAL, |view| Self {
            signal: view.stop_signal,
            timeout: view.stop_timeout.unwrap_or(TIMEOUT_DEFAULT),
        })
    }

    /// Its stop signal.
    pub(crate) fn signal(self) -> u32 {
        self.signal
    }

    /// True for a signal that means "end": its own stop signal, INT, QUIT, KILL or TERM.
    pub(crate) fn is_end(self, signal: u32) -> bool {
        signal == self.signal || STOP_SIGNALS.contains(&signal)
    }

    /// How long an ordinary stop takes.
    pub(crate) fn ordinary(self) -> Duration {
        self.timeout + KILL_TAKES
    }

    /// How long before its end a stop signal may have caused it.
    pub(crate) fn patience(self) -> Duration {
        self.ordinary().max(PATIENCE)
    }

    /// True for the exit code of a process that ended politely, as a stop has it end: without a failure, or by a signal that
    /// means "end" and is not KILL.
    pub(crate) fn is_polite(self, exit_code: i64) -> bool {
        let by_signal = |number: i64| u32::try_from(number).is_ok_and(|it| it != SIGKILL && self.is_end(it));
        exit_code == 0 || by_signal(exit_code - BY_SIGNAL)
    }
}

/// True for the exit code of a process that SIGKILL ended, by whoever sent it: the kernel too where memory ran out.
pub(crate) fn is_by_sigkill(exit_code: i64) -> bool {
    exit_code == BY_SIGNAL + i64::from(SIGKILL)
}

#[cfg(test)]
mod tests {
    //! What ends one that names its own signal, and how it looks afterwards.
    use super::*;

    #[test]
    fn its_own_signal_ends_it_too_and_its_own_time_counts() {
        let usual = StopTerms::of(None);
        let view = ContainerView {
            stop_signal: 28,
            stop_timeout: Some(Duration::from_secs(3600)),
            ..ContainerView::default()
        };
        let own = StopTerms::of(Some(&view));
        assert_eq!(
            [1, 2, 3, 9, 10, 15, 28].map(|it| usual.is_end(it)),
            [false, true, true, true, false, true, false]
        );
        assert!(own.is_end(28) && own.is_end(15) && !own.is_end(1));
        assert_eq!(
            (usual.ordinary(), usual.patience()),
            (Duration::from_secs(12), Duration::from_secs(600))
        );
        assert_eq!(own.ordinary(), own.patience());
        assert_eq!(
            [0, 143, 130, 131, 156].map(|it| usual.is_polite(it)),
            [true, true, true, true, false]
        );
        assert!(own.is_polite(156), "128 + WINCH");
        assert_eq!([1, 137, 129, 138, 255, -1].map(|it| usual.is_polite(it)), [false; 6]);
        assert!(is_by_sigkill(137) && !is_by_sigkill(9));
    }
}
