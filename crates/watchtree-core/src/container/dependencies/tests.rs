//! Who depends on whom, who is on a cycle, and what a change costs.
use super::*;
use alloc::format;

/// A container of that name, which is its id too, with labels; `shop/db` is the service `db` of the project `shop`.
fn view(name: &str, labels: &[(&str, &str)]) -> ContainerView {
    let mut view = ContainerView {
        id: format!("id-{name}"),
        name: name.into(),
        ..ContainerView::default()
    };
    let mut label = |key: &str, value: &str| _ = view.labels.insert(key.into(), value.into());
    if let Some((project, service)) = name.split_once('/') {
        label("com.docker.compose.project", project);
        label("com.docker.compose.service", service.trim_end_matches(char::is_numeric));
    }
    labels.iter().for_each(|(key, value)| label(key, value));
    view
}

fn set(it: &mut Dependencies, view: &ContainerView, is_set_aside: bool) -> BTreeSet<ContainerId> {
    it.set(&view.id, view, is_set_aside)
}

fn graph(all: &[(&str, &[(&str, &str)])]) -> Dependencies {
    let mut it = Dependencies::default();
    for (name, labels) in all {
        set(&mut it, &view(name, labels), false);
    }
    it
}

fn parents(it: &Dependencies, name: &str) -> Vec<String> {
    let id = format!("id-{name}");
    let parents = it.parents(&id).map(|parent| {
        let sign = if parent.is_cyclic { " (cycle)" } else { "" };
        format!("{}{sign}", parent.id.trim_start_matches("id-"))
    });
    parents.collect()
}

fn ids(names: &[&str]) -> BTreeSet<ContainerId> {
    names.iter().map(|name| format!("id-{name}")).collect()
}

const DEPENDS_ON: &str = "watchtree.depends-on";
const COMPOSE: &str = "com.docker.compose.depends_on";

#[test]
fn a_name_is_a_service_of_its_project_with_all_its_containers_else_a_container() {
    let it = graph(&[
        ("shop/db1", &[]),
        ("shop/db2", &[]),
        ("blog/db1", &[]),
        ("db", &[]),
        ("cache", &[]),
        ("shop/web", &[(DEPENDS_ON, "db")]),
        ("blog/web", &[(COMPOSE, "db:service_healthy:true")]),
        (
            "alone",
            &[(DEPENDS_ON, "db,id-cache,nobody"), ("watchtree.restart-with", "none")],
        ),
        ("blog/job", &[(COMPOSE, "gone:service_started:false")]),
    ]);
    assert_eq!(parents(&it, "shop/web"), ["shop/db1", "shop/db2"]);
    assert_eq!(
        parents(&it, "blog/web"),
        ["blog/db1", "blog/db1"],
        "first it waits, then it follows"
    );
    assert_eq!(parents(&it, "alone"), ["db", "cache"]);
    assert_eq!(it.unknown(&"id-alone".into()).collect::<Vec<_>>(), ["nobody", "none"]);
    assert_eq!(
        it.unknown(&"id-blog/job".into()).count(),
        0,
        "compose made none, which is its affair"
    );
    let children: Vec<_> = it
        .children(&"id-shop/db1".to_string())
        .map(|(id, _)| id.clone())
        .collect();
    assert_eq!(children, ["id-shop/web"]);
}

#[test]
fn one_that_is_made_anew_finds_its_place() {
    let mut it = graph(&[("shop/db1", &[]), ("shop/web", &[(DEPENDS_ON, "db")])]);
    let mut vpn = view("app", &[]);
    vpn.joins.insert(Namespace::Network, "id-vpn".into());
    assert_eq!(set(&mut it, &vpn, false), ids(&[]));
    assert_eq!(set(&mut it, &view("vpn", &[]), false), ids(&["app"]));
    assert_eq!(set(&mut it, &view("vpn", &[]), false), ids(&[]), "nothing has changed");
    assert_eq!(it.remove(&"id-shop/db1".to_string()), ids(&["shop/web"]));
    assert_eq!(parents(&it, "shop/web"), [] as [&str; 0]);
    assert_eq!(set(&mut it, &view("shop/db2", &[]), false), ids(&["shop/web"]));
    assert_eq!(parents(&it, "shop/web"), ["shop/db2"]);
    // Compose sets it aside: only by its id is it known.
    assert_eq!(set(&mut it, &view("shop/db2", &[]), true), ids(&["shop/web"]));
    assert_eq!(parents(&it, "shop/web"), [] as [&str; 0]);
    // What ends at a run of compose is no service.
    let mut job = view("shop/db3", &[("com.docker.compose.oneoff", "True")]);
    job.name = "shop_db_run_1".into();
    set(&mut it, &job, false);
    assert_eq!(parents(&it, "shop/web"), [] as [&str; 0]);
}

