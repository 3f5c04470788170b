//! One repair of one container, from the decision to its end. Knows no map, no other subject and no budget: what it sees is
//! passed in, what it wants comes out as [`Act`]s.
//!
//! ```text
//!  crash ─────────────────────────────────────────────────────────────┐
//!                                                                      ▼
//!  unhealthy ─▶ Capturing ─▶ Stopping ─answer─▶ AwaitEnd ─die─▶ StartDue ─▶ Starting ─answer─▶ AwaitStart ─▶ Verifying ─▶ over
//!                                │  answer lost: inspect, never post again │  ▲    │ 304: inspect    │
//!                                └──────────────────────────────────────┘  └──────┴────────────────┘ not running after all
//!  journal ─▶ any from Stopping on         any ──a person's stop, kill or rm──▶ overruled
//! ```

mod capturing;
mod ending;
mod starting;
mod step;
mod stuck_stop;
mod verify;

use capturing::Capturing;
pub(crate) use capturing::Remains;
use ending::{EndSeen, end_seen};
use starting::{Due, DueAt, when_due};
use step::{AGAIN_AFTER, END_SHOWS, Next, STAY, STOP_LINGERS, TRIES_MAX, failed, overruled, post_start, post_stop};
pub(crate) use step::{Act, Moved, STOP_FOLLOWS, Scene, Step};
use stuck_stop::StuckStop;
use verify::{StartSeen, start_seen, verify};

use crate::container::continuity::EventContinuity;
use crate::container::io::{CallAnswer, ContainerId, EngineError, EngineTime, Performed, Ticket};
use crate::container::observation::{ContainerObservation, Status};
use crate::container::own_stop::{self, OwnStop};
use crate::container::record::RepairStep;
use crate::container::refused_call;
use crate::decision::{ActionKind, Outcome};
use crate::subject::Incarnation;
use crate::supervisor::{Refusal, Shown};
use crate::time::{Duration, Moment};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Repair {
    kind: ActionKind,
    id: ContainerId,
    /// The incarnation that is being ended or has ended.
    incarnation: Incarnation,
    step: Step,
    /// A stop of ours from its post on.
    own: Option<OwnStop>,
    /// The same before that: no signal can be its.
    planned: Option<OwnStop>,
    captures: Capturing,
    /// The newest event when it began: signals after it count.
    last_event: EngineTime,
    stop_secs: u32,
    /// Posts of `/start` that changed nothing (304, connection refused).
    tries: u32,
    /// Why a person wins, if one does.
    overruled: Option<String>,
    /// `/start` was posted.
    started: bool,
    /// It was begun by a process before this one, which may have seen of it what nobody remembers.
    is_resumed: bool,
    /// What the engine said to a stop that it refused.
    refusal: Option<String>,
    /// The engine has answered our stop: none is under way.
    stop_answered: bool,
    stuck: StuckStop,
}

impl Repair {
    /// A start of what is down.
    pub(crate) fn start(id: ContainerId, incarnation: Incarnation, now: Moment) -> Self {
        let step = Step::StartDue { at: now, inspect: None };
        Self::new(ActionKind::Start, id, incarnation, step)
    }

    /// A stop of what runs, then a start.
    pub(crate) fn stop_then_start(id: ContainerId, incarnation: Incarnation, own: OwnStop, stop_secs: u32) -> Self {
        Self {
            planned: Some(own),
            stop_secs,
            ..Self::new(ActionKind::StopThenStart, id, incarnation, Step::StopDue)
        }
    }

    fn new(kind: ActionKind, id: ContainerId, incarnation: Incarnation, step: Step) -> Self {
        Self {
            kind,
            id,
            incarnation,
            step,
            own: None,
            planned: None,
            captures: Capturing::default(),
            last_event: EngineTime(0),
            stop_secs: 0,
            tries: 0,
            overruled: None,
            started: false,
            is_resumed: false,
            refusal: None,
            stop_answered: false,
            stuck: StuckStop::default(),
        }
    }

    /// One that was under way when the process before this one ended; `done` = a start was posted, our stop was answered.
    pub(crate) fn resumed(self, step: Step, last_event: EngineTime, own: Option<OwnStop>, done: (bool, bool)) -> Self {
        Self {
            step,
            last_event,
            own,
            planned: None,
            started: done.0,
            is_resumed: true,
            stop_answered: done.1,
            ..self
        }
    }

    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    pub(crate) fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    pub(crate) fn stops_first(&self) -> bool {
        self.kind == ActionKind::StopThenStart
    }

    pub(crate) fn last_event(&self) -> EngineTime {
        self.last_event
    }

    pub(crate) fn stop_secs(&self) -> u32 {
        self.stop_secs
    }

    /// True while a call of it is or may be under way in the engine.
    pub(crate) fn is_calling(&self) -> bool {
        matches!(self.step, Step::Stopping { .. } | Step::Starting { .. })
    }

