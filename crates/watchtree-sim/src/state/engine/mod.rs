//! The one model of a container engine: what Docker 20.10 (and, where asked for, 26.1) was seen to do, no more.
//!
//! Containers run, end, hang, are stopped by people, by watchdogs, by the engine's own policy and by its daemon; the
//! daemon crashes, stops and starts; the machine loses its power. Calls take time and go on whatever becomes of their
//! caller; a start holds the container's lock; events come from a ring that forgets. Time is passed in: `call` and the
//! other acts at their moment, `advance` when `next_deadline` has come, then `drain` for what came of it. The model knows
//! nothing of watchdogs and of right or wrong.

mod container;
mod daemon;
mod event;
mod health;
mod kernel;
pub mod load;
mod process;
pub mod removal;
pub mod shim;
mod spec;
mod start;
mod stop;
mod text;
mod timing;

pub use container::{Snapshot, StopTrouble};
pub use event::{Action, LoggedEvent, RING_EVENTS_MAX};
pub use kernel::{Asker, EngineSettings, Out, Verb, Version, true_wall_ns};
pub use spec::{Check, CheckResult, OnSignal, Program, Spec};
pub use timing::{Timing, Work};

use container::Container;
use kernel::{DaemonState, Due, Kernel};
use watchtree_core::container::io::{
    ContainerView, EngineError, EngineTime, EventAction, Health, Inodes, ListEntry, Namespace, Performed, RunState,
};
use watchtree_core::time::{Duration, Moment};

/// See the top of this file.
pub struct Engine {
    kernel: Kernel,
}

impl Engine {
    /// An engine without containers.
    pub fn new(settings: EngineSettings) -> Self {
        Self {
            kernel: Kernel::new(settings),
        }
    }

