//! Acts whose answer the model does not give alone: what the API says of a name that it does not know, what a command ends
//! with, what the kernel does to a frozen process, who uses a network.

use crate::player::Player;
use crate::rows::Act;
use crate::settings::signal;
use serde_json::{Value, json};
use watchtree_core::container::io::RunState;
use watchtree_sim::state::engine::{Verb, Version};

impl Player<'_> {
    pub(crate) fn kill(&mut self, act: &Act) -> Value {
        let mut answer = self.call(act.word(0), Verb::Kill(signal(act.word(1))), 204);
        if let (Some(404), Some(error)) = (answer["status"].as_u64(), answer["error"].as_str()) {
            let cannot = match self.recording.version {
                Version::V20_10 => "Cannot",
                Version::V26_1 => "cannot",
            };
            answer["error"] = format!("{cannot} kill container: {}: {error}", act.word(0)).into();
        }
        answer
    }

    /// A frozen process ends when it is thawed, where control groups are of the first version, as in the recordings.
    pub(crate) fn host_kill(&mut self, name: &str) -> Value {
        if self.engine.view(self.place(name)).run == RunState::Paused {
            self.killed_frozen = true;
            return json!({});
        }
        self.ends(name, 137)
    }

    pub(crate) fn unpause(&mut self, act: &Act) -> Value {
        let mut answer = self.call(act.word(0), Verb::Unpause, 204);
        if std::mem::take(&mut self.killed_frozen) {
            answer["took_ms"] = 0.into();
            self.ends(act.word(0), 137);
        }
        answer
    }

    pub(crate) fn is_in_use(&self, network: &str) -> bool {
        let places = self.engine.list().into_iter().filter_map(|it| self.engine.find(&it.id));
        let mut running = places.filter(|place| self.engine.view(*place).pid != 0);
        running.any(|place| self.engine.spec(place).networks.iter().any(|it| it == network))
    }

    /// A command that does nothing to the container; with what it ends is the runtime's or its own.
    pub(crate) fn exec(&mut self, act: &Act) -> Value {
        let mut answer = self.call(act.word(0), Verb::ExecKill(0), 200);
        if answer["status"] == 200 {
            let cannot_run = self.exec_broken || act.word(1).starts_with('/');
            let own = self.checks.get(act.word(0)).copied().unwrap_or(0);
            answer["exit_code"] = if cannot_run { 126 } else { own }.into();
        }
        answer
    }
}
