//! Tells a person by a program of theirs: the message on its standard input, the gist in variables.
//!
//! Contract: one run for each attempt, with a deadline; a program that is over its time is killed. Exit code 0 = told. It gets no
//! variable of this daemon but `PATH`. What it leaves running in the background is not waited for. Does not know what the message says
//! beyond what it hands over.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use watchtree_notify::{Deliver, Failed};

/// Most of the program's last line that is passed on, in bytes.
const LINE_BYTES_MAX: usize = 256;
/// Most of what it says on its standard error that is kept, in bytes, counted from the end.
const SAID_BYTES_MAX: usize = 4096;
/// How long its last words may take to be read after its end: something it left behind may hold the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_millis(100);
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
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let mut said = Vec::new();
        let talk = async {
            tokio::join!(hand_over(stdin, body), read_end(stderr, &mut said));
            std::future::pending::<Infallible>().await
        };
        let status = tokio::select! {
            status = ended(&mut child) => status.map_err(|error| error.to_string())?,
            never = talk => match never {},
        };
        if status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&said);
        let mut line = text.trim_end().lines().next_back().unwrap_or_default().to_owned();
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        Err(format!("{status}: {line}"))
    }
}

/// Gives it the message. One that does not read it may be content with the variables.
async fn hand_over(stdin: Option<ChildStdin>, body: &str) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(body.as_bytes()).await;
    }
}

/// Reads what it says until it closes the pipe; keeps the end.
async fn read_end(stderr: Option<ChildStderr>, said: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let mut piece = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        said.extend_from_slice(&piece[..count]);
        let surplus = said.len().saturating_sub(SAID_BYTES_MAX);
        said.drain(..surplus);
    }
}

/// Its own end, not that of what it left behind; after a failure with the time its last words need.
async fn ended(child: &mut Child) -> std::io::Result<ExitStatus> {
    let status = child.wait().await?;
    if !status.success() {
        tokio::time::sleep(LAST_WORDS).await;
    }
    Ok(status)
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
