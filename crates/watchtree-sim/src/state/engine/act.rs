//! What is done to the engine from outside: the calls of its API, and what happens to processes and to the machine.

use super::spec::{CheckResult, Program, Spec};
use super::{Asker, Container, DaemonState, Due, Engine, Verb, Work, text};
use watchtree_core::container::io::{EngineError, EngineTime, EventAction, Health, Performed, RunState};
use watchtree_core::time::Moment;

impl Engine {
    /// `POST /containers/create`: the place of the new container.
    ///
    /// # Errors
    /// The name is taken.
    pub fn create(&mut self, now: Moment, mut spec: Spec) -> Result<usize, EngineError> {
        if let Some(other) = self.find_name(&spec.name) {
            return Err(self.name_taken(&spec.name, other));
        }
        if spec.id.is_empty() {
            spec.id = format!("{:064x}", 0xc0de_0000_0000_u64 + self.containers.len() as u64);
        }
        let i = self.containers.len();
        self.containers.push(Container::new(now, spec));
        self.event(now, i, EventAction::Create);
        self.changed(i);
        Ok(i)
    }

    /// A container that has run for that long, and well.
    ///
    /// # Panics
    /// Where the name is taken.
    pub fn create_running(&mut self, now: Moment, spec: Spec, age: watchtree_core::time::Duration) -> usize {
        let i = self.create(now, spec).expect("a name of its own");
        self.next_pid += 1;
        let (pid, at) = (self.next_pid, EngineTime(self.wall_ns(now) - age.as_nanos() as u64));
        let c = &mut self.containers[i];
        c.lives(now, at, pid);
        if c.spec.check.is_some() {
            c.view.health = Health::Healthy;
        }
        c.life = 0;
        c.born = now.saturating_sub(age);
        i
    }

