//! One run of manager-watchdog: connects the parts, drives the machine to its end, and shuts down in order.

use crate::api::ManagerApi;
use crate::effect_executor::{EffectExecutor, Waiting};
use crate::hosts;
use crate::probe_targets::ProbeTargets;
use crate::setup::Plan;
use crate::webhook::{self, Webhooks};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use watchtree_core::manager::ManagerAgent;
use watchtree_core::manager::io::{ManagerInput, ManagerStart};
use watchtree_os::identity::{Life, save_life_later};
use watchtree_runtime::{Clock, Conditions, Drive, EventLog, HttpServer, Pulse, Signals, StateReader, drive, view};
use watchtree_store::sqlite::{Found, ManagerStore};

/// Inputs that wait for the machine; when it is full, reading from the link pauses.
const INBOX_MAX: usize = 4096;
/// How often the machine is told the wall clock.
const WALL_EVERY: Duration = Duration::from_secs(10);
/// Time for the end: the machine, then the webhooks.
const STOP_WITHIN: Duration = Duration::from_secs(3);

pub(crate) async fn run(plan: Plan) -> anyhow::Result<()> {
    let signals = Signals::catch()?;
    let conditions = Conditions::new();
    let (inputs, inbox) = mpsc::channel(INBOX_MAX);
    if let Some(trouble) = &plan.life.degraded {
        conditions.report("identity", &Err(trouble.clone()));
        tokio::spawn(save_later(
            plan.state_dir.clone(),
            plan.life.clone(),
            conditions.clone(),
        ));
    }
    // What a person must mend comes first: sockets and ports.
    let http = HttpServer::bind(Some(&plan.socket), plan.socket_group.as_deref(), plan.http_listen)
        .map_err(watchtree_runtime::Exit::from)?;
    let probe_targets = ProbeTargets::default();
    let (link, reading) = hosts::start(
        plan.endpoints.clone(),
        plan.curve.clone(),
        plan.allowed_dir.clone(),
        probe_targets.clone(),
        inputs.clone(),
        conditions.clone(),
    )?;
    let (store, mut found) = open_store(&plan, &inputs);
    let name = plan.identity.name.to_string();
    let events = EventLog::new(&name, format!("{}", plan.identity.agent_epoch.0));
    for decision in &found.decisions {
        events.push(view::decision_event(decision));
    }

    let wall_secs = Clock.wall().0 / 1000;
    // At least the seconds since 1970: a lost database does not make this manager's orders stale for ever.
    let term = wall_secs.max(found.term + 1);
    store.put_term(term);
    let untold = webhook::Start {
        manager: name.clone(),
        term,
        outbox: store.outbox(),
        notifications: std::mem::take(&mut found.notifications),
        conditions: conditions.clone(),
    };
    let webhooks = Webhooks::start(plan.webhooks.clone(), untold)?;
    let mut machine = ManagerAgent::new(Clock.now(), start(&plan, found, term));
    let (state, reads) = StateReader::pair();
    let pulse = Pulse::new();
    let waiting = Waiting::default();
    let api = ManagerApi {
        state,
        pulse: pulse.clone(),
        conditions: conditions.clone(),
        events: events.clone(),
        inputs: inputs.clone(),
        waiting: waiting.clone(),
        link: link.clone(),
        past: store.reader(),
        order_lives: plan.policy.order_lives,
        name: name.clone(),
        version: plan.identity.version.clone(),
    };
    if let Some(address) = http.loopback_addr() {
        tracing::info!(%address, "reads of the api on loopback");
    }
    let serving = http.serve(Arc::new(api));
    tokio::spawn(report_wall(inputs.clone()));
    tracing::info!(name, term, epoch = plan.identity.agent_epoch.0, listen = ?link.bound(),
        socket = %plan.socket.display(), "manager-watchdog {} watches", plan.identity.version);
    let mut executor = EffectExecutor {
        link: link.clone(),
        probe_targets,
        order_keys: plan.order_keys,
        store,
        webhooks,
        events,
        conditions,
        waiting,
        inputs,
    };
    let parts = Drive {
        inbox,
        reads,
        signals,
        pulse,
        stalled: |gap| Some(ManagerInput::Stalled { gap }),
        stop: || ManagerInput::Stop,
        stop_within: STOP_WITHIN,
    };
    let ended = tokio::select! {
        ended = drive(&mut machine, &mut executor, parts) => Ok(ended),
        // An error: it panicked, and that is an end too.
        _ = reading => Err(anyhow::anyhow!("the link to the hosts ended by itself: ending as well; they connect again to the next start")),
    };
    tracing::info!(?ended, "ends");
    serving.shut_down().await;
    link.stop(Duration::from_millis(500));
    let EffectExecutor { store, webhooks, .. } = executor;
    // Both may wait for a disk or a network; nothing else runs any more.
    tokio::task::spawn_blocking(move || {
        webhooks.stop(STOP_WITHIN);
        drop(store);
    })
    .await?;
    ended.map(drop)
}

/// A full disk is waited out.
async fn save_later(folder: PathBuf, life: Life, conditions: Conditions) {
    save_life_later(&folder, life, WALL_EVERY).await;
    conditions.report("identity", &Ok(format!("{} is in order", folder.display())));
}

fn open_store(plan: &Plan, inputs: &mpsc::Sender<ManagerInput>) -> (ManagerStore, Found) {
    let teller = inputs.clone();
    let on_health = Box::new(move |state: Result<String, String>| {
        // The store's thread must not wait for the machine; a full inbox loses one line of news.
        let _ = teller.try_send(ManagerInput::StoreHealth { state: state.map(drop) });
    });
    let late = inputs.clone();
    let on_found = Box::new(move |found: Found| {
        let (hosts, incidents) = (found.hosts, found.incidents);
        // The machine never waits for the store, so the store may wait for it. One that is gone wants to know nothing.
        let _ = late.blocking_send(ManagerInput::Remembered { hosts, incidents });
    });
    ManagerStore::open(&plan.database, Clock.wall().0 / 1000, on_health, on_found)
}

fn start(plan: &Plan, found: Found, term: u64) -> ManagerStart {
    if 0 < found.unreadable {
        tracing::warn!(
            rows = found.unreadable,
            "rows of the database cannot be read by this version and are skipped"
        );
    }
    ManagerStart {
        identity: plan.identity.clone(),
        term,
        hosts: found.hosts,
        incidents: found.incidents,
        decisions: found.decisions,
        next_incident: found.next_incident,
        policy: plan.policy.clone(),
        seed: plan.seed,
        wall: Clock.wall(),
    }
}

async fn report_wall(inputs: mpsc::Sender<ManagerInput>) {
    let mut every = tokio::time::interval(WALL_EVERY);
    loop {
        every.tick().await;
        if inputs.send(ManagerInput::Wall(Clock.wall())).await.is_err() {
            return;
        }
    }
}
