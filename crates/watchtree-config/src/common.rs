//! The tables that both configuration files have.

use crate::error::ConfigError;
use crate::value::{AbsPath, HostPort};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use watchtree_core::id::NodeName;

/// `[log]`
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// What is logged, and more for single parts: `info`, `info,watchtree_link=debug`. `WATCHTREE_LOG` overrules it.
    pub level: Level,
    /// How lines look.
    pub format: LogFormat,
}

/// A log level; kept as text, because only the log knows its full grammar.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Level(#[serde(deserialize_with = "level")] pub String);

impl Default for Level {
    fn default() -> Self {
        Self("info".to_string())
    }
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    let good = text.split(',').all(|part| match part.split_once('=') {
        Some((target, word)) => !target.is_empty() && known(word),
        None => known(part),
    });
    if good {
        Ok(text)
    } else {
        Err(Error::custom(format!(
            "`{text}` is no log level; use error, warn, info, debug or trace"
        )))
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text; colour on a terminal only.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `[http]`: the status API.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Group that may use the unix socket (0660) besides root; `None` = the daemon's own group.
    pub socket_group: Option<String>,
    /// A loopback address for reads only; `None` = the unix socket alone.
    pub listen: Option<HostPort>,
}

impl Http {
    /// `listen` as an address; `localhost` is 127.0.0.1.
    pub fn loopback(&self) -> Option<SocketAddr> {
        let listen = self.listen.as_ref()?;
        let bare = listen.host().trim_start_matches('[').trim_end_matches(']');
        let address: IpAddr = bare.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Some(SocketAddr::new(address, listen.port()))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.listen {
            Some(listen) if !listen.is_loopback() => Err(ConfigError::new(format!(
                "[http] listen: `{listen}` is open to the network; use 127.0.0.1:PORT and a proxy that asks who comes"
            ))),
            _ => Ok(()),
        }
    }
}

/// Longest name of a node that may have children, in bytes: theirs are made of it.
pub(crate) const NODE_BYTES_MAX: usize = 64;

pub(crate) fn node_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeName, D::Error> {
    let text = String::deserialize(deserializer)?;
    let name = NodeName::new(&text).map_err(|e| Error::custom(format!("name `{text}`: {e}")))?;
    if NODE_BYTES_MAX < text.len() || text.starts_with('@') {
        return Err(Error::custom(format!(
            "name `{text}`: at most {NODE_BYTES_MAX} bytes, and no @ in front"
        )));
    }
    Ok(name)
}

/// Longest folder for sockets, in bytes: the kernel takes 107 for a socket's whole path.
pub(crate) const RUN_DIR_BYTES_MAX: usize = 64;

pub(crate) fn check_run_dir(run_dir: &AbsPath) -> Result<(), ConfigError> {
    if run_dir.as_path().as_os_str().len() <= RUN_DIR_BYTES_MAX {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "run_dir: too long for sockets; at most {RUN_DIR_BYTES_MAX} bytes"
    )))
}

pub(crate) fn state_dir() -> AbsPath {
    AbsPath::fixed("/var/lib/watchtree")
}

pub(crate) fn run_dir() -> AbsPath {
    AbsPath::fixed("/run/watchtree")
}
