//! The three daemons as production runs them, for demo and bench: separate processes, tcp with CURVE to the manager on
//! loopback, ipc between host and container-watchdog; keys, state and configuration in a folder of their own.
//!
//! Contract: dropping a `Fleet` ends every process it started, also the container-watchdog that the host-watchdog started.
//! Where this process is killed the kernel ends manager and host (`pdeathsig.rs`), and the next run removes the rest
//! (`leftovers.rs`). It does not know which containers are watched.

use crate::engine::{Engine, RUN_LABEL};
use crate::http::{self, Answer};
use crate::process::Process;
use crate::{interrupt, pdeathsig, prerequisites, sh, victim, victims};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Name of the host in the tree.
pub(crate) const HOST: &str = "h1";
/// Name of the engine in the tree.
pub(crate) const ENGINE: &str = "docker";

/// How long a daemon may take to be ready, and to end in order.
const READY: Duration = Duration::from_secs(15);
const END: Duration = Duration::from_secs(15);

/// Builds what is installed, for release.
///
/// # Errors
/// The build failed.
pub(crate) fn build() -> Result<PathBuf> {
    sh::run(sh::cargo().args(["build", "--locked", "--release"]))?;
    Ok(victim::target_dir()?.join("release"))
}

/// The folder that is given, or the one of a build.
///
/// # Errors
/// The build failed, or the folder is not there.
pub(crate) fn programs(given: Option<PathBuf>) -> Result<PathBuf> {
    match given {
        Some(folder) => folder.canonicalize().with_context(|| folder.display().to_string()),
        None => build(),
    }
}

/// What a fleet shall watch.
pub(crate) struct Plan<'a> {
    /// Folder with the programs.
    pub(crate) programs: &'a Path,
    /// Folder for everything the fleet writes; not long, for there are sockets in it.
    pub(crate) folder: &'a Path,
    /// The run whose containers, and no others, exist for it.
    pub(crate) run: &'a str,
    /// The engine's socket.
    pub(crate) engine: &'a Path,
    /// Where alerts are posted to.
    pub(crate) webhook: Option<&'a str>,
}

/// The engine is taken, which is no defect: a Watchtree that heals there already, or another demo.
/// It says itself who that is.
#[derive(Debug)]
struct AnotherHealer(String);

impl std::fmt::Display for AnotherHealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the engine is taken, and two healers would get in each other's way: {}",
            self.0
        )
    }
}

impl std::error::Error for AnotherHealer {}

/// The running daemons.
pub(crate) struct Fleet {
    programs: PathBuf,
    folder: PathBuf,
    manager: Child,
    host: Child,
}

impl Fleet {
    /// Makes keys and configuration, and starts manager and host. The containers must be known to nobody else.
    ///
    /// # Errors
    /// A daemon does not start or is not ready in time; its log's end is in the error.
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self> {
        make_keys(plan)?;
        write_configuration(plan)?;
        let manager = spawn(plan.programs, plan.folder, "manager")?;
        let host = match spawn(plan.programs, plan.folder, "host") {
            Ok(host) => host,
            Err(error) => {
                end(manager);
                return Err(error);
            }
        };
        let (programs, folder) = (plan.programs.to_owned(), plan.folder.to_owned());
        let fleet = Self {
            programs,
            folder,
            manager,
            host,
        };
        for daemon in ["manager", "host", "container-docker"] {
            fleet.await_ready(daemon)?;
        }
        Ok(fleet)
    }

    /// The status socket of `manager`, `host` or `container-docker`.
    fn socket(&self, daemon: &str) -> PathBuf {
        self.folder.join("run").join(format!("{daemon}.sock"))
    }

    /// Asks a daemon's API.
    pub(crate) fn get(&self, daemon: &str, path: &str) -> Result<Answer> {
        http::ask(&self.socket(daemon), "GET", path, &[], Duration::from_secs(5))
    }

