//! The manager and a host in network namespaces of their own: a frozen agent is AGENT LOST, a cut network is
//! UNREACHABLE, both within 4 s; what heals is OK again with its incident closed; a manager that restarted or slept judges
//! nobody and has its hosts back within 5 s.
//!
//! Needs root, `ip` and `iptables`; skipped without root only where `CI` is not set.

use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use watchtree_api::{Client, Incident, IncidentQuery, TreeNode, TreeQuery};
use watchtree_e2e::manager_support::WITHIN;
use watchtree_e2e::programs::{make_keys, program};
use watchtree_e2e::stopwatch::Stopwatch;
use watchtree_os::process::{self, Process, Signal};

const JUDGED_WITHIN: Duration = Duration::from_secs(4);
const BACK_WITHIN: Duration = Duration::from_secs(5);
const LOST: [&str; 3] = ["agent_lost", "unreachable", "down"];

fn command(words: &[&str]) -> Result<()> {
    let (program, args) = words.split_first().context("a command has a name")?;
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| words.join(" "))?;
    ensure!(
        output.status.success(),
        "{}: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Two namespaces joined by a cable; gone when dropped.
struct Network {
    manager: String,
    host: String,
}

impl Network {
    fn make() -> Result<Self> {
        let id = std::process::id();
        let net = Self {
            manager: format!("wt-m-{id}"),
            host: format!("wt-h-{id}"),
        };
        let (m, h) = (net.manager.as_str(), net.host.as_str());
        command(&["ip", "netns", "add", m])?;
        command(&["ip", "netns", "add", h])?;
        command(&[
            "ip", "-n", m, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", h,
        ])?;
        for (ns, address) in [(m, "10.213.7.1/24"), (h, "10.213.7.2/24")] {
            command(&["ip", "-n", ns, "addr", "add", address, "dev", "cable"])?;
            command(&["ip", "-n", ns, "link", "set", "cable", "up"])?;
            command(&["ip", "-n", ns, "link", "set", "lo", "up"])?;
        }
        Ok(net)
    }

    /// Drops (or no longer drops) every packet at the host.
    fn cut(&self, cut: bool) -> Result<()> {
        let verb = if cut { "-I" } else { "-D" };
        for (chain, side) in [("INPUT", "-i"), ("OUTPUT", "-o")] {
            command(&[
                "ip", "netns", "exec", &self.host, "iptables", verb, chain, side, "cable", "-j", "DROP",
            ])?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for ns in [&self.manager, &self.host] {
            let _ = Command::new("ip")
                .args(["netns", "del", ns])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// The daemons and their folder.
struct Rig {
    folder: tempfile::TempDir,
    net: Network,
    manager: Option<Child>,
    host: Option<Child>,
}

impl Rig {
    /// `look_at` = the line of host.toml that says where the host can be looked at, if any.
    async fn start(look_at: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("wt-net-").tempdir()?;
        let mut rig = Self {
            folder,
            net: Network::make()?,
            manager: None,
            host: None,
        };
        rig.configure(look_at)?;
        rig.start_manager()?;
        rig.start_host()?;
        Ok(rig)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, look_at: &str) -> Result<()> {
        for name in ["keys", "allowed", "order-keys"] {
            std::fs::create_dir(self.path(name))?;
        }
        let at = self.folder.path().display();
        let keys = [("curve", "manager"), ("curve", "h1"), ("order", "manager-order")];
        make_keys(&self.path("keys"), &keys)?;
        std::fs::copy(self.path("keys/h1.pub"), self.path("allowed/h1.pub"))?;
        std::fs::copy(self.path("keys/manager-order.pub"), self.path("order-keys/manager.pub"))?;
        let dirs = format!("state_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\n");
        let manager = format!(
            "name = \"manager\"\nlisten = [\"10.213.7.1:7411\"]\n{dirs}[keys]\nkey = \"{at}/keys/manager.key\"\n\
             order_key = \"{at}/keys/manager-order.key\"\nallowed_dir = \"{at}/allowed\"\n"
        );
        let host = format!(
            "name = \"h1\"\n{look_at}{dirs}[parent]\nconnect = \"10.213.7.1:7411\"\n\
             server_key = \"{at}/keys/manager.pub\"\n[keys]\nkey = \"{at}/keys/h1.key\"\n\
             order_keys_dir = \"{at}/order-keys\"\n[[engine]]\nname = \"docker\"\nsocket = \"{at}/no-engine.sock\"\n"
        );
        std::fs::write(self.path("manager.toml"), manager)?;
        std::fs::write(self.path("host.toml"), host)?;
        Ok(())
    }

    fn daemon(&self, ns: &str, name: &str, config: &str) -> Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path(&format!("{name}.log")))?;
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", ns])
            .arg(program(name)?)
            .args(["run", "--config"])
            .arg(self.path(config));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command.spawn()?)
    }

    fn start_manager(&mut self) -> Result<()> {
        self.manager = Some(self.daemon(&self.net.manager, "manager-watchdog", "manager.toml")?);
        Ok(())
    }

    fn start_host(&mut self) -> Result<()> {
        self.host = Some(self.daemon(&self.net.host, "host-watchdog", "host.toml")?);
        Ok(())
    }

    fn process(child: Option<&Child>) -> Result<Process> {
        Ok(Process::open(child.context("it was not started")?.id())?)
    }

    fn manager(&self) -> Result<Process> {
        Self::process(self.manager.as_ref())
    }

    fn host(&self) -> Result<Process> {
        Self::process(self.host.as_ref())
    }

    fn container_watchdogs(&self) -> Result<Vec<u32>> {
        let config = self.path("host.toml").display().to_string();
        let args = ["run", "--config", &config, "--engine", "docker"].map(str::to_string);
        Ok(process::find(|found| found == args)?.iter().map(Process::pid).collect())
    }

    /// The one that there is, once it can be seen.
    async fn container_watchdog(&self) -> Result<u32> {
        let began = Stopwatch::start();
        loop {
            match self.container_watchdogs()?[..] {
                [child] => return Ok(child),
                ref found if WITHIN < began.elapsed() => bail!("container-watchdogs: {found:?}\n{}", self.logs()),
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
    }

    fn client(&self) -> Client {
        Client::unix(&self.path("run/manager.sock"))
    }

    /// The host as the manager shows it; `None` where the manager does not answer or does not know it.
    async fn shown(&self) -> Option<TreeNode> {
        let tree = self
            .client()
            .tree(&TreeQuery {
                depth: Some(0),
                filter: None,
            })
            .await
            .ok()?;
        tree.tree.into_iter().find(|top| top.subject == "h1")
    }

    /// The incidents of the host itself (its engine, which is missing here, has one of its own).
    async fn incidents(&self, all: bool) -> Result<Vec<Incident>> {
        let answer = self.client().incidents(&IncidentQuery { all, limit: None }).await?;
        Ok(answer
            .incidents
            .into_iter()
            .filter(|incident| incident.subject == "h1")
            .collect())
    }

    /// Waits until the host is shown as wanted; gives the time that took since `since`. Fails with both logs.
    async fn until(
        &self,
        what: &str,
        since: &Stopwatch,
        within: Duration,
        wanted: impl Fn(&TreeNode) -> bool,
    ) -> Result<(TreeNode, Duration)> {
        loop {
            let shown = self.shown().await;
            match shown {
                Some(node) if wanted(&node) => {
                    eprintln!(
                        "{what}: after {} ms: {}: {}",
                        since.elapsed().as_millis(),
                        node.state,
                        node.why
                    );
                    return Ok((node, since.elapsed()));
                }
                _ if within < since.elapsed() => bail!("{what}: not within {within:?}: {shown:?}\n{}", self.logs()),
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
    }

    async fn until_closed(&self, since: &Stopwatch) -> Result<Incident> {
        loop {
            if self.incidents(false).await?.is_empty() {
                let all = self.incidents(true).await?;
                return all.into_iter().next_back().context("the closed incident is remembered");
            }
            ensure!(
                since.elapsed() < BACK_WITHIN,
                "the incident is still open\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    fn logs(&self) -> String {
        let log = |name: &str| std::fs::read_to_string(self.path(name)).unwrap_or_default();
        format!(
            "== manager ==\n{}\n== host ==\n{}",
            log("manager-watchdog.log"),
            log("host-watchdog.log")
        )
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The host first, or it would start another child.
        for child in [&mut self.host, &mut self.manager].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in self.container_watchdogs().unwrap_or_default() {
            if let Ok(child) = Process::open(pid) {
                let _ = child.signal(Signal::KILL);
            }
        }
    }
}

fn is_well(node: &TreeNode) -> bool {
    !LOST.contains(&node.state.as_str())
        && !["unknown", "suspect", "unwatched", "starting"].contains(&node.state.as_str())
}

/// True where this test cannot run and need not.
fn skipped() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    let skip = !root && std::env::var_os("CI").is_none();
    if skip {
        eprintln!("skipped: network namespaces need root");
    }
    skip
}

const LOOK_AT: &str = "look_at = [\"10.213.7.2:22\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_agent_and_a_cut_network_are_told_apart() -> Result<()> {
    told_apart(LOOK_AT).await
}

/// Then the manager looks where the host came from.
#[tokio::test(flavor = "multi_thread")]
async fn they_are_told_apart_where_nothing_says_where_to_look() -> Result<()> {
    told_apart("").await
}

async fn told_apart(look_at: &str) -> Result<()> {
    if skipped() {
        return Ok(());
    }
    let rig = Rig::start(look_at).await?;
    rig.until("the host joins", &Stopwatch::start(), Duration::from_secs(15), is_well)
        .await?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !rig.client().ready().await?.ok {
        ensure!(Instant::now() < deadline, "the manager never judges\n{}", rig.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // A frozen agent: its kernel answers.
    let child = rig.container_watchdog().await?;
    let frozen = Stopwatch::start();
    rig.host()?.signal(Signal::STOP)?;
    let lost = |node: &TreeNode| LOST.contains(&node.state.as_str());
    let (node, _) = rig.until("frozen", &frozen, JUDGED_WITHIN, lost).await?;
    ensure!(
        node.state == "agent_lost",
        "{} is no agent lost: {}\n{}",
        node.state,
        node.why,
        rig.logs()
    );
    ensure!(
        node.evidence.iter().any(|fact| fact.kind == "kernel_answers"),
        "{:?}",
        node.evidence
    );
    let open = rig.incidents(false).await?;
    ensure!(open.iter().any(|incident| incident.state == "agent_lost"), "{open:?}");
    let thawed = Stopwatch::start();
    rig.host()?.signal(Signal::CONT)?;
    rig.until("thawed", &thawed, BACK_WITHIN, is_well).await?;
    let closed = rig.until_closed(&thawed).await?;
    ensure!(
        closed.state == "agent_lost" && closed.closed_wall_ms.is_some(),
        "{closed:?}"
    );
    ensure!(
        rig.container_watchdogs()? == [child],
        "a frozen host-watchdog restarted its child"
    );

    // A cut network: nobody can say more than that.
    let cut = Stopwatch::start();
    rig.net.cut(true)?;
    let (node, _) = rig.until("cut", &cut, JUDGED_WITHIN, lost).await?;
    ensure!(
        node.state == "unreachable",
        "{} is no unreachable: {}\n{}",
        node.state,
        node.why,
        rig.logs()
    );
    ensure!(
        node.evidence.iter().any(|fact| fact.kind == "kernel_silent"),
        "{:?}",
        node.evidence
    );
    let open = rig.incidents(false).await?;
    ensure!(
        open.iter()
            .any(|incident| incident.state == "unreachable" && incident.unconfirmed),
        "{open:?}"
    );
    rig.net.cut(false)?;
    let healed = Stopwatch::start();
    rig.until("healed", &healed, Duration::from_secs(10), is_well).await?;
    let closed = rig.until_closed(&Stopwatch::start()).await?;
    ensure!(closed.state == "unreachable", "{closed:?}");
    Ok(())
}

/// Looks at the host all the time until `until`; fails if it was ever judged.
async fn nobody_is_judged(rig: &Rig, until: Instant) -> Result<()> {
    while Instant::now() < until {
        if let Some(node) = rig.shown().await {
            let judged = LOST.contains(&node.state.as_str()) || node.state == "suspect";
            ensure!(!judged, "judged {}: {}\n{}", node.state, node.why, rig.logs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_was_away_judges_nobody() -> Result<()> {
    if skipped() {
        return Ok(());
    }
    let mut rig = Rig::start(LOOK_AT).await?;
    rig.until("the host joins", &Stopwatch::start(), Duration::from_secs(15), is_well)
        .await?;

    for signal in [Signal::TERM, Signal::KILL] {
        rig.manager()?.signal(signal)?;
        let mut manager = rig.manager.take().context("it runs")?;
        tokio::task::spawn_blocking(move || manager.wait()).await??;
        // Long enough that every slot of the host is missed.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (restarted, since) = (Instant::now(), Stopwatch::start());
        rig.start_manager()?;
        rig.until(&format!("back after {signal:?}"), &since, BACK_WITHIN, is_well)
            .await?;
        nobody_is_judged(&rig, restarted + Duration::from_secs(6)).await?;
    }

    // Asleep: what it missed while it did not run proves nothing.
    rig.manager()?.signal(Signal::STOP)?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    rig.manager()?.signal(Signal::CONT)?;
    nobody_is_judged(&rig, Instant::now() + Duration::from_secs(5)).await?;
    ensure!(
        rig.incidents(true).await?.is_empty(),
        "{:?}",
        rig.incidents(true).await?
    );
    Ok(())
}

/// A port in use, a missing key, a bad key in the file: one line and the documented code.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_must_mend_ends_it_with_one_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = folder.path().display().to_string();
    let watchtree = program("watchtree")?.display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0")?;
    let write = |extra: &str| {
        let listen = port.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let text = format!(
            "listen = [\"{listen}\"]\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\n{extra}[keys]\n\
             key = \"{at}/m.key\"\norder_key = \"{at}/o.key\"\nallowed_dir = \"{at}/allowed\"\n"
        );
        std::fs::write(folder.path().join("manager.toml"), text)
    };
    let check = |code: i32, words: &str| -> Result<()> {
        let output = Command::new(program("manager-watchdog")?)
            .args(["run", "--config"])
            .arg(Path::new(&at).join("manager.toml"))
            .output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).to_string();
        let last = stderr.lines().next_back().unwrap_or_default();
        ensure!(output.status.code() == Some(code), "{:?}: {stderr}", output.status);
        ensure!(
            last.starts_with("manager-watchdog: ") && last.contains(words),
            "{stderr}"
        );
        Ok(())
    };
    write("")?;
    check(2, "m.key")?;
    command(&[&watchtree, "key", "gen", "curve", &format!("{at}/m.key")])?;
    command(&[&watchtree, "key", "gen", "order", &format!("{at}/o.key")])?;
    check(8, "taken")?;
    write("no_such_key = 1\n")?;
    check(2, "no_such_key")?;
    std::fs::write(folder.path().join("manager.toml"), "listen = 7\n")?;
    check(2, "manager.toml:1:10: ")?;
    Ok(())
}
