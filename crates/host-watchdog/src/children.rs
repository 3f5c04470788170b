//! The container-watchdogs as processes: adopted, started, signalled, waited for. Does not decide.
//!
//! Contract: they outlive this process: no pipe, no process group and no parent-death signal ties them to it. The kernel knows what
//! does: their arguments, by which a later start adopts them, and their pid, by which the ipc socket identifies them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use watchtree_config::HostConfig;
use watchtree_core::host::io::{ChildExit, ChildSignal, HostInput};
use watchtree_core::id::NodeName;
use watchtree_os::process::{self, Exit, Process, Signal};
use watchtree_os::{Spawn, build};
use watchtree_runtime::exit::LAST_WORDS_ENV;
use watchtree_runtime::systemd;

/// Name of the program beside ours.
const PROGRAM: &str = "container-watchdog";
/// Longest last line that is passed on, in bytes.
const LAST_LINE_BYTES_MAX: usize = 512;

/// Which process is which node. Shared with the ipc socket's reader.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Arc<Mutex<BTreeMap<u32, NodeName>>>);

impl Names {
    /// The node that this process is, if it is a child of ours.
    pub(crate) fn of(&self, pid: u32) -> Option<NodeName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&pid).cloned()
    }

    pub(crate) fn set(&self, pid: u32, name: NodeName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, name);
    }

    fn remove(&self, pid: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }
}

/// The children.
#[derive(Debug)]
pub(crate) struct Children {
    program: PathBuf,
    config_file: PathBuf,
    run_dir: PathBuf,
    engines: BTreeMap<String, NodeName>,
    held: BTreeMap<String, Process>,
    names: Names,
    inputs: mpsc::Sender<HostInput>,
}

impl Children {
    pub(crate) fn new(config: &HostConfig, config_file: &Path, inputs: mpsc::Sender<HostInput>) -> Self {
        let beside = || std::env::current_exe().unwrap_or_default().with_file_name(PROGRAM);
        let engines = config
            .engines
            .iter()
            .map(|engine| (engine.name.clone(), config.container_node(&engine.name)));
        Self {
            program: config.container_watchdog().map_or_else(beside, Path::to_path_buf),
            config_file: config_file.to_path_buf(),
            run_dir: config.run_dir().to_path_buf(),
            engines: engines.collect(),
            held: BTreeMap::new(),
            names: Names::default(),
            inputs,
        }
    }

    pub(crate) fn names(&self) -> Names {
        self.names.clone()
    }

    /// Of the container-watchdog that would be started now: a running child that says another one in its Hello is of
    /// another build.
    pub(crate) fn version(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        build::version_of(&self.program, version).unwrap_or_else(|error| {
            tracing::warn!(program = %self.program.display(), %error, "the container-watchdog cannot be found");
            version.to_string()
        })
    }

    fn arguments(&self, engine: &str) -> Vec<String> {
        arguments(&self.config_file, engine)
    }

