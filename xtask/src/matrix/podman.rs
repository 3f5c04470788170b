//! Podman's column: that the watchdog refuses to heal it, and what Podman says of ends by themselves and by people.
//!
//! Contract: the refusal is seen on a real socket with a container on it that has crashed, and which must stay as it is. What
//! Podman says is observed by its docker-compatible API and by its own, and not judged here.

use super::spec::Spec;
use crate::engine::percent_encode;
use crate::engine_truth::init;
use crate::engine_truth::rig::{self, Kind, Rig, child_of};
use crate::process::Process;
use crate::watchdog::Watchdog;
use crate::{http, interrupt, sh, victims};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Its own API is asked by its version.
const LIBPOD: &str = "/v5.0.0/libpod";
/// Longest request, and the longest wait for its service.
const CALL: Duration = Duration::from_secs(60);
/// The watchdog has refused within that.
const REFUSES: Duration = Duration::from_secs(30);
/// All ends have happened, and Podman has written of them.
const SETTLES: Duration = Duration::from_secs(6);

/// How a container ends.
#[derive(Clone, Copy)]
enum End {
    /// Nobody does anything.
    Alone,
    /// kill -9 of its init from the machine.
    Crash,
    /// What a person does, by `podman`.
    Person(&'static [&'static str]),
    /// The same, and a crash a second later.
    PersonThenCrash(&'static [&'static str]),
}

/// A row of the document.
struct Row {
    name: &'static str,
    words: &'static str,
    policy: &'static str,
    env: &'static [&'static str],
    end: End,
}

const fn row(name: &'static str, words: &'static str, end: End) -> Row {
    Row {
        name,
        words,
        policy: "no",
        env: &[],
        end,
    }
}

const ROWS: [Row; 13] = [
    row("crash", "its init is killed with -9 from the machine", End::Crash),
    Row {
        env: &["VICTIM_EXITS=3@2500"],
        ..row("exit-3", "it ends by itself with 3", End::Alone)
    },
    Row {
        env: &["VICTIM_EXITS=0@2500"],
        ..row("exit-0", "it ends by itself with 0", End::Alone)
    },
    row("stop", "`podman stop`", End::Person(&["stop", "-t", "2"])),
    row("kill", "`podman kill`", End::Person(&["kill", "-s", "KILL"])),
    row(
        "kill-term",
        "`podman kill -s TERM`",
        End::Person(&["kill", "-s", "TERM"]),
    ),
    Row {
        env: &["VICTIM_ON_TERM=3@3000"],
        ..row(
            "kill-term-slow",
            "`podman kill -s TERM`, and it ends 3 s later with 3",
            End::Person(&["kill", "-s", "TERM"]),
        )
    },
    row(
        "hup-then-crash",
        "`podman kill -s HUP`, and a crash later",
        End::PersonThenCrash(&["kill", "-s", "HUP"]),
    ),
    row("restart", "`podman restart`", End::Person(&["restart", "-t", "2"])),
    row(
        "restart-then-crash",
        "`podman restart`, and a crash later",
        End::PersonThenCrash(&["restart", "-t", "2"]),
    ),
    Row {
        policy: "always",
        ..row("crash-always", "crash, policy always", End::Crash)
    },
    Row {
        policy: "always",
        ..row(
            "stop-always",
            "`podman stop`, policy always",
            End::Person(&["stop", "-t", "2"]),
        )
    },
    Row {
        policy: "always",
        ..row(
            "kill-always",
            "`podman kill`, policy always",
            End::Person(&["kill", "-s", "KILL"]),
        )
    },
];

/// What was seen.
pub(super) struct Seen {
    pub(super) version: String,
    /// The line with which the watchdog refused; or what it did instead.
    pub(super) refusal: std::result::Result<String, String>,
    /// For docs/podman.md.
    pub(super) rows: Value,
}

/// Podman in namespaces, its service running or not.
struct Podman {
    rig: Rig,
    dir: PathBuf,
    service: Option<Child>,
}

impl Podman {
    fn up(dir: &Path, kind: Kind) -> Result<Self> {
        let mut podman = Self {
            rig: Rig::hollow(dir, kind)?,
            dir: dir.canonicalize()?,
            service: None,
        };
        podman.serve()?;
        Ok(podman)
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("podman.sock")
    }

    /// A command of Podman that acts on what is here.
    fn words(&self, rest: &[&str]) -> Vec<String> {
        let dir = self.dir.display();
        let mut words = vec![
            "env".to_owned(),
            "PODMAN_IGNORE_CGROUPSV1_WARNING=1".to_owned(),
            "podman".to_owned(),
        ];
        let folders = [
            format!("--root={dir}/data"),
            format!("--runroot={dir}/run/pod"),
            format!("--tmpdir={dir}/run/tmp"),
        ];
        words.extend(folders);
        let flags = [
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            "--events-backend=file",
            "--runtime=runc",
        ];
        words.extend(flags.into_iter().chain(rest.iter().copied()).map(str::to_owned));
        words
    }

