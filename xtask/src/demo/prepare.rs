//! Makes sure that there is an engine, and says what it did for that.

use super::ui::{Tone, Ui};
use crate::engine::Engine;
use crate::{interrupt, needs, sh};
use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a freshly started engine may take to answer.
const ENGINE_START: Duration = Duration::from_secs(60);

/// An engine that answers: the one that is there, or the distribution's, installed and started.
///
/// # Errors
/// There is none and none can be had here: one line with what is missing.
pub(crate) fn engine(ui: &Ui) -> Result<Engine> {
    let engine = Engine::here()?;
    let why = match engine.version() {
        Ok(version) => {
            ui.say(
                Tone::Plain,
                &format!("engine {version} at {}", engine.socket().display()),
            );
            return Ok(engine);
        }
        Err(why) => why,
    };
    let socket = engine.socket().display();
    if is_forbidden(&why) {
        bail!("no rights on {socket}: join the group `docker` (and log in again), or run this as root");
    }
    if std::env::var_os("DOCKER_HOST").is_some() || !needs::can_install() {
        bail!("missing: a container engine that answers at {socket} (Debian, as root: apt-get install docker.io)");
    }
    if !needs::on_path("dockerd") {
        ui.say(Tone::Plain, "no engine here: installing the distribution's (docker.io)");
        needs::install(&["docker.io"])?;
    }
    // The package may have started it.
    if engine.version().is_err() {
        start(ui)?;
    }
    let (version, took) = interrupt::wait(
        "the engine",
        Instant::now(),
        ENGINE_START,
        Duration::from_millis(200),
        || Ok(engine.version().ok()),
    )?;
    ui.say(
        Tone::Plain,
        &format!("engine {version} answers after {:.1} s", took.as_secs_f64()),
    );
    Ok(engine)
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    })
}

fn start(ui: &Ui) -> Result<()> {
    if Path::new("/run/systemd/system").exists() {
        ui.say(
            Tone::Plain,
            "starting the engine by the service manager: systemctl start docker",
        );
        return sh::run(Command::new("systemctl").args(["start", "docker"]));
    }
    let log = std::env::temp_dir().join("watchtree-demo-dockerd.log");
    let file = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new("dockerd");
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0);
    let child = command.spawn().context("cannot start `dockerd`")?;
    ui.say(
        Tone::Plain,
        &format!(
            "no service manager here: started dockerd directly, pid {}, log {}; it stays (end it with kill {})",
            child.id(),
            log.display(),
            child.id()
        ),
    );
    Ok(())
}
