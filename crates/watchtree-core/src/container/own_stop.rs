//! Whose signals are whose while a `/stop` of ours is under way. Knows no container and no repair.

use super::io::EngineTime;
use crate::time::{Duration, Moment};
use alloc::format;
use alloc::string::{String, ToString};

/// How much earlier than ordered the engine's own SIGKILL may be stamped.
const KILL_SLACK: Duration = Duration::from_millis(100);
/// How long after its posting `/stop` may have reached the container, where its first signal was not seen.
const REACHED_WITHIN: Duration = Duration::from_secs(1);

/// What a `/stop` of ours does to the event stream: one stop signal, at most one SIGKILL and that not before its time,
/// one `stop`. Whatever is more is somebody else's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OwnStop {
    /// Events after this are looked at.
    since: EngineTime,
    /// When `/stop` was posted by a process before this one: the event of its first signal may be lost.
    posted: Option<EngineTime>,
    stop_signal: u32,
    timeout: Duration,
    first: Option<EngineTime>,
    /// When the event of the first signal came, if it came live.
    first_came: Option<Moment>,
    killed: bool,
    stopped: bool,
    void: bool,
}

impl OwnStop {
    pub(crate) fn new(since: EngineTime, stop_signal: u32, timeout: Duration) -> Self {
        Self {
            since,
            posted: None,
            stop_signal,
            timeout,
            first: None,
            first_came: None,
            killed: false,
            stopped: false,
            void: false,
        }
    }

    /// It was posted at that time by a process before this one. Where the engine forgot its events since, the SIGKILL that
    /// comes when our stop's time is up, and not at another time, is known to be ours without its first signal.
    pub(crate) fn posted_before(self, at: EngineTime) -> Self {
        Self {
            posted: Some(at),
            ..self
        }
    }

    fn is_late_kill(&self, at: EngineTime, signal: u32) -> bool {
        let Some(posted) = self.posted.filter(|_| signal == 9 && !self.killed) else {
            return false;
        };
        let due = posted.plus(self.timeout);
        due <= at.plus(KILL_SLACK) && at <= due.plus(REACHED_WITHIN)
    }

    /// The engine found nothing to stop: no signal is ours. True if one was taken for ours.
    pub(crate) fn void(&mut self) -> bool {
        let taken = self.first.is_some();
        (self.void, self.first) = (true, None);
        taken
    }

    /// Has the stop reached the engine?
    pub(crate) fn is_seen(&self) -> bool {
        self.first.is_some()
    }

    /// A stop signal (by the container's meaning) was sent. `came` = when its event came, if it came live: then it is later
    /// than our post whatever its stamp says, for the engine's clock may be set back during our stop.
    ///
    /// # Errors
    /// Not ours; why, in words.
    pub(crate) fn signal(&mut self, at: EngineTime, signal: u32, came: Option<Moment>) -> Result<(), String> {
        if at <= self.since && came.is_none() {
            return Err(format!(
                "signal {signal} was sent through the engine just before our stop"
            ));
        }
        match self.first {
            None if self.void => Err(format!(
                "signal {signal} was sent through the engine, and our stop did nothing"
            )),
            None if signal == self.stop_signal => {
                (self.first, self.first_came) = (Some(at), came);
                Ok(())
            }
            None if self.is_late_kill(at, signal) => {
                (self.first, self.killed) = (self.posted, true);
                Ok(())
            }
            None => Err(format!(
                "signal {signal} was sent through the engine, ours is {}",
                self.stop_signal
            )),
            Some(first) if signal == 9 && !self.killed => {
                let waited = self.first_came.zip(came).map(|(first, now)| now.since(first));
                let is_due = first.plus(self.timeout) <= at.plus(KILL_SLACK)
                    || waited.is_some_and(|waited| self.timeout <= waited + KILL_SLACK);
                if is_due {
                    self.killed = true;
                    Ok(())
                } else {
                    Err("SIGKILL was sent through the engine before our stop's time was up".to_string())
                }
            }
            Some(_) => Err(format!(
                "a further signal {signal} was sent through the engine during our stop"
            )),
        }
    }

    /// A `stop` event came; `came` as for a signal.
    ///
    /// # Errors
    /// Not ours; why, in words.
    pub(crate) fn stop(&mut self, at: EngineTime, came: Option<Moment>) -> Result<(), String> {
        if (at <= self.since && came.is_none()) || self.stopped || self.void {
            return Err("a second stop was carried out through the engine during our own".to_string());
        }
        self.stopped = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Whose signal is whose.
    use super::*;

    fn at(ms: u64) -> EngineTime {
        EngineTime(ms * 1_000_000)
    }

    #[test]
    fn a_sigkill_in_its_time_is_ours_though_the_first_signal_was_forgotten() {
        let own = OwnStop::new(at(100), 15, Duration::from_secs(10));
        assert!(
            own.clone().signal(at(10_210), 9, None).is_err(),
            "this process posted nothing"
        );
        let own = own.posted_before(at(200));
        assert!(own.clone().signal(at(10_210), 9, None).is_ok());
        assert!(
            own.clone().signal(at(5_000), 9, None).is_err(),
            "a person's, before its time"
        );
        assert!(
            own.clone().signal(at(12_000), 9, None).is_err(),
            "a person's, after its time"
        );
        let mut own = own;
        assert!(own.signal(at(10_210), 9, None).is_ok() && own.is_seen());
        assert!(own.signal(at(10_220), 9, None).is_err(), "a second one");
    }

    #[test]
    fn our_own_stop_is_ours_and_more_is_not() {
        let fresh = OwnStop::new(at(100), 15, Duration::from_secs(2));
        let mut own = fresh.clone();
        assert!(own.signal(at(110), 15, None).is_ok());
        assert!(own.signal(at(2050), 9, None).is_ok());
        assert!(own.stop(at(2100), None).is_ok());
        assert!(own.stop(at(2101), None).is_err());
        assert!(own.signal(at(2102), 9, None).is_err());
        let mut own = fresh.clone();
        assert!(own.signal(at(110), 15, None).is_ok());
        assert!(own.clone().signal(at(500), 9, None).is_err(), "too early to be ours");
        assert!(own.signal(at(500), 15, None).is_err(), "a second one");
        let mut own = fresh.clone();
        assert!(own.signal(at(110), 9, None).is_err(), "not our signal");
        let mut own = OwnStop::new(at(100), 9, Duration::ZERO);
        assert!(own.signal(at(110), 9, None).is_ok() && own.signal(at(111), 9, None).is_ok());
    }
}
