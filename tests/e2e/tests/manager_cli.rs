//! The command line against a whole tree: `watchtree dev` starts it, every command answers with its documented exit code,
//! orders go down the tree and back, and the end leaves nothing behind.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use watchtree_e2e::fake_engine::{End, FakeEngine, Reply, Request};
use watchtree_e2e::programs::program;
use watchtree_os::process::{Process, Signal};

/// Nobody listens there.
const NO_ENGINE: &str = "/run/no-such-engine.sock";

/// A running `watchtree dev`; ended when dropped.
struct Dev {
    child: Child,
    lines: Receiver<String>,
    socket: PathBuf,
}

impl Dev {
    fn start(engine: &Path) -> Result<Self> {
        let mut command = Command::new(program("watchtree")?);
        command
            .args(["dev", "--engine"])
            .arg(engine)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.process_group(0).spawn()?;
        let out = BufReader::new(child.stdout.take().context("it is piped")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut dev = Self {
            child,
            lines,
            socket: PathBuf::new(),
        };
        let line = dev.line_with("WATCHTREE_SOCKET=")?;
        dev.socket = PathBuf::from(line.rsplit('=').next().unwrap_or_default());
        Ok(dev)
    }

    /// Reads on to the next line with these words.
    fn line_with(&self, words: &str) -> Result<String> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .with_context(|| format!("no line with {words:?}"))?;
            if line.contains(words) {
                return Ok(line);
            }
        }
    }

    fn run_dir(&self) -> &Path {
        self.socket.parent().unwrap_or(Path::new("/"))
    }

    /// Runs one command; gives its exit code and what it printed.
    fn ask(&self, words: &str) -> Result<(i32, String)> {
        let output = Command::new(program("watchtree")?)
            .args(words.split(' '))
            .env("WATCHTREE_RUN_DIR", self.run_dir())
            .env("WATCHTREE_SOCKET", &self.socket)
            .stdin(Stdio::null())
            .output()?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok((output.status.code().context("it ended by itself")?, text))
    }

    fn expect(&self, words: &str, code: i32, says: &str) -> Result<String> {
        let (found, text) = self.ask(words)?;
        ensure!(
            found == code && text.contains(says),
            "watchtree {words}: code {found}, wanted {code} and {says:?}:\n{text}"
        );
        Ok(text)
    }

    /// Waits until a command says that.
    fn until(&self, words: &str, says: &str) -> Result<()> {
        self.wait(words, says, true)
    }

    /// Waits until a command no longer says that.
    fn until_not(&self, words: &str, says: &str) -> Result<()> {
        self.wait(words, says, false)
    }

    fn wait(&self, words: &str, says: &str, wanted: bool) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(15);
        loop {
            let (_, text) = self.ask(words)?;
            if text.contains(says) == wanted {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "watchtree {words}: waited for {says:?} to be {wanted}:\n{text}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // SIGTERM, so that it ends its daemons; only then SIGKILL.
            if let Ok(process) = Process::open(self.child.id()) {
                let _ = process.signal(Signal::TERM);
            }
            let end = Instant::now() + Duration::from_secs(30);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The host's name: the only top of the tree besides the manager.
fn host_of(dev: &Dev) -> Result<String> {
    let (_, text) = dev.ask("tree --json")?;
    let tree: serde_json::Value = serde_json::from_str(text.trim())?;
    ensure!(tree["apiVersion"] == "watchtree/v1", "{tree}");
    let tops = tree["tree"].as_array().context("a tree")?;
    let host = tops.iter().find(|top| top["kind"] == "host").context("a host")?;
    Ok(host["subject"].as_str().context("a name")?.to_string())
}

#[test]
fn a_whole_tree_from_the_command_line() -> Result<()> {
    let mut dev = Dev::start(Path::new(NO_ENGINE))?;
    let h = host_of(&dev)?;
    // Its watchdog runs, and says itself that it sees no engine.
    dev.until("tree", &format!("{h}/docker/@watchdog  DEGRADED"))?;

    // An engine that is not there is an incident, and `status` and `tree` say so by their code.
    dev.until("incidents", &format!("{h}/docker UNREACHABLE"))?;
    dev.expect("status", 3, "incidents: 1 open")?;
    dev.expect("tree --filter unreachable", 3, &format!("{h}/docker  UNREACHABLE"))?;
    // Of a part that is well, it says so.
    dev.expect("tree --filter no-such-part", 0, "nothing fits the filter")?;
    dev.expect(&format!("explain {h}/docker"), 0, "engine_probe")?;

    // Orders: signed by the manager, carried out below, answered.
    dev.expect(&format!("hold {h} --for 30m"), 0, "held for 1800 s")?;
    dev.until("tree", &format!("{h}/@agent  OK  [held]"))?;
    dev.expect(&format!("explain {h}"), 0, "asked to hold")?;
    dev.expect(&format!("release {h}"), 0, "ended")?;
    dev.until_not("tree", "[held]")?;
    dev.expect(&format!("hold {h}/docker/nobody --for 5m"), 4, "no subject")?;
    dev.expect(&format!("hold {h} --for 8d"), 2, "too long")?;
    dev.expect("hold x/y z", 2, "unexpected")?;
    dev.expect("explain nobody", 4, "no subject")?;
    dev.expect("events --json --limit 1000", 0, "\"kind\":\"decision\"")?;

    // A retry goes down and back too.
    dev.expect(&format!("retry {h}/@agent"), 0, "0 watchdogs started")?;
    dev.expect(&format!("explain {h}/@agent"), 0, "asked to retry")?;

    // A host that is heard is not forgotten.
    dev.expect(&format!("forget {h}"), 5, "a host that is heard stays")?;
    dev.expect(&format!("explain {h}"), 0, "asked to forget")?;
    dev.expect(&format!("forget {h}/docker"), 2, "whole host")?;
    dev.expect("forget nobody", 4, "no subject")?;

    // The same without the manager, at this machine's watchdogs.
    dev.expect("--local status", 3, &h)?;
    dev.expect("--local status", 3, "incidents: kept by the manager, not here")?;
    dev.expect("--local incidents", 3, &format!("{h}/docker  UNREACHABLE"))?;
    dev.expect(&format!("--local forget {h}"), 2, "by its manager")?;
    dev.expect(
        &format!("--local hold {h}/docker --for 5m"),
        0,
        &format!("{h}.docker.watchdog"),
    )?;
    dev.expect(&format!("--local release {h}/docker"), 0, "release")?;
    dev.expect(&format!("--local explain {h}/docker"), 0, "engine_probe")?;

    // The end: in order, and nothing is left.
    let folder = dev.run_dir().parent().context("a folder")?.to_path_buf();
    Process::open(dev.child.id())?.signal(Signal::INT)?;
    dev.line_with("stopping")?;
    let end = Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = dev.child.try_wait()? {
            break status;
        }
        ensure!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    ensure!(status.code() == Some(0), "{status:?}");
    ensure!(!folder.exists(), "{} was left behind", folder.display());
    let left = Command::new("pgrep")
        .args(["-f", &folder.display().to_string()])
        .output()?;
    ensure!(
        left.stdout.is_empty(),
        "processes were left behind: {}",
        String::from_utf8_lossy(&left.stdout)
    );
    Ok(())
}

#[test]
fn a_daemon_that_does_not_answer_and_a_socket_without_rights_have_codes_of_their_own() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("wt-codes-").tempdir()?;
    let socket = folder.path().join("manager.sock");
    // It listens and never takes a connection.
    let _silent = std::os::unix::net::UnixListener::bind(&socket)?;
    let output = Command::new(program("watchtree")?)
        .args(["--timeout", "300ms", "status"])
        .env("WATCHTREE_SOCKET", &socket)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(7) && said.contains("no answer"),
        "{output:?}"
    );

    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !root && std::env::var_os("CI").is_none() {
        eprintln!("skipped: another user's rights need root");
        return Ok(());
    }
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    // The build folder may be closed to strangers: a copy they can run.
    let stranger = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let copy = folder.path().join("watchtree");
    std::fs::copy(program("watchtree")?, &copy)?;
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed)?;
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    for whom in [vec!["status"], vec!["--local", "status"]] {
        let output = Command::new(stranger[0])
            .args(&stranger[1..])
            .arg(&copy)
            .args(&whom)
            .env("WATCHTREE_SOCKET", &socket)
            .env("WATCHTREE_RUN_DIR", &closed)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(6) && said.contains("no rights"),
            "{whom:?}: {output:?}"
        );
    }
    Ok(())
}