    /// When it has something to do next.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.kernel.agenda.keys().next().map(|(at, _)| *at)
    }

    /// Does what is due at `now`, in order.
    pub fn advance(&mut self, now: Moment) {
        while let Some(entry) = self.kernel.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), due) = entry.remove_entry();
            self.does(at, due);
            daemon::progress(&mut self.kernel, at);
        }
    }

    /// What came of it since the last call.
    pub fn drain(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.kernel.out)
    }

    /// The containers that changed since the last call.
    pub fn drain_changed(&mut self) -> Vec<(usize, Snapshot)> {
        let changed = std::mem::take(&mut self.kernel.dirty);
        changed.into_iter().map(|i| (i, self.snapshot(i))).collect()
    }

    fn does(&mut self, now: Moment, due: Due) {
        let k = &mut self.kernel;
        match due {
            Due::StartDone(i, asker) => {
                start::start_done(k, now, i, asker);
                self.lock_is_free(now, i);
            }
            Due::Patience(i, life, asker) => stop::patience_over(k, now, i, life, asker),
            Due::Ends(i, life, code) => {
                if k.containers[i].life == life && k.containers[i].alive {
                    stop::process_ended(k, now, i, code);
                }
            }
            Due::Log(i, action) => k.event(now, i, action),
            Due::StopDone(i, stopping) => stop::stop_done(k, now, i, stopping),
            Due::Answer(asker, result) => k.answer(asker, result),
            Due::PolicyStarts(i, life) => start::policy_starts(k, now, i, life),
            Due::CheckEnds(i, monitor) => health::check_ends(k, now, i, monitor),
            Due::Restored => daemon::restored(k, now),
            Due::DaemonEnds => drop(daemon::killed(k)),
        }
    }

    /// The next calls that waited for the lock of a container are carried out; a start among them may take it again.
    fn lock_is_free(&mut self, now: Moment, i: usize) {
        while !self.kernel.containers[i].holds_calls()
            && let Some((verb, asker)) = self.kernel.containers[i].waiting.pop_front()
        {
            match self.kernel.containers[i].removed {
                true => self.kernel.answer(asker, Err(EngineError::NotFound)),
                false => self.carry_out(now, i, verb, asker),
            }
        }
    }

    /// Is a connection taken and answered?
    pub fn answers(&self) -> bool {
        self.kernel.daemon == DaemonState::Up
    }

    /// Does the daemon's process exist?
    pub fn daemon_exists(&self) -> bool {
        self.kernel.daemon != DaemonState::Down
    }

    /// Do its containers survive its own end?
    pub fn has_live_restore(&self) -> bool {
        self.kernel.settings.live_restore
    }

    /// The list, as the API gives it.
    pub fn list(&self) -> Vec<ListEntry> {
        let entry = |c: &Container<Verb, Asker>| ListEntry {
            id: c.view.id.clone(),
            name: c.view.name.clone(),
            run: c.view.run,
            health: match c.view.run {
                RunState::Running => c.view.health,
                _ => Health::None,
            },
        };
        self.kernel
            .containers
            .iter()
            .filter(|c| !c.removed)
            .map(entry)
            .collect()
    }

    /// Whether a start of it is under way: inspect waits for that, as the engine holds the container's lock meanwhile.
    pub fn is_locked(&self, id: &str) -> bool {
        self.find(id).is_some_and(|i| self.kernel.containers[i].is_locked())
    }

    /// Inspect, where the lock is free.
    ///
    /// # Errors
    /// No such container.
    pub fn inspect(&self, id: &str) -> Result<ContainerView, EngineError> {
        let found = self.find(id).map(|i| self.kernel.shown(i));
        found.ok_or(EngineError::NotFound)
    }

    /// Whether that process of a container lives, by the kernel.
    pub fn process_lives(&self, id: &str, pid: u32) -> bool {
        let c = self.find(id).map(|i| &self.kernel.containers[i]);
        c.is_some_and(|c| c.alive && c.view.pid == pid)
    }

    /// The namespaces of its process, by the kernel.
    pub fn namespaces(&self, id: &str) -> Inodes {
        let found = self.find(id).map(|i| &self.kernel.containers[i]);
        found.map_or_else(Inodes::new, |c| c.namespaces.clone())
    }

    /// What inspect would say of the container at that place.
    pub fn view(&self, place: usize) -> &ContainerView {
        &self.kernel.containers[place].view
    }

    /// `HasBeenManuallyStopped`, where the file can be read.
    pub fn manual_stop_flag(&self, id: &str) -> Option<bool> {
        let i = self.find(id).filter(|_| self.kernel.flag_readable)?;
        Some(self.kernel.containers[i].manually_stopped)
    }

    /// `HostConfig.NetworkMode`, as inspect says it of the container at that place.
    pub fn network_mode(&self, place: usize) -> String {
        let spec = &self.kernel.containers[place].spec;
        match (spec.joins.get(&Namespace::Network), spec.networks.first()) {
            (Some(other), _) => format!("container:{other}"),
            (None, Some(network)) => network.clone(),
            (None, None) => self.kernel.settings.version.network_mode().into(),
        }
    }

    /// Exit code (-1 = it came to none) and output of the last health check of the container at that place.
    pub fn last_check(&self, place: usize) -> Option<(i64, String)> {
        self.kernel.containers[place].last_check.clone()
    }

    /// Since when it answers, as it tells itself: later than what it did to the containers that it found, earlier than any call.
    pub fn began(&self) -> Option<EngineTime> {
        (!self.kernel.settings.hides_its_beginning).then_some(self.kernel.began)
    }

    /// Remembered events from `since` on, oldest first.
    pub fn events_since(&self, since: EngineTime) -> Vec<LoggedEvent> {
        self.kernel.log.since(since)
    }

    /// The stamp of the newest event that is remembered; 0 = none.
    pub fn newest_event(&self) -> EngineTime {
        self.kernel.log.newest()
    }

    /// The place of the container of that id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.kernel.find(id)
    }

    /// The place of the container of that name.
    pub fn find_name(&self, name: &str) -> Option<usize> {
        self.kernel.find_name(name)
    }

    /// How many containers there ever were.
    pub fn len(&self) -> usize {
        self.kernel.containers.len()
    }

    /// True if there never was one.
    pub fn is_empty(&self) -> bool {
        self.kernel.containers.is_empty()
    }

    /// What is true of the container at that place.
    pub fn snapshot(&self, place: usize) -> Snapshot {
        self.kernel.snapshot(place)
    }

    /// How the container at that place was made.
    pub fn spec(&self, place: usize) -> &Spec {
        &self.kernel.containers[place].spec
    }

    /// The engine's wall clock in nanoseconds.
    pub fn wall_ns(&self, now: Moment) -> u64 {
        self.kernel.wall_ns(now)
    }

    /// `POST /containers/create`: the place of the new container.
    ///
    /// # Errors
    /// The name is taken.
    pub fn create(&mut self, now: Moment, spec: Spec) -> Result<usize, EngineError> {
        process::create(&mut self.kernel, now, spec)
    }

    /// A container that has run for that long, and well.
    ///
    /// # Panics
    /// Where the name is taken.
    pub fn create_running(&mut self, now: Moment, spec: Spec, age: Duration) -> usize {
        process::create_running(&mut self.kernel, now, spec, age)
    }

    /// A call reaches the engine; its answer comes out later, to that asker.
    pub fn call(&mut self, now: Moment, id: &str, verb: Verb, asker: Asker) {
        let k = &mut self.kernel;
        if k.daemon != DaemonState::Up {
            return k.answer(asker, Err(text::unreachable()));
        }
        match k.find(id) {
            Some(i) if k.containers[i].holds_calls() => k.containers[i].waiting.push_back((verb, asker)),
            Some(i) => self.carry_out(now, i, verb, asker),
            None => k.answer(asker, Err(EngineError::NotFound)),
        }
    }

    fn carry_out(&mut self, now: Moment, i: usize, verb: Verb, asker: Asker) {
        match verb {
            Verb::Start => start::begin_start(&mut self.kernel, now, i, asker),
            Verb::Stop(timeout) => stop::begin_stop(&mut self.kernel, now, i, timeout, asker),
            Verb::Restart(timeout) => stop::begin_restart(&mut self.kernel, now, i, timeout, asker),
            Verb::Kill(signal) => stop::begin_kill(&mut self.kernel, now, i, signal, asker),
            Verb::Pause => process::pause(&mut self.kernel, now, i, asker),
            Verb::Unpause => process::unpause(&mut self.kernel, now, i, asker),
            Verb::Rename(name) => process::rename(&mut self.kernel, now, i, name, asker),
            Verb::Update(policy) => {
                self.kernel.containers[i].remade(|spec| spec.policy = policy);
                self.kernel.event(now, i, EventAction::Update);
                self.kernel.answer(asker, Ok(Performed::Done));
            }
            Verb::Remove { force } => stop::begin_remove(&mut self.kernel, now, i, force, asker),
            Verb::ExecKill(signal) => process::exec_kill(&mut self.kernel, now, i, signal, asker),
        }
    }

    /// From now on it takes that long for what it does.
    pub fn set_timing(&mut self, timing: Timing) {
        self.kernel.settings.timing = timing;
    }

    /// How it is set up, to change.
    pub fn settings_mut(&mut self) -> &mut EngineSettings {
        &mut self.kernel.settings
    }

    /// The container's init ends by itself. True if there was one.
    pub fn process_exits(&mut self, now: Moment, place: usize, exit_code: i64) -> bool {
        let is_alive = self.kernel.containers[place].alive;
        let ends = || stop::process_ended(&mut self.kernel, now, place, exit_code);
        is_alive.then(ends).is_some()
    }

    /// The container's init is killed for memory (`init`), or a child of it is.
    pub fn out_of_memory(&mut self, now: Moment, place: usize, init: bool) -> bool {
        if !self.kernel.containers[place].alive {
            return false;
        }
        if self.kernel.daemon != DaemonState::Down {
            self.kernel.event(now, place, EventAction::Oom);
        }
        self.kernel.containers[place].oom_seen = true;
        if !self.kernel.settings.version.notes_oom_at_the_end() {
            self.kernel.containers[place].view.oom_killed = true;
        }
        if init {
            stop::process_ended(&mut self.kernel, now, place, 137);
        }
        self.kernel.changed(place);
        true
    }

    /// The container stops answering: its health check, if it has one, times out from here on. True if it ran.
    pub fn hang(&mut self, now: Moment, place: usize) -> bool {
        let c = &mut self.kernel.containers[place];
        if !c.alive || c.hung || c.view.run != RunState::Running {
            return false;
        }
        (c.hung, c.changed) = (true, now);
        self.kernel.changed(place);
        health::check_again(&mut self.kernel, now, place);
        true
    }

    /// What the next runs of its health check come to.
    pub fn set_check_result(&mut self, now: Moment, place: usize, result: CheckResult) {
        if let Some(check) = &mut self.kernel.containers[place].spec.check {
            check.result = result;
        }
        health::check_again(&mut self.kernel, now, place);
    }

    /// Every `exec` of this engine fails with these words from here on, or none does.
    pub fn set_exec_broken(&mut self, now: Moment, words: Option<String>) {
        self.kernel.exec_broken = words;
        (0..self.kernel.containers.len()).for_each(|i| health::check_again(&mut self.kernel, now, i));
    }

    /// Another program is behind the container from its next signal or start on.
    pub fn set_program(&mut self, place: usize, program: Program) {
        self.kernel.containers[place].spec.program = program;
    }

    /// Its next start by a watchdog takes that long.
    pub fn slow_start(&mut self, place: usize, lasts: Duration) {
        self.kernel.containers[place].slow = Some(lasts);
    }

    /// What becomes of the container's next stop by a watchdog.
    pub fn next_stop(&mut self, place: usize, trouble: StopTrouble) {
        self.kernel.containers[place].next_stop = Some(trouble);
    }

    /// A file is not there any more, or is again.
    pub fn set_mount(&mut self, path: &str, there: bool) {
        let _ = match there {
            true => self.kernel.missing_mounts.remove(path),
            false => self.kernel.missing_mounts.insert(path.into()),
        };
    }

    /// A network is not there any more, or is again.
    pub fn set_network(&mut self, name: &str, there: bool) {
        let _ = match there {
            true => self.kernel.missing_networks.remove(name),
            false => self.kernel.missing_networks.insert(name.into()),
        };
    }

    /// A stranger takes a port, or frees it.
    pub fn set_port(&mut self, port: u16, taken: bool) {
        let _ = match taken {
            true => self.kernel.taken_ports.insert(port),
            false => self.kernel.taken_ports.remove(&port),
        };
    }

    /// The machine's wall clock differs from the true one by that from here on.
    pub fn set_clock_offset_ns(&mut self, offset: i64) {
        self.kernel.clock_offset_ns = offset;
    }

    /// Can the manual-stop flag be read?
    pub fn set_flag_readable(&mut self, readable: bool) {
        self.kernel.flag_readable = readable;
    }

    /// The next end of that container is logged nowhere.
    pub fn lose_next_die(&mut self, place: usize, lose: bool) {
        self.kernel.lose_die = lose.then_some(place);
    }

    /// Forgets all events, as if others had pushed them out of the ring.
    pub fn forget_events(&mut self) {
        self.kernel.log.clear();
    }

    /// As many events of another type are logged.
    pub fn other_events(&mut self, now: Moment, count: usize) {
        for _ in 0..count {
            let at: EngineTime = self.kernel.stamp(now);
            self.kernel.log.push(LoggedEvent {
                at,
                id: String::new(),
                name: String::new(),
                compose: None,
                action: Action::Other,
            });
        }
    }

    /// The container is as if it had been made otherwise; an `update` tells of it.
    pub fn remake(&mut self, now: Moment, place: usize, set: impl FnOnce(&mut Spec)) {
        self.kernel.remade(now, place, set);
        self.kernel.event(now, place, EventAction::Update);
        self.kernel.changed(place);
    }

    /// The manual-stop flag of a container becomes that.
    pub fn forge_flag(&mut self, place: usize, set: bool) {
        self.kernel.containers[place].manually_stopped = set;
    }

    /// The exit code of a container's last end becomes that.
    pub fn forge_exit_code(&mut self, place: usize, code: i64) {
        self.kernel.containers[place].view.exit_code = code;
    }

    /// The engine backs off that long after each end of it.
    pub fn set_backoff(&mut self, place: usize, backoff: Duration) {
        self.kernel.containers[place].backoff = Some(backoff);
    }

    /// No more events than so many are remembered from here on.
    pub fn remember_events(&mut self, max: usize) {
        self.kernel.log.remembers(max);
    }

    /// It is that engine from here on.
    pub fn set_version(&mut self, version: Version) {
        self.kernel.settings.version = version;
    }

    /// kill -9 of the daemon. True if there was one.
    pub fn daemon_killed(&mut self) -> bool {
        daemon::killed(&mut self.kernel)
    }

    /// SIGTERM to the daemon: without live-restore it stops every container first. True if it was up.
    pub fn daemon_terminated(&mut self, now: Moment) -> bool {
        let was_up = daemon::terminated(&mut self.kernel, now);
        daemon::progress(&mut self.kernel, now);
        was_up
    }

    /// Somebody reads its events, or nobody does any more.
    pub fn set_stream_open(&mut self, open: bool) {
        self.kernel.stream_open = open;
    }

    /// The daemon starts. True if none was there.
    pub fn daemon_started(&mut self, now: Moment) -> bool {
        let was_down = daemon::started(&mut self.kernel, now);
        daemon::progress(&mut self.kernel, now);
        was_down
    }

    /// The machine loses its power: every process ends with it, and nobody sees it.
    pub fn power_lost(&mut self, now: Moment) {
        daemon::power_lost(&mut self.kernel, now);
    }

    /// The status of its health check becomes that at once, with the event that tells of it.
    pub fn set_health(&mut self, now: Moment, place: usize, health: Health) {
        health::set_health(&mut self.kernel, now, place, health);
        self.kernel.event(now, place, EventAction::Health(health));
    }

    /// The same, and the event is lost.
    pub fn set_health_unseen(&mut self, now: Moment, place: usize, health: Health) {
        health::set_health(&mut self.kernel, now, place, health);
    }
}