#[test]
fn edges_of_a_cycle_are_told_apart_and_a_cycle_ends_with_any_of_them() {
    let mut it = graph(&[
        ("a", &[(DEPENDS_ON, "b")]),
        ("b", &[(DEPENDS_ON, "c,d")]),
        ("d", &[]),
        ("e", &[(DEPENDS_ON, "a")]),
        ("me", &[(DEPENDS_ON, "me")]),
    ]);
    let cycle = |it: &Dependencies, name: &str| {
        let way = it.cycle(&format!("id-{name}"))?;
        Some(
            way.iter()
                .map(|id| id.trim_start_matches("id-").to_string())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(cycle(&it, "a"), None);
    assert_eq!(cycle(&it, "me"), Some(vec!["me".to_string()]));
    let closing = view("c", &[(DEPENDS_ON, "a")]);
    assert_eq!(set(&mut it, &closing, false), ids(&["a", "b", "c", "me"]));
    assert_eq!(parents(&it, "b"), ["c (cycle)", "d"]);
    assert_eq!(parents(&it, "e"), ["a"], "it leads there and is not on it");
    assert_eq!(cycle(&it, "b"), Some(["b", "c", "a"].map(String::from).to_vec()));
    // Two cycles with one in common are one component.
    set(&mut it, &view("d", &[(DEPENDS_ON, "b")]), false);
    assert_eq!(parents(&it, "b"), ["c (cycle)", "d (cycle)"]);
    assert_eq!(cycle(&it, "d"), Some(["d", "b"].map(String::from).to_vec()));
    assert_eq!(it.remove(&"id-b".to_string()), ids(&["a", "b", "c", "d", "me"]));
    assert_eq!((cycle(&it, "a"), cycle(&it, "d")), (None, None));
    assert_eq!(parents(&it, "e"), ["a"]);
}

/// How often the index was asked.
fn asked(it: &Dependencies, act: impl FnOnce(&mut Dependencies)) -> (usize, Dependencies) {
    let mut it = it.clone();
    it.asked.set(0);
    act(&mut it);
    (it.asked.get(), it)
}

/// A scan over all for each of a thousand would be a million steps, and one over all for a change a thousand.
#[test]
fn a_thousand_containers_cost_a_few_steps_each_and_a_change_what_it_has_neighbours() {
    let of = |n: usize| (format!("p{}", n / 10), n % 10);
    let container = |n: usize| {
        let (project, at) = of(n);
        // Each depends on the one before, and on the first of its project.
        let label = format!(
            "s{}:service_healthy:true,s0:service_started:false",
            at.saturating_sub(1)
        );
        let mut view = view(&format!("{project}/s{at}x"), &[]);
        view.labels
            .insert("com.docker.compose.service".into(), format!("s{at}"));
        if at != 0 {
            view.labels.insert(COMPOSE.into(), label);
        }
        view
    };
    let all = Dependencies::default();
    let (steps, all) = asked(&all, |it| (0..1000).for_each(|n| _ = set(it, &container(n), false)));
    assert!(steps < 1000 * 300, "{steps} steps for a thousand containers");
    let (steps, all) = asked(&all, |it| (0..1000).for_each(|n| _ = set(it, &container(n), false)));
    assert_eq!(steps, 0, "nothing has changed");
    let (steps, all) = asked(&all, |it| _ = it.remove(&container(505).id));
    assert!(steps < 100, "{steps} steps for one of a project of ten");
    let (steps, _) = asked(&all, |it| _ = it.parents(&container(507).id).count());
    assert!(steps <= 3, "{steps} steps for its parents");
    // All depend on one.
    let star = |n: usize| view(&format!("c{n}"), &[(DEPENDS_ON, "db")]);
    let (steps, all) = asked(&Dependencies::default(), |it| {
        set(it, &view("db", &[]), false);
        (0..999).for_each(|n| _ = set(it, &star(n), false));
    });
    assert!(steps < 1000 * 10, "{steps} steps for a thousand that depend on one");
    assert_eq!(all.children(&"id-db".to_string()).count(), 999);
}
