//! What labels say of whom a container depends on. Pure; does not know whether anybody has such a name.
//!
//! | label | means | bad value |
//! |---|---|---|
//! | `watchtree.depends-on` | `db,cache`: where several are down, these are well first; containers, or services of its project | that name is not followed |
//! | `watchtree.restart-with` | `db`: when the watchdog has restarted that, this is restarted after it | that name is not followed |
//! | `com.docker.compose.depends_on` | `db:service_healthy:true`, as compose 2 writes it: service, condition, restart | that part is not followed |
//!
//! Where compose says nothing of a restart, none is wanted: nobody asked for it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Parents first.
pub(crate) const DEPENDS_ON: &str = "watchtree.depends-on";
/// Restarted after them.
pub(crate) const RESTART_WITH: &str = "watchtree.restart-with";
/// The same as compose writes it.
const COMPOSE: &str = "com.docker.compose.depends_on";
/// Most names of one label that are followed.
pub(crate) const NAMES_MAX: usize = 64;

/// Longest name that is followed.
const NAME_BYTES_MAX: usize = 255;

/// When one that others depend on is good enough for them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) enum Condition {
    /// It runs, and its health check, where it has one, has passed.
    Well,
    /// It has ended with exit code 0.
    Completed,
}

/// One name in a label.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Named<'l> {
    pub(crate) name: &'l str,
    /// Compose names services only.
    pub(crate) is_service: bool,
    /// It comes first where both are down.
    pub(crate) first: Option<Condition>,
    /// It takes this one along when it is restarted.
    pub(crate) restarts: bool,
}

/// Whom the labels name.
pub(crate) fn read(labels: &BTreeMap<String, String>) -> Vec<Named<'_>> {
    let compose = names_in(labels, COMPOSE).take(NAMES_MAX).filter_map(read_compose);
    let own = |key, first, restarts| {
        let named = move |name| Named {
            name,
            is_service: false,
            first,
            restarts,
        };
        let names = names_in(labels, key).take(NAMES_MAX);
        names.filter(|name| is_name(name)).map(named)
    };
    let first = own(DEPENDS_ON, Some(Condition::Well), false);
    compose.chain(first).chain(own(RESTART_WITH, None, true)).collect()
}

/// One sentence per label of ours that is not wholly understood.
pub(crate) fn remarks(labels: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    [DEPENDS_ON, RESTART_WITH].into_iter().flat_map(move |key| {
        let bad = names_in(labels, key).find(|name| !is_name(name));
        let bad = bad.map(|name| {
            let shown: String = name.chars().take(32).collect();
            format!(
                "label {key}: {shown:?} is not understood: want names of containers, or of services of its project, with commas \
                 between; it is not followed"
            )
        });
        let is_long = NAMES_MAX < names_in(labels, key).count();
        let long = is_long.then(|| format!("label {key} has more than {NAMES_MAX} names: the others are not followed"));
        bad.into_iter().chain(long)
    })
}

fn names_in<'l>(labels: &'l BTreeMap<String, String>, key: &str) -> impl Iterator<Item = &'l str> + use<'l> {
    let text = labels.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
    text.into_iter().flat_map(|text| text.split(',')).map(str::trim)
}

/// As the engine takes names.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.len() <= NAME_BYTES_MAX
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && text.bytes().all(fits)
}

/// `db:service_healthy:true`
fn read_compose(part: &str) -> Option<Named<'_>> {
    let mut fields = part.split(':');
    let name = fields.next().filter(|name| is_name(name))?;
    let first = match fields.next() {
        Some("service_completed_successfully") => Condition::Completed,
        _ => Condition::Well,
    };
    Some(Named {
        name,
        is_service: true,
        first: Some(first),
        restarts: fields.next().is_some_and(|text| text.eq_ignore_ascii_case("true")),
    })
}

#[cfg(test)]
mod tests {
    //! What is followed, and what is named as bad.
    use super::*;
    use alloc::string::ToString;

    fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let all = all.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        all.collect()
    }

    #[test]
    fn compose_and_our_own_labels_name_whom_it_depends_on() {
        let all = labels(&[
            (
                COMPOSE,
                "db:service_healthy:true,seed:service_completed_successfully:false,old,,:x:true",
            ),
            (DEPENDS_ON, " cache , shop-db-1"),
            (RESTART_WITH, "vpn"),
            ("watchtree.enable", "true"),
        ]);
        let named = |name, is_service, first, restarts| Named {
            name,
            is_service,
            first,
            restarts,
        };
        let (well, done) = (Some(Condition::Well), Some(Condition::Completed));
        let expected = [
            named("db", true, well, true),
            named("seed", true, done, false),
            named("old", true, well, false),
            named("cache", false, well, false),
            named("shop-db-1", false, well, false),
            named("vpn", false, None, true),
        ];
        assert_eq!(read(&all), expected);
        assert_eq!(remarks(&all).count(), 0, "what compose writes is not ours to judge");
        assert!(read(&labels(&[(COMPOSE, ""), (DEPENDS_ON, " ")])).is_empty());
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        let long = ["x"; NAMES_MAX + 1].join(",");
        let all = labels(&[(DEPENDS_ON, "db,, /web"), (RESTART_WITH, &long)]);
        assert_eq!(read(&all).len(), 1 + NAMES_MAX);
        let remarks: Vec<_> = remarks(&all).collect();
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(remarks[0].contains("watchtree.depends-on: \"\""), "{}", remarks[0]);
        assert!(remarks[1].contains("more than 64"), "{}", remarks[1]);
    }
}
