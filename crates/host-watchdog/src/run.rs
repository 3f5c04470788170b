//! One run of host-watchdog: from the configuration to the loop, and an orderly shutdown.
//!
//! Contract: everything that only a person can mend (configuration, keys, rights, a second copy) is found before anything is started.
//! A missing manager, a missing engine and a full disk are conditions.

use crate::alerts::{Alerts, Found};
use crate::api::{self, HostApi, Waiting};
use crate::children::Children;
use crate::effect_executor::EffectExecutor;
use crate::figures;
use crate::links::{self, Links, Outputs};
use crate::orders::OrderVerifier;
use crate::probes::Prober;
use crate::refusals::Refusals;
use crate::repairer::{self, Repairer};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use watchtree_config::{ConfigError, HostConfig, LogFormat};
use watchtree_core::host::HostAgent;
use watchtree_core::host::io::{HostInput, HostStart};
use watchtree_core::id::{NodeIdentity, Tier};
use watchtree_os::identity::{self, Life};
use watchtree_os::{Lock, LockError, shutdown};
use watchtree_runtime::{
    Clock, Code, Conditions, Drive, Ended, EventLog, Exit, HttpServer, Pulse, Signals, StateReader, drive, logging,
};

/// Most inputs that wait; more wait with whoever brings them.
const INBOX_MAX: usize = 1024;
/// After a stop signal: the children's time and some for the goodbye.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// The goodbye's time to leave the machine.
const LINGER: Duration = Duration::from_millis(500);
/// Time for alerts that are not delivered yet; the rest is told by the next start.
const ALERTS_WITHIN: Duration = Duration::from_secs(2);
/// Labels are refreshed this often.
const WALL_EVERY: Duration = Duration::from_secs(10);

/// Reads and checks the configuration.
pub(crate) fn read_config(file: &Path) -> Result<HostConfig> {
    watchtree_config::read_host(file).map_err(|error: ConfigError| {
        let code = if error.no_rights {
            Code::NoRights
        } else {
            Code::BadInput
        };
        Exit::new(code, error.to_string()).into()
    })
}

