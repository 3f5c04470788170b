//! The engine model by itself, act by act: what the API would say of each, with explicit times.

use expect_test::{Expect, expect};
use std::fmt::Write as _;
use watchtree_core::container::io::{EngineTime, Namespace, RestartPolicy, RunState};
use watchtree_core::time::{Duration, Moment};
use watchtree_sim::state::engine::*;

/// An engine, its time, and what it said: one line an event or answer, stamped in milliseconds since the beginning.
struct Bench {
    engine: Engine,
    now: Moment,
    said: String,
}

const BEGIN: Moment = Moment::from_millis(1_000_000);

impl Bench {
    fn new(set: impl FnOnce(&mut EngineSettings)) -> Self {
        let mut settings = EngineSettings {
            live_restore: false,
            version: Version::V20_10,
            timing: Timing::Exact,
            hides_its_beginning: false,
        };
        set(&mut settings);
        Self {
            engine: Engine::new(settings),
            now: BEGIN,
            said: String::new(),
        }
    }

    /// With a container of that policy, which has run for a minute.
    fn with(policy: RestartPolicy) -> Self {
        let mut bench = Self::new(|_| {});
        bench.runs(Spec {
            policy,
            ..Spec::named("a")
        });
        bench
    }

    fn runs(&mut self, spec: Spec) {
        self.engine.create_running(self.now, spec, Duration::from_secs(60));
        self.engine.drain();
    }

    fn call(&mut self, name: &str, verb: Verb) {
        let place = self.engine.find_name(name).expect("a container of that name");
        let id = self.engine.snapshot(place).id;
        self.engine.call(self.now, &id, verb, Asker::Person(1));
        self.listen();
    }

    fn exits(&mut self, name: &str, code: i64) {
        let place = self.engine.find_name(name).expect("a container of that name");
        assert!(self.engine.process_exits(self.now, place, code));
        self.listen();
    }

    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.advance(self.now);
            self.listen();
        }
        self.now = end;
    }

    fn listen(&mut self) {
        let at = self.now.since(BEGIN).as_millis();
        for out in self.engine.drain() {
            let _ = match out {
                Out::Event(event) => writeln!(self.said, "{at} {} {:?}", event.name, event.action),
                Out::Answered(_, result) => writeln!(self.said, "{at} answer {result:?}"),
                Out::Started { .. } => Ok(()),
                Out::DaemonEnded => writeln!(self.said, "{at} daemon ended"),
                Out::DaemonReady => writeln!(self.said, "{at} daemon ready"),
            };
        }
    }

    fn inspect(&mut self, name: &str) {
        let place = self.engine.find_name(name).expect("a container of that name");
        let id = self.engine.snapshot(place).id;
        let (view, flag) = (self.engine.inspect(&id).unwrap(), self.engine.manual_stop_flag(&id));
        let at = self.now.since(BEGIN).as_millis();
        let _ = writeln!(
            self.said,
            "{at} {name} {:?} pid {} exit {} restarts {} flag {flag:?} {:?}",
            view.run,
            0 < view.pid,
            view.exit_code,
            view.restart_count,
            view.error
        );
    }

    #[track_caller]
    fn says(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.said).replace("Container(", "("));
    }
}