    /// True for steps that leave the container down by our own doing.
    pub(crate) fn is_half_done(&self) -> bool {
        self.stops_first() && self.step.is_between()
    }

    /// The engine answered its call, or did not within its deadline. Returns what to do; nothing for a call of before.
    pub(crate) fn answered(&mut self, now: Moment, ticket: Ticket, result: CallAnswer) -> Option<Vec<Act>> {
        if !self.waits_for(ticket) || (self.lost_call().is_some() && result == Err(EngineError::Deadline)) {
            return None;
        }
        let stopping = matches!(self.step, Step::Stopping { .. });
        let mut acts = Vec::new();
        match result {
            Ok(how) if stopping => {
                acts.push(Act::Journal(RepairStep::StopAnswered));
                self.stop_done(now, how);
            }
            Ok(_) => {
                acts.push(Act::Journal(RepairStep::StartAnswered));
                self.step = Step::AwaitStart { since: now };
            }
            Err(EngineError::Deadline) => self.step.lose(),
            Err(EngineError::NotFound) => self.overruled = Some("it was removed during our repair".to_string()),
            Err(EngineError::Refused { status, message }) if stopping => {
                self.stop_answered = true;
                match refused_call::unseen_stop(status, &message) {
                    Some(refusal) => self.stop_unseen(refusal),
                    None => {
                        // It still runs: the next inspection decides, and the back-off keeps us from hammering.
                        self.refusal = Some(format!("the engine refused the stop ({status}): {message}"));
                        self.step = Step::AwaitEnd { until: now };
                    }
                }
            }
            Err(EngineError::Refused { status, message }) => {
                let (refusal, is_void) = (refused_call::start(status, &message), !self.stops_first());
                self.step = Step::Refused { refusal, is_void };
            }
            Err(EngineError::Unreachable(_) | EngineError::BadAnswer(_)) => {
                self.step = self.step.connection_broke(now, self.stop_secs, self.tries);
                self.tries += u32::from(!stopping);
            }
        }
        acts.push(Act::Inspect);
        Some(acts)
    }

    /// The engine has answered our stop.
    fn stop_done(&mut self, now: Moment, how: Performed) {
        self.stop_answered = true;
        self.step = Step::AwaitEnd { until: now + END_SHOWS };
        let Some(own) = &mut self.own else { return };
        match how {
            Performed::Done => own.carried_out(),
            // The end is that of the shim that we killed.
            Performed::AlreadySo if self.stuck.has_killed() => {}
            Performed::AlreadySo if own.void() => {
                self.overruled = Some("somebody else had stopped it before our stop came".to_string());
            }
            // Who ended it is to be found out as of any other end.
            Performed::AlreadySo => self.step = Step::EndedBefore,
        }
    }

    /// Our stop was refused before the engine saw it: no signal is ours.
    fn stop_unseen(&mut self, refusal: Refusal) {
        if self.own.as_mut().is_some_and(OwnStop::void) {
            self.overrule("somebody else stopped it, and our stop never came to the engine");
        }
        self.step = Step::Refused { refusal, is_void: true };
    }

    /// Our stop, where it may still be under way in the engine.
    pub(crate) fn lingering_stop(&self) -> Option<&OwnStop> {
        let is_open = !self.stop_answered && !self.started;
        self.own.as_ref().filter(|own| is_open && own.posted().is_some())
    }

    /// When its `/stop` was posted, if it was in this boot.
    pub(crate) fn posted_stop(&self) -> Option<Moment> {
        self.own.as_ref().and_then(OwnStop::posted)
    }

    /// True where what was to be seen of its stop may have come to a process before this one, and the engine has forgotten it
    /// since: that it was not seen says nothing then.
    pub(crate) fn may_have_missed_stop(&self, continuity: &EventContinuity) -> bool {
        self.is_resumed && !continuity.reaches(self.last_event)
    }

    /// True where the end of its container is, or will be, the work of a stop of ours.
    pub(crate) fn has_stopped(&self) -> bool {
        self.own.as_ref().is_some_and(|own| !own.is_void())
    }

    /// See [`Step::engine_went`].
    pub(crate) fn engine_went(&mut self, now: Moment) -> bool {
        self.step.engine_went(now)
    }

    pub(crate) fn is_verifying(&self) -> bool {
        matches!(self.step, Step::Verifying { .. })
    }

    /// A stop of ours is under way: the order of arrival tells what a stamp cannot.
    pub(crate) fn is_stopping(&self) -> bool {
        self.own.is_some() && !self.started
    }

    /// A person's act fell into it, and wins.
    pub(crate) fn overrule(&mut self, why: &str) {
        self.overruled.get_or_insert_with(|| why.to_string());
    }

