//! The real engine as a test sees it from outside: the victim's image, containers that clean up after themselves, a tape
//! of everything the engine does to them. Works by the `docker` command and plain TCP; knows nothing of Watchtree.

use crate::programs;
use crate::stopwatch::Stopwatch;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// True if there is an engine: it answers on its socket, which is also how the gate, the demo and the bench look. Where
/// CI is set there must be one: then a missing engine is a failure and no skip.
///
/// # Panics
/// CI is set and there is none.
pub fn there_is_one() -> bool {
    let answer = ping();
    if let Err(why) = &answer {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set and there is no engine: {why:#}"
        );
        eprintln!("skipped: there is no engine here");
    }
    answer.is_ok()
}

/// Asks the engine of `DOCKER_HOST` (a unix socket), or the usual one, whether it is there.
fn ping() -> Result<()> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let path = match host.strip_prefix("unix://") {
        Some(path) => path,
        None if host.is_empty() => "/var/run/docker.sock",
        None => bail!("DOCKER_HOST={host} is no unix socket"),
    };
    let within = Some(Duration::from_secs(5));
    let mut stream = UnixStream::connect(path).context(path.to_owned())?;
    stream.set_read_timeout(within)?;
    stream.set_write_timeout(within)?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    ensure!(status.contains(" 200 "), "{path} answers {:?}", status.trim());
    Ok(())
}

/// True if this user may signal a container's init, which is mostly root's.
///
/// # Panics
/// CI is set and it may not.
pub fn may_kill_init() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !root {
        assert!(std::env::var_os("CI").is_none(), "CI is set, and this is not root");
        eprintln!("skipped: a signal to a container's init needs root");
    }
    root
}

