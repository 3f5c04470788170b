//! What the container role writes into its journal, and what it gets back at the next start.
//!
//! The journal makes three promises: a repair that was begun is known after a kill -9 at any moment (so it is neither
//! forgotten nor doubled), budgets survive, and so does what was meant to run.

use crate::container::stamps::{ContainerId, EngineTime};
use crate::decision::Decision;
use crate::id::BootId;
use crate::subject::{Incarnation, SubjectId};
use crate::supervisor::RestartBudget;
use crate::time::{Duration, Moment, WallTime};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Where a repair is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum RepairStep {
    /// About to post `/stop`.
    StopPosted,
    /// `/stop` was answered.
    StopAnswered,
    /// About to post `/start`.
    StartPosted,
    /// `/start` was answered; a new incarnation is being watched.
    StartAnswered,
    /// It is over: succeeded, failed or overruled.
    Ended,
    /// It failed and is over, and our own stop has left the container down: that end was ours.
    LeftDown,
    /// It failed and is over, and our own stop may still be under way in the engine: the end it leads to will be ours. The
    /// record's moment is that of the post.
    StopLingers,
}

impl RepairStep {
    /// True for a repair that is over, whatever it has left behind.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::LeftDown | Self::StopLingers)
    }
}

/// What the role holds to be a person's wish for a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Desired {
    /// It was seen running and nobody stopped it.
    Running,
    /// A person stopped it, or it finished.
    Stopped,
}

/// When a hold ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HoldEnd {
    /// Till when.
    pub until: Moment,
    /// The boot of `until`.
    pub boot_id: BootId,
    /// Till when, as a label and for a later boot.
    pub until_wall: WallTime,
    /// How long it was to last: no wall clock makes it longer.
    pub lasts: Duration,
}

/// One life of the engine: from when it began to answer. The one before it is over, and what it kept in memory with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EngineLife {
    /// When it began to answer; the same for as long as it lasts.
    pub began: EngineTime,
    /// The boot of the machine it belongs to.
    pub boot_id: BootId,
    /// From here to `began` no engine answered, so that nobody can have asked for what ended then; equal to `began` where
    /// nothing is known of that.
    pub silent_since: EngineTime,
    /// From here to `began` the engine or its machine was going down: what ended then and is not marked as stopped by a person
    /// was taken along, whatever its exit code. Not later than `silent_since`.
    pub going_down_since: EngineTime,
}

