//! Is a silent host's kernel there? Rounds of confirmation, AGENT LOST and UNREACHABLE. Silence alone never leads to DOWN.

use super::ManagerAgent;
use super::hosts::{Phase, Watch};
use super::io::ManagerEffect;
use crate::id::NodeName;
use crate::message::Look;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Level, ObserverHealth, State};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

/// What is late of a look's answer still counts within this time.
const LOOK_SLACK: Duration = Duration::from_millis(100);

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
    /// How much the look showed that the verdict rests on.
    shown: Shown,
    /// It is on record that no incident was opened of it.
    pub(super) suppressed: bool,
}

/// How much a look shows of a kernel's silence.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
enum Shown {
    #[default]
    Nothing,
    Part,
    All,
}

impl Shown {
    const fn by(look: &Look) -> Self {
        match look {
            Look::Silent(_) => Self::All,
            Look::SilentInPart(_) => Self::Part,
            Look::Answered(_) | Look::NotPossible(_) | Look::StillTrying => Self::Nothing,
        }
    }
}

impl Lost {
    /// What was being concluded begins anew; what was concluded stays.
    pub(super) fn excused(&self) -> Self {
        Self {
            shown: self.shown,
            suppressed: self.suppressed,
            ..Self::default()
        }
    }
}

/// The conclusion of several looks, the strongest first.
fn best(seen: &[Look]) -> Look {
    let of = |wanted: fn(&Look) -> bool| seen.iter().rev().find(|look| wanted(look)).cloned();
    of(|look| matches!(look, Look::Answered(_)))
        .or_else(|| of(|look| matches!(look, Look::Silent(_))))
        .or_else(|| of(|look| matches!(look, Look::SilentInPart(_))))
        .or_else(|| of(|look| matches!(look, Look::NotPossible(_))))
        .unwrap_or_else(|| Look::NotPossible("the look itself did not come back".to_string()))
}

impl ManagerAgent {
    pub(super) fn suspect(&mut self, now: Moment, name: &NodeName, evidence: Evidence) {
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

    pub(super) fn round_over(&mut self, now: Moment, name: &NodeName) {
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
                let why = format!("neither it nor its kernel answers ({how}); only this manager could look");
                (State::Unreachable, strong, EvidenceKind::KernelSilent, how.clone(), why)
            }
            Look::SilentInPart(how) => {
                let why = format!("neither it nor its kernel answers, as far as it could be asked ({how})");
                (
                    State::Unreachable,
                    Level::Weak,
                    EvidenceKind::KernelSilent,
                    how.clone(),
                    why,
                )
            }
            Look::NotPossible(how) => (
                State::Unreachable,
                Level::Weak,
                EvidenceKind::NoLook,
                how.clone(),
                format!("it does not answer, and its kernel could not be looked at: {how}"),
            ),
            Look::StillTrying => return,
        };
        let why = match self.overdue(now, name) {
            Some(overdue) => format!("{overdue}; {why}"),
            None => why,
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
        let lost = Lost {
            shown: Shown::by(look),
            ..Lost::default()
        };
        self.enter(now, name, Phase::Lost(lost), verdict);
        if let Some(watch) = self.hosts.get_mut(name) {
            watch.unconfirmed = state == State::Unreachable;
        }
        self.arm(name, Some(now + self.policy.look_again));
        self.check_view(now);
        self.host_is_eclipsed(now, name);
    }

    /// A lost host: look again, then take what the look saw; the two verdicts can follow each other.
    pub(super) fn lost_due(&mut self, now: Moment, name: &NodeName) {
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
        // A look that could not run, or did not come back, says nothing: neither for a silence nor against one.
        if let Some(look) = lost.answer.take() {
            let (answered, shown) = (matches!(look, Look::Answered(_)), Shown::by(&look));
            if answered {
                lost.silent_in_a_row = 0;
            } else if shown != Shown::Nothing {
                lost.silent_in_a_row += 1;
            }
            let silent = shown != Shown::Nothing && self.policy.rounds <= lost.silent_in_a_row;
            let turned = match state {
                State::AgentLost => silent,
                _ => answered || (silent && lost.shown < shown),
            };
            if turned {
                return self.lost(now, name, &look, 0);
            }
        }
        self.arm(name, Some(now + self.policy.look_again));
        self.host_is_eclipsed(now, name);
    }
}
