//! `hold`, `release`, `retry`: sent to the manager (down the tree as a signed order), or with `--local` to the watchdog
//! on this machine.

use crate::args::Cli;
use crate::fail::{Code, Fail};
use crate::render::{self, Style};
use crate::target;
use watchtree_api::{Ask, AskVerb};

pub(crate) async fn hold(cli: &Cli, subject: &str, lasts_ms: u64) -> Result<Code, Fail> {
    ask(cli, AskVerb::Hold, subject, Some(lasts_ms)).await
}

pub(crate) async fn release(cli: &Cli, subject: &str) -> Result<Code, Fail> {
    ask(cli, AskVerb::Release, subject, None).await
}

pub(crate) async fn retry(cli: &Cli, subject: &str) -> Result<Code, Fail> {
    ask(cli, AskVerb::Retry, subject, None).await
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
    let answer = target::first(cli, target::clients(cli, Some(subject))?, |client| {
        let ask = ask.clone();
        async move { client.ask(&ask).await }
    })
    .await?;
    if cli.json {
        render::print_json(&answer)?;
    } else if answer.done {
        let style = Style::of(cli);
        render::print(&format!(
            "{} {} {subject}: {}\n",
            style.done(),
            verb.as_str(),
            answer.detail
        ))?;
    }
    match answer.refusal.as_deref() {
        None if answer.done => Ok(Code::Ok),
        Some("no_answer") => Err(Fail::new(
            Code::Timeout,
            format!("no answer of {}: {}", answer.by, answer.detail),
        )),
        Some("unknown_subject") => {
            Err(Fail::new(Code::Unknown, format!("{} refused: {}", answer.by, answer.detail)).hint("watchtree tree"))
        }
        _ => Err(Fail::new(
            Code::Refused,
            format!("{} refused: {}", answer.by, answer.detail),
        )),
    }
}

/// The user's name, as a claim: the daemon puts the user id that the kernel vouches for in front.
fn asked_by() -> String {
    std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_default()
}
