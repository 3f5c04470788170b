//! The rules of the architecture (§7), checked while the world runs. Each has a name; a broken one ends the run with it.
//!
//! `acts_on_record`        no call without a decision and a journal record before it
//! `posted_once`           a call is never posted twice
//! `healthy_left_alone`    no container that is well is stopped; no watchdog that is well is killed
//! `operator_wins`         what a person stopped is not started
//! `budget_kept`           starts of a container never exceed its budget, whatever crashes
//! `silence_is_seen`       a host that cannot be heard is not shown as OK for longer than the bound
//! `no_false_suspicion`    nobody is suspected without a fault that explains it
//! `stall_judges_nobody`   right after its own start or stall the manager judges nobody
//! `silence_is_no_death`   a host is never DOWN
//! `decision_has_evidence` every decision names its evidence
//! `repaired_or_escalated` after the faults stopped, every failed container runs again or is given up
//! `converges`             after the faults stopped, the manager believes the truth

use crate::engine::{Asker, Container};
use crate::world::World;
use watchtree_core::container::io::{EngineCall, RunState, Ticket};
use watchtree_core::decision::{ActionKind, Decision};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;

/// Shipped budget: 5 restarts in 10 minutes, and one slow retry each 10 minutes after that.
const STARTS_MAX: usize = 6;
/// The window of that budget.
const WINDOW: Duration = Duration::from_secs(600);
/// Missed freshness point (0.5 s + 1 s) and two rounds of looks (0.7 s each), with room for one beat's phase.
const SEEN_WITHIN: Duration = Duration::from_secs(4);
/// After its own start or stall the manager waits for one healthy window and for hosts to return before that bound runs.
const MANAGER_SETTLES: Duration = Duration::from_secs(8);
/// How long a fault excuses a suspicion after it ended.
const EXCUSED_FOR: Duration = Duration::from_secs(12);

impl World {
    /// Before a call leaves the container-watchdog.
    pub fn check_perform(&mut self, h: usize, id: &str, ticket: Ticket) {
        let on_record = self.hosts[h].journal_target_is(id);
        if !on_record {
            self.breaks(
                "acts_on_record",
                format!("host {h}: call {ticket:?} on {id:.6} without a journal record"),
            );
        }
    }

    /// When a decision is announced.
    pub fn check_decision(&mut self, h: usize, decision: &Decision) {
        if decision.evidence.is_empty() {
            self.breaks(
                "decision_has_evidence",
                format!("host {h}: {} ({})", decision.id, decision.why),
            );
        }
        if decision.guards.is_empty() && decision.action != ActionKind::None && decision.action != ActionKind::Escalate
        {
            self.breaks(
                "decision_has_evidence",
                format!("host {h}: {} asked no guard", decision.id),
            );
        }
    }

    /// When a call reaches the engine.
    pub fn check_call(&mut self, h: usize, id: &str, call: EngineCall, asker: Asker) {
        let Asker::Watchdog { epoch, ticket } = asker else {
            return;
        };
        if 0 < self.hosts[h].engine.times_posted(epoch, ticket) {
            self.breaks(
                "posted_once",
                format!("host {h}: {call:?} of {id:.6}, ticket {ticket} came again"),
            );
        }
        let (now, forgot) = (self.now, self.hosts[h].forgot);
        let Some(c) = self.hosts[h].engine.containers.iter().find(|c| c.view.id == id) else {
            return;
        };
        let since = now.since(c.changed);
        let (runs, hung, stopped) = (c.view.run == RunState::Running, c.hung, c.stopped_by_operator);
        let name = c.view.name.clone();
        match call {
            EngineCall::Stop { .. } if runs && !hung && Duration::from_millis(300) < since => {
                self.breaks(
                    "healthy_left_alone",
                    format!("host {h}: {name} is well since {since:?} and is stopped"),
                );
            }
            EngineCall::Start if !runs && stopped => {
                // Where the engine forgot its events during our own stop, nothing tells the two stops apart.
                let knowable = Duration::from_secs(30) < now.since(forgot) && Duration::from_millis(400) < since;
                if knowable {
                    self.breaks(
                        "operator_wins",
                        format!("host {h}: {name} was stopped {since:?} ago and is started"),
                    );
                }
            }
            _ => {}
        }
    }

    /// Before a container-watchdog is killed by its host-watchdog.
    pub fn check_child_kill(&mut self, h: usize) {
        let excused = self.now.since(self.hosts[h].child_hurt) < EXCUSED_FOR;
        if self.hosts[h].child.runs() && !excused {
            self.breaks(
                "healthy_left_alone",
                format!("host {h}: its container-watchdog is well and is killed"),
            );
        }
    }

    /// When the manager shows another state of a subject.
    pub fn check_state_change(&mut self, subject: &SubjectId, from: State, to: State, why: &str) {
        let Some(h) = self.host_of(subject.as_str()) else {
            return;
        };
        if to == State::Down {
            self.breaks("silence_is_no_death", format!("{subject} is DOWN: {why}"));
        }
        if !matches!(to, State::Suspect | State::AgentLost | State::Unreachable) {
            return;
        }
        let host = &self.hosts[h];
        let trouble = host.troubled.max(host.cut_until).max(host.host.well_since);
        let dead = host.dead_since.is_some();
        if !dead && EXCUSED_FOR < self.now.since(trouble) {
            self.breaks(
                "no_false_suspicion",
                format!("{subject}: {} to {}: {why}", from.as_str(), to.as_str()),
            );
        }
        if self.now.since(self.manager.well_since) < Duration::from_millis(1900) {
            self.breaks(
                "stall_judges_nobody",
                format!("{subject}: {} to {}: {why}", from.as_str(), to.as_str()),
            );
        }
    }

