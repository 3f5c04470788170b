//! The container role against the model engine: who depends on whom. Parents first, joiners of pids and ipc, restarts that take
//! others along, cycles, and what needs a recreate.

use expect_test::expect;
use watchtree_core::container::io::Namespace;
use watchtree_core::verdict::State;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};
use watchtree_sim::state::engine::{Check, Spec};

const DEPENDS_ON: &str = "watchtree.depends-on";
const RESTART_WITH: &str = "watchtree.restart-with";

fn label(it: &mut Spec, key: &str, value: &str) {
    it.labels.insert(key.into(), value.into());
}

/// `api` depends on `db`, `web` on `api`; `db` has a check, which passes a second after its start.
fn shop() -> Scene {
    let mut w = Scene::new();
    w.create("api", |it| label(it, DEPENDS_ON, "db"));
    w.create("db", |it| it.check = Some(Check::default()));
    w.create("web", |it| label(it, DEPENDS_ON, "api"));
    w.watched()
}

#[test]
fn of_several_that_end_at_once_parents_are_started_first_and_are_well_before_their_children_are() {
    let mut w = shop();
    w.does("web exits 137, api exits 137, db exits 137, 10s")
        .tells(expect![[r#"
            0.000  happens  web exits 137
            0.000  happens  api exits 137
            0.000  happens  db exits 137
            0.003  seen     web: die, exit code 137
            0.003  told     web REPAIRING: exited (137): waits for api to be well, for 60 s at the most
            0.003  seen     api: die, exit code 137
            0.003  told     api REPAIRING: exited (137): waits for db to be well, for 60 s at the most
            0.003  seen     db: die, exit code 137
            0.003  decided  start db: exited (137), nobody stopped it: start it, restart 1 in a row
            0.003  done     start db
            0.003  told     db REPAIRING: being started
            0.124  done     start db → done
            0.126  decided  start db: verifying, a new incarnation was seen
            0.126  told     db STARTING: started; it must stay up to count as repaired
            0.127  seen     db: start
            1.127  seen     db: health_status healthy
            1.127  decided  start api: exited (137), nobody stopped it: start it, restart 1 in a row
            1.127  done     start api
            1.248  done     start api → done
            1.251  seen     api: start
            1.253  decided  start api: verifying, a new incarnation was seen
            1.253  decided  start web: exited (137), nobody stopped it: start it, restart 1 in a row
            1.253  done     start web
            1.253  told     api STARTING: started; it must stay up to count as repaired
            1.374  done     start web → done
            1.377  seen     web: start
            1.379  decided  start web: verifying, a new incarnation was seen
            1.379  told     web STARTING: started; it must stay up to count as repaired
            5.126  decided  start db: succeeded, a new incarnation has stayed up for 5.00 s, healthy
            5.126  told     db OK: running, healthy
            6.251  decided  start api: succeeded, a new incarnation has stayed up for 5.00 s
            6.251  told     api OK: running
            6.377  decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
            6.377  told     web OK: running
        "#]]);
}

/// However they went down, and in which order that is told.
#[test]
fn the_order_is_the_same_however_they_went_down() {
    let cases = [
        "db exits 1, api exits 1, web exits 1, 15s",
        "web exits 1, 2ms, db exits 1, 15s",
        "dockerd killed, 1s, dockerd started, 40s",
        "watchdog killed, dockerd killed, 1s, dockerd started, 20s, watchdog started, 20s",
        "power lost for 20s, 30s, watchdog started, 30s",
        "stream silent, db exits 1, api exits 1, web exits 1, 2m",
    ];
    outcomes(cases, |case| shop().does(case).outcome()).tells(expect![[r#"
        db exits 1, api exits 1, web exits 1, 15s | dockerd killed, 1s, dockerd started, 40s | watchdog killed, dockerd killed, 1s, dockerd started, 20s, watchdog started, 20s | power lost for 20s, 30s, watchdog started, 30s | stream silent, db exits 1, api exits 1, web exits 1, 2m: start db, start api, start web; api running OK; db running OK; web running OK
        web exits 1, 2ms, db exits 1, 15s: start web, start db; api running OK; db running OK; web running OK
    "#]]);
}

#[test]
fn a_lone_child_is_not_delayed_and_one_whose_parent_does_not_come_waits_no_longer_than_a_minute() {
    let cases = [
        "web exits 1, 1s",
        "api exits 1, 1s",
        "docker stop db, 11s, api exits 1, 1s",
        "the check of db times out, db exits 1, api exits 1, 30s",
        "the check of db times out, db exits 1, api exits 1, 61s",
        "db fails to start: no, db exits 1, api exits 1, 30s",
        "db fails to start: no, db exits 1, api exits 1, 61s",
    ];
    outcomes(cases, |case| shop().does(case).outcome()).tells(expect![[r#"
        web exits 1, 1s: start web; api running OK; db running OK; web running STARTING
        api exits 1, 1s: start api; api running STARTING; db running OK; web running OK
        docker stop db, 11s, api exits 1, 1s: start api; api running STARTING; db exited STOPPED; web running OK
        the check of db times out, db exits 1, api exits 1, 30s: start db, stop -t 10 db, start db, stop -t 10 db, start db; api exited REPAIRING; db running UNHEALTHY; web running OK
        the check of db times out, db exits 1, api exits 1, 61s: start db, stop -t 10 db, start db, stop -t 10 db, start db, stop -t 10 db, start db, start api; api running STARTING; db running UNHEALTHY; web running OK
        db fails to start: no, db exits 1, api exits 1, 30s: start db, start db, start db, start db, start db; api exited REPAIRING; db exited DOWN; web running OK
        db fails to start: no, db exits 1, api exits 1, 61s: start db, start db, start db, start db, start db, start db, start api; api running STARTING; db exited DOWN; web running OK
    "#]]);
}

#[test]
fn what_waits_is_said_and_a_person_may_set_it_aside() {
    let mut w = shop();
    w.does("db fails to start: no, db exits 1, api exits 1, 5s, retry api, 10s")
        .tells(expect![[r#"
            0.000  happens  db fails to start: no
            0.000  happens  db exits 1
            0.000  happens  api exits 1
            0.003  seen     db: die, exit code 1
            0.003  decided  start db: exited (1), nobody stopped it: start it, restart 1 in a row
            0.003  done     start db
            0.003  told     db REPAIRING: being started
            0.003  seen     api: die, exit code 1
            0.003  told     api REPAIRING: exited (1): waits for db to be well, for 60 s at the most
            0.007  done     start db → refused, 500 no
            0.008  decided  start db: failed, the engine refused the start (500): no
            0.008  told     db DOWN: exited (1): the engine refused the start (500): no; tried again every 30 s or sooner
            1.008  decided  start db: exited (1), nobody stopped it: start it, restart 1 in a row
            1.008  done     start db
            1.012  done     start db → refused, 500 no
            1.013  decided  start db: failed, the engine refused the start (500): no
            3.013  decided  start db: exited (1), nobody stopped it: start it, restart 1 in a row
            3.013  done     start db
            3.017  done     start db → refused, 500 no
            3.018  decided  start db: failed, the engine refused the start (500): no
            5.000  happens  retry api
            5.000  decided  api: a test asked to retry h1/docker/api, succeeded, the budget of 1 subject(s) was given back; trying now
            5.000  decided  start api: exited (1), nobody stopped it: start it (asked for by a test), restart 1 in a row; dependencies waived: waits for db to be well, for 60 s at the most; waived by a test
            5.000  done     start api
            5.000  told     the person: carried out; the budget of 1 subject(s) was given back; trying now
            5.121  done     start api → done
            5.124  seen     api: start
            5.128  decided  start api: verifying, a new incarnation was seen
            5.128  told     api STARTING: started; it must stay up to count as repaired
            8.018  decided  start db: exited (1), nobody stopped it: start it, restart 1 in a row
            8.018  done     start db
            8.022  done     start db → refused, 500 no
            8.023  decided  start db: failed, the engine refused the start (500): no
            10.124 decided  start api: succeeded, a new incarnation has stayed up for 5.00 s
            10.124 told     api OK: running
        "#]]);
}

/// `job` has done its work; `api` is to begin after it.
#[test]
fn what_has_completed_is_not_waited_for() {
    let play = |code: &str| {
        let mut w = Scene::new();
        let compose = |it: &mut Spec, service: &str| {
            label(it, "com.docker.compose.project", "shop");
            label(it, "com.docker.compose.service", service);
        };
        w.create("job", |it| compose(it, "job"));
        w.create("api", |it| {
            compose(it, "api");
            label(
                it,
                "com.docker.compose.depends_on",
                "job:service_completed_successfully:false",
            );
        });
        let mut w = w.watched();
        w.does(&format!("job exits {code}, 20s, api exits 1, 5s")).outcome()
    };
    outcomes(["0", "3"], play).tells(expect![[r#"
        0: start api; job exited FINISHED; api running STARTING
        3: start job; job running OK; api exited REPAIRING
    "#]]);
}

fn joined(namespace: Namespace) -> Scene {
    let mut w = Scene::with(&["vpn", "app"]);
    w.remake("app", |it| it.join(namespace, Scene::id("vpn")));
    w.does("docker start app, 20s");
    w
}

#[test]
fn who_joins_the_pids_of_another_ends_with_it_and_is_started_after_it() {
    let mut w = joined(Namespace::Pid);
    w.steps(&[
        "vpn exits 1, 10s",
        "docker restart vpn, 20s",
        "docker stop vpn, 20s",
        "docker start vpn, 20s",
        "docker rm -f vpn, 20s",
    ])
    .tells(expect![[r#"
        vpn exits 1, 10s: start vpn, start app; vpn running OK; app running OK
        docker restart vpn, 20s: start app; vpn running OK; app running OK
        docker stop vpn, 20s: no call; vpn exited STOPPED; app exited STOPPED
        docker start vpn, 20s: start app; vpn running OK; app running OK
        docker rm -f vpn, 20s: start app; app exited GIVEN UP
    "#]]);
    let why = w.why("app");
    assert!(why.ends_with("needs recreate: remove it and run it again"), "{why}");
}

#[test]
fn who_joins_the_ipc_of_another_is_restarted_after_it() {
    let mut w = joined(Namespace::Ipc);
    w.steps(&[
        "vpn exits 1, 1s",
        "20s",
        "docker restart vpn, 20s",
        "watchdog killed, docker restart vpn, 20s, watchdog started, 20s",
        "docker stop vpn, 20s",
        "app exits 1, 20s",
        "docker start vpn, 40s",
    ])
    .tells(expect![[r#"
        vpn exits 1, 1s: start vpn; vpn running STARTING; app running SUSPECT
        20s: stop -t 10 app, start app; vpn running OK; app running OK
        docker restart vpn, 20s: stop -t 10 app, start app; vpn running OK; app running OK
        watchdog killed, docker restart vpn, 20s, watchdog started, 20s: stop -t 10 app, start app; vpn running OK; app running OK
        docker stop vpn, 20s: no call; vpn exited STOPPED; app running DEGRADED
        app exits 1, 20s: no call; vpn exited STOPPED; app exited DOWN
        docker start vpn, 40s: start app; vpn running OK; app running OK
    "#]]);
}

/// Six that stand on one have one cause, and it is known.
#[test]
fn many_that_join_one_are_restarted_after_it_and_are_no_outbreak() {
    let names = Scene::names(6);
    let mut w = Scene::with(&[&["vpn".to_string()], names.as_slice()].concat());
    names
        .iter()
        .for_each(|name| w.remake(name, |it| it.join(Namespace::Network, Scene::id("vpn"))));
    w.does("2m, vpn exits 1, 20s");
    for name in &names {
        let (starts, state) = (w.starts(name), w.state(name));
        assert_eq!((starts, state), (1, Some(State::Ok)), "{name}: {}", w.why(name));
    }
}

fn taken_along() -> Scene {
    let mut w = Scene::new();
    w.create("db", |it| it.check = Some(Check::default()));
    w.create("api", |it| label(it, RESTART_WITH, "db"));
    w.create("web", |it| label(it, RESTART_WITH, "api"));
    w.watched()
}

#[test]
fn who_is_restarted_with_another_follows_it_once_and_only_where_we_restarted_it() {
    let cases = [
        "db exits 1, 1m",
        "docker restart db, 1m",
        "db exits 1, docker restart api, 1m",
        "db exits 1, api exits 1, 1m",
        "docker update --restart always db, 1s, db exits 1, 1m",
        "db exits 1, 3s, docker restart db, 1m",
        "hold api 30s, db exits 1, 1m",
        "db exits 1, 3s, watchdog killed, watchdog started, 1m",
    ];
    outcomes(cases, |case| taken_along().does(case).outcome()).tells(expect![[r#"
        db exits 1, 1m | hold api 30s, db exits 1, 1m | db exits 1, 3s, watchdog killed, watchdog started, 1m: start db, stop -t 10 api, start api, stop -t 10 web, start web; db running OK; api running OK; web running OK
        docker restart db, 1m | docker update --restart always db, 1s, db exits 1, 1m: no call; db running OK; api running OK; web running OK
        db exits 1, docker restart api, 1m | db exits 1, 3s, docker restart db, 1m: start db; db running OK; api running OK; web running OK
        db exits 1, api exits 1, 1m: start db, start api, stop -t 10 web, start web; db running OK; api running OK; web running OK
    "#]]);
    let mut w = taken_along();
    w.does("db exits 1, 1m").tells(expect![[r#"
        0.000  happens  db exits 1
        0.003  seen     db: die, exit code 1
        0.003  decided  start db: exited (1), nobody stopped it: start it, restart 1 in a row
        0.003  done     start db
        0.003  told     db REPAIRING: being started
        0.124  done     start db → done
        0.126  decided  start db: verifying, a new incarnation was seen
        0.126  told     db STARTING: started; it must stay up to count as repaired
        0.127  seen     db: start
        1.127  seen     db: health_status healthy
        5.126  decided  stop then start api: db, with which it is restarted, was restarted: stop it, inspect whether a person interferes, start it, restart 1 in a row
        5.126  decided  start db: succeeded, a new incarnation has stayed up for 5.00 s, healthy
        5.126  told     api REPAIRING: being stopped, to be started again
        5.126  told     db OK: running, healthy
        5.131  done     stop -t 10 api
        5.135  seen     api: kill, signal 15
        5.155  seen     api: stop
        5.155  done     stop -t 10 api → done
        5.160  seen     api: die, exit code 143
        5.160  done     start api
        5.281  done     start api → done
        5.282  decided  stop then start api: verifying, a new incarnation was seen
        5.282  told     api STARTING: started; it must stay up to count as repaired
        5.284  seen     api: start
        10.282 decided  stop then start api: succeeded, a new incarnation has stayed up for 5.00 s
        10.282 decided  stop then start web: api, with which it is restarted, was restarted: stop it, inspect whether a person interferes, start it, restart 1 in a row
        10.282 told     api OK: running
        10.282 told     web REPAIRING: being stopped, to be started again
        10.287 done     stop -t 10 web
        10.291 seen     web: kill, signal 15
        10.311 seen     web: stop
        10.311 done     stop -t 10 web → done
        10.316 seen     web: die, exit code 143
        10.316 done     start web
        10.437 done     start web → done
        10.438 decided  stop then start web: verifying, a new incarnation was seen
        10.438 told     web STARTING: started; it must stay up to count as repaired
        10.440 seen     web: start
        15.438 decided  stop then start web: succeeded, a new incarnation has stayed up for 5.00 s
        15.438 told     web OK: running
    "#]]);
}

#[test]
fn a_cycle_is_named_and_holds_nobody() {
    let mut w = Scene::new();
    w.create("api", |it| {
        label(it, DEPENDS_ON, "db");
        label(it, RESTART_WITH, "db");
    });
    w.create("db", |it| {
        label(it, DEPENDS_ON, "api");
        label(it, RESTART_WITH, "api");
    });
    w.create("me", |it| label(it, DEPENDS_ON, "me,ghost"));
    let mut w = w.watched();
    let verdicts = w.agent().expect("a watchdog").verdicts();
    let remarks: Vec<_> = verdicts.flat_map(|it| &it.remarks).cloned().collect();
    expect![[r#"
        its dependencies lead back to itself: api → db → api; they hold nobody and restart nobody
        its dependencies lead back to itself: db → api → db; they hold nobody and restart nobody
        its dependencies lead back to itself: me → me; they hold nobody and restart nobody
        its labels say that it depends on ghost, and nothing here has that name"#]]
    .assert_eq(&remarks.join("\n"));
    w.steps(&["1s", "db exits 1, api exits 1, me exits 1, 20s"])
        .tells(expect![[r#"
            1s: no call; api running DEGRADED; db running DEGRADED; me running DEGRADED
            db exits 1, api exits 1, me exits 1, 20s: start db, start api, start me; api running DEGRADED; db running DEGRADED; me running DEGRADED
        "#]]);
    w.steps(&["db exits 1, 1m", "docker rm -f db, 10s"]).tells(expect![[r#"
        db exits 1, 1m: start db; api running DEGRADED; db running DEGRADED; me running DEGRADED
        docker rm -f db, 10s: no call; api running OK; me running DEGRADED
    "#]]);
}

/// The command is as exact as the labels allow.
#[test]
fn what_needs_a_recreate_is_told_with_the_command() {
    let play = |compose: bool| {
        let mut w = joined(Namespace::Network);
        if compose {
            w.remake("app", |it| {
                label(it, "com.docker.compose.project", "shop");
                label(it, "com.docker.compose.service", "app");
                label(it, "com.docker.compose.project.working_dir", "/srv/shop");
            });
        }
        w.does("docker rm -f vpn, 20s");
        let running = w.why("app");
        w.does("app exits 1, 20s");
        format!("{running}\n{}", w.why("app"))
    };
    outcomes([true, false], play).tells(expect![[r#"
        true:
        running, but cut off: the container whose network it joins was removed or made anew: needs recreate: docker compose --project-directory /srv/shop -p shop up -d --force-recreate --no-deps app
        exited (1): the container that it joins was removed or made anew (the engine says: No such container: 76706e0000000000000000000000000000000000000000000000000000000000, 404): needs recreate: docker compose --project-directory /srv/shop -p shop up -d --force-recreate --no-deps app
        false:
        running, but cut off: the container whose network it joins was removed or made anew: needs recreate: remove it and run it again
        exited (1): the container that it joins was removed or made anew (the engine says: No such container: 76706e0000000000000000000000000000000000000000000000000000000000, 404): needs recreate: remove it and run it again
    "#]]);
}
