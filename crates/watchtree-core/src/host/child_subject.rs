//! A container-watchdog process as a [`Subject`]: its ping, its guards, its reboot.
//!
//! Ping: it runs, said Hello, and its beats are fresh or it answers. Reboot, as a machine:
//!
//! ```text
//!   runs ──SIGKILL (hung), SIGTERM (another build)──▶ Ending ── the kernel says it is gone ──▶ Starting ── started ──▶
//!   is gone ───────────────────────────────────────────────────────────────────────────────▶ Starting
//!        Greeting ── Hello ──▶ succeeded
//!        Starting, Greeting ── not started, ended, no Hello in time ──▶ failed
//! ```
//!
//! Kills on doubt, and starts the next one only when the kernel has confirmed. Does not know budgets, delays or records.

use super::child_exit::{classify, fact};
use super::child_process::{ChildProcess, Phase};
use super::io::{ChildSignal, HostPolicy};
use crate::backend::Child as Session;
use crate::decision::{ActionKind, Guard, Outcome};
use crate::subject::{Incarnation, SubjectId};
use crate::supervisor::{
    Admission, Assessment, Block, GuardResult, Ill, Outputs, Progress, Shown, Subject, Supervision,
};
use crate::time::{Duration, Moment, seconds};
use crate::verdict::{Evidence, EvidenceKind, Level, State};
use alloc::format;
use alloc::string::String;
use alloc::vec;

/// A signal that nothing came of is repeated after this.
const SIGNAL_AGAIN: Duration = Duration::from_secs(5);
/// A start whose answer was lost (a defect of the driver) is repeated after this; the engine's lock keeps two from acting.
const START_LOST: Duration = Duration::from_secs(60);

/// What the host role knows around one child.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) policy: &'a HostPolicy,
    /// Its link, if it ever said Hello.
    pub(super) session: Option<&'a Session>,
    /// From then on this daemon may judge others.
    pub(super) settled: Moment,
    /// Until when a hold keeps repairs away.
    pub(super) held_until: Option<Moment>,
    /// Living ones of a former life of this daemon are still being looked for.
    pub(super) is_searching: bool,
    /// The machine is going down.
    pub(super) is_going_down: bool,
    /// The build of this daemon.
    pub(super) build: &'a str,
}

/// What is to be done for a child.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ChildCommand {
    /// Start a process.
    Start,
    /// Send a signal to that process.
    Signal(u32, ChildSignal),
    /// Ask it over its link to answer.
    Ping,
}

/// Where a reboot stands; see the module's text.
#[derive(Clone, Debug)]
pub(super) enum Restart {
    /// The old process is to end.
    Ending,
    /// The driver was asked for a new one; the end of the old one is a fact of this repair.
    Starting(Option<Evidence>),
    /// The new one is to say Hello.
    Greeting,
}

type Out<'a> = Outputs<'a, ChildCommand>;

/// Asks for a process.
pub(super) fn request_start(process: &mut ChildProcess, now: Moment, out: &mut Out<'_>) {
    process.start(now + START_LOST);
    out.command(ChildCommand::Start);
}

/// Sends that signal, for the first time or again.
pub(super) fn request_end(
    process: &mut ChildProcess,
    now: Moment,
    signal: ChildSignal,
    within: Duration,
    out: &mut Out<'_>,
) {
    if let Some(pid) = process.end_by(signal, now + within) {
        out.command(ChildCommand::Signal(pid, signal));
    }
}

/// Asks again where nothing came of what was asked for: a signal, and a start if another one is wanted at all.
pub(super) fn repeat_if_late(process: &mut ChildProcess, now: Moment, may_start: bool, out: &mut Out<'_>) {
    match process.phase() {
        Phase::Starting { until } if until <= now && may_start => request_start(process, now, out),
        Phase::Starting { until } if until <= now => process.start_is_lost(),
        Phase::Ending { until, .. } if until <= now => {
            request_end(process, now, ChildSignal::Kill, SIGNAL_AGAIN, out);
        }
        Phase::Absent
        | Phase::Starting { .. }
        | Phase::Greeting { .. }
        | Phase::Live { .. }
        | Phase::Doubted { .. }
        | Phase::Ending { .. } => (),
    }
}

/// How it is shown while it ends.
pub(super) fn shown_while_ending(process: &ChildProcess) -> Option<Shown> {
    match process.phase() {
        Phase::Ending { pid, signal, .. } => Some(ending(pid, signal)),
        Phase::Absent
        | Phase::Starting { .. }
        | Phase::Greeting { .. }
        | Phase::Live { .. }
        | Phase::Doubted { .. } => None,
    }
}

/// Takes what time and its link have changed.
fn catch_up(process: &mut ChildProcess, now: Moment, around: &Around<'_>, out: &mut Out<'_>) {
    if around.session.is_some_and(|session| session.is_fresh(now)) {
        process.trust();
    }
    if now < around.settled && process.until().is_some_and(|until| until <= now) {
        process.extend_deadlines(around.settled);
    }
    repeat_if_late(process, now, !around.is_going_down, out);
}

