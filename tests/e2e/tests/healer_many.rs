//! The healer beside thousands of containers that have ended, one with labels as long as a book, and a flood of events: what it holds
//! stays bounded, and a crash is healed as soon as ever.

use anyhow::{Context, Result, ensure};
use std::time::Duration;
use watchtree_e2e::fake_engine::{FakeEngine, Reply, Request};
use watchtree_e2e::healer::Healer;
use watchtree_e2e::one_container::{World, healer_on};

const EXITED: usize = 3000;
const LABEL_BYTES: usize = 500_000;
const EVENTS: usize = 100_000;
/// Most that it may ever have held. A build for tests: one for release takes a third.
const HELD_KIB_MAX: u64 = 96 * 1024;
/// From a crash that the engine tells to the start. On a machine that does other things too.
const HEALED_WITHIN: Duration = Duration::from_secs(1);
/// The same behind all the events of the flood.
const HEALED_BEHIND_FLOOD: Duration = Duration::from_secs(20);

fn id(number: usize) -> String {
    format!("{number:064x}")
}

/// `web`, and those that have ended.
fn answer(world: &World, request: &Request) -> Reply {
    let path = request.path.as_str();
    let reply = world.answer(request);
    match (path, reply) {
        ("/containers/json", Reply::Full(200, web)) => {
            let mut list = web.trim_end_matches(']').to_owned();
            for number in 1..=EXITED {
                let id = id(number);
                list += &format!(
                    r#",{{"Id":"{id}","Names":["/job-{number}"],"State":"exited","Status":"Exited (0) 2 days ago"}}"#
                );
            }
            Reply::Full(200, list + "]")
        }
        (path, Reply::Full(200, web)) if path.ends_with("/json") => {
            let Some(number) = (1..=EXITED).find(|&number| path.contains(&id(number))) else {
                return Reply::Full(200, web);
            };
            let long = if number == 1 {
                "x".repeat(LABEL_BYTES)
            } else {
                String::new()
            };
            let id = id(number);
            Reply::Full(
                200,
                format!(
                    r#"{{"Id":"{id}","Name":"/job-{number}","State":{{"Status":"exited","Running":false,"Pid":0,"ExitCode":0,
                    "StartedAt":"2026-01-01T00:00:00Z","FinishedAt":"2026-01-01T00:00:01Z"}},"HostConfig":{{}},
                    "Config":{{"Labels":{{"watchtree.enable":"true","note":"{long}"}}}}}}"#
                ),
            )
        }
        (_, reply) => reply,
    }
}

fn held_kib(healer: &Healer) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", healer.pid()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    kib.context("the kernel says how much a process has held")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_many_is_bounded_and_delays_no_repair() -> Result<()> {
    let world = World::new("many")?;
    let answering = world.clone();
    let fake = FakeEngine::start(move |request| answer(&answering, request))?;
    let healer = healer_on(&fake, "").await?;
    world.begin_anew(&healer).await?;
    world.crash(true);
    let before = world.await_starts(2, HEALED_WITHIN).await?;

    world.await_seen(&healer).await?;
    for number in 0..EVENTS {
        world.tell(if number % 2 == 0 { "oom" } else { "exec_die" });
    }
    world.crash(true);
    let behind = world.await_starts(3, HEALED_BEHIND_FLOOD).await?;
    world.await_seen(&healer).await?;
    world.crash(true);
    let after = world.await_starts(4, HEALED_WITHIN).await?;
    let held = held_kib(&healer)?;
    println!("started {before:?} after a crash, {behind:?} behind the flood, {after:?} after it; held {held} KiB");
    ensure!(held < HELD_KIB_MAX, "{held} KiB were held\n{}", healer.log());
    Ok(())
}