/// One journal record. Written before what it announces is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// The newest event that was taken: where the next subscription resumes.
    LastEvent {
        /// Its time.
        at: EngineTime,
        /// Its container.
        id: ContainerId,
        /// Its action, as a word that tells two events of one nanosecond apart.
        action: String,
    },
    /// What a container is meant to do.
    Desired {
        /// Which.
        subject: SubjectId,
        /// Its id at the time.
        id: ContainerId,
        /// Its life at the time; empty = events may have been lost since it was last seen, so that nothing is known of
        /// who ended it, should it have ended.
        incarnation: Incarnation,
        /// What.
        desired: Desired,
    },
    /// A restart was charged to the subject's budget, by us or seen to be done by the engine.
    Charged {
        /// Whose budget.
        subject: SubjectId,
        /// When.
        at: Moment,
        /// The boot `at` belongs to.
        boot_id: BootId,
        /// For its age after a reboot.
        wall: WallTime,
        /// True if it was one of many that died of one cause: it does not count against the host's budget.
        mass: bool,
    },
    /// A restart that was charged at that moment was refused by the engine before anything was done: it is given back.
    GivenBack {
        /// To whose budget.
        subject: SubjectId,
        /// When it was charged.
        at: Moment,
        /// The boot of `at`.
        boot_id: BootId,
        /// True if it did not count against the host's budget.
        mass: bool,
    },
    /// Somebody else's stop signal was seen; the end it leads to may come after a restart of this daemon.
    StopSeen {
        /// Of which container's subject.
        subject: SubjectId,
        /// The container.
        id: ContainerId,
        /// When, on the engine's clock.
        at: EngineTime,
        /// Number of the signal.
        signal: u32,
    },
    /// A signal that is no stop (HUP to reload, USR1 to reopen a log) was seen, and has set the engine's manual-stop flag; or a
    /// start by hand has cleared the flag since.
    FlagSet {
        /// Of which container's subject.
        subject: SubjectId,
        /// The container.
        id: ContainerId,
        /// When, on the engine's clock, and the number of the signal; `None` = it is clear again.
        by: Option<(EngineTime, u32)>,
    },
    /// A life of the subject became well for the first time: its startup grace is over.
    BecameWell {
        /// Who.
        subject: SubjectId,
        /// Which life, and what it teaches.
        startup: StartupRecord,
    },
    /// A container ran for a while, or was well: it is no job that failed and no mistake in its making.
    CameUp {
        /// Of which subject.
        subject: SubjectId,
        /// The container.
        id: ContainerId,
    },
    /// Another container was given the name of this one: it is whoever deploys' from then on.
    Replaced {
        /// Of which subject it was the container then.
        subject: SubjectId,
        /// The container.
        id: ContainerId,
        /// The name that it had.
        name: String,
    },
    /// The subject's budget was given back whole (`retry`), or it ran clean long enough.
    Cleared {
        /// Whose.
        subject: SubjectId,
    },
    /// A new life of the engine was seen, after its events were taken in.
    EngineBegan(EngineLife),
    /// A repair took a step.
    Repair {
        /// Whose.
        subject: SubjectId,
        /// Container.
        id: ContainerId,
        /// The life that is being ended or has ended.
        incarnation: Incarnation,
        /// Where it is.
        step: RepairStep,
        /// The engine's time of the newest event then: kills after it count.
        last_event: EngineTime,
        /// Moment of the step; of a stop that was answered or lingers, that of its post.
        at: Moment,
        /// The boot of `at`.
        boot_id: BootId,
        /// Seconds given to `/stop`; 0 where none is posted.
        stop_timeout_secs: u32,
    },
    /// Budget used up: hands off but for one slow retry.
    GivenUp {
        /// Who.
        subject: SubjectId,
        /// Since.
        at: Moment,
        /// The boot of `at`.
        boot_id: BootId,
        /// Label of the same.
        wall: WallTime,
    },
    /// A hold was set. Ends by itself.
    Held {
        /// Who.
        subject: SubjectId,
        /// Till when.
        end: HoldEnd,
    },
    /// A hold ended.
    Released {
        /// Who.
        subject: SubjectId,
    },
    /// An order was carried out or refused: its id and answer, so that a second copy is answered alike.
    Ordered {
        /// Its id.
        id: [u8; 16],
        /// True = carried out.
        done: bool,
        /// In words.
        detail: String,
    },
    /// The subject is gone (removed): forget all but a hold on it.
    Gone {
        /// Who.
        subject: SubjectId,
    },
    /// A decision, for `explain`.
    Decided(Decision),
}

/// What the journal held, folded: the role's memory at its start. `watchtree-store` folds; the fold itself
/// (`Recovered::apply`) is here, so that the simulator uses the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// The newest event taken.
    pub last_event: Option<(EngineTime, ContainerId, String)>,
    /// The newest lives of the engine, oldest first; at most [`Recovered::ENGINE_LIVES_MAX`].
    pub engine_lives: Vec<EngineLife>,
    /// Per subject.
    pub subjects: BTreeMap<SubjectId, RecoveredSubject>,
    /// Restarts charged to the host's budget, oldest first (moment, its boot, label); at most
    /// [`Recovered::HOST_CHARGES_MAX`].
    pub host_charges: Vec<(Moment, BootId, WallTime)>,
    /// Orders already answered, oldest first; at most [`Recovered::ORDERS_MAX`].
    pub orders: Vec<([u8; 16], bool, String)>,
    /// The newest decisions, oldest first; at most [`Recovered::DECISIONS_MAX`].
    pub decisions: Vec<Decision>,
}

impl Recovered {
    /// Most remembered orders.
    pub const ORDERS_MAX: usize = 256;
    /// Most remembered lives of the engine.
    pub const ENGINE_LIVES_MAX: usize = 16;
    /// Most remembered decisions.
    pub const DECISIONS_MAX: usize = 512;
    /// Most remembered charges of one subject: as many as a budget counts.
    pub const CHARGES_MAX: usize = RestartBudget::RESTARTS_MAX;
    /// Most remembered charges of the host.
    pub const HOST_CHARGES_MAX: usize = RestartBudget::RESTARTS_MAX;
    /// Most remembered subjects; records of further ones are dropped until some are gone.
    pub const SUBJECTS_MAX: usize = 8192;

