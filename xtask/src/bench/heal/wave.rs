//! All containers killed at once: ours, and so many parallel starts by hand, in turn on the very same containers.
//!
//! A measurement begins before the first kill and ends when the last new process answers. By hand a start is posted for each
//! `die` that is heard, so many at one time. It does not know in which order the daemons start.

use super::hands::{Ear, PARALLEL};
use super::setting::{Heal, spec};
use crate::bench::cpu::pause;
use crate::bench::recover;
use crate::interrupt;
use crate::victims::Victim;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// All are back within this.
const AWAY_MAX: Duration = Duration::from_secs(120);
/// Between the readiness of the daemons and the kill: the first inspections are over.
const SETTLE: Duration = Duration::from_secs(15);
/// Between two waves, so that the engine has finished with the one before.
const PAUSE: Duration = Duration::from_secs(3);
/// All that do not answer yet are asked this often.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Until all answered, of each round, by arm: 0 is ours, else so many at one time by hand.
pub(super) type Waves = BTreeMap<usize, Vec<Duration>>;

/// Ours, among the arms.
pub(super) const OURS: usize = 0;

/// Whose wave or outage it is.
pub(super) fn arm_words(arm: usize) -> String {
    match arm {
        OURS => "Watchtree".to_owned(),
        parallel => format!("by hand, {parallel} at one time"),
    }
}

/// Measures so many containers in so many rounds.
///
/// # Errors
/// Something could not be measured.
pub(super) fn waves(heal: &Heal<'_>, count: u16, rounds: usize) -> Result<Waves> {
    outln!("starting {count} that are killed at once");
    let run = format!("{}-wave", heal.run);
    let mut victims = Vec::new();
    for number in 0..count {
        interrupt::check()?;
        victims.push(Victim::start(
            heal.engine,
            &spec(heal.image, &run, &format!("{run}-{number}")),
        )?);
    }
    for victim in &victims {
        victim.await_incarnation(None, Instant::now(), AWAY_MAX)?;
    }
    let ear = Ear::open(heal.engine, &run, "die", "die")?;
    let mut arms: Vec<usize> = std::iter::once(OURS).chain(PARALLEL).collect();
    let mut waves = Waves::new();
    for round in 1..=rounds {
        for &arm in &arms {
            let took = match arm {
                OURS => ours(heal, &run, &victims)?,
                parallel => by_hand(heal, &ear, &victims, parallel)?,
            };
            let words = arm_words(arm);
            outln!(
                "wave {round} of {rounds}, {words}: all answer after {:.2} s",
                took.as_secs_f64()
            );
            waves.entry(arm).or_default().push(took);
            pause(PAUSE)?;
        }
        // Nobody is always the first.
        arms.rotate_left(1);
    }
    for victim in &victims {
        heal.engine.remove(&victim.id)?;
    }
    Ok(waves)
}

fn ours(heal: &Heal<'_>, run: &str, victims: &[Victim]) -> Result<Duration> {
    let (fleet, _folder) = heal.fleet(run)?;
    recover::await_known(&fleet, &victims.iter().collect::<Vec<_>>())?;
    pause(SETTLE)?;
    let killed = Killed::all(heal, victims)?;
    killed.await_all().with_context(|| fleet.log_ends())
}

fn by_hand(heal: &Heal<'_>, ear: &Ear, victims: &[Victim], parallel: usize) -> Result<Duration> {
    let hands = ear.work(parallel, |id| format!("/containers/{id}/start"));
    let killed = Killed::all(heal, victims)?;
    let took = killed.await_all()?;
    hands.rest()?;
    Ok(took)
}

/// Victims that were killed, with what they answered before.
struct Killed<'a> {
    at: Instant,
    victims: Vec<(&'a Victim, String)>,
}

impl<'a> Killed<'a> {
    fn all(heal: &Heal<'_>, victims: &'a [Victim]) -> Result<Self> {
        let mut pids = Vec::new();
        for victim in victims {
            let pid = heal.engine.inspect(&victim.id)?.pid;
            let pid = Pid::from_raw(pid).filter(|_| 1 < pid);
            pids.push(pid.with_context(|| format!("{} has a process", victim.name))?);
        }
        let victims = answering(victims)?;
        let at = Instant::now();
        for pid in pids {
            kill_process(pid, Signal::KILL)?;
        }
        Ok(Self { at, victims })
    }

    fn await_all(self) -> Result<Duration> {
        await_all(self.victims, self.at, AWAY_MAX)
    }
}

/// Each with the life that answers.
///
/// # Errors
/// One does not answer.
pub(super) fn answering(victims: &[Victim]) -> Result<Vec<(&Victim, String)>> {
    let life = |victim: &Victim| victim.incarnation().with_context(|| format!("{} answers", victim.name));
    victims.iter().map(|victim| Ok((victim, life(victim)?))).collect()
}

/// Waits until another life of each answers; gives how long that took since `at`.
///
/// # Errors
/// One does not, within `within`.
pub(super) fn await_all(mut waiting: Vec<(&Victim, String)>, at: Instant, within: Duration) -> Result<Duration> {
    let poll = || {
        waiting.retain(|(victim, old)| victim.incarnation().is_none_or(|life| life == *old));
        Ok(waiting.is_empty().then_some(()))
    };
    interrupt::wait("not all victims come back", at, within, ASK_EVERY, poll).map(|(_, took)| took)
}
