//! What breaks a rule today and is owed: the rules came after the files. The table may only shrink. A finding that is not in it
//! fails the run, and so does an entry that is found no more, or less often: take it out. Knows no rule.

use super::tree::Finding;
use std::collections::BTreeMap;

/// Check, file, how many findings.
const OWED: &[(&str, &str, usize)] = &[];

/// The findings that are not owed, and the entries that are owed no more.
pub(super) fn settle(found: Vec<(&'static str, Finding)>) -> Vec<(&'static str, Finding)> {
    settle_by(OWED, found)
}

fn settle_by(owed: &[(&str, &str, usize)], found: Vec<(&'static str, Finding)>) -> Vec<(&'static str, Finding)> {
    let mut left: BTreeMap<(&str, &str), usize> = owed
        .iter()
        .map(|&(check, file, count)| ((check, file), count))
        .collect();
    let mut rest = Vec::new();
    for (check, finding) in found {
        let file = finding.place.split(':').next().unwrap_or(&finding.place);
        match left
            .iter_mut()
            .find(|((of, at), count)| *of == check && *at == file && 0 < **count)
        {
            Some((_, count)) => *count -= 1,
            None => rest.push((check, finding)),
        }
    }
    for ((check, file), count) in left.into_iter().filter(|(_, count)| 0 < *count) {
        let cure = format!("{count} of [{check}] are owed no more: take them out of xtask/src/tidy/owed.rs");
        rest.push(("owed", Finding::new(file.to_owned(), cure)));
    }
    rest
}

#[cfg(test)]
mod tests {
    //! It lets pass what is owed, and nothing more.
    use super::*;

    fn finding(place: &str) -> Finding {
        Finding::new(place.to_owned(), "cure".to_owned())
    }

    #[test]
    fn what_is_owed_passes_and_the_table_can_only_shrink() {
        let owed = [("effects", "a.rs", 1), ("arguments", "b.rs", 1)];
        let found = vec![
            ("effects", finding("a.rs:3")),
            ("effects", finding("a.rs:9")),
            ("effects", finding("c.rs:1")),
        ];
        let rest: Vec<_> = settle_by(&owed, found)
            .into_iter()
            .map(|(check, it)| (check, it.place))
            .collect();
        let expected = [("effects", "a.rs:9"), ("effects", "c.rs:1"), ("owed", "b.rs")];
        assert_eq!(rest, expected.map(|(check, place)| (check, place.to_owned())));
    }
}
