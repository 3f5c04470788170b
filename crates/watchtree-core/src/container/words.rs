//! How times are written in texts for people. Knows nothing else.

use crate::time::Duration;
use alloc::format;
use alloc::string::String;

/// `0.12 s` below 10 s, `12 s` above.
pub(crate) fn secs(time: Duration) -> String {
    let millis = time.as_millis();
    if millis < 10_000 {
        format!("{}.{:02} s", millis / 1000, millis % 1000 / 10)
    } else {
        format!("{} s", millis / 1000)
    }
}
