//! Containers that depend on others, on a real engine: parents first, and whoever joined the namespaces of what was restarted.

use anyhow::{Context, Result, ensure};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use watchtree_e2e::healer::Healer;
use watchtree_e2e::real_engine::{Tape, Victim, may_kill_init, there_is_one};

fn labelled<'a>(label: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let ours = [
        "--label",
        "watchtree.enable=true",
        "--label",
        label,
        "--label",
        "watchtree.stop-timeout=1s",
    ];
    [&ours[..], more].concat()
}

/// The namespace that its init is in.
fn namespace(victim: &Victim, kind: &str) -> Result<u64> {
    let pid = victim.inspect("{{.State.Pid}}")?;
    ensure!(pid != "0", "{} does not run", victim.name);
    let path = format!("/proc/{pid}/ns/{kind}");
    Ok(std::fs::metadata(&path).context(path)?.ino())
}

/// Killed in the order in which they must not be started.
#[test]
fn of_three_that_are_killed_at_once_parents_are_well_before_their_children_start() -> Result<()> {
    if !there_is_one() || !may_kill_init() {
        return Ok(());
    }
    let label = "wt-test=parents";
    let db = Victim::run("db", &labelled(label, &[]))?;
    let on_db = format!("watchtree.depends-on={}", db.name);
    let api = Victim::run("api", &labelled(label, &["--no-healthcheck", "--label", &on_db]))?;
    let on_api = format!("watchtree.depends-on={}", api.name);
    let web = Victim::run("web", &labelled(label, &["--no-healthcheck", "--label", &on_api]))?;
    let subject = |victim: &Victim| format!("h1/docker/{}", victim.name);
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "")?;
    for victim in [&db, &api, &web] {
        healer.await_state(&subject(victim), "ok", Duration::from_secs(20))?;
    }

    let lives = [(&web, web.life()?), (&api, api.life()?), (&db, db.life()?)];
    for (victim, _) in &lives {
        victim.kill_init()?;
    }
    for (victim, life) in &lives {
        // Until its end is known, it is shown as it was.
        victim.await_other_life(life, Duration::from_secs(40))?;
        healer.await_state(&subject(victim), "ok", Duration::from_secs(40))?;
    }
    tape.catch_up()?;
    let started = |victim| tape.last(victim, "start");
    let (db_at, api_at, web_at) = (started(&db)?, started(&api)?, started(&web)?);
    ensure!(
        db_at < api_at && api_at < web_at,
        "db {db_at}, api {api_at}, web {web_at}"
    );
    // Its check runs a second after its start for the first time.
    let waited = Duration::from_nanos(api_at - db_at);
    ensure!(
        Duration::from_millis(900) < waited,
        "api was started {waited:?} after db"
    );
    for victim in [&web, &api, &db] {
        ensure!(tape.count(victim, "start") == 1, "{:?}", tape.actions(victim));
    }

    // A lone one is not delayed: its parent is well.
    let life = web.life()?;
    web.crash();
    web.await_other_life(&life, Duration::from_millis(1500))?;
    Ok(())
}

#[test]
fn who_joined_the_pids_or_the_ipc_of_what_was_restarted_is_with_it_again() -> Result<()> {
    if !there_is_one() || !may_kill_init() {
        return Ok(());
    }
    let label = "wt-test=namespaces";
    let args = labelled(label, &["--no-healthcheck"]);
    let owner = Victim::run_on("none", "owner", &[&args[..], &["--ipc", "shareable"]].concat())?;
    let joins = format!("container:{}", owner.id);
    let pids = Victim::run_on("none", "pids", &[&args[..], &["--pid", &joins]].concat())?;
    let ipc = Victim::run_on("none", "ipc", &[&args[..], &["--ipc", &joins]].concat())?;
    let all = [(&owner, ""), (&pids, "pid"), (&ipc, "ipc")];
    let tape = Tape::begin(label)?;
    let healer = Healer::start(label, "")?;
    let are_well = || {
        let of = |(victim, _): &(&Victim, &str)| {
            healer.await_state(&format!("h1/docker/{}", victim.name), "ok", Duration::from_secs(40))
        };
        all.iter().try_for_each(|it| of(it).map(drop))
    };
    are_well()?;

    owner.kill_init()?;
    // The kernel has ended the one with it; the other runs on alone.
    tape_has(&tape, &pids, "start", 1)?;
    tape_has(&tape, &ipc, "start", 1)?;
    are_well()?;
    for (victim, kind) in all.into_iter().filter(|(_, kind)| !kind.is_empty()) {
        ensure!(
            namespace(victim, kind)? == namespace(&owner, kind)?,
            "{} is not in the {kind} namespace of its owner",
            victim.name
        );
        ensure!(
            tape.last(&owner, "start")? < tape.last(victim, "start")?,
            "the owner comes first"
        );
        ensure!(tape.count(victim, "start") == 1, "{:?}", tape.actions(victim));
    }
    ensure!(tape.count(&pids, "stop") == 0, "{:?}", tape.actions(&pids));
    ensure!(tape.count(&ipc, "stop") == 1, "{:?}", tape.actions(&ipc));
    Ok(())
}

/// Waits until that has happened so often.
fn tape_has(tape: &Tape, victim: &Victim, action: &str, count: usize) -> Result<()> {
    let began = std::time::Instant::now();
    while tape.count(victim, action) < count {
        ensure!(
            began.elapsed() < Duration::from_secs(40),
            "{}: {:?}",
            victim.name,
            tape.actions(victim)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