    fn name_taken(&self, name: &str, other: usize) -> EngineError {
        let id = &self.containers[other].view.id;
        let message = format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) \
             that container to be able to reuse that name."
        );
        text::refused(409, message)
    }

    /// A call reaches the engine; its answer comes out later, to that asker.
    pub fn call(&mut self, now: Moment, id: &str, verb: Verb, asker: Asker) {
        if self.daemon != DaemonState::Up {
            return self.answer(asker, Err(text::unreachable()));
        }
        match self.find(id) {
            Some(i) if self.containers[i].starting => self.containers[i].waiting.push_back((verb, asker)),
            Some(i) => self.carry_out(now, i, verb, asker),
            None => self.answer(asker, Err(EngineError::NotFound)),
        }
    }

    pub(super) fn carry_out(&mut self, now: Moment, i: usize, verb: Verb, asker: Asker) {
        match verb {
            Verb::Start => self.begin_start(now, i, asker),
            Verb::Stop(timeout) => self.begin_stop(now, i, timeout, asker),
            Verb::Restart(timeout) => self.begin_restart(now, i, timeout, asker),
            Verb::Kill(signal) => self.begin_kill(now, i, signal, asker),
            Verb::Pause => self.pause(now, i, asker),
            Verb::Unpause => self.unpause(now, i, asker),
            Verb::Rename(name) => self.rename(now, i, name, asker),
            Verb::Update(policy) => {
                self.containers[i].view.restart_policy = policy;
                self.event(now, i, EventAction::Update);
                self.answer(asker, Ok(Performed::Done));
            }
            Verb::Remove { force } => self.begin_remove(now, i, force, asker),
            Verb::ExecKill(signal) => self.exec_kill(now, i, signal, asker),
        }
    }

    fn pause(&mut self, now: Moment, i: usize, asker: Asker) {
        let c = &mut self.containers[i];
        let id = c.view.id.clone();
        let result = match c.view.run {
            RunState::Running => Ok(Performed::Done),
            RunState::Paused => Err(text::refused(409, format!("Container {id} is already paused"))),
            RunState::Restarting => Err(text::refused(
                409,
                format!("Container {id} is restarting, wait until the container is running"),
            )),
            _ => Err(text::not_running(&id)),
        };
        if result.is_ok() {
            (c.view.run, c.changed) = (RunState::Paused, now);
            self.event(now, i, EventAction::Pause);
            self.changed(i);
        }
        self.answer(asker, result);
    }

    fn unpause(&mut self, now: Moment, i: usize, asker: Asker) {
        if self.containers[i].view.run != RunState::Paused {
            let message = format!("Container {} is not paused", self.containers[i].view.id);
            return self.answer(asker, Err(text::refused(409, message)));
        }
        self.resumed(now, i);
        self.answer(asker, Ok(Performed::Done));
    }

    pub(super) fn resumed(&mut self, now: Moment, i: usize) {
        let c = &mut self.containers[i];
        (c.view.run, c.changed) = (RunState::Running, now);
        self.event(now, i, EventAction::Unpause);
        self.changed(i);
        self.check_again(now, i);
    }

    fn rename(&mut self, now: Moment, i: usize, name: String, asker: Asker) {
        if let Some(other) = self.find_name(&name) {
            let taken = self.name_taken(&name, other);
            return self.answer(asker, Err(taken));
        }
        let old_name = std::mem::replace(&mut self.containers[i].view.name, name);
        self.event(now, i, EventAction::Rename { old_name });
        self.changed(i);
        self.answer(asker, Ok(Performed::Done));
    }

    /// A process in the container signals its init: no event tells of it, and KILL from inside does nothing to an init.
    fn exec_kill(&mut self, now: Moment, i: usize, signal: u32, asker: Asker) {
        if self.containers[i].view.run != RunState::Running {
            let error = text::not_running(&self.containers[i].view.id);
            return self.answer(asker, Err(error));
        }
        if signal != 9 {
            self.signal(now, i, signal);
        }
        self.answer(asker, Ok(Performed::Done));
    }

    // --- processes ---

    /// A signal reaches the process of the container.
    pub(super) fn signal(&mut self, now: Moment, i: usize, signal: u32) {
        let c = &self.containers[i];
        let held = c.hung || c.view.run == RunState::Paused;
        if !c.alive || (held && signal != 9) {
            return;
        }
        if let super::OnSignal::Exit { code, after } = c.spec.program.reacts(signal, c.view.stop_signal) {
            let life = c.life;
            let at = now + after + self.settings.timing.takes(Work::Exit);
            self.later(at, Due::Ends(i, life, code));
        }
    }

    /// The container's init ends by itself. True if there was one.
    pub fn process_exits(&mut self, now: Moment, place: usize, exit_code: i64) -> bool {
        if !self.containers[place].alive {
            return false;
        }
        self.process_ended(now, place, exit_code);
        true
    }

    /// The container's init is killed for memory (`init`), or a child of it is.
    pub fn out_of_memory(&mut self, now: Moment, place: usize, init: bool) -> bool {
        if !self.containers[place].alive {
            return false;
        }
        if self.daemon != DaemonState::Down {
            self.event(now, place, EventAction::Oom);
        }
        if init {
            self.process_ended(now, place, 137);
        }
        // 20.10 notes it for a child's death too.
        self.containers[place].view.oom_killed = true;
        true
    }

    /// The container stops answering: its health check, if it has one, times out from here on. True if it ran.
    pub fn hang(&mut self, now: Moment, place: usize) -> bool {
        let c = &mut self.containers[place];
        if !c.alive || c.hung || c.view.run != RunState::Running {
            return false;
        }
        (c.hung, c.changed) = (true, now);
        self.changed(place);
        self.check_again(now, place);
        true
    }

    /// What the next runs of its health check come to.
    pub fn set_check_result(&mut self, now: Moment, place: usize, result: CheckResult) {
        if let Some(check) = &mut self.containers[place].spec.check {
            check.result = result;
        }
        self.check_again(now, place);
    }

    /// Every `exec` of this engine fails with these words from here on, or none does.
    pub fn set_exec_broken(&mut self, now: Moment, words: Option<String>) {
        self.exec_broken = words;
        (0..self.containers.len()).for_each(|i| self.check_again(now, i));
    }

    /// Another program is behind the container from its next signal or start on.
    pub fn set_program(&mut self, place: usize, program: Program) {
        self.containers[place].spec.program = program;
    }

    /// Its next start by a watchdog takes that long.
    pub fn slow_start(&mut self, place: usize, lasts: watchtree_core::time::Duration) {
        self.containers[place].slow = Some(lasts);
    }

    // --- the machine ---

    /// A file is not there any more, or is again.
    pub fn set_mount(&mut self, path: &str, there: bool) {
        let _ = match there {
            true => self.missing_mounts.remove(path),
            false => self.missing_mounts.insert(path.into()),
        };
    }

    /// A network is not there any more, or is again.
    pub fn set_network(&mut self, name: &str, there: bool) {
        let _ = match there {
            true => self.missing_networks.remove(name),
            false => self.missing_networks.insert(name.into()),
        };
    }

    /// A stranger takes a port, or frees it.
    pub fn set_port(&mut self, port: u16, taken: bool) {
        let _ = match taken {
            true => self.taken_ports.insert(port),
            false => self.taken_ports.remove(&port),
        };
    }

    /// The machine's wall clock differs from the true one by that from here on.
    pub fn set_clock_offset_ns(&mut self, offset: i64) {
        self.clock_offset_ns = offset;
    }

    /// Can the manual-stop flag be read?
    pub fn set_flag_readable(&mut self, readable: bool) {
        self.flag_readable = readable;
    }

    /// The next end of that container is logged nowhere.
    pub fn lose_next_die(&mut self, place: usize, lose: bool) {
        self.lose_die = lose.then_some(place);
    }

    /// Forgets all events, as if others had pushed them out of the ring.
    pub fn forget_events(&mut self) {
        self.log.clear();
    }

    /// As many events of another type are logged.
    pub fn other_events(&mut self, now: Moment, count: usize) {
        for _ in 0..count {
            let at: EngineTime = self.stamp(now);
            self.log.push(super::LoggedEvent {
                at,
                id: String::new(),
                name: String::new(),
                compose: None,
                action: super::Action::Other,
            });
        }
    }
}
