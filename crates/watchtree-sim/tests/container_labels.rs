//! The container role against the model engine: what its owner said no to, and what is no service.

use expect_test::expect;
use watchtree_core::container::HealMode;
use watchtree_core::container::classes::{Class, Glob, Selector};
use watchtree_core::container::io::RestartPolicy;
use watchtree_core::container::overrides::{Action, Overrides};
use watchtree_core::time::Duration;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes};
use watchtree_sim::state::engine::Spec;

fn labelled(labels: &'static [(&'static str, &'static str)]) -> impl FnOnce(&mut Spec) {
    |it| {
        it.labels
            .extend(labels.iter().map(|(key, value)| (key.to_string(), value.to_string())))
    }
}

/// `docker create`.
fn create(w: &mut Scene, name: &str, set: impl FnOnce(&mut Spec)) {
    let mut spec = Spec {
        id: Scene::id(name),
        ..Spec::named(name)
    };
    set(&mut spec);
    w.dockerd(|engine, now| engine.create(now, spec).is_ok());
}

type Labels = &'static [(&'static str, &'static str)];

/// Crashes, is started by hand where we did not, and turns unhealthy.
fn crash_and_ill(heal: HealMode, labels: Labels) -> String {
    let mut w = Scene::new();
    w.settings().heal = heal;
    w.create("a", labelled(labels));
    let mut w = w.watched();
    let crashed = w.does("a exits 1, 20s").outcome();
    let ill = w.does("docker start a, 20s, a is unhealthy, 30s").outcome();
    format!("{crashed}, then {ill}")
}

