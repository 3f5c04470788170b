//! The healer on an engine that is missing, stalls, breaks its event stream, loses events or answers oddly.
//!
//! The engine is a fake with one container: a real one does such things too rarely.

use anyhow::{Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use watchtree_e2e::fake_engine::{End, FakeEngine, Reply};
use watchtree_e2e::healer::Healer;
use watchtree_e2e::one_container::{ID, World, healer_on};

#[tokio::test(flavor = "multi_thread")]
async fn podman_is_observed_and_not_healed() -> Result<()> {
    let world = World::new("podman")?;
    let fake = FakeEngine::start(move |request| match request.path.as_str() {
        "/version" => Reply::Full(
            200,
            r#"{"Components":[{"Name":"Podman Engine","Version":"5.4.2"}]}"#.into(),
        ),
        _ => world.answer(request),
    })?;
    let socket = fake.socket();
    let ended = tokio::task::spawn_blocking(move || -> Result<_> {
        let mut healer = Healer::prepare("", &socket, "")?;
        healer.spawn(&[])?;
        Ok((healer.await_end(Duration::from_secs(15))?.code(), healer.log()))
    });
    let (code, log) = ended.await??;
    assert_eq!(code, Some(2), "{log}");
    assert!(
        log.contains("is Podman") && log.contains(r#"heal = "observe""#),
        "{log}"
    );
    assert!(fake.requests().iter().all(|request| request.method != "POST"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_die_that_never_arrived_is_healed_within_one_list_period() -> Result<()> {
    let world = World::new("dropped")?;
    let answering = world.clone();
    let fake = FakeEngine::start(move |request| answering.answer(request))?;
    let healer = healer_on(&fake, "").await?;
    world.begin_anew(&healer).await?;
    world.crash(false);
    let healed = world.await_starts(2, Duration::from_secs(10)).await;
    let took = healed.map_err(|error| error.context(format!("{:?}", fake.requests())))?;
    println!("healed {took:?} after the death that nobody told of");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_told_die_is_healed_at_once() -> Result<()> {
    let world = World::new("told")?;
    let answering = world.clone();
    let fake = FakeEngine::start(move |request| answering.answer(request))?;
    let healer = healer_on(&fake, "").await?;
    world.begin_anew(&healer).await?;
    world.crash(true);
    let took = world.await_starts(2, Duration::from_secs(1)).await?;
    println!("started {took:?} after the event");
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(world.started() == 2, "once is enough\n{}", healer.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_an_event_of_an_unknown_type_is_survived() -> Result<()> {
    let bad_type = r#"{"Type":"pod","Action":"die","Actor":{"ID":"x","Attributes":{}},"timeNano":1}"#.to_owned() + "\n";
    survives_streams("bad-type", move || Reply::Pieces(vec![bad_type.clone()], End::Hold)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_is_survived() -> Result<()> {
    survives_streams("cut", || Reply::Pieces(Vec::new(), End::Cut)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_the_engine_ends_is_survived() -> Result<()> {
    survives_streams("clean-end", || Reply::Pieces(Vec::new(), End::Eof)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_refused_is_survived() -> Result<()> {
    survives_streams("refused", || Reply::Full(500, r#"{"message":"no"}"#.into())).await
}

/// Whatever is wrong with every stream from some time on, it is opened again, and the crash is healed by the list.
async fn survives_streams(kind: &str, stream: impl Fn() -> Reply + Send + Sync + 'static) -> Result<()> {
    let world = World::new(kind)?;
    let answering = world.clone();
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&broken);
    let fake = FakeEngine::start(move |request| match request.path.as_str() {
        "/events" if breaks.load(Ordering::Relaxed) => stream(),
        _ => answering.answer(request),
    })?;
    let healer = healer_on(&fake, "").await?;
    broken.store(true, Ordering::Relaxed);
    world.end_streams();
    world.crash(false);
    let before = fake.count("GET", "/events");
    let took = world
        .await_starts(1, Duration::from_secs(15))
        .await
        .map_err(|error| error.context(healer.log()))?;
    println!("{kind}: healed after {took:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let again = fake.count("GET", "/events") - before;
    ensure!(
        (1..60).contains(&again),
        "{kind}: subscribed {again} times: neither given up nor a storm"
    );
    ensure!(world.started() == 1, "{kind}: {} starts", world.started());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_refused_is_not_posted_in_a_loop() -> Result<()> {
    posts_few_starts(500, r#"{"message":"no"}"#).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_changes_nothing_is_not_posted_in_a_loop() -> Result<()> {
    posts_few_starts(304, "").await
}

/// 500 and 304 are answers: inspected, and posted at most six times in four seconds.
async fn posts_few_starts(status: u16, body: &'static str) -> Result<()> {
    let world = World::new(&format!("odd-{status}"))?;
    let answering = world.clone();
    let fake = FakeEngine::start(move |request| {
        if request.path.ends_with("/start") {
            return Reply::Full(status, body.to_owned());
        }
        answering.answer(request)
    })?;
    let healer = healer_on(&fake, "").await?;
    world.begin_anew(&healer).await?;
    world.crash(true);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let posted = fake.count("POST", &format!("/containers/{ID}/start"));
    ensure!(
        (1..=6).contains(&posted),
        "{status}: posted {posted} times\n{}",
        healer.log()
    );
    ensure!(healer.get("/livez")?.0 == 200, "it goes on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_engine_is_said_in_at_most_six_lines_and_survived() -> Result<()> {
    let world = World::new("stalled")?;
    let answering = world.clone();
    let stalls = Arc::new(AtomicBool::new(false));
    let stalling = Arc::clone(&stalls);
    let fake = FakeEngine::start(move |request| match request.path.as_str() {
        "/containers/json" if stalling.load(Ordering::Relaxed) => Reply::StallBody("[".into()),
        path if path.ends_with("/json") && stalling.load(Ordering::Relaxed) => Reply::StallHeaders,
        _ => answering.answer(request),
    })?;
    let healer = healer_on(&fake, "[heal]\nlist_every = \"1s\"\n").await?;
    stalls.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(14)).await;
    ensure!(healer.get("/livez")?.0 == 200, "the loop turns while the engine stalls");
    stalls.store(false, Ordering::Relaxed);
    world.crash(false);
    world
        .await_starts(1, Duration::from_secs(15))
        .await
        .map_err(|error| error.context(healer.log()))?;
    let lines = healer.log().lines().filter(|line| line.contains("DEGRADED")).count();
    ensure!((1..=6).contains(&lines), "{lines} lines about it\n{}", healer.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_engine_is_waited_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("docker.sock");
    let mut healer = Healer::prepare("", &socket, "")?;
    healer.spawn(&[])?;
    let began = Instant::now();
    while !healer.log().contains("DEGRADED") {
        ensure!(
            began.elapsed() < Duration::from_secs(20),
            "it says so\n{}",
            healer.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let world = World::new("late")?;
    let answering = world.clone();
    let fake = FakeEngine::start(move |request| answering.answer(request))?;
    std::os::unix::fs::symlink(fake.socket(), &socket)?;
    let mut healer =
        tokio::task::spawn_blocking(move || healer.await_ready(Duration::from_secs(10)).map(|()| healer)).await??;
    world.begin_anew(&healer).await?;
    world.crash(true);
    world.await_starts(2, Duration::from_secs(2)).await?;
    ensure!(
        healer.log().matches("DEGRADED").count() <= 3,
        "one line each\n{}",
        healer.log()
    );
    healer.kill()
}