    /// Waits until it says that it knows what it is there to know.
    pub(crate) fn await_ready(&self, daemon: &str) -> Result<Duration> {
        let mut last = String::from("it does not answer");
        let poll = || {
            match self.get(daemon, "/readyz") {
                Ok(answer) if answer.status == 200 => return Ok(Some(())),
                Ok(answer) => last = answer.json()?["detail"].as_str().unwrap_or("no detail").to_owned(),
                Err(error) => last = format!("{error:#}"),
            }
            if last.contains("another healer") {
                bail!(AnotherHealer(last.clone()));
            }
            Ok(None)
        };
        let every = Duration::from_millis(10);
        match interrupt::wait(&format!("{daemon} is not ready"), Instant::now(), READY, every, poll) {
            Ok(((), took)) => Ok(took),
            Err(error) if error.is::<AnotherHealer>() => Err(error),
            Err(error) => Err(error.context(format!("last answer: {last}\n{}", self.log_ends()))),
        }
    }

    /// The process that listens on a daemon's status socket, by the kernel's word.
    pub(crate) fn process(&self, daemon: &str) -> Result<Process> {
        let stream = UnixStream::connect(self.socket(daemon)).with_context(|| format!("{daemon} does not listen"))?;
        let peer = rustix::net::sockopt::socket_peercred(&stream)?;
        Process::open(peer.pid.as_raw_nonzero().get())
    }

    /// The host-watchdog's process.
    pub(crate) fn host_process(&self) -> Result<Process> {
        Process::open(i32::try_from(self.host.id())?)
    }

    /// Kills the manager and waits for its end.
    pub(crate) fn kill_manager(&mut self) -> Result<()> {
        self.manager.kill().context("kill the manager")?;
        self.manager.wait().map(drop).context("the manager's end")
    }

    /// Starts the manager again on its state.
    pub(crate) fn start_manager(&mut self) -> Result<()> {
        self.manager = spawn(&self.programs, &self.folder, "manager")?;
        self.await_ready("manager").map(drop)
    }

    /// The last lines of every log, for a failure's report.
    pub(crate) fn log_ends(&self) -> String {
        let mut text = String::new();
        for name in ["manager", "host"] {
            let path = self.folder.join(format!("{name}.log"));
            let log = std::fs::read_to_string(&path).unwrap_or_else(|error| format!("(cannot be read: {error})"));
            let lines: Vec<&str> = log.lines().collect();
            text.push_str(&format!(
                "--- end of {name}'s log\n{}\n",
                lines[lines.len().saturating_sub(25)..].join("\n")
            ));
        }
        text
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Thawed first: a frozen process does not end in order. The child is taken before its parent is gone.
        let child = self.process("container-docker");
        let host = self.host_process();
        for process in child.iter().chain(&host) {
            report(process.signal(Signal::CONT));
        }
        report(host.and_then(|host| host.signal(Signal::TERM)));
        await_end(&mut self.host);
        if let Ok(child) = child {
            report(child.signal(Signal::TERM));
            let gone = || Ok(child.has_ended().then_some(()));
            let waited = wait_uninterrupted(END, gone);
            if waited.is_err() {
                report(child.signal(Signal::KILL));
            }
        }
        report(Process::open(i32::try_from(self.manager.id()).unwrap_or(0)).and_then(|m| m.signal(Signal::TERM)));
        await_end(&mut self.manager);
    }
}

fn report(result: Result<()>) {
    if let Err(error) = result {
        errln!("while cleaning up: {error:#}");
    }
}

