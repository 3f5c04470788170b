//! The healer alone on a real engine: what it heals, how fast, and where it stops.

use anyhow::{Context as _, Result, ensure};
use std::time::{Duration, Instant};
use watchtree_e2e::healer::Healer;
use watchtree_e2e::real_engine::{Tape, Victim, docker, may_kill_init, there_is_one};

const ENABLED: [&str; 2] = ["--label", "watchtree.enable=true"];
/// A crash must be healed within this, seen from outside: the new process answers.
const CRASH_BOUND: Duration = Duration::from_millis(1500);

fn labelled<'a>(label: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&ENABLED[..], &["--label", label], more].concat()
}

#[test]
fn a_crash_is_healed_whatever_ends_the_process() -> Result<()> {
    if !there_is_one() || !may_kill_init() {
        return Ok(());
    }
    let label = "wt-test=crash";
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "[heal]\nclean_after = \"1s\"\nverify = \"500ms\"\n")?;
    let victim = Victim::run("crash", &labelled(label, &["--no-healthcheck"]))?;
    for round in 0..3 {
        let life = victim.life()?;
        match round {
            0 => victim.crash(),
            1 => victim.kill_init()?,
            _ => victim.crash(),
        }
        let took = victim.await_other_life(&life, CRASH_BOUND)?;
        println!("round {round}: healed after {took:?}");
        healer.await_state(&format!("h1/docker/{}", victim.name), "ok", Duration::from_secs(10))?;
        // The next one begins after a clean run, so that it has no delay.
        std::thread::sleep(Duration::from_millis(1200));
    }
    tape.catch_up()?;
    ensure!(tape.count(&victim, "start") == 1 + 3, "{:?}", tape.actions(&victim));
    ensure!(
        tape.count(&victim, "stop") == 0,
        "a container that has ended needs no stop"
    );
    let explained = healer.explain(&format!("h1/docker/{}", victim.name))?;
    let done = explained["decisions"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["outcome"] == "succeeded"));
    ensure!(done, "{explained}");
    Ok(())
}

#[test]
fn what_is_finished_or_not_ours_is_left_alone() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=finished";
    let finished = Victim::run("finished", &labelled(label, &["--no-healthcheck"]))?;
    let foreign = Victim::run("foreign", &["--label", label, "--no-healthcheck"])?;
    let switched_off = [
        "--label",
        label,
        "--label",
        "watchtree.enable=false",
        "--no-healthcheck",
    ];
    let switched_off = Victim::run("switched-off", &switched_off)?;
    let autoheal = Victim::run(
        "autoheal",
        &["--label", label, "--label", "autoheal=true", "--no-healthcheck"],
    )?;
    let healer = Healer::start(label, "")?;
    let _ = finished.say("exit0");
    [&foreign, &switched_off, &autoheal]
        .iter()
        .for_each(|victim| victim.crash());
    for victim in [&finished, &foreign, &switched_off, &autoheal] {
        victim.await_inspect("{{.State.Status}}", "exited", Duration::from_secs(5))?;
    }
    // Longer than a list period: neither the events nor the list may start them.
    let until = Instant::now() + Duration::from_secs(12);
    while Instant::now() < until {
        for victim in [&finished, &foreign, &switched_off, &autoheal] {
            victim.stays("exited", Duration::ZERO)?;
            ensure!(
                victim.inspect("{{.State.Status}}")? == "exited",
                "{} was started",
                victim.name
            );
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    healer.await_state(
        &format!("h1/docker/{}", finished.name),
        "finished",
        Duration::from_secs(1),
    )?;
    Ok(())
}

#[test]
fn a_hang_and_an_illness_are_healed() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=hang";
    let stop_timeout = ["--label", "watchtree.stop-timeout=1s", "--label", "watchtree.grace=1s"];
    let hung = Victim::run("hang", &labelled(label, &stop_timeout))?;
    let autoheal = [
        "--label",
        label,
        "--label",
        "autoheal=true",
        "--label",
        "watchtree.grace=1s",
    ];
    let ill = Victim::run("ill", &autoheal)?;
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "[heal]\ngrace = \"1s\"\nverify = \"500ms\"\n")?;
    let lives = (hung.life()?, ill.life()?);
    for victim in [&hung, &ill] {
        let healthy = "{{.State.Health.Status}}";
        victim.await_inspect(healthy, "healthy", Duration::from_secs(10))?;
    }
    hung.say("hang")?;
    ill.say("ill")?;
    // retries × (interval + timeout) + stop timeout + 2 s
    let took = hung.await_other_life(&lives.0, Duration::from_secs(2 * 2 + 1 + 2))?;
    println!("hang healed after {took:?}");
    ill.await_other_life(&lives.1, Duration::from_secs(5))?;
    for victim in [&hung, &ill] {
        healer.await_state(&format!("h1/docker/{}", victim.name), "ok", Duration::from_secs(10))?;
        tape.catch_up()?;
        ensure!(tape.count(victim, "start") == 1, "{:?}", tape.actions(victim));
        // `/restart` would let a person's stop lose: it is never used.
        ensure!(tape.count(victim, "restart") == 0, "{:?}", tape.actions(victim));
        was_captured(&healer, &victim.name)?;
    }
    Ok(())
}

