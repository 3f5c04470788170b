//! Whose namespaces a container joins, as its `HostConfig` says.

use crate::error::cut;
use bollard::models::HostConfig;
use watchtree_core::container::io::{Joins, Namespace};

/// Longest id or name, in bytes.
const OWNER_BYTES_MAX: usize = 255;

/// The engine has put the id in the place of a name.
pub(crate) fn joins(host: &HostConfig) -> Joins {
    let modes = [
        (Namespace::Network, &host.network_mode),
        (Namespace::Pid, &host.pid_mode),
        (Namespace::Ipc, &host.ipc_mode),
    ];
    let joined = modes.into_iter().filter_map(|(namespace, mode)| {
        let owner = mode.as_deref()?.strip_prefix("container:")?;
        Some((namespace, cut(owner, OWNER_BYTES_MAX)))
    });
    joined.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_has_an_owner_of_its_own() {
        let host: HostConfig = serde_json::from_value(serde_json::json!({
            "NetworkMode": "container:7d3d", "PidMode": "host", "IpcMode": "container:9a9a"
        }))
        .expect("a host config");
        let expected = [
            (Namespace::Network, "7d3d".to_owned()),
            (Namespace::Ipc, "9a9a".to_owned()),
        ];
        assert_eq!(joins(&host), Joins::from(expected));
        assert!(joins(&HostConfig::default()).is_empty());
    }
}