fn wait_uninterrupted(within: Duration, mut poll: impl FnMut() -> Result<Option<()>>) -> Result<()> {
    let start = Instant::now();
    while poll()?.is_none() {
        if within < start.elapsed() {
            bail!("not within {} s", within.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn await_end(child: &mut Child) {
    if wait_uninterrupted(END, || Ok(child.try_wait()?.map(drop))).is_err() {
        errln!(
            "while cleaning up: process {} does not end on SIGTERM, killing it",
            child.id()
        );
        report(child.kill().context("kill"));
        report(child.wait().map(drop).context("wait"));
    }
}

fn end(mut child: Child) {
    report(child.kill().context("kill"));
    report(child.wait().map(drop).context("wait"));
}

fn spawn(programs: &Path, folder: &Path, role: &str) -> Result<Child> {
    let program = programs.join(format!("{role}-watchdog"));
    let log = folder.join(format!("{role}.log"));
    let log = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| log.display().to_string())?;
    if !prerequisites::on_path(&program.to_string_lossy()) {
        bail!("{} is not there, or cannot be run", program.display());
    }
    let mut command = pdeathsig::command(&program);
    command
        .arg("run")
        .arg("--config")
        .arg(folder.join(format!("{role}.toml")));
    // In a group of its own: the terminal's Ctrl-C is for us, and we end it in order.
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    command
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

fn make_keys(plan: &Plan<'_>) -> Result<()> {
    let keys = plan.folder.join("keys");
    std::fs::DirBuilder::new().mode(0o700).create(&keys)?;
    for (kind, name) in [("curve", "manager"), ("order", "manager-order"), ("curve", HOST)] {
        let file = keys.join(format!("{name}.key"));
        sh::read(
            Command::new(plan.programs.join("watchtree"))
                .args(["key", "gen", kind])
                .arg(file),
        )?;
    }
    for (folder, name) in [("allowed", HOST), ("order-keys", "manager-order")] {
        let to = plan.folder.join(folder);
        std::fs::create_dir_all(&to)?;
        let file = format!("{name}.pub");
        std::fs::copy(keys.join(&file), to.join(&file)).with_context(|| format!("the public key of {name}"))?;
    }
    Ok(())
}

fn write_configuration(plan: &Plan<'_>) -> Result<()> {
    let folder = plan.folder.display();
    let port = victims::free_port()?;
    // Nobody listens there: a kernel that refuses a connection is alive.
    let closed = victims::free_port()?;
    let webhook = plan
        .webhook
        .map_or_else(String::new, |url| format!("\n[[webhook]]\nurl = \"{url}\"\n"));
    let manager = format!(
        "name = \"manager\"
listen = [\"127.0.0.1:{port}\"]
state_dir = \"{folder}/state\"
run_dir = \"{folder}/run\"

[keys]
key = \"{folder}/keys/manager.key\"
order_key = \"{folder}/keys/manager-order.key\"
allowed_dir = \"{folder}/allowed\"
{webhook}"
    );
    let host = format!(
        "name = \"{HOST}\"
look_at = [\"127.0.0.1:{closed}\"]
state_dir = \"{folder}/state\"
run_dir = \"{folder}/run\"

[parent]
connect = \"127.0.0.1:{port}\"
server_key = \"{folder}/keys/manager.pub\"

[keys]
key = \"{folder}/keys/{HOST}.key\"
order_keys_dir = \"{folder}/order-keys\"

[[engine]]
name = \"{ENGINE}\"
socket = \"{socket}\"
select = [\"{RUN_LABEL}={run}\"]
",
        socket = plan.engine.display(),
        run = plan.run,
    );
    for (file, text) in [("manager.toml", manager), ("host.toml", host)] {
        std::fs::write(plan.folder.join(file), text).with_context(|| format!("cannot write {file}"))?;
    }
    std::fs::create_dir_all(plan.folder.join("run"))?;
    std::fs::create_dir_all(plan.folder.join("state"))?;
    Ok(())
}

/// A name for one run of demo or bench, short and not used by another one that runs now.
pub(crate) fn run_name(what: &str) -> String {
    format!("{what}-{:x}", std::process::id())
}

/// Removes a run's containers at its end, whatever happened.
pub(crate) struct Containers {
    pub(crate) engine: Engine,
    pub(crate) run: String,
}

impl Drop for Containers {
    fn drop(&mut self) {
        for failure in self.engine.remove_run(&self.run) {
            errln!("while cleaning up: {failure}");
        }
    }
}