    /// Tells the living children of a former life, and then that all were told.
    pub(crate) async fn adopt_living(&mut self) {
        for (engine, name) in self.engines.clone() {
            let arguments = self.arguments(&engine);
            let found = process::find(|found| found == arguments).unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot search for living children");
                Vec::new()
            });
            let mut found = found.into_iter();
            if let Some(process) = found.next() {
                let pid = process.pid();
                tracing::info!(engine, pid, "found a living container-watchdog");
                self.names.set(pid, name);
                self.hold(&engine, process, None);
                self.report(HostInput::ChildFound {
                    engine: engine.clone(),
                    pid,
                })
                .await;
            }
            // Only one can hold the engine; another is a leftover that waits for it.
            for extra in found {
                tracing::warn!(engine, pid = extra.pid(), "ending a surplus container-watchdog");
                if let Err(error) = extra.signal(Signal::TERM) {
                    tracing::warn!(%error, "it cannot be ended");
                }
            }
        }
        self.report(HostInput::ChildrenLookedFor).await;
    }

    async fn report(&self, input: HostInput) {
        // The loop is not running yet and the inbox has room for more than there are engines; it cannot be closed.
        let _ = self.inputs.send(input).await;
    }

    /// Starts the child of that engine; the answer goes to the inbox.
    pub(crate) fn start(&mut self, engine: &str) {
        let Err(why) = self.spawn(engine) else { return };
        tracing::warn!(engine, why, "cannot start a container-watchdog");
        enqueue(&self.inputs, started(engine, Err(why)));
    }

    /// Its start is told by the task that will tell its end.
    fn spawn(&mut self, engine: &str) -> Result<(), String> {
        let Some(name) = self.engines.get(engine).cloned() else {
            return Err(format!("no engine {engine} is configured"));
        };
        let words = self.exit_line_file(engine);
        // A line of an earlier life must not be taken for one of this.
        let _ = std::fs::remove_file(&words);
        let mut spawn = Spawn::new(&self.program).env(LAST_WORDS_ENV, &words);
        for argument in self.arguments(engine) {
            spawn = spawn.arg(argument);
        }
        for variable in systemd::ENV_NAMES {
            spawn = spawn.without_env(variable);
        }
        let process = spawn
            .start()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        let pid = process.pid();
        tracing::info!(engine, pid, "started a container-watchdog");
        self.names.set(pid, name);
        self.hold(engine, process, Some(started(engine, Ok(pid))));
        Ok(())
    }

    /// Keeps it for signals, tells `first`, and waits for its end. One task tells both, so that the end of a child that
    /// ends at once cannot overtake its start: the machine would not know whose end that is.
    fn hold(&mut self, engine: &str, process: Process, first: Option<HostInput>) {
        let waiting = process.clone();
        self.held.insert(engine.to_string(), process);
        let (inputs, names) = (self.inputs.clone(), self.names.clone());
        let (engine, words) = (engine.to_string(), self.exit_line_file(engine));
        tokio::spawn(async move {
            let pid = waiting.pid();
            if let Some(first) = first {
                // If the loop has ended, nobody needs to know any more.
                let _ = inputs.send(first).await;
            }
            let exit = match waiting.wait().await {
                Ok(Exit::Code(code)) => ChildExit::Code(code),
                Ok(Exit::Signal(signal)) => ChildExit::Signal(signal),
                Ok(Exit::Unknown) => ChildExit::Unknown,
                Err(error) => {
                    // Its end would not be seen; so it is made to end, before it is told to have ended.
                    tracing::warn!(engine, pid, %error, "cannot wait for a child: ending it");
                    // Errors: it has ended. A panic there: there is none.
                    let _ = tokio::task::spawn_blocking(move || waiting.end()).await;
                    ChildExit::Unknown
                }
            };
            names.remove(pid);
            let last_line = last_line(&words);
            tracing::info!(engine, pid, ?exit, last_line, "a container-watchdog ended");
            // If the loop has ended, nobody needs to know any more.
            let _ = inputs
                .send(HostInput::ChildExited {
                    engine,
                    pid,
                    exit,
                    last_line,
                })
                .await;
        });
    }

    /// Sends a signal, if that process is still the one we hold.
    pub(crate) fn signal(&self, engine: &str, pid: u32, signal: ChildSignal) {
        let Some(process) = self.held.get(engine).filter(|process| process.pid() == pid) else {
            return;
        };
        let result = match signal {
            // A frozen one gets to see the signal only when it is thawed.
            ChildSignal::Terminate => process.signal(Signal::TERM).and_then(|()| process.signal(Signal::CONT)),
            ChildSignal::Kill => process.signal(Signal::KILL),
        };
        if let Err(error) = result {
            tracing::warn!(engine, pid, %error, "cannot signal a child");
        }
    }

    fn exit_line_file(&self, engine: &str) -> PathBuf {
        self.run_dir.join(format!("container-{engine}.last-words"))
    }
}

/// What a container-watchdog is started with, and found by.
pub(crate) fn arguments(config_file: &Path, engine: &str) -> Vec<String> {
    let file = config_file.display().to_string();
    ["run", "--config", &file, "--engine", engine]
        .map(str::to_string)
        .to_vec()
}

