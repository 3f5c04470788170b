//! The configuration of a host: `host.toml`, shared by host-watchdog and its container-watchdogs.

use crate::class::Class;
use crate::common::{self, Http, Log};
use crate::engine::{self, Engine};
use crate::error::ConfigError;
use crate::notify::{self, Alerts, Hook, Webhook};
use crate::value::{AbsPath, HostPort, Span};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use watchtree_core::container::classes::Class as CoreClass;
use watchtree_core::host::io::HostPolicy;
use watchtree_core::id::NodeName;

/// The checked content of `host.toml`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// The host's name in the tree.
    #[serde(deserialize_with = "common::node_name")]
    pub name: NodeName,
    /// Addresses at which others may look whether this machine's kernel answers; at most 4.
    #[serde(default)]
    pub look_at: Vec<HostPort>,
    /// Parent of the state folders `host` and `container-ENGINE`.
    #[serde(default = "common::state_dir")]
    state_dir: AbsPath,
    /// Folder of the sockets.
    #[serde(default = "common::run_dir")]
    run_dir: AbsPath,
    /// The container-watchdog program; `None` = the one beside the host-watchdog's own.
    #[serde(default)]
    container_watchdog: Option<AbsPath>,
    /// `[log]`
    #[serde(default)]
    pub log: Log,
    /// `[parent]`; `None` = this host has no manager (yet) and heals alone.
    #[serde(default)]
    pub parent: Option<Parent>,
    /// `[keys]`
    #[serde(default)]
    keys: RawKeys,
    /// `[http]`
    #[serde(default)]
    pub http: Http,
    /// `[[engine]]`; 1 to 8.
    #[serde(default = "engine::one_docker", rename = "engine")]
    pub engines: Vec<Engine>,
    /// `[heal]`: what holds for containers whose labels say nothing else.
    #[serde(default)]
    pub heal: Heal,
    /// `[[class]]`: what holds for some of them.
    #[serde(default, rename = "class")]
    pub classes: Vec<Class>,
    /// `[figures]`: when the host itself counts as degraded.
    #[serde(default)]
    pub figures: Figures,
    /// `[alerts]`: when this host calls a person itself.
    #[serde(default)]
    alerts: Alerts,
    /// `[[webhook]]`: who is called; at most 16.
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<Webhook>,
    /// `[[hook]]`: the programs that call; at most 4.
    #[serde(default, rename = "hook")]
    pub hooks: Vec<Hook>,
}

/// `[parent]`: the manager.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Where it listens.
    pub connect: HostPort,
    /// File with its public CURVE key.
    #[serde(default = "parent_key")]
    server_key: AbsPath,
}

impl Parent {
    /// File with the manager's public CURVE key.
    pub fn server_key(&self) -> &Path {
        self.server_key.as_path()
    }
}

fn parent_key() -> AbsPath {
    AbsPath::fixed("/etc/watchtree/keys/manager.pub")
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct RawKeys {
    key: Option<AbsPath>,
    order_keys_dir: AbsPath,
}

impl Default for RawKeys {
    fn default() -> Self {
        Self {
            key: None,
            order_keys_dir: AbsPath::fixed("/etc/watchtree/order-keys"),
        }
    }
}

/// `[keys]` of a host, defaults filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostKeys {
    /// The host's own secret CURVE key.
    pub key: PathBuf,
    /// Folder of the public keys whose orders are obeyed.
    pub order_keys_dir: PathBuf,
}

/// `[heal]`: numbers for every container; `watchtree.*` labels overrule them one by one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Heal {
    /// Restarts allowed within `window`; after that a person is called.
    pub budget: u32,
    /// See `budget`.
    pub window: Span<10_000, 604_800_000>,
    /// After so many restarts within `window` an unhealthy one is not stopped any more.
    pub stop_budget: u32,
    /// Pause before the second restart in a row; doubles.
    pub delay_min: Span<10, 60_000>,
    /// Longest pause.
    pub delay_max: Span<100, 3_600_000>,
    /// A container that ran this long is clean: its next restart has no pause.
    pub clean_after: Span<1000, 86_400_000>,
    /// Time between the stop signal and the kill where the container has none of its own.
    pub stop_timeout: Span<0, 3_600_000>,
    /// For this long after a start the health check is not held against it; the first healthy of a life ends it, and starts that
    /// never became well make the next one longer.
    pub grace: Span<0, 3_600_000>,
    /// A new incarnation must stay up this long to count as repaired.
    pub verify: Span<100, 600_000>,
    /// The whole container list is compared at least this often, whatever the events say.
    pub list_every: Span<1000, 60_000>,
    /// A container whose restart limit is reached is tried again this often.
    pub retry_given_up: Span<60_000, 86_400_000>,
    /// Most repairs at one time on one engine.
    pub parallel: u32,
    /// Restarts of all containers of one engine together within 10 minutes; many that died of one cause do not count.
    pub host_budget: u32,
}

