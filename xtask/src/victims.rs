//! Containers to be hurt: made, asked and removed.
//!
//! Contract: a victim answers which incarnation of it is running; images and containers carry their run and owner as labels.
//! It does not know who heals them.

use crate::engine::{Engine, OWNER_LABEL, RUN_LABEL};
use crate::owner::Owner;
use crate::{sh, victim};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long one question may take: a victim that hangs accepts and never answers.
const QUESTION: Duration = Duration::from_millis(250);

/// An image that holds the victim's static file and nothing else; removed when dropped.
pub(crate) struct Image {
    engine: Engine,
    pub(crate) name: String,
}

impl Image {
    /// Builds the victim and puts it into an image of that run.
    ///
    /// # Errors
    /// The build, `tar`, or the engine failed.
    pub(crate) fn make(engine: &Engine, run: &str) -> Result<Self> {
        let name = format!("watchtree-victim:{run}");
        engine.import(&name, &Owner::me()?, &victim_tar()?)?;
        Ok(Self {
            engine: engine.clone(),
            name,
        })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Err(error) = self.engine.remove_image(&self.name) {
            errln!("while cleaning up: {error:#}");
        }
    }
}

/// Builds the victim; gives a tar file with it at `/victim`.
///
/// # Errors
/// The build or `tar` failed.
pub(crate) fn victim_tar() -> Result<Vec<u8>> {
    let file = victim::build()?;
    let folder = file.parent().context("the victim lies in a folder")?;
    let mut tar = Command::new("tar");
    tar.arg("--create")
        .arg("--directory")
        .arg(folder)
        .args(["--owner=0", "--group=0", "--mode=0755"]);
    tar.args(["--transform=s/.*/victim/", "watchtree-victim"]);
    let output = tar.output().context("cannot start `tar`")?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}",
            sh::line(&tar),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

/// Which network a victim lives in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Network {
    /// The host's own: no network is made or unmade at a start.
    Host,
    /// The engine's bridge.
    Bridge,
}

/// What a victim shall be.
#[derive(Clone, Debug)]
pub(crate) struct VictimSpec {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) run: String,
    pub(crate) network: Network,
    /// Whether it says that it wants to be healed.
    pub(crate) healed: bool,
    /// Further labels; `{port}` in a value is the port at which it serves.
    pub(crate) labels: Vec<(String, String)>,
    /// Further environment, `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Interval, timeout and retries of a health check.
    pub(crate) health: Option<(Duration, Duration, u32)>,
    /// The engine's restart policy, `no` or `always`.
    pub(crate) restart: &'static str,
}

/// A container that can be hurt.
#[derive(Clone, Debug)]
pub(crate) struct Victim {
    pub(crate) name: String,
    pub(crate) id: String,
    address: SocketAddr,
}

impl Victim {
    /// Makes and starts it, on a free port of this machine.
    ///
    /// # Errors
    /// The engine refused.
    pub(crate) fn start(engine: &Engine, spec: &VictimSpec) -> Result<Self> {
        let port = free_port()?;
        let id = engine.create(&spec.name, &settings(spec, port, &Owner::me()?))?;
        let victim = Self {
            name: spec.name.clone(),
            id,
            address: (Ipv4Addr::LOCALHOST, port).into(),
        };
        engine.start(&victim.id)?;
        Ok(victim)
    }

    /// Sends one command and reads one line.
    fn request(&self, command: &str) -> std::io::Result<String> {
        let stream = TcpStream::connect_timeout(&self.address, QUESTION)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(QUESTION))?;
        (&stream).write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Which life of it answers; `None` if none does.
    pub(crate) fn incarnation(&self) -> Option<String> {
        let answer = self.request("ping").ok()?;
        answer.strip_prefix("pong ").map(str::to_owned)
    }

    /// Waits for an answer of a life other than `old`; gives it.
    pub(crate) fn await_incarnation(
        &self,
        old: Option<&str>,
        start: Instant,
        within: Duration,
    ) -> Result<(String, Duration)> {
        let what = format!("{} does not answer", self.name);
        crate::interrupt::wait(&what, start, within, Duration::from_millis(3), || {
            Ok(self.incarnation().filter(|life| Some(life.as_str()) != old))
        })
    }

    /// Its process ends with 1, at once. The moment is just before the command was sent.
    pub(crate) fn crash(&self) -> Result<Instant> {
        let at = Instant::now();
        match self.request("crash") {
            Ok(answer) if !answer.is_empty() => bail!("{} does not crash, it says {answer:?}", self.name),
            _closed => Ok(at),
        }
    }

    /// It answers nothing from now on and ignores SIGTERM.
    pub(crate) fn hang(&self) -> Result<Instant> {
        let at = Instant::now();
        let answer = self
            .request("hang")
            .with_context(|| format!("{} cannot be told to hang", self.name))?;
        if answer != "hanging" {
            bail!("{} does not hang, it says {answer:?}", self.name);
        }
        Ok(at)
    }
}

fn settings(spec: &VictimSpec, port: u16, owner: &Owner) -> Value {
    let mut labels = serde_json::Map::new();
    labels.insert(RUN_LABEL.to_owned(), spec.run.clone().into());
    labels.insert(OWNER_LABEL.to_owned(), owner.to_string().into());
    if spec.healed {
        labels.insert("watchtree.enable".to_owned(), "true".into());
    }
    for (name, value) in &spec.labels {
        labels.insert(name.clone(), value.replace("{port}", &port.to_string()).into());
    }
    let mut env = vec![format!("VICTIM_PORT={port}")];
    let mut host = json!({ "RestartPolicy": { "Name": spec.restart } });
    let mut exposed = json!({});
    match spec.network {
        Network::Host => host["NetworkMode"] = "host".into(),
        Network::Bridge => {
            env.push("VICTIM_ADDRESS=0.0.0.0".to_owned());
            let inside = format!("{port}/tcp");
            host["PortBindings"] = json!({ &inside: [{ "HostIp": "127.0.0.1", "HostPort": port.to_string() }] });
            exposed = json!({ &inside: {} });
        }
    }
    env.extend(spec.env.iter().cloned());
    let mut settings = json!({
        "Image": spec.image,
        "Entrypoint": ["/victim"],
        "Cmd": ["serve"],
        "Env": env,
        "Labels": labels,
        "ExposedPorts": exposed,
        "HostConfig": host,
    });
    if let Some((interval, timeout, retries)) = spec.health {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        settings["Healthcheck"] = json!({
            "Test": ["CMD", "/victim", "healthcheck", "500"],
            "Interval": nanos(interval),
            "Timeout": nanos(timeout),
            "Retries": retries,
        });
    }
    settings
}

/// A port nobody listens on just now.
///
/// # Errors
/// None can be had.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("a free port")?
        .local_addr()?
        .port())
}
