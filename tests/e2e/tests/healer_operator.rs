//! A person always wins: what they stop, kill or remove stays so, also when it falls into a repair under way.

use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use watchtree_e2e::healer::Healer;
use watchtree_e2e::real_engine::{Tape, Victim, docker, there_is_one};

fn args<'a>(label: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--label", "watchtree.enable=true", "--label", label], more].concat()
}

#[test]
fn what_a_person_stops_stays_stopped() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=operator";
    let victim = |name: &str, more: &[&str]| Victim::run(name, &args(label, &[&["--no-healthcheck"], more].concat()));
    let stopped = victim("op-stop", &[])?;
    let stubborn = victim("op-stop-9", &["--env", "VICTIM_IGNORE_TERM=1"])?;
    let killed = victim("op-kill", &[])?;
    let quit = victim("op-quit", &["--stop-signal", "QUIT"])?;
    let paused = victim("op-pause", &[])?;
    let removed = victim("op-rm", &[])?;
    let healer = Healer::start(label, "")?;
    docker(&["stop", &stopped.id])?;
    docker(&["stop", "--time", "1", &stubborn.id])?;
    docker(&["kill", &killed.id])?;
    docker(&["stop", "--time", "1", &quit.id])?;
    docker(&["pause", &paused.id])?;
    docker(&["rm", "--force", &removed.id])?;
    let until = Instant::now() + Duration::from_secs(15);
    while Instant::now() < until {
        for victim in [&stopped, &stubborn, &killed, &quit] {
            let state = victim.inspect("{{.State.Status}}")?;
            ensure!(state == "exited", "{} is {state}\n{}", victim.name, healer.log());
        }
        ensure!(paused.inspect("{{.State.Status}}")? == "paused");
        ensure!(removed.inspect("{{.Id}}").is_err(), "a removed container is gone");
        std::thread::sleep(Duration::from_millis(300));
    }
    for victim in [&stopped, &stubborn, &killed, &quit] {
        healer.await_state(&format!("h1/docker/{}", victim.name), "stopped", Duration::from_secs(1))?;
    }
    // A person's start is a wish as well: from then on it is healed again.
    docker(&["start", &stopped.id])?;
    stopped.await_answer(Duration::from_secs(5))?;
    healer.await_state(&format!("h1/docker/{}", stopped.name), "ok", Duration::from_secs(20))?;
    let life = stopped.life()?;
    stopped.crash();
    stopped.await_other_life(&life, Duration::from_millis(1500))?;
    docker(&["unpause", &paused.id])?;
    Ok(())
}

/// Stopping one of these would end for good what a person has begun, and take the volumes of `--rm` with it.
#[test]
fn what_runs_once_is_not_stopped_for_being_unhealthy() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=once";
    let removed = Victim::run("once-rm", &args(label, &["--rm"]))?;
    let oneoff = Victim::run(
        "once-oneoff",
        &args(label, &["--label", "com.docker.compose.oneoff=True"]),
    )?;
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "[heal]\ngrace = \"1s\"\n")?;
    for victim in [&removed, &oneoff] {
        victim.say("ill")?;
        victim.await_inspect("{{.State.Health.Status}}", "unhealthy", Duration::from_secs(10))?;
    }
    removed.stays("running", Duration::from_secs(12))?;
    tape.catch_up()?;
    for victim in [&removed, &oneoff] {
        healer.await_state(
            &format!("h1/docker/{}", victim.name),
            "unhealthy",
            Duration::from_secs(1),
        )?;
        ensure!(
            tape.count(victim, "die") == 0 && !tape.actions(victim).iter().any(|act| act.starts_with("kill")),
            "{:?}\n{}",
            tape.actions(victim),
            healer.log()
        );
    }
    Ok(())
}

