//! Runs the probes that the role asks for: in the network of the container, or at its address where that cannot be entered.
//!
//! Contract: each run has a task of its own, and is answered once, soon after its deadline at the latest. What could not be asked is
//! said as that. A program that does not end in time is killed, and no other is begun in that container while it lives. Does not know
//! what an answer leads to.

use crate::engine_claim::EngineHandle;
use crate::processes::ProcessHolder;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpSocket;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use watchtree_core::container::health_check::CheckOutcome;
use watchtree_core::container::io::{ContainerId, ContainerInput, Method, ProbeAnswer, ProbeOutcome, ProbeRun};
use watchtree_core::time::Duration;
use watchtree_docker::{Engine, ExecEnd, exec, exec_process};
use watchtree_os::{NetworkEntry, NoSocket, Process, Signal};
use watchtree_probe::service;

/// Most requests that wait for the thread: the role has no more runs under way than 64.
const REQUESTS_MAX: usize = 128;
/// Most runs that did not end in time and are remembered.
const HANGING_MAX: usize = 1024;
/// A process that was killed is gone within this, unless it hangs in the kernel.
const KILLED_WITHIN: Duration = Duration::from_secs(1);

/// What is asked of which container.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) run: ProbeRun,
    pub(crate) id: ContainerId,
    pub(crate) pid: u32,
    pub(crate) address: Option<IpAddr>,
    pub(crate) method: Method,
    pub(crate) within: Duration,
}

/// See the file's head. Must be used inside a tokio runtime.
#[derive(Clone)]
pub(crate) struct ContainerProber {
    /// To the thread that asks over networks. It enters those of the containers, so nothing else is done on it.
    requests: mpsc::Sender<Asked>,
    engine: EngineHandle,
    /// Runs that did not end in time, by container.
    hanging: Arc<Mutex<BTreeMap<ContainerId, String>>>,
    inputs: mpsc::Sender<ContainerInput>,
}

impl ContainerProber {
    /// Starts the thread; it ends with the last clone.
    ///
    /// # Errors
    /// The kernel gives no thread.
    pub(crate) fn start(
        processes: ProcessHolder,
        engine: EngineHandle,
        inputs: mpsc::Sender<ContainerInput>,
    ) -> std::io::Result<Self> {
        let (requests, waiting) = mpsc::channel(REQUESTS_MAX);
        let answers = inputs.clone();
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        std::thread::Builder::new()
            .name("probes".to_owned())
            .spawn(move || LocalSet::new().block_on(&runtime, serve(waiting, processes, answers)))?;
        Ok(Self {
            requests,
            engine,
            hanging: Arc::default(),
            inputs,
        })
    }

    /// Begins a run.
    pub(crate) fn begin(&self, asked: Asked) {
        let Method::Exec { argv } = &asked.method else {
            return self.ask(asked);
        };
        let (prober, argv) = (self.clone(), argv.clone());
        tokio::spawn(async move {
            let answer = prober.exec(&asked, &argv).await.into();
            prober.answer(asked.run, answer).await;
        });
    }

    fn ask(&self, asked: Asked) {
        let run = asked.run;
        if let Err(error) = self.requests.try_send(asked) {
            let why = format!("the thread that probes does not take it: {error}");
            let prober = self.clone();
            tokio::spawn(async move { prober.answer(run, ProbeOutcome::CannotRun(why).into()).await });
        }
    }

    async fn answer(&self, run: ProbeRun, answer: ProbeAnswer) {
        // An error means that the daemon has ended.
        let _ = self.inputs.send(ContainerInput::Probed { run, answer }).await;
    }

