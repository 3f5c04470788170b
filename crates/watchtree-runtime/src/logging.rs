//! Sets up the log of a daemon: coloured text on a terminal, plain text elsewhere, JSON if asked for.
//!
//! Under systemd the journal stamps the lines, so the plain form carries no time there.

use crate::exit::Exit;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The variable that overrules the configured level: `debug`, or `info,watchtree_link=trace`.
pub const LEVEL_ENV: &str = "WATCHTREE_LOG";

/// How lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// Text; colour only on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Begins to log to stderr. `level` is used where `WATCHTREE_LOG` is not set.
///
/// # Errors
/// [`Exit`] code 2 where the level cannot be read.
pub fn init(level: &str, format: LogFormat) -> Result<(), Exit> {
    let (text, place) = match std::env::var(LEVEL_ENV) {
        Ok(text) if !text.is_empty() => (text, LEVEL_ENV),
        _ => (level.to_string(), "the log level of the configuration"),
    };
    let filter = EnvFilter::try_new(&text).map_err(|_| {
        Exit::bad_input(format!(
            "{place}: {text:?} is no log level; use error, warn, info, debug or trace"
        ))
    })?;
    let terminal = std::io::stderr().is_terminal();
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none();
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Where nobody reads stderr any more, the complaint about that would go there too, and panic.
        .log_internal_errors(false);
    // A second call in one process (tests) keeps the first subscriber: that is no error of the caller's.
    let _ = match (format, journal && !terminal) {
        (LogFormat::Json, _) => base.json().flatten_event(true).try_init(),
        (LogFormat::Text, true) => base
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .compact()
            .try_init(),
        (LogFormat::Text, false) => base.with_ansi(colour).with_target(false).compact().try_init(),
    };
    Ok(())
}
