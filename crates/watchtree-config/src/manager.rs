//! The configuration of manager-watchdog: `manager.toml`.

use crate::common::{self, Http, Log};
use crate::error::ConfigError;
use crate::notify::{self, Webhook};
use crate::value::{AbsPath, HostPort, Span};
use serde::Deserialize;
use std::path::PathBuf;
use watchtree_core::id::NodeName;
use watchtree_core::manager::io::ManagerPolicy;

/// The checked content of `manager.toml`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ManagerConfig {
    /// Its name in the tree.
    #[serde(deserialize_with = "common::node_name", default = "manager_name")]
    pub name: NodeName,
    /// Where hosts connect to; 1 to 8.
    #[serde(default = "listen")]
    pub listen: Vec<HostPort>,
    /// Parent of its state folder `manager`.
    #[serde(default = "common::state_dir")]
    state_dir: AbsPath,
    /// Folder of its sockets.
    #[serde(default = "common::run_dir")]
    run_dir: AbsPath,
    /// `[log]`
    #[serde(default)]
    pub log: Log,
    /// `[keys]`
    #[serde(default)]
    pub keys: ManagerKeys,
    /// `[http]`
    #[serde(default)]
    pub http: Http,
    /// `[hosts]`
    #[serde(default)]
    pub hosts: Hosts,
    /// `[[webhook]]`; at most 16.
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<Webhook>,
}

fn manager_name() -> NodeName {
    NodeName::new("manager").expect("it has only letters")
}

fn listen() -> Vec<HostPort> {
    vec![HostPort::any_address(7411)]
}

/// `[keys]` of the manager.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ManagerKeys {
    /// Its own secret CURVE key.
    pub key: AbsPath,
    /// The secret key it signs orders with.
    pub order_key: AbsPath,
    /// Folder of `NAME.pub`: the nodes that may connect.
    pub allowed_dir: AbsPath,
}

impl Default for ManagerKeys {
    fn default() -> Self {
        Self {
            key: AbsPath::fixed("/etc/watchtree/keys/manager.key"),
            order_key: AbsPath::fixed("/etc/watchtree/keys/manager-order.key"),
            allowed_dir: AbsPath::fixed("/etc/watchtree/allowed"),
        }
    }
}

/// `[hosts]`: how hosts are judged.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Hosts {
    /// Hosts beat this often.
    pub beat: Span<100, 60_000>,
    /// A beat may be this late before the host is suspected.
    pub margin: Span<100, 600_000>,
    /// A BeatAck comes back every so many beats.
    pub ack_every: u32,
    /// Time for one look: a Ping on the link, and whether the host's kernel answers.
    pub look_within: Span<100, 10_000>,
    /// Looks that must fail before a verdict.
    pub rounds: u32,
    /// While a host is lost, it is looked at this often.
    pub look_again: Span<500, 600_000>,
    /// After the own start or a stall nobody is judged for this long.
    pub settle: Span<500, 600_000>,
    /// A known host that is not back this long after that is suspected.
    pub return_within: Span<500, 3_600_000>,
    /// A machine that announced its shutdown or reboot and is not back after this is an incident; 0 = never.
    pub back_after_shutdown: Span<0, 2_592_000_000>,
    /// A container that stays unhealthy this long becomes an incident.
    pub unhealthy_after: Span<0, 86_400_000>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            beat: Span::millis(500),
            margin: Span::millis(1000),
            ack_every: 4,
            look_within: Span::millis(700),
            rounds: 2,
            look_again: Span::millis(2000),
            settle: Span::millis(2000),
            return_within: Span::millis(5000),
            back_after_shutdown: Span::millis(900_000),
            unhealthy_after: Span::millis(60_000),
        }
    }
}

impl ManagerConfig {
    /// Most addresses to listen on.
    pub const LISTEN_MAX: usize = 8;

    /// Its state folder: `STATE_DIR/manager`.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.as_path().join("manager")
    }

    /// Folder of its sockets.
    pub fn run_dir(&self) -> &std::path::Path {
        self.run_dir.as_path()
    }

    /// The socket of its API: `RUN_DIR/manager.sock`.
    pub fn status_socket(&self) -> PathBuf {
        self.run_dir.as_path().join("manager.sock")
    }

    /// The core's numbers: those of the file, the shipped ones for the rest.
    pub fn policy(&self) -> ManagerPolicy {
        ManagerPolicy {
            beat: self.hosts.beat.get(),
            margin: self.hosts.margin.get(),
            ack_every: self.hosts.ack_every,
            look_within: self.hosts.look_within.get(),
            rounds: self.hosts.rounds,
            look_again: self.hosts.look_again.get(),
            settle: self.hosts.settle.get(),
            return_within: self.hosts.return_within.get(),
            back_after_shutdown: Some(self.hosts.back_after_shutdown.get()).filter(|after| !after.is_zero()),
            unhealthy_after: self.hosts.unhealthy_after.get(),
            ..ManagerPolicy::default()
        }
    }

    /// What no single value shows.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bad = |what: String| Err(ConfigError::new(what));
        common::check_run_dir(&self.run_dir)?;
        self.http.check()?;
        if self.listen.is_empty() || Self::LISTEN_MAX < self.listen.len() {
            return bad(format!("listen: give 1 to {} addresses", Self::LISTEN_MAX));
        }
        notify::check_webhooks(&self.webhooks)?;
        if self.hosts.ack_every == 0 || 100 < self.hosts.ack_every {
            return bad("[hosts] ack_every: give 1 to 100".to_string());
        }
        if self.hosts.rounds == 0 || 10 < self.hosts.rounds {
            return bad("[hosts] rounds: give 1 to 10".to_string());
        }
        if self.hosts.margin.get() < self.hosts.beat.get() {
            return bad(
                "[hosts] margin: is shorter than beat, so one lost beat would suspect a host; raise it".to_string(),
            );
        }
        Ok(())
    }
}