/// Runs `docker` and gives its output without the line's end.
///
/// # Errors
/// It failed; its words are in the error.
pub fn docker(args: &[&str]) -> Result<String> {
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("docker")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "docker {}: {}", args.join(" "), words.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The image of the victim, built and imported if it is not there yet.
///
/// # Errors
/// It cannot be built.
pub fn victim_image() -> Result<String> {
    static IMAGE: OnceLock<String> = OnceLock::new();
    if let Some(image) = IMAGE.get() {
        return Ok(image.clone());
    }
    let image = make_victim_image()?;
    Ok(IMAGE.get_or_init(|| image).clone())
}

fn make_victim_image() -> Result<String> {
    let file = programs::victim()?;
    let age = std::fs::metadata(&file)?
        .modified()?
        .duration_since(std::time::UNIX_EPOCH)?;
    let name = format!("wt-victim:{}", age.as_nanos());
    if docker(&["image", "inspect", "--format", "{{.Id}}", &name]).is_ok() {
        return Ok(name);
    }
    let folder = file.parent().context("a file has a folder")?;
    let tar = Command::new("tar")
        .args(["-c", "--transform=s/.*/victim/", "-C"])
        .arg(folder)
        .arg("watchtree-victim")
        .output()?;
    ensure!(tar.status.success(), "tar failed");
    let mut import = Command::new("docker")
        .args(["import", "--change", r#"ENTRYPOINT ["/victim"]"#, "--change"])
        .arg(r#"HEALTHCHECK --interval=1s --timeout=1s --retries=2 CMD ["/victim", "healthcheck"]"#)
        .args(["-", &name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    import.stdin.take().context("its input")?.write_all(&tar.stdout)?;
    ensure!(import.wait()?.success(), "docker import failed");
    Ok(name)
}

/// A victim's container; removed when dropped.
#[derive(Debug)]
pub struct Victim {
    /// Full id.
    pub id: String,
    /// `wt-…`
    pub name: String,
    port: u16,
}

impl Victim {
    /// Runs one on the host's network and waits until it answers. `args` go to `docker run`.
    ///
    /// # Errors
    /// It cannot be run, or does not answer within 10 s.
    pub fn run(name: &str, args: &[&str]) -> Result<Self> {
        let victim = Self::run_unseen(name, args)?;
        victim.await_answer(Duration::from_secs(10)).context("a fresh victim")?;
        Ok(victim)
    }

    /// The same without waiting: for one that crashes at its start.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn run_unseen(name: &str, args: &[&str]) -> Result<Self> {
        Self::run_on("host", name, args)
    }

    /// Runs one on that network (`none`, `container:ID`), where it may be heard by nobody, and does not wait.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn run_on(network: &str, name: &str, args: &[&str]) -> Result<Self> {
        let image = victim_image()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let name = format!("wt-{name}-{}", std::process::id());
        let port_env = format!("VICTIM_PORT={port}");
        let mut all = vec![
            "run",
            "--detach",
            "--network",
            network,
            "--name",
            &name,
            "--env",
            &port_env,
        ];
        all.extend(args);
        all.push(&image);
        let id = docker(&all)?;
        Ok(Self { id, name, port })
    }

    /// Says one command and gives the answer; an answer must come within 10 s.
    ///
    /// # Errors
    /// Nobody listens, or nothing is answered.
    pub fn say(&self, command: &str) -> Result<String> {
        self.say_within(command, Duration::from_secs(10))
    }

    fn say_within(&self, command: &str, within: Duration) -> Result<String> {
        let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, self.port).into(), within)?;
        stream.set_read_timeout(Some(within))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        ensure!(
            !answer.is_empty(),
            "the connection ended without an answer to {command}"
        );
        Ok(answer.trim().to_owned())
    }

    /// Tells it to crash (exit 1); the end of the connection is all the answer there is.
    pub fn crash(&self) {
        let _ = self.say("crash");
    }

    /// What tells two lives apart.
    ///
    /// # Errors
    /// As of [`Victim::say`].
    pub fn life(&self) -> Result<String> {
        self.say("ping")
    }

    /// Waits for any answer.
    ///
    /// # Errors
    /// None came in time.
    pub fn await_answer(&self, within: Duration) -> Result<Duration> {
        self.await_other_life("", within)
    }

    /// Waits until a life other than `old` answers, and tells how long that took.
    ///
    /// # Errors
    /// None answered in time.
    pub fn await_other_life(&self, old: &str, within: Duration) -> Result<Duration> {
        let began = Stopwatch::start();
        loop {
            match self.say_within("ping", Duration::from_secs(1)) {
                Ok(life) if life != old => return Ok(began.elapsed()),
                _ if within < began.elapsed() => bail!("{}: no new life answered within {within:?}", self.name),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// One field by a Go template, such as `{{.State.Status}}`.
    ///
    /// # Errors
    /// As of [`docker`].
    pub fn inspect(&self, template: &str) -> Result<String> {
        docker(&["inspect", "--format", template, &self.id])
    }

    /// Waits until the template gives that text.
    ///
    /// # Errors
    /// It did not in time.
    pub fn await_inspect(&self, template: &str, wanted: &str, within: Duration) -> Result<()> {
        let began = Stopwatch::start();
        loop {
            let found = self.inspect(template)?;
            if found == wanted {
                return Ok(());
            }
            ensure!(
                began.elapsed() < within,
                "{}: {template} is {found} and not {wanted}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Watches for that long that it is in that state (`exited`), and fails at once if it is not.
    ///
    /// # Errors
    /// It was in another one.
    pub fn stays(&self, state: &str, lasts: Duration) -> Result<()> {
        let began = Stopwatch::start();
        while began.elapsed() < lasts {
            let found = self.inspect("{{.State.Status}}")?;
            ensure!(
                found == state,
                "{} is {found} after {:?} and not {state}",
                self.name,
                began.elapsed()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// SIGKILL to its init by the kernel, not by the engine: a crash without any sign of a person.
    ///
    /// # Errors
    /// It does not run, or this test has not the right.
    pub fn kill_init(&self) -> Result<()> {
        let pid = self.inspect("{{.State.Pid}}")?;
        ensure!(pid != "0", "{} does not run", self.name);
        let status = Command::new("kill").args(["-9", &pid]).status()?;
        ensure!(status.success(), "cannot kill pid {pid}");
        Ok(())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have been removed by the test itself.
        let _ = docker(&["rm", "--force", "--volumes", &self.id]);
    }
}

/// Everything the engine does to the containers with one label, from the making of the tape on.
#[derive(Debug)]
pub struct Tape {
    child: Child,
    label: String,
    image: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Tape {
    /// Begins to record. `label` as `key=value`.
    ///
    /// # Errors
    /// `docker events` cannot be run.
    pub fn begin(label: &str) -> Result<Self> {
        let image = victim_image()?;
        let mut child = Command::new("docker")
            .args([
                "events",
                "--filter",
                "type=container",
                "--filter",
                &format!("label={label}"),
            ])
            .args(["--format", "{{.ID}} {{.Action}} {{.TimeNano}}"])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let tape = Self {
            child,
            label: label.to_owned(),
            image,
            lines,
        };
        // What happens before the subscription stands is not on the tape.
        let began = Stopwatch::start();
        while !tape.shows_a_mark(Duration::from_millis(200))? {
            ensure!(began.elapsed() < Duration::from_secs(60), "docker events shows nothing");
        }
        Ok(tape)
    }

    /// Waits until everything that has happened so far is on the tape: it hears of it some time later.
    ///
    /// # Errors
    /// It hears nothing more.
    pub fn catch_up(&self) -> Result<()> {
        ensure!(
            self.shows_a_mark(Duration::from_secs(30))?,
            "docker events shows nothing more"
        );
        Ok(())
    }

    /// Makes something happen; true if the tape has it within that time, and so all that was before.
    fn shows_a_mark(&self, within: Duration) -> Result<bool> {
        let disabled = ["--label", &self.label, "--label", "watchtree.enable=false"];
        let id = docker(&[&["create"], &disabled[..], &[&self.image]].concat())?;
        docker(&["rm", &id])?;
        let began = Stopwatch::start();
        loop {
            let has_it = |line: &String| line.starts_with(&id) && line.contains(" destroy ");
            if self.lines().iter().any(has_it) {
                return Ok(true);
            }
            if within < began.elapsed() {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often that happened (`start`, `die`) to that container, as far as the tape has heard of it.
    pub fn count(&self, victim: &Victim, action: &str) -> usize {
        self.actions(victim)
            .iter()
            .filter(|happened| *happened == action)
            .count()
    }

    /// When that happened to that container last, by the engine's clock in nanoseconds.
    ///
    /// # Errors
    /// It never did, as far as the tape has heard of it.
    pub fn last(&self, victim: &Victim, action: &str) -> Result<u64> {
        let at = |line: &String| {
            let rest = line.strip_prefix(&victim.id)?.trim();
            let (happened, at) = rest.rsplit_once(' ')?;
            (happened == action).then(|| at.parse().ok()).flatten()
        };
        let newest = self.lines().iter().rev().find_map(at);
        newest.with_context(|| format!("{} of {} is not on the tape", action, victim.name))
    }

    /// Everything that happened to that container, in order, as far as the tape has heard of it.
    pub fn actions(&self, victim: &Victim) -> Vec<String> {
        let ours = |line: &String| {
            let rest = line.strip_prefix(&victim.id)?.trim();
            Some(rest.rsplit_once(' ').map_or(rest, |(action, _)| action).to_owned())
        };
        self.lines().iter().filter_map(ours).collect()
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