/// A word that cannot be read, and a label that is nearly one of ours, mean no.
#[test]
fn who_says_no_is_left_alone() {
    let cases: [(&str, Labels); 14] = [
        ("no label", &[]),
        ("=true", &[("watchtree.enable", "true")]),
        ("= Yes ", &[("watchtree.enable", " Yes ")]),
        ("=off", &[("watchtree.enable", "off")]),
        ("=NO", &[("watchtree.enable", "NO")]),
        ("=0", &[("watchtree.enable", "0")]),
        ("=", &[("watchtree.enable", "")]),
        ("=maybe", &[("watchtree.enable", "maybe")]),
        ("enabled=false", &[("watchtree.enabled", "false")]),
        ("Enable=true", &[("Watchtree.Enable", "true")]),
        ("autoheal=False", &[("autoheal", "False")]),
        ("autoheal=nope", &[("autoheal", "nope")]),
        ("autoheal.restart.enable=false", &[("autoheal.restart.enable", "false")]),
        (
            "autoheal=False, =true",
            &[("autoheal", "False"), ("watchtree.enable", "true")],
        ),
    ];
    outcomes(cases, |(_, labels)| crash_and_ill(HealMode::All, labels)).tells(expect![[r#"
        no label | =true | = Yes  | autoheal=False, =true: start a; a running OK, then stop -t 10 a, start a; a running OK
        =off | =NO | =0 | = | =maybe | enabled=false | Enable=true | autoheal=False | autoheal=nope | autoheal.restart.enable=false: no call; a exited DOWN, then no call; a running UNHEALTHY
    "#]]);
    outcomes(cases, |(_, labels)| crash_and_ill(HealMode::Labelled, labels)).tells(expect![[r#"
        no label | =off | =NO | =0 | = | =maybe | enabled=false | Enable=true | autoheal=False | autoheal=nope | autoheal.restart.enable=false: no call; a exited DOWN, then no call; a running UNHEALTHY
        =true | = Yes  | autoheal=False, =true: start a; a running OK, then stop -t 10 a, start a; a running OK
    "#]]);
}

#[test]
fn a_label_that_says_nothing_is_named() {
    let play = |(key, value): (&str, &str)| {
        let mut w = Scene::new();
        w.create("a", |it| _ = it.labels.insert(key.into(), value.into()));
        let w = w.watched();
        let mut verdicts = w.agent().expect("it runs").verdicts();
        let verdict = verdicts.find(|it| it.subject.as_str() == "h1/docker/a");
        let verdict = verdict.expect("it is watched");
        format!("{} {}", verdict.state.as_str(), verdict.remarks.join("; "))
    };
    let cases = [
        ("watchtree.enable", "maybe"),
        ("watchtree.enabled", "false"),
        ("watchtree.budgett", "5/10m"),
        ("autoheal", "2"),
    ];
    outcomes(cases, play).tells(expect![[r#"
        watchtree.enable: DEGRADED label watchtree.enable="maybe" is not understood: want true or false; until then it is not healed
        watchtree.enabled: DEGRADED label watchtree.enabled is not known: write watchtree.enable=true or =false; until then it is not healed
        watchtree.budgett: DEGRADED label watchtree.budgett is not known and says nothing; did you mean watchtree.budget?
        autoheal: DEGRADED label autoheal="2" is not understood: want true or false; until then it is not healed
    "#]]);
}

/// Where everything is healed: jobs, terminals, and what never came up. A label or a restart policy says otherwise.
#[test]
fn what_is_no_service_is_left_alone() {
    type Set = fn(&mut Spec);
    let cases: [(&str, Set); 9] = [
        ("exits 1 after 2 s", |_| {}),
        ("exits 0 after 2 s", |it| {
            it.program.runs_for = Some((Duration::from_secs(2), 0))
        }),
        ("exits 1 after 12 s", |it| {
            it.program.runs_for = Some((Duration::from_secs(12), 1))
        }),
        ("labelled", labelled_true),
        ("on-failure", |it| it.policy = RestartPolicy::OnFailure { max: 0 }),
        ("a terminal", |it| {
            it.terminal = true;
            it.program.runs_for = Some((Duration::from_secs(12), 1));
        }),
        ("a terminal, labelled", |it| {
            it.terminal = true;
            labelled_true(it);
        }),
        ("compose run", oneoff),
        ("compose run, labelled", |it| {
            oneoff(it);
            labelled_true(it);
        }),
    ];
    let play = |(_, set): (&str, Set)| {
        let mut w = Scene::new();
        w.run(60_000);
        w.start_agent();
        w.run(60_000);
        create(&mut w, "a", |it| {
            it.program.runs_for = Some((Duration::from_secs(2), 1));
            set(it);
        });
        w.does("docker start a, 40s");
        let why = w.why("a");
        format!("{} ({why})", w.outcome())
    };
    outcomes(cases, play).tells(expect![[r#"
        exits 1 after 2 s: no call; a exited DOWN (exited (1): it was never seen to run for 10 s and has no restart policy: taken for a job, or for a mistake in its making; label watchtree.enable=true heals it all the same)
        exits 0 after 2 s: no call; a exited FINISHED (finished: exit code 0 and no restart policy)
        exits 1 after 12 s: start a, start a, start a; a running STARTING (started; it must stay up to count as repaired)
        labelled | a terminal, labelled: start a, start a, start a, start a, start a, start a, start a, start a; a exited REPAIRING (exited (1): restart 9 of 12 in 12 s)
        on-failure: no call; a restarting REPAIRING (exited (1); the engine restarts it by its own policy)
        a terminal: no call; a exited STOPPED (exited (1): it has a terminal and no restart policy: left to whoever began it)
        compose run | compose run, labelled: no call; a exited FINISHED (finished: a one-off container of compose)
    "#]]);
}

fn labelled_true(it: &mut Spec) {
    it.labels.insert("watchtree.enable".into(), "true".into());
}

fn oneoff(it: &mut Spec) {
    it.labels.insert("com.docker.compose.oneoff".into(), "True".into());
}

/// What came up once is a service, also after a restart of the watchdog; and a person may ask for a try of anything.
#[test]
fn what_came_up_once_is_healed_whatever_became_of_it() {
    let mut w = Scene::with(&["a"]);
    w.steps(&[
        "a runs for 2s, a exits 1, 1s",
        "watchdog killed, 5s, watchdog started, 1s",
        "20s",
    ])
    .tells(expect![[r#"
        a runs for 2s, a exits 1, 1s: start a; a running STARTING
        watchdog killed, 5s, watchdog started, 1s: start a; a running STARTING
        20s: start a, start a, start a, start a, start a; a exited REPAIRING
    "#]]);
    let mut w = Scene::new();
    w.run(60_000);
    w.start_agent();
    w.run(60_000);
    create(&mut w, "job", |it| {
        it.program.runs_for = Some((Duration::from_secs(2), 1))
    });
    w.steps(&["docker start job, 10s", "retry job, 1s"]).tells(expect![[r#"
        docker start job, 10s: no call; job exited DOWN
        retry job, 1s: start job; job running STARTING
    "#]]);
}

/// By the classes that fit; a label overrules them.
#[test]
fn a_class_says_what_holds_for_its_containers() {
    let class = |image: &str, set: Overrides| Class {
        name: image.to_string(),
        selector: Selector {
            image: Some(Glob::new(image)),
            ..Selector::default()
        },
        set,
        ..Class::default()
    };
    let classes = vec![
        class(
            "postgres:*",
            Overrides {
                heal: Some(true),
                stop_timeout: Some(Duration::from_secs(60)),
                unhealthy_for: Some(Duration::from_secs(120)),
                ..Overrides::default()
            },
        ),
        class(
            "cache*",
            Overrides {
                heal: Some(true),
                action: Some(Action::Notify),
                ..Overrides::default()
            },
        ),
        class(
            "batch",
            Overrides {
                heal: Some(false),
                ..Overrides::default()
            },
        ),
    ];
    let cases = [
        ("no class", "web", Labels::default()),
        ("postgres", "postgres:16", &[]),
        (
            "postgres, label",
            "postgres:16",
            &[("watchtree.unhealthy-for", "10s"), ("watchtree.stop-timeout", "3s")],
        ),
        ("cache: notify", "cache:1", &[]),
        ("cache, label restart", "cache:1", &[("watchtree.action", "Restart")]),
        ("batch", "batch", &[]),
        ("batch, label", "batch", &[("watchtree.enable", "true")]),
    ];
    let play = |heal| {
        outcomes(cases, |(_, image, labels): (&str, &str, Labels)| {
            let mut w = Scene::new();
            (w.settings().heal, w.settings().classes) = (heal, classes.clone());
            w.create("a", |it| {
                it.image = image.into();
                labelled(labels)(it);
            });
            let mut w = w.watched();
            let crashed = w.does("a exits 1, 20s").outcome();
            let soon = w.does("docker start a, 20s, a is unhealthy, 15s").outcome();
            format!("{crashed}, then {soon}, then {}", w.does("2m").outcome())
        })
    };
    play(HealMode::Labelled).tells(expect![[r#"
        no class | cache: notify | batch: no call; a exited DOWN, then no call; a running UNHEALTHY, then no call; a running UNHEALTHY
        postgres: start a; a running OK, then no call; a running UNHEALTHY, then stop -t 60 a, start a; a running OK
        postgres, label: start a; a running OK, then stop -t 3 a, start a; a running STARTING, then no call; a running OK
        cache, label restart | batch, label: start a; a running OK, then stop -t 10 a, start a; a running OK, then no call; a running OK
    "#]]);
    play(HealMode::All).tells(expect![[r#"
        no class | cache, label restart | batch, label: start a; a running OK, then stop -t 10 a, start a; a running OK, then no call; a running OK
        postgres: start a; a running OK, then no call; a running UNHEALTHY, then stop -t 60 a, start a; a running OK
        postgres, label: start a; a running OK, then stop -t 3 a, start a; a running STARTING, then no call; a running OK
        cache: notify | batch: no call; a exited DOWN, then no call; a running UNHEALTHY, then no call; a running UNHEALTHY
    "#]]);
}