    /// True for a stop signal that would not overrule it; `came` as for [`Self::takes_signal`].
    pub(crate) fn owns_signal(&self, at: EngineTime, signal: u32, came: Option<Moment>) -> bool {
        let own = self.own.clone().filter(|_| !self.started);
        own.is_some_and(|mut own| own.signal(at, signal, came).is_ok())
    }

    /// A stop signal was sent to its container; `came` = when its event came, if it came live. True if it is our own.
    pub(crate) fn takes_signal(&mut self, at: EngineTime, signal: u32, came: Option<Moment>) -> bool {
        let own = self.own.as_mut().filter(|_| !self.started);
        let whose = own_stop::whose_signal(own, at, signal, came);
        self.heed(whose)
    }

    /// As [`Self::takes_signal`], for a `stop` event.
    pub(crate) fn takes_stop(&mut self, at: EngineTime, came: Option<Moment>) -> bool {
        let whose = own_stop::whose_stop(self.own.as_mut(), at, came);
        self.heed(whose)
    }

    /// True if it is our own: nobody else's act overrules us by it.
    fn heed(&mut self, whose: Result<(), String>) -> bool {
        self.overruled = whose.clone().err().or(self.overruled.take());
        whose.is_ok()
    }

    /// Why a person wins, if one does.
    pub(crate) fn overruled(&self) -> Option<&str> {
        self.overruled.as_deref()
    }

    /// Is the call of that ticket the one it waits for?
    fn waits_for(&self, ticket: Ticket) -> bool {
        self.step.ticket() == Some(ticket)
    }

