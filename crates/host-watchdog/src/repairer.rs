//! Looks at engines from outside of their API, and repairs them: by systemd, or by a program that the configuration names.
//!
//! Contract: each request runs in a task of its own and is answered exactly once, by its deadline. Nothing is signalled
//! that was not found as that engine's this very moment. Does not know why a repair is wanted.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use watchtree_config::{Engine, HostConfig, RepairMode};
use watchtree_core::host::io::{EngineAnswer, EngineUnit, EngineWork, HostInput, RepairWhen, UnitPhase};
use watchtree_os::systemd::{self, UnitState};
use watchtree_os::{Signal, process};

/// A look must be answered by then.
const LOOK_WITHIN: Duration = Duration::from_secs(8);
/// How often it is looked whether what was started is there.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The unit of containerd where the daemon does not start it itself.
const CONTAINERD: &str = "containerd.service";
/// Where Docker's daemon writes its stacks.
const STACKS_DIR: &str = "/var/run/docker";
/// Most of a program's last line that is passed on, in bytes.
const LINE_BYTES_MAX: usize = 256;

/// The way to repair one engine.
#[derive(Clone, Debug)]
enum Way {
    Systemd {
        unit: String,
    },
    Program {
        program: PathBuf,
        arguments: Vec<String>,
        engine: String,
        socket: PathBuf,
    },
}

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Repairer {
    ways: BTreeMap<String, Arc<Way>>,
    inputs: mpsc::Sender<HostInput>,
}

/// When each engine may be repaired; those that cannot be from here are left out.
pub(crate) fn repairs(config: &HostConfig) -> BTreeMap<String, RepairWhen> {
    let engines = config.engines.iter().filter(|engine| way(engine).is_some());
    let when = |engine: &Engine| match engine.repair {
        RepairMode::Safe => RepairWhen::Safe,
        RepairMode::Always => RepairWhen::Always,
        RepairMode::Never => RepairWhen::Never,
    };
    engines.map(|engine| (engine.name.clone(), when(engine))).collect()
}

fn way(engine: &Engine) -> Option<Way> {
    if let Some((program, arguments)) = engine.repair_command() {
        return Some(Way::Program {
            program: program.to_owned(),
            arguments: arguments.to_owned(),
            engine: engine.name.clone(),
            socket: engine.socket().to_owned(),
        });
    }
    let unit = engine.unit().filter(|_| systemd::is_there())?.to_owned();
    Some(Way::Systemd { unit })
}

impl Repairer {
    pub(crate) fn new(config: &HostConfig, inputs: mpsc::Sender<HostInput>) -> Self {
        let ways = config.engines.iter();
        let ways = ways.filter_map(|engine| Some((engine.name.clone(), Arc::new(way(engine)?))));
        Self {
            ways: ways.collect(),
            inputs,
        }
    }

    /// Looks at the daemon of an engine.
    pub(crate) fn inspect(&self, engine: String) {
        let way = self.ways.get(&engine).cloned();
        self.answer(engine, async move {
            let look = match &way {
                Some(way) => within(LOOK_WITHIN, look(way)).await,
                None => Err("it cannot be looked at from here: no unit and no repair_command is known".to_owned()),
            };
            EngineAnswer::Inspected(look)
        });
    }

    /// Does something to an engine, by then.
    pub(crate) fn work(&self, engine: String, work: EngineWork, by: Duration) {
        let way = self.ways.get(&engine).cloned();
        self.answer(engine, async move {
            let result = match &way {
                Some(way) => within(by, carry_out(way, work)).await,
                None => Err("it cannot be repaired from here".to_owned()),
            };
            EngineAnswer::Worked { work, result }
        });
    }

    fn answer(&self, engine: String, answer: impl Future<Output = EngineAnswer> + Send + 'static) {
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let answer = answer.await;
            tracing::debug!(engine, ?answer, "an engine from outside");
            // If the loop has ended, nobody needs to know any more.
            let _ = inputs.send(HostInput::Engine { engine, answer }).await;
        });
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(time, work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("not done within {} s", time.as_secs())),
    }
}

async fn look(way: &Way) -> io::Result<EngineUnit> {
    match way {
        Way::Program { program, .. } => Ok(EngineUnit {
            phase: UnitPhase::Unknown,
            words: format!(
                "{} repairs it; how its daemon stands is not known here",
                program.display()
            ),
        }),
        Way::Systemd { unit } => {
            let state = systemd::state(unit).await?;
            let phase = match (state.load.as_str(), state.active.as_str()) {
                ("loaded", "active" | "reloading") => UnitPhase::Running,
                ("loaded", "activating" | "deactivating") => UnitPhase::Starting,
                ("loaded", "failed") => UnitPhase::Failed,
                ("loaded", "inactive") => UnitPhase::Stopped,
                (load, active) => return Err(io::Error::other(format!("{unit} is {load}, {active}"))),
            };
            let words = format!(
                "{unit} is {} ({}, {}); {}",
                state.active,
                state.sub,
                state.result,
                kernel_words(&state)
            );
            Ok(EngineUnit { phase, words })
        }
    }
}

