//! Why is it down?
//!
//! ```text
//!  stop signal or stop by somebody else seen ─────────────────────────▶ operator
//!  never seen to run, nor by the journal ─────────────────────────────▶ first sight: reported
//!  exit 0 without a policy, one-off, auto-remove ─────────────────────▶ finished
//!  every event since it was last well was seen, and none of them a stop ▶ crash: at once
//!  its own event is missing: the stream loses events ▶ opened anew from the last one seen, then as above or below
//!  else: settle, then the engine's own mark: stopped ▶ operator, not ▶ crash, unreadable ▶ cannot tell
//! a crash whose back-off the engine ended without a start ▶ see `backoff`
//! ```

use super::agent::ContainerAgent;
use super::facts::{Facts, Mark};
use super::io::{ContainerEffect, RestartPolicy};
use super::record::Desired;
use super::stream::REPLAYED_WITHIN;
use super::subject::{Cause, Subject, runs_once};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind};
use alloc::format;
use alloc::string::{String, ToString};

/// An end that only a list showed: its event may be on the way.
const EVENT_ON_THE_WAY: Duration = Duration::from_secs(1);
/// How long the engine's mark is waited for: longer than its reader waits for a sick engine (5 s).
const MARK_WITHIN: Duration = Duration::from_secs(8);

/// What became of judging an end.
pub(crate) enum Judged {
    Wait(Moment, &'static str),
    Cause(Cause, bool, Evidence),
}

impl ContainerAgent {
    pub(crate) fn judge(&mut self, now: Moment, subject: &Subject, facts: &mut Facts) -> Judged {
        let cause = |cause: Cause, kind: EvidenceKind, detail: &str, mass: bool| {
            Judged::Cause(cause, mass, Evidence::new(kind, now, detail))
        };
        let foreign = facts.foreign_stop();
        if let (Some(why), false) = (&foreign, facts.doubt) {
            return cause(Cause::Operator(why.clone()), EvidenceKind::OperatorStop, why, false);
        }
        let memory = subject.desired.as_ref().filter(|(id, _, _)| *id == facts.id);
        let same_life = memory.filter(|(_, life, _)| *life == facts.incarnation());
        if let Some(why) = finished(facts) {
            return cause(Cause::Finished(why.to_string()), EvidenceKind::Exited, why, false);
        }
        if same_life.is_some_and(|(_, _, desired)| *desired == Desired::Stopped) {
            let why = "the journal remembers that a person stopped it";
            return cause(Cause::Operator(why.to_string()), EvidenceKind::Journal, why, false);
        }
        if memory.is_none() && facts.alive_at.is_none() && !facts.died_by_event {
            let why = "nobody knows whether it is meant to run";
            return cause(Cause::FirstSight(why.to_string()), EvidenceKind::Journal, why, false);
        }
        if let Some(until) = self.stream.gap_until() {
            return Judged::Wait(until, "waits until the event stream is whole again");
        }
        // A death seen live was preceded by life until just then.
        let alive = if facts.died_by_event {
            facts.died_at
        } else {
            facts.alive_at
        };
        let known = same_life.is_some() || facts.born_at.is_some() || facts.alive_at.is_some();
        let covered = known && !facts.doubt && self.stream.covers(facts.born_at, alive, facts.stop_window());
        let died_at = facts.died_at.unwrap_or(now);
        let odd = facts.odd_intent(died_at);
        if !covered || odd.is_some() {
            return self.judge_by_mark(now, facts, died_at, foreign.or(odd));
        }
        let settled = if facts.has_foreign_signal() {
            died_at + self.settings.settle
        } else if facts.died_by_event {
            died_at
        } else {
            died_at + EVENT_ON_THE_WAY
        };
        if now < settled {
            return Judged::Wait(settled, "finding out whether somebody stopped it");
        }
        if let Some(until) = self.ask_for_replay(now, facts, died_at) {
            return Judged::Wait(until, "its event never came: asking for the events again");
        }
        if !self.stream.is_live(died_at) && facts.view_asked < died_at {
            self.look(now, facts);
            return Judged::Wait(now + MARK_WITHIN, "its end is old news: looking whether it is still so");
        }
        let why = format!("exit code {}", facts.exit_code());
        let detail = if facts.died_by_event {
            "no stop signal was seen on an unbroken event stream"
        } else {
            "its event never came, and no stop signal is among the events asked for again"
        };
        cause(Cause::Crash(why), EvidenceKind::NobodyStoppedIt, detail, false)
    }

