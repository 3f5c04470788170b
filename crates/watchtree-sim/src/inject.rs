//! Lets faults happen.

use crate::engine::Asker;
use crate::fault::Fault;
use crate::orders::Wish;
use crate::world::{Happening, Node, World};
use watchtree_core::container::io::{ContainerInput, EngineCall, RunState};
use watchtree_core::host::io::{ChildExit, HostInput};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Duration;

impl World {
    /// A held-back frame is let through; the next one follows half a second later.
    pub fn trickle(&mut self, h: usize) {
        if let Some(held) = self.hosts[h].backlog.take() {
            self.hosts[h].held = held;
            // What was held back speaks for the time until it was sent.
            self.hosts[h].silent_since = self.hosts[h].silent_since.map(|_| self.now);
        }
        if self.hosts[h].held.is_empty() {
            return;
        }
        let mut envelope = self.hosts[h].held.remove(0);
        let connection = self.hosts[h].connection;
        let now = self.now;
        self.judge_by_receipt(h, now, &mut envelope);
        self.at(now, Happening::FrameUp(h, connection, envelope));
        self.after(Duration::from_millis(500), Happening::Trickle(h));
    }

    /// Lets one fault happen, and counts it if it really did.
    pub fn inject(&mut self, fault: Fault) {
        let now = self.now;
        let happened = match fault {
            Fault::Crash { host, container } => self.crash(host, container),
            Fault::CrashLoop { host, container, left } => self.crash_loop(host, container, left),
            Fault::Hang { host, container } => self.hosts[host].engine.hang(now, container),
            Fault::OperatorStop { host, container } => self.operator_stop(host, container),
            Fault::OperatorKill { host, container } => {
                let runs = self.hosts[host].engine.containers[container].view.run == RunState::Running;
                let kills = runs && self.hosts[host].going_down.is_none();
                if kills {
                    self.hosts[host].engine.kill(now, container);
                }
                kills
            }
            Fault::OperatorRemove { host, container } => {
                let there = !self.hosts[host].engine.containers[container].removed;
                self.hosts[host].engine.remove(now, container);
                there
            }
            Fault::StopIntoRepair { host, container } => {
                if self.hosts[host].engine.hang(now, container) {
                    self.hosts[host].ambush = Some(container);
                }
                false // counted when it is sprung
            }
            Fault::LostDie { host, container } => {
                self.hosts[host].engine.mute_die = Some(container);
                let crashed = self.crash(host, container);
                self.hosts[host].engine.mute_die = None;
                crashed
            }
            Fault::StreamCut { host, forget } => self.cut_stream(host, forget),
            Fault::LostAnswer { host } => {
                self.hosts[host].lose_answers = 1;
                false // counted when an answer is lost
            }
            Fault::SlowStart {
                host,
                container,
                lasts,
                breaks,
            } => {
                let crashed = self.crash(host, container);
                if crashed {
                    self.hosts[host].engine.slow.insert(container, lasts);
                    self.hosts[host].break_call = breaks.then_some(container);
                }
                false // counted when a start takes its time, and when its connection breaks
            }
            Fault::BrokenCall { host, container } => {
                if self.hosts[host].engine.hang(now, container) {
                    self.hosts[host].break_call = Some(container);
                }
                false // counted when it breaks
            }
            Fault::Ask {
                host,
                container,
                above,
                wish,
            } => {
                self.ask(self.subject_above(host, container, above), wish);
                let delay = self.rng.millis(1000, 4000);
                self.after(delay, Happening::Fault(Fault::Crash { host, container }));
                false // counted when it is asked
            }
            Fault::LateOrder {
                host,
                container,
                above,
                lasts,
                restart,
            } => self.late_order(host, self.subject_above(host, container, above), lasts, restart),
            Fault::KillChild { host } => self.hurt_child(host, None),
            Fault::FreezeChild { host, lasts } => self.hurt_child(host, Some(lasts)),
            Fault::KillHost { host, lasts } => self.hurt_host(host, lasts, true),
            Fault::FreezeHost { host, lasts } => self.hurt_host(host, lasts, false),
            Fault::PowerCut { host, lasts } => self.power_cut(host, lasts),
            Fault::Shutdown { host, lasts } => self.shut_down(host, lasts),
            Fault::Cut { host, lasts } => self.cut(host, lasts),
            Fault::Backlog { host } => self.backlog(host),
            Fault::KillManager { lasts } => self.hurt_manager(lasts, true),
            Fault::FreezeManager { lasts } => self.hurt_manager(lasts, false),
            Fault::BadIpc { host, lasts } => {
                let host = &mut self.hosts[host];
                host.ipc_bad_until = host.ipc_bad_until.max(now + lasts);
                host.child_hurt = host.child_hurt.max(host.ipc_bad_until);
                true
            }
            Fault::EngineIll { host, lasts } => {
                self.hosts[host].engine_ill_until = now + lasts;
                true
            }
            Fault::DiskFull { host, lasts } => {
                self.hosts[host].disk_full_until = now + lasts;
                true
            }
            Fault::StopHost { host, lasts } => self.stop_host(host, lasts),
            Fault::BadNetwork { lasts } => {
                self.bad_network_until = now + lasts;
                self.hosts
                    .iter_mut()
                    .for_each(|host| host.troubled = host.troubled.max(now + lasts));
                true
            }
        };
        if happened {
            self.counted(fault.kind());
            self.story.push((now, fault));
        }
        for h in 0..self.hosts.len() {
            self.engine_speaks(h);
        }
    }