/// When a live one is to be looked at again.
pub(super) fn next_deadline(process: &ChildProcess, session: Option<&Session>, settled: Moment) -> Option<Moment> {
    match process.phase() {
        Phase::Live { .. } => Some(session?.fresh_until()?.max(settled)),
        Phase::Absent
        | Phase::Starting { .. }
        | Phase::Greeting { .. }
        | Phase::Doubted { .. }
        | Phase::Ending { .. } => None,
    }
}

fn ping_live(process: &mut ChildProcess, now: Moment, pid: u32, around: &Around<'_>, out: &mut Out<'_>) -> Assessment {
    let fresh_until = around.session.and_then(Session::fresh_until);
    if around.settled <= now && fresh_until.is_some_and(|until| until <= now) {
        let until = now + around.policy.child_ping_within;
        process.doubt(until);
        out.command(ChildCommand::Ping);
        return doubted(pid, until);
    }
    if let Some(how) = is_to_be_replaced(process, now, around) {
        let evidence = vec![Evidence::new(EvidenceKind::Observer, now, how.clone())];
        return Assessment::Unhealthy { how, evidence };
    }
    Assessment::Well {
        since: process.joined().unwrap_or(now),
        shown: Shown::new(State::Ok, format!("beats, process {pid}")),
    }
}

fn ping_doubted(now: Moment, pid: u32, until: Moment, around: &Around<'_>) -> Assessment {
    if now < until {
        return doubted(pid, until);
    }
    let newest = around.session.and_then(Session::newest);
    let slot = newest.map_or(Moment::ZERO, |(slot, _)| slot);
    let silent = format!("nothing after slot {slot}, {:.1} s ago", now.since(slot).as_secs_f32());
    let within = around.policy.child_ping_within.as_millis();
    let asked = format!("a ping was not answered within {within} ms");
    Assessment::Unhealthy {
        how: format!("process {pid} hangs"),
        evidence: vec![
            Evidence::new(EvidenceKind::MissedSlot, now, silent),
            Evidence::new(EvidenceKind::Ping, now, asked),
        ],
    }
}

/// An adopted child of another build is replaced between its repairs. One that was started by us is of the build that
/// is installed, also where that is newer than we are: an upgrade in two steps.
fn is_to_be_replaced(process: &ChildProcess, now: Moment, around: &Around<'_>) -> Option<String> {
    let session = around.session.filter(|_| process.is_adopted())?;
    let build = &session.hello().identity.version;
    let is_busy = session.book().iter().any(|verdict| verdict.state == State::Repairing);
    // A child that has just said Hello has not reported its repairs yet.
    let has_reported = process.joined()? + around.policy.child_beat * 3 <= now;
    let is_other = build != around.build && !is_busy && has_reported;
    is_other.then(|| format!("it is of build {build}, this is {}", around.build))
}

/// An end that was not asked for is classified once.
fn classify_end(process: &mut ChildProcess, now: Moment, around: &Around<'_>, supervision: &mut Supervision) {
    if let Some(end) = process.take_end() {
        let incarnation = process.incarnation().clone();
        supervision.set_exit(classify(now, process.engine(), incarnation, &end, around.policy));
    }
}

impl Subject for ChildProcess {
    type Around<'a> = Around<'a>;
    type Repair = Restart;
    type Command = ChildCommand;

    fn id(&self) -> &SubjectId {
        self.subject()
    }

    fn incarnation(&self, _: &Around<'_>) -> Incarnation {
        ChildProcess::incarnation(self).clone()
    }

    fn ping(&mut self, now: Moment, around: &mut Around<'_>, on: &mut Supervision, out: &mut Out<'_>) -> Assessment {
        classify_end(self, now, around, on);
        catch_up(self, now, around, out);
        let pending = |until, shown| Assessment::Pending { until, shown };
        match self.phase() {
            Phase::Absent if on.exit().is_some() => Assessment::Down,
            Phase::Absent => pending(None, Shown::new(State::Unknown, "not started yet")),
            Phase::Starting { until } => pending(Some(until), starting()),
            Phase::Greeting { pid, until } if now < until => pending(Some(until), greeting(pid)),
            Phase::Greeting { pid, .. } => Assessment::Unhealthy {
                how: format!("process {pid} hangs"),
                evidence: vec![Evidence::new(EvidenceKind::MissedSlot, now, no_hello(around.policy))],
            },
            Phase::Live { pid } => ping_live(self, now, pid, around, out),
            Phase::Doubted { pid, until } => ping_doubted(now, pid, until, around),
            Phase::Ending { pid, until, signal } => pending(Some(until), ending(pid, signal)),
        }
    }

    fn action(&self, _: Ill) -> ActionKind {
        ActionKind::ReviveWatchdog
    }

