//! One engine under its supervisor, with a small model of its parts: what is told apart, what is done, and how soon.

use super::super::engine_io::{EngineProbe, ProbeAnswer};
use super::*;
use crate::container::io::EngineError;
use crate::id::{AgentEpoch, NodeName};
use crate::recorder::DecisionRecorder;
use crate::supervisor::{FleetBudget, Output, Places, Supervisor, Terms};
use crate::time::WallTime;
use alloc::collections::VecDeque;

/// What is wrong with the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ail {
    Nothing,
    DaemonFrozen,
    ContainerdFrozen,
    /// Also a new containerd is not reached.
    ContainerdBeyondHelp,
    /// Away, as the service manager says it.
    Away(UnitPhase),
}

struct Bench {
    now_ms: u64,
    ail: Ail,
    live_restore: bool,
    when: Option<RepairWhen>,
    failing: usize,
    subject: EngineSubject,
    supervisor: Supervisor<EngineSubject>,
    recorder: DecisionRecorder,
    fleet: FleetBudget,
    /// Probes under way, and when they are answered.
    probes: Vec<(u64, u64, EngineProbe)>,
    /// `8.0 RestartDaemon`
    done: Vec<String>,
    wake: Option<Moment>,
    known_ms: Option<u64>,
    ill_from: u64,
}

impl Bench {
    /// It has run well for a while.
    fn new(live_restore: bool) -> Self {
        let policy = HostPolicy::default();
        let node = NodeName::new("h1").unwrap();
        let mut bench = Self {
            now_ms: 0,
            ail: Ail::Nothing,
            live_restore,
            when: Some(RepairWhen::Safe),
            failing: 0,
            subject: EngineSubject::new(Moment::ZERO, SubjectId::new("h1/docker").unwrap(), &policy),
            supervisor: Supervisor::default(),
            recorder: DecisionRecorder::new(node, AgentEpoch(1), Moment::ZERO, WallTime(0)),
            fleet: FleetBudget::default(),
            probes: Vec::new(),
            done: Vec::new(),
            wake: None,
            known_ms: None,
            ill_from: 0,
        };
        bench.run_s(20);
        bench
    }

    fn now(&self) -> Moment {
        Moment::from_millis(self.now_ms)
    }

    fn answer(&self, probe: EngineProbe) -> (u64, Result<ProbeAnswer, EngineError>) {
        let is_stuck = match self.ail {
            Ail::Nothing => false,
            Ail::DaemonFrozen => true,
            Ail::ContainerdFrozen | Ail::ContainerdBeyondHelp => probe == EngineProbe::Info,
            Ail::Away(_) => return (1, Err(EngineError::Unreachable("connection refused".into()))),
        };
        if is_stuck {
            return (probe.within().as_millis() as u64, Err(EngineError::Deadline));
        }
        let live_restore = (probe == EngineProbe::Info).then_some(self.live_restore);
        let words = "answers".to_string();
        (5, Ok(ProbeAnswer { words, live_restore }))
    }

    fn run_s(&mut self, s: u64) -> &mut Self {
        for _ in 0..s * 100 {
            self.now_ms += 10;
            self.turn();
        }
        self
    }