    fn serve(&mut self) -> Result<()> {
        let _gone = std::fs::remove_file(self.socket());
        let address = format!("unix://{}", self.socket().display());
        let words = self.words(&["system", "service", "--time=0", &address]);
        self.service = Some(self.rig.spawn(&words.iter().map(String::as_str).collect::<Vec<_>>())?);
        let answers = || {
            let answer = http::ask(&self.socket(), "GET", "/_ping", &[], Duration::from_secs(2));
            Ok(answer.is_ok_and(|it| it.status == 200).then_some(()))
        };
        let every = Duration::from_millis(50);
        interrupt::wait("Podman's answer", Instant::now(), CALL, every, answers).map(drop)
    }

    /// Ends its service; containers do not need it.
    fn stop_serving(&mut self) -> Result<()> {
        let mut service = self.service.take().context("it does not serve")?;
        let inner = child_of(service.id())?;
        Process::open(i32::try_from(inner)?)?.signal(Signal::KILL)?;
        service
            .wait()
            .map(drop)
            .context("waiting for the end of Podman's service")
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<http::Answer> {
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        http::ask(&self.socket(), method, path, &body, CALL).with_context(|| format!("{method} {path}"))
    }

    fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, &Value::Null)?.ok(path)?.json()
    }

    /// Does what a person types.
    fn person(&self, words: &[&str], name: &str) -> Result<()> {
        let words = self.words(&[words, &[name]].concat());
        sh::read(&mut self.rig.inside(&words.iter().map(String::as_str).collect::<Vec<_>>())?).map(drop)
    }

    fn run(&self, name: &str, row: &Row) -> Result<String> {
        let spec = Spec::new("podman", name).policy(row.policy);
        let spec = row.env.iter().fold(spec, |spec, pair| spec.env(pair));
        let ctl = self.dir.join("ctl").join(name);
        std::fs::create_dir_all(&ctl)?;
        let mut settings = spec.settings(&ctl);
        settings["HostConfig"]["CgroupParent"] = format!("/{}", rig::cgroup(&self.dir)).into();
        let path = format!("/containers/create?name={name}");
        let made = self.call("POST", &path, &settings)?.ok(name)?.json()?;
        let id = made["Id"].as_str().context("Podman gives an id")?.to_owned();
        let start = format!("/containers/{id}/start");
        self.call("POST", &start, &Value::Null)?.ok(&start)?;
        Ok(id)
    }

    fn end(&self, name: &str, id: &str, end: End) -> Result<()> {
        let crash = || init::of(id)?.signal(Signal::KILL);
        match end {
            End::Alone => Ok(()),
            End::Crash => crash(),
            End::Person(words) => self.person(words, name),
            End::PersonThenCrash(words) => {
                self.person(words, name)?;
                std::thread::sleep(Duration::from_secs(1));
                crash()
            }
        }
    }

    /// The words of the events of a container, oldest first, after its first start.
    fn events(&self, path: &str, id: &str, since: u64) -> Result<String> {
        let filters = percent_encode(&json!({ "container": [id] }).to_string());
        let until = now()? + 1;
        let path = format!("{path}?stream=false&since={since}&until={until}&filters={filters}");
        let answer = self.call("GET", &path, &Value::Null)?.ok(&path)?;
        let events = serde_json::Deserializer::from_slice(&answer.body).into_iter::<Value>();
        let events = events.collect::<serde_json::Result<Vec<Value>>>().context("events")?;
        let word = |it: &Value| {
            let of = &it["Actor"]["Attributes"];
            let detail = ["signal", "containerExitCode"].map(|key| of[key].as_str().map(|it| format!(" {it}")));
            let detail: String = detail.into_iter().flatten().collect();
            let action = it["Action"].as_str().unwrap_or_default();
            match action {
                "create" | "init" | "cleanup" => None,
                _ => Some(format!(
                    "{action}{}",
                    if action.starts_with("die") {
                        detail
                    } else {
                        String::new()
                    }
                )),
            }
        };
        let words: Vec<String> = events.iter().filter_map(word).collect();
        Ok(words.join(", "))
    }

    fn seen(&self, id: &str, since: u64) -> Result<Value> {
        let docker = self.get(&format!("/containers/{id}/json"))?["State"].take();
        let own = self.get(&format!("{LIBPOD}/containers/{id}/json"))?["State"].take();
        Ok(json!({
            "docker_events": self.events("/events", id, since)?,
            "own_events": self.events(&format!("{LIBPOD}/events"), id, since)?,
            "state": format!("{}, {}", docker["Status"].as_str().unwrap_or_default(), docker["ExitCode"]),
            // It is left out where it is false.
            "stopped_by_user": own["StoppedByUser"] == true,
        }))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // The namespaces end with the rig, and the service with them.
        if let Some(mut service) = self.service.take()
            && let Err(error) = self.rig.power_cut().and_then(|()| Ok(service.wait().map(drop)?))
        {
            errln!("while ending Podman: {error:#}");
        }
    }
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// Sees the refusal, and plays the rows.
///
/// # Errors
/// Podman cannot be started, or a row not played.
pub(super) fn see(programs: &Path, dir: &Path, kind: Kind) -> Result<Seen> {
    let mut podman = Podman::up(dir, kind)?;
    let path = "/images/create?fromSrc=-&repo=victim&tag=1";
    let tar = victims::victim_tar()?;
    let answer = http::ask(&podman.socket(), "POST", path, &tar, CALL)?;
    answer.ok("import of the victim's image")?;
    let version = podman.get("/version")?["Version"]
        .as_str()
        .unwrap_or("unknown")
        .to_owned();
    errln!("podman: {version}");
    let refusal = refusal(&podman, programs).map_err(|error| format!("{error:#}"));
    match &refusal {
        Ok(line) => errln!("podman: refused: {line}"),
        Err(error) => errln!("podman: not refused: {error}"),
    }
    let seen = rows(&mut podman, false)?;
    errln!("podman: {} ends seen while its service runs", ROWS.len());
    let away = rows(&mut podman, true)?;
    errln!("podman: the same while its service was away");
    let power = power_cut(&mut podman)?;
    let text = |row: &Row| row.words;
    let all: Vec<Value> = ROWS
        .iter()
        .zip(seen.into_iter().zip(away))
        .map(|(row, (seen, away))| json!({ "row": row.name, "words": text(row), "seen": seen, "away": away }))
        .collect();
    Ok(Seen {
        version,
        refusal,
        rows: json!({ "rows": all, "power_cut": power }),
    })
}

