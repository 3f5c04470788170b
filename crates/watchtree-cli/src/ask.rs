//! `hold`, `release`, `retry`: sent to the manager (down the tree as a signed order), or with `--local` to the watchdog
//! on this machine. `forget` is the manager's own affair.

use crate::args::Cli;
use crate::fail::{Code, Fail, say_aside};
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
    let mut outcome = None;
    for client in target::all_concerned(cli, Some(subject))? {
        match client.ask(&ask).await {
            Ok(answer) => {
                let told = tell(cli, &ask, &answer);
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
                        say_aside(&format!("watchtree: not told: {}", fail.line));
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

fn is_unknown(fail: &Fail) -> bool {
    fail.code == Code::Unknown
}

/// Prints one answer; a refusal is a failure.
fn tell(cli: &Cli, ask: &Ask, answer: &AskAnswer) -> Result<Code, Fail> {
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
