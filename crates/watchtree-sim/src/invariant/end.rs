//! What must be true when the faults are over since long.

use crate::world::World;
use watchtree_core::container::io::RunState;
use watchtree_core::subject::SubjectId;
use watchtree_core::verdict::State;

impl World {
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
        let removed = container.removed;
        let (runs, hung) = (container.view.run == RunState::Running, container.hung);
        let stopped = container.stopped_by_operator;
        let subject = self.subject(h, c);
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
        let blind = self.is_blind(h, c);
        if !runs && !stopped && here != Some(State::GivenUp) {
            self.breaks("repaired_or_escalated", format!("{subject} is down: {believed}"));
        }
        if runs && hung && here != Some(State::GivenUp) {
            self.breaks("repaired_or_escalated", format!("{subject} hangs: {believed}"));
        }
        let left_alone = here == Some(State::Stopped) || blind;
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