/// What the restart of that container destroyed is told by its record, and kept in the file that this names.
fn was_captured(healer: &Healer, name: &str) -> Result<()> {
    let body = healer.explain(&format!("h1/docker/{name}"))?;
    let decisions = body["decisions"].as_array().context("decisions")?;
    let facts = decisions.iter().filter_map(|it| it["evidence"].as_array()).flatten();
    let fact = facts.into_iter().find(|it| it["kind"] == "captured");
    let fact = fact
        .and_then(|it| it["detail"].as_str())
        .with_context(|| body.to_string())?;
    println!("{name}: {fact}");
    let (figures, file) = fact.split_once(": capture ").context("no file")?;
    ensure!(
        figures.contains("1 process, memory ") && figures.contains(", pids "),
        "{fact}"
    );
    let file = healer.folder().join("state/container-docker/captures").join(file);
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    println!("{text}");
    ensure!(text.contains(" log lines:"), "{text}");
    Ok(())
}

/// `docker kill -s HUP` (a log rotation) cancels the engine's restart policy; a later crash is ours to heal.
#[test]
fn a_hangup_of_before_is_nobodys_stop() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=hup";
    let _healer = Healer::start(label, "")?;
    let plain = Victim::run("hup", &labelled(label, &["--no-healthcheck"]))?;
    let always = Victim::run(
        "hup-always",
        &labelled(label, &["--no-healthcheck", "--restart", "always"]),
    )?;
    for victim in [&plain, &always] {
        docker(&["kill", "--signal", "HUP", &victim.id])?;
        let life = victim.life()?;
        std::thread::sleep(Duration::from_secs(3));
        victim.crash();
        // Where the engine should have been first, it is waited for a little.
        victim.await_other_life(&life, CRASH_BOUND + Duration::from_secs(2))?;
    }
    Ok(())
}

#[test]
fn a_crash_loop_is_given_up_and_a_person_can_retry() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=loop";
    let budget = [
        "--no-healthcheck",
        "--label",
        "watchtree.budget=3/10m",
        "--env",
        "VICTIM_MODE=crash-loop",
    ];
    let more = "[heal]\ndelay_min = \"100ms\"\ndelay_max = \"1s\"\n";
    let healer = Healer::start(label, more)?;
    let tape = Tape::begin(label)?;
    let victim = Victim::run_unseen("loop", &labelled(label, &budget))?;
    let subject = format!("h1/docker/{}", victim.name);
    // 0 + 0.1 + 0.2 s of delays with their jitter, and four runs of well under a second each.
    let took = healer.await_state(&subject, "given_up", Duration::from_secs(10))?;
    println!("given up after {took:?}");
    tape.catch_up()?;
    ensure!(tape.count(&victim, "start") == 1 + 3, "{:?}", tape.actions(&victim));
    victim.stays("exited", Duration::from_secs(3))?;
    let (status, answer) = healer.post(
        "/api/v1/retry",
        &serde_json::json!({"subject": subject, "asked_by": "test"}),
    )?;
    ensure!(status == 200 && answer["done"] == true, "{status}: {answer}");
    let began = Instant::now();
    while tape.count(&victim, "start") < 5 {
        ensure!(
            began.elapsed() < Duration::from_secs(5),
            "a retry starts it again: {:?}",
            tape.actions(&victim)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The engine does the first restart of what has a policy; nothing is started twice, and its restarts are seen.
#[test]
fn the_engines_own_restarts_come_first() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=policy";
    let victim = Victim::run("policy", &labelled(label, &["--no-healthcheck", "--restart", "always"]))?;
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "")?;
    for _ in 0..2 {
        let life = victim.life()?;
        victim.crash();
        victim.await_other_life(&life, Duration::from_secs(4))?;
        std::thread::sleep(Duration::from_secs(2));
    }
    tape.catch_up()?;
    ensure!(
        tape.count(&victim, "start") == 2 && tape.count(&victim, "die") == 2,
        "{:?}",
        tape.actions(&victim)
    );
    let count: u32 = victim.inspect("{{.RestartCount}}")?.parse()?;
    ensure!(count == 2, "the engine restarted it {count} times, and nobody else did");
    healer.await_state(&format!("h1/docker/{}", victim.name), "ok", Duration::from_secs(15))?;
    Ok(())
}

