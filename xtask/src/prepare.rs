//! Makes sure that there is an engine, and reports what was done for that.
//!
//! Contract: an engine that answers is used as it is; otherwise one is started, or installed where that is allowed. It does
//! not know what the engine is for, and never stops one.

use crate::engine::Engine;
use crate::prerequisites::Recommended;
use crate::{interrupt, prerequisites, sh};
use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a freshly started engine may take to answer.
const ENGINE_START: Duration = Duration::from_secs(60);

/// What may be done to get an engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum May {
    /// Start one that is installed.
    Start,
    /// Also install one.
    Install,
}

/// An engine that answers: the one that is there, or the distribution's, installed and started.
///
/// # Errors
/// There is none and none can be had here: one line with what is missing.
pub(crate) fn engine(may: May, report: &dyn Fn(&str)) -> Result<Engine> {
    let engine = Engine::here()?;
    let why = match engine.version() {
        Ok(version) => {
            report(&format!("engine {version} at {}", engine.socket().display()));
            return Ok(engine);
        }
        Err(why) => why,
    };
    let socket = engine.socket().display();
    if is_forbidden(&why) {
        bail!("no rights on {socket}: join the group `docker` (and log in again), or run this as root");
    }
    let installed = prerequisites::on_path("dockerd");
    let can_start =
        rustix::process::geteuid().is_root() && (installed || may == May::Install && prerequisites::can_install());
    if std::env::var_os("DOCKER_HOST").is_some() || !can_start {
        bail!("missing: a container engine that answers at {socket} (Debian, as root: apt-get install docker.io)");
    }
    if !installed {
        report("no engine here: installing the distribution's (docker.io)");
        prerequisites::install(&["docker.io"], Recommended::With)?;
    }
    // The package may have started it.
    let mut started = if engine.version().is_err() {
        start(report)?
    } else {
        None
    };
    let (version, took) = interrupt::wait(
        "the engine",
        Instant::now(),
        ENGINE_START,
        Duration::from_millis(200),
        || {
            if let Some(daemon) = &mut started {
                daemon.check()?;
            }
            Ok(engine.version().ok())
        },
    )?;
    report(&format!("engine {version} answers after {:.1} s", took.as_secs_f64()));
    Ok(engine)
}

/// An engine that was started directly: nobody else tells of its end.
struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// An error, with the log's last line, once it has ended.
    fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait().context("the engine's process")? else {
            return Ok(());
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("(nothing)");
        bail!(
            "dockerd ended at once ({status}); {} ends with: {last}",
            self.log.display()
        )
    }
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    })
}

/// Starts the installed one: by the service manager, else directly.
fn start(report: &dyn Fn(&str)) -> Result<Option<Daemon>> {
    if Path::new("/run/systemd/system").exists() {
        report("starting the engine by the service manager: systemctl start docker");
        return sh::run(Command::new("systemctl").args(["start", "docker"])).map(|()| None);
    }
    let log = std::env::temp_dir().join("watchtree-dockerd.log");
    let file = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(prerequisites::find("dockerd").context("`dockerd` is not installed")?);
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0);
    let child = command.spawn().context("cannot start `dockerd`")?;
    report(&format!(
        "no service manager here: started dockerd directly, pid {}, log {}; it stays (end it with kill {})",
        child.id(),
        log.display(),
        child.id()
    ));
    Ok(Some(Daemon { child, log }))
}

#[cfg(test)]
mod tests {
    use super::Daemon;
    use std::process::{Command, Stdio};

    #[test]
    fn an_engine_that_ends_at_once_is_told_with_its_last_words() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let log = dir.path().join("log");
        std::fs::write(&log, "starting\nno iptables here\n\n").expect("written");
        let mut child = Command::new("false").spawn().expect("it starts");
        child.wait().expect("it ends");
        let error = Daemon {
            child,
            log: log.clone(),
        }
        .check()
        .expect_err("it has ended");
        assert!(error.to_string().ends_with("no iptables here"), "{error}");

        // It ends when its input does.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("it starts");
        let input = child.stdin.take();
        let mut daemon = Daemon { child, log };
        daemon.check().expect("it still runs");
        drop(input);
        daemon.child.wait().expect("it ends");
    }
}
