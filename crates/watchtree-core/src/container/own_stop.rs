//! Whose signals are whose while a `/stop` of ours is under way. Knows no container and no repair.

use super::io::EngineTime;
use crate::time::{Duration, Moment};
use alloc::format;
use alloc::string::{String, ToString};

/// How much earlier than ordered the engine's own SIGKILL may be stamped.
const KILL_SLACK: Duration = Duration::from_millis(100);
/// How much later than ordered it comes from an engine that has little else to do.
const KILL_WITHIN: Duration = Duration::from_secs(1);

/// An engine that cannot send the stop signal, as while its containerd is away, sends SIGKILL this much later, whatever the
/// timeout of the stop.
const FORCED_AFTER: Duration = Duration::from_secs(2);

/// What a `/stop` of ours does to the event stream: one stop signal, at most one SIGKILL and that not before its time,
/// one `stop`. Where the stop signal could not be sent, there is none of it. Whatever is more is somebody else's. A SIGKILL that comes late may be either's: ours is followed by a `stop`, or
/// by the answer to our call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OwnStop {
    /// Events after this are looked at.
    since: EngineTime,
    /// When `/stop` was posted, on our clock and on the engine's: the event of its first signal may be lost.
    posted: Option<(Moment, EngineTime)>,
    stop_signal: u32,
    timeout: Duration,
    first: Option<EngineTime>,
    /// When the event of the first signal came, if it came live.
    first_came: Option<Moment>,
    killed: bool,
    /// The SIGKILL came later than it should.
    killed_late: bool,
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
            killed_late: false,
            stopped: false,
            void: false,
        }
    }

    /// `/stop` is posted then, on our clock and on the engine's.
    pub(crate) fn post(&mut self, at: Moment, stamp: EngineTime) {
        self.posted = Some((at, stamp));
    }

    /// When `/stop` was posted, if it was in this boot.
    pub(crate) fn posted(&self) -> Option<Moment> {
        self.posted.map(|(at, _)| at)
    }

    /// The time between the stop signal and SIGKILL.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// By how much a SIGKILL comes after its time; `None` = before it. Our own clock tells it where the event came live: the
    /// engine's may be set during our stop.
    fn kill_delay(&self, at: EngineTime, came: Option<Moment>) -> Option<Duration> {
        let reached = self.first_came.or(self.posted());
        if let Some((reached, came)) = reached.zip(came) {
            let due = reached + self.timeout;
            return (due <= came + KILL_SLACK).then(|| came.since(due));
        }
        let due = self.first.or(self.posted.map(|(_, stamp)| stamp))?.plus(self.timeout);
        (due <= at.plus(KILL_SLACK)).then(|| Duration::from_nanos(at.0.saturating_sub(due.0)))
    }

    /// By how much a SIGKILL without a signal before it comes after the time at which an engine forces a stop; `None` = that
    /// it is not. One that did not come live may have had its signal before it, which was forgotten: only one that comes in
    /// time is held to be forced then.
    fn forced_delay(&self, at: EngineTime, came: Option<Moment>) -> Option<Duration> {
        let (posted, stamp) = self.posted?;
        if let Some(came) = came {
            let due = posted + FORCED_AFTER;
            return (due <= came + KILL_SLACK).then(|| came.since(due));
        }
        let due = stamp.plus(FORCED_AFTER);
        let delay = Duration::from_nanos(at.0.saturating_sub(due.0));
        (due <= at.plus(KILL_SLACK) && delay <= KILL_WITHIN).then_some(delay)
    }

    /// By how much a SIGKILL of ours comes after its time, where nothing was seen of the signal before it.
    fn unannounced_delay(&self, at: EngineTime, signal: u32, came: Option<Moment>) -> Option<Duration> {
        self.posted.filter(|_| signal == 9)?;
        self.kill_delay(at, came).or_else(|| self.forced_delay(at, came))
    }

    /// The engine found nothing to stop: no signal is ours. True if one was taken for ours.
    pub(crate) fn void(&mut self) -> bool {
        let taken = self.first.is_some();
        (self.void, self.first) = (true, None);
        taken
    }

    /// The engine says that it was carried out.
    pub(crate) fn carried_out(&mut self) {
        self.killed_late = false;
    }

    /// The engine found nothing to stop.
    pub(crate) fn is_void(&self) -> bool {
        self.void
    }

    /// Has the stop reached the engine?
    pub(crate) fn is_seen(&self) -> bool {
        self.first.is_some()
    }

    /// A late SIGKILL was taken for ours, and nothing else shows yet that it is.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.killed_late && !self.stopped
    }

    /// A stop signal (by the container's meaning) was sent. `came` = when its event came, if it came live: then it is later
    /// than our post whatever its stamp says.
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
            // The event of its first signal may be lost, or that signal itself.
            None => match self.unannounced_delay(at, signal, came) {
                Some(delay) => {
                    self.killed_late = KILL_WITHIN < delay;
                    (self.first, self.killed) = (Some(at), true);
                    Ok(())
                }
                None => Err(format!(
                    "signal {signal} was sent through the engine, ours is {}",
                    self.stop_signal
                )),
            },
            Some(_) if signal == 9 && !self.killed => match self.kill_delay(at, came) {
                Some(delay) => {
                    (self.killed, self.killed_late) = (true, KILL_WITHIN < delay);
                    Ok(())
                }
                None => Err("SIGKILL was sent through the engine before our stop's time was up".to_string()),
            },
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