    /// Every quarter of a second.
    pub fn check(&mut self) {
        for h in 0..self.hosts.len() {
            self.check_silence(h);
            let worst = self.hosts[h]
                .engine
                .containers
                .iter()
                .map(|c| {
                    (
                        c.our_starts.iter().filter(|at| self.now.since(**at) < WINDOW).count(),
                        &c.view.name,
                    )
                })
                .max();
            if let Some((starts, name)) = worst.filter(|(starts, _)| STARTS_MAX < *starts) {
                let why = format!("host {h}: {name} was started {starts} times within 10 minutes");
                self.breaks("budget_kept", why);
            }
        }
    }

    fn check_silence(&mut self, h: usize) {
        let Some(dead_since) = self.hosts[h].dead_since else {
            return;
        };
        if !self.manager.runs() {
            return;
        }
        // A frame proves when it was sent only against a prompter one: where a manager that has just started never got a
        // prompt one (its host's frames are held back since), it cannot tell old from new, and the bound runs that much later.
        let host = &self.hosts[h];
        let unknowable = host.heard.unknowable((self.manager.epoch, host.boots));
        let from = dead_since.max(self.manager.well_since + MANAGER_SETTLES) + unknowable;
        let subject = SubjectId::new(self.hosts[h].name.as_str()).expect("a host's name");
        if self.shown(&subject) == Some(State::Ok) && SEEN_WITHIN < self.now.since(from) {
            let silent = self.now.since(dead_since);
            self.breaks(
                "silence_is_seen",
                format!("{subject} is silent since {silent:?} and shown as OK"),
            );
        }
    }

    /// True if a container waits, unhealthy, until its grace is over: a bound too, but a longer one than the calm.
    pub fn somebody_has_grace(&self) -> bool {
        let hung = |h: usize, c: &Container| {
            let subject =
                SubjectId::new(&format!("{}/docker/{}", self.hosts[h].name, c.view.name)).expect("plain names");
            c.hung && !c.removed && self.held(h, &subject) == Some(State::Unhealthy)
        };
        (0..self.hosts.len()).any(|h| self.hosts[h].engine.containers.iter().any(|c| hung(h, c)))
    }

    /// What the manager shows of a subject.
    fn shown(&self, subject: &SubjectId) -> Option<State> {
        self.manager
            .machine
            .as_ref()?
            .line(self.now, subject)
            .map(|line| line.state)
    }

    /// What a host's container-watchdog holds of a subject.
    fn held(&self, h: usize, subject: &SubjectId) -> Option<State> {
        let agent = self.hosts[h].child.machine.as_ref()?;
        agent
            .verdicts()
            .find(|verdict| verdict.subject == *subject)
            .map(|verdict| verdict.state)
    }

    /// Why it holds that: what a broken run is read by.
    fn held_why(&self, h: usize, subject: &SubjectId) -> String {
        let Some(agent) = self.hosts[h].child.machine.as_ref() else {
            return "no container-watchdog".into();
        };
        let found = agent.verdicts().find(|verdict| verdict.subject == *subject);
        found.map_or_else(|| "not known".into(), |verdict| verdict.why.clone())
    }

    /// At the end, when the faults are over since long.
    pub fn check_end(&mut self) {
        for h in 0..self.hosts.len() {
            for c in 0..self.hosts[h].engine.containers.len() {
                self.check_container_end(h, c);
            }
            let subject = SubjectId::new(self.hosts[h].name.as_str()).expect("a host's name");
            let state = self.shown(&subject);
            if state != Some(State::Ok) {
                self.breaks("converges", format!("{subject} is well and shown as {state:?}"));
            }
        }
    }

    fn check_container_end(&mut self, h: usize, c: usize) {
        let container = &self.hosts[h].engine.containers[c];
        let (name, removed) = (container.view.name.clone(), container.removed);
        let (runs, hung) = (container.view.run == RunState::Running, container.hung);
        let stopped = container.stopped_by_operator;
        let subject = SubjectId::new(&format!("{}/docker/{name}", self.hosts[h].name)).expect("plain names");
        let here = self.held(h, &subject);
        let there = self.shown(&subject);
        let why = self.held_why(h, &subject);
        let believed = format!("here {here:?} ({why}), at the manager {there:?}");
        if removed {
            if here.is_some() || there.is_some() {
                self.breaks("converges", format!("{subject} is removed: {believed}"));
            }
            return;
        }
        let blind = Duration::ZERO < Duration::from_millis(self.hosts[h].forgot.as_micros() / 1000);
        if !runs && !stopped && here != Some(State::GivenUp) {
            self.breaks("repaired_or_escalated", format!("{subject} is down: {believed}"));
        }
        if runs && hung && here != Some(State::GivenUp) {
            self.breaks("repaired_or_escalated", format!("{subject} hangs: {believed}"));
        }
        let left_alone = here == Some(State::Stopped) || (blind && here == Some(State::GivenUp));
        if !runs && stopped && !left_alone {
            self.breaks("converges", format!("{subject} was stopped by a person: {believed}"));
        }
        if runs && stopped && !blind {
            self.breaks(
                "operator_wins",
                format!("{subject} was stopped by a person and runs: {believed}"),
            );
        }
        if here != there {
            self.breaks("converges", format!("{subject}: {believed}"));
        }
        if runs && !hung && !stopped && !matches!(here, Some(State::Ok | State::GivenUp)) {
            self.breaks("converges", format!("{subject} runs and is well: {believed}"));
        }
    }
}
