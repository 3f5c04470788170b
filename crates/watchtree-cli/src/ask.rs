//! `hold`, `release`, `retry`: sent to the manager (down the tree as a signed order), or with `--local` to the watchdogs
//! of this machine that are concerned. `forget` is sent to the manager only.
//!
//! Contract: an order by `--local` for another host is refused here and never sent. Does not know who may order what: the
//! daemon that is asked decides.

use crate::args::Cli;
use crate::fail::{Code, Fail, print_error};
use crate::render::{self, Style, clean};
use crate::target;
use watchtree_api::{Ask, AskAnswer, AskVerb};

pub(crate) async fn hold(cli: &Cli, subject: &str, lasts_ms: u64) -> Result<Code, Fail> {
    ask(cli, AskVerb::Hold, subject, Some(lasts_ms)).await
}

pub(crate) async fn release(cli: &Cli, subject: &str) -> Result<Code, Fail> {
    ask(cli, AskVerb::Release, subject, None).await
}

pub(crate) async fn retry(cli: &Cli, subject: &str) -> Result<Code, Fail> {
    ask(cli, AskVerb::Retry, subject, None).await
}

pub(crate) async fn forget(cli: &Cli, host: &str) -> Result<Code, Fail> {
    if cli.local {
        let line = "a host is forgotten by its manager, not by the watchdogs of this machine";
        return Err(Fail::new(Code::BadInput, line).hint("the same command without --local, on the manager's machine"));
    }
    ask(cli, AskVerb::Forget, host, None).await
}

async fn ask(cli: &Cli, verb: AskVerb, subject: &str, lasts_ms: Option<u64>) -> Result<Code, Fail> {
    let ask = Ask {
        verb,
        subject: subject.to_string(),
        lasts_ms,
        asked_by: asked_by(),
        ..Ask::default()
    };
    ask.check()
        .map_err(|error| Fail::new(Code::BadInput, error.to_string()))?;
    if cli.local {
        refuse_other_host(cli, subject).await?;
    }
    let mut outcome = None;
    for client in target::responsible(cli, Some(subject))? {
        match client.ask(&ask).await {
            Ok(answer) => {
                let told = report(cli, &ask, &answer);
                // One who did it outweighs one who knows nothing of it, but not one who refused it.
                outcome = match (outcome, told) {
                    (Some(Err(fail)), Ok(_)) if !is_unknown(&fail) => Some(Err(fail)),
                    (Some(Ok(code)), Err(fail)) if is_unknown(&fail) => Some(Ok(code)),
                    (_, told) => Some(told),
                };
            }
            Err(error) => {
                let fail = target::with_hints(cli, error.into());
                outcome = match outcome {
                    Some(Ok(code)) if is_unknown(&fail) => {
                        print_error(&format!("watchtree: not reached: {}", fail.line));
                        Some(Ok(code))
                    }
                    Some(Err(first)) => Some(Err(first)),
                    _ => Some(Err(fail)),
                };
            }
        }
    }
    outcome.unwrap_or_else(|| {
        let line = format!("no watchdog of this machine stands over {subject}");
        Err(Fail::new(Code::Unknown, line).hint("watchtree --local tree"))
    })
}

/// An order by `--local` is for this machine only: a watchdog knows nothing of another host's subjects.
async fn refuse_other_host(cli: &Cli, subject: &str) -> Result<(), Fail> {
    let hosts = target::local_hosts(cli, subject).await?;
    if hosts.is_empty() || hosts.iter().any(|host| host == target::host_of(subject)) {
        return Ok(());
    }
    let hosts = hosts.join(", ");
    let line = format!("{subject} is on another host: --local orders the watchdogs of this one, {hosts}");
    Err(Fail::new(Code::BadInput, line).hint("the same command without --local, or on that host"))
}

fn is_unknown(fail: &Fail) -> bool {
    fail.code == Code::Unknown
}

/// Prints one answer; a refusal is a failure.
fn report(cli: &Cli, ask: &Ask, answer: &AskAnswer) -> Result<Code, Fail> {
    if cli.json {
        render::print_json(answer)?;
    } else if answer.done {
        // The manager's own words name each watchdog already.
        let by = if cli.local {
            format!("{}: ", answer.by)
        } else {
            String::new()
        };
        let (done, verb) = (Style::of(cli).done(), ask.verb.as_str());
        render::print(&format!(
            "{done} {verb} {}: {by}{}\n",
            ask.subject,
            clean(&answer.detail)
        ))?;
    }
    let refused = |code| {
        Err(Fail::new(
            code,
            format!("{} refused: {}", answer.by, clean(&answer.detail)),
        ))
    };
    match answer.refusal.as_deref() {
        None if answer.done => Ok(Code::Ok),
        Some("no_answer") => Err(Fail::new(
            Code::Timeout,
            format!("no answer of {}: {}", answer.by, clean(&answer.detail)),
        )),
        Some("unknown_subject") => refused(Code::Unknown),
        _ => refused(Code::Refused),
    }
}

/// The user's name, as a claim: the daemon puts the user id that the kernel vouches for in front.
fn asked_by() -> String {
    std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use tokio::task::JoinHandle;

    /// A watchdog of host `h1` that carries out every order; the first line of each request is recorded.
    fn watchdog(socket: &Path, requests: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
        let listener = UnixListener::bind(socket).expect("a free path");
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("it listens");
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.expect("a request");
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                requests
                    .lock()
                    .expect("no panic")
                    .push(request.lines().next().unwrap_or_default().to_owned());
                let body = if request.starts_with("GET /api/v1/tree") {
                    r#"{"apiVersion":"watchtree/v1","node":"h1","tree":[{"subject":"h1"}]}"#
                } else {
                    r#"{"apiVersion":"watchtree/v1","done":true,"by":"h1"}"#
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.expect("it is read");
            }
        })
    }

    #[tokio::test]
    async fn a_local_order_for_another_host_is_refused_before_any_watchdog_hears_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let watchdog = watchdog(&folder.path().join("host.sock"), Arc::clone(&requests));
        let run_dir = folder.path().to_str().expect("a plain path");
        let cli =
            Cli::try_parse_from(["watchtree", "--local", "--run-dir", run_dir, "status"]).expect("as it is typed");
        for (verb, subject, lasts_ms) in [
            (AskVerb::Hold, "h2", Some(90_000)),
            (AskVerb::Release, "h2/docker/web", None),
            (AskVerb::Retry, "h1x/docker", None),
        ] {
            let fail = ask(&cli, verb, subject, lasts_ms)
                .await
                .expect_err("it is of another host");
            assert_eq!(fail.code, Code::BadInput, "{fail:?}");
            let line = format!("{subject} is on another host: --local orders the watchdogs of this one, h1");
            assert_eq!(fail.line, line);
            assert_eq!(fail.hints, ["the same command without --local, or on that host"]);
        }
        let posts = |requests: &Mutex<Vec<String>>| {
            let requests = requests.lock().expect("no panic");
            requests.iter().filter(|line| line.starts_with("POST")).count()
        };
        assert_eq!(posts(&requests), 0, "{requests:?}");
        let done = ask(&cli, AskVerb::Retry, "h1", None).await;
        assert_eq!(done.expect("it is of this host"), Code::Ok);
        assert_eq!(posts(&requests), 1, "{requests:?}");
        watchdog.abort();
    }
}
