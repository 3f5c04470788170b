//! Starting an ended container-watchdog again: guards, back-off, budget, giving up, and the record of it.

use super::HostAgent;
use super::child::{AGAIN, Child, Phase};
use super::io::{ChildExit, ChildSignal, HostPolicy};
use crate::decision::{ActionKind, Guard, GuardAnswer, Outcome};
use crate::recorder::Draft;
use crate::supervisor::{Admission, Block, GuardResult};
use crate::time::{Duration, Moment, seconds};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// So many revivals within [`REVIVALS_WINDOW`], then a person is told and only slow retries follow.
const REVIVALS_MAX: usize = 10;
const REVIVALS_WINDOW: Duration = Duration::from_secs(600);

impl Child {
    fn delay(&self, policy: &HostPolicy, random: u64) -> Duration {
        if self.in_a_row == 0 {
            return Duration::ZERO;
        }
        let doubled = policy.revive_delay_min * 2u32.saturating_pow((self.in_a_row - 1).min(16));
        let delay = doubled.min(policy.revive_delay_max);
        // Up to a quarter more, so that the children of many engines do not start in step.
        delay + delay * u32::try_from(random % 256).unwrap_or(0) / 1024
    }
}

impl HostAgent {
    /// Starts it again: at once after a clean run, else after a delay, within the budget.
    pub(super) fn revive(&mut self, now: Moment, engine: &str, evidence: Evidence) {
        let random = self.random.draw();
        let held = self.held_until(engine);
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        while child
            .revivals
            .front()
            .is_some_and(|at| REVIVALS_WINDOW < now.since(*at))
        {
            child.revivals.pop_front();
        }
        let left = REVIVALS_MAX.saturating_sub(child.revivals.len());
        let delay = child.delay(&self.policy, random);
        let admission = admission(now, held, self.going_down, left, delay);
        if admission.is_open() && left == 0 {
            let why = format!(
                "container-watchdog of {engine} was revived {REVIVALS_MAX} times within {} s and ends again",
                REVIVALS_WINDOW.as_secs()
            );
            return self.give_up(now, engine, vec![evidence], why, self.policy.retry_unfit);
        }
        let guards = match admission.finish() {
            Ok(answers) => answers,
            Err(blocked) => {
                child.phase = Phase::Absent { again: held };
                child.held_back = held.is_some();
                let why = "it ended, and is not started again now";
                let draft = Draft::new(child.subject(), ActionKind::None, why).evidence(vec![evidence]);
                self.recorder.record(now, draft.guards(blocked.into_answers()));
                return;
            }
        };
        child.revivals.push_back(now);
        child.revived += 1;
        child.in_a_row += 1;
        child.phase = Phase::Absent {
            again: Some(now + delay),
        };
        match &mut child.open {
            Some(open) => {
                open.evidence.push(evidence);
                open.guards.extend(guards);
                self.recorder.update(open);
            }
            None => {
                let why = format!("it ended: start it again in {} ms", delay.as_millis());
                let draft = Draft::new(child.subject(), ActionKind::ReviveWatchdog, why)
                    .evidence(vec![evidence])
                    .guards(guards)
                    .budget_left(u32::try_from(left - 1).unwrap_or(u32::MAX))
                    .outcome(Outcome::UnderWay);
                child.open = Some(self.recorder.record(now, draft));
            }
        }
        if delay.is_zero() {
            self.start_child(now, engine);
        }
    }

    pub(super) fn give_up(&mut self, now: Moment, engine: &str, evidence: Vec<Evidence>, why: String, retry: Duration) {
        self.end_decision(engine, Outcome::Failed, &why);
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        let news = child.given_up.is_none();
        child.given_up = Some(why.clone());
        child.covered = Some(why.clone());
        child.phase = Phase::Absent {
            again: Some(now + retry),
        };
        child.revived += 1;
        let subject = child.subject();
        if news {
            let told = format!("{why}; retry every {} s", retry.as_secs());
            let draft = Draft::new(subject, ActionKind::Escalate, told).evidence(evidence);
            self.recorder.record(now, draft.outcome(Outcome::Succeeded));
        }
        self.set_condition(&format!("child {engine}"), Err(why));
        self.tell_book(now, engine);
    }

