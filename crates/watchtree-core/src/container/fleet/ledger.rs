//! What was decided, kept, counted and written down: turns what a supervisor puts out, in its order, into journal records,
//! engine calls and counts. Does not decide.

use crate::container::engine_calls::{EngineCalls, Lane};
use crate::container::io::{ContainerEffect, EngineCall, Record, Recovered};
use crate::container::outbox::Outbox;
use crate::container::settings::ContainerSettings;
use crate::container::status::ContainerCounters;
use crate::container::subject::Command;
use crate::decision::{Decision, Outcome};
use crate::recorder::{DecisionRecorder, Draft};
use crate::subject::SubjectId;
use crate::supervisor::{Output, Outputs};
use crate::time::Moment;
use alloc::collections::VecDeque;

/// The outputs of one step of a supervisor.
pub(super) type Queue = VecDeque<Output<Command>>;

/// See the module's text.
pub(super) struct Ledger {
    recorder: DecisionRecorder,
    decisions: VecDeque<Decision>,
    counters: ContainerCounters,
}

impl Ledger {
    pub(super) fn new(settings: &ContainerSettings) -> Self {
        let (name, epoch) = (settings.identity.name.clone(), settings.identity.agent_epoch);
        Self {
            recorder: DecisionRecorder::new(name, epoch, Moment::ZERO, settings.wall_at_zero),
            decisions: VecDeque::new(),
            counters: ContainerCounters::default(),
        }
    }

    /// Takes over what the journal held.
    pub(super) fn restore(&mut self, decisions: impl IntoIterator<Item = Decision>) {
        self.decisions.extend(decisions);
    }

    /// Where a supervisor puts what it wants: records are made here, the rest goes to the queue.
    pub(super) fn outputs<'a>(&'a mut self, queue: &'a mut Queue) -> Outputs<'a, Command> {
        Outputs::new(&mut self.recorder, queue)
    }

    /// Makes a record.
    pub(super) fn record(&mut self, now: Moment, draft: Draft, out: &mut Outbox) -> Decision {
        let made = self.recorder.record(now, draft);
        while let Some(decision) = self.recorder.poll() {
            self.keep(decision, out);
        }
        made
    }

    fn keep(&mut self, decision: Decision, out: &mut Outbox) {
        out.decided(decision.clone());
        match self.decisions.iter_mut().rev().find(|it| it.id == decision.id) {
            Some(known) => *known = decision,
            None => {
                if Recovered::DECISIONS_MAX <= self.decisions.len() {
                    self.decisions.pop_front();
                }
                self.decisions.push_back(decision);
            }
        }
    }

    /// The newest record of a repair of that subject which is not over.
    pub(super) fn open_repair_of(&self, subject: &SubjectId) -> Option<&Decision> {
        let is_open = |it: &&Decision| matches!(it.outcome, Outcome::UnderWay | Outcome::Verifying);
        let mut newest_first = self.decisions.iter().rev();
        newest_first.find(|it| it.subject == *subject && is_open(it))
    }

    /// Writes down and does what came out of a supervisor, in order. True if it wants the events since the last one again.
    pub(super) fn apply(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        queue: Queue,
        settings: &ContainerSettings,
        calls: &mut EngineCalls,
        out: &mut Outbox,
    ) -> bool {
        let (boot_id, mut replay) = (settings.identity.boot_id, false);
        for output in queue {
            let subject = sid.clone();
            match output {
                Output::Decided(decision) => self.keep(decision, out),
                Output::Restarted { correlated: mass } => {
                    let (at, wall) = (now, settings.wall(now));
                    out.journal(Record::Charged {
                        subject,
                        at,
                        boot_id,
                        wall,
                        mass,
                    });
                }
                Output::GivenBack { at, correlated: mass } => out.journal(Record::GivenBack {
                    subject,
                    at,
                    boot_id,
                    mass,
                }),
                Output::LimitReached { since: at, is_new } => {
                    self.counters.given_up += u64::from(is_new);
                    let wall = settings.wall(at);
                    out.journal(Record::GivenUp {
                        subject,
                        at,
                        boot_id,
                        wall,
                    });
                }
                Output::LimitReset => out.journal(Record::Cleared { subject }),
                Output::Repaired(Outcome::Succeeded) => self.counters.succeeded += 1,
                Output::Repaired(Outcome::Overruled) => self.counters.overruled += 1,
                Output::Repaired(_) => self.counters.failed += 1,
                Output::Command(command) => replay |= self.command(subject, command, calls, out),
            }
        }
        replay
    }

    fn command(&mut self, subject: SubjectId, command: Command, calls: &mut EngineCalls, out: &mut Outbox) -> bool {
        match command {
            Command::Journal(record) => out.journal(record),
            Command::Inspect(id) => out.push(ContainerEffect::Inspect { id }),
            Command::ReadFlag(id) => out.push(ContainerEffect::ReadStopMark { id }),
            Command::Capture { id, order } => out.push(ContainerEffect::Capture { id, order }),
            Command::LookAtShim { id, pid } => out.push(ContainerEffect::LookAtShim { id, pid }),
            Command::KillShim { id, shim } => out.push(ContainerEffect::KillShim { id, shim }),
            Command::Replay => return true,
            Command::Post {
                ticket,
                id,
                call,
                within,
            } => {
                match call {
                    EngineCall::Start => self.counters.starts += 1,
                    EngineCall::Stop { .. } => self.counters.stops += 1,
                }
                calls.open(ticket, subject, Lane::of(call));
                out.push(ContainerEffect::Perform {
                    ticket,
                    id,
                    call,
                    within,
                });
            }
        }
        false
    }

    /// An event came, for the first time or not.
    pub(super) fn count_event(&mut self, is_fresh: bool) {
        self.counters.events += u64::from(is_fresh);
        self.counters.duplicates += u64::from(!is_fresh);
    }

    /// The engine itself has restarted containers so many times.
    pub(super) fn count_engine_restarts(&mut self, count: u32) {
        self.counters.engine_restarts += u64::from(count);
    }

    pub(super) fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter()
    }

    pub(super) fn counters(&self) -> ContainerCounters {
        self.counters
    }
}
