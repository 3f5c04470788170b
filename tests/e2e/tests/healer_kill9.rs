//! Killed at each border of a repair and at random moments: it neither forgets nor doubles a restart.
//!
//! The proof is the engine's own: as many starts as ends.

use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use watchtree_e2e::healer::Healer;
use watchtree_e2e::real_engine::{Tape, Victim, there_is_one};

/// No budget or back-off may stand between a crash and its repair here: what is counted is restarts.
const EAGER: &str = "[heal]\nhost_budget = 500\nbudget = 100\nwindow = \"10s\"\ndelay_min = \"10ms\"\ndelay_max = \"100ms\"\n\
                     clean_after = \"1s\"\nverify = \"300ms\"\ngrace = \"500ms\"\n";

fn victim(name: &str, label: &str, more: &[&str]) -> Result<Victim> {
    Victim::run(
        name,
        &[&["--label", "watchtree.enable=true", "--label", label], more].concat(),
    )
}

#[test]
fn killed_at_each_border_of_a_start() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=borders";
    let victim = victim("borders", label, &["--no-healthcheck"])?;
    let crash = |victim: &Victim| {
        victim.crash();
        Ok(())
    };
    let points = ["start_posted", "request", "answer", "start_answered", "ended"];
    killed_at_each(&points, label, &victim, Duration::from_secs(10), &crash)
}

#[test]
fn killed_at_each_border_of_a_stop_and_start() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=stop-borders";
    let more = [
        "--label",
        "watchtree.stop-timeout=1s",
        "--label",
        "watchtree.grace=500ms",
    ];
    let victim = victim("stop-borders", label, &more)?;
    let hang = |victim: &Victim| {
        victim.await_inspect("{{.State.Health.Status}}", "healthy", Duration::from_secs(10))?;
        victim.say("hang").map(drop)
    };
    let points = [
        "stop_posted",
        "request",
        "answer",
        "stop_answered",
        "start_posted",
        "start_answered",
        "ended",
    ];
    killed_at_each(&points, label, &victim, Duration::from_secs(15), &hang)
}

/// Hurts the victim once for each fault point, where the healer ends itself; the next healer finishes that one repair.
fn killed_at_each(
    points: &[&str],
    label: &str,
    victim: &Victim,
    within: Duration,
    hurt: &dyn Fn(&Victim) -> Result<()>,
) -> Result<()> {
    let tape = Tape::begin(label)?;
    let mut healer = Healer::prepare(label, "/var/run/docker.sock".as_ref(), EAGER)?;
    healer.use_faulty_build()?;
    for (round, point) in points.iter().enumerate() {
        healer.run(&[("WATCHTREE_TEST_ABORT_AT", point)])?;
        let life = victim.life()?;
        hurt(victim)?;
        let status = healer.await_end(within)?;
        ensure!(
            status.code().is_none(),
            "{point}: it ended by itself with {status}\n{}",
            healer.log()
        );
        healer.run(&[])?;
        victim.await_other_life(&life, within)?;
        once_each(&format!("killed at {point}"), round + 1, &healer, victim, &tape)?;
        healer.kill()?;
    }
    Ok(())
}

/// The repair is over, and the engine saw as many starts as ends.
fn once_each(what: &str, rounds: usize, healer: &Healer, victim: &Victim, tape: &Tape) -> Result<()> {
    settled(healer, victim)?;
    tape.catch_up()?;
    let (starts, ends) = (tape.count(victim, "start"), tape.count(victim, "die"));
    ensure!(
        (starts, ends) == (rounds, rounds),
        "{what}: {:?}\n{}",
        tape.actions(victim),
        healer.log()
    );
    Ok(())
}

/// The repair is over and the container is well.
fn settled(healer: &Healer, victim: &Victim) -> Result<()> {
    healer
        .await_state(&format!("h1/docker/{}", victim.name), "ok", Duration::from_secs(20))
        .map(drop)
}

#[test]
fn killed_at_100_random_moments() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seed = std::env::var("WATCHTREE_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut random = seed.unwrap_or(clock.as_nanos() as u64 | 1);
    println!("WATCHTREE_TEST_SEED={random}");
    let label = "wt-test=random";
    let victim = victim("random", label, &["--no-healthcheck"])?;
    let tape = Tape::begin(label)?;
    let mut healer = Healer::prepare(label, "/var/run/docker.sock".as_ref(), EAGER)?;
    let mut killed_before_the_start = 0;
    // Of the moments: follows the length of a repair, so that half of them come before the start on any machine.
    let mut span = Duration::from_millis(450);
    for round in 1..=100 {
        healer.run(&[])?;
        let life = victim.life()?;
        let crashed = Instant::now();
        victim.crash();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let moment = Duration::from_micros(random % (span.as_micros() as u64));
        std::thread::sleep(moment.saturating_sub(crashed.elapsed()));
        healer.kill()?;
        let before = tape.count(&victim, "start") < round;
        killed_before_the_start += usize::from(before);
        span = if before { span * 11 / 10 } else { span * 10 / 11 };
        healer.run(&[])?;
        victim
            .await_other_life(&life, Duration::from_secs(10))
            .map_err(|error| error.context(healer.log()))?;
        once_each(&format!("killed after {moment:?}"), round, &healer, &victim, &tape)?;
        healer.kill()?;
    }
    println!("{killed_before_the_start} of 100 kills came before the start");
    ensure!(
        (10..=90).contains(&killed_before_the_start),
        "the moments are not spread: {killed_before_the_start}"
    );
    Ok(())
}
