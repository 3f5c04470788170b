//! Differences between the model and an engine that are known and not mended. The list may only shrink: an entry that no
//! longer differs fails the test.

use crate::compare::Difference;

/// Row, part of the place, and why.
const KNOWN: &[(&str, &str, &str)] = &[
    ("check-exit-1", "FailingStreak", BUSY),
    ("check-exit-126", "FailingStreak", BUSY),
    ("check-exit-127", "FailingStreak", BUSY),
    ("check-times-out", "took_ms", BUSY),
    ("check-flaps", "LastCheck", BUSY),
    ("start-refused-joined-removed", "4 start db: answer.took_ms", BUSY),
    ("stop-t0", "3 stop web t=0", BUSY),
    ("stop-term-handler-20s-in-time", "2 start web: answer.took_ms", BUSY),
];

/// Only a time, or what follows from one.
const BUSY: &str = "the recorded machine was busier, or idler, than in the middle of all rows";

/// What is not known, and what is known and not so any more; one line each.
pub(crate) fn unknown(found: &[Difference]) -> Vec<String> {
    let is = |(row, place, _): &(&str, &str, &str), it: &Difference| *row == it.row && it.place.contains(place);
    let new = found.iter().filter(|it| !KNOWN.iter().any(|known| is(known, it)));
    let line = |it: &Difference| {
        format!(
            "{} [{}] {}\n    recorded: {}\n    model:    {}",
            it.row, it.engine, it.place, it.recorded, it.model
        )
    };
    let paid = KNOWN.iter().filter(|known| !found.iter().any(|it| is(known, it)));
    let paid = paid.map(|(row, place, _)| format!("{row}: {place} does not differ any more: take it from KNOWN"));
    new.map(line).chain(paid).collect()
}
