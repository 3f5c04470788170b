//! Who is probed when: all probes of all containers, at most one run of each at one time, and a bounded number in all.
//!
//! ```text
//!   followed ─▶ due (spread over the period) ─▶ waits for a place ─▶ run ──answer──▶ due again, a period after its beginning
//!                     ▲                                               │
//!                     └────── this watchdog stood still: void ◀───────┘
//! ```
//!
//! A run belongs to one life of a container: the answer to it counts for no other. What a run of which no answer came, or whose
//! silence was told late, came to is not known. Does not know why a container is to be probed, nor what follows from what it says.

use super::probed::{ProbeEvidence, ProbedLife};
use super::spec::{Method, ProbeAnswer, ProbeKind, ProbeOutcome, ProbeRun, ProbeSpecs};
use crate::container::stamps::ContainerId;
use crate::deadlines::Deadlines;
use crate::hash::{FNV1A_BASIS, fnv1a};
use crate::random::mix;
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment, seconds};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

/// Most runs at one time.
const RUNS_MAX: usize = 64;
/// Most of them that begin a process.
const EXEC_RUNS_MAX: usize = 2;
/// The driver answers in time. If not, that says nothing of the container.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A silence that is told later than this after its time was told by somebody who did not run meanwhile.
const LATE: Duration = Duration::from_millis(250);

/// A container to be probed.
#[derive(Clone, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) id: &'a ContainerId,
    pub(crate) life: Incarnation,
    /// Its init process, by which its network is entered.
    pub(crate) pid: u32,
    /// Its address, for where its network cannot be entered.
    pub(crate) address: Option<IpAddr>,
    /// When that life began.
    pub(crate) since: Moment,
    /// Somebody is stopping it: not before this.
    pub(crate) not_before: Option<Moment>,
    /// It is known to have come up in this life.
    pub(crate) has_started: bool,
    pub(crate) specs: &'a ProbeSpecs,
}

/// A run to be begun.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Begun {
    pub(crate) run: ProbeRun,
    pub(crate) id: ContainerId,
    pub(crate) pid: u32,
    pub(crate) address: Option<IpAddr>,
    pub(crate) method: Method,
    pub(crate) within: Duration,
}

type Key = (SubjectId, ProbeKind);

#[derive(Clone, Debug)]
struct Followed {
    id: ContainerId,
    life: Incarnation,
    pid: u32,
    address: Option<IpAddr>,
    since: Moment,
    not_before: Option<Moment>,
    probed: ProbedLife,
    /// Why it is not asked in its own network, if so.
    outside: Option<String>,
}

#[derive(Clone, Debug)]
struct Run {
    /// Whose it is; `None` = its answer counts for nobody any more.
    key: Option<Key>,
    /// Of which subject a process was begun for it.
    exec_of: Option<SubjectId>,
    began: Moment,
    timeout: Duration,
}

/// See the module's text. As many as there are containers.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    seed: u64,
    followed: BTreeMap<SubjectId, Followed>,
    due: Deadlines<Key>,
    /// Those that are due and have no place, in order.
    waiting: VecDeque<Key>,
    runs: BTreeMap<ProbeRun, Run>,
    lost: Deadlines<ProbeRun>,
    newest: u64,
    /// It was said that some are not asked in their own networks.
    said_outside: bool,
}