/// A pipe that nobody reads from any more.
fn unread_pipe() -> Result<std::io::PipeWriter> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    Ok(writer)
}

#[test]
fn a_failure_that_nobody_reads_has_its_code_all_the_same() -> Result<()> {
    let status = Command::new(program("watchtree")?)
        .args(["--socket", "/run/no-such-manager.sock", "status"])
        .stderr(unread_pipe()?)
        .status()?;
    ensure!(status.code() == Some(4), "{status:?}");
    Ok(())
}

#[test]
fn a_tree_that_nobody_reads_ends_in_order() -> Result<()> {
    let mut child = Command::new(program("watchtree")?)
        .args(["dev", "--engine", NO_ENGINE])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    // The first line names the folder; with its reader the pipe is closed.
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("it is piped")?).read_line(&mut line)?;
    let folder = line.split(' ').find(|word| word.starts_with("/tmp/"));
    let folder = PathBuf::from(folder.with_context(|| line.clone())?);
    let status = child.wait()?;
    ensure!(status.code() == Some(0), "{status:?}");
    ensure!(!folder.exists(), "{} was left behind", folder.display());
    Ok(())
}

/// An engine with one container, `web`, which runs.
fn one_container(request: &Request) -> Reply {
    let unversioned = request.path.trim_start_matches("/v1.");
    let full = |text: &str| Reply::Full(200, text.to_string());
    match unversioned.trim_start_matches(|c: char| c.is_ascii_digit()) {
        "/_ping" => full("OK"),
        "/info" => full(&format!(
            r#"{{"ID":"wt-fake-dev-{}","ServerVersion":"20.10.0"}}"#,
            std::process::id()
        )),
        "/version" => full(r#"{"ApiVersion":"1.41","Version":"20.10.0"}"#),
        "/containers/json" => full(r#"[{"Id":"c0ffee","Names":["/web"],"State":"running","Status":"Up 1 hour"}]"#),
        "/containers/c0ffee/json" => full(
            r#"{"Id":"c0ffee","Name":"/web","State":{"Status":"running","Running":true,"Pid":1,
                "StartedAt":"2026-01-01T00:00:00Z","FinishedAt":"0001-01-01T00:00:00Z"}}"#,
        ),
        "/events" => Reply::Pieces(Vec::new(), End::Hold),
        _ => Reply::Full(404, r#"{"message":"no such thing"}"#.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_picture_has_the_containers() -> Result<()> {
    let engine = FakeEngine::start(one_container)?;
    let dev = Dev::start(&engine.socket())?;
    let mut picture = String::new();
    while !picture.contains("events (Ctrl-C") {
        picture.push_str(&dev.line_with("")?);
        picture.push('\n');
    }
    ensure!(picture.contains("/docker/web  OK"), "{picture}");

    // Without the manager: what each watchdog of this machine keeps, in one list.
    let h = host_of(&dev)?;
    dev.expect(&format!("--local hold {h}/docker/web --for 5m"), 0, "held")?;
    dev.until("--local events", &format!("decision   {h}/docker/web  "))?;
    dev.expect(&format!("--local events --subject {h}/docker"), 0, "asked to hold")?;
    dev.expect(&format!("--local hold {h}/@agent --for 5m"), 0, "held")?;
    dev.until("--local events", &format!("decision   {h}/@agent  "))?;
    dev.expect("--local events --since 0", 2, "several")?;
    dev.expect(
        &format!("--local events --since 0 --subject {h}/docker/web"),
        0,
        "asked to hold",
    )?;
    Ok(())
}
