//! Moments, boots, ends of holds and lives that became well as a journal line writes them. Does not know what happened then.

use watchtree_core::container::record::{HoldEnd, StartupRecord};
use watchtree_core::id::BootId;
use watchtree_core::order::Verb;
use watchtree_core::subject::Incarnation;
use watchtree_core::time::{Duration, Moment, WallTime};

/// A moment, its boot in hex, and the wall clock.
pub(crate) type Stamp = (u64, String, u64);
/// The same in the core.
pub(crate) type CoreStamp = (Moment, BootId, WallTime);
/// The life that became well, when, and how many milliseconds that takes.
pub(crate) type Startup = (String, Stamp, u64);

/// Of a version that did not write it.
pub(crate) fn longest_hold() -> u64 {
    millis(Verb::HOLD_MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The end of a hold, and how long it was to last in milliseconds.
pub(crate) fn hold_line(end: &HoldEnd) -> (Stamp, u64) {
    (stamp(&(end.until, end.boot_id, end.until_wall)), millis(end.lasts))
}

/// See [`hold_line`].
pub(crate) fn hold_end(stamp: &Stamp, lasts_ms: u64) -> Option<HoldEnd> {
    let (until, boot_id, until_wall) = core_stamp(stamp)?;
    Some(HoldEnd {
        until,
        boot_id,
        until_wall,
        lasts: Duration::from_millis(lasts_ms),
    })
}

/// How the starts of a container went.
pub(crate) fn startup_line(it: &StartupRecord) -> Startup {
    (it.well.0.clone(), stamp(&it.well_at), millis(it.time_to_well))
}

/// See [`startup_line`].
pub(crate) fn core_startup((well, well_at, millis): &Startup) -> Option<StartupRecord> {
    Some(StartupRecord {
        well: Incarnation(well.clone()),
        well_at: core_stamp(well_at)?,
        time_to_well: Duration::from_millis(*millis),
    })
}

/// As it is written.
pub(crate) fn stamp((at, boot, wall): &CoreStamp) -> Stamp {
    (at.as_micros(), boot.to_string(), wall.0)
}

/// As it was.
pub(crate) fn core_stamp((at, boot, wall): &Stamp) -> Option<CoreStamp> {
    Some((Moment::from_micros(*at), BootId(hex16(boot)?), WallTime(*wall)))
}

/// Sixteen bytes of 32 hex digits.
pub(crate) fn hex16(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