/// `its process 812 is at S`
fn kernel_words(daemon: &UnitState) -> String {
    let at = |pid| process::run_state(pid).map_or_else(|_| "an end".to_owned(), String::from);
    match daemon.main_pid {
        0 => "it has no process".to_owned(),
        pid => format!("its process {pid} is at {}", at(pid)),
    }
}

async fn carry_out(way: &Way, work: EngineWork) -> io::Result<String> {
    match (way, work) {
        (
            Way::Program {
                program,
                arguments,
                engine,
                socket,
            },
            work,
        ) => run_program(program, arguments, word(work), (engine, socket)).await,
        (Way::Systemd { unit }, EngineWork::DumpStacks) => dump_stacks(unit).await,
        (Way::Systemd { unit }, EngineWork::RestartContainerd) => restart_containerd(unit).await,
        (Way::Systemd { unit }, EngineWork::RestartDaemon) => restart(unit).await,
    }
}

fn word(work: EngineWork) -> &'static str {
    match work {
        EngineWork::DumpStacks => "dump-stacks",
        EngineWork::RestartContainerd => "restart-containerd",
        EngineWork::RestartDaemon => "restart-daemon",
    }
}

async fn run_program(
    program: &Path,
    arguments: &[String],
    word: &str,
    (engine, socket): (&str, &Path),
) -> io::Result<String> {
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .arg(word)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command.env("WATCHTREE_ENGINE", engine).env("WATCHTREE_SOCKET", socket);
    let output = command.output().await?;
    let last_line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let mut line = text.trim_end().lines().next_back().unwrap_or_default().to_owned();
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        line
    };
    let name = program.display();
    match output.status.success() {
        true => Ok(format!("{name} {word}: {}", last_line(&output.stdout))),
        false => Err(io::Error::other(format!(
            "{name} {word}: {}: {}",
            output.status,
            last_line(&output.stderr)
        ))),
    }
}

/// The daemon writes them into a file of its own, which stays there.
async fn dump_stacks(unit: &str) -> io::Result<String> {
    let began = SystemTime::now();
    systemd::signal(unit, "USR1").await?;
    loop {
        sleep(LOOK_EVERY).await;
        if let Some(file) = newest_stacks(began) {
            return Ok(format!("its stacks are in {}", file.display()));
        }
    }
}

fn newest_stacks(since: SystemTime) -> Option<PathBuf> {
    let files = std::fs::read_dir(STACKS_DIR).ok()?.flatten();
    let stacks = files.filter(|file| file.file_name().to_string_lossy().starts_with("goroutine-stacks"));
    let newer = stacks.filter(|file| file.metadata().and_then(|it| it.modified()).is_ok_and(|at| since <= at));
    newer.map(|file| file.path()).max()
}

/// It is a child of the daemon, which starts it again by itself, or else the machine's: a daemon that has one of its own has
/// nothing to do with that.
async fn restart_containerd(daemon: &str) -> io::Result<String> {
    let daemon_pid = systemd::state(daemon).await?.main_pid;
    let found = match daemon_pid {
        0 => Vec::new(),
        pid => process::children_named(pid, "containerd")?,
    };
    let old = match found.as_slice() {
        [old] => old,
        [] if systemd::state(CONTAINERD).await?.main_pid != 0 => return restart(CONTAINERD).await,
        _ => {
            let why = format!(
                "{} processes of containerd below {daemon}, and {CONTAINERD} has none",
                found.len()
            );
            return Err(io::Error::other(why));
        }
    };
    old.signal(Signal::KILL)?;
    loop {
        sleep(LOOK_EVERY).await;
        let now = process::children_named(daemon_pid, "containerd")?;
        if let Some(new) = now.iter().find(|new| new.pid() != old.pid()) {
            return Ok(format!("containerd {} was killed, {} runs", old.pid(), new.pid()));
        }
    }
}

/// Kills the main process, if there is one, and has another one started.
async fn restart(unit: &str) -> io::Result<String> {
    let (began, old) = (Instant::now(), systemd::state(unit).await?.main_pid);
    if old != 0 {
        systemd::signal(unit, "KILL").await?;
        while systemd::state(unit).await?.main_pid == old {
            sleep(LOOK_EVERY).await;
        }
    }
    systemd::start(unit, &unit.replace(".service", ".socket")).await?;
    loop {
        let state = systemd::state(unit).await?;
        if state.main_pid != 0 && state.active == "active" {
            let took = began.elapsed().as_millis();
            return Ok(format!(
                "{unit}: process {old} was killed, {} is ready after {took} ms",
                state.main_pid
            ));
        }
        sleep(LOOK_EVERY).await;
    }
}
