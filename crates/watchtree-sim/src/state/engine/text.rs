//! The engine's refusals, in its own words, as Docker 20.10 and 26.1 were heard to say them.

use super::kernel::Version;
use watchtree_core::container::io::{EngineError, Namespace, RunState};

/// A refusal with that status.
pub(super) fn refused(status: u16, message: String) -> EngineError {
    EngineError::Refused { status, message }
}

/// The joined container does not run.
pub(super) fn cannot_join(namespace: Namespace, id: &str) -> EngineError {
    match namespace {
        Namespace::Network => refused(409, format!("cannot join network of a non running container: {id}")),
        Namespace::Pid => refused(500, format!("container {id} is not running")),
        Namespace::Ipc => refused(
            500,
            format!("can't join IPC of container {id}: container {id} is not running"),
        ),
    }
}

/// The joined container is no more.
pub(super) fn joined_is_gone(namespace: Namespace, id: &str) -> EngineError {
    let gone = format!("No such container: {id}");
    match namespace {
        Namespace::Network => refused(404, gone),
        Namespace::Pid => refused(500, format!("cannot join PID of a non running container: {id}: {gone}")),
        Namespace::Ipc => refused(500, format!("can't join IPC of container {id}: {gone}")),
    }
}

/// A bind mount's source is not there.
pub(super) fn no_mount(path: &str) -> EngineError {
    refused(
        400,
        format!("invalid mount config for type \"bind\": bind source path does not exist: {path}"),
    )
}

/// The same where nobody looked before the runtime did: at the engine's own starts, and at a `/restart`.
pub(super) fn cannot_mount(version: Version, path: &str) -> EngineError {
    let why = match version {
        Version::V20_10 => format!("stat {path}"),
        Version::V26_1 => format!("create mount destination for /more mount: bind mount source stat: stat {path}"),
    };
    let words = format!(
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error \
         during container init: error mounting \"{path}\" to rootfs at \"/more\": {why}: no such file or directory: unknown"
    );
    no_command(version, &words)
}

/// Another container has that port.
pub(super) fn port_allocated(name: &str, endpoint: &str, port: u16) -> EngineError {
    refused(
        500,
        format!(
            "driver failed programming external connectivity on endpoint {name} ({endpoint}): Bind for 0.0.0.0:{port} failed: port is \
             already allocated"
        ),
    )
}

/// A stranger on the machine has that port.
pub(super) fn port_in_use(name: &str, endpoint: &str, port: u16) -> EngineError {
    refused(
        500,
        format!(
            "driver failed programming external connectivity on endpoint {name} ({endpoint}): Error starting userland proxy: listen \
             tcp4 0.0.0.0:{port}: bind: address already in use"
        ),
    )
}

/// A network is no more.
pub(super) fn no_network(name: &str) -> EngineError {
    refused(404, format!("network {name} not found"))
}

/// The container does not run.
pub(super) fn not_running(version: Version, id: &str) -> EngineError {
    let word = match version {
        Version::V20_10 => "Container",
        Version::V26_1 => "container",
    };
    refused(409, format!("{word} {id} is not running"))
}

/// The container backs off.
pub(super) fn is_restarting(id: &str) -> EngineError {
    refused(
        409,
        format!("Container {id} is restarting, wait until the container is running"),
    )
}

/// An exec in one that does not run, or not now.
pub(super) fn cannot_exec(version: Version, run: RunState, id: &str) -> EngineError {
    match run {
        RunState::Paused => refused(
            409,
            format!("Container {id} is paused, unpause the container before exec"),
        ),
        RunState::Restarting => is_restarting(id),
        _ => not_running(version, id),
    }
}

/// A `/restart` has lost the status of the refusal.
pub(super) fn cannot_restart(id: &str, error: EngineError) -> EngineError {
    match error {
        EngineError::Refused { message, .. } => refused(500, format!("Cannot restart container {id}: {message}")),
        other => other,
    }
}

/// A rename while it backs off: its network is away.
pub(super) fn no_sandbox(sandbox: &str) -> EngineError {
    refused(404, format!("sandbox {sandbox} not found"))
}

/// The engine removes what ends, or starts it again.
pub(super) fn auto_remove_and_policy() -> EngineError {
    refused(400, "can't create 'AutoRemove' container with restart policy".into())
}

/// A kill of one that does not run.
pub(super) fn cannot_kill(version: Version, id: &str) -> EngineError {
    let message = match version {
        Version::V20_10 => format!("Cannot kill container: {id}: Container {id} is not running"),
        Version::V26_1 => format!("cannot kill container: {id}: container {id} is not running"),
    };
    refused(409, message)
}

/// A removal without force of one that runs.
pub(super) fn cannot_remove(version: Version, run: RunState, id: &str, name: &str) -> EngineError {
    let (state, old, new) = match run {
        RunState::Paused => (
            "paused",
            "Unpause and then stop the container",
            "container is paused and must be unpaused first",
        ),
        RunState::Restarting => (
            "restarting",
            "Stop the container",
            "container is restarting: stop the container before removing or force remove",
        ),
        _ => (
            "running",
            "Stop the container",
            "container is running: stop the container before removing or force remove",
        ),
    };
    let message = match version {
        Version::V20_10 => {
            format!("You cannot remove a {state} container {id}. {old} before attempting removal or force remove")
        }
        Version::V26_1 => format!("cannot remove container \"/{name}\": {new}"),
    };
    refused(409, message)
}

/// The runtime could not start its command; `words` are the runtime's.
pub(super) fn no_command(version: Version, words: &str) -> EngineError {
    let message = match version {
        Version::V20_10 => words.to_owned(),
        Version::V26_1 => format!("failed to create task for container: {words}"),
    };
    refused(400, message)
}

/// The socket is not served.
pub(super) fn unreachable() -> EngineError {
    EngineError::Unreachable("Cannot connect to the Docker daemon at unix:///var/run/docker.sock".into())
}
