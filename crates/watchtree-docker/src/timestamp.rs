//! The engine's time stamps (RFC 3339 with up to nine decimals) as nanoseconds since 1970.

use watchtree_core::container::io::EngineTime;

/// Reads `2026-11-22T20:16:01.123456789Z` or the same with an offset. The engine's zero (`0001-01-01T00:00:00Z`),
/// anything before 1970 and anything that cannot be read is 0: "never".
pub(crate) fn engine_time(text: &str) -> EngineTime {
    EngineTime(parse(text).unwrap_or(0))
}

fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut fields = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut fields = clock.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second)
        && (1..=9999).contains(&year);
    if !in_range {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = seconds - offset_secs(zone)?;
    u64::try_from(seconds)
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(nanoseconds(fraction)?)
}

/// `5` is half a second: the digits are decimals, filled up to nine; more are cut.
fn nanoseconds(fraction: &str) -> Option<u64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    digits.parse().ok()
}

fn offset_secs(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    // No place on earth is further off, and the sum of what is cannot be had.
    let in_range = (0..24).contains(&hours) && (0..60).contains(&minutes);
    in_range.then(|| sign * (hours * 3600 + minutes * 60))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years are counted from March, so that the leap day is last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_stamps() {
        assert_eq!(engine_time("1970-01-01T00:00:00Z").0, 0);
        assert_eq!(engine_time("2000-02-29T12:00:00Z").0, 951_825_600_000_000_000);
        assert_eq!(
            engine_time("2026-11-22T20:16:01.123456789Z").0,
            1_795_378_561_123_456_789
        );
        assert_eq!(engine_time("2026-11-22T22:16:01.5+02:00").0, 1_795_378_561_500_000_000);
        assert_eq!(
            engine_time("2026-11-22T14:46:01.000000001-05:30").0,
            1_795_378_561_000_000_001
        );
    }

    #[test]
    fn never_and_nonsense_are_zero() {
        for text in [
            "0001-01-01T00:00:00Z",
            "",
            "T",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T::Z",
            "2026-01-01T00:00:00+9223372036854775807:00",
            "2026-01-01T00:00:00+00:9223372036854775807",
            "2026-01-01T00:00:00+24:00",
        ] {
            assert_eq!(engine_time(text).0, 0, "{text}");
        }
    }
}
