//! The configuration files of the daemons, parsed into checked types.
//!
//! Contract: the only crate that knows TOML. An error is one line: `FILE:LINE:COLUMN: what is wrong; how to mend it`. Only the file
//! itself is read: key files and sockets are opened by those who use them.

mod class;
mod common;
mod engine;
mod error;
mod host;
pub mod keys;
mod manager;
mod notify;
mod probe;
pub mod reference;
mod value;

pub use class::Class;
pub use common::{Http, Level, Log, LogFormat};
pub use engine::{Engine, HealMode, RepairMode};
pub use error::ConfigError;
pub use host::{Disks, Figures, Heal, HostConfig, HostKeys, Parent};
pub use manager::{Hosts, ManagerConfig, ManagerKeys};
pub use notify::{Alerts, AlertsWhen, Hook, Webhook};
pub use value::{AbsPath, HostPort, Label, Span, Url};

use std::path::Path;

/// Largest configuration file, in bytes.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Reads and checks `manager.toml`.
///
/// # Errors
/// [`ConfigError`]: the file cannot be read, or something in it is wrong.
pub fn read_manager(file: &Path) -> Result<ManagerConfig, ConfigError> {
    parse_manager(&read(file)?).map_err(|error| error.in_file(file))
}

/// Reads and checks `host.toml`.
///
/// # Errors
/// As [`read_manager`].
pub fn read_host(file: &Path) -> Result<HostConfig, ConfigError> {
    parse_host(&read(file)?).map_err(|error| error.in_file(file))
}

/// Checks the text of a `manager.toml`.
///
/// # Errors
/// [`ConfigError`] without a file name.
pub fn parse_manager(text: &str) -> Result<ManagerConfig, ConfigError> {
    let config: ManagerConfig = toml::from_str(text).map_err(|e| error::of_toml(text, &e, keys::MANAGER))?;
    config.check().map_err(|error| error.find_in(text))?;
    Ok(config)
}

/// Checks the text of a `host.toml`.
///
/// # Errors
/// [`ConfigError`] without a file name.
pub fn parse_host(text: &str) -> Result<HostConfig, ConfigError> {
    let config: HostConfig = toml::from_str(text).map_err(|e| error::of_toml(text, &e, keys::HOST))?;
    config.check().map_err(|error| error.find_in(text))?;
    Ok(config)
}

/// Which of the two files a text is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `manager.toml`
    Manager,
    /// `host.toml`
    Host,
}

impl Kind {
    /// Told by the tables it has: for `config check FILE` on a file of any name.
    fn of(text: &str) -> Self {
        let mut in_a_table = false;
        let is_manager = text.lines().map(str::trim).any(|line| {
            if line.starts_with('[') {
                in_a_table = true;
                let name = line.trim_start_matches(['[', ' ']).split([']', ' ', '.']).next();
                return matches!(name, Some("hosts" | "webhook"));
            }
            match line.split_once('=').map(|(key, _)| key.trim()) {
                // [http] has one too, in both files.
                Some("listen") => !in_a_table,
                Some("order_key") => true,
                _ => false,
            }
        });
        if is_manager { Self::Manager } else { Self::Host }
    }

    /// Lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Host => "host",
        }
    }
}

/// Reads and checks a file of either kind.
///
/// # Errors
/// As [`read_manager`].
pub fn check(file: &Path) -> Result<Kind, ConfigError> {
    let text = read(file)?;
    let kind = Kind::of(&text);
    match kind {
        Kind::Manager => parse_manager(&text).map(drop),
        Kind::Host => parse_host(&text).map(drop),
    }
    .map(|()| kind)
    .map_err(|error| error.in_file(file))
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let meta = std::fs::metadata(file).map_err(|e| error::of_io(file, &e))?;
    // A pipe would be waited for without end, and /dev/zero read without end.
    if !meta.is_file() && !meta.is_dir() {
        return Err(ConfigError::new("it is no regular file; name one").in_file(file));
    }
    if FILE_BYTES_MAX < meta.len() {
        let what = format!("has {} bytes; a configuration has at most {FILE_BYTES_MAX}", meta.len());
        return Err(ConfigError::new(what).in_file(file));
    }
    std::fs::read_to_string(file).map_err(|e| error::of_io(file, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_file_it_is_shows_in_its_tables() {
        for host in [
            "name = \"h1\"\n[http]\nlisten = \"127.0.0.1:7412\"\n",
            "name = \"h1\"\n[keys]\norder_keys_dir = \"/etc/watchtree/order-keys\"\n",
            "name = \"h1\"\n# listen = []\n[[engine]]\nname = \"docker\"\n",
        ] {
            assert_eq!(Kind::of(host), Kind::Host, "{host}");
        }
        for manager in [
            "name = \"m\"\nlisten = [\"0.0.0.0:7411\"]\n[http]\nlisten = \"127.0.0.1:7410\"\n",
            "name = \"m\"\n[hosts]\n",
            "[[ webhook ]]\nurl = \"https://alerts.example.org\"\n",
            "[keys]\norder_key=\"/etc/watchtree/keys/order.key\"\n",
        ] {
            assert_eq!(Kind::of(manager), Kind::Manager, "{manager}");
        }
    }
}