impl Prober {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            followed: BTreeMap::new(),
            due: Deadlines::default(),
            waiting: VecDeque::new(),
            runs: BTreeMap::new(),
            lost: Deadlines::default(),
            newest: 0,
            said_outside: false,
        }
    }

    /// The subject is to be probed so from now on; `None` = not. Returns what is proven of it.
    pub(crate) fn follow(&mut self, now: Moment, subject: &SubjectId, target: Option<Target<'_>>) -> ProbeEvidence {
        let Some(target) = target.filter(|it| !it.specs.is_empty()) else {
            self.forget(subject);
            return ProbeEvidence::default();
        };
        let is_same =
            |it: &Followed| it.life == target.life && it.pid == target.pid && it.probed.specs() == target.specs;
        match self.followed.get_mut(subject).filter(|it| is_same(it)) {
            Some(known) => {
                let is_held_otherwise = known.not_before != target.not_before;
                known.not_before = target.not_before;
                known.since = target.since;
                known.address = target.address;
                let evidence = known.probed.evidence();
                if is_held_otherwise {
                    self.void(subject);
                    self.arm_all(now, subject);
                }
                evidence
            }
            None => self.begin_life(now, subject, &target),
        }
    }

    fn begin_life(&mut self, now: Moment, subject: &SubjectId, target: &Target<'_>) -> ProbeEvidence {
        self.forget(subject);
        let probed = ProbedLife::new(target.specs.clone(), target.has_started);
        let evidence = probed.evidence();
        let followed = Followed {
            id: target.id.clone(),
            life: target.life.clone(),
            pid: target.pid,
            address: target.address,
            since: target.since,
            not_before: target.not_before,
            probed,
            outside: None,
        };
        self.followed.insert(subject.clone(), followed);
        self.arm_all(now, subject);
        evidence
    }

    /// It is not to be probed any more, and no run of it counts.
    pub(crate) fn forget(&mut self, subject: &SubjectId) {
        if self.followed.remove(subject).is_some() {
            self.void(subject);
            for kind in ProbeKind::ALL {
                self.due.disarm(&(subject.clone(), kind));
            }
        }
    }

    fn void(&mut self, subject: &SubjectId) {
        for run in self.runs.values_mut() {
            run.key.take_if(|(of, _)| of == subject);
        }
        self.waiting.retain(|(of, _)| of != subject);
    }

    /// Every probe of it that counts now becomes due, spread over its period.
    fn arm_all(&mut self, now: Moment, subject: &SubjectId) {
        let Some(it) = self.followed.get(subject) else { return };
        for kind in ProbeKind::ALL {
            let Some(timing) = it.probed.wants(kind).map(|spec| *spec.timing()) else {
                continue;
            };
            let first = now.max(it.since + timing.initial_delay);
            let first = it.not_before.map_or(first, |at| at.max(first));
            let at = first + self.phase(subject, kind, timing.period);
            self.due.arm((subject.clone(), kind), at);
        }
    }

    /// A part of the period, another one for each probe: they do not all run at once.
    fn phase(&self, subject: &SubjectId, kind: ProbeKind, period: Duration) -> Duration {
        let hash = fnv1a(FNV1A_BASIS, subject.as_str().as_bytes());
        let share = mix(self.seed ^ hash ^ kind as u64) % 1024;
        period * u32::try_from(share).unwrap_or(0) / 1024
    }

    /// This watchdog stood still: what it asked for before counts for nothing.
    pub(crate) fn stalled(&mut self, now: Moment) {
        for run in self.runs.values_mut() {
            run.key = None;
        }
        self.waiting.clear();
        let subjects: Vec<SubjectId> = self.followed.keys().cloned().collect();
        subjects.iter().for_each(|subject| self.arm_all(now, subject));
    }

    /// The next run that is due and has a place.
    pub(crate) fn next_run(&mut self, now: Moment) -> Option<Begun> {
        while let Some(key) = self.due.pop_due(now) {
            self.waiting.push_back(key);
        }
        let (key, begun) = loop {
            let at = self.waiting.iter().position(|key| self.has_place(key))?;
            let key = self.waiting.remove(at)?;
            if let Some(begun) = self.begun(&key) {
                break (key, begun);
            }
        };
        self.newest += 1;
        let run = Run {
            exec_of: begun.method.is_exec().then(|| key.0.clone()),
            key: Some(key),
            began: now,
            timeout: begun.within,
        };
        self.runs.insert(begun.run, run);
        self.lost.arm(begun.run, now + begun.within + ANSWER_WITHIN);
        Some(begun)
    }

    fn begun(&self, (subject, kind): &Key) -> Option<Begun> {
        let it = self.followed.get(subject)?;
        let spec = it.probed.wants(*kind)?;
        Some(Begun {
            run: ProbeRun(self.newest + 1),
            id: it.id.clone(),
            pid: it.pid,
            address: it.address,
            method: spec.method().clone(),
            within: spec.timing().timeout,
        })
    }

    /// One that is not wanted any more has one too: it is dropped.
    fn has_place(&self, (subject, kind): &Key) -> bool {
        let spec = self.followed.get(subject).and_then(|it| it.probed.wants(*kind));
        let is_exec = spec.is_some_and(|spec| spec.method().is_exec());
        let mut exec = self.runs.values().filter_map(|run| run.exec_of.as_ref());
        let has_exec_place = || exec.clone().count() < EXEC_RUNS_MAX;
        self.runs.len() < RUNS_MAX && (!is_exec || (has_exec_place() && exec.all(|of| of != subject)))
    }

    /// A run came to that. Returns whose it was, if more is known by it than before.
    pub(crate) fn answered(&mut self, now: Moment, run: ProbeRun, answer: ProbeAnswer) -> Option<SubjectId> {
        self.lost.disarm(&run);
        let run = self.runs.remove(&run)?;
        let (subject, kind) = run.key?;
        let late = now.since(run.began + run.timeout);
        let outcome = match answer.outcome {
            ProbeOutcome::TimedOut(_) if LATE < late => {
                let words = format!("this watchdog was {} late itself", seconds(late));
                ProbeOutcome::CannotRun(words)
            }
            outcome => outcome,
        };
        let it = self.followed.get_mut(&subject)?;
        it.outside = answer.outside;
        let is_news = it.probed.take(now, kind, outcome);
        match it.probed.wants(kind) {
            Some(spec) => {
                let next = now.max(run.began + spec.timing().period);
                self.due.arm((subject.clone(), kind), next);
            }
            // The startup probe has passed.
            None => self.arm_all(now, &subject),
        }
        is_news.then_some(subject)
    }

    /// The next run of which no answer came in time. It has one now.
    pub(crate) fn next_lost(&mut self, now: Moment) -> Option<SubjectId> {
        while let Some(run) = self.lost.pop_due(now) {
            let outcome = ProbeOutcome::CannotRun("no answer came of it".to_string());
            let subject = self.answered(now, run, outcome.into());
            if subject.is_some() {
                return subject;
            }
        }
        None
    }

    /// Whether all are asked in their own networks, in words, where that is another answer than the last one.
    pub(crate) fn take_places(&mut self) -> Option<Result<String, String>> {
        let outside = self.followed.values().find_map(|it| it.outside.as_ref());
        if outside.is_some() == self.said_outside {
            return None;
        }
        self.said_outside = outside.is_some();
        Some(match outside {
            Some(why) => Err(format!(
                "containers are probed at their addresses, not in their own networks: {why}"
            )),
            None => Ok("containers are probed in their own networks".to_string()),
        })
    }

    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        // What waits for a place waits for an answer.
        [self.due.next(), self.lost.next()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
