//! Holds the init processes of containers, and tells their ends as the kernel shows them.
//!
//! Contract: answers each request at once by `Held` or `Hidden`, and after `Held` once by `Ended`. A process is held only
//! where it is proven to be of that container: a number means another process where the engine lives in a pid namespace of
//! its own. Does not know what an end means.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc};
use watchtree_core::container::io::{ContainerId, ContainerInput, Inodes, Namespace, ProcessSeen};
use watchtree_os::{Process, limits, process};

/// Most processes that are held at one time.
const PROCESSES_MAX: usize = 4096;
/// Descriptors that stay free for everything else.
const SPARE_FILES: usize = 256;

/// See the file's head. Must be used inside a tokio runtime.
#[derive(Clone, Debug)]
pub(crate) struct ProcessHolder {
    places: Arc<Semaphore>,
    max: usize,
    /// Those that are held, by their containers.
    held: Arc<Mutex<BTreeMap<ContainerId, Process>>>,
    inputs: mpsc::Sender<ContainerInput>,
}

impl ProcessHolder {
    /// As many at one time as this process may have files, within bounds.
    pub(crate) fn new(inputs: mpsc::Sender<ContainerInput>) -> Self {
        let max = limits::open_files_max().saturating_sub(SPARE_FILES).min(PROCESSES_MAX);
        Self {
            places: Arc::new(Semaphore::new(max)),
            max,
            held: Arc::default(),
            inputs,
        }
    }

    /// Holds the init process of a container.
    pub(crate) fn hold(&self, id: ContainerId, pid: u32) {
        let holder = self.clone();
        tokio::spawn(async move {
            let Ok(_place) = Arc::clone(&holder.places).try_acquire_owned() else {
                let why = format!("{} are held already, which is the most", holder.max);
                return holder.tell(id, pid, ProcessSeen::Hidden(why)).await;
            };
            let process = match open(&id, pid) {
                Ok(process) => process,
                Err(why) => return holder.tell(id, pid, ProcessSeen::Hidden(why)).await,
            };
            // While it is held the number is its.
            let namespaces = namespaces(pid);
            holder.all().insert(id.clone(), process.clone());
            holder.tell(id.clone(), pid, ProcessSeen::Held { namespaces }).await;
            let seen = match process.wait().await {
                Ok(_) => ProcessSeen::Ended,
                Err(error) => ProcessSeen::Hidden(format!("process {pid} cannot be waited for: {error}")),
            };
            holder.let_go(&id, pid);
            holder.tell(id, pid, seen).await;
        });
    }

    /// The init process of that container, if it is that one.
    ///
    /// # Errors
    /// It cannot be held from here; in words.
    pub(crate) fn held(&self, id: &str, pid: u32) -> Result<Process, String> {
        let known = self.all().get(id).filter(|it| it.pid() == pid).cloned();
        known.map_or_else(|| open(id, pid), Ok)
    }

    fn let_go(&self, id: &str, pid: u32) {
        let mut all = self.all();
        if all.get(id).is_some_and(|it| it.pid() == pid) {
            all.remove(id);
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Process>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn tell(&self, id: ContainerId, pid: u32, seen: ProcessSeen) {
        // An error means that the daemon has ended.
        let _ = self.inputs.send(ContainerInput::Process { id, pid, seen }).await;
    }
}

/// Which namespaces it is in, as far as that can be read.
fn namespaces(pid: u32) -> Inodes {
    let read = |namespace| {
        let kind = match namespace {
            Namespace::Network => "net",
            Namespace::Pid => "pid",
            Namespace::Ipc => "ipc",
        };
        Some((namespace, process::namespace(pid, kind).ok()?))
    };
    Namespace::ALL.into_iter().filter_map(read).collect()
}

/// Its control group names the container, whatever engine made it and wherever that put it.
pub(crate) fn open(id: &str, pid: u32) -> Result<Process, String> {
    // Held first, then looked at: what is seen then is this very process.
    let process = Process::open(pid).map_err(|error| error.to_string())?;
    let groups = process::control_groups(pid)
        .map_err(|error| format!("the control group of process {pid} cannot be read: {error}"))?;
    match !id.is_empty() && groups.contains(id) {
        true => Ok(process),
        false => Err(format!(
            "process {pid} is not of that container: the engine runs in another pid namespace than this watchdog"
        )),
    }
}

#[cfg(test)]
mod tests {
    //! What is no process of the container is not held; what is, is told to have ended.
    use super::*;

    #[tokio::test]
    async fn a_process_of_somebody_else_is_hidden() {
        let (inputs, mut inbox) = mpsc::channel(4);
        let holder = ProcessHolder::new(inputs);
        let id = "0".repeat(64);
        for pid in [std::process::id(), 1, 0, u32::MAX] {
            holder.hold(id.clone(), pid);
            let told = inbox.recv().await;
            let Some(ContainerInput::Process {
                pid: of,
                seen: ProcessSeen::Hidden(why),
                ..
            }) = told
            else {
                panic!("{pid}: {told:?}");
            };
            assert!(of == pid && !why.is_empty());
        }
    }

    #[tokio::test]
    async fn its_end_is_told() {
        let (inputs, mut inbox) = mpsc::channel(4);
        let holder = ProcessHolder::new(inputs);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        // Its control group is ours: that is its "container".
        let groups = process::control_groups(child.id()).expect("control groups");
        holder.hold(groups.trim().to_owned(), child.id());
        let mut told = async || match inbox.recv().await {
            Some(ContainerInput::Process { seen, .. }) => seen,
            other => panic!("{other:?}"),
        };
        let namespaces = namespaces(std::process::id());
        assert_eq!(namespaces.len(), Namespace::ALL.len());
        assert_eq!(
            told().await,
            ProcessSeen::Held { namespaces },
            "a child is in the namespaces of its parent"
        );
        child.kill().expect("it lives");
        assert_eq!(told().await, ProcessSeen::Ended);
        // Whoever came first has reaped it.
        let _ = child.wait();
    }
}