    /// An end whose event never came shows that the stream loses events, and a person's stop may be among them: it is
    /// opened anew from the last one seen. If the engine still knows that one, what follows it decides; if not, the
    /// stream does not cover this end any more. `Some` = not known before then.
    fn ask_for_replay(&mut self, now: Moment, facts: &Facts, died_at: Moment) -> Option<Moment> {
        if facts.died_by_event {
            return None;
        }
        let whole = self.stream.whole_since();
        if whole < died_at + EVENT_ON_THE_WAY {
            self.stream_broke(now, false);
            return Some(self.stream.gap_until().unwrap_or(now + EVENT_ON_THE_WAY));
        }
        let replayed = whole + REPLAYED_WITHIN;
        (now < replayed).then_some(replayed)
    }

    /// Events may be missing: the engine's own note of a person's stop decides.
    pub(crate) fn judge_by_mark(
        &mut self,
        now: Moment,
        facts: &mut Facts,
        died_at: Moment,
        foreign: Option<String>,
    ) -> Judged {
        let settled = died_at + self.settings.settle;
        if now < settled {
            return Judged::Wait(settled, "events may be missing: settling");
        }
        let answer = match facts.mark {
            Mark::NotAsked => {
                facts.mark = Mark::Asked(now);
                self.effects
                    .push_back(ContainerEffect::ReadStopMark { id: facts.id.clone() });
                return Judged::Wait(now + MARK_WITHIN, "events may be missing: asking the engine's own mark");
            }
            Mark::Asked(at) if now < at + MARK_WITHIN => {
                return Judged::Wait(at + MARK_WITHIN, "events may be missing: asking the engine's own mark");
            }
            Mark::Asked(_) => None,
            Mark::Known(answer) => answer,
        };
        let proof = |kind: EvidenceKind, detail: &str| Evidence::new(kind, now, detail);
        match (answer, foreign) {
            (Some(true), _) => {
                let why = "the engine has marked it as stopped by a person".to_string();
                Judged::Cause(
                    Cause::Operator(why.clone()),
                    false,
                    proof(EvidenceKind::OperatorStop, &why),
                )
            }
            (Some(false), _) => {
                let why = format!("exit code {}", facts.exit_code());
                let detail = "events may be missing, but the engine has no mark of a person's stop";
                Judged::Cause(Cause::Crash(why), true, proof(EvidenceKind::NobodyStoppedIt, detail))
            }
            (None, Some(why)) => Judged::Cause(
                Cause::Operator(why.clone()),
                false,
                proof(EvidenceKind::OperatorStop, &why),
            ),
            (None, None) => {
                let why = "events are missing and the engine's mark cannot be read".to_string();
                Judged::Cause(
                    Cause::CannotTell(why.clone()),
                    false,
                    proof(EvidenceKind::StreamBroken, &why),
                )
            }
        }
    }
}

/// Why an end is as it should be, if it is.
fn finished(facts: &Facts) -> Option<&'static str> {
    let view = facts.view.as_ref()?;
    if let Some(why) = runs_once(view) {
        return Some(why);
    }
    // An exit code of 0 that an engine's going down brought about is nobody's wish.
    let clean = facts.exit_code() == 0 && !facts.doubt;
    match view.restart_policy {
        RestartPolicy::No if clean => Some("exit code 0 and no restart policy"),
        RestartPolicy::OnFailure { .. } if clean => Some("exit code 0 and a restart policy for failures only"),
        _ => None,
    }
}
