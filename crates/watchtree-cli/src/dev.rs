//! `watchtree dev`: the whole tree on this machine with throw-away keys and state, until Ctrl-C.
//!
//! ```text
//!   folder, keys, configurations ─▶ manager-watchdog ─▶ host-watchdog (─▶ container-watchdog) ─▶ events ─▶ Ctrl-C
//!                                                                                                 │
//!   folder removed ◀─ manager-watchdog ended ◀─ host-watchdog ended (it ends its child) ◀─────────┘
//! ```
//!
//! The three daemons are those beside this program; they run as they would in production, but only look unless `--heal`.

use crate::args::{DevArgs, KeyKind};
use crate::fail::{Code, Fail, print_error};
use crate::key;
use crate::render::{self, Style};
use crate::show;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use watchtree_api::{Client, EventQuery, TreeNode, TreeQuery};

/// Time for the manager to answer, and for the host and its containers to be seen in its tree.
const START_WITHIN: Duration = Duration::from_secs(20);
/// Time for a daemon to end in order before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(25);
/// How often a start or an end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn run(args: &DevArgs) -> Result<Code, Fail> {
    let style = Style::new(false);
    let programs = Programs::beside_us()?;
    let place = Folder::make(args)?;
    status_line(&format!(
        "{} keys, state and logs: {} ({})",
        style.done(),
        place.folder.path().display(),
        if args.keep { "kept" } else { "removed at the end" }
    ))?;
    let mut tree = Tree::default();
    let result = tokio::select! {
        result = watch(&mut tree, &programs, &place, args, style) => result,
        // During the start; later the events themselves end with Ctrl-C.
        _ = tokio::signal::ctrl_c() => Ok(Code::Ok),
        _ = terminated() => Ok(Code::Ok),
    };
    let told = status_line("stopping, in order");
    tree.stop().await;
    if args.keep {
        let kept = place.folder.keep();
        status_line(&format!("kept: {}", kept.display()))?;
    }
    told.and(result)
}

/// SIGTERM and SIGHUP (a closed terminal) end it like Ctrl-C.
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut hup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = hup.recv() => {}
    }
}

async fn watch(
    tree: &mut Tree,
    programs: &Programs,
    place: &Folder,
    args: &DevArgs,
    style: Style,
) -> Result<Code, Fail> {
    tree.manager = Some(Daemon::start(
        &programs.manager,
        &place.file("manager.toml"),
        &place.log("manager"),
    )?);
    let socket = place.file("run/manager.sock");
    let client = Client::unix(&socket);
    tree.until("the manager answers", async || client.live().await.is_ok())
        .await?;
    status_line(&format!(
        "{} manager-watchdog   {} and 127.0.0.1:{}",
        style.done(),
        socket.display(),
        place.port
    ))?;
    tree.host = Some(Daemon::start(
        &programs.host,
        &place.file("host.toml"),
        &place.log("host"),
    )?);
    let seen = async || {
        client
            .tree(&TreeQuery::default())
            .await
            .is_ok_and(|answer| is_seen(&answer, &place.host))
    };
    tree.until("the host is seen in the tree", seen).await?;
    let heals = if args.heal {
        "heals containers labelled watchtree.enable=true"
    } else {
        "only watches (--heal to heal)"
    };
    status_line(&format!(
        "{} host-watchdog      {} is in the tree; {heals}",
        style.done(),
        place.host
    ))?;
    let exe = std::env::current_exe().map_or_else(|_| "watchtree".to_string(), |exe| exe.display().to_string());
    status_line(&format!(
        "\nin another terminal:\n  export WATCHTREE_SOCKET={}\n  {exe} tree\n",
        socket.display()
    ))?;
    let container = Client::unix(&place.file("run/container-docker.sock"));
    let seen = async || has_containers(&client, &container).await;
    // What is late comes as an event.
    match tree.until("the containers are seen in the tree", seen).await {
        Err(fail) if fail.code != Code::Timeout => return Err(fail),
        _ => {}
    }
    let answer = client.tree(&TreeQuery::default()).await?;
    render::print(&render::tree(&answer, style))?;
    status_line("\nevents (Ctrl-C ends all):")?;
    let first = client.events(&EventQuery::default()).await?;
    let print = |node: &str, events: &[_]| render::print(&render::events(node, events, style));
    print(&first.node, &first.events)?;
    let following = show::follow(&client, EventQuery::default(), first.stream, first.next, print);
    tokio::select! {
        result = following => result.map(|()| Code::Ok),
        fail = tree.first_end() => Err(fail),
    }
}

