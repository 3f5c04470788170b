//! Whether this process may act on its engine: the engine is there, it is one that can be healed, and no other healer acts on it.
//!
//! Contract: what mends itself, or without this process (no engine yet, a call that a socket filter refuses), is said in words and
//! tried again; what needs another start of this process ends it.

use crate::lock::EngineLock;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use watchtree_core::container::io::{ContainerInput, EngineError};
use watchtree_docker::{Engine, EngineExecutor, SocketTrouble};
use watchtree_runtime::{Code, Exit};

/// How often an engine that may not be acted on yet is tried again.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// The engine, once this process may act on it; until then the reason why not.
pub(crate) type EngineHandle = Arc<Mutex<Result<EngineExecutor, String>>>;

/// The right to act on the engine; an observer needs no lock. The inner error is why not yet.
pub(crate) type Claim = Result<Option<EngineLock>, String>;

/// Tries once.
pub(crate) async fn claim(engine: &Engine, observe_only: bool) -> Result<Claim, Exit> {
    match engine.check_socket().await {
        Err(trouble @ SocketTrouble::NoRights(_)) => return Err(Exit::new(Code::NoRights, trouble.to_string())),
        Err(trouble) => return Ok(Err(trouble.to_string())),
        Ok(()) => {}
    }
    // Podman tells no `stop`: every stop of a person would be taken for a crash and undone.
    match engine.is_podman().await {
        Ok(true) if !observe_only => {
            let line = format!(
                "{} is Podman, whose events do not tell a stop from a crash, so it is not healed: set heal = \"observe\" for \
                 this engine",
                engine.socket().display()
            );
            return Err(Exit::new(Code::BadInput, line));
        }
        Ok(_) => {}
        Err(error) => return Ok(Err(refusal("GET /version", &error))),
    }
    match engine.info().await {
        Ok(info) if !observe_only => EngineLock::take(&info).map(|lock| Ok(Some(lock))),
        Err(error) if !observe_only => Ok(Err(refusal("GET /info", &error))),
        Ok(_) | Err(_) => Ok(Ok(None)),
    }
}

fn refusal(call: &str, error: &EngineError) -> String {
    let why = match error {
        EngineError::NotFound => "404".to_owned(),
        EngineError::Refused { status, message } => format!("{status}: {message}"),
        EngineError::Deadline => return format!("the engine does not answer {call} in time"),
        EngineError::Unreachable(why) | EngineError::BadAnswer(why) => return why.clone(),
    };
    format!(
        "the engine refuses {call} ({why}), and without it nobody knows whether another healer acts on it: allow that call, \
         where a filter stands before the socket"
    )
}

/// The engine may be acted on from now on.
pub(crate) fn set_engine(handle: &EngineHandle, engine: &Engine, inputs: &mpsc::Sender<ContainerInput>) {
    let executor = EngineExecutor::new(engine.clone(), inputs.clone());
    *handle.lock().unwrap_or_else(PoisonError::into_inner) = Ok(executor);
}

/// Tries until it may be acted on. Whoever asks for something meanwhile is told why it may not.
pub(crate) fn spawn_watch(
    handle: &EngineHandle,
    engine: &Engine,
    inputs: &mpsc::Sender<ContainerInput>,
    observe_only: bool,
) {
    let (handle, engine, inputs) = (Arc::clone(handle), engine.clone(), inputs.clone());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TRY_EVERY).await;
            match claim(&engine, observe_only).await {
                Ok(Ok(lock)) => {
                    // Held to the end of the process.
                    std::mem::forget(lock);
                    return set_engine(&handle, &engine, &inputs);
                }
                Ok(Err(why)) => *handle.lock().unwrap_or_else(PoisonError::into_inner) = Err(why),
                Err(exit) => end(&exit),
            }
        }
    });
}

/// Nothing was done yet that would need an orderly end: the engine was never touched.
fn end(exit: &Exit) -> ! {
    let _ = exit.report("container-watchdog");
    std::process::exit(exit.code as i32)
}

#[cfg(test)]
mod tests {
    //! Filters before a socket.
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// Answers `/version`, and the other calls with that status.
    async fn filter(listener: UnixListener, status: &'static str) {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut request).await {
                    let is_version = String::from_utf8_lossy(&request[..count]).contains("/version");
                    let (status, body) = match is_version {
                        true => ("200 OK", r#"{"ApiVersion":"1.45","Components":[]}"#),
                        false => (status, r#"{"message":"filtered"}"#),
                    };
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    }

    #[tokio::test]
    async fn a_refused_info_is_said_and_stops_no_observer() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("docker.sock");
        let engine = Engine::new(&socket);
        let absent = claim(&engine, false).await.expect("no reason to end");
        assert!(absent.is_err(), "there is no engine");
        tokio::spawn(filter(UnixListener::bind(&socket).expect("a socket"), "403 Forbidden"));
        let refused = claim(&engine, false).await.expect("no reason to end");
        let why = refused.expect_err("it may not be acted on");
        assert!(why.starts_with("the engine refuses GET /info (403: "), "{why}");
        assert!(
            claim(&engine, true).await.expect("no reason to end").is_ok(),
            "an observer needs no lock"
        );
    }
}
