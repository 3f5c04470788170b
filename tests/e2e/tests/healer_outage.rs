//! While the healer is dead or frozen one container crashes and another is stopped: only the first is healed after it.

use anyhow::{Result, ensure};
use std::time::Duration;
use watchtree_e2e::healer::Healer;
use watchtree_e2e::real_engine::{Tape, Victim, docker, may_kill_init, there_is_one};

struct Scene {
    crashes: Victim,
    killed: Victim,
    stopped: Victim,
    tape: Tape,
    healer: Healer,
}

fn scene(name: &str) -> Result<Scene> {
    let label = format!("wt-test={name}");
    let tape = Tape::begin(&label)?;
    let healer = Healer::start(&label, "")?;
    let victim = |role: &str| {
        let args = [
            "--label",
            "watchtree.enable=true",
            "--label",
            &label,
            "--no-healthcheck",
        ];
        Victim::run(&format!("{name}-{role}"), &args)
    };
    let (crashes, killed, stopped) = (victim("crashes")?, victim("killed")?, victim("stopped")?);
    Ok(Scene {
        crashes,
        killed,
        stopped,
        tape,
        healer,
    })
}

impl Scene {
    /// What happens while nobody looks. 137 is the exit code of both ways to end by SIGKILL.
    fn happen(&self) -> Result<()> {
        self.crashes.kill_init()?;
        docker(&["kill", &self.killed.id])?;
        docker(&["stop", &self.stopped.id])?;
        for victim in [&self.crashes, &self.killed, &self.stopped] {
            victim.await_inspect("{{.State.Status}}", "exited", Duration::from_secs(5))?;
        }
        Ok(())
    }

    fn check(&self, life: &str, within: Duration) -> Result<()> {
        let took = self.crashes.await_other_life(life, within)?;
        println!("the crash of the outage was healed {took:?} after it");
        self.stopped.stays("exited", Duration::from_secs(12))?;
        self.killed.stays("exited", Duration::from_secs(1))?;
        self.tape.catch_up()?;
        for victim in [&self.killed, &self.stopped] {
            ensure!(
                self.tape.count(victim, "start") == 1,
                "{:?}\n{}",
                self.tape.actions(victim),
                self.healer.log()
            );
        }
        ensure!(
            self.tape.count(&self.crashes, "start") == 2,
            "{:?}",
            self.tape.actions(&self.crashes)
        );
        Ok(())
    }
}

#[test]
fn an_outage_by_kill_9() -> Result<()> {
    if !there_is_one() || !may_kill_init() {
        return Ok(());
    }
    let mut scene = scene("dead")?;
    let life = scene.crashes.life()?;
    scene.healer.kill()?;
    scene.happen()?;
    scene.healer.spawn(&[])?;
    scene.check(&life, Duration::from_secs(3))
}

#[test]
fn an_outage_by_sigstop() -> Result<()> {
    if !there_is_one() || !may_kill_init() {
        return Ok(());
    }
    let scene = scene("frozen")?;
    let life = scene.crashes.life()?;
    scene.healer.signal("STOP")?;
    scene.happen()?;
    // Long enough to be a stall, not long enough for a host-watchdog to kill it.
    std::thread::sleep(Duration::from_secs(2));
    scene.healer.signal("CONT")?;
    scene.check(&life, Duration::from_secs(4))
}

/// So many events that the engine's memory of 256 does not reach back to the last one taken: the intent must be found in
/// the engine's own mark.
#[test]
fn an_outage_longer_than_the_engines_memory() -> Result<()> {
    if !there_is_one() || !may_kill_init() {
        return Ok(());
    }
    let mut scene = scene("forgotten")?;
    let life = scene.crashes.life()?;
    scene.healer.kill()?;
    scene.happen()?;
    // A signal that changes nothing is an event all the same, and one command sends as many as are asked for.
    let noise = Victim::run("noise", &["--label", "wt-test=noise", "--no-healthcheck"])?;
    docker(&[&["kill", "--signal", "CONT"], &[noise.id.as_str(); 260][..]].concat())?;
    scene.healer.spawn(&[])?;
    scene.check(&life, Duration::from_secs(6))
}

/// SIGTERM ends it in order at once, and nothing is touched by its end.
#[test]
fn its_own_end_touches_nothing() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let mut scene = scene("leaves")?;
    let life = scene.crashes.life()?;
    scene.healer.signal("TERM")?;
    let status = scene.healer.await_end(Duration::from_secs(3))?;
    ensure!(status.success(), "{status}");
    scene.crashes.stays("running", Duration::from_secs(2))?;
    ensure!(scene.crashes.life()? == life, "the same life goes on");
    Ok(())
}