impl Default for Heal {
    fn default() -> Self {
        Self {
            budget: 12,
            window: Span::millis(600_000),
            stop_budget: 5,
            delay_min: Span::millis(100),
            delay_max: Span::millis(60_000),
            clean_after: Span::millis(600_000),
            stop_timeout: Span::millis(10_000),
            grace: Span::millis(10_000),
            verify: Span::millis(10_000),
            list_every: Span::millis(60_000),
            retry_given_up: Span::millis(600_000),
            parallel: 8,
            host_budget: 250,
        }
    }
}

/// `[figures]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Figures {
    /// File systems to look at; at most 8.
    pub disks: Disks,
    /// Per cent of a disk that must be free.
    pub disk_free_min: u8,
    /// Per cent of the memory that must be available.
    pub memory_available_min: u8,
    /// Load per processor that is too much.
    pub load_per_cpu_max: u32,
    /// Per cent of the time that work may wait for processor, memory or disk (PSI).
    pub pressure_max: u8,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            disks: Disks::default(),
            disk_free_min: 5,
            memory_available_min: 5,
            load_per_cpu_max: 4,
            pressure_max: 40,
        }
    }
}

/// Paths on the file systems to look at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Disks(pub Vec<AbsPath>);

impl Default for Disks {
    fn default() -> Self {
        Self(vec![AbsPath::fixed("/"), AbsPath::fixed("/var/lib/docker")])
    }
}

impl HostConfig {
    /// Longest name of an engine, in bytes.
    pub const ENGINE_BYTES_MAX: usize = engine::NAME_BYTES_MAX;
    /// Most engines.
    pub const ENGINES_MAX: usize = 8;