fn is_seen(answer: &watchtree_api::TreeResponse, host: &str) -> bool {
    answer
        .tree
        .iter()
        .any(|top| top.subject == host && top.state != "unknown")
}

/// True once the manager has heard of every container that the container-watchdog knows, or why none will come.
async fn has_containers(manager: &Client, container: &Client) -> bool {
    let Ok(above) = manager.tree(&TreeQuery::default()).await else {
        return false;
    };
    if above.tree.iter().any(|host| is_without_engine(&host.children)) {
        return true;
    }
    let known = container.ready().await.is_ok_and(|health| health.ok);
    let below = container.tree(&TreeQuery::default()).await;
    known && below.is_ok_and(|below| count_containers(&below) <= count_containers(&above))
}

/// The engine cannot be reached, or its watchdog cannot run.
fn is_without_engine(nodes: &[TreeNode]) -> bool {
    let needed = |node: &TreeNode| matches!(node.kind.as_str(), "engine" | "watchdog");
    nodes.iter().filter(|node| needed(node)).any(|node| {
        let is_gone = matches!(node.state.as_str(), "unreachable" | "agent_lost" | "down" | "given_up");
        is_gone || is_without_engine(&node.children)
    })
}

fn count_containers(answer: &watchtree_api::TreeResponse) -> u64 {
    answer.tree.iter().flat_map(|top| top.containers.values()).sum()
}

fn status_line(line: &str) -> Result<(), Fail> {
    render::print(&format!("{line}\n"))
}

/// The daemons beside this program.
struct Programs {
    manager: PathBuf,
    host: PathBuf,
}

impl Programs {
    fn beside_us() -> Result<Self, Fail> {
        let exe = std::env::current_exe().map_err(|error| Fail::new(Code::Failed, error.to_string()))?;
        let folder = exe.parent().unwrap_or(Path::new("/"));
        let found = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(Fail::new(
                Code::Failed,
                format!("{} is not there: the daemons must lie beside watchtree", path.display()),
            )
            .hint("cargo build   (in a source tree)"))
        };
        found("container-watchdog")?;
        Ok(Self {
            manager: found("manager-watchdog")?,
            host: found("host-watchdog")?,
        })
    }
}

/// The throw-away folder with everything in it.
struct Folder {
    folder: TempDir,
    port: u16,
    host: String,
}

impl Folder {
    fn make(args: &DevArgs) -> Result<Self, Fail> {
        let failed = |error: std::io::Error| Fail::new(Code::Failed, format!("cannot make the folder: {error}"));
        // Below /tmp in any case: the path of a socket has at most 107 bytes.
        let folder = tempfile::Builder::new()
            .prefix("watchtree-dev-")
            .tempdir_in("/tmp")
            .map_err(failed)?;
        let owner_only = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path(), owner_only).map_err(failed)?;
        for name in ["keys", "allowed", "order-keys", "run", "state", "logs"] {
            std::fs::create_dir(folder.path().join(name)).map_err(failed)?;
        }
        // Free at this moment; should somebody take it meanwhile, the manager ends with code 8 and says so.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(failed)?
            .port();
        let place = Self {
            folder,
            port,
            host: host_name(),
        };
        place.make_keys()?;
        place.write("manager.toml", &place.manager_toml())?;
        place.write("host.toml", &place.host_toml(args))?;
        Ok(place)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.file(&format!("logs/{name}.log"))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Fail> {
        std::fs::write(self.file(name), text).map_err(|error| Fail::new(Code::Failed, format!("{name}: {error}")))
    }

    fn make_keys(&self) -> Result<(), Fail> {
        let keys = self.file("keys");
        let made =
            |kind, name: &str| key::save(kind, &keys, name).map_err(|error| Fail::new(Code::Failed, error.to_string()));
        made(KeyKind::Curve, "manager")?;
        let host = made(KeyKind::Curve, "host")?;
        let order = made(KeyKind::Order, "order")?;
        let copied = std::fs::copy(&host.public, self.file(&format!("allowed/{}.pub", self.host)))
            .and_then(|_| std::fs::copy(&order.public, self.file("order-keys/manager.pub")));
        copied
            .map(drop)
            .map_err(|error| Fail::new(Code::Failed, error.to_string()))
    }

    fn manager_toml(&self) -> String {
        let folder = self.folder.path().display();
        let port = self.port;
        format!(
            "name = \"manager\"\nlisten = [\"127.0.0.1:{port}\"]\nstate_dir = \"{folder}/state\"\nrun_dir = \"{folder}/run\"\n\
             [keys]\nkey = \"{folder}/keys/manager.key\"\norder_key = \"{folder}/keys/order.key\"\n\
             allowed_dir = \"{folder}/allowed\"\n"
        )
    }

