//! The healer on an engine that is missing, stalls, breaks its event stream, loses events or answers oddly.
//!
//! The engine is a fake with one container: a real one does such things too rarely.

use anyhow::{Result, ensure};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use watchtree_e2e::fake_engine::{End, FakeEngine, Reply, Request};
use watchtree_e2e::healer::Healer;
use watchtree_e2e::stopwatch::Stopwatch;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// One labelled container `web` that can crash; what the engine says of events is up to the test.
#[derive(Clone)]
struct World {
    runs: Arc<AtomicBool>,
    starts: Arc<AtomicU64>,
    events: Arc<Mutex<Vec<mpsc::UnboundedSender<String>>>>,
    id: String,
    /// When the present life began, and the last one ended.
    started: Arc<Mutex<String>>,
    finished: Arc<Mutex<String>>,
    /// Its data folder: there the healer reads that nobody stopped the container.
    root: Arc<tempfile::TempDir>,
}

impl World {
    fn new(name: &str) -> Result<Self> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("containers").join(ID);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("config.v2.json"), r#"{"HasBeenManuallyStopped":false}"#)?;
        Ok(Self {
            runs: Arc::new(AtomicBool::new(true)),
            starts: Arc::default(),
            events: Arc::default(),
            id: format!("wt-fake-{name}-{}", std::process::id()),
            started: Arc::new(Mutex::new(stamp()?)),
            finished: Arc::new(Mutex::new("0001-01-01T00:00:00Z".into())),
            root: Arc::new(root),
        })
    }

    /// A new life that the healer sees begin: from then on nothing about the container is hidden from it.
    async fn begin_anew(&self, healer: &Healer) -> Result<()> {
        self.start()?;
        let began = Instant::now();
        loop {
            let shown = healer.explain("h1/docker/web")?["current"]["incarnation"].to_string();
            if shown.contains(&self.life()) {
                return Ok(());
            }
            ensure!(
                began.elapsed() < Duration::from_secs(20),
                "the new life is not seen: {shown}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn life(&self) -> String {
        self.started.lock().expect("no panic").clone()
    }

    fn start(&self) -> Result<()> {
        *self.started.lock().expect("no panic") = stamp()?;
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.tell("start");
        Ok(())
    }

    /// Ends it; `tell` = with an event.
    fn crash(&self, tell: bool) {
        *self.finished.lock().expect("no panic") = stamp().expect("the time");
        self.runs.store(false, Ordering::Relaxed);
        if tell {
            self.tell("die");
        }
    }

    fn tell(&self, action: &str) {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.as_nanos());
        let attributes = r#"{"name":"web","exitCode":"1"}"#;
        let line = format!(
            r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"{ID}","Attributes":{attributes}}},"timeNano":{nanos}}}"#
        ) + "\n";
        self.events
            .lock()
            .expect("no panic")
            .retain(|events| events.send(line.clone()).is_ok());
    }

    fn started(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    fn answer(&self, request: &Request) -> Reply {
        let path = request.path.as_str();
        let runs = self.runs.load(Ordering::Relaxed);
        match path {
            "/_ping" => Reply::Full(200, "OK".into()),
            "/info" => Reply::Full(
                200,
                format!(
                    r#"{{"ID":"{}","DockerRootDir":"{}"}}"#,
                    self.id,
                    self.root.path().display()
                ),
            ),
            "/containers/json" => {
                let (state, status) = if runs {
                    ("running", "Up 1 hour")
                } else {
                    ("exited", "Exited (1) 1 second ago")
                };
                Reply::Full(
                    200,
                    format!(r#"[{{"Id":"{ID}","Names":["/web"],"State":"{state}","Status":"{status}"}}]"#),
                )
            }
            "/events" => {
                let (sender, receiver) = mpsc::unbounded_channel();
                self.events.lock().expect("no panic").push(sender);
                Reply::Live(receiver)
            }
            _ if path.ends_with("/json") => {
                let state = if runs { "running" } else { "exited" };
                let (life, end) = (self.life(), self.finished.lock().expect("no panic").clone());
                let pid = u32::from(runs) * 4242;
                Reply::Full(
                    200,
                    format!(
                        r#"{{"Id":"{ID}","Name":"/web","State":{{"Status":"{state}","Running":{runs},"Pid":{pid},"ExitCode":1,
                        "StartedAt":"{life}","FinishedAt":"{end}"}},"HostConfig":{{}},"Config":{{"Labels":{{"watchtree.enable":"true"}}}}}}"#
                    ),
                )
            }
            _ if path.ends_with("/start") => {
                if self.runs.swap(true, Ordering::Relaxed) {
                    return Reply::Full(304, String::new());
                }
                match self.start() {
                    Ok(()) => Reply::Full(204, String::new()),
                    Err(error) => Reply::Full(500, error.to_string()),
                }
            }
            _ => Reply::Full(404, r#"{"message":"no such thing"}"#.into()),
        }
    }

    async fn await_starts(&self, wanted: u64, within: Duration) -> Result<Duration> {
        let began = Stopwatch::start();
        while self.started() < wanted {
            ensure!(
                began.elapsed() < within,
                "{} starts and not {wanted} within {within:?}",
                self.started()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(began.elapsed())
    }
}

/// Now, as an engine writes it.
fn stamp() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The healer is a process and its starting waits: not on the threads that the fake engine needs.
async fn healer_on(fake: &FakeEngine, more: &str) -> Result<Healer> {
    let (socket, more) = (fake.socket(), more.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut healer = Healer::prepare("", &socket, &more)?;
        healer.run(&[])?;
        Ok(healer)
    })
    .await?
}

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
    world.events.lock().expect("no panic").clear();
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
