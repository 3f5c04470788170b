//! The container role against the model engine: who joins the network of another is cut off when that begins another life, and is
//! restarted after it.

use expect_test::expect;
use watchtree_core::container::io::Namespace;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::Script;

/// `app` joins the network of `vpn`.
fn joined() -> Scene {
    let mut w = Scene::with(&["vpn", "app"]);
    w.remake("app", |it| it.join(Namespace::Network, Scene::id("vpn")));
    w.does("docker start app, 20s");
    w
}

#[test]
fn one_whose_network_went_with_its_owners_life_is_restarted_after_it() {
    let mut w = joined();
    w.steps(&["vpn exits 1, 1s", "3s", "20s", "docker restart vpn, 20s"])
        .tells(expect![[r#"
            vpn exits 1, 1s: start vpn; vpn running STARTING; app running SUSPECT
            3s: no call; vpn running STARTING; app running SUSPECT
            20s: stop -t 10 app, start app; vpn running OK; app running OK
            docker restart vpn, 20s: stop -t 10 app, start app; vpn running OK; app running OK
        "#]]);
}

#[test]
fn it_is_found_too_where_nobody_watched_and_waits_where_the_owner_does_not_run() {
    let mut w = joined();
    w.steps(&[
        "watchdog killed, docker restart vpn, 20s, watchdog started, 20s",
        "docker stop vpn, 20s",
        "docker start vpn, 20s",
    ])
    .tells(expect![[r#"
        watchdog killed, docker restart vpn, 20s, watchdog started, 20s: stop -t 10 app, start app; vpn running OK; app running OK
        docker stop vpn, 20s: no call; vpn exited STOPPED; app running DEGRADED
        docker start vpn, 20s: stop -t 10 app, start app; vpn running OK; app running OK
    "#]]);
}

/// A person who restarts both in turn is not crossed.
#[test]
fn a_person_who_restarts_both_is_left_to_it() {
    let mut w = joined();
    w.steps(&["docker restart vpn, 2s, docker restart app, 20s"])
        .tells(expect![[r#"
            docker restart vpn, 2s, docker restart app, 20s: no call; vpn running OK; app running OK
        "#]]);
}
