//! The result of the bench: a table for people, JSON for programs, and whether the targets were reached.
//!
//! It does not know how the times were measured.

use super::stats::{Stats, Times};
use crate::figures;
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// Our median may be this many times the floor's.
const RATIO_MAX: f64 = 1.05;
/// 99 of 100 times, our own share may be this long.
const SHARE_P99_MS_MAX: f64 = 5.0;

/// Prints; writes the documents if `record`; judges the host network.
///
/// # Errors
/// A document cannot be written, or a figure misses its mark.
pub(crate) fn publish(machine: &Value, host: &Times, bridge: &Times, record: bool) -> Result<()> {
    let (host, bridge) = (network(host), network(bridge));
    let ratio = figures::ratio(&host);
    let share = host["own_share"]["p99_ms"].as_f64().unwrap_or(f64::INFINITY);
    let json = json!({
        "bench": "recover",
        "machine": machine,
        "to_reach": { "median_ratio_max": RATIO_MAX, "share_p99_ms_max": SHARE_P99_MS_MAX },
        "median_ratio": (ratio * 1000.0).round() / 1000.0,
        "host": host,
        "bridge": bridge,
    });
    outln!("\n{}\n", figures::recover_table(&json));
    if record {
        figures::publish(figures::RECOVER, &json)?;
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

fn network(times: &Times) -> Value {
    json!({
        "watchtree": Stats::of(&times.ours).json(),
        "floor": Stats::of(&times.floor).json(),
        "restart_always": Stats::of(&times.always).json(),
        "own_share": Stats::of(&times.share).json(),
    })
}
