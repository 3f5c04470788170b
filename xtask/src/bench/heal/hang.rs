//! One service that hangs, again and again, healthy between: from the hang to its new process answering. In turn with one that
//! a script restarts as soon as the engine calls it unhealthy: the floor for whoever waits for the engine's health check.
//!
//! It does not know why a restart comes later than another.

use super::hands::Ear;
use super::setting::{Heal, spec};
use crate::bench::cpu::pause;
use crate::interrupt;
use crate::victims::{Victim, VictimSpec};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(1);
const RETRIES: u32 = 2;
/// Between the signal and the kill, of both.
const STOP_TIMEOUT: &str = "1s";
/// One that does not come back within this does not come back.
const AWAY_MAX: Duration = Duration::from_secs(120);
/// A new life is healthy within this.
const HEALTHY: Duration = Duration::from_secs(60);
/// It stays healthy so long before it hangs again.
const WELL: Duration = Duration::from_secs(5);

/// Of each hang, in order.
#[derive(Default)]
pub(super) struct Hangs {
    /// `None` where it did not come back.
    pub(super) ours: Vec<Option<Duration>>,
    pub(super) floor: Vec<Option<Duration>>,
}

/// Measures so many hangs in a row.
///
/// # Errors
/// Something could not be measured.
pub(super) fn hangs(heal: &Heal<'_>, count: usize) -> Result<Hangs> {
    outln!("one hangs {count} times in a row");
    let (run, others) = (format!("{}-hang", heal.run), format!("{}-hang-floor", heal.run));
    let ours = Victim::start(heal.engine, &hanging(heal, &run, &run))?;
    let floor = Victim::start(heal.engine, &hanging(heal, &others, &others))?;
    let ear = Ear::open(heal.engine, &others, "health_status", "health_status: unhealthy")?;
    let hands = ear.work(1, |id| format!("/containers/{id}/restart?t=1"));
    let (fleet, _folder) = heal.fleet(&run)?;
    let mut hangs = Hangs::default();
    for number in 1..=count {
        for (victim, times) in [(&ours, &mut hangs.ours), (&floor, &mut hangs.floor)] {
            await_healthy(heal, victim).with_context(|| fleet.log_ends())?;
            pause(WELL)?;
            times.push(hang(victim)?);
        }
        let words = |times: &[Option<Duration>]| match times.last() {
            Some(Some(took)) => format!("{:.2} s", took.as_secs_f64()),
            _ => "not back".to_owned(),
        };
        outln!(
            "hang {number} of {count}: ours {}, floor {}",
            words(&hangs.ours),
            words(&hangs.floor)
        );
        if hangs.ours.last() == Some(&None) {
            break;
        }
    }
    hands.rest()?;
    for victim in [ours, floor] {
        heal.engine.remove(&victim.id)?;
    }
    Ok(hangs)
}

fn hanging(heal: &Heal<'_>, run: &str, name: &str) -> VictimSpec {
    VictimSpec {
        labels: vec![("watchtree.stop-timeout".to_owned(), STOP_TIMEOUT.to_owned())],
        health: Some((INTERVAL, INTERVAL, RETRIES)),
        ..spec(heal.image, run, name)
    }
}

fn await_healthy(heal: &Heal<'_>, victim: &Victim) -> Result<()> {
    let what = format!("{} is not healthy", victim.name);
    let poll = || Ok((heal.engine.health(&victim.id)? == "healthy").then_some(()));
    interrupt::wait(&what, Instant::now(), HEALTHY, Duration::from_millis(100), poll).map(drop)
}

/// How long until another life answers.
fn hang(victim: &Victim) -> Result<Option<Duration>> {
    let old = victim
        .incarnation()
        .with_context(|| format!("{} answers", victim.name))?;
    let began = victim.hang()?;
    let back = victim.await_incarnation(Some(&old), began, AWAY_MAX);
    interrupt::check()?;
    match back {
        Ok((_, took)) => Ok(Some(took)),
        Err(_) if AWAY_MAX <= began.elapsed() => Ok(None),
        Err(error) => bail!(error),
    }
}
