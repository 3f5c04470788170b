//! A daemon goes on when nobody reads its log any more.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use watchtree_runtime::logging::{LogFormat, init};

/// Set in the process that this test starts.
const FORMAT_ENV: &str = "WATCHTREE_TEST_LOG_FORMAT";

/// The part of that process: logs when its input ends, and says that it lives.
#[test]
fn daemon() {
    let Ok(format) = std::env::var(FORMAT_ENV) else { return };
    let format = if format == "json" {
        LogFormat::Json
    } else {
        LogFormat::Text
    };
    init("info", format).expect("a level");
    let _ = std::io::stdin().read_line(&mut String::new());
    for count in 0..10 {
        tracing::info!(count, "a line that nobody reads");
    }
    println!("LIVES");
}

#[test]
fn a_broken_log_ends_nothing() {
    for format in ["text", "json"] {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "daemon", "--nocapture"])
            .env(FORMAT_ENV, format)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        drop(child.stderr.take());
        drop(child.stdin.take());
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let lines: Vec<String> = lines.map_while(Result::ok).collect();
        assert!(lines.iter().any(|line| line.contains("LIVES")), "{format}: {lines:?}");
        assert!(child.wait().expect("it ends").success());
    }
}