/// The watchdog is told to heal, with a crashed container there that is labelled.
fn refusal(podman: &Podman, programs: &Path) -> Result<String> {
    let id = podman.run("refused", &ROWS[0])?;
    init::of(&id)?.signal(Signal::KILL)?;
    let program = podman.dir.join("container-watchdog");
    std::fs::copy(programs.join("container-watchdog"), &program)?;
    let mut watchdog = Watchdog::new(&podman.dir, program, &podman.socket())?;
    watchdog.start(podman.rig.init_pid()?)?;
    let ended = || watchdog.has_ended();
    let every = Duration::from_millis(50);
    let (status, _) = interrupt::wait("the watchdog's refusal", Instant::now(), REFUSES, every, ended)?;
    let said = std::fs::read_to_string(watchdog.log())?;
    let line = said.lines().find(|line| line.contains("is Podman"));
    let line = line.with_context(|| format!("it ended with {status}, and does not say why: {said}"))?;
    ensure!(status.ends_with(": 2"), "it ended with {status}, not with exit code 2");
    let seen = podman.seen(&id, 0)?;
    ensure!(
        seen["state"] == "exited, 137",
        "the crashed container was touched: {}",
        seen["state"]
    );
    let from = line.find(" is Podman").map_or(0, |at| at + 1);
    Ok(line[from..].trim().to_owned())
}

/// Every end; with `away` the service is not there while they happen.
fn rows(podman: &mut Podman, away: bool) -> Result<Vec<Value>> {
    let since = now()?;
    let mut made = Vec::new();
    for row in ROWS {
        interrupt::check()?;
        let name = format!("{}{}", row.name, if away { "-away" } else { "" });
        made.push((name.clone(), podman.run(&name, &row)?));
    }
    if away {
        podman.stop_serving()?;
    }
    for (row, (name, id)) in ROWS.iter().zip(&made) {
        podman.end(name, id, row.end).with_context(|| name.clone())?;
    }
    std::thread::sleep(SETTLES);
    if away {
        podman.serve()?;
    }
    made.iter().map(|(_, id)| podman.seen(id, since)).collect()
}

/// One runs and one was stopped when everything ends at once.
fn power_cut(podman: &mut Podman) -> Result<Value> {
    let runs = podman.run("power-runs", &ROWS[0])?;
    let stopped = podman.run("power-stopped", &ROWS[0])?;
    podman.person(&["stop", "-t", "2"], "power-stopped")?;
    podman.rig.power_cut()?;
    if let Some(mut service) = podman.service.take() {
        service.wait()?;
    }
    podman.rig.hold()?;
    podman.serve()?;
    let seen = |id: &str| {
        let state = podman.get(&format!("{LIBPOD}/containers/{id}/json"))?["State"].take();
        let status = state["Status"].as_str().unwrap_or_default().to_owned();
        anyhow::Ok(json!({ "state": status, "stopped_by_user": state["StoppedByUser"] == true }))
    };
    let seen = json!({ "ran": seen(&runs)?, "stopped": seen(&stopped)? });
    if seen["ran"]["state"] == "running" {
        bail!("a container runs after everything has ended");
    }
    Ok(seen)
}
