//! What a restart destroys is captured before it, and delays it for a third of a second at most.

use expect_test::expect;
use watchtree_core::decision::ActionKind;
use watchtree_core::verdict::EvidenceKind;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, story};

#[test]
fn a_hung_container_is_captured_and_then_stopped() {
    story(&["web"], "web is unhealthy, 10s").tells(expect![[r#"
        0.000  happens  web is unhealthy
        0.003  seen     web: health_status unhealthy
        0.006  decided  stop then start web: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.006  told     web REPAIRING: being stopped, to be started again
        0.011  done     stop -t 10 web
        0.015  seen     web: kill, signal 15
        0.035  seen     web: stop
        0.035  done     stop -t 10 web → done
        0.040  seen     web: die, exit code 143
        0.040  done     start web
        0.161  done     start web → done
        0.162  decided  stop then start web: verifying, a new incarnation was seen
        0.162  told     web STARTING: started; it must stay up to count as repaired
        0.164  seen     web: start
        5.162  decided  stop then start web: succeeded, a new incarnation has stayed up for 5.00 s
        5.162  told     web OK: running
    "#]]);
}

#[test]
fn a_capture_that_never_comes_holds_the_stop_up_for_its_time_and_no_longer() {
    story(&["web"], "captures never come, web is unhealthy, 2s").tells(expect![[r#"
        0.000  happens  captures never come
        0.000  happens  web is unhealthy
        0.003  seen     web: health_status unhealthy
        0.006  decided  stop then start web: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.006  told     web REPAIRING: being stopped, to be started again
        0.306  done     stop -t 10 web
        0.310  seen     web: kill, signal 15
        0.330  seen     web: stop
        0.330  done     stop -t 10 web → done
        0.335  seen     web: die, exit code 143
        0.335  done     start web
        0.456  done     start web → done
        0.457  decided  stop then start web: verifying, a new incarnation was seen
        0.457  told     web STARTING: started; it must stay up to count as repaired
        0.459  seen     web: start
    "#]]);
}

#[test]
fn a_capture_that_comes_late_is_still_a_fact_of_the_repair() {
    for (script, comes) in [
        ("web is unhealthy, 1m", true),
        ("captures come 2s late, web is unhealthy, 1m", true),
        ("captures never come, web is unhealthy, 1m", false),
        ("web exits 1, 1m", true),
    ] {
        let mut scene = Scene::with(&["web"]);
        scene.does(script);
        let decisions = scene.agent().expect("it runs").decisions();
        let repairs = decisions.filter(|it| matches!(it.action, ActionKind::StopThenStart | ActionKind::Start));
        let facts: Vec<String> = repairs
            .flat_map(|it| &it.evidence)
            .filter(|it| it.kind == EvidenceKind::Captured)
            .map(|it| it.detail.clone())
            .collect();
        assert_eq!(!facts.is_empty(), comes, "{script}");
        assert!(
            facts.iter().all(|it| it.ends_with("2 log lines: capture 1.txt")),
            "{facts:?}"
        );
    }
}

#[test]
fn a_person_who_stops_it_during_the_capture_wins() {
    story(&["web"], "captures never come, web is unhealthy, 100ms, docker stop web, 30s").tells(expect![[r#"
        0.000  happens  captures never come
        0.000  happens  web is unhealthy
        0.003  seen     web: health_status unhealthy
        0.006  decided  stop then start web: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.006  told     web REPAIRING: being stopped, to be started again
        0.100  happens  docker stop web
        0.103  seen     web: kill, signal 15
        0.103  decided  stop then start web: overruled, signal 15 was sent through the engine during our repair
        0.103  decided  web: unhealthy: somebody sent it a stop signal, and it may be ending as it should; operator_intent blocked
        0.103  told     web UNHEALTHY: unhealthy: somebody sent it a stop signal, and it may be ending as it should
        0.123  seen     web: stop
        0.125  decided  web: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended; operator_intent blocked
        0.125  told     web STOPPED: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended
        0.128  seen     web: die, exit code 143
    "#]]);
}

#[test]
fn one_that_becomes_well_during_the_capture_is_not_stopped() {
    story(&["web"], "captures never come, web is unhealthy, 100ms, web is healthy, 10s").tells(expect![[r#"
        0.000  happens  captures never come
        0.000  happens  web is unhealthy
        0.003  seen     web: health_status unhealthy
        0.006  decided  stop then start web: unhealthy: stop it, inspect whether a person interferes, start it, restart 1 in a row
        0.006  told     web REPAIRING: being stopped, to be started again
        0.100  happens  web is healthy
        0.103  seen     web: health_status healthy
        0.103  decided  stop then start web: failed, it became well before our stop came
        0.103  told     web OK: running, healthy
    "#]]);
}
