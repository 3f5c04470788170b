//! Judging the hosts: freshness, rounds of confirmation, AGENT LOST and UNREACHABLE, and the own view's health.

use super::ManagerAgent;
use super::cut_off::counted;
use super::io::{KnownHost, ManagerEffect};
use crate::id::NodeName;
use crate::message::{Goodbye, Look};
use crate::subject::{SubjectId, SubjectKind};
use crate::time::{Duration, Moment};
use crate::tree::unknown;
use crate::verdict::{Evidence, EvidenceKind, Level, ObserverHealth, State, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// What is late of a look's answer still counts within this time.
const LOOK_SLACK: Duration = Duration::from_millis(100);
/// The longest absence a goodbye can ask for.
const BACK_WITHIN_MAX: Duration = Duration::from_secs(3600);

/// A host as the manager sees it from outside.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) known: KnownHost,
    pub(super) phase: Phase,
    /// The manager's own word on it: shown at its top unless it is well and speaks for itself.
    pub(super) verdict: Verdict,
    pub(super) unconfirmed: bool,
    armed: Option<Moment>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Unknown,
    Well,
    Suspect(Rounds),
    Lost(Lost),
    Left,
}

/// Rounds of confirmation.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    done: u32,
    nonce: u64,
    seen: Vec<Look>,
}

/// A lost host is looked at again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    nonce: u64,
    looking: bool,
    answer: Option<Look>,
    silent_in_a_row: u32,
}

/// The conclusion of several looks, the strongest first.
fn best(seen: &[Look]) -> Look {
    let of = |wanted: fn(&Look) -> bool| seen.iter().rev().find(|look| wanted(look)).cloned();
    of(|look| matches!(look, Look::Answered(_)))
        .or_else(|| of(|look| matches!(look, Look::Silent(_))))
        .or_else(|| of(|look| matches!(look, Look::NotPossible(_))))
        .unwrap_or_else(|| Look::NotPossible("the look itself did not come back".to_string()))
}

impl ManagerAgent {
    /// A host of a former life.
    pub(super) fn restore(&mut self, now: Moment, known: KnownHost) {
        let name = known.identity.name.clone();
        let until = self.own.settled_at() + self.policy.return_within;
        self.insert(now, known);
        self.arm(&name, Some(until));
    }

    fn insert(&mut self, now: Moment, known: KnownHost) {
        let name = known.identity.name.clone();
        let verdict = Verdict {
            why: "not heard since this manager started".to_string(),
            ..unknown(known.scope.clone(), SubjectKind::Host, self.identity.name.clone(), now)
        };
        let watch = Watch {
            known,
            phase: Phase::Unknown,
            verdict,
            unconfirmed: false,
            armed: None,
        };
        self.tally.counted += 1;
        self.hosts.insert(name, watch);
    }

    /// The only writer of `due`, so that the index cannot drift from the hosts.
    fn arm(&mut self, name: &NodeName, at: Option<Moment>) {
        let Some(watch) = self.hosts.get_mut(name) else { return };
        if let Some(old) = core::mem::replace(&mut watch.armed, at) {
            self.due.remove(&(old, name.clone()));
        }
        if let Some(at) = at {
            self.due.insert((at, name.clone()));
        }
    }

    /// The only writer of phase and verdict, so that no tally drifts and no change goes unsaid.
    fn enter(&mut self, now: Moment, name: &NodeName, phase: Phase, verdict: Verdict) {
        let Some(watch) = self.hosts.get_mut(name) else { return };
        let before = counted(watch);
        let from = watch.verdict.state;
        watch.phase = phase;
        let since = if from == verdict.state {
            watch.verdict.since
        } else {
            now
        };
        watch.verdict = Verdict { since, ..verdict };
        let after = counted(watch);
        self.tally.counted = self.tally.counted + after.0 - before.0;
        self.tally.silent = self.tally.silent + after.1 - before.1;
        let to = watch.verdict.state;
        if from != to {
            let (subject, why) = (watch.verdict.subject.clone(), watch.verdict.why.clone());
            self.effects
                .push_back(ManagerEffect::StateChanged { subject, from, to, why });
        }
    }