    fn host_toml(&self, args: &DevArgs) -> String {
        let folder = self.folder.path().display();
        // As the shell would: from where the command was given.
        let engine = std::path::absolute(&args.engine).unwrap_or_else(|_| args.engine.clone());
        let (name, port, engine) = (&self.host, self.port, engine.display());
        let heal = if args.heal { "labelled" } else { "observe" };
        format!(
            "name = \"{name}\"\nlook_at = [\"127.0.0.1:{port}\"]\nstate_dir = \"{folder}/state\"\nrun_dir = \"{folder}/run\"\n\
             [parent]\nconnect = \"127.0.0.1:{port}\"\nserver_key = \"{folder}/keys/manager.pub\"\n\
             [keys]\nkey = \"{folder}/keys/host.key\"\norder_keys_dir = \"{folder}/order-keys\"\n\
             [[engine]]\nname = \"docker\"\nsocket = \"{engine}\"\nheal = \"{heal}\"\n"
        )
    }
}

/// This machine's name as a node's name.
fn host_name() -> String {
    let full = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let short = full.trim().split('.').next().unwrap_or_default();
    let clean: String = short
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .take(63)
        .collect();
    if clean.is_empty() || clean == "manager" {
        "this-host".to_string()
    } else {
        clean
    }
}

/// One daemon, its output in its log.
struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    fn start(program: &Path, config: &Path, log: &Path) -> Result<Self, Fail> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().to_string();
        let failed = |error: std::io::Error| Fail::new(Code::Failed, format!("{name} did not start: {error}"));
        let out = File::create(log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        // A group of its own: Ctrl-C reaches this program alone, which then stops the daemons in order.
        let mut command = Command::new(program);
        command
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .env_remove("NOTIFY_SOCKET")
            .process_group(0);
        // Should this program be killed, nobody else would end them. The runtime has one thread: the main one.
        watchtree_os::ends_with_us(&mut command);
        let child = command.spawn().map_err(failed)?;
        Ok(Self {
            name,
            child,
            log: log.to_path_buf(),
        })
    }

    /// The fail if it has ended.
    fn ended(&mut self) -> Option<Fail> {
        let status = self.child.try_wait().ok().flatten()?;
        let code = status.code().map_or(Code::Failed, Code::from_number);
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("it printed nothing");
        Some(Fail::new(
            code,
            format!("{} ended ({}): {}", self.name, words(status), render::clean(last)),
        ))
    }

    /// SIGTERM, then after a while SIGKILL.
    async fn stop(&mut self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if self.ended().is_some() {
            return;
        }
        if let Some(pid) = pid {
            // It may end between the look and the signal: then there is nothing to signal, and the child is still ours.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let until = Instant::now() + STOP_WITHIN;
        while self.ended().is_none() {
            if until < Instant::now() {
                let (name, waited) = (&self.name, STOP_WITHIN.as_secs());
                print_error(&format!("watchtree: {name} did not end within {waited} s: killed"));
                if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
                    print_error(&format!("watchtree: {name} could not be killed: {error}"));
                }
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn words(status: ExitStatus) -> String {
    status
        .code()
        .map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

/// The daemons that run.
#[derive(Default)]
struct Tree {
    manager: Option<Daemon>,
    host: Option<Daemon>,
}

impl Tree {
    fn all(&mut self) -> impl Iterator<Item = &mut Daemon> {
        self.host.iter_mut().chain(self.manager.iter_mut())
    }

    /// Waits for a condition, and fails with a daemon's own words if one ends meanwhile.
    async fn until(&mut self, what: &str, holds: impl AsyncFn() -> bool) -> Result<(), Fail> {
        let end = Instant::now() + START_WITHIN;
        loop {
            if let Some(fail) = self.all().find_map(Daemon::ended) {
                return Err(fail);
            }
            if holds().await {
                return Ok(());
            }
            if end < Instant::now() {
                let line = format!("not within {} s: {what}", START_WITHIN.as_secs());
                return Err(Fail::new(Code::Timeout, line).hint("watchtree dev --keep, then read the logs"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends when a daemon does.
    async fn first_end(&mut self) -> Fail {
        loop {
            if let Some(fail) = self.all().find_map(Daemon::ended) {
                return fail;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The host first: it ends its container-watchdog and says goodbye to the manager.
    async fn stop(&mut self) {
        for daemon in self.all() {
            daemon.stop().await;
        }
    }
}
