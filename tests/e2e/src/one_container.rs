//! What a fake engine says that has one labelled container, `web`, which can crash and be started. What else it says, and what it
//! says of events, is up to the test.

use crate::fake_engine::{FakeEngine, Reply, Request};
use crate::healer::Healer;
use crate::stopwatch::Stopwatch;
use anyhow::{Result, ensure};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The id of the container.
pub const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// One labelled container `web` that can crash; what the engine says of events is up to the test.
#[derive(Clone, Debug)]
pub struct World {
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
    /// It runs; `name` is part of the engine's id.
    ///
    /// # Errors
    /// No folder can be made.
    pub fn new(name: &str) -> Result<Self> {
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
    ///
    /// # Errors
    /// It is not seen within 20 s.
    pub async fn begin_anew(&self, healer: &Healer) -> Result<()> {
        self.start()?;
        self.await_seen(healer).await
    }

    /// Waits until the healer has seen the present life begin.
    ///
    /// # Errors
    /// It is not seen within 20 s.
    pub async fn await_seen(&self, healer: &Healer) -> Result<()> {
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

    /// When its present life began.
    pub fn life(&self) -> String {
        self.started.lock().expect("no panic").clone()
    }

    /// Begins another life.
    ///
    /// # Errors
    /// There is no `date`.
    pub fn start(&self) -> Result<()> {
        *self.started.lock().expect("no panic") = stamp()?;
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.tell("start");
        Ok(())
    }

    /// Ends it; `tell` = with an event.
    ///
    /// # Panics
    /// There is no `date`.
    pub fn crash(&self, tell: bool) {
        *self.finished.lock().expect("no panic") = stamp().expect("the time");
        self.runs.store(false, Ordering::Relaxed);
        if tell {
            self.tell("die");
        }
    }

    /// Sends an event of it.
    ///
    /// # Panics
    /// Never: no thread panics with the lock.
    pub fn tell(&self, action: &str) {
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

    /// Ends every event stream.
    ///
    /// # Panics
    /// Never: no thread panics with the lock.
    pub fn end_streams(&self) {
        self.events.lock().expect("no panic").clear();
    }

    /// How many lives have begun since it was made.
    pub fn started(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// What the engine says.
    ///
    /// # Panics
    /// Never: no thread panics with the lock.
    pub fn answer(&self, request: &Request) -> Reply {
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

    /// Waits for so many lives.
    ///
    /// # Errors
    /// There are fewer in the end.
    pub async fn await_starts(&self, wanted: u64, within: Duration) -> Result<Duration> {
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
///
/// # Errors
/// There is no `date`.
pub fn stamp() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The healer is a process and its starting waits: not on the threads that the fake engine needs.
///
/// # Errors
/// It does not become ready.
pub async fn healer_on(fake: &FakeEngine, more: &str) -> Result<Healer> {
    let (socket, more) = (fake.socket(), more.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut healer = Healer::prepare("", &socket, &more)?;
        healer.run(&[])?;
        Ok(healer)
    })
    .await?
}