    fn subject_above(&self, h: usize, c: usize, above: usize) -> SubjectId {
        let name = self.hosts[h].name.as_str();
        match above {
            0 => self.subject(h, c),
            1 => SubjectId::new(&format!("{name}/docker")).expect("plain names"),
            _ => SubjectId::new(name).expect("a plain name"),
        }
    }

    fn late_order(&mut self, h: usize, subject: SubjectId, lasts: Duration, restart: bool) -> bool {
        let hold = Wish::Hold(Duration::from_secs(20));
        if self.now < self.hosts[h].orders_held_until || !self.ask(subject, hold) {
            return false;
        }
        self.hosts[h].orders_held_until = self.now + lasts;
        self.hosts[h].below = self.rng.chance(500);
        self.after(lasts, Happening::OrdersReleased(h));
        if restart {
            let fault = Fault::KillManager {
                lasts: Duration::from_millis(300),
            };
            self.after(Duration::from_millis(200), Happening::Fault(fault));
        }
        false // counted when it arrives
    }

    fn crash(&mut self, h: usize, c: usize) -> bool {
        self.hosts[h].powered && self.hosts[h].engine.crash(self.now, c, 1)
    }

    fn crash_loop(&mut self, h: usize, c: usize, left: u32) -> bool {
        let crashed = self.crash(h, c);
        let left = if crashed { left - 1 } else { left };
        let given_up = self.hosts[h].engine.containers[c].removed || self.calm_from <= self.now;
        if 0 < left && !given_up {
            if crashed && self.rng.chance(200) {
                self.hurt_child(h, None);
            }
            let delay = self.rng.millis(300, 1500);
            self.after(
                delay,
                Happening::Fault(Fault::CrashLoop {
                    host: h,
                    container: c,
                    left,
                }),
            );
        }
        crashed
    }

    fn operator_stop(&mut self, h: usize, c: usize) -> bool {
        let container = &self.hosts[h].engine.containers[c];
        let (id, runs) = (
            container.view.id.clone(),
            container.view.run == RunState::Running && !container.removed,
        );
        // On a machine that goes down nothing tells a person's stop from the engine's own.
        if !runs || !self.hosts[h].powered || self.hosts[h].going_down.is_some() {
            return false;
        }
        self.hosts[h]
            .engine
            .call(self.now, &id, EngineCall::Stop { timeout_secs: 10 }, Asker::Operator);
        true
    }

    fn cut_stream(&mut self, h: usize, forget: bool) -> bool {
        if forget {
            self.hosts[h].engine.forget_events();
            self.hosts[h].forgot = self.now;
        }
        if !self.hosts[h].child.exists() {
            return false;
        }
        self.hosts[h].subscription = (self.hosts[h].subscription.0 + 1, false);
        let input = ContainerInput::StreamEnded {
            why: "the connection broke".into(),
        };
        self.after(
            Duration::from_millis(1),
            Happening::ToChild(h, self.hosts[h].child.epoch, input),
        );
        true
    }

    fn hurt_child(&mut self, h: usize, freeze: Option<Duration>) -> bool {
        if !self.hosts[h].child.runs() {
            return false;
        }
        self.hosts[h].child_hurt = self.now;
        match freeze {
            None => self.child_gone(h, ChildExit::Signal(9)),
            Some(lasts) => {
                self.hosts[h].child.freeze(self.now);
                self.after(lasts, Happening::Thaw(Node::Child(h), self.hosts[h].child.epoch));
            }
        }
        true
    }

