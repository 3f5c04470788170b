//! How a time is written in labels and in what people are shown: `500ms`, `30s`, `10m`, `7d`. Knows no limit.

use crate::time::Duration;
use alloc::format;
use alloc::string::{String, ToString};

/// Reads one; a number alone is seconds.
pub(crate) fn read_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// Writes one, with the largest unit that divides it.
pub(crate) fn shown(time: Duration) -> String {
    let millis = time.as_millis();
    for (unit, factor) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis != 0 && millis.is_multiple_of(factor) {
            return format!("{}{unit}", millis / factor);
        }
    }
    if millis == 0 {
        "0s".to_string()
    } else {
        format!("{millis}ms")
    }
}