    fn turn(&mut self) {
        let (now, now_ms) = (self.now(), self.now_ms);
        while let Some(probe) = self.subject.monitor_mut().pop_due(now) {
            let (takes, _) = self.answer(probe);
            self.probes.push((now_ms, now_ms + takes, probe));
        }
        let (due, open): (Vec<_>, Vec<_>) = self.probes.drain(..).partition(|probe| probe.1 <= now_ms);
        self.probes = open;
        let mut is_news = self.wake.is_some_and(|wake| wake <= now);
        for (began, _, probe) in due {
            let (_, result) = self.answer(probe);
            let took = Duration::from_millis(now_ms - began);
            is_news |= self.subject.monitor_mut().probed(now, took, probe, result, true);
        }
        let verdict = self.subject.monitor().verdict();
        if self.ail != Ail::Nothing && verdict.state != State::Ok && verdict.state != State::Suspect {
            self.known_ms.get_or_insert(now_ms);
        }
        if is_news {
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now();
        let policy = HostPolicy::default();
        loop {
            let mut around = EngineAround {
                policy: &policy,
                when: self.when,
                settled: Moment::ZERO,
                held_until: None,
                is_going_down: false,
                containers: 4,
                failing: self.failing,
            };
            let mut queue = VecDeque::new();
            let terms = Terms {
                policy: policy.engine_restart,
                fleet: &mut self.fleet,
                places: Places::free(),
                seed: 1,
            };
            let mut out = Outputs::new(&mut self.recorder, &mut queue);
            self.wake = self
                .supervisor
                .step(now, &mut self.subject, &mut around, terms, &mut out);
            let commands = queue.into_iter().filter_map(|output| match output {
                Output::Command(command) => Some(command),
                Output::Decided(decision) => {
                    let words = match decision.outcome {
                        Outcome::NotTaken => decision.why,
                        outcome => outcome.as_str().to_string(),
                    };
                    self.done.push(words);
                    None
                }
                Output::Restarted { .. }
                | Output::GivenBack { .. }
                | Output::LimitReached { .. }
                | Output::LimitReset
                | Output::Repaired(_) => None,
            });
            let commands: Vec<EngineCommand> = commands.collect();
            if commands.is_empty() {
                return;
            }
            commands.into_iter().for_each(|command| self.perform(command));
        }
    }

    /// At once: how long work takes is the driver's affair.
    fn perform(&mut self, command: EngineCommand) {
        let now = self.now();
        match command {
            EngineCommand::Inspect => {
                let phase = match self.ail {
                    Ail::Away(phase) => phase,
                    _ => UnitPhase::Running,
                };
                let words = format!("docker.service is {phase:?}");
                self.subject.looked_at(now, Ok(EngineUnit { phase, words }));
            }
            EngineCommand::Work(work, _) => {
                let s = (self.now_ms - self.ill_from) / 1000;
                self.done.push(format!("{s} s: {work:?}"));
                let helps = match (work, self.ail) {
                    (EngineWork::DumpStacks, _) => false,
                    (EngineWork::RestartContainerd, ail) => ail == Ail::ContainerdFrozen,
                    (EngineWork::RestartDaemon, _) => true,
                };
                if helps {
                    self.ail = Ail::Nothing;
                }
                self.subject.worked(work, Ok("done".to_string()));
            }
        }
    }

    fn falls_ill(&mut self, ail: Ail) -> &mut Self {
        (self.ail, self.known_ms) = (ail, None);
        self.done.clear();
        self.ill_from = self.now_ms;
        self
    }
}

#[test]
fn what_is_ill_is_told_apart_and_cured_by_the_weakest_that_helps() {
    let cases = [
        (Ail::DaemonFrozen, 4, ["DumpStacks", "RestartDaemon"].as_slice()),
        (Ail::ContainerdFrozen, 14, &["DumpStacks", "RestartContainerd"]),
        (Ail::Away(UnitPhase::Failed), 4, &["RestartDaemon"]),
    ];
    for (ail, known_s, cures) in cases {
        let mut bench = Bench::new(true);
        bench.falls_ill(ail).run_s(30);
        let known = bench.known_ms.unwrap() - bench.ill_from;
        assert!(known <= known_s * 1000, "{ail:?} is known after {known} ms");
        let works: Vec<_> = bench.done.iter().filter_map(|line| line.split_once(" s: ")).collect();
        let done: Vec<_> = works.iter().map(|(_, work)| *work).collect();
        assert_eq!(done, cures, "{ail:?}: {:?}", bench.done);
        assert_eq!(bench.done.last().unwrap(), "succeeded", "{ail:?} within 30 s");
    }
}

#[test]
fn where_a_new_containerd_does_not_help_the_daemon_is_restarted() {
    let mut bench = Bench::new(true);
    bench.falls_ill(Ail::ContainerdBeyondHelp).run_s(300);
    let daemon = bench.done.iter().filter(|line| line.ends_with("RestartDaemon")).count();
    let containerd = bench
        .done
        .iter()
        .filter(|line| line.ends_with("RestartContainerd"))
        .count();
    assert_eq!((containerd, daemon), (1, 1), "{:?}", bench.done);
    assert_eq!(bench.done.last().unwrap(), "succeeded");
}

#[test]
fn containers_do_not_end_by_it_unless_that_was_allowed() {
    let play = |ail, live_restore, when, failing| {
        let mut bench = Bench::new(live_restore);
        (bench.when, bench.failing) = (when, failing);
        bench.falls_ill(ail).run_s(60);
        bench.done.iter().any(|line| line.contains(" s: Restart"))
    };
    let safe = Some(RepairWhen::Safe);
    assert!(!play(Ail::DaemonFrozen, false, safe, 1), "three of four are well");
    assert!(play(Ail::DaemonFrozen, false, safe, 2), "half of them are down already");
    assert!(play(Ail::DaemonFrozen, false, Some(RepairWhen::Always), 0));
    assert!(play(Ail::ContainerdFrozen, false, safe, 0), "none ends with containerd");
    assert!(!play(Ail::DaemonFrozen, true, Some(RepairWhen::Never), 4));
    assert!(!play(Ail::DaemonFrozen, true, None, 4), "there is no way to");
}

#[test]
fn what_a_person_stopped_or_the_service_manager_starts_is_left_alone() {
    for phase in [
        UnitPhase::Stopped,
        UnitPhase::Starting,
        UnitPhase::Running,
        UnitPhase::Unknown,
    ] {
        let mut bench = Bench::new(true);
        bench.falls_ill(Ail::Away(phase)).run_s(120);
        let works = bench.done.iter().filter(|line| line.contains(" s: ")).count();
        assert_eq!(works, 0, "{phase:?}: {:?}", bench.done);
        assert!(bench.done.len() <= 1, "said once: {:?}", bench.done);
    }
}

#[test]
fn an_engine_that_freezes_again_and_again_is_left_to_a_person() {
    let mut bench = Bench::new(true);
    bench.falls_ill(Ail::DaemonFrozen);
    for _ in 0..40 {
        bench.run_s(30);
        if bench.ail == Ail::Nothing {
            bench.ail = Ail::DaemonFrozen;
        }
    }
    let works = bench.done.iter().filter(|line| line.ends_with("RestartDaemon")).count();
    assert_eq!(works, 3, "{:?}", bench.done);
    assert!(
        bench.done.iter().any(|line| line.contains("a person is needed")),
        "{:?}",
        bench.done
    );
}

#[test]
fn a_short_trouble_is_no_reason_to_restart_anything() {
    let mut bench = Bench::new(true);
    bench.falls_ill(Ail::DaemonFrozen).run_s(5);
    bench.ail = Ail::Nothing;
    bench.run_s(60);
    assert_eq!(bench.done, [""; 0]);
    assert_eq!(bench.supervisor.supervision().reported().state(), State::Ok);
}