/// The engine says `stop` and no more of the one, and nothing at all of the other.
#[test]
fn a_stop_during_the_engines_backoff_stays() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=backoff";
    let more = [
        "--restart",
        "unless-stopped",
        "--env",
        "VICTIM_MODE=crash-loop",
        "--no-healthcheck",
    ];
    let healer = Healer::start(label, "[heal]\nbudget = 100\n")?;
    let stopped = Victim::run_unseen("backoff-stop", &args(label, &more))?;
    let killed = Victim::run_unseen("backoff-kill", &args(label, &more))?;
    // The seventh back-off lasts 6.4 s, the eighth 12.8 s.
    for (victim, act, backoff) in [(&stopped, "stop", "7 restarting"), (&killed, "kill", "8 restarting")] {
        let waits = "{{.RestartCount}} {{.State.Status}}";
        victim.await_inspect(waits, backoff, Duration::from_secs(60))?;
        // Longer than the engine has before we act in its stead.
        std::thread::sleep(Duration::from_millis(2500));
        ensure!(victim.inspect(waits)? == backoff, "its back-off was too short");
        docker(&[act, &victim.id])?;
        victim.await_inspect("{{.State.Status}}", "exited", Duration::from_secs(2))?;
    }
    killed.stays("exited", Duration::from_secs(15))?;
    for victim in [&stopped, &killed] {
        ensure!(victim.inspect("{{.State.Status}}")? == "exited", "{}", healer.log());
        healer.await_state(&format!("h1/docker/{}", victim.name), "stopped", Duration::from_secs(1))?;
    }
    Ok(())
}

/// A stop, a kill and a removal, each while the repair's own `/stop` still waits.
#[test]
fn an_act_that_falls_into_a_repair_wins() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=into-repair";
    let more = ["--label", "watchtree.stop-timeout=20s", "--label", "watchtree.grace=1s"];
    let victim = |name: &str| Victim::run(name, &args(label, &more));
    let (stopped, killed, removed) = (victim("into-stop")?, victim("into-kill")?, victim("into-rm")?);
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "[heal]\ngrace = \"1s\"\n")?;
    let acts: [(&Victim, &[&str]); 3] = [
        (&removed, &["rm", "--force"]),
        (&stopped, &["stop", "--time", "1"]),
        (&killed, &["kill"]),
    ];
    for (victim, act) in acts {
        await_repair(victim, &healer, &tape)?;
        std::thread::sleep(Duration::from_millis(500));
        docker(&[act, &[&victim.id]].concat())?;
    }
    killed.await_inspect("{{.State.Status}}", "exited", Duration::from_secs(3))?;
    killed.stays("exited", Duration::from_secs(15))?;
    ensure!(stopped.inspect("{{.State.Status}}")? == "exited", "{}", healer.log());
    ensure!(removed.inspect("{{.Id}}").is_err(), "it is gone");
    tape.catch_up()?;
    for victim in [&stopped, &killed, &removed] {
        ensure!(
            tape.count(victim, "start") == 0,
            "{}: {:?}\n{}",
            victim.name,
            tape.actions(victim),
            healer.log()
        );
    }
    healer.await_state(
        &format!("h1/docker/{}", stopped.name),
        "stopped",
        Duration::from_secs(1),
    )?;
    ensure!(healer.get("/livez")?.0 == 200, "the healer goes on");
    Ok(())
}

/// Hangs the victim and waits for the repair's stop signal, which it ignores.
fn await_repair(victim: &Victim, healer: &Healer, tape: &Tape) -> Result<()> {
    victim.await_inspect("{{.State.Health.Status}}", "healthy", Duration::from_secs(10))?;
    victim.say("hang")?;
    let began = Instant::now();
    while tape.count(victim, "kill") == 0 {
        ensure!(
            began.elapsed() < Duration::from_secs(15),
            "no repair began\n{}",
            healer.log()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    ensure!(
        tape.count(victim, "die") == 0,
        "it ignores its stop signal: {:?}",
        tape.actions(victim)
    );
    Ok(())
}

#[test]
fn a_hold_keeps_repairs_away_until_it_is_released() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=hold";
    let victim = Victim::run("hold", &args(label, &["--no-healthcheck"]))?;
    let healer = Healer::start(label, "")?;
    let subject = format!("h1/docker/{}", victim.name);
    let hold = serde_json::json!({"subject": subject, "lasts_ms": 600_000, "asked_by": "test"});
    let (status, answer) = healer.post("/api/v1/hold", &hold)?;
    ensure!(status == 200 && answer["done"] == true, "{status}: {answer}");
    let life = victim.life()?;
    victim.crash();
    victim.await_inspect("{{.State.Status}}", "exited", Duration::from_secs(5))?;
    victim.stays("exited", Duration::from_secs(6))?;
    let (status, answer) = healer.post(
        "/api/v1/release",
        &serde_json::json!({"subject": subject, "asked_by": "test"}),
    )?;
    ensure!(status == 200 && answer["done"] == true, "{status}: {answer}");
    victim.await_other_life(&life, Duration::from_secs(3))?;
    Ok(())
}
