//! Which labels of a container are passed on, and how much of each.

use crate::error::cut;
use std::collections::{BTreeMap, HashMap};
use watchtree_core::container::labels::OWNERS;

/// Longest value of a label, in bytes.
const LABEL_BYTES_MAX: usize = 512;
/// Longest list of names in a label, in bytes; and the labels that have one.
const LIST_BYTES_MAX: usize = 4096;
const LISTS: [&str; 3] = [
    "com.docker.compose.depends_on",
    "watchtree.depends-on",
    "watchtree.restart-with",
];
/// Most labels of one container that are passed on.
const LABELS_MAX: usize = 64;
/// The only labels that are passed on; of each of [`OWNERS`] the first one.
const LABEL_PREFIXES: [&str; 3] = ["watchtree.", "autoheal", "com.docker.compose."];

/// Those of ours and of compose, those with these keys, and one without its value of each owner.
pub(crate) fn ours(labels: HashMap<String, String>, keys: &[String]) -> BTreeMap<String, String> {
    // That there is one tells whose the container is; what they say is their owner's affair.
    let mark = |prefix: &str| labels.keys().filter(|key| key.starts_with(prefix)).min().cloned();
    let owners: Vec<_> = OWNERS
        .iter()
        .filter_map(|(prefix, _)| mark(prefix))
        .map(|key| (key, String::new()))
        .collect();
    let (named, labels): (HashMap<_, _>, HashMap<_, _>) = labels.into_iter().partition(|(key, _)| keys.contains(key));
    let named = named
        .into_iter()
        .map(|(key, value)| (key, cut(&value, LABEL_BYTES_MAX)));
    let ours = labels.into_iter().filter(|(key, _)| is_ours(key));
    // Sorted before it is cut, so that the same labels survive each time.
    let sorted: BTreeMap<_, _> = ours
        .map(|(key, value)| {
            let value = cut_label(&key, &value);
            (key, value)
        })
        .collect();
    sorted.into_iter().take(LABELS_MAX).chain(owners).chain(named).collect()
}

/// Of a list of names no half of one is left.
fn cut_label(key: &str, value: &str) -> String {
    if !LISTS.contains(&key) {
        return cut(value, LABEL_BYTES_MAX);
    }
    let kept = cut(value, LIST_BYTES_MAX);
    match kept.rfind(',').filter(|_| kept.len() < value.len()) {
        Some(comma) => kept[..comma].to_owned(),
        None => kept,
    }
}

/// In whatever case: what somebody meant for us is to be named where we do not know it.
fn is_ours(key: &str) -> bool {
    let begins = |prefix: &str| {
        key.get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    LABEL_PREFIXES.into_iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_owner_one_label_is_passed_on_without_its_value() {
        let labels = [
            ("com.docker.swarm.task.id", "x"),
            ("com.docker.swarm.service.name", "x"),
            ("io.kubernetes.pod.name", "x"),
            ("com.hashicorp.nomad.alloc_id", "x"),
            ("com.example.secret", "x"),
            ("com.example.team", "blue"),
            ("watchtree.enable", "true"),
        ];
        let many = (0..100).map(|n| (format!("watchtree.zz{n}"), String::new()));
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let passed = ours(
            labels.into_iter().chain(many).collect(),
            &["com.example.team".to_owned()],
        );
        for key in [
            "com.docker.swarm.service.name",
            "io.kubernetes.pod.name",
            "com.hashicorp.nomad.alloc_id",
        ] {
            assert_eq!(passed.get(key).map(String::as_str), Some(""), "{key}");
        }
        assert_eq!(passed.get("watchtree.enable").map(String::as_str), Some("true"));
        assert_eq!(passed.get("com.example.team").map(String::as_str), Some("blue"));
        assert_eq!(passed.len(), LABELS_MAX + 4);
    }

    #[test]
    fn a_list_of_names_that_is_too_long_ends_with_a_whole_name() {
        let names: Vec<_> = (0..1000)
            .map(|n| format!("service-{n:03}:service_healthy:true"))
            .collect();
        let kept = cut_label(LISTS[0], &names.join(","));
        assert!(kept.len() <= LIST_BYTES_MAX && kept.ends_with(":true"), "{kept}");
        assert_eq!(cut_label(LISTS[1], "db,cache"), "db,cache");
        assert_eq!(cut_label("watchtree.enable", &names.join(",")).len(), LABEL_BYTES_MAX);
    }
}
