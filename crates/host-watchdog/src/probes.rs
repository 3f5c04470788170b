//! Probes of the engines, each in a task of its own and with a deadline. Does not judge an answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use watchtree_config::HostConfig;
use watchtree_core::container::io::EngineError;
use watchtree_core::host::io::{EngineAnswer, EngineProbe, HostInput, ProbeAnswer};
use watchtree_docker::Engine;

/// The engines by name.
#[derive(Debug)]
pub(crate) struct Prober {
    engines: BTreeMap<String, Engine>,
    inputs: mpsc::Sender<HostInput>,
}

impl Prober {
    pub(crate) fn new(config: &HostConfig, inputs: mpsc::Sender<HostInput>) -> Self {
        let engines = config
            .engines
            .iter()
            .map(|engine| (engine.name.clone(), Engine::new(engine.socket())));
        Self {
            engines: engines.collect(),
            inputs,
        }
    }

    /// Begins a look; its answer, or its deadline, goes to the inbox.
    pub(crate) fn begin(&self, engine: String, probe: EngineProbe, within: Duration) {
        let target = self.engines.get(&engine).cloned();
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            let result = match target {
                Some(target) => tokio::time::timeout(within, run(&target, probe))
                    .await
                    .unwrap_or(Err(EngineError::Deadline)),
                None => Err(EngineError::Unreachable(format!("no engine {engine} is configured"))),
            };
            let took = began.elapsed();
            let answer = EngineAnswer::Probed { probe, took, result };
            // If the loop has ended, nobody needs to know any more.
            let _ = inputs.send(HostInput::Engine { engine, answer }).await;
        });
    }
}

async fn run(engine: &Engine, probe: EngineProbe) -> Result<ProbeAnswer, EngineError> {
    Ok(match probe {
        EngineProbe::Ping => engine.ping().await.map(|()| "answers".into())?,
        EngineProbe::List => match engine.list_one().await? {
            Some(_) => "one container".into(),
            None => "no container".into(),
        },
        EngineProbe::Info => {
            let info = engine.info().await?;
            let live_restore = if info.live_restore { "on" } else { "off" };
            let (version, containers) = (info.version, info.containers);
            ProbeAnswer {
                words: format!("{version}, {containers} containers, live-restore {live_restore}"),
                live_restore: Some(info.live_restore),
            }
        }
    })
}