    pub(super) fn verdict_of(
        &mut self,
        now: Moment,
        name: &NodeName,
        state: State,
        level: Level,
        why: String,
        evidence: Vec<Evidence>,
    ) -> Option<Verdict> {
        let watch = self.hosts.get(name)?;
        Some(Verdict {
            subject: watch.known.scope.clone(),
            kind: SubjectKind::Host,
            incarnation: crate::subject::Incarnation(watch.known.identity.boot_id.to_string()),
            state,
            level,
            why,
            evidence,
            observer: self.identity.name.clone(),
            observer_health: self.own.health(now),
            since: now,
            held: false,
            remarks: Vec::new(),
        })
    }

    pub(super) fn joined(&mut self, now: Moment, name: NodeName, new_life: bool) {
        let Some(child) = self.backend.child(&name) else { return };
        let known = KnownHost {
            identity: child.hello.identity.clone(),
            capabilities: child.hello.capabilities,
            scope: child.hello.scope.clone(),
            look_at: child.hello.look_at.clone(),
            seen: self.wall(now),
        };
        if !self.hosts.contains_key(&name) {
            self.insert(now, known.clone());
        }
        if let Some(watch) = self.hosts.get_mut(&name) {
            let news = new_life
                || KnownHost {
                    seen: known.seen,
                    ..watch.known.clone()
                } != known;
            watch.known = known.clone();
            if news {
                self.effects.push_back(ManagerEffect::StoreHost(known));
            }
        }
        self.set_condition(format!("clone {name}"), Ok("only one node shows this name".to_string()));
        self.heard(now, &name);
    }

    /// A sign of life was taken. Well hosts cost nothing here: their timer asks for the freshness when it fires.
    pub(super) fn heard(&mut self, now: Moment, name: &NodeName) {
        let Some(watch) = self.hosts.get(name) else { return };
        if matches!(watch.phase, Phase::Well) {
            return;
        }
        let Some(child) = self.backend.child(name) else { return };
        if child.left.is_some() || !child.is_fresh(now) {
            return;
        }
        let until = child.fresh_until();
        let was = watch.verdict.state;
        let why = if was == State::Unknown {
            "heard".to_string()
        } else {
            format!("heard again after {}", was.as_str())
        };
        let Some(verdict) = self.verdict_of(now, name, State::Ok, Level::Certain, why, Vec::new()) else {
            return;
        };
        self.enter(now, name, Phase::Well, verdict);
        self.arm(name, until);
        self.host_is_well(now, name);
        self.check_view(now);
    }

    pub(super) fn left(&mut self, now: Moment, name: &NodeName, goodbye: Goodbye) {
        let (why, until) = match goodbye {
            Goodbye::Leaving => return self.forget(now, name, "it left for good"),
            Goodbye::Restart { back_within } => {
                let within = back_within.min(BACK_WITHIN_MAX);
                (
                    format!(
                        "its watchdog said goodbye and means to be back within {} s",
                        within.as_secs()
                    ),
                    Some(now + within),
                )
            }
            Goodbye::HostShutdown => ("the machine announced that it shuts down or reboots".to_string(), None),
        };
        let evidence = vec![Evidence::new(EvidenceKind::Goodbye, now, why.clone())];
        let Some(verdict) = self.verdict_of(now, name, State::Unwatched, Level::Certain, why, evidence) else {
            return;
        };
        self.enter(now, name, Phase::Left, verdict);
        self.arm(name, until);
        self.host_is_eclipsed(now, name);
        self.check_view(now);
    }

    pub(super) fn forget(&mut self, now: Moment, name: &NodeName, why: &str) {
        self.arm(name, None);
        let Some(watch) = self.hosts.remove(name) else { return };
        let (counted, silent) = counted(&watch);
        self.tally.counted -= counted;
        self.tally.silent -= silent;
        self.backend.forget(name);
        self.close_within(now, &watch.known.scope, why);
        self.effects.push_back(ManagerEffect::ForgetHost(name.clone()));
        self.check_view(now);
    }