/// Runs until the end.
pub(crate) fn run(file: &Path) -> Result<()> {
    let config = read_config(file)?;
    let format = match config.log.format {
        LogFormat::Text => logging::LogFormat::Text,
        LogFormat::Json => logging::LogFormat::Json,
    };
    logging::init(&config.log.level.0, format)?;
    watchtree_link::check().map_err(|error| Exit::new(Code::Failed, error.to_string()))?;
    let file = std::path::absolute(file).context("where is the configuration?")?;
    watchtree_os::memory::keep_little();
    let runtime = watchtree_runtime::one_thread_runtime().context("cannot make a runtime")?;
    let ended = runtime.block_on(work(config, &file));
    // A probe or a read of figures that hangs in the kernel must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

async fn work(config: HostConfig, file: &Path) -> Result<()> {
    let signals = Signals::catch().context("cannot catch signals")?;
    let upstream = links::upstream(&config)?;
    make_run_dir(config.run_dir())?;
    let _lock = only_one(&config)?;
    let group = config.http.socket_group.as_deref();
    let http = HttpServer::bind(Some(&config.status_socket()), group, config.http.loopback()).map_err(Exit::from)?;

    let conditions = Conditions::new();
    let life = identity::begin_life(&config.state_dir());
    if let Some(why) = &life.degraded {
        conditions.report("state", &Err(why.clone()));
        tokio::spawn(save_later(config.state_dir(), life.clone(), conditions.clone()));
    }
    let pulse = Pulse::new();
    let (inputs, inbox) = mpsc::channel(INBOX_MAX);
    let (state, reads) = StateReader::pair();

    let mut children = Children::new(&config, file, inputs.clone());
    let version = children.version();
    let mut start = start(&config, &life, version.clone())?;
    let identity = start.identity.clone();
    tracing::info!(
        name = %identity.name, version, node_id = %identity.node_id, epoch = identity.agent_epoch.0,
        engines = config.engines.len(), parent = config.parent.is_some(), "host-watchdog starts"
    );
    // Children of a former life first: their frames must find them known.
    children.adopt_living().await;
    let orders = OrderVerifier::new(&identity.name, &config.keys().order_keys_dir, conditions.clone());
    let refusals = Refusals::default();
    let (ended, mut link_ends) = mpsc::channel(2);
    let outputs = Outputs {
        inputs: inputs.clone(),
        ended,
    };
    let links = Links::start(&config, upstream, children.names(), orders, &refusals, outputs)?;
    tokio::spawn(wall(inputs.clone()));
    tokio::spawn(going_down(inputs.clone()));

    let events = EventLog::new(
        identity.name.as_str(),
        format!("{}-{}", identity.boot_id, identity.agent_epoch.0),
    );
    let alerts = Alerts::start(&config, life.epoch.0, &conditions, events.clone());
    let (alerts, Found { open, next }) = alerts.context("cannot make threads for alerts")?;
    (start.alerts, start.next_alert) = (open, next);
    let waiting = Waiting::default();
    let api = HostApi {
        identity,
        began: Clock.now(),
        below: api::below(&config),
        state,
        inputs: inputs.clone(),
        waiting: waiting.clone(),
        conditions: conditions.clone(),
        refusals,
        events: events.clone(),
        alerts: alerts.book(),
        pulse: pulse.clone(),
    };
    let serving = http.serve(Arc::new(api));

    let mut agent = HostAgent::new(Clock.now(), start);
    let mut executor = EffectExecutor {
        children,
        links,
        prober: Prober::new(&config, inputs.clone()),
        repairer: Repairer::new(&config, inputs.clone()),
        figures: figures::Reader::new(&config, pulse.clone(), inputs),
        alerts,
        events,
        conditions,
        waiting,
    };
    let parts = Drive {
        inbox,
        reads,
        signals,
        pulse,
        stalled: |gap| Some(HostInput::Stalled { gap }),
        stop: || HostInput::Stop,
        stop_within: STOP_WITHIN,
    };
    let ended = tokio::select! {
        ended = drive(&mut agent, &mut executor, parts) => ended,
        Some(link) = link_ends.recv() => {
            anyhow::bail!("{link} ended by itself: ending as well; the children go on healing, and the next start adopts them")
        }
    };
    tracing::info!(?ended, "host-watchdog ends");
    serving.shut_down().await;
    executor.links.stop(LINGER).await;
    // It may wait for a disk or a network; nothing else runs any more.
    let alerts = executor.alerts;
    tokio::task::spawn_blocking(move || alerts.stop(ALERTS_WITHIN)).await?;
    match ended {
        Ended::InOrder | Ended::Cut => Ok(()),
        Ended::InboxClosed => anyhow::bail!("everything that feeds the working loop has ended"),
    }
}

fn start(config: &HostConfig, life: &Life, version: String) -> Result<HostStart> {
    let identity = NodeIdentity {
        name: config.name.clone(),
        tier: Tier::Host,
        node_id: life.node_id,
        machine_id: identity::machine_id(),
        boot_id: identity::boot_id().context("cannot read this boot's id")?,
        agent_epoch: life.epoch,
        version,
    };
    let [a, b, c, d, e, f, g, h, ..] = identity::random16().context("cannot read /dev/urandom")?;
    Ok(HostStart {
        identity,
        engines: config.engines.iter().map(|engine| engine.name.clone()).collect(),
        engine_repairs: repairer::repairs(config),
        look_at: config.look_at.iter().map(ToString::to_string).collect(),
        policy: config.policy(),
        alerts: Vec::new(),
        next_alert: 1,
        seed: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        wall: Clock.wall(),
    })
}

fn make_run_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| {
        let line = format!(
            "run_dir {} cannot be made: {error}; make it for this user, or set another one",
            dir.display()
        );
        Exit::of_io(&error, line).into()
    })
}

/// A second host-watchdog on the same sockets would fight for the children.
fn only_one(config: &HostConfig) -> Result<Lock> {
    Lock::of_folder(config.run_dir()).map_err(|error| {
        let line = match &error {
            LockError::Taken { .. } => {
                format!("another host-watchdog runs here: {error}; stop it, or set another run_dir")
            }
            LockError::Io { .. } => error.to_string(),
        };
        match error {
            LockError::Taken { .. } => Exit::new(Code::Taken, line),
            LockError::Io { source, .. } => Exit::of_io(&source, line),
        }
        .into()
    })
}

/// A full disk is waited out.
async fn save_later(folder: PathBuf, life: Life, conditions: Conditions) {
    identity::save_life_later(&folder, life, WALL_EVERY).await;
    conditions.report("state", &Ok(format!("{} is in order", folder.display())));
}

async fn wall(inputs: mpsc::Sender<HostInput>) {
    let mut every = tokio::time::interval(WALL_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if inputs.send(HostInput::Wall(Clock.wall())).await.is_err() {
            return;
        }
    }
}

async fn going_down(inputs: mpsc::Sender<HostInput>) {
    match shutdown::wait().await {
        Ok(()) => {
            tracing::info!("this machine is going down");
            // If the loop has ended, nobody needs to know any more.
            let _ = inputs.send(HostInput::HostShutdown).await;
        }
        Err(why) => tracing::info!("{why}"),
    }
}
