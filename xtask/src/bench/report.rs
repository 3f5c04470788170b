//! The bench's result: a table for people, JSON for programs, and whether what is to be reached was reached.

use super::Times;
use super::stats::Stats;
use crate::sh;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::process::Command;

/// Our median may be this many times the floor's.
const RATIO_MAX: f64 = 1.10;
/// 99 of 100 times, our own share may be this long.
const SHARE_P99_MS_MAX: f64 = 10.0;

/// The part of `docs/benchmarks.md` that is written by the bench.
const BEGIN: &str = "<!-- recover: written by `cargo xtask bench recover` -->";
const END: &str = "<!-- recover: end -->";

/// Prints; writes the documents unless `quick`; judges the host network.
///
/// # Errors
/// A document cannot be written, or a figure misses its mark.
pub(crate) fn publish(engine: &str, host: &Times, bridge: &Times, quick: bool) -> Result<()> {
    let machine = machine(engine);
    let table = table(&machine, host, bridge);
    outln!("\n{table}");
    let ratio = ratio(host);
    let share = Stats::of(&host.share).p99_ms;
    if !quick {
        let json = json!({
            "bench": "recover",
            "machine": machine,
            "to_reach": { "median_ratio_max": RATIO_MAX, "share_p99_ms_max": SHARE_P99_MS_MAX },
            "median_ratio": (ratio * 1000.0).round() / 1000.0,
            "host": network(host),
            "bridge": network(bridge),
        });
        let docs = sh::root().join("docs");
        std::fs::create_dir_all(docs.join("benchmarks"))?;
        let text = serde_json::to_string_pretty(&json)? + "\n";
        std::fs::write(docs.join("benchmarks/recover.json"), text).context("docs/benchmarks/recover.json")?;
        let path = docs.join("benchmarks.md");
        let page = std::fs::read_to_string(&path).context("docs/benchmarks.md")?;
        std::fs::write(&path, insert(&page, &table)?).context("docs/benchmarks.md")?;
    }
    let mut missed = Vec::new();
    if RATIO_MAX < ratio {
        missed.push(format!(
            "the median is {ratio:.3} times the floor's, at most {RATIO_MAX} is to be reached"
        ));
    }
    if SHARE_P99_MS_MAX < share {
        missed.push(format!(
            "our own share is {share:.2} ms (p99), at most {SHARE_P99_MS_MAX} is to be reached"
        ));
    }
    if !missed.is_empty() {
        bail!("{}", missed.join("; "));
    }
    outln!(
        "reached: median {ratio:.3} times the floor's (at most {RATIO_MAX}), own share p99 {share:.2} ms (at most {SHARE_P99_MS_MAX})"
    );
    Ok(())
}

fn ratio(times: &Times) -> f64 {
    Stats::of(&times.ours).median_ms / Stats::of(&times.floor).median_ms
}

fn network(times: &Times) -> Value {
    json!({
        "watchtree": Stats::of(&times.ours).json(),
        "floor": Stats::of(&times.floor).json(),
        "restart_always": Stats::of(&times.always).json(),
        "own_share": Stats::of(&times.share).json(),
    })
}

fn table(machine: &Value, host: &Times, bridge: &Times) -> String {
    let mut text = format!(
        "{} CPUs, kernel {}, engine {} ({}), {}.\n\n| network | arm | n | median ms | p95 ms | p99 ms |\n|---|---|--:|--:|--:|--:|\n",
        machine["cpus"],
        word(&machine["kernel"]),
        word(&machine["engine"]),
        word(&machine["storage"]),
        word(&machine["day"]),
    );
    for (network, times) in [("host", host), ("bridge", bridge)] {
        let arms = [
            ("Watchtree", &times.ours),
            ("floor: wait for `die`, post `/start`", &times.floor),
            ("engine's `--restart always`, after > 10 s up", &times.always),
            (
                "Watchtree's own share: event on the socket → start request on the socket",
                &times.share,
            ),
        ];
        for (arm, times) in arms {
            let stats = Stats::of(times);
            let digits = if arm.contains("share") { 2 } else { 1 };
            text.push_str(&format!(
                "| {network} | {arm} | {} | {:.digits$} | {:.digits$} | {:.digits$} |\n",
                stats.n, stats.median_ms, stats.p95_ms, stats.p99_ms
            ));
        }
    }
    text.push_str(&format!(
        "\nMedian against the floor: host {:.3}, bridge {:.3}.\n",
        ratio(host),
        ratio(bridge)
    ));
    text
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

/// What the figures depend on.
fn machine(engine: &str) -> Value {
    let first =
        |command: &mut Command| sh::read(command).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
    json!({
        "cpus": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "kernel": first(Command::new("uname").arg("-r")),
        "engine": engine,
        "storage": first(Command::new("docker").args(["info", "--format", "{{.Driver}}"])),
        "day": first(Command::new("date").args(["-u", "+%Y-%m-%d"])),
    })
}

/// Puts the table between the marks.
fn insert(page: &str, table: &str) -> Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("docs/benchmarks.md has no line {BEGIN}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("docs/benchmarks.md has no line {END}"))?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, insert};

    #[test]
    fn the_table_replaces_what_stood_between_the_marks() {
        let page = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        let new = insert(&page, "new\n").expect("both marks are there");
        assert_eq!(new, format!("# Title\n{BEGIN}\n\nnew\n\n{END}\nrest\n"));
        assert_eq!(insert(&new, "new\n").expect("still there"), new);
        assert!(insert("no marks", "new").is_err());
    }
}
