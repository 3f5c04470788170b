//! What a role knows around one container, and what a container wants done. Decides nothing.

use crate::container::classifier::Missing;
use crate::container::continuity::EventContinuity;
use crate::container::engine_lives::EngineLives;
use crate::container::io::{CaptureOrder, ContainerId, EngineCall, Record, Ticket};
use crate::container::namespace_away::NamespaceAway;
use crate::container::observation::ContainerObservation;
use crate::container::record::RepairStep;
use crate::container::relatives::Parents;
use crate::container::repair::{Act, Repair, Scene};
use crate::container::settings::ContainerSettings;
use crate::subject::SubjectId;
use crate::supervisor::{Outputs, RestartPolicy};
use crate::time::{Duration, Moment};
use alloc::string::String;

/// What a role knows around one container.
pub(crate) struct Around<'a> {
    pub(crate) settings: &'a ContainerSettings,
    pub(crate) observation: &'a mut ContainerObservation,
    pub(crate) continuity: &'a EventContinuity,
    pub(crate) lives: &'a EngineLives,
    pub(crate) policy: RestartPolicy,
    /// While its compose service is being deployed: until when.
    pub(crate) deploy_until: Option<Moment>,
    /// It was made or renamed a short while ago, and not started since: until when it may be part of a deployment.
    pub(crate) named_until: Option<Moment>,
    /// The name that was its and that another container was given, while that holds it back; until when at the latest.
    pub(crate) replaced: Option<(String, Option<Moment>)>,
    /// On which subject the hold in force lies, and until when.
    pub(crate) hold: Option<(SubjectId, Moment)>,
    /// What is wrong with the namespaces that it joins.
    pub(crate) away: Option<NamespaceAway>,
    /// Whom it depends on.
    pub(crate) parents: Parents,
    pub(crate) is_leaving: bool,
    /// An earlier call for it may still be under way.
    pub(crate) is_busy: bool,
    /// Of the next call.
    pub(crate) ticket: Ticket,
}

/// What a container wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    Journal(Record),
    Inspect(ContainerId),
    ReadFlag(ContainerId),
    Capture {
        id: ContainerId,
        order: CaptureOrder,
    },
    LookAtShim {
        id: ContainerId,
        pid: u32,
    },
    KillShim {
        id: ContainerId,
        shim: u32,
    },
    /// The events since the last one seen.
    Replay,
    Post {
        ticket: Ticket,
        id: ContainerId,
        call: EngineCall,
        within: Duration,
    },
}

pub(super) type Out<'o> = Outputs<'o, Command>;

impl Command {
    /// A repair's act.
    pub(crate) fn of(
        subject: &SubjectId,
        now: Moment,
        repair: &Repair,
        act: Act,
        settings: &ContainerSettings,
    ) -> Self {
        let id = repair.id().clone();
        match act {
            Act::Inspect => Self::Inspect(id),
            Act::Capture(order) => Self::Capture { id, order },
            Act::LookAtShim(pid) => Self::LookAtShim { id, pid },
            Act::KillShim(shim) => Self::KillShim { id, shim },
            Act::Post { ticket, call, within } => Self::Post {
                ticket,
                id,
                call,
                within,
            },
            Act::Journal(step) => Self::Journal(Record::Repair {
                subject: subject.clone(),
                id,
                incarnation: repair.incarnation().clone(),
                step,
                last_event: repair.last_event(),
                at: match step {
                    RepairStep::StopAnswered | RepairStep::StopLingers => repair.posted_stop().unwrap_or(now),
                    _ => now,
                },
                boot_id: settings.identity.boot_id,
                stop_timeout_secs: repair.stop_secs(),
            }),
        }
    }
}

impl Around<'_> {
    /// Asks for an inspection, unless one is under way.
    pub(super) fn inspect(&mut self, now: Moment, out: &mut Out<'_>) {
        if self.observation.begin_inspection(now) {
            out.command(Command::Inspect(self.observation.id().clone()));
        }
    }

    /// Asks for that evidence.
    pub(super) fn ask_for(&mut self, now: Moment, missing: Missing, out: &mut Out<'_>) {
        match missing {
            Missing::Time => {}
            Missing::Inspection => self.inspect(now, out),
            Missing::Flag => {
                self.observation.flag_mut().ask(now);
                out.command(Command::ReadFlag(self.observation.id().clone()));
            }
            Missing::Replay => out.command(Command::Replay),
        }
    }

    /// What its repair sees.
    pub(super) fn scene(&self, now: Moment, grace: Duration) -> Scene<'_> {
        Scene {
            observation: self.observation,
            gap_until: self.continuity.gap_until(),
            newest_event: self.continuity.newest(),
            engine_now: self.settings.engine_time(now),
            deploy_until: self.deploy_until,
            is_leaving: self.is_leaving,
            ticket: self.ticket,
            start_deadline: self.settings.start_deadline,
            verify: self.policy.verify,
            grace,
        }
    }
}
