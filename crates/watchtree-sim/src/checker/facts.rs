//! What the checker has learned of a run from its log, host by host: the truth, and what its watchdogs say and show.
//!
//! It holds no rule; each observation changes it in one way.

use super::overload::Overload;
use super::reported::ReportedState;
use crate::log::{DiskChange, Excuse, Node, Observation, PersonAct, StartedBy};
use crate::state::engine::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use watchtree_core::container::io::{EngineTime, RunState};
use watchtree_core::container::record::Recovered;
use watchtree_core::id::BootId;
use watchtree_core::message::Goodbye;
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::State;

/// How long a fault excuses a suspicion after it ended.
pub(super) const EXCUSED_FOR: Duration = Duration::from_secs(12);
/// What runs this long is seen, also by the list.
const SEEN_WITHIN: Duration = Duration::from_secs(8);

/// A process, as onlookers know it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProcessFacts {
    pub(super) epoch: u64,
    pub(super) exists: bool,
    pub(super) frozen: bool,
    /// When it last started or thawed from a stall that it is told of.
    pub(super) well_since: Moment,
    /// When it last thawed, and how long it had been frozen: also where that was too short for it to be told.
    pub(super) thawed: (Moment, Duration),
}

impl ProcessFacts {
    pub(super) fn runs(&self) -> bool {
        self.exists && !self.frozen
    }

    fn take(&mut self, at: Moment, what: &Observation) {
        match what {
            Observation::ProcessStarted { epoch, .. } => {
                *self = Self {
                    epoch: *epoch,
                    exists: true,
                    well_since: at,
                    ..Self::default()
                };
            }
            Observation::ProcessEnded { .. } => (self.exists, self.frozen) = (false, false),
            Observation::Frozen { .. } => self.frozen = true,
            Observation::Thawed { gap, told, .. } => {
                self.frozen = false;
                self.thawed = (at, *gap);
                if *told {
                    self.well_since = at;
                }
            }
            _ => {}
        }
    }
}

/// A container, and what people want of it.
#[derive(Clone, Debug)]
pub(super) struct ContainerFacts {
    pub(super) now: Snapshot,
    /// A person stopped it and has not started it since.
    pub(super) stopped_by_person: bool,
    /// When that person asked for it.
    pub(super) stop_asked: Moment,
    /// The event that tells of it, and whether the watchdog was told by it.
    pub(super) stop_event: EngineTime,
    pub(super) stop_told: bool,
    /// It was our own stop, and no record of it is left: nothing can tell it from a person's.
    pub(super) unrecorded_stop: bool,
    /// When a person last wanted it up.
    pub(super) up_asked: Moment,
    /// A signal of another meaning set the manual-stop flag in this life.
    pub(super) flagged: bool,
    /// Starts that we posted and the engine carried out.
    pub(super) our_starts: usize,
    /// When the engine carried out the last of them.
    pub(super) our_start: Moment,
    /// It had another name until then: what was done under that is another subject's.
    pub(super) renamed: Option<Moment>,
    /// The machine went down so soon after it was made that nobody can have seen it run.
    pub(super) unseen: bool,
    /// Restarts that the engine's own policy set about.
    pub(super) engine_starts: Vec<Moment>,
}

impl ContainerFacts {
    fn new(now: Snapshot) -> Self {
        Self {
            now,
            stopped_by_person: false,
            stop_asked: Moment::ZERO,
            stop_event: EngineTime(0),
            stop_told: false,
            unrecorded_stop: false,
            up_asked: Moment::ZERO,
            flagged: false,
            our_starts: 0,
            our_start: Moment::ZERO,
            renamed: None,
            unseen: false,
            engine_starts: Vec::new(),
        }
    }

    fn stopped(&mut self, at: Moment, event: EngineTime) {
        if !self.stopped_by_person {
            (self.stop_asked, self.stop_event, self.stop_told) = (at, event, false);
        }
        self.stopped_by_person = true;
    }

    pub(super) fn runs(&self) -> bool {
        self.now.run == RunState::Running
    }
}

/// A start that came while one on which it depends was down.
#[derive(Clone, Debug)]
pub(super) struct EarlyStart {
    pub(super) child: String,
    pub(super) parent: usize,
    pub(super) at: Moment,
}

/// How promptly the manager has heard a host, in its own present life and in the host's present boot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeardFacts {
    /// The manager's epoch and the host's boot that this is about.
    of: (u64, Moment),
    /// The shortest time a frame was under way, from the first Hello on. No more can be known of the host's clock: if every
    /// frame since the manager's start was held back that long, the host seems that much younger than it is.
    shortest: Option<Duration>,
}