    /// The call that its deadline has passed by, in words.
    pub(crate) fn lost_call(&self) -> Option<&'static str> {
        self.step.lost_call()
    }

    /// What is shown of the container meanwhile.
    pub(crate) fn shown(&self) -> Shown {
        let shown = self.step.shown();
        let is_stopping = matches!(self.step, Step::Stopping { .. });
        let stuck = self.stuck.words().filter(|_| is_stopping);
        stuck.map_or(shown.clone(), |words| Shown::new(shown.state(), words))
    }

    /// Moves on as far as it can go now.
    pub(crate) fn advance(&mut self, now: Moment, scene: &Scene<'_>, acts: &mut Vec<Act>) -> Moved {
        loop {
            if let Some(why) = self.overruled.take() {
                return Moved::Overruled(why);
            }
            let next = match self.step.clone() {
                Step::StopDue => {
                    acts.push(self.captures.order(now));
                    self.step = Step::Capturing;
                    Next::Go
                }
                Step::Capturing => {
                    let held = self.captures.hold(now, scene, self.is_new(scene.observation), acts);
                    held.unwrap_or_else(|| self.post_stop(now, scene, acts))
                }
                Step::Stopping { lost, .. } => self.while_stopping(now, scene, lost, acts),
                Step::AwaitEnd { until } => self.await_end(now, scene, until, acts),
                Step::StartDue { at, inspect } => self.start_due(now, scene, (at, inspect), acts),
                Step::Starting { lost, .. } => self.while_starting(now, scene, lost),
                Step::AwaitStart { since } => self.await_start(now, scene, since, acts),
                Step::Verifying { since, life } => verify(now, scene, since, &life),
                Step::Refused { refusal, is_void } => Next::Refused(refusal, is_void),
                Step::EndedBefore => failed("it had ended before our stop came"),
            };
            match next {
                Next::Go => {}
                Next::Stay(until) => return Moved::Waits(until),
                Next::Restarted(since) => return Moved::Restarted(since),
                Next::Refused(refusal, is_void) => return Moved::Refused { refusal, is_void },
                Next::End(outcome, words) => return Moved::Over(outcome, words),
            }
        }
    }

    fn is_new(&self, it: &ContainerObservation) -> bool {
        let life = it.incarnation();
        it.is_current() && !life.0.is_empty() && life != self.incarnation
    }

    /// By this it is captured.
    #[must_use]
    pub(crate) fn capturing(mut self, remains: Remains) -> Self {
        self.captures = Capturing::of(remains);
        self
    }

    /// It holds its stop back for what is captured.
    pub(crate) fn is_capturing(&self) -> bool {
        self.step == Step::Capturing
    }

    /// What was asked for then was captured. False if this repair has not asked for it, or has it already.
    pub(crate) fn captured(&mut self, asked_then: Moment) -> bool {
        self.captures.has_come(asked_then)
    }

    fn post_stop(&mut self, now: Moment, scene: &Scene<'_>, acts: &mut Vec<Act>) -> Next {
        self.last_event = scene.newest_event;
        self.own = self.planned.take();
        if let Some(own) = &mut self.own {
            own.post(now, scene.engine_now);
        }
        self.step = Step::Stopping {
            ticket: scene.ticket,
            lost: false,
        };
        acts.extend(post_stop(scene.ticket, self.stop_secs));
        Next::Go
    }

    fn while_stopping(&mut self, now: Moment, scene: &Scene<'_>, lost: bool, acts: &mut Vec<Act>) -> Next {
        let status = scene.observation.status();
        if self.is_new(scene.observation) && status == Status::Running {
            return overruled("somebody else started it anew during our stop");
        }
        if lost && status == Status::Down {
            return self.has_ended(now, scene);
        }
        let posted = self.own.as_ref().and_then(OwnStop::posted);
        let stop = (posted, Duration::from_secs(self.stop_secs.into()));
        Next::Stay(self.stuck.watch(now, stop, scene.observation, acts))
    }

    /// It is down since our stop was posted: was it our stop that ended it?
    fn has_ended(&mut self, now: Moment, scene: &Scene<'_>) -> Next {
        // Only an unbroken stream can show a person's stop that fell into ours.
        if let Some(gap) = scene.gap_until {
            return Next::Stay(Some(gap));
        }
        if self.own.as_ref().is_some_and(OwnStop::is_doubtful) {
            let told = scene.observation.ended_at(now) + STOP_FOLLOWS;
            return match now < told {
                true => Next::Stay(Some(told)),
                false => {
                    self.overrule(
                        "SIGKILL was sent through the engine long after our stop's time, and no stop followed",
                    );
                    Next::Go
                }
            };
        }
        self.step = Step::StartDue { at: now, inspect: None };
        Next::Go
    }

    fn await_end(&mut self, now: Moment, scene: &Scene<'_>, until: Moment, acts: &mut Vec<Act>) -> Next {
        let seen = self.lingering_stop().filter(|own| own.is_seen());
        let lingers = seen.and_then(|own| Some(own.posted()? + own.timeout() + STOP_LINGERS));
        match end_seen(now, scene, (until, lingers), self.is_new(scene.observation), acts) {
            EndSeen::NotYet(next) => return next,
            EndSeen::Ended => return self.has_ended(now, scene),
            EndSeen::Nothing => {}
        }
        if let Some(words) = self.refusal.take() {
            return Next::End(Outcome::Failed, words);
        }
        failed(if self.own.as_ref().is_some_and(OwnStop::is_seen) {
            "it was stopped and runs on"
        } else {
            "the stop never reached it"
        })
    }

    fn start_due(&mut self, now: Moment, scene: &Scene<'_>, due: DueAt, acts: &mut Vec<Act>) -> Next {
        let (is_new, may_be_tried) = (self.is_new(scene.observation), self.tries < TRIES_MAX);
        match when_due(now, scene, due, (is_new, self.is_half_done(), may_be_tried), acts) {
            Due::Stay(next) => next,
            Due::Runs => {
                self.step = Step::AwaitStart { since: now };
                Next::Go
            }
            Due::Post => {
                self.post_start(scene, acts);
                STAY
            }
            Due::Again => self.start_again(now),
        }
    }

    /// Puts the next `/start` off, for an inspection before it.
    fn start_again(&mut self, now: Moment) -> Next {
        if TRIES_MAX <= self.tries {
            return failed("the engine took the start and did nothing, again and again");
        }
        let at = now + AGAIN_AFTER.saturating_mul(1 << self.tries.min(5));
        self.tries += 1;
        self.step = Step::StartDue { at, inspect: Some(at) };
        Next::Stay(Some(at))
    }

    fn post_start(&mut self, scene: &Scene<'_>, acts: &mut Vec<Act>) {
        self.step = Step::Starting {
            ticket: scene.ticket,
            lost: false,
        };
        self.started = true;
        self.last_event = scene.newest_event;
        acts.extend(post_start(scene.ticket, scene.start_deadline));
    }

    fn while_starting(&mut self, now: Moment, scene: &Scene<'_>, lost: bool) -> Next {
        // The answer alone ends the call; where it is lost, the container itself must show what became of it.
        if lost && self.is_new(scene.observation) {
            self.step = Step::AwaitStart { since: now };
            return Next::Go;
        }
        STAY
    }

    fn await_start(&mut self, now: Moment, scene: &Scene<'_>, since: Moment, acts: &mut Vec<Act>) -> Next {
        match start_seen(now, scene.observation, since, self.is_new(scene.observation)) {
            StartSeen::Runs { since, life } => {
                acts.extend(self.captures.after_start(now, self.stops_first()));
                self.step = Step::Verifying { since, life };
                Next::Restarted(since)
            }
            StartSeen::Over(next) => {
                acts.extend(self.captures.after_start(now, self.stops_first()));
                next
            }
            StartSeen::NotYet => STAY,
            StartSeen::Unclear => {
                acts.push(Act::Inspect);
                STAY
            }
            StartSeen::Nothing => self.start_again(now),
        }
    }
}