    fn plan(&self, _: ActionKind) -> &'static str {
        match self.phase() {
            Phase::Absent | Phase::Starting { .. } => "start it again",
            Phase::Live { .. } => "replace it between repairs",
            Phase::Greeting { .. } | Phase::Doubted { .. } | Phase::Ending { .. } => "kill it and start it again",
        }
    }

    fn guards(
        &mut self,
        now: Moment,
        ill: Ill,
        around: &mut Around<'_>,
        on: &Supervision,
        admission: &mut Admission,
        _: &mut Out<'_>,
    ) {
        let meanwhile = match self.phase() {
            Phase::Live { .. } => State::Ok,
            Phase::Doubted { .. } => State::Suspect,
            Phase::Greeting { .. } | Phase::Starting { .. } => State::Starting,
            Phase::Absent | Phase::Ending { .. } => State::Repairing,
        };
        admission.ask(Guard::Observer, || match ill {
            _ if around.is_searching => Block::new("living ones are still being looked for", meanwhile).into(),
            Ill::Running => GuardResult::pass("this daemon ran without a stall for a whole window"),
            Ill::Down => GuardResult::Skip(String::from("the kernel said it")),
        });
        admission.ask_unless_waived(Guard::Hold, on.waiver(), || match around.held_until {
            Some(until) => {
                let why = format!("held for {} more", seconds(until.since(now)));
                Block::new(why, meanwhile).until(until).keyed("").into()
            }
            None => GuardResult::pass("not held"),
        });
        admission.ask(Guard::HostShutdown, || match around.is_going_down {
            true => Block::new("the machine is going down", meanwhile).into(),
            false => GuardResult::pass("the machine is not going down"),
        });
    }

    fn reboot(
        &mut self,
        now: Moment,
        _: ActionKind,
        around: &mut Around<'_>,
        _: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Restart {
        match self.phase() {
            Phase::Absent | Phase::Starting { .. } => {
                request_start(self, now, out);
                return Restart::Starting(None);
            }
            Phase::Live { .. } => {
                let within = around.policy.child_stop_within;
                request_end(self, now, ChildSignal::Terminate, within, out);
            }
            Phase::Greeting { .. } | Phase::Doubted { .. } | Phase::Ending { .. } => {
                request_end(self, now, ChildSignal::Kill, SIGNAL_AGAIN, out);
            }
        }
        Restart::Ending
    }

    fn advance(
        &mut self,
        now: Moment,
        repair: &mut Restart,
        around: &mut Around<'_>,
        on: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Progress {
        catch_up(self, now, around, out);
        if around.is_going_down && self.is_absent() {
            let why = "nothing of it runs, and the machine is going down";
            return over(Outcome::Overruled, String::from(why));
        }
        if let (Restart::Ending, Phase::Absent) = (&*repair, self.phase()) {
            *repair = Restart::Starting(self.take_end().map(|end| fact(now, &end)));
            request_start(self, now, out);
        }
        if let (Restart::Starting(old), Some(pid)) = (&mut *repair, self.pid()) {
            let result = format!("process {pid} was started");
            let new = || Evidence::new(EvidenceKind::NewIncarnation, now, result.clone());
            let fact = old.take().unwrap_or_else(new);
            *repair = Restart::Greeting;
            return Progress::Restarted { result, fact };
        }
        let waits = |until, shown| Progress::Waits {
            until: Some(until),
            shown,
        };
        match self.phase() {
            Phase::Absent => {
                classify_end(self, now, around, on);
                let how = on.exit().map_or("it is gone", |exit| exit.how());
                over(Outcome::Failed, format!("{how} before it said Hello"))
            }
            Phase::Starting { until } => waits(until, starting()),
            Phase::Ending { until, pid, signal } => waits(until, ending(pid, signal)),
            Phase::Greeting { pid, until } if now < until => waits(until, greeting(pid)),
            Phase::Greeting { pid, .. } => {
                let why = format!("process {pid}: {}", no_hello(around.policy));
                over(Outcome::Failed, why)
            }
            Phase::Live { pid } | Phase::Doubted { pid, .. } => {
                let build = around.session.map_or("", |session| &session.hello().identity.version);
                let result = format!("process {pid} of build {build} said Hello");
                over(Outcome::Succeeded, result)
            }
        }
    }
}

fn over(outcome: Outcome, result: String) -> Progress {
    Progress::Over { outcome, result }
}

fn doubted(pid: u32, until: Moment) -> Assessment {
    let why = format!("process {pid} missed its beats: asked to answer");
    Assessment::Pending {
        until: Some(until),
        shown: Shown::new(State::Suspect, why).level(Level::Weak),
    }
}

fn starting() -> Shown {
    Shown::new(State::Starting, "being started")
}

fn greeting(pid: u32) -> Shown {
    let why = format!("runs as process {pid}, has not said Hello yet");
    Shown::new(State::Starting, why)
}

fn ending(pid: u32, signal: ChildSignal) -> Shown {
    match signal {
        ChildSignal::Terminate => Shown::new(State::Unwatched, format!("process {pid} was asked to stop")),
        ChildSignal::Kill => Shown::new(State::Repairing, format!("process {pid} hung and was killed")),
    }
}

fn no_hello(policy: &HostPolicy) -> String {
    format!("no Hello within {} s of its start", policy.child_hello_within.as_secs())
}

#[cfg(test)]
mod tests;
