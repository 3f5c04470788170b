//! The last lines of a container's log.
//!
//! Contract: what has come by the deadline is returned; a log that cannot be read (a driver that keeps none, an engine that does not
//! answer) is an error in words. Bounded: the newest lines are kept. Decides nothing.

use crate::engine::Engine;
use crate::error::engine_error;
use crate::timestamp::engine_time;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::timeout;
use watchtree_core::container::io::{EngineError, EngineTime};

/// Which part of a log.
#[derive(Clone, Copy, Debug)]
pub struct LastLines {
    /// From then on; 0 = from its beginning.
    pub since: EngineTime,
    /// Up to then; 0 = up to its end.
    pub until: EngineTime,
    /// So many lines at most.
    pub lines_max: u32,
    /// So many bytes at most.
    pub bytes_max: usize,
    /// The deadline, body included.
    pub within: Duration,
}

/// Those lines, oldest first, each with its stamp.
///
/// # Errors
/// In words.
pub async fn last_lines(engine: &Engine, id: &str, which: LastLines) -> Result<Vec<String>, String> {
    let mut kept = Kept::new(which);
    let read = read(engine, id, which, &mut kept);
    match timeout(which.within, read).await {
        Ok(Ok(())) => Ok(kept.lines()),
        Ok(Err(error)) => Err(words(error)),
        Err(_) if kept.lines.is_empty() => Err("the engine did not answer in time".to_owned()),
        Err(_) => Ok(kept.lines()),
    }
}

async fn read(engine: &Engine, id: &str, which: LastLines, kept: &mut Kept) -> Result<(), EngineError> {
    const NANOS: u64 = 1_000_000_000;
    let (docker, _) = engine.handle(id)?;
    let seconds = |nanos: u64| i32::try_from(nanos).unwrap_or(i32::MAX);
    let mut options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .tail(&which.lines_max.to_string())
        .since(seconds(which.since.0 / NANOS));
    if which.until != EngineTime(0) {
        // Whole seconds: what is of the next life is left out by its stamp.
        options = options.until(seconds(which.until.0.div_ceil(NANOS)));
    }
    let mut output = docker.logs(id, Some(options.build()));
    while let Some(part) = output.next().await {
        let part = part.map_err(|error: Error| engine_error(engine.socket(), id, error))?;
        kept.add(&part.into_bytes());
    }
    Ok(())
}

fn words(error: EngineError) -> String {
    match error {
        EngineError::NotFound => "the container is gone".to_owned(),
        EngineError::Refused { status, message } => format!("the engine says: {message} ({status})"),
        EngineError::Deadline => "the engine did not answer in time".to_owned(),
        EngineError::Unreachable(why) | EngineError::BadAnswer(why) => why,
    }
}

/// The newest lines.
struct Kept {
    which: LastLines,
    lines: VecDeque<String>,
    bytes: usize,
}

impl Kept {
    fn new(which: LastLines) -> Self {
        let (lines, bytes) = (VecDeque::new(), 0);
        Self { which, lines, bytes }
    }

    fn add(&mut self, part: &[u8]) {
        for line in String::from_utf8_lossy(part).lines() {
            let stamp = engine_time(line.split(' ').next().unwrap_or_default());
            let is_outside =
                stamp < self.which.since || (self.which.until != EngineTime(0) && self.which.until < stamp);
            if stamp != EngineTime(0) && is_outside {
                continue;
            }
            let line: String = line
                .chars()
                .map(|it| if it.is_control() && it != '\t' { '?' } else { it })
                .collect();
            let end = (0..=self.which.bytes_max.min(line.len())).rev();
            let end = end.into_iter().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            self.bytes += end;
            self.lines.push_back(line[..end].to_owned());
            while self.which.bytes_max < self.bytes || (self.which.lines_max as usize) < self.lines.len() {
                self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
            }
        }
    }

    fn lines(self) -> Vec<String> {
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    //! What is kept of a log.
    use super::*;

    fn kept(lines_max: u32, bytes_max: usize, parts: &[&str]) -> Vec<String> {
        let which = LastLines {
            since: engine_time("2026-01-01T00:00:01Z"),
            until: engine_time("2026-01-01T00:00:09.5Z"),
            lines_max,
            bytes_max,
            within: Duration::ZERO,
        };
        let mut kept = Kept::new(which);
        parts.iter().for_each(|part| kept.add(part.as_bytes()));
        kept.lines()
    }

    #[test]
    fn the_newest_lines_of_that_life_are_kept() {
        let line = |second: &str, text: &str| format!("2026-01-01T00:00:{second}Z {text}");
        let log: Vec<String> = [
            ("00.9", "before"),
            ("01.1", "one"),
            ("05", "two"),
            ("09.5", "three"),
            ("09.6", "next"),
        ]
        .map(|(second, text)| line(second, text))
        .into();
        let parts: Vec<&str> = log.iter().map(String::as_str).collect();
        assert_eq!(kept(100, 1000, &parts), log[1..4]);
        assert_eq!(kept(2, 1000, &parts), log[2..4]);
        assert_eq!(kept(100, log[2].len() + log[3].len(), &parts), log[2..4]);
        assert_eq!(kept(100, 10, &["no stamp at all"]), ["no stamp a"]);
        assert_eq!(kept(100, 100, &["a\u{1b}[31m red\ttab\n"]), ["a?[31m red\ttab"]);
        assert_eq!(kept(0, 100, &["x"]), Vec::<String>::new());
    }
}