    /// After a stall of our own: what was being concluded begins anew once we are well.
    pub(super) fn excuse(&mut self, name: &NodeName, settled: Moment) {
        let Some(watch) = self.hosts.get_mut(name) else { return };
        if let Phase::Suspect(rounds) = &mut watch.phase {
            *rounds = Rounds::default();
        }
        if let Phase::Lost(lost) = &mut watch.phase {
            *lost = Lost::default();
        }
        let at = watch.armed.map_or(settled, |armed| armed.max(settled));
        self.arm(name, Some(at));
    }

    pub(super) fn host_due(&mut self, now: Moment, name: &NodeName) {
        if !self.own.may_judge(now) {
            let settled = self.own.settled_at();
            return self.excuse(name, settled);
        }
        let Some(watch) = self.hosts.get(name) else { return };
        match &watch.phase {
            Phase::Well => self.check_freshness(now, name),
            Phase::Unknown => {
                let what = "no Hello since this manager started".to_string();
                self.suspect(now, name, Evidence::new(EvidenceKind::MissedSlot, now, what));
            }
            Phase::Left => {
                let what = "it said goodbye and is not back in the time it asked for".to_string();
                self.suspect(now, name, Evidence::new(EvidenceKind::Goodbye, now, what));
            }
            Phase::Suspect(_) => self.round_over(now, name),
            Phase::Lost(_) => self.lost_due(now, name),
        }
    }

    fn check_freshness(&mut self, now: Moment, name: &NodeName) {
        let Some(child) = self.backend.child(name) else {
            return self.arm(name, None);
        };
        match child.fresh_until() {
            Some(until) if now < until => self.arm(name, Some(until)),
            until => {
                let slot = child.newest().map_or(Moment::ZERO, |(slot, _)| slot);
                let late = until.map_or(Duration::ZERO, |until| now.since(until)) + self.policy.margin;
                let what = format!(
                    "nothing after slot {slot} of its clock; the next one is {:.1} s late",
                    late.as_secs_f32()
                );
                self.suspect(now, name, Evidence::new(EvidenceKind::MissedSlot, now, what));
            }
        }
    }

    fn suspect(&mut self, now: Moment, name: &NodeName, evidence: Evidence) {
        let why = format!("{}; asking it and looking whether its kernel answers", evidence.detail);
        let evidence = vec![evidence];
        let Some(verdict) = self.verdict_of(now, name, State::Suspect, Level::Weak, why, evidence) else {
            return;
        };
        self.enter(now, name, Phase::Suspect(Rounds::default()), verdict);
        self.begin_round(now, name);
    }

    fn begin_round(&mut self, now: Moment, name: &NodeName) {
        let nonce = self.look_at(name);
        self.backend.ping(now, name);
        if let Some(Watch {
            phase: Phase::Suspect(rounds),
            ..
        }) = self.hosts.get_mut(name)
        {
            rounds.nonce = nonce;
        }
        self.arm(name, Some(now + self.policy.look_within + LOOK_SLACK));
    }

    fn look_at(&mut self, name: &NodeName) -> u64 {
        let nonce = self.random();
        let addresses = self
            .hosts
            .get(name)
            .map(|watch| watch.known.look_at.clone())
            .unwrap_or_default();
        self.looks.retain(|_, host| host != name);
        self.looks.insert(nonce, name.clone());
        let within = self.policy.look_within;
        self.effects.push_back(ManagerEffect::LookAt {
            nonce,
            host: name.clone(),
            addresses,
            within,
        });
        nonce
    }

    pub(super) fn looked(&mut self, _now: Moment, nonce: u64, look: Look) {
        if matches!(look, Look::StillTrying) {
            return;
        }
        let Some(name) = self.looks.remove(&nonce) else { return };
        match self.hosts.get_mut(&name).map(|watch| &mut watch.phase) {
            Some(Phase::Suspect(rounds)) if rounds.nonce == nonce => rounds.seen.push(look),
            Some(Phase::Lost(lost)) if lost.nonce == nonce => lost.answer = Some(look),
            _ => (),
        }
    }

