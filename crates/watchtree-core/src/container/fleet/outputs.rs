//! Turns what a supervisor puts out, in its order, into journal records, calls and counters; and takes a person's retry.
//! Does not decide.

use super::*;

impl ContainerFleet {
    /// Writes down and does what came out of a supervisor, in order.
    pub(super) fn apply(&mut self, now: Moment, sid: &SubjectId, outputs: VecDeque<Output<Command>>, out: &mut Outbox) {
        let (boot_id, mut replay) = (self.settings.identity.boot_id, false);
        let mut outputs = outputs.into_iter().peekable();
        while let Some(output) = outputs.next() {
            let subject = sid.clone();
            match output {
                Output::Decided(decision) => self.decided(decision, out),
                Output::Restarted { correlated: mass } => {
                    let (at, wall) = (now, self.settings.wall(now));
                    out.journal(Record::Charged {
                        subject,
                        at,
                        boot_id,
                        wall,
                        mass,
                    });
                }
                Output::LimitReached(at) => {
                    // A half-open retry begins the limit anew; only where it is reached a record follows.
                    let is_new = matches!(outputs.peek(), Some(Output::Decided(_)));
                    self.counters.given_up += u64::from(is_new);
                    let wall = self.settings.wall(at);
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
                Output::Command(Command::Journal(record)) => out.journal(record),
                Output::Command(Command::Inspect(id)) => out.push(ContainerEffect::Inspect { id }),
                Output::Command(Command::ReadFlag(id)) => out.push(ContainerEffect::ReadStopMark { id }),
                Output::Command(Command::Replay) => replay = true,
                Output::Command(Command::Post {
                    ticket,
                    id,
                    call,
                    within,
                }) => {
                    match call {
                        EngineCall::Start => self.counters.starts += 1,
                        EngineCall::Stop { .. } => self.counters.stops += 1,
                    }
                    self.calls.open(ticket, subject);
                    out.push(ContainerEffect::Perform {
                        ticket,
                        id,
                        call,
                        within,
                    });
                }
            }
        }
        if replay && self.continuity.gap_until().is_none() {
            self.stream_broke(now, false, out);
        }
    }

    /// A person wants tries of the subject and all below: of how many, or why not.
    pub(crate) fn retry(
        &mut self,
        now: Moment,
        below: &SubjectId,
        by: &str,
        out: &mut Outbox,
    ) -> Result<usize, alloc::string::String> {
        let (mut ids, mut not_ours) = (Vec::new(), None);
        for (sid, it) in self.watched.iter().filter(|(sid, _)| sid.is_within(below)) {
            let supervision = it.supervisor.supervision();
            let is_ill = supervision.limit().is_some()
                || matches!(
                    supervision.reported().state(),
                    State::GivenUp | State::Repairing | State::Down | State::Unhealthy | State::Unknown
                );
            if !is_ill || it.supervisor.repair().is_some() || self.inventory.container_of(sid).is_none() {
                continue;
            }
            // What is only watched would not be started after all: "trying now" would be a lie.
            let labels = it.subject.labels();
            let heals = match supervision.exit() {
                Some(_) => labels.heals_crash(self.settings.heal),
                None => labels.heals_unhealthy(self.settings.heal),
            };
            match heals {
                Ok(_) => ids.push(sid.clone()),
                Err(why) => not_ours = Some(format!("{sid} is watched and not healed here: {why}")),
            }
        }
        if ids.is_empty() {
            return Err(not_ours.unwrap_or_else(|| "nothing here waits for a retry".to_string()));
        }
        for sid in &ids {
            let mut queue = VecDeque::new();
            if let Some(it) = self.watched.get_mut(sid) {
                it.supervisor
                    .retry(by, &mut Outputs::new(&mut self.recorder, &mut queue));
            }
            self.apply(now, sid, queue, out);
        }
        Ok(ids.len())
    }
}
