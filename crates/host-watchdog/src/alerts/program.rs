//! Tells a person by a program of theirs: the message on its standard input, the gist in variables.
//!
//! Contract: one run for each attempt, with a deadline; a program that is over its time is killed. Exit code 0 = told. It gets no
//! variable of this daemon but `PATH`. Does not know what the message says beyond what it hands over.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use watchtree_notify::{Deliver, Failed};

/// Most of the program's last line that is passed on, in bytes.
const LINE_BYTES_MAX: usize = 256;
/// Longest variable, in bytes.
const VARIABLE_BYTES_MAX: usize = 1024;
/// Where programs are looked for if this daemon was not told.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// See the file's head.
pub(super) struct Program {
    program: PathBuf,
    arguments: Vec<String>,
    deadline: Duration,
}

impl Program {
    pub(super) fn new(program: PathBuf, arguments: Vec<String>, deadline: Duration) -> Self {
        Self {
            program,
            arguments,
            deadline,
        }
    }

    async fn run(&self, body: &str) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().kill_on_drop(true);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()));
        for (name, value) in variables(body) {
            command.env(name, value);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read it may be content with the variables.
            let _ = stdin.write_all(body.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let mut line = text.trim_end().lines().next_back().unwrap_or_default().to_owned();
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        Err(format!("{}: {line}", output.status))
    }
}

impl Deliver for Program {
    fn deliver(&mut self, body: &str) -> Result<(), Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
            let run = runtime.block_on(async { tokio::time::timeout(self.deadline, self.run(body)).await });
            run.unwrap_or_else(|_| Err(format!("not done within {} s: killed", self.deadline.as_secs_f32())))
        });
        result.map_err(|why| Failed {
            why: format!("{}: {why}", self.program.display()),
            is_worth_a_retry: true,
        })
    }
}

/// What a short script needs: what changed, of whom, to what, and one line.
fn variables(body: &str) -> Vec<(&'static str, String)> {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |value: &serde_json::Value| {
        // A variable cannot hold a NUL, and nobody expects lines in it.
        let text = value.as_str().unwrap_or_default();
        let mut text: String = text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        text.truncate(text.floor_char_boundary(VARIABLE_BYTES_MAX));
        text
    };
    let incident = &body["incident"];
    vec![
        ("WATCHTREE_CHANGE", text(&body["change"])),
        ("WATCHTREE_SUBJECT", text(&incident["subject"])),
        ("WATCHTREE_STATE", text(&incident["state"])),
        ("WATCHTREE_TEXT", text(&body["text"])),
    ]
}
