//! The scenario language itself: a script does what it says, and a table has a line for each outcome.

use expect_test::expect;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::{Script, outcomes, same, story};

#[test]
fn a_story_tells_what_happened_was_seen_decided_done_and_told() {
    let script = "docker stop -t 5 web, 1s, docker start web, 1m, web exits 137, 10s";
    story(&["web"], script).tells(expect![[r#"
        0.000  happens  docker stop -t 5 web
        0.003  seen     web: kill, signal 15
        0.023  seen     web: stop
        0.025  decided  web: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended; operator_intent blocked
        0.025  told     web STOPPED: stopped by a person: signal 15 was sent through the engine 0.02 s before it ended
        0.028  seen     web: die, exit code 143
        1.000  happens  docker start web
        1.123  seen     web: start
        1.125  told     web OK: running
        61.000 happens  web exits 137
        61.003 seen     web: die, exit code 137
        61.003 decided  start web: exited (137), nobody stopped it: start it, restart 1 in a row
        61.003 done     start web
        61.003 told     web REPAIRING: being started
        61.124 done     start web → done
        61.127 seen     web: start
        61.129 decided  start web: verifying, a new incarnation was seen
        61.129 told     web STARTING: started; it must stay up to count as repaired
        66.127 decided  start web: succeeded, a new incarnation has stayed up for 5.00 s
        66.127 told     web OK: running
    "#]]);
}

#[test]
fn a_table_has_a_line_for_each_outcome_and_names_the_variation_that_matters() {
    let play = |script: &str| {
        same(["500ms", "10s"], |time| {
            Scene::with(&["a"]).does(script).does(time).outcome()
        })
    };
    outcomes(["docker stop a", "docker kill a", "a exits 1"], play).tells(expect![[r#"
        docker stop a | docker kill a: no call; a exited STOPPED
        a exits 1: [500ms: start a; a running STARTING][10s: start a; a running OK]
    "#]]);
}

#[test]
#[should_panic(expected = "no such act: web explodes")]
fn an_unknown_act_is_a_panic() {
    story(&["web"], "1s, web explodes");
}