/// Is a stop signal ours? `own` = our stop, if one is under way; `came` as for [`OwnStop::signal`].
///
/// # Errors
/// It is somebody else's: in words.
pub(crate) fn whose_signal(
    own: Option<&mut OwnStop>,
    at: EngineTime,
    signal: u32,
    came: Option<Moment>,
) -> Result<(), String> {
    match own {
        Some(own) => own.signal(at, signal, came),
        None => Err(format!("signal {signal} was sent through the engine during our repair")),
    }
}

/// As [`whose_signal`], for a `stop` event.
///
/// # Errors
/// As there.
pub(crate) fn whose_stop(own: Option<&mut OwnStop>, at: EngineTime, came: Option<Moment>) -> Result<(), String> {
    match own {
        Some(own) => own.stop(at, came),
        None => Err("a stop was carried out through the engine during our repair".to_string()),
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
        let mut own = own;
        own.post(Moment::from_millis(7200), at(200));
        assert!(
            own.clone().signal(at(5_000), 9, None).is_err(),
            "a person's, before its time"
        );
        assert!(own.signal(at(10_210), 9, None).is_ok() && own.is_seen() && !own.is_doubtful());
        assert!(own.signal(at(10_220), 9, None).is_err(), "a second one");
    }

    #[test]
    fn a_sigkill_that_follows_a_signal_which_could_not_be_sent_is_ours() {
        let mut own = OwnStop::new(at(100), 15, Duration::from_secs(10));
        let ours = |own: &OwnStop, stamp, came: Option<u64>| {
            let mut own = own.clone();
            let is_ours = own.signal(at(stamp), 9, came.map(Moment::from_millis)).is_ok();
            (is_ours, own.is_doubtful())
        };
        assert!(!ours(&own, 2250, Some(9250)).0, "this process posted nothing");
        own.post(Moment::from_millis(7200), at(200));
        assert_eq!(
            ours(&own, 1900, Some(8900)),
            (false, false),
            "before an engine forces it"
        );
        assert_eq!(ours(&own, 2250, Some(9250)), (true, false));
        assert_eq!(ours(&own, 2250, None), (true, false));
        assert_eq!(ours(&own, 5000, Some(12_000)), (true, true), "late: what follows tells");
        assert_eq!(ours(&own, 5000, None), (false, false));
        assert!(own.signal(at(210), 15, Some(Moment::from_millis(7210))).is_ok());
        assert_eq!(ours(&own, 2250, Some(9250)), (false, false), "it was sent");
    }

    #[test]
    fn a_late_sigkill_is_ours_if_a_stop_or_the_answer_follows_it() {
        let mut own = OwnStop::new(at(100), 15, Duration::from_secs(10));
        own.post(Moment::from_millis(7200), at(200));
        for first_is_seen in [true, false] {
            let mut own = own.clone();
            if first_is_seen {
                assert!(own.signal(at(210), 15, Some(Moment::from_millis(7210))).is_ok());
            }
            assert!(own.signal(at(12_000), 9, Some(Moment::from_millis(19_000))).is_ok());
            assert!(own.is_doubtful());
            let mut answered = own.clone();
            answered.carried_out();
            assert!(!answered.is_doubtful());
            assert!(own.stop(at(12_100), None).is_ok() && !own.is_doubtful());
        }
    }

    #[test]
    fn the_order_of_arrival_tells_when_its_time_is_up_where_the_clock_was_set_back() {
        let mut own = OwnStop::new(at(100_000), 15, Duration::from_secs(10));
        own.post(Moment::from_millis(7000), at(100_000));
        assert!(own.signal(at(100_010), 15, None).is_ok(), "replayed");
        let came = |ms| Some(Moment::from_millis(ms));
        assert!(own.clone().signal(at(50_000), 9, came(16_000)).is_err());
        assert!(own.signal(at(50_000), 9, came(17_010)).is_ok() && !own.is_doubtful());
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

    #[test]
    fn a_stop_that_did_nothing_owns_no_signal() {
        let fresh = OwnStop::new(at(100), 15, Duration::from_secs(2));
        let mut own = fresh.clone();
        assert!(!own.is_seen() && !own.void(), "none was taken for ours");
        assert!(own.signal(at(110), 15, None).is_err() && own.stop(at(120), None).is_err());
        let mut own = fresh.clone();
        assert!(own.signal(at(110), 15, None).is_ok() && own.void() && !own.is_seen());
        let mut own = fresh;
        assert!(
            own.signal(at(100), 15, None).is_err() && own.stop(at(100), None).is_err(),
            "of before"
        );
        let came = Some(Moment::from_millis(5));
        assert!(
            own.signal(at(100), 15, came).is_ok(),
            "it came live: a clock was set back"
        );
        assert!(own.stop(at(90), came).is_ok());
    }
}
