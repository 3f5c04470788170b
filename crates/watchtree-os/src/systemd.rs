//! Units of systemd, by its command `systemctl`: how one stands, and to signal and start it.
//!
//! Contract: every command has a deadline, after which it is killed. Needs no bus. Does not know what a unit is for.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Longest that one command may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(5);
/// Most of a command's error text that is passed on, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// True on a machine that is run by systemd.
pub fn is_there() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// How a unit stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked` …
    pub load: String,
    /// `active`, `activating`, `deactivating`, `inactive`, `failed` …
    pub active: String,
    /// `running`, `auto-restart`, `dead` …
    pub sub: String,
    /// `success`, `start-limit-hit`, `signal` …
    pub result: String,
    /// Its main process; 0 = none.
    pub main_pid: u32,
}

impl UnitState {
    /// From `systemctl show`.
    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim().to_owned()
        };
        Self {
            load: value("LoadState"),
            active: value("ActiveState"),
            sub: value("SubState"),
            result: value("Result"),
            main_pid: value("MainPID").parse().unwrap_or(0),
        }
    }
}

/// How a unit stands now; one that there is not is `not-found`.
///
/// # Errors
/// `systemctl` cannot be run, fails, or does not answer in time.
pub async fn state(unit: &str) -> io::Result<UnitState> {
    let properties = "--property=LoadState,ActiveState,SubState,Result,MainPID";
    let text = run(&["show", properties, "--", unit]).await?;
    Ok(UnitState::parse(&text))
}

/// Sends a signal (`USR1`, `KILL`) to the main process of a unit.
///
/// # Errors
/// As [`state`].
pub async fn signal(unit: &str, signal: &str) -> io::Result<()> {
    let signal = format!("--signal={signal}");
    run(&["kill", "--kill-who=main", &signal, "--", unit]).await.map(drop)
}

/// Starts a unit, also one that reached its start limit or waits to be started again. Does not wait until it is ready.
///
/// # Errors
/// As [`state`].
pub async fn start(unit: &str, and_its_socket: &str) -> io::Result<()> {
    // Those that have not failed are no error.
    run(&["reset-failed", "--", unit, and_its_socket])
        .await
        .map(drop)
        .or_else(|error| {
            let has_none = error.kind() != io::ErrorKind::TimedOut;
            if has_none { Ok(()) } else { Err(error) }
        })?;
    run(&["start", "--no-block", "--", unit]).await.map(drop)
}

async fn run(arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new("systemctl");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = match timeout(COMMAND_WITHIN, command.output()).await {
        Ok(output) => output?,
        Err(_) => {
            let what = arguments.first().copied().unwrap_or_default();
            let why = format!("systemctl {what} did not end within {} s", COMMAND_WITHIN.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    Err(io::Error::other(format!("systemctl: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_properties_are_read_in_any_order() {
        let text = "Result=start-limit-hit\nMainPID=0\nLoadState=loaded\nActiveState=failed\nSubState=failed\n";
        let state = UnitState::parse(text);
        assert_eq!(
            (state.active.as_str(), state.result.as_str(), state.main_pid),
            ("failed", "start-limit-hit", 0)
        );
        assert_eq!(UnitState::parse(""), UnitState::default());
    }
}
