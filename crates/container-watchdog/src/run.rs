//! One run of container-watchdog: connects the parts, drives the machine to its end, and shuts down in order.
//!
//! ```text
//!  engine ─ executor ─┐                     ┌─▶ journal (at once)
//!  parent ─ link     ─┼─▶ inbox ─▶ machine ─┼─▶ engine executor, link (in tasks)
//!  status ─ orders   ─┘                     └─▶ log, events
//! ```
//!
//! Contract: nothing that is only missing (no engine, no parent, a full disk) ends the run: it reports a condition, goes on,
//! and recovers. What only a person can mend ends it (no rights on the engine's socket, another healer on the engine). Does not
//! know why the machine wants an effect.

use crate::capture_files::CaptureFiles;
use crate::captures::ContainerCapturer;
use crate::effect_executor::{EffectExecutor, Waiting};
use crate::engine_claim::{self, EngineHandle, claim};
use crate::fault;
use crate::journal_keeper::JournalKeeper;
use crate::prober::ContainerProber;
use crate::processes::ProcessHolder;
use crate::setup::Plan;
use crate::status::Status;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use watchtree_core::container::ContainerAgent;
use watchtree_core::container::io::ContainerInput;
use watchtree_core::container::settings::HealMode;
use watchtree_docker::Engine;
use watchtree_os::identity::Life;
use watchtree_os::pressure::PressureMeter;
use watchtree_runtime::{
    Clock, Code, Conditions, Drive, Ended, EventLog, Exit, HttpServer, Pulse, Signals, StateReader, drive,
};
use watchtree_store::journal::{Journal, JournalError};

/// Inputs that may wait for the machine. Events have a queue of their own before this one.
const INBOX_INPUTS_MAX: usize = 4096;
/// A disk that was full at the start is tried again this often.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// After SIGTERM the loop ends at the latest after this, calls under way or not: the journal knows them.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// Time for the last frames and the journal's last sync.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// Runs until told to stop.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<()> {
    let signals = Signals::catch()?;
    let conditions = Conditions::new();
    let identity = plan.settings.identity.clone();
    let observe_only = plan.settings.heal == HealMode::Observe;
    let engine = Engine::new(&plan.engine_socket)
        .with_labels(plan.select.clone())
        .with_label_keys(plan.label_keys.clone());
    let claim = claim(&engine, observe_only).await?;
    let http = HttpServer::bind(Some(&plan.status_socket), plan.status_group.as_deref(), None).map_err(Exit::from)?;
    let (journal, opened) = Journal::open(&plan.state_folder).map_err(exit_of_journal)?;
    opened.notes.iter().for_each(|note| tracing::warn!("{note}"));
    if let Some(why) = &plan.life.degraded {
        conditions.report("identity", &Err(why.clone()));
        tokio::spawn(save_later(
            plan.state_folder.clone(),
            plan.life.clone(),
            conditions.clone(),
        ));
    }

    let (inputs, inbox) = inbox();
    let why_not = claim.as_ref().err().cloned().unwrap_or_default();
    let handle: EngineHandle = Arc::new(Mutex::new(Err(why_not)));
    match &claim {
        Ok(_) => engine_claim::set_engine(&handle, &engine, &inputs),
        Err(_) => engine_claim::spawn_watch(&handle, &engine, &inputs, observe_only),
    }
    let link = crate::parent::start(
        &plan.parent_socket,
        plan.order_keys_folder.clone(),
        inputs.clone(),
        conditions.clone(),
    )?;
    spawn_shutdown_watch(inputs.clone());

    let events = EventLog::new(
        identity.name.as_str(),
        format!("{}+{}", identity.boot_id, identity.agent_epoch.0),
    );
    let (pulse, waiting) = (Pulse::new(), Waiting::default());
    let (state, reads) = StateReader::pair();
    let journal = JournalKeeper::start(journal, inputs.clone());
    let processes = ProcessHolder::new(inputs.clone());
    let mut executor = EffectExecutor {
        prober: ContainerProber::start(processes.clone(), Arc::clone(&handle), inputs.clone())?,
        capturer: ContainerCapturer::new(
            CaptureFiles::new(&plan.state_folder),
            Arc::clone(&handle),
            inputs.clone(),
        ),
        engine: handle,
        processes,
        journal: journal.clone(),
        link: link.clone(),
        inputs: inputs.clone(),
        conditions: conditions.clone(),
        events: events.clone(),
        waiting: Arc::clone(&waiting),
        pulse: pulse.clone(),
        pressure: PressureMeter::default(),
    };
    tracing::info!(node = %identity.name, version = %identity.version, observe_only, "container-watchdog runs");
    let mut agent = ContainerAgent::new(plan.settings, opened.memory, Clock.now());
    let serving = http.serve(Arc::new(Status {
        identity,
        began: Clock.now(),
        observe_only,
        state,
        inputs,
        waiting,
        conditions,
        events,
        pulse: pulse.clone(),
    }));
    let parts = Drive {
        inbox,
        reads,
        signals,
        pulse,
        stalled: |gap| Some(ContainerInput::Stalled { gap }),
        stop: || ContainerInput::Stop,
        stop_within: STOP_WITHIN,
    };
    let ended = drive(&mut agent, &mut executor, parts).await;
    link.stop(LEAVE_WITHIN);
    serving.shut_down().await;
    if !journal.sync(LEAVE_WITHIN) {
        tracing::warn!("the journal's last records may not be on the disk yet");
    }
    drop(claim);
    tracing::info!(?ended, "container-watchdog ends");
    match ended {
        Ended::InOrder | Ended::Cut => Ok(()),
        Ended::InboxClosed => anyhow::bail!("everything that feeds the working loop has ended"),
    }
}

/// A full disk is waited out.
async fn save_later(folder: PathBuf, life: Life, conditions: Conditions) {
    watchtree_os::identity::save_life_later(&folder, life, SAVE_EVERY).await;
    conditions.report("identity", &Ok(format!("{} is in order", folder.display())));
}

/// Answers pass a fault point in test builds; elsewhere they go straight in.
fn inbox() -> (mpsc::Sender<ContainerInput>, mpsc::Receiver<ContainerInput>) {
    let (inputs, inbox) = mpsc::channel(INBOX_INPUTS_MAX);
    if !cfg!(feature = "fault-points") {
        return (inputs, inbox);
    }
    let (outer, mut passing) = mpsc::channel(INBOX_INPUTS_MAX);
    tokio::spawn(async move {
        while let Some(input) = passing.recv().await {
            fault::delivered(&input);
            if inputs.send(input).await.is_err() {
                return;
            }
        }
    });
    (outer, inbox)
}

fn spawn_shutdown_watch(inputs: mpsc::Sender<ContainerInput>) {
    tokio::spawn(async move {
        match watchtree_os::shutdown::wait().await {
            Ok(()) => {
                tracing::warn!("the machine is shutting down: no more repairs");
                // An error means that the daemon has ended.
                let _ = inputs.send(ContainerInput::HostShutdown).await;
            }
            Err(why) => tracing::info!("{why}"),
        }
    });
}

fn exit_of_journal(error: JournalError) -> Exit {
    let code = match error {
        JournalError::Taken(_) => Code::Taken,
        JournalError::NoRights(_) => Code::NoRights,
    };
    Exit::new(code, error.to_string())
}
