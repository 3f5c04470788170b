//! The conditions of a measurement: the machine, its load, the engine, and the commit.
//!
//! What cannot be read is `unknown` and fails nothing. It does not know what was measured.

use crate::engine::Engine;
use crate::sh;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Looks at the machine when the measuring begins; the rest is added by [`Machine::json`] at its end.
pub(crate) struct Machine {
    engine: Engine,
    load: String,
    built: bool,
}

impl Machine {
    /// `programs`: whether they were given, and not built from this tree.
    pub(crate) fn begin(engine: &Engine, programs: Option<&Path>) -> Self {
        Self {
            engine: engine.clone(),
            load: load(),
            built: programs.is_none(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let (day, kernel) = day_and_kernel();
        let commit = commit(self.built);
        json!({
            "cpus": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            "kernel": kernel,
            "engine": self.engine.version().unwrap_or_else(|_| "unknown".to_owned()),
            "storage": self.engine.storage().unwrap_or_else(|_| "unknown".to_owned()),
            "day": day,
            "commit": commit,
            "load": format!("{} to {}", self.load, load()),
        })
    }
}

/// The commit that the programs were built from; `built`: whether they were, and not given.
pub(crate) fn commit(built: bool) -> String {
    match built {
        true => read("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        false => "programs that were given".to_owned(),
    }
}

/// The day, and the kernel by its series.
pub(crate) fn day_and_kernel() -> (String, String) {
    (read("date", &["-u", "+%Y-%m-%d"]), series(&read("uname", &["-r"])))
}

fn read(program: &str, arguments: &[&str]) -> String {
    let text = sh::read(Command::new(program).current_dir(sh::root()).args(arguments));
    text.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Average number of processes that ran or wanted to, in the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// `6.1` of `6.1.0-18-amd64`: what follows names one build, and says nothing about a figure.
fn series(release: &str) -> String {
    release.split(['.', '-']).take(2).collect::<Vec<_>>().join(".")
}

/// In words, for a document.
pub(crate) fn words(machine: &Value) -> String {
    let word = |key: &str| machine[key].as_str().unwrap_or("unknown").to_owned();
    format!(
        "{} CPUs, kernel {}, engine {} ({}), load {}, commit {}, {}",
        machine["cpus"],
        word("kernel"),
        word("engine"),
        word("storage"),
        word("load"),
        word("commit"),
        word("day"),
    )
}

#[cfg(test)]
mod tests {
    use super::series;

    #[test]
    fn a_kernel_is_named_by_its_series() {
        assert_eq!(series("6.1.0-18-amd64"), "6.1");
        assert_eq!(series("6.12-rc1"), "6.12");
        assert_eq!(series("unknown"), "unknown");
    }
}