impl HeardFacts {
    /// By how much the silence of that host must stay unseen at least.
    pub(super) fn unknowable(&self, of: (u64, Moment)) -> Duration {
        self.shortest.filter(|_| self.of == of).unwrap_or_default()
    }

    fn note(&mut self, of: (u64, Moment), hello: bool, under_way: Duration) {
        if self.of != of {
            *self = Self { of, shortest: None };
        }
        if hello || self.shortest.is_some() {
            self.shortest = Some(self.shortest.map_or(under_way, |known| known.min(under_way)));
        }
    }
}

/// See the top of this file.
#[derive(Debug)]
pub(super) struct HostFacts {
    pub(super) index: usize,
    /// Rules that the product is known to break are checked too.
    pub(super) strict: bool,
    pub(super) boots: BTreeMap<BootId, Moment>,
    pub(super) zero: Moment,
    pub(super) powered: bool,
    /// Its wall clock was set in this boot: no age counts over the next one.
    clock_set: bool,
    pub(super) engine_up: bool,
    pub(super) containers: BTreeMap<usize, ContainerFacts>,
    pub(super) early_starts: Vec<EarlyStart>,
    pub(super) host: ProcessFacts,
    pub(super) child: ProcessFacts,
    pub(super) reported: ReportedState,
    /// The journal, as its writer knows it, and what is on disk where that refused the rest.
    pub(super) journal: Recovered,
    pub(super) disk: Option<Recovered>,
    /// A record of it was damaged, and nobody has looked at that yet.
    pub(super) is_damaged: bool,
    /// The event stream is open, and since when.
    pub(super) stream_open: bool,
    pub(super) opened: Moment,
    pub(super) forgot: Moment,
    pub(super) ill_until: Moment,
    pub(super) flag_unreadable_until: Moment,
    pub(super) checks_fail_until: Moment,
    pub(super) overload: Overload,
    /// When it was last touched by anything that excuses a suspicion.
    pub(super) troubled: Moment,
    pub(super) child_hurt: Moment,
    pub(super) ipc_bad_until: Moment,
    /// The machine goes down; this process of its container-watchdog was told of it then.
    pub(super) going_down: Option<(Option<u64>, Moment)>,
    pub(super) path_open: bool,
    pub(super) held_back: bool,
    /// Since when the manager cannot have heard it in truth.
    pub(super) silent_since: Option<Moment>,
    /// Does its kernel answer from outside, in truth, and since when is that so?
    pub(super) answers: (bool, Moment),
    /// It said goodbye: until then, or until it is back, its absence is no silence.
    pub(super) goodbye_until: Moment,
    goodbye_said: Moment,
    pub(super) heard: HeardFacts,
    pub(super) verdicts: BTreeMap<SubjectId, (State, String)>,
    pub(super) shown: Option<State>,
    pub(super) below: BTreeMap<SubjectId, State>,
    /// What a person was called for by this host, and was not told the end of.
    pub(super) alerted: BTreeSet<SubjectId>,
    /// When its container-watchdog last got the order to retry something.
    pub(super) retried: Moment,
}

impl HostFacts {
    pub(super) fn new(index: usize, now: Moment, strict: bool) -> Self {
        Self {
            index,
            strict,
            boots: BTreeMap::new(),
            zero: Moment::ZERO,
            powered: true,
            clock_set: false,
            engine_up: true,
            early_starts: Vec::new(),
            containers: BTreeMap::new(),
            host: ProcessFacts::default(),
            child: ProcessFacts::default(),
            reported: ReportedState::default(),
            journal: Recovered::default(),
            disk: None,
            is_damaged: false,
            stream_open: false,
            opened: now,
            forgot: Moment::ZERO,
            ill_until: Moment::ZERO,
            flag_unreadable_until: Moment::ZERO,
            checks_fail_until: Moment::ZERO,
            overload: Overload::default(),
            troubled: now,
            child_hurt: now,
            ipc_bad_until: Moment::ZERO,
            going_down: None,
            path_open: true,
            held_back: false,
            silent_since: Some(now),
            answers: (true, now),
            goodbye_until: Moment::ZERO,
            goodbye_said: Moment::ZERO,
            heard: HeardFacts::default(),
            verdicts: BTreeMap::new(),
            shown: None,
            below: BTreeMap::new(),
            alerted: BTreeSet::new(),
            retried: Moment::ZERO,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("h{}", self.index + 1)
    }

    /// The subject that the container at that place is.
    pub(super) fn subject(&self, place: usize) -> SubjectId {
        let path = format!("{}/docker/{}", self.name(), self.containers[&place].now.name);
        SubjectId::new(&path).expect("plain names")
    }

    /// What its container-watchdog holds of it, and why.
    pub(super) fn held(&self, subject: &SubjectId) -> Option<State> {
        self.verdicts.get(subject).map(|(state, _)| *state)
    }

    pub(super) fn held_why(&self, subject: &SubjectId) -> String {
        let found = self.verdicts.get(subject);
        found.map_or_else(|| "not known".into(), |(_, why)| why.clone())
    }

    /// The place of the container of that id.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        let mut there = self.containers.iter().filter(|(_, c)| !c.now.removed);
        there.find(|(_, c)| c.now.id == id).map(|(place, _)| *place)
    }