    /// The host-watchdog's state folder: `STATE_DIR/host`.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.as_path().join("host")
    }

    /// A container-watchdog's state folder: `STATE_DIR/container-ENGINE`.
    pub fn container_state_dir(&self, engine: &str) -> PathBuf {
        self.state_dir.as_path().join(format!("container-{engine}"))
    }

    /// Folder of the sockets.
    pub fn run_dir(&self) -> &Path {
        self.run_dir.as_path()
    }

    /// The ipc socket of the children: `RUN_DIR/host-children.sock`.
    pub fn children_socket(&self) -> PathBuf {
        self.run_dir.as_path().join("host-children.sock")
    }

    /// The socket of the host-watchdog's API: `RUN_DIR/host.sock`.
    pub fn status_socket(&self) -> PathBuf {
        self.run_dir.as_path().join("host.sock")
    }

    /// The socket of a container-watchdog's API: `RUN_DIR/container-ENGINE.sock`.
    pub fn container_status_socket(&self, engine: &str) -> PathBuf {
        self.run_dir.as_path().join(format!("container-{engine}.sock"))
    }

    /// The engine of that name.
    pub fn engine(&self, name: &str) -> Option<&Engine> {
        self.engines.iter().find(|engine| engine.name == name)
    }

    /// The container-watchdog program where the file names one.
    pub fn container_watchdog(&self) -> Option<&Path> {
        self.container_watchdog.as_ref().map(AbsPath::as_path)
    }

    /// `HOST.ENGINE.watchdog`: the name of that engine's container-watchdog.
    ///
    /// # Panics
    /// Never: both parts were checked and are short enough.
    pub fn container_node(&self, engine: &str) -> NodeName {
        NodeName::new(&format!("{}.{engine}.watchdog", self.name)).expect("checked parts make a name")
    }

    /// `[keys]`, defaults filled in.
    pub fn keys(&self) -> HostKeys {
        let default = || PathBuf::from(format!("/etc/watchtree/keys/{}.key", self.name));
        HostKeys {
            key: self
                .keys
                .key
                .as_ref()
                .map_or_else(default, |path| path.as_path().to_path_buf()),
            order_keys_dir: self.keys.order_keys_dir.as_path().to_path_buf(),
        }
    }

    /// The core's numbers: those of the file, the shipped ones for the rest.
    pub fn policy(&self) -> HostPolicy {
        HostPolicy {
            disk_free_milli_min: u64::from(self.figures.disk_free_min) * 10,
            memory_available_milli_min: u64::from(self.figures.memory_available_min) * 10,
            load_per_cpu_milli_max: u64::from(self.figures.load_per_cpu_max) * 1000,
            psi_milli_max: u64::from(self.figures.pressure_max) * 10,
            alerts: self.alerts.policy(
                !(self.webhooks.is_empty() && self.hooks.is_empty()),
                self.parent.is_some(),
            ),
            ..HostPolicy::default()
        }
    }

    /// What no single value shows.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bad = |what: String| Err(ConfigError::new(what));
        common::check_run_dir(&self.run_dir)?;
        self.http.check()?;
        if self.engines.is_empty() || Self::ENGINES_MAX < self.engines.len() {
            return bad(format!("[[engine]]: give 1 to {}", Self::ENGINES_MAX));
        }
        for (at, engine) in self.engines.iter().enumerate() {
            if let Some(twin) = self.engines[..at]
                .iter()
                .find(|e| e.name == engine.name || e.socket() == engine.socket())
            {
                return bad(format!(
                    "[[engine]]: `{}` and `{}` share a name or a socket; keep one",
                    twin.name, engine.name
                ));
            }
            engine.check()?;
        }
        if CoreClass::CLASSES_MAX < self.classes.len() {
            return bad(format!("[[class]]: give at most {}", CoreClass::CLASSES_MAX));
        }
        self.classes.iter().try_for_each(Class::check)?;
        notify::check_webhooks(&self.webhooks)?;
        notify::check_hooks(&self.hooks)?;
        if 4 < self.look_at.len() {
            return bad("look_at: at most 4 addresses".to_string());
        }
        if 8 < self.figures.disks.0.len() {
            return bad("[figures] disks: at most 8 paths".to_string());
        }
        if 100
            < self
                .figures
                .disk_free_min
                .max(self.figures.memory_available_min)
                .max(self.figures.pressure_max)
        {
            return bad("[figures]: per cent go from 0 to 100".to_string());
        }
        self.heal.check()
    }
}

impl Heal {
    /// The keys whose values are not those that ship.
    pub fn configured(&self) -> Vec<&'static str> {
        let shipped = Self::default();
        let all = [
            ("budget", self.budget != shipped.budget),
            ("stop_budget", self.stop_budget != shipped.stop_budget),
            ("window", self.window != shipped.window),
            ("delay_min", self.delay_min != shipped.delay_min),
            ("delay_max", self.delay_max != shipped.delay_max),
            ("clean_after", self.clean_after != shipped.clean_after),
            ("stop_timeout", self.stop_timeout != shipped.stop_timeout),
            ("verify", self.verify != shipped.verify),
            ("retry_given_up", self.retry_given_up != shipped.retry_given_up),
        ];
        all.into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(key, _)| key)
            .collect()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let bad = |what: &str| Err(ConfigError::new(what));
        if self.budget == 0 || 100 < self.budget {
            return bad("[heal] budget: give 1 to 100 restarts; to heal nothing set heal = \"observe\" at the engine");
        }
        if self.stop_budget == 0 || 100 < self.stop_budget {
            return bad(
                "[heal] stop_budget: give 1 to 100 restarts; to heal nothing set heal = \"observe\" at the engine",
            );
        }
        if self.delay_max.get() < self.delay_min.get() {
            return bad("[heal] delay_max: is shorter than delay_min; raise it");
        }
        if self.parallel == 0 || 64 < self.parallel {
            return bad("[heal] parallel: give 1 to 64");
        }
        if self.host_budget == 0 || 500 < self.host_budget {
            return bad("[heal] host_budget: give 1 to 500 restarts");
        }
        Ok(())
    }
}