    fn round_over(&mut self, now: Moment, name: &NodeName) {
        let wanted = self.policy.rounds.max(1);
        let Some(Watch {
            phase: Phase::Suspect(rounds),
            ..
        }) = self.hosts.get_mut(name)
        else {
            return;
        };
        // A round that never began (it was put off by a stall of ours) is no round.
        if rounds.nonce != 0 {
            rounds.done += 1;
        }
        if rounds.done < wanted {
            return self.begin_round(now, name);
        }
        let (look, done) = (best(&rounds.seen), rounds.done);
        self.lost(now, name, &look, done);
    }

    /// Says what the looks lead to. Silence alone never leads to DOWN.
    fn lost(&mut self, now: Moment, name: &NodeName, look: &Look, rounds: u32) {
        let believed = self.own.health(now) < ObserverHealth(ObserverHealth::DEGRADED);
        let strong = if believed { Level::Strong } else { Level::Weak };
        let (state, level, kind, detail, why) = match look {
            Look::Answered(how) => {
                let why = format!("its kernel answers ({how}), its watchdog does not");
                (State::AgentLost, strong, EvidenceKind::KernelAnswers, how.clone(), why)
            }
            Look::Silent(how) => {
                let why =
                    format!("(unconfirmed) neither it nor its kernel answers ({how}); only this manager could look");
                (State::Unreachable, strong, EvidenceKind::KernelSilent, how.clone(), why)
            }
            Look::NotPossible(how) => (
                State::Unreachable,
                Level::Weak,
                EvidenceKind::NoLook,
                how.clone(),
                format!("(unconfirmed) it does not answer, and its kernel could not be looked at: {how}"),
            ),
            Look::StillTrying => return,
        };
        let mut evidence = self
            .hosts
            .get(name)
            .map(|watch| watch.verdict.evidence.clone())
            .unwrap_or_default();
        if 0 < rounds {
            evidence.push(Evidence::new(
                EvidenceKind::Ping,
                now,
                format!("{rounds} pings on the link unanswered"),
            ));
        }
        evidence.push(Evidence::new(kind, now, detail));
        if Evidence::COUNT_MAX < evidence.len() {
            evidence.drain(1..=evidence.len() - Evidence::COUNT_MAX);
        }
        let Some(verdict) = self.verdict_of(now, name, state, level, why, evidence) else {
            return;
        };
        self.enter(now, name, Phase::Lost(Lost::default()), verdict);
        if let Some(watch) = self.hosts.get_mut(name) {
            watch.unconfirmed = state == State::Unreachable;
        }
        self.arm(name, Some(now + self.policy.look_again));
        self.check_view(now);
        self.host_is_eclipsed(now, name);
    }

    /// A lost host: look again, then take what the look saw; the two verdicts can follow each other.
    fn lost_due(&mut self, now: Moment, name: &NodeName) {
        let Some(Watch {
            phase: Phase::Lost(lost),
            verdict,
            ..
        }) = self.hosts.get_mut(name)
        else {
            return;
        };
        if !lost.looking {
            lost.looking = true;
            let nonce = self.look_at(name);
            self.backend.ping(now, name);
            if let Some(Watch {
                phase: Phase::Lost(lost),
                ..
            }) = self.hosts.get_mut(name)
            {
                lost.nonce = nonce;
            }
            return self.arm(name, Some(now + self.policy.look_within + LOOK_SLACK));
        }
        lost.looking = false;
        let state = verdict.state;
        let look = lost.answer.take();
        let answered = matches!(look, Some(Look::Answered(_)));
        lost.silent_in_a_row = if answered { 0 } else { lost.silent_in_a_row + 1 };
        let turned = match state {
            State::AgentLost => self.policy.rounds <= lost.silent_in_a_row,
            _ => answered,
        };
        if turned {
            let look = look.unwrap_or_else(|| best(&[]));
            return self.lost(now, name, &look, 0);
        }
        self.arm(name, Some(now + self.policy.look_again));
        self.host_is_eclipsed(now, name);
    }

    /// The host whose scope holds this subject.
    pub(super) fn host_of(&self, subject: &SubjectId) -> Option<&NodeName> {
        let name = NodeName::new(subject.root()).ok()?;
        self.hosts.get_key_value(&name).map(|(name, _)| name)
    }
}
