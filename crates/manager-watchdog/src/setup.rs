//! Reads and checks the configuration and the keys, and returns what a run needs. Opens nothing else but the state folder.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use watchtree_config::{HostPort, LogFormat, ManagerConfig, Webhook};
use watchtree_core::id::{NodeIdentity, Tier};
use watchtree_core::manager::io::ManagerPolicy;
use watchtree_keys::{CurveKeys, KeyError, OrderKeys};
use watchtree_os::identity::{Life, begin_life, boot_id, machine_id, random16};
use watchtree_runtime::{Code, Exit, logging};

/// What a run needs.
pub(crate) struct Plan {
    pub(crate) identity: NodeIdentity,
    pub(crate) policy: ManagerPolicy,
    /// `tcp://ADDRESS:PORT`
    pub(crate) endpoints: Vec<String>,
    pub(crate) curve: CurveKeys,
    pub(crate) order_keys: OrderKeys,
    /// Folder of the keys of nodes that may connect.
    pub(crate) allowed_dir: PathBuf,
    /// The API's unix socket.
    pub(crate) socket: PathBuf,
    pub(crate) socket_group: Option<String>,
    /// Where the API's reads are served too.
    pub(crate) http_listen: Option<SocketAddr>,
    pub(crate) database: PathBuf,
    pub(crate) webhooks: Vec<Webhook>,
    /// Real randomness, another one at each start.
    pub(crate) seed: u64,
    /// It says why the identity is only in memory, if so.
    pub(crate) life: Life,
    pub(crate) state_dir: PathBuf,
}

/// Reads and checks the file.
pub(crate) fn read(file: &Path) -> anyhow::Result<ManagerConfig> {
    watchtree_config::read_manager(file).map_err(|error| {
        let code = if error.no_rights {
            Code::NoRights
        } else {
            Code::BadInput
        };
        Exit::new(code, error.to_string()).into()
    })
}

/// Reads the file and the keys, begins to log, and begins a life in the state folder.
pub(crate) fn plan(file: &Path) -> anyhow::Result<Plan> {
    let config = read(file)?;
    let format = match config.log.format {
        LogFormat::Text => logging::LogFormat::Text,
        LogFormat::Json => logging::LogFormat::Json,
    };
    logging::init(&config.log.level.0, format)?;
    let curve = CurveKeys::load(config.keys.key.as_path()).map_err(key_exit)?;
    let order_keys = OrderKeys::load(config.keys.order_key.as_path()).map_err(key_exit)?;
    let http_listen = config.http.listen.as_ref().map(loopback).transpose()?;
    let life = begin_life(&config.state_dir());
    let version = env!("CARGO_PKG_VERSION");
    let seed = random16()?;
    Ok(Plan {
        identity: NodeIdentity {
            name: config.name.clone(),
            tier: Tier::Manager,
            node_id: life.node_id,
            machine_id: machine_id(),
            boot_id: boot_id()?,
            agent_epoch: life.epoch,
            version: watchtree_os::build::own_version(version).unwrap_or_else(|_| version.to_owned()),
        },
        policy: config.policy(),
        endpoints: config.listen.iter().map(HostPort::endpoint).collect(),
        curve,
        order_keys,
        allowed_dir: config.keys.allowed_dir.as_path().to_path_buf(),
        socket: config.status_socket(),
        socket_group: config.http.socket_group.clone(),
        http_listen,
        database: config.state_dir().join("manager.db"),
        seed: seed.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
        life,
        state_dir: config.state_dir(),
        webhooks: config.webhooks,
    })
}

fn key_exit(error: KeyError) -> Exit {
    let code = if error.is_permission() {
        Code::NoRights
    } else {
        Code::BadInput
    };
    let cure = if error.is_missing() {
        "; make it: watchtree key gen"
    } else if error.is_permission() {
        "; run as root or as the user it belongs to"
    } else {
        ""
    };
    Exit::new(code, format!("{error}{cure}"))
}

/// The configuration allows loopback only; a name is `localhost`.
fn loopback(place: &HostPort) -> anyhow::Result<SocketAddr> {
    let bare = place.host().trim_start_matches('[').trim_end_matches(']');
    let ip = match bare {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => bare
            .parse()
            .map_err(|_| Exit::bad_input(format!("[http] listen: {place} is no address")))?,
    };
    Ok(SocketAddr::new(ip, place.port()))
}
