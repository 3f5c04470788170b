//! Probes of our own on a real engine: in the network of the container, where nothing is published.

use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::{Duration, Instant};
use watchtree_e2e::healer::Healer;
use watchtree_e2e::real_engine::{Tape, Victim, docker, may_kill_init, there_is_one};

/// A victim that serves in a network of its own, in which nobody else is, and which leads nowhere.
fn lonely(name: &str, label: &str, labels: &[&str]) -> Result<Victim> {
    let mut args = vec!["--no-healthcheck", "--env", "VICTIM_PORT=7400", "--label", label];
    let common = [
        "watchtree.enable=true",
        "watchtree.stop-timeout=1s",
        "watchtree.grace=0s",
    ];
    for it in common.iter().chain(labels) {
        args.extend(["--label", it]);
    }
    let victim = Victim::run_on("none", name, &args)?;
    say(&victim, "ping")?;
    Ok(victim)
}

/// One command from inside, where the service is.
fn say(victim: &Victim, command: &str) -> Result<String> {
    let began = Instant::now();
    loop {
        match docker(&["exec", &victim.id, "/victim", "say", command]) {
            Ok(answer) => return Ok(answer),
            Err(error) if Duration::from_secs(10) < began.elapsed() => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn freeze(victim: &Victim) -> Result<()> {
    let pid = victim.inspect("{{.State.Pid}}")?;
    let status = Command::new("kill").args(["-STOP", &pid]).status()?;
    ensure!(status.success(), "cannot freeze pid {pid}");
    Ok(())
}

fn subject(victim: &Victim) -> String {
    format!("h1/docker/{}", victim.name)
}

/// The words that are shown of it.
fn why(healer: &Healer, victim: &Victim) -> Result<String> {
    let body = healer.explain(&subject(victim))?;
    Ok(body["current"]["why"].as_str().context("words")?.to_owned())
}

#[test]
fn a_frozen_process_is_found_from_inside_its_network_and_healed() -> Result<()> {
    if !there_is_one() || !may_kill_init() {
        return Ok(());
    }
    let label = "wt-test=probes";
    let tape = Tape::begin(label)?;
    let more = "[heal]\nverify = \"500ms\"\nclean_after = \"1s\"\n[[class]]\nname = \"tcp\"\ncontainer = \"wt-tcp-*\"\n[class.liveness]\n\
                tcp = \":7400\"\nsend = 'health\\n'\nexpect = 'well'\nperiod = \"250ms\"\n";
    let http = [
        "watchtree.liveness.http=:7400/healthz",
        "watchtree.liveness.body=well",
        "watchtree.liveness.period=250ms",
    ];
    let http = lonely("http", label, &http)?;
    let tcp = lonely("tcp", label, &[])?;
    let healer = Healer::start(label, more)?;
    for victim in [&http, &tcp] {
        healer.await_state(&subject(victim), "ok", Duration::from_secs(10))?;
        ensure!(why(&healer, victim)? == "running, healthy", "{}", why(&healer, victim)?);
        let life = say(victim, "ping")?;
        freeze(victim)?;
        let began = Instant::now();
        while say(victim, "ping")? == life {
            ensure!(began.elapsed() < Duration::from_secs(10), "{}", healer.log());
        }
        println!("{}: answers again after {:?}", victim.name, began.elapsed());
        healer.await_state(&subject(victim), "ok", Duration::from_secs(10))?;
    }
    let (_, conditions) = healer.get("/api/v1/status").unwrap_or_default();
    ensure!(
        !conditions.to_string().contains("not asked in their own networks"),
        "{conditions}"
    );
    tape.catch_up()?;
    for victim in [&http, &tcp] {
        ensure!(tape.count(victim, "stop") == 1, "{:?}", tape.actions(victim));
        ensure!(tape.count(victim, "restart") == 0, "{:?}", tape.actions(victim));
    }
    Ok(())
}

#[test]
fn a_command_is_run_in_it_and_one_that_is_not_there_says_nothing_of_the_container() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=probes-exec";
    let quick = "watchtree.liveness.period=1s";
    let checked = ["watchtree.liveness.exec=[\"/victim\", \"healthcheck\", \"500\"]", quick];
    let checked = lonely("exec", label, &checked)?;
    let lacking = lonely("lacking", label, &["watchtree.liveness.exec=/not/there", quick])?;
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "[heal]\nverify = \"500ms\"\n")?;
    healer.await_state(&subject(&checked), "ok", Duration::from_secs(10))?;
    healer.await_state(&subject(&lacking), "degraded", Duration::from_secs(20))?;
    let said = why(&healer, &lacking)?;
    ensure!(
        said.starts_with("its liveness probe cannot be run: exec /not/there"),
        "{said}"
    );
    let life = say(&checked, "ping")?;
    say(&checked, "ill")?;
    let began = Instant::now();
    while say(&checked, "ping")? == life {
        ensure!(began.elapsed() < Duration::from_secs(20), "{}", healer.log());
    }
    healer.await_state(&subject(&checked), "ok", Duration::from_secs(10))?;
    tape.catch_up()?;
    ensure!(tape.count(&lacking, "stop") == 0, "{:?}", tape.actions(&lacking));
    Ok(())
}

#[test]
fn one_that_is_not_ready_is_shown_and_left_alone() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=probes-ready";
    let probes = [
        "watchtree.readiness.http=:7400/ready",
        "watchtree.readiness.period=200ms",
        "watchtree.startup.tcp=:7400",
        "watchtree.startup.send=ping\\n",
        "watchtree.startup.expect=pong",
        "watchtree.startup.period=200ms",
    ];
    let victim = lonely("ready", label, &probes)?;
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "")?;
    healer.await_state(&subject(&victim), "ok", Duration::from_secs(10))?;
    say(&victim, "unready")?;
    healer.await_state(&subject(&victim), "degraded", Duration::from_secs(5))?;
    let said = why(&healer, &victim)?;
    ensure!(said == "running, not ready: http :7400/ready: status 503", "{said}");
    victim.stays("running", Duration::from_secs(3))?;
    say(&victim, "ready")?;
    healer.await_state(&subject(&victim), "ok", Duration::from_secs(5))?;
    tape.catch_up()?;
    ensure!(
        tape.count(&victim, "stop") + tape.count(&victim, "start") == 0,
        "{:?}",
        tape.actions(&victim)
    );
    Ok(())
}
