//! What is seen during a run, each note with its moment, from whoever saw it. It judges nothing.
//!
//! Moments are milliseconds since the run began; the engine's own stamps are brought to that clock. Everything comes from
//! outside the watchdog, but [`What::Shown`], which is what it shows.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the run began.
pub(super) type Ms = u64;

/// What a person asks of the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    Start,
    Stop,
    /// A signal by its number.
    Kill(u32),
    Restart,
    Pause,
    Unpause,
    Remove,
}

/// What the watchdog asks of the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Call {
    Start,
    Stop,
    Restart,
    Kill,
    /// A request that it is never to make.
    Other,
}

/// An event of the engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Event {
    Start,
    Die { code: i32 },
    Kill { signal: u32 },
    Stop,
    Pause,
    Unpause,
    Destroy,
    Healthy,
    Unhealthy,
}

/// What a container does by the engine's list and the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Listed {
    /// `running`, `exited`, `paused`, `restarting`, `created`, `dead`, `removing`.
    pub(super) state: String,
    /// The kernel has processes of it.
    pub(super) alive: bool,
    /// With which code it ended, where it has.
    pub(super) code: Option<i32>,
}

/// Who is away, or back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Presence {
    /// It answers.
    Here,
    /// It runs, and does not answer.
    Frozen,
    /// It goes down, or is down.
    Away,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A container was made at that place of the world.
    Made {
        slot: usize,
    },
    /// A person's request was sent.
    Asked(Ask),
    /// It was answered so; `None` = it was not.
    Answered(Ask, Option<u16>),
    Event(Event),
    /// The watchdog's request left it.
    Posted(Call, u64),
    /// The engine's answer to that request; `None` = the connection ended without one.
    Replied(u64, Option<u16>),
    /// Its process was frozen, or its check was told to fail.
    Hurt,
    /// A person keeps repairs away until then, and was told so.
    Held(Ms),
    /// A person asked for a hold until then, and got no answer.
    MayBeHeld(Ms),
    Released,
    /// The engine has this restart policy for it from now on.
    Policy(&'static str),
    /// A person deploys a successor, or is done.
    Deploys(bool),
    Listed(Listed),
    /// What the watchdog shows of it: state and why.
    Shown(String, String),
    Engine(Presence),
    Watchdog(Presence),
}

/// One note; `id` is empty where it is about no container.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) at: Ms,
    pub(super) id: String,
    pub(super) what: What,
}

/// The run's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    zero: Instant,
    wall: Duration,
}

impl Clock {
    pub(super) fn begin() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let zero = Instant::now();
        Self { zero, wall }
    }

    pub(super) fn now(&self) -> Ms {
        u64::try_from(self.zero.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A stamp of the engine; 0 for what was before the run.
    pub(super) fn of_stamp(&self, nanos: u64) -> Ms {
        let since = Duration::from_nanos(nanos).saturating_sub(self.wall);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// The seconds that the engine's events are asked for from.
    pub(super) fn wall_secs(&self) -> u64 {
        self.wall.as_secs()
    }
}

/// Where notes are written.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    pub(super) clock: Clock,
    to: Sender<Note>,
}

impl Tape {
    pub(super) fn new(clock: Clock, to: Sender<Note>) -> Self {
        Self { clock, to }
    }

    pub(super) fn note(&self, id: &str, what: What) {
        self.note_at(self.clock.now(), id, what);
    }

    pub(super) fn note_at(&self, at: Ms, id: &str, what: What) {
        let id = id.to_owned();
        // Whoever reads has ended: so will we.
        let _ended = self.to.send(Note { at, id, what });
    }
}

/// As people read it: minutes, seconds, milliseconds.
pub(super) fn clock_words(at: Ms) -> String {
    format!("{:02}:{:02}.{:03}", at / 60_000, at / 1000 % 60, at % 1000)
}