    /// Until when faults of this host kept its container-watchdog from seeing and acting.
    pub(super) fn excused(&self, now: Moment) -> Moment {
        if !self.stream_open || !self.engine_up {
            return now;
        }
        let answered = self.ill_until.min(now);
        self.opened.max(self.child.well_since).max(self.forgot).max(answered)
    }

    /// True where nothing can tell a person's stop of that container: the engine forgot the event before the watchdog took
    /// it in, and its flag tells nothing since our own stop or another signal set it too, or cannot be read; or no record is
    /// left of our own.
    pub(super) fn is_blind(&self, place: usize) -> bool {
        let c = &self.containers[&place];
        let forgotten = c.stop_asked <= self.forgot && !c.stop_told;
        let unreadable = c.stop_asked <= self.flag_unreadable_until;
        let set_before = c.flagged || self.reported.was_stopped_by_us(&c.now.id);
        c.unrecorded_stop || (forgotten && (unreadable || set_before))
    }

    /// Takes in an observation of this host.
    pub(super) fn take(&mut self, at: Moment, what: &Observation, manager: &ProcessFacts) {
        match what {
            Observation::Booted { boot, zero, .. } => {
                self.boots.insert(*boot, *zero);
                (self.zero, self.powered, self.going_down) = (*zero, true, None);
                if std::mem::take(&mut self.clock_set) {
                    self.reported.ages_lost(at);
                }
                for c in self.containers.values_mut() {
                    let made = c.now.life <= 1 && Duration::ZERO < c.now.born.since(Moment::ZERO);
                    c.unseen |= made && c.now.changed.since(c.now.born) < SEEN_WITHIN;
                }
            }
            Observation::ClockSet { .. } => self.clock_set = true,
            Observation::PowerLost { .. } => {
                (self.powered, self.engine_up) = (false, false);
                self.reported.engine_went();
            }
            Observation::GoesDown { child, .. } => self.going_down = Some((*child, at)),
            Observation::EngineEnded { .. } => {
                self.engine_up = false;
                self.reported.engine_went();
            }
            Observation::EngineReady { .. } => self.engine_up = true,
            Observation::EventsForgotten { until, .. } => self.forgot = self.forgot.max(*until),
            Observation::FlagUnreadable { until, .. } => self.flag_unreadable_until = *until,
            Observation::ChecksFail { until, .. } => self.checks_fail_until = self.checks_fail_until.max(*until),
            Observation::Excused { excuse, until, .. } => {
                let what = match excuse {
                    Excuse::Suspicion => &mut self.troubled,
                    Excuse::ChildKill => &mut self.child_hurt,
                    Excuse::Ipc => &mut self.ipc_bad_until,
                    Excuse::Engine => &mut self.ill_until,
                };
                *what = (*what).max(*until);
            }
            Observation::StreamOpened { .. } => (self.stream_open, self.opened) = (true, at),
            Observation::StreamClosed { .. } => self.stream_open = false,
            Observation::Path { open, .. } => self.path_open = *open,
            Observation::HeldBack { held, .. } => {
                self.held_back = *held;
                // What was held back speaks for the time until it was sent: from here on it is silent anew.
                if !*held {
                    self.silent_since = self.silent_since.map(|_| at);
                }
            }
            Observation::SaidGoodbye { goodbye, .. } => {
                self.goodbye_said = at;
                self.goodbye_until = match goodbye {
                    Goodbye::Restart { back_within } => at + *back_within,
                    Goodbye::HostShutdown | Goodbye::Leaving => Moment::FAR_FUTURE,
                };
            }
            Observation::Heard { hello, slot, sent, .. } => {
                let of = (manager.epoch, self.zero);
                self.heard.note(of, *hello, at.since(*slot));
                // Not one that was said before the goodbye and comes after it was said.
                if *hello && self.goodbye_said < *sent {
                    self.goodbye_until = Moment::ZERO;
                }
            }
            Observation::Holds { verdicts, .. } => {
                let all = verdicts.iter().cloned();
                self.verdicts = all.map(|(subject, state, why)| (subject, (state, why))).collect();
            }
            Observation::Alerted { subject, is_open, .. } => match is_open {
                true => drop(self.alerted.insert(subject.clone())),
                false => drop(self.alerted.remove(subject)),
            },
            Observation::Shown { state, below, .. } => {
                self.shown = *state;
                self.below = below.iter().cloned().collect();
            }
            _ => self.take_of_containers(at, what),
        }
        self.note_reach(at);
    }