    /// Folds one record into the memory. Records must come in the order they were written; applying the newest one a
    /// second time changes nothing but a charge.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::LastEvent { at, id, action } => self.last_event = Some((*at, id.clone(), action.clone())),
            Record::Desired {
                subject,
                id,
                incarnation,
                desired,
            } => self.with(subject, |it| {
                it.desired = Some((id.clone(), incarnation.clone(), *desired));
            }),
            Record::EngineBegan(life) => {
                self.engine_lives.retain(|known| known.began != life.began);
                push_bounded(&mut self.engine_lives, *life, Self::ENGINE_LIVES_MAX);
            }
            Record::Charged {
                subject,
                at,
                boot_id,
                wall,
                mass,
            } => {
                let charge = (*at, *boot_id, *wall);
                if !*mass {
                    push_bounded(&mut self.host_charges, charge, Self::HOST_CHARGES_MAX);
                }
                self.with(subject, |it| push_bounded(&mut it.charges, charge, Self::CHARGES_MAX));
            }
            Record::GivenBack {
                subject,
                at,
                boot_id,
                mass,
            } => {
                let charge = (*at, *boot_id);
                if !*mass {
                    give_back(&mut self.host_charges, charge);
                }
                self.with(subject, |it| give_back(&mut it.charges, charge));
            }
            Record::StopSeen {
                subject,
                id,
                at,
                signal,
            } => {
                self.with(subject, |it| it.stop_seen = Some((id.clone(), *at, *signal)));
            }
            Record::FlagSet { subject, id, by } => {
                let set = by.map(|(at, signal)| (id.clone(), at, signal));
                self.with(subject, |it| it.flag_set = set);
            }
            Record::BecameWell { subject, startup } => {
                self.with(subject, |it| it.startup = Some(startup.clone()));
            }
            Record::CameUp { subject, id } => self.with(subject, |it| it.came_up = Some(id.clone())),
            Record::Replaced { subject, id, name } => self.with(subject, |it| {
                it.replaced = Some((id.clone(), name.clone()));
            }),
            Record::Cleared { subject } => self.with(subject, |it| {
                it.charges.clear();
                it.given_up = None;
            }),
            Record::Repair {
                subject,
                id,
                incarnation,
                step,
                last_event,
                at,
                boot_id,
                stop_timeout_secs,
            } => {
                let open = (*step != RepairStep::Ended).then(|| OpenRepair {
                    id: id.clone(),
                    incarnation: incarnation.clone(),
                    step: *step,
                    last_event: *last_event,
                    at: *at,
                    boot_id: *boot_id,
                    stop_timeout_secs: *stop_timeout_secs,
                });
                self.with(subject, |it| it.repair = open);
            }
            Record::GivenUp {
                subject,
                at,
                boot_id,
                wall,
            } => {
                self.with(subject, |it| it.given_up = Some((*at, *boot_id, *wall)));
            }
            Record::Held { subject, end } => self.with(subject, |it| it.held = Some(*end)),
            Record::Released { subject } => self.keep(subject, |it| RecoveredSubject { held: None, ..it }),
            Record::Ordered { id, done, detail } => {
                self.orders.retain(|(known, _, _)| known != id);
                push_bounded(&mut self.orders, (*id, *done, detail.clone()), Self::ORDERS_MAX);
            }
            // A hold ends by itself or by a person, not with the container: the next one of that name is held as well.
            Record::Gone { subject } => self.keep(subject, |it| RecoveredSubject {
                held: it.held,
                ..RecoveredSubject::default()
            }),
            Record::Decided(decision) => match self.decisions.iter_mut().rev().find(|it| it.id == decision.id) {
                Some(known) => *known = decision.clone(),
                None => push_bounded(&mut self.decisions, decision.clone(), Self::DECISIONS_MAX),
            },
        }
    }

    /// Changes what is remembered of a subject, if anything is; and forgets it if nothing is left.
    fn keep(&mut self, subject: &SubjectId, change: impl FnOnce(RecoveredSubject) -> RecoveredSubject) {
        let Some(left) = self.subjects.remove(subject).map(change) else {
            return;
        };
        if left != RecoveredSubject::default() {
            self.subjects.insert(subject.clone(), left);
        }
    }

    fn with(&mut self, subject: &SubjectId, change: impl FnOnce(&mut RecoveredSubject)) {
        if self.subjects.len() < Self::SUBJECTS_MAX || self.subjects.contains_key(subject) {
            change(self.subjects.entry(subject.clone()).or_default());
        }
    }
}