    fn stop_host(&mut self, h: usize, lasts: Duration) -> bool {
        // A goodbye that is held back would come out of its time.
        let held = self.hosts[h].backlog.is_some() || !self.hosts[h].held.is_empty();
        if held || !self.hosts[h].host.runs() || self.hosts[h].back_after.is_some() {
            return false;
        }
        self.hosts[h].back_after = Some(lasts);
        // The child has ten seconds to leave, then it is killed.
        let (now, epoch) = (self.now, self.hosts[h].host.epoch);
        self.hosts[h].child_hurt = now + Duration::from_secs(10);
        self.hosts[h].troubled = self.hosts[h].troubled.max(now + Duration::from_secs(10) + lasts);
        self.after(Duration::ZERO, Happening::ToHost(h, epoch, HostInput::Stop));
        true
    }

    fn hurt_host(&mut self, h: usize, lasts: Duration, kill: bool) -> bool {
        if !self.hosts[h].host.runs() {
            return false;
        }
        self.hosts[h].troubled = self.hosts[h].troubled.max(self.now + lasts);
        if kill {
            self.kill_host(h, true);
            self.after(lasts, Happening::Start(Node::Host(h)));
        } else {
            self.hosts[h].host.freeze(self.now);
            self.after(lasts, Happening::Thaw(Node::Host(h), self.hosts[h].host.epoch));
        }
        true
    }

    fn power_cut(&mut self, h: usize, lasts: Duration) -> bool {
        if !self.hosts[h].powered {
            return false;
        }
        self.forget_engine_work(h);
        self.journal_ends(h);
        let world = &mut self.hosts[h];
        world.engine.power_lost();
        world.book.engine_went();
        world.powered = false;
        world.child.kill();
        world.host.kill();
        world.subscription = (world.subscription.0 + 1, false);
        world.calls.clear();
        world.troubled = world.troubled.max(self.now + lasts);
        world.forgot = self.now + lasts;
        world.child_hurt = self.now + lasts;
        self.after(lasts, Happening::PowerOn(h));
        true
    }

    fn shut_down(&mut self, h: usize, lasts: Duration) -> bool {
        let world = &mut self.hosts[h];
        let held = world.backlog.is_some() || !world.held.is_empty();
        if !world.powered || world.going_down.is_some() || held {
            return false;
        }
        let (host, child) = (world.host.epoch, world.child.epoch);
        world.going_down = Some((child, self.now));
        world.troubled = world.troubled.max(self.now + lasts);
        self.after(Duration::ZERO, Happening::ToHost(h, host, HostInput::HostShutdown));
        self.after(
            Duration::ZERO,
            Happening::ToChild(h, child, ContainerInput::HostShutdown),
        );
        self.after(Duration::from_millis(200), Happening::EngineStops(h));
        let fault = Fault::PowerCut { host: h, lasts };
        self.after(Duration::from_millis(1500), Happening::Fault(fault));
        true
    }

    fn cut(&mut self, h: usize, lasts: Duration) -> bool {
        if self.now < self.hosts[h].cut_until {
            return false;
        }
        self.hosts[h].cut_until = self.now + lasts;
        self.hosts[h].troubled = self.hosts[h].troubled.max(self.now + lasts);
        true
    }

    fn backlog(&mut self, h: usize) -> bool {
        let busy = self.hosts[h].backlog.is_some() || self.hosts[h].back_after.is_some();
        if !self.hosts[h].host.runs() || !self.manager.runs() || busy {
            return false;
        }
        self.hosts[h].backlog = Some(Vec::new());
        self.hosts[h].troubled = self.now + Duration::from_secs(25);
        let dies = Duration::from_secs(6);
        self.after(
            dies,
            Happening::Fault(Fault::KillHost {
                host: h,
                lasts: Duration::from_secs(12),
            }),
        );
        self.after(dies + Duration::from_millis(100), Happening::Trickle(h));
        true
    }

    fn hurt_manager(&mut self, lasts: Duration, kill: bool) -> bool {
        if !self.manager.runs() {
            return false;
        }
        if kill {
            self.kill(Node::Manager);
            self.after(lasts, Happening::Start(Node::Manager));
        } else {
            self.manager.freeze(self.now);
            self.after(lasts, Happening::Thaw(Node::Manager, self.manager.epoch));
        }
        true
    }
}
