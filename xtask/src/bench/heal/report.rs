//! The figures of the bench as JSON, and whether each reaches its bar. It does not know how they were measured.

use super::hang::Hangs;
use super::wave::{OURS, Waves};
use crate::bench::recover::stats::{Stats, Times};
use serde_json::{Value, json};
use std::time::Duration;

/// Crash: our median may be this many times the floor's.
const CRASH_RATIO_MAX: f64 = 1.05;
/// Many at once: our median may be this many times the best of those by hand.
const WAVE_RATIO_MAX: f64 = 1.0;
/// The engine's end: as above. Our own bar: whoever starts them by hand knows which ran, and need not ask the new engine what it did.
const OUTAGE_RATIO_MAX: f64 = 2.0;
/// Hangs: the worst of ours may be this many times the median of the floor's.
const HANG_RATIO_MAX: f64 = 2.0;

/// What was measured.
pub(super) struct Measured {
    pub(super) crash: Times,
    pub(super) hangs: Hangs,
    pub(super) waves: Waves,
    pub(super) outages: Waves,
}

/// One figure and the most that it may be.
struct Bar {
    what: &'static str,
    value: f64,
    most: f64,
}

impl Measured {
    /// Everything but the machine.
    pub(super) fn json(&self) -> Value {
        let (ours, floor) = (Stats::of(&self.crash.ours), Stats::of(&self.crash.floor));
        let bars = self.bars().map(|bar| {
            let is_met = bar.value <= bar.most;
            json!({ "what": bar.what, "value": round(bar.value), "most": bar.most, "is_met": is_met })
        });
        json!({
            "crash": { "watchtree": ours.json(), "floor": floor.json() },
            "hangs": { "watchtree": hangs(&self.hangs.ours), "floor": hangs(&self.hangs.floor) },
            "waves": waves(&self.waves),
            "outages": waves(&self.outages),
            "bars": bars,
        })
    }

    fn bars(&self) -> [Bar; 4] {
        let crash = Stats::of(&self.crash.ours).median_ms / Stats::of(&self.crash.floor).median_ms;
        // One that did not come back is worse than all.
        let worst = self
            .hangs
            .ours
            .iter()
            .map(|took| took.map_or(f64::INFINITY, |took| took.as_secs_f64()));
        let floor: Vec<Duration> = self.hangs.floor.iter().flatten().copied().collect();
        let worst = worst.fold(0.0, f64::max) * 1000.0 / Stats::of(&floor).median_ms;
        [
            Bar {
                what: "crash: median against the floor's",
                value: crash,
                most: CRASH_RATIO_MAX,
            },
            Bar {
                what: "hangs: worst against the floor's median",
                value: worst,
                most: HANG_RATIO_MAX,
            },
            Bar {
                what: "all killed at once: median against the best by hand",
                value: against_best(&self.waves),
                most: WAVE_RATIO_MAX,
            },
            Bar {
                what: "engine killed: median against the best by hand",
                value: against_best(&self.outages),
                most: OUTAGE_RATIO_MAX,
            },
        ]
    }
}

fn against_best(waves: &Waves) -> f64 {
    let median = |times: &Vec<Duration>| Stats::of(times).median_ms;
    let by_hand = waves
        .iter()
        .filter(|(arm, _)| **arm != OURS)
        .map(|(_, times)| median(times));
    waves.get(&OURS).map_or(f64::INFINITY, median) / by_hand.fold(f64::INFINITY, f64::min)
}

fn waves(waves: &Waves) -> Value {
    let arm = |(arm, times): (&usize, &Vec<Duration>)| {
        let mut json = Stats::of(times).json();
        json["parallel"] = (*arm).into();
        json
    };
    waves.iter().map(arm).collect()
}

fn hangs(times: &[Option<Duration>]) -> Value {
    let all: Vec<Duration> = times.iter().flatten().copied().collect();
    let each: Vec<Option<f64>> = times
        .iter()
        .map(|took| took.map(|took| round(took.as_secs_f64())))
        .collect();
    json!({ "each_s": each, "stats": Stats::of(&all).json() })
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    //! Which figure is held against which.
    use super::{Hangs, Measured, Times, Waves};
    use std::time::Duration;

    #[test]
    fn ours_is_held_against_the_best_by_hand_and_what_never_came_back_misses() {
        let s = Duration::from_secs;
        let wave = Waves::from([
            (0, vec![s(5), s(7), s(6)]),
            (1, vec![s(9)]),
            (2, vec![s(4)]),
            (8, vec![s(8)]),
        ]);
        let measured = Measured {
            crash: Times {
                ours: vec![s(3)],
                floor: vec![s(2)],
                ..Times::default()
            },
            hangs: Hangs {
                ours: vec![Some(s(3)), None],
                floor: vec![Some(s(3)), Some(s(3))],
            },
            waves: wave.clone(),
            outages: wave,
        };
        let values = measured.bars().map(|bar| bar.value);
        assert_eq!(values, [1.5, f64::INFINITY, 1.5, 1.5]);
        let json = measured.json();
        let met = [0, 1, 2, 3].map(|bar| json["bars"][bar]["is_met"] == true);
        assert_eq!(met, [false, false, false, true], "{json}");
        assert_eq!(json["hangs"]["watchtree"]["each_s"].to_string(), "[3.0,null]");
    }
}