    async fn exec(&self, asked: &Asked, argv: &[String]) -> ProbeOutcome {
        let engine = match self.engine.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Ok(executor) => executor.engine().clone(),
            Err(why) => return ProbeOutcome::CannotRun(why.clone()),
        };
        let former = self.hanging().get(&asked.id).cloned();
        if let Some(former) = former {
            if end(&engine, &asked.id, &former).await != Some(true) {
                return ProbeOutcome::CannotRun(
                    "the run before has not ended, and cannot be killed from here".to_owned(),
                );
            }
            self.hanging().remove(&asked.id);
        }
        match exec(&engine, &asked.id, argv, asked.within).await {
            ExecEnd::NotBegun(why) => ProbeOutcome::CannotRun(why),
            ExecEnd::Hangs(id) => {
                let runs = exec_process(&engine, &id).await.map(|it| it.runs);
                if runs == Some(false) {
                    return ProbeOutcome::CannotRun("it was not begun in time, or ended just after".to_owned());
                }
                self.hangs(&asked.id, &id);
                if runs.is_none() {
                    return ProbeOutcome::CannotRun("the engine does not say what became of it".to_owned());
                }
                let (hanging, container) = (Arc::clone(&self.hanging), asked.id.clone());
                tokio::spawn(async move {
                    if end(&engine, &container, &id).await == Some(true) {
                        let mut hanging = hanging.lock().unwrap_or_else(PoisonError::into_inner);
                        hanging.remove(&container);
                    }
                });
                ProbeOutcome::TimedOut(format!("it did not end within {} ms", asked.within.as_millis()))
            }
            ExecEnd::Ended(run) => match run.outcome() {
                CheckOutcome::Passed => ProbeOutcome::Passed,
                CheckOutcome::Failed => ProbeOutcome::Failed(run.words()),
                CheckOutcome::TimedOut => ProbeOutcome::TimedOut(run.words()),
                CheckOutcome::CannotRun => ProbeOutcome::CannotRun(run.words()),
            },
        }
    }

    fn hangs(&self, container: &str, run: &str) {
        let mut hanging = self.hanging();
        if HANGING_MAX <= hanging.len() {
            hanging.pop_first();
        }
        hanging.insert(container.to_owned(), run.to_owned());
    }

    fn hanging(&self) -> std::sync::MutexGuard<'_, BTreeMap<ContainerId, String>> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that asks over networks.
async fn serve(mut requests: mpsc::Receiver<Asked>, processes: ProcessHolder, inputs: mpsc::Sender<ContainerInput>) {
    let entry = NetworkEntry::of_this_thread().map_err(|error| format!("no network can be entered: {error}"));
    let entry = Rc::new(entry);
    while let Some(asked) = requests.recv().await {
        if entry.as_ref().as_ref().is_ok_and(NetworkEntry::is_lost) {
            tracing::error!(
                "the thread that probes is lost in another network: it ends, and nothing is probed over networks"
            );
            return;
        }
        let (entry, processes, inputs) = (Rc::clone(&entry), processes.clone(), inputs.clone());
        tokio::task::spawn_local(async move {
            let answer = over_network(&asked, entry.as_ref(), &processes).await;
            let run = asked.run;
            // An error means that the daemon has ended.
            let _ = inputs.send(ContainerInput::Probed { run, answer }).await;
        });
    }
}

async fn over_network(asked: &Asked, entry: &Result<NetworkEntry, String>, processes: &ProcessHolder) -> ProbeAnswer {
    let why = match inside(asked, entry, processes).await {
        Ok(outcome) => return outcome.into(),
        Err(why) => why,
    };
    let outcome = match asked.address {
        Some(address) => {
            let socket = async |_| here(address);
            service::ask_from_outside(&asked.method, address, asked.within, socket).await
        }
        None => ProbeOutcome::CannotRun(format!("{why}; and it has no address of its own")),
    };
    ProbeAnswer {
        outcome,
        outside: Some(why),
    }
}

/// In its own network. `Err` = that cannot be entered, and why.
async fn inside(
    asked: &Asked,
    entry: &Result<NetworkEntry, String>,
    processes: &ProcessHolder,
) -> Result<ProbeOutcome, String> {
    let entry = entry.as_ref().map_err(Clone::clone)?;
    let process = processes.held(&asked.id, asked.pid)?;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let other = asked.address.filter(|address| *address != loopback);
    let addresses: Vec<IpAddr> = [loopback].into_iter().chain(other).collect();
    let closed = Cell::new(None);
    let socket = async |ip: IpAddr| match entry.tcp_socket(&process, ip.is_ipv6()) {
        Ok(stream) => Ok(TcpSocket::from_std_stream(stream)),
        Err(error) => {
            let why = error.to_string();
            if matches!(error, NoSocket::CannotEnter(_)) {
                closed.set(Some(why.clone()));
            }
            Err(why)
        }
    };
    let outcome = service::ask(&asked.method, &addresses, asked.within, socket).await;
    match closed.take() {
        Some(why) => Err(why),
        None => Ok(outcome),
    }
}

/// A socket of this machine's own network.
fn here(address: IpAddr) -> Result<TcpSocket, String> {
    let made = if address.is_ipv6() {
        TcpSocket::new_v6()
    } else {
        TcpSocket::new_v4()
    };
    made.map_err(|error| format!("no socket: {error}"))
}

/// Kills the process of a run, if it is proven to be of that container. `Some(true)` = it has ended.
async fn end(engine: &Engine, container: &str, run: &str) -> Option<bool> {
    let it = exec_process(engine, run).await?;
    if !it.runs {
        return Some(true);
    }
    let process: Process = crate::processes::open(container, it.pid).ok()?;
    process.signal(Signal::KILL).ok()?;
    let ended = tokio::time::timeout(KILLED_WITHIN, process.wait()).await;
    Some(ended.is_ok())
}
