//! Runs a program in a container, for a probe.
//!
//! Contract: one deadline for all of it. What the engine refuses or cannot begin is no result of the program. One that does not end in
//! time is named, so that somebody who can may end it: an engine cannot. Its output is bounded. Decides nothing.

use crate::engine::Engine;
use crate::error::{cut, engine_error};
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::timeout;
use watchtree_core::container::io::{CheckRun, EngineError};

/// Deadline of a question about a run.
const INSPECT_WITHIN: Duration = Duration::from_secs(2);

/// What a run came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExecEnd {
    /// It ended.
    Ended(CheckRun),
    /// It was begun, and has not ended in time: its id.
    Hangs(String),
    /// It was not begun; in words.
    NotBegun(String),
}

/// Whether a run goes on, and the number of its process as the engine sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExecProcess {
    /// It goes on.
    pub runs: bool,
    /// Its number; 0 = none.
    pub pid: u32,
}

/// Runs that program with its arguments.
pub async fn exec(engine: &Engine, container: &str, argv: &[String], within: Duration) -> ExecEnd {
    let begun = Mutex::new(None);
    let ended = timeout(within, run(engine, container, argv, &begun)).await;
    let id = begun.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (ended, id) {
        (Ok(Ok(run)), _) => ExecEnd::Ended(run),
        (Ok(Err(error)), _) => ExecEnd::NotBegun(words(engine_error(engine.socket(), container, error))),
        (Err(_), Some(id)) => ExecEnd::Hangs(id),
        (Err(_), None) => ExecEnd::NotBegun(format!("the engine did not begin it within {} ms", within.as_millis())),
    }
}

async fn run(
    engine: &Engine,
    container: &str,
    argv: &[String],
    begun: &Mutex<Option<String>>,
) -> Result<CheckRun, Error> {
    let docker = || engine.handle(container).map(|(docker, _)| docker);
    let unreachable = |error: EngineError| Error::IOError {
        err: std::io::Error::other(words(error)),
    };
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(argv.to_vec()),
        ..CreateExecOptions::default()
    };
    let id = docker().map_err(unreachable)?.create_exec(container, options).await?.id;
    *begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.clone());
    let started = docker().map_err(unreachable)?;
    let mut text = String::new();
    if let StartExecResults::Attached { mut output, .. } = started.start_exec(&id, None::<StartExecOptions>).await? {
        while let Some(part) = output.next().await {
            // Read to its end, for that is when it has ended; kept as far as it is passed on.
            let part = part?;
            if text.len() < CheckRun::OUTPUT_BYTES_MAX {
                text.push_str(&String::from_utf8_lossy(&part.into_bytes()));
            }
        }
    }
    let inspected = docker().map_err(unreachable)?.inspect_exec(&id).await?;
    Ok(CheckRun {
        ended: id,
        // The engine says none where it could not begin it.
        exit_code: inspected.exit_code.unwrap_or(-1),
        output: cut(&text, CheckRun::OUTPUT_BYTES_MAX),
    })
}

/// Does that run go on? `None` where the engine does not say; what it does not know any more has ended.
pub async fn exec_process(engine: &Engine, id: &str) -> Option<ExecProcess> {
    let (docker, _) = engine.handle(id).ok()?;
    match timeout(INSPECT_WITHIN, docker.inspect_exec(id)).await.ok()? {
        Ok(it) => Some(ExecProcess {
            runs: it.running.unwrap_or(false),
            pid: it.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        }),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Some(ExecProcess { runs: false, pid: 0 }),
        Err(_) => None,
    }
}

fn words(error: EngineError) -> String {
    match error {
        EngineError::NotFound => "the container is gone".to_owned(),
        EngineError::Refused { status, message } => format!("the engine refused it ({status}): {message}"),
        EngineError::Deadline => "the engine did not answer in time".to_owned(),
        EngineError::Unreachable(why) | EngineError::BadAnswer(why) => why,
    }
}
