//! Looks at the two processes behind a container, its init and its shim, and kills a shim.
//!
//! Contract: a shim is one by its name and by the container's whole id among its arguments, and is held before it is looked at: what
//! is seen, or killed, is that very process. Each look is answered once. Blocks no task. Does not know why one is looked at.

use std::io;
use tokio::sync::mpsc;
use watchtree_core::container::io::{ContainerId, ContainerInput, ProcessSeen, ShimSeen, TaskState};
use watchtree_os::{Process, Signal, process};

/// How containerd's shims are called, as far as the kernel keeps a name.
const SHIM: &str = "containerd-shim";

/// Looks, and answers through the inbox.
pub(crate) fn look(id: ContainerId, pid: u32, inputs: mpsc::Sender<ContainerInput>) {
    tokio::spawn(async move {
        let about = id.clone();
        let looked = tokio::task::spawn_blocking(move || ShimSeen {
            shim: find(&about).map(|shim| (shim.pid(), state(shim.pid()))),
            init: state(pid),
        });
        let seen = match looked.await {
            Ok(seen) => ProcessSeen::Shim(seen),
            Err(error) => ProcessSeen::Hidden(format!("its shim could not be looked at: {error}")),
        };
        // An error means that the daemon has ended.
        let _ = inputs.send(ContainerInput::Process { id, pid, seen }).await;
    });
}

/// Kills it, if it still is that container's.
pub(crate) fn kill(id: ContainerId, pid: u32) {
    tokio::task::spawn_blocking(move || match find(&id).filter(|shim| shim.pid() == pid) {
        Some(shim) => match shim.signal(Signal::KILL) {
            Ok(()) => tracing::warn!(container = %id, shim = pid, "its shim was stopped: killed"),
            Err(error) => tracing::warn!(container = %id, shim = pid, "its shim cannot be killed: {error}"),
        },
        None => tracing::info!(container = %id, shim = pid, "its shim is gone already"),
    });
}

/// The shim of that container.
fn find(id: &str) -> Option<Process> {
    let of_it = |arguments: &[String]| arguments.windows(2).any(|pair| pair[0] == "-id" && pair[1] == id);
    let found = process::find(of_it).ok()?;
    let is_shim = |it: &Process| process::name(it.pid()).is_ok_and(|name| name.starts_with(SHIM));
    found.into_iter().find(is_shim)
}

fn state(pid: u32) -> TaskState {
    match process::run_state(pid) {
        Ok('T' | 't') => TaskState::Stopped,
        Ok('D') => TaskState::InKernel,
        Ok('Z' | 'X') => TaskState::Gone,
        Ok(_) => TaskState::Works,
        Err(error) if error.kind() == io::ErrorKind::NotFound => TaskState::Gone,
        // Nothing is known against it.
        Err(_) => TaskState::Works,
    }
}

#[cfg(test)]
mod tests {
    //! A process that is called as a shim, and others.
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    const ID: &str = "5f1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e";

    /// A shell that waits for a line, under that name, with these arguments.
    fn process(folder: &std::path::Path, name: &str, id: &str) -> Child {
        let program = folder.join(name);
        std::fs::copy("/bin/sh", &program).expect("a copy");
        let mut command = Command::new(&program);
        command.args(["-c", "read line", "-namespace", "moby", "-id", id]);
        command.stdin(Stdio::piped()).process_group(0).spawn().expect("it runs")
    }

    async fn seen(id: &str, pid: u32) -> ShimSeen {
        let (inputs, mut inbox) = mpsc::channel(1);
        look(id.to_owned(), pid, inputs);
        match inbox.recv().await {
            Some(ContainerInput::Process {
                seen: ProcessSeen::Shim(seen),
                ..
            }) => seen,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_shim_is_found_by_name_and_id_seen_stopped_and_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shim = process(folder.path(), "containerd-shim-runc-v2", ID);
        let mut other = process(folder.path(), "something", &ID.replace('5', "6"));
        let own = Process::open(shim.id()).expect("it lives");
        // It has its name once it has begun.
        while seen(ID, 0).await.shim.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let found = seen(ID, other.id()).await;
        assert_eq!(
            found,
            ShimSeen {
                shim: Some((shim.id(), TaskState::Works)),
                init: TaskState::Works
            }
        );
        assert_eq!(
            seen(&ID.replace('5', "6"), 0).await.shim,
            None,
            "it is no shim by its name"
        );
        own.signal(Signal::STOP).expect("stopped");
        while seen(ID, 0).await.shim != Some((shim.id(), TaskState::Stopped)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        kill(ID.to_owned(), other.id());
        kill(ID.to_owned(), shim.id());
        let end = tokio::task::spawn_blocking(move || shim.wait().expect("it ends"));
        assert!(!end.await.expect("no panic").success());
        assert_eq!(
            seen(ID, u32::MAX).await,
            ShimSeen {
                shim: None,
                init: TaskState::Gone
            }
        );
        assert!(other.try_wait().expect("it is asked").is_none(), "no other is killed");
        other.kill().expect("it ends");
        let _ = other.wait();
    }
}
