//! A container-watchdog alone, as a real process in a folder of its own: started, killed, frozen, asked.

use crate::programs;
use crate::stopwatch::Stopwatch;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Another healer may act on this engine just now (a demo, another run): it is waited for.
const ENGINE_FREE_WITHIN: Duration = Duration::from_secs(300);

/// The daemon and its folder. Dropping it kills the process.
pub struct Healer {
    folder: tempfile::TempDir,
    program: PathBuf,
    child: Option<Child>,
}

impl Healer {
    /// Starts one that heals the labelled containers which carry `label` too (`key=value`), and waits until it knows them.
    ///
    /// # Errors
    /// It does not come up; its log is in the error.
    pub fn start(label: &str, more: &str) -> Result<Self> {
        let mut healer = Self::prepare(label, "/var/run/docker.sock".as_ref(), more)?;
        healer.run(&[])?;
        Ok(healer)
    }

    /// Writes the configuration and starts nothing. `more` is put at its end.
    ///
    /// # Errors
    /// The folder cannot be made, or the program is missing.
    pub fn prepare(label: &str, socket: &Path, more: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("wt-healer-").tempdir()?;
        let at = folder.path().display();
        let select = if label.is_empty() {
            String::new()
        } else {
            format!("select = [\"{label}\"]\n")
        };
        let config = format!(
            "name = \"h1\"\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\n[log]\nlevel = \"debug,watchtree_docker=trace\"\n\
             [[engine]]\nname = \"docker\"\nsocket = \"{}\"\n{select}{more}",
            socket.display()
        );
        std::fs::write(folder.path().join("host.toml"), config)?;
        Ok(Self {
            folder,
            program: programs::program("container-watchdog")?,
            child: None,
        })
    }

    /// From now on runs the test build that can end itself at a fault point.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn use_faulty_build(&mut self) -> Result<()> {
        self.program = programs::faulty_container_watchdog()?;
        Ok(())
    }

    /// Starts it (again) with these variables and waits until it is ready.
    ///
    /// # Errors
    /// It does not come up; its log is in the error.
    pub fn run(&mut self, env: &[(&str, &str)]) -> Result<()> {
        let began = Stopwatch::start();
        loop {
            self.spawn(env)?;
            match self.await_ready(Duration::from_secs(20)) {
                Ok(()) => return Ok(()),
                Err(_) if self.ended_with(8)? && began.elapsed() < ENGINE_FREE_WITHIN => {
                    eprintln!("another healer acts on this engine: waiting for it to end");
                    std::thread::sleep(Duration::from_secs(2));
                }
                Err(error) => return Err(error.context(self.log())),
            }
        }
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// The system refuses.
    pub fn spawn(&mut self, env: &[(&str, &str)]) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--engine", "docker", "--config"])
            .arg(self.folder.path().join("host.toml"));
        command
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until it says that it knows the containers.
    ///
    /// # Errors
    /// It ended, or is not ready in time.
    pub fn await_ready(&mut self, within: Duration) -> Result<()> {
        let began = Stopwatch::start();
        loop {
            if self.get("/readyz").is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().context("it was not started")?.try_wait()? {
                bail!("it ended with {status}");
            }
            ensure!(began.elapsed() < within, "it is not ready within {within:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks its status socket: status and body.
    ///
    /// # Errors
    /// Nobody answers within 20 s.
    pub fn get(&self, path: &str) -> Result<(u16, serde_json::Value)> {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    /// Posts a JSON body to its status socket.
    ///
    /// # Errors
    /// As of [`Healer::get`].
    pub fn post(&self, path: &str, body: &serde_json::Value) -> Result<(u16, serde_json::Value)> {
        let body = body.to_string();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n");
        self.http(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    }

    fn http(&self, request: &str) -> Result<(u16, serde_json::Value)> {
        let mut stream = UnixStream::connect(self.folder.path().join("run/container-docker.sock"))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split_ascii_whitespace().nth(1).context("a status")?.parse()?;
        let body = answer.split_once("\r\n\r\n").context("a body")?.1;
        Ok((status, serde_json::from_str(body)?))
    }

    /// What it says of a subject such as `h1/docker/wt-victim`.
    ///
    /// # Errors
    /// It knows no such subject.
    pub fn explain(&self, subject: &str) -> Result<serde_json::Value> {
        let (status, body) = self.get(&format!("/api/v1/explain?subject={subject}"))?;
        ensure!(status == 200, "{status}: {body}");
        Ok(body)
    }

    /// Waits until the subject is in that state (`given_up`), and tells how long that took.
    ///
    /// # Errors
    /// It was not in time; what it was is in the error.
    pub fn await_state(&self, subject: &str, state: &str, within: Duration) -> Result<Duration> {
        let began = Stopwatch::start();
        let mut last = String::new();
        while began.elapsed() < within {
            match self.explain(subject) {
                Ok(body) if body["current"]["state"] == state => return Ok(began.elapsed()),
                Ok(body) => last = body["current"].to_string(),
                Err(error) => last = error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{subject} is not {state} within {within:?}: {last}\n{}", self.log())
    }

    /// Its process id.
    ///
    /// # Errors
    /// It was not started.
    pub fn pid(&self) -> Result<String> {
        Ok(self.child.as_ref().context("it was not started")?.id().to_string())
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// It was not started.
    pub fn kill(&mut self) -> Result<()> {
        let child = self.child.as_mut().context("it was not started")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends a signal by name (`STOP`, `CONT`, `TERM`).
    ///
    /// # Errors
    /// It is not running.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid()?])
            .status()?;
        ensure!(status.success(), "cannot send {name}");
        Ok(())
    }

    /// Waits for its own end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn await_end(&mut self, within: Duration) -> Result<ExitStatus> {
        let began = Stopwatch::start();
        loop {
            if let Some(status) = self.child.as_mut().context("it was not started")?.try_wait()? {
                return Ok(status);
            }
            ensure!(
                began.elapsed() < within,
                "it does not end within {within:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ended_with(&mut self, code: i32) -> Result<bool> {
        let child = self.child.as_mut().context("it was not started")?;
        Ok(child.try_wait()?.is_some_and(|status| status.code() == Some(code)))
    }

    /// Everything it has logged, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Its folder: `host.toml`, `state`, `run`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Healer {
    fn drop(&mut self) {
        // Shown only where the test failed.
        eprintln!("{}", self.log());
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
