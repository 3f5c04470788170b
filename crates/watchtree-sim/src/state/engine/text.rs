//! The engine's refusals, in its own words, as Docker 20.10 and 26.1 were heard to say them.

use super::kernel::Version;
use watchtree_core::container::io::EngineError;

/// A refusal with that status.
pub(super) fn refused(status: u16, message: String) -> EngineError {
    EngineError::Refused { status, message }
}

/// The joined container does not run.
pub(super) fn cannot_join(id: &str) -> EngineError {
    refused(409, format!("cannot join network of a non running container: {id}"))
}

/// The joined container is no more.
pub(super) fn joined_is_gone(id: &str) -> EngineError {
    refused(404, format!("No such container: {id}"))
}

/// A bind mount's source is not there.
pub(super) fn no_mount(path: &str) -> EngineError {
    refused(
        400,
        format!("invalid mount config for type \"bind\": bind source path does not exist: {path}"),
    )
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
pub(super) fn not_running(id: &str) -> EngineError {
    refused(409, format!("Container {id} is not running"))
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
pub(super) fn cannot_remove(version: Version, id: &str, name: &str) -> EngineError {
    let message = match version {
        Version::V20_10 => format!(
            "You cannot remove a running container {id}. Stop the container before attempting removal or force remove"
        ),
        Version::V26_1 => format!(
            "cannot remove container \"/{name}\": container is running: stop the container before removing or force remove"
        ),
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