fn push_bounded<T>(list: &mut Vec<T>, item: T, most: usize) {
    if most <= list.len() {
        list.remove(0);
    }
    list.push(item);
}

fn give_back(charges: &mut Vec<(Moment, BootId, WallTime)>, (at, boot): (Moment, BootId)) {
    if let Some(place) = charges.iter().rposition(|it| (it.0, it.1) == (at, boot)) {
        charges.remove(place);
    }
}

/// What is remembered of one subject.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecoveredSubject {
    /// Container id and life that `desired` was about.
    pub desired: Option<(ContainerId, Incarnation, Desired)>,
    /// The newest stop signal of somebody else (container, when, signal).
    pub stop_seen: Option<(ContainerId, EngineTime, u32)>,
    /// A signal that was no stop and has set the manual-stop flag (container, when, signal).
    pub flag_set: Option<(ContainerId, EngineTime, u32)>,
    /// How its starts went.
    pub startup: Option<StartupRecord>,
    /// Restarts charged, oldest first (moment, its boot, label); at most [`Recovered::CHARGES_MAX`].
    pub charges: Vec<(Moment, BootId, WallTime)>,
    /// A repair that has not ended, or that has left it down.
    pub repair: Option<OpenRepair>,
    /// Since when its restart limit is reached.
    pub given_up: Option<(Moment, BootId, WallTime)>,
    /// Till when it is held.
    pub held: Option<HoldEnd>,
    /// The container of it that came up last.
    pub came_up: Option<ContainerId>,
    /// A container of it whose name another one was given, and that name.
    pub replaced: Option<(ContainerId, String)>,
}

/// How the starts of a container went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StartupRecord {
    /// The last life that became well.
    pub well: Incarnation,
    /// When it did (moment, its boot, label).
    pub well_at: (Moment, BootId, WallTime),
    /// How long starts of late took to become well, by the slowest of them.
    pub time_to_well: Duration,
}

/// See [`Record::Repair`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenRepair {
    /// Container.
    pub id: ContainerId,
    /// The life that is being ended or has ended.
    pub incarnation: Incarnation,
    /// Where it was.
    pub step: RepairStep,
    /// Kills after this count.
    pub last_event: EngineTime,
    /// Moment of the step; of a stop that was answered or lingers, that of its post.
    pub at: Moment,
    /// The boot of `at`.
    pub boot_id: BootId,
    /// Seconds given to `/stop`.
    pub stop_timeout_secs: u32,
}

#[cfg(test)]
mod tests {
    //! What was charged is still charged after a restart.
    use super::*;
    use crate::supervisor::{Allowance, BUDGET_MAX};

    #[test]
    fn the_largest_budget_survives_a_restart() {
        let subject = SubjectId::new("h/d/web").unwrap();
        let mut recovered = Recovered::default();
        for n in 0..u64::from(BUDGET_MAX) {
            recovered.apply(&Record::Charged {
                subject: subject.clone(),
                at: Moment::from_millis(n),
                boot_id: BootId([0; 16]),
                wall: WallTime(n),
                mass: false,
            });
        }
        let allowance = Allowance {
            budget: BUDGET_MAX,
            window: Duration::from_secs(600),
        };
        for charges in [&recovered.subjects[&subject].charges, &recovered.host_charges] {
            let mut budget = RestartBudget::default();
            charges.iter().for_each(|(at, ..)| budget.record_restart(*at));
            assert_eq!(budget.left(Moment::from_millis(1000), allowance), 0);
        }
    }
}