/// The engine refuses to start what joins the network of a container that does not run: that is waited for, and costs nothing.
#[test]
fn one_that_joins_anothers_network_waits_for_it() -> Result<()> {
    if !there_is_one() || !may_kill_init() {
        return Ok(());
    }
    let label = "wt-test=joins";
    let args = labelled(label, &["--no-healthcheck", "--label", "watchtree.budget=2/10m"]);
    let owner = Victim::run_on("none", "owner", &args)?;
    let joins = Victim::run_on(&format!("container:{}", owner.id), "joins", &args)?;
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "")?;
    let subject = format!("h1/docker/{}", joins.name);
    healer.await_state(&subject, "ok", Duration::from_secs(15))?;

    docker(&["stop", "--time", "0", &owner.id])?;
    joins.kill_init()?;
    healer.await_state(&subject, "down", Duration::from_secs(15))?;
    joins.stays("exited", Duration::from_secs(5))?;
    owner.stays("exited", Duration::from_secs(1))?;
    let why = healer.explain(&subject)?["current"].to_string();
    ensure!(why.contains("joins the network of"), "{why}");

    docker(&["start", &owner.id])?;
    joins.await_inspect("{{.State.Status}}", "running", Duration::from_secs(10))?;
    healer.await_state(&subject, "ok", Duration::from_secs(15))?;
    tape.catch_up()?;
    let actions = tape.actions(&joins);
    ensure!(tape.count(&joins, "start") == 1, "{actions:?}");
    Ok(())
}

#[test]
fn a_bad_label_is_named_and_replaced_by_the_default() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=label";
    let bad = [
        "--no-healthcheck",
        "--label",
        "watchtree.budget=lots",
        "--label",
        "watchtree.stop-timeout=-1",
    ];
    let healer = Healer::start(label, "")?;
    let victim = Victim::run("label", &labelled(label, &bad))?;
    healer.await_state(
        &format!("h1/docker/{}", victim.name),
        "degraded",
        Duration::from_secs(5),
    )?;
    let explained = healer.explain(&format!("h1/docker/{}", victim.name))?;
    let remarks = explained["current"]["remarks"].to_string();
    ensure!(
        remarks.contains("watchtree.budget") && remarks.contains("watchtree.stop-timeout"),
        "{explained}"
    );
    let life = victim.life()?;
    victim.crash();
    victim.await_other_life(&life, CRASH_BOUND)?;
    Ok(())
}

/// At its very first start it cannot know whether a stop signal was sent just before: it settles, and asks the engine.
#[test]
fn a_crash_right_after_the_first_start_is_healed_after_a_look() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=first";
    let victim = Victim::run("first", &labelled(label, &["--no-healthcheck"]))?;
    let _healer = Healer::start(label, "")?;
    let life = victim.life()?;
    victim.crash();
    let took = victim.await_other_life(&life, Duration::from_secs(5))?;
    println!("healed after {took:?}");
    Ok(())
}