fn started(engine: &str, result: Result<u32, String>) -> HostInput {
    HostInput::ChildStarted {
        engine: engine.to_string(),
        result,
    }
}

fn last_line(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().next_back().unwrap_or_default();
    let cut = (0..=line.len().min(LAST_LINE_BYTES_MAX))
        .rev()
        .find(|&at| line.is_char_boundary(at))
        .unwrap_or(0);
    line[..cut].to_string()
}

/// Puts an input into the inbox from the loop itself, which must not wait for room.
pub(crate) fn enqueue(inputs: &mpsc::Sender<HostInput>, input: HostInput) {
    if let Err(mpsc::error::TrySendError::Full(input)) = inputs.try_send(input) {
        let inputs = inputs.clone();
        tokio::spawn(async move {
            // If the loop has ended, nobody needs to know any more.
            let _ = inputs.send(input).await;
        });
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn children(folder: &Path, program: &str, inputs: mpsc::Sender<HostInput>) -> Children {
        let at = folder.display();
        let file = folder.join("host.toml");
        let text = format!(
            "name = \"h1\"\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\ncontainer_watchdog = \"{program}\"\n\
             [[engine]]\nname = \"docker\"\nsocket = \"{at}/none.sock\"\n"
        );
        std::fs::write(&file, text).expect("room for a file");
        let config = watchtree_config::read_host(&file).expect("a configuration");
        Children::new(&config, &file, inputs)
    }

    /// A program of another name, and one that the configuration names no more.
    #[tokio::test]
    async fn a_living_child_is_found_whatever_its_program_is_called() {
        for name in ["healer-1.2", "container-watchdog"] {
            let folder = tempfile::tempdir().expect("a folder");
            let (inputs, mut inbox) = mpsc::channel(8);
            let mut children = children(folder.path(), "/opt/healer-1.2", inputs);
            let mut living = stand_in(folder.path(), name, &children.config_file);
            children.adopt_living().await;
            let found = inbox.try_recv().expect("something was found");
            let (engine, pid) = ("docker".to_string(), living.id());
            assert_eq!(found, HostInput::ChildFound { engine, pid });
            living.kill().expect("it lives");
            // Reaped by the one that waits for it, here or there.
            let _ = living.wait();
        }
    }

    /// A process that looks like a container-watchdog of that configuration: a shell whose start-up file waits. Its
    /// arguments can be seen by others only some time after it was started, so it says a line first.
    pub(crate) fn stand_in(folder: &Path, name: &str, config_file: &Path) -> std::process::Child {
        use std::io::BufRead;
        use std::os::unix::process::CommandExt;
        use std::process::Stdio;
        let waits = folder.join("waits");
        std::fs::write(&waits, "echo here; read -r _\n").expect("room for a file");
        let mut process = std::process::Command::new("/bin/bash")
            .arg0(folder.join(name))
            .args(arguments(config_file, "docker"))
            .env("BASH_ENV", waits)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash can be started");
        let mut line = String::new();
        let says = process.stdout.as_mut().expect("a pipe");
        std::io::BufReader::new(says)
            .read_line(&mut line)
            .expect("it says a line");
        assert_eq!(line, "here\n");
        process
    }

    /// With an inbox that is always full, and programs that end at once.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_end_never_overtakes_its_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inputs, mut inbox) = mpsc::channel(1);
        let mut children = children(folder.path(), "/bin/false", inputs.clone());
        for _ in 0..50 {
            inputs.send(HostInput::ChildrenLookedFor).await.expect("an open inbox");
            children.start("docker");
            let mut told = Vec::new();
            while told.len() < 2 {
                match inbox.recv().await.expect("an open inbox") {
                    HostInput::ChildStarted { result, .. } => told.push((result.expect("it starts"), None)),
                    HostInput::ChildExited { pid, exit, .. } => told.push((pid, Some(exit))),
                    _ => {}
                }
            }
            let pid = told[0].0;
            assert_eq!(told, [(pid, None), (pid, Some(ChildExit::Code(1)))]);
        }
    }
}