#[test]
fn a_stop_of_an_obedient_and_of_a_stubborn_one() {
    let mut bench = Bench::with(RestartPolicy::No);
    bench.runs(Spec {
        program: Program::stubborn(),
        ..Spec::named("deaf")
    });
    bench.call("a", Verb::Stop(None));
    bench.call("deaf", Verb::Stop(Some(Duration::from_secs(1))));
    bench.wait(2000);
    bench.inspect("a");
    bench.call("a", Verb::Start);
    bench.wait(200);
    bench.inspect("a");
    bench.says(expect![[r#"
        0 a (Kill { signal: 15 })
        0 deaf (Kill { signal: 15 })
        20 a (Die { exit_code: 143 })
        28 a (Stop)
        31 answer Ok(Done)
        1000 deaf (Kill { signal: 9 })
        1020 deaf (Die { exit_code: 137 })
        1028 deaf (Stop)
        1031 answer Ok(Done)
        2000 a Exited pid false exit 143 restarts 0 flag Some(true) ""
        2120 a (Start)
        2120 answer Ok(Done)
        2200 a Running pid true exit 0 restarts 0 flag Some(false) ""
    "#]]);
}

#[test]
fn a_hup_sets_the_flag_and_calls_the_policy_off() {
    let mut bench = Bench::with(RestartPolicy::Always);
    bench.call("a", Verb::Kill(1));
    bench.inspect("a");
    bench.exits("a", 1);
    bench.wait(5000);
    bench.inspect("a");
    bench.says(expect![[r#"
        0 a (Kill { signal: 1 })
        0 answer Ok(Done)
        0 a Running pid true exit 0 restarts 0 flag Some(true) ""
        0 a (Die { exit_code: 1 })
        5000 a Exited pid false exit 1 restarts 0 flag Some(true) ""
    "#]]);
}

#[test]
fn the_back_off_doubles_counts_as_running_and_a_stop_ends_it() {
    let mut bench = Bench::with(RestartPolicy::Always);
    for _ in 0..3 {
        bench.exits("a", 1);
        bench.wait(1000);
    }
    bench.exits("a", 1);
    bench.inspect("a");
    bench.call("a", Verb::Start);
    bench.call("a", Verb::Stop(None));
    bench.wait(5000);
    bench.inspect("a");
    bench.says(expect![[r#"
        0 a (Die { exit_code: 1 })
        220 a (Start)
        1000 a (Die { exit_code: 1 })
        1320 a (Start)
        2000 a (Die { exit_code: 1 })
        2520 a (Start)
        3000 a (Die { exit_code: 1 })
        3000 a Restarting pid false exit 1 restarts 4 flag Some(false) ""
        3000 answer Ok(AlreadySo)
        3008 a (Stop)
        3011 answer Ok(Done)
        8000 a Exited pid false exit 1 restarts 4 flag Some(true) ""
    "#]]);
}

/// Policies over a crash of the daemon: what it finds alive the new one stops, and marks as a person's stop would.
#[test]
fn a_daemon_killed_and_started() {
    for live_restore in [false, true] {
        let mut bench = Bench::new(|settings| settings.live_restore = live_restore);
        let policies = [
            ("no", RestartPolicy::No),
            ("always", RestartPolicy::Always),
            ("unless", RestartPolicy::UnlessStopped),
            ("failure", RestartPolicy::OnFailure { max: 3 }),
        ];
        for (name, policy) in policies {
            bench.runs(Spec {
                policy,
                program: Program::on_term(0, Duration::ZERO),
                ..Spec::named(name)
            });
        }
        assert!(bench.engine.daemon_killed());
        bench.listen();
        bench.wait(1000);
        bench.exits("always", 1);
        assert!(bench.engine.daemon_started(bench.now));
        bench.listen();
        bench.wait(20_000);
        policies.into_iter().for_each(|(name, _)| bench.inspect(name));
        bench.says(if live_restore {
            expect![[r#"
                0 daemon ended
                2120 always (Start)
                2120 daemon ready
                21000 no Running pid true exit 0 restarts 0 flag Some(false) ""
                21000 always Running pid true exit 0 restarts 0 flag Some(false) ""
                21000 unless Running pid true exit 0 restarts 0 flag Some(false) ""
                21000 failure Running pid true exit 0 restarts 0 flag Some(false) ""
            "#]]
        } else {
            expect![[r#"
                0 daemon ended
                1000 no (Kill { signal: 15 })
                1000 unless (Kill { signal: 15 })
                1000 failure (Kill { signal: 15 })
                1020 no (Die { exit_code: 0 })
                1020 unless (Die { exit_code: 0 })
                1020 failure (Die { exit_code: 0 })
                1028 no (Stop)
                1028 unless (Stop)
                1028 failure (Stop)
                2148 always (Start)
                2148 daemon ready
                21000 no Exited pid false exit 0 restarts 0 flag Some(true) ""
                21000 always Running pid true exit 0 restarts 0 flag Some(false) ""
                21000 unless Exited pid false exit 0 restarts 0 flag Some(true) ""
                21000 failure Exited pid false exit 0 restarts 0 flag Some(true) ""
            "#]]
        });
    }
}

#[test]
fn a_daemon_terminated_and_started() {
    let mut bench = Bench::with(RestartPolicy::UnlessStopped);
    bench.runs(Spec::named("no"));
    bench.runs(Spec {
        policy: RestartPolicy::Always,
        ..Spec::named("stopped")
    });
    bench.call("stopped", Verb::Stop(None));
    bench.wait(1000);
    assert!(bench.engine.daemon_terminated(bench.now));
    bench.listen();
    bench.wait(1000);
    assert!(bench.engine.daemon_started(bench.now));
    bench.listen();
    bench.wait(2000);
    ["a", "no", "stopped"].into_iter().for_each(|name| bench.inspect(name));
    bench.says(expect![[r#"
        0 stopped (Kill { signal: 15 })
        20 stopped (Die { exit_code: 143 })
        28 stopped (Stop)
        31 answer Ok(Done)
        1000 a (Kill { signal: 15 })
        1000 no (Kill { signal: 15 })
        1020 a (Die { exit_code: 143 })
        1020 no (Die { exit_code: 143 })
        1028 a (Stop)
        1028 no (Stop)
        1028 daemon ended
        3120 a (Start)
        3120 stopped (Start)
        3120 daemon ready
        4000 a Running pid true exit 0 restarts 0 flag Some(false) ""
        4000 no Exited pid false exit 143 restarts 0 flag Some(false) ""
        4000 stopped Running pid true exit 0 restarts 0 flag Some(false) ""
    "#]]);
}

#[test]
fn a_machine_without_power() {
    let mut bench = Bench::with(RestartPolicy::UnlessStopped);
    bench.runs(Spec::named("no"));
    bench.engine.power_lost(bench.now);
    bench.listen();
    bench.wait(5000);
    assert!(bench.engine.daemon_started(bench.now));
    bench.listen();
    bench.wait(2000);
    ["a", "no"].into_iter().for_each(|name| bench.inspect(name));
    bench.says(expect![[r#"
        0 daemon ended
        6120 a (Start)
        6120 daemon ready
        7000 a Running pid true exit 0 restarts 0 flag Some(false) ""
        7000 no Exited pid false exit 255 restarts 0 flag Some(false) ""
    "#]]);
}

#[test]
fn starts_that_are_refused() {
    let mut bench = Bench::new(|_| {});
    bench.runs(Spec {
        id: "aa".into(),
        ports: vec![80],
        ..Spec::named("vpn")
    });
    let spec = |name: &str| Spec {
        joins: (name == "app")
            .then(|| (Namespace::Network, "aa".into()))
            .into_iter()
            .collect(),
        ports: if name == "web" { vec![80] } else { Vec::new() },
        mounts: if name == "db" { vec!["/data".into()] } else { Vec::new() },
        program: Program {
            cannot_start: (name == "bad").then(|| (127, "exec: \"nosuch\": executable file not found in $PATH".into())),
            ..Program::default()
        },
        ..Spec::named(name)
    };
    bench.engine.set_mount("/data", false);
    for name in ["app", "web", "db", "bad"] {
        bench.engine.create(bench.now, spec(name)).unwrap();
    }
    bench.call("vpn", Verb::Stop(None));
    bench.wait(100);
    for name in ["app", "db", "bad"] {
        bench.call(name, Verb::Start);
        bench.wait(1000);
        bench.inspect(name);
    }
    bench.call("vpn", Verb::Start);
    bench.wait(200);
    bench.call("web", Verb::Start);
    bench.call("vpn", Verb::Remove { force: true });
    bench.call("app", Verb::Start);
    bench.wait(200);
    bench.says(expect![[r#"
        0 app (Create)
        0 web (Create)
        0 db (Create)
        0 bad (Create)
        0 vpn (Kill { signal: 15 })
        20 vpn (Die { exit_code: 143 })
        28 vpn (Stop)
        31 answer Ok(Done)
        103 answer Err(Refused { status: 409, message: "cannot join network of a non running container: aa" })
        1100 app Created pid false exit 128 restarts 0 flag Some(false) "cannot join network of a non running container: aa"
        1103 answer Err(Refused { status: 400, message: "invalid mount config for type \"bind\": bind source path does not exist: /data" })
        2100 db Created pid false exit 0 restarts 0 flag Some(false) ""
        2220 answer Err(Refused { status: 400, message: "exec: \"nosuch\": executable file not found in $PATH" })
        3100 bad Created pid false exit 127 restarts 0 flag Some(false) "exec: \"nosuch\": executable file not found in $PATH"
        3220 vpn (Start)
        3220 answer Ok(Done)
        3300 vpn (Kill { signal: 9 })
        3303 answer Err(Refused { status: 500, message: "driver failed programming external connectivity on endpoint web (000000000000000000000000000000000000000000000000000020000000ed0c): Bind for 0.0.0.0:80 failed: port is already allocated" })
        3320 vpn (Die { exit_code: 137 })
        3328 vpn (Destroy)
        3331 answer Ok(Done)
        3420 answer Err(Refused { status: 404, message: "No such container: aa" })
    "#]]);
}

#[test]
fn pause_rename_restart_and_what_is_refused_meanwhile() {
    let mut bench = Bench::with(RestartPolicy::No);
    bench.call("a", Verb::Pause);
    bench.call("a", Verb::Start);
    bench.call("a", Verb::Pause);
    bench.call("a", Verb::Restart(Some(Duration::ZERO)));
    bench.call("a", Verb::Stop(None));
    bench.wait(500);
    bench.call("a", Verb::Rename("b".into()));
    bench.call("b", Verb::Remove { force: false });
    bench.call("b", Verb::Kill(9));
    bench.call("b", Verb::Unpause);
    bench.wait(500);
    bench.says(expect![[r#"
        0 a (Pause)
        0 answer Ok(Done)
        0 answer Err(Refused { status: 409, message: "cannot start a paused container, try unpause instead" })
        0 answer Err(Refused { status: 409, message: "Container c0de000000000000000000000000000000000000000000000000000000000000 is already paused" })
        0 a (Kill { signal: 15 })
        0 a (Unpause)
        0 a (Kill { signal: 15 })
        0 a (Kill { signal: 9 })
        20 a (Die { exit_code: 143 })
        28 a (Stop)
        28 a (Stop)
        31 answer Ok(Done)
        148 a (Start)
        148 a (Restart)
        148 answer Ok(Done)
        500 b (Rename { old_name: "a" })
        500 answer Ok(Done)
        500 answer Err(Refused { status: 409, message: "You cannot remove a running container c0de000000000000000000000000000000000000000000000000000000000000. Stop the container before attempting removal or force remove" })
        500 b (Kill { signal: 9 })
        500 answer Err(Refused { status: 500, message: "Container c0de000000000000000000000000000000000000000000000000000000000000 is not paused" })
        520 b (Die { exit_code: 137 })
        531 answer Ok(Done)
    "#]]);
}

#[test]
fn health_turns_after_its_retries_and_is_silent_from_there() {
    let mut bench = Bench::new(|_| {});
    bench.runs(Spec {
        check: Some(Check::default()),
        ..Spec::named("a")
    });
    bench
        .engine
        .set_check_result(bench.now, 0, CheckResult::CannotRun("OCI runtime exec failed".into()));
    bench.wait(60_000);
    bench.engine.set_check_result(bench.now, 0, CheckResult::Passes);
    bench.wait(60_000);
    bench.call("a", Verb::Restart(None));
    bench.wait(5000);
    bench.says(expect![[r#"
        1000 a ExecCreate
        1000 a ExecStart
        1000 a ExecDie(1)
        2000 a ExecCreate
        2000 a ExecStart
        2000 a ExecDie(1)
        2000 a (Health(Unhealthy))
        61000 a ExecCreate
        61000 a ExecStart
        61000 a ExecDie(0)
        61000 a (Health(Healthy))
        120000 a (Kill { signal: 15 })
        120020 a (Die { exit_code: 143 })
        120028 a (Stop)
        120148 a (Start)
        120148 a (Restart)
        120148 answer Ok(Done)
        121148 a ExecCreate
        121148 a ExecStart
        121148 a ExecDie(0)
        121148 a (Health(Healthy))
    "#]]);
}

#[test]
fn the_ring_holds_256_events_of_all_types() {
    let mut bench = Bench::with(RestartPolicy::No);
    bench.call("a", Verb::Pause);
    bench.engine.other_events(bench.now, 255);
    assert_eq!(bench.engine.events_since(EngineTime(0)).len(), RING_EVENTS_MAX);
    bench.engine.other_events(bench.now, 1);
    let known = bench.engine.events_since(EngineTime(0));
    assert!(known.iter().all(|event| event.for_watchdog().is_none()));
    assert_eq!(bench.engine.snapshot(0).run, RunState::Paused);
}