    /// Kills on doubt; the kernel's confirmation comes as `ChildExited`, and only then the successor is started.
    pub(super) fn kill(&mut self, now: Moment, engine: &str, pid: u32, evidence: Vec<Evidence>) {
        let held = self.held_until(engine).is_some();
        let again = now + self.policy.child_ping_within;
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        if held {
            // As doubted as before, so that a sign of life clears it, and looked at again: the hold may be released.
            if let Phase::Greeting { until, .. } | Phase::Doubted { until, .. } = &mut child.phase {
                *until = again;
            }
            return;
        }
        child.phase = Phase::Killing {
            pid,
            until: now + AGAIN,
        };
        let why = format!("process {pid} hangs: kill it and start it again");
        self.begin_decision(now, engine, evidence, why);
        self.signal(engine, pid, ChildSignal::Kill);
        self.tell_child(now, engine);
    }

    /// An end that overtook the answer to its start is kept for that answer: else a process that is gone would be
    /// waited for, and killed in vain, for ever.
    pub(super) fn exited_early(&mut self, engine: &str, pid: u32, exit: ChildExit, last_line: &str) {
        if let Some(child) = self.children.get_mut(engine)
            && let Phase::Starting { .. } = child.phase
        {
            child.early_exit = Some((pid, exit, last_line.to_string()));
        }
    }

    pub(super) fn put_off(&mut self, engine: &str, until: Moment) {
        if let Some(child) = self.children.get_mut(engine) {
            child.phase = Phase::Absent { again: Some(until) };
            child.held_back = true;
        }
    }

    /// A person wants another try now, with the whole budget.
    pub(super) fn retry_child(&mut self, now: Moment, engine: &str) -> bool {
        let Some(child) = self.children.get_mut(engine) else {
            return false;
        };
        if !matches!(child.phase, Phase::Absent { .. }) {
            return false;
        }
        child.revivals.clear();
        child.in_a_row = 0;
        self.start_child(now, engine);
        true
    }

    pub(super) fn begin_decision(&mut self, now: Moment, engine: &str, evidence: Vec<Evidence>, why: String) {
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        let observer = GuardAnswer::passed(Guard::Observer, "this daemon ran without a stall for a whole window");
        let draft = Draft::new(child.subject(), ActionKind::ReviveWatchdog, why)
            .evidence(evidence)
            .guards(vec![observer])
            .outcome(Outcome::UnderWay);
        child.open = Some(self.recorder.record(now, draft));
    }

    pub(super) fn end_decision(&mut self, engine: &str, outcome: Outcome, result: &str) {
        if let Some(open) = self.children.get_mut(engine).and_then(|child| child.open.take()) {
            self.recorder.close(open, outcome, result);
        }
    }

    /// An adopted child of another build is asked to stop between repairs; its successor is started when it is gone. One
    /// that was started by us is of the build that is installed, also where that is newer than we are: an upgrade in two
    /// steps.
    pub(super) fn replace_other_build(&mut self, now: Moment, engine: &str) {
        let Some(child) = self.children.get(engine).filter(|child| child.adopted) else {
            return;
        };
        let Phase::Live { .. } = child.phase else { return };
        let Some(session) = self.backend.child(&child.node) else {
            return;
        };
        let build = session.hello.identity.version.clone();
        let busy = session.book.iter().any(|verdict| verdict.state == State::Repairing);
        // A child that has just said Hello has not reported its repairs yet.
        let told = child
            .joined
            .is_some_and(|joined| joined + self.policy.child_beat * 3 <= now);
        if build == self.identity.version || busy || !told || self.stopping {
            return;
        }
        let why = format!(
            "it is of build {build}, this is {}: replace it between repairs",
            self.identity.version
        );
        let evidence = vec![Evidence::new(EvidenceKind::Observer, now, why.clone())];
        self.begin_decision(now, engine, evidence, why);
        self.stop_child(now, engine);
    }
}

/// The guards of a restart of a child, in order.
fn admission(now: Moment, held: Option<Moment>, going_down: bool, left: usize, delay: Duration) -> Admission {
    let mut admission = Admission::default();
    admission.ask(Guard::Hold, || match held {
        Some(until) => Block::new(format!("held for {} more", seconds(until - now)), State::Repairing).into(),
        None => GuardResult::pass("not held"),
    });
    admission.ask(Guard::HostShutdown, || {
        if going_down {
            return Block::new("the machine is going down", State::Repairing).into();
        }
        GuardResult::pass("the machine is not going down")
    });
    admission.ask(Guard::Budget, || {
        let window = REVIVALS_WINDOW.as_secs();
        GuardResult::pass(format!("{left} of {REVIVALS_MAX} restarts left in {window} s"))
    });
    admission.ask(Guard::Backoff, || {
        GuardResult::pass(format!("wait {} ms", delay.as_millis()))
    });
    admission
}