    fn take_of_containers(&mut self, at: Moment, what: &Observation) {
        match what {
            Observation::Container { place, now, .. } => {
                let known = self.containers.entry(*place);
                let c = known.or_insert_with(|| ContainerFacts::new(now.clone()));
                if c.now.name != now.name {
                    c.renamed = Some(at);
                }
                if now.run == RunState::Restarting && c.now.policy_due != now.policy_due {
                    c.engine_starts.push(at);
                }
                c.now = now.clone();
            }
            Observation::Started { place, by, .. } => {
                if let Some(c) = self.containers.get_mut(place) {
                    if std::mem::take(&mut c.unrecorded_stop) {
                        c.stopped_by_person = false;
                    }
                    c.unseen = false;
                    // The engine's own restart leaves the flag as it is.
                    c.flagged &= *by == StartedBy::Engine;
                    match by {
                        StartedBy::Watchdog => (c.our_starts, c.our_start) = (c.our_starts + 1, at),
                        StartedBy::Engine => {}
                        StartedBy::Person => c.stopped_by_person = false,
                    }
                }
            }
            Observation::Person { place, act, event, .. } => {
                if let Some(c) = self.containers.get_mut(place) {
                    match act {
                        PersonAct::Down => c.stopped(at, *event),
                        PersonAct::Up => (c.stopped_by_person, c.up_asked) = (false, at),
                        PersonAct::Signal => c.flagged = true,
                        PersonAct::Pause(_) => {}
                    }
                }
            }
            Observation::EventTaken { event, .. } => {
                let told = |c: &&mut ContainerFacts| c.now.id == event.id && c.stop_event == event.at;
                if let Some(c) = self.containers.values_mut().find(told) {
                    c.stop_told = true;
                }
            }
            Observation::Disk { change, .. } => match change {
                // The refused record itself follows.
                DiskChange::Refused => self.disk = Some(self.journal.clone()),
                DiskChange::Caught => self.disk = None,
                DiskChange::Lost => self.memory_lost(at),
                DiskChange::Damaged => self.is_damaged = true,
                DiskChange::Seen => self.is_damaged = false,
            },
            Observation::ProcessStarted { node, .. }
            | Observation::ProcessEnded { node }
            | Observation::Frozen { node }
            | Observation::Thawed { node, .. } => match node {
                Node::Host(_) => {
                    self.host.take(at, what);
                    if !matches!(what, Observation::Frozen { .. }) {
                        self.troubled = self.troubled.max(at);
                    }
                }
                Node::Child(_) => {
                    self.child.take(at, what);
                    if matches!(what, Observation::ProcessEnded { .. }) {
                        self.reported.caller_gone(at);
                    }
                    if matches!(what, Observation::Thawed { .. }) {
                        self.child_hurt = self.child_hurt.max(at);
                    }
                }
                Node::Manager => {}
            },
            _ => {}
        }
    }

    /// The process has ended, and with it what the disk had refused. A stop of ours that no record tells of cannot be told
    /// from a person's any more: either way is right. And of a person's stop nothing is known but what the engine still
    /// tells.
    fn memory_lost(&mut self, at: Moment) {
        let Some(disk) = self.disk.take() else { return };
        for place in self.containers.keys().copied().collect::<Vec<_>>() {
            let subject = self.subject(place);
            let repair = disk.subjects.get(&subject).and_then(|it| it.repair.as_ref());
            let Some(c) = self.containers.get_mut(&place) else {
                continue;
            };
            let life = Incarnation::container(&c.now.id, &c.now.started_at_text);
            c.stop_told = false;
            let stopped = self.reported.was_stopped(&c.now.id, &life);
            if stopped && repair.is_none_or(|it| it.incarnation != life) {
                c.stopped(at, EngineTime(0));
                c.unrecorded_stop = true;
            }
        }
        self.reported.memory_lost(at, &self.boots, &disk);
        self.journal = disk;
    }

    /// Since when the manager can hear it, and since when its kernel answers.
    fn note_reach(&mut self, now: Moment) {
        let heard = self.host.runs() && self.path_open && !self.held_back;
        match (heard, self.silent_since) {
            (true, Some(_)) => self.silent_since = None,
            (false, None) => self.silent_since = Some(now),
            _ => {}
        }
        let answers = self.powered && self.path_open;
        if self.answers.0 != answers {
            self.answers = (answers, now);
        }
    }
}

/// The process facts of the manager take their observations here.
pub(super) fn take_of_manager(manager: &mut ProcessFacts, at: Moment, what: &Observation) {
    manager.take(at, what);
}
