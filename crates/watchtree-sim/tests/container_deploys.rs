//! The container role against the model engine: deployments, recognised by what happens, and names that only look like one.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, same};
use watchtree_sim::state::engine::Spec;

/// `docker create`, with an id of its own.
fn make(w: &mut Scene, name: &str, id: &str, set: impl FnOnce(&mut Spec)) {
    let mut spec = Spec {
        id: format!("{id:0<64}"),
        ..Spec::named(name)
    };
    set(&mut spec);
    w.dockerd(|engine, now| engine.create(now, spec).is_ok());
}

/// Whatever becomes of it, it is a service.
fn wanted(it: &mut Spec) {
    it.labels.insert("watchtree.enable".into(), "true".into());
}

fn of_compose(it: &mut Spec) {
    for (key, value) in [("project", "shop"), ("service", "web"), ("container-number", "1")] {
        it.labels.insert(format!("com.docker.compose.{key}"), value.into());
    }
}

/// Anybody may give a name of 12 hex digits and more: what is not compose's own id is a name like any other.
#[test]
fn a_name_of_hex_digits_is_a_name() {
    let names = ["202611261200_web", "deadbeefcafe_db", "20261126120_web"];
    let play = |name: &str| Scene::with(&[name]).does(&format!("{name} exits 1, 1m")).outcome();
    outcomes(names, play).tells(expect![[r#"
        202611261200_web: start 202611261200_web; 202611261200_web running OK
        deadbeefcafe_db: start deadbeefcafe_db; deadbeefcafe_db running OK
        20261126120_web: start 20261126120_web; 20261126120_web running OK
    "#]]);
}

/// Compose 1.29 sets the old one aside under its own id; compose 2 makes the new one under the id of the old one.
#[test]
fn what_compose_has_under_a_temporary_name_is_nobody() {
    let aside = format!("{}_web", &Scene::id("web")[..12]);
    let mut w = Scene::with(&["web"]);
    w.does(&format!("docker rename web {aside}, 1s, {aside} exits 1, 1m"));
    let old = w.outcome();
    let mut w = Scene::with(&["web"]);
    make(&mut w, &aside, "abc", of_compose);
    w.does(&format!("docker start {aside}, 1s, {aside} exits 1, 1m"));
    let new = w.outcome();
    // The old one is gone by then: only the label tells.
    let mut w = Scene::with(&["web"]);
    w.does("docker rm -f web, 10s");
    make(&mut w, &aside, "abc", |it| {
        it.labels.insert("com.docker.compose.replace".into(), "web".into());
    });
    w.does(&format!("docker start {aside}, 1s, {aside} exits 1, 1m"));
    let left = w.outcome();
    expect![[r#"
        no call; 776562000000_web exited unknown
        no call; web running OK; 776562000000_web exited unknown
        no call; 776562000000_web exited unknown"#]]
    .assert_eq(&format!("{old}\n{new}\n{left}"));
}

/// An updater renames the old one, makes the new one under its name, and the old one ends, by whatever. The updater's own labels,
/// or copies of compose's, change nothing; neither does a restart of the watchdog.
#[test]
fn what_was_replaced_is_left_to_whoever_deploys() {
    type Set = fn(&mut Spec);
    let sets: [(&str, Set); 2] = [("plain", |_| {}), ("with compose's labels", of_compose)];
    let cases = [
        ("it crashes", "web-old exits 1, 50s, docker start web, 20s"),
        (
            "it crashes after the start",
            "docker start web, 5s, web-old exits 1, 1m",
        ),
        ("it is stopped", "docker stop web-old, 5s, docker start web, 20s"),
        (
            "the watchdog is restarted",
            "5s, watchdog killed, watchdog started, 5s, docker start web, 30s, web-old exits 1, 1m",
        ),
        (
            "the watchdog was away",
            "watchdog killed, docker start web, 5s, web-old exits 1, 1s, watchdog started, 1m",
        ),
        ("it is unhealthy", "docker start web, 5s, web-old is unhealthy, 1m"),
        ("the new one crashes", "docker start web, 20s, web exits 1, 1m"),
        (
            "the new one is removed and the old one brought back",
            "docker start web, 5s, web-old exits 1, 5s, docker rm -f web, 5s, docker rename web-old web, docker start web, 20s, web exits 1, 1m",
        ),
        (
            "the new one is removed and nothing follows",
            "docker start web, 5s, web-old exits 1, 5s, docker rm -f web, 20s",
        ),
        (
            "the same, later",
            "docker start web, 5s, web-old exits 1, 5s, docker rm -f web, 1m",
        ),
        (
            "they get on with each other",
            "docker start web, 11m, web-old exits 1, 1m",
        ),
    ];
    let play = |(_, script): (&str, &str)| {
        same(sets, |(_, set)| {
            let mut w = Scene::new();
            w.create("web", set);
            let mut w = w.watched();
            w.does("docker rename web web-old, 1s");
            make(&mut w, "web", "abc", set);
            w.does("500ms").does(script).outcome()
        })
    };
    outcomes(cases, play).tells(expect![[r#"
        it crashes | it crashes after the start | it is stopped | the watchdog is restarted | the watchdog was away: [plain: no call; web-old exited STOPPED; web running OK][with compose's labels: no call; web-old exited STOPPED; web running unknown]
        it is unhealthy: [plain: no call; web-old running UNHEALTHY; web running OK][with compose's labels: no call; web-old running UNHEALTHY; web running unknown]
        the new one crashes: [plain: start web; web-old running OK; web running OK][with compose's labels: start web; web-old running OK; web running unknown]
        the new one is removed and the old one brought back: [plain: start web; web running OK][with compose's labels: start web; web running unknown]
        the new one is removed and nothing follows: no call; web-old exited STOPPED
        the same, later: start web-old; web-old running OK
        they get on with each other: [plain: start web-old; web-old running OK; web running OK][with compose's labels: start web-old; web-old running OK; web running unknown]
    "#]]);
}

/// Away while it was renamed and its name given: the journal knows whose name it was.
#[test]
fn a_replacement_that_nobody_saw_is_one_all_the_same() {
    let mut w = Scene::with(&["web"]);
    w.does("watchdog killed, docker rename web web-old, 1s");
    make(&mut w, "web", "abc", |_| {});
    w.does("docker start web, 1s, watchdog started, 5s, web-old exits 1, 1m");
    expect!["no call; web-old exited STOPPED; web running OK"].assert_eq(&w.outcome());
}

/// The new one runs under another name first; then the names are swapped. What runs under the name is healed, at once.
#[test]
fn names_are_swapped_again_and_again() {
    let mut w = Scene::with(&["app"]);
    for round in ["a1", "a2", "a3"] {
        make(&mut w, "app-new", round, wanted);
        w.does("docker start app-new, 500ms, docker rename app app-old, docker rename app-new app, docker stop -t 1 app-old");
        w.does("1500ms, docker rm -f app-old, 200ms");
    }
    make(&mut w, "app-new", "a4", wanted);
    w.steps(&[
        "docker start app-new, 1s, app exits 1, 2s",
        "docker rename app app-old, docker rename app-new app, 1s, app exits 1, 2s",
        "app-old exits 1, 2m",
    ])
    .tells(expect![[r#"
        docker start app-new, 1s, app exits 1, 2s: start app; app running STARTING; app-new running OK
        docker rename app app-old, docker rename app-new app, 1s, app exits 1, 2s: start app; app-old running OK; app running STARTING
        app-old exits 1, 2m: no call; app-old exited STOPPED; app running OK
    "#]]);
}

/// One that is only renamed may be about to be replaced: it waits for a while, and no longer.
#[test]
fn one_that_is_only_renamed_is_healed_when_nothing_follows() {
    let mut w = Scene::with(&["web"]);
    w.steps(&["docker rename web shop, 1s, shop exits 1, 20s", "15s"])
        .tells(expect![[r#"
        docker rename web shop, 1s, shop exits 1, 20s: no call; shop exited REPAIRING
        15s: start shop; shop running STARTING
    "#]]);
}

/// A name longer than a segment of a path, twice; two projects of one name; fifty replicas: each is somebody.
#[test]
fn each_container_has_its_verdict() {
    let long = "x".repeat(150);
    let names = [format!("{long}a"), format!("{long}b")];
    let mut w = Scene::new();
    for name in &names {
        w.create(name, |_| {});
    }
    for (name, number) in [("shop_web_1", 1), ("other_web_1", 1)] {
        w.create(name, |it| {
            of_compose(it);
            it.labels
                .insert("com.docker.compose.container-number".into(), number.to_string());
        });
    }
    for number in 1..=50 {
        w.create(&format!("shop-job-{number}"), |it| {
            of_compose(it);
            it.labels.insert("com.docker.compose.service".into(), "job".into());
            it.labels
                .insert("com.docker.compose.container-number".into(), number.to_string());
        });
    }
    let w = w.watched();
    let mut subjects: Vec<_> = w
        .agent()
        .expect("it runs")
        .verdicts()
        .map(|it| it.subject.to_string())
        .collect();
    subjects.retain(|it| !it.ends_with("@watchdog"));
    assert_eq!(subjects.len(), 54);
    let rest: Vec<_> = subjects
        .iter()
        .filter(|it| !it.contains("/job/"))
        .map(String::as_str)
        .collect();
    expect![[r#"
        h1/docker/other_web_1
        h1/docker/shop/web/1
        h1/docker/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-b7956b25f967e0b4
        h1/docker/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-b7956e25f967e5cd"#]].assert_eq(&rest.join("\n"));
}
