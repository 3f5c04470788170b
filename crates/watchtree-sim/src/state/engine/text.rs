//! The engine's refusals, in its own words, as Docker 20.10 was heard to say them.

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
    refused(
        409,
        format!("joining network namespace of container: No such container: {id}"),
    )
}

/// A bind mount's source is not there.
pub(super) fn no_mount(path: &str) -> EngineError {
    refused(
        400,
        format!("invalid mount config for type \"bind\": bind source path does not exist: {path}"),
    )
}

/// Another container has that port.
pub(super) fn port_allocated(name: &str, port: u16) -> EngineError {
    refused(
        500,
        format!(
            "driver failed programming external connectivity on endpoint {name}: Bind for 0.0.0.0:{port} failed: port is \
             already allocated"
        ),
    )
}

/// A stranger on the machine has that port.
pub(super) fn port_in_use(name: &str, port: u16) -> EngineError {
    refused(
        500,
        format!(
            "driver failed programming external connectivity on endpoint {name}: Error starting userland proxy: listen \
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

/// The socket is not served.
pub(super) fn unreachable() -> EngineError {
    EngineError::Unreachable("Cannot connect to the Docker daemon at unix:///var/run/docker.sock".into())
}
