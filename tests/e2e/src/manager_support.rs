//! A real manager and one host under it, on an engine that is not there or on one that the test names.

use crate::programs::{make_keys, program};
use anyhow::{Result, bail};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub const WITHIN: Duration = Duration::from_secs(20);

/// A process that does not outlive the test. Dropped, it is asked to end first: a host takes its container-watchdog along.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            if let Ok(process) = watchtree_os::Process::open(self.0.id()) {
                let _ = process.signal(watchtree_os::Signal::TERM);
            }
            let began = Instant::now();
            while matches!(self.0.try_wait(), Ok(None)) && began.elapsed() < WITHIN {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks until it finds something; what the manager logged goes with the failure.
pub fn wait_for<T>(what: &str, at: &Path, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let began = Instant::now();
    while began.elapsed() < WITHIN {
        if let Some(found) = look() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = std::fs::read_to_string(at.join("manager.log")).unwrap_or_default();
    bail!("{what}: not within {WITHIN:?}\n{log}")
}

/// A manager with that webhook, and a host without an engine under it: that is an incident.
pub fn tree(at: &Path, url: &str, known: bool) -> Result<(Running, Running)> {
    let engine = format!("socket = \"{}/no-engine.sock\"\n", at.display());
    tree_on(at, url, known, &engine)
}

/// As [`tree`], with these settings of its engine (and what follows them in the file).
pub fn tree_on(at: &Path, url: &str, known: bool, engine: &str) -> Result<(Running, Running)> {
    let link = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let dir = at.display();
    for name in ["allowed", "order-keys"] {
        std::fs::create_dir(at.join(name))?;
    }
    make_keys(at, &[("curve", "manager"), ("curve", "h1"), ("order", "order")])?;
    std::fs::copy(at.join("h1.pub"), at.join("allowed/h1.pub"))?;
    std::fs::copy(at.join("order.pub"), at.join("order-keys/order.pub"))?;
    std::fs::write(
        at.join("manager.toml"),
        format!(
            "listen = [\"{link}\"]\nstate_dir = \"{dir}/state\"\nrun_dir = \"{dir}/run\"\n[keys]\nkey = \"{dir}/manager.key\"\n\
             order_key = \"{dir}/order.key\"\nallowed_dir = \"{dir}/allowed\"\n[[webhook]]\nurl = \"{url}\"\n"
        ),
    )?;
    std::fs::write(
        at.join("host.toml"),
        format!(
            "name = \"h1\"\nstate_dir = \"{dir}/state\"\nrun_dir = \"{dir}/run\"\n[parent]\nconnect = \"{link}\"\n\
             server_key = \"{dir}/manager.pub\"\n[keys]\nkey = \"{dir}/h1.key\"\norder_keys_dir = \"{dir}/order-keys\"\n\
             [[engine]]\nname = \"docker\"\n{engine}"
        ),
    )?;
    Ok((
        daemon(at, "manager-watchdog", "manager", known)?,
        daemon(at, "host-watchdog", "host", known)?,
    ))
}

/// Starts `NAME.toml`; it logs to `NAME.log`.
pub fn daemon(at: &Path, binary: &str, name: &str, known: bool) -> Result<Running> {
    let log = std::fs::File::create(at.join(format!("{name}.log")))?;
    let mut command = Command::new(program(binary)?);
    command
        .args(["run", "--config"])
        .arg(at.join(format!("{name}.toml")))
        .stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log);
    if known {
        command.env("SSL_CERT_FILE", at.join("ca.pem"));
    }
    watchtree_os::ends_with_us(&mut command);
    Ok(Running(command.spawn()?))
}

/// Ends the host in order, so that it takes its container-watchdog along.
pub fn end(mut host: Running) -> Result<()> {
    watchtree_os::Process::open(host.0.id())?.signal(watchtree_os::Signal::TERM)?;
    host.0.wait()?;
    Ok(())
}
