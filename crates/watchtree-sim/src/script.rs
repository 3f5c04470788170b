//! The scenario language: what happens, in the words of who does it, and what came of it.
//!
//! A script is a list of acts with commas between them; a time lets that much of it pass. A story tells everything that
//! followed, an outcome only how it ended.
//!
//! ```text
//! docker stop -t 10 web, 5s, docker start web, 1m, web exits 137, 10s
//! ```
//!
//! | act | |
//! |---|---|
//! | `5s`, `250ms`, `10m`, `until called` | time passes: so much, or until the watchdog has called its engine |
//! | `docker start web`, `stop`, `restart`, `kill -s HUP`, `rm -f`, `pause`, `rename web new`, … | what a person types |
//! | `web exits 1`, `web runs for 500ms`, `web runs on`, `web ignores TERM` | its program, from now on |
//! | `web ends 20s after TERM with 3`, `web is killed 8s late` | how long its end takes; and the SIGKILL of the watchdog's next stop |
//! | `the stop signal to web is lost` | the engine cannot send that of the watchdog's next stop, and forces it after 2 s |
//! | `web runs out of memory`, `a child of web runs out of memory` | the kernel kills it for memory |
//! | `web fails to start: WORDS`, `web starts again` | what the engine says to a start |
//! | `web gets label watchtree.budget=5/10m` | it is as if it had been made with it |
//! | `web is unhealthy`, `unhealthy unseen`, `healthy`; `web is touched` | its health check; an event without a change |
//! | `web hangs`; `the check of web exits 127 WORDS`, `exits 1/127`, `passes`, `times out`, `cannot run: WORDS` | what its check comes to |
//! | `the shim of web is stopped`, `is killed`, `goes on`; `the end of web is missed` | the process between the daemon and the container |
//! | `the removal of web hangs`, `fails` | somebody removes it by force, and the engine does not come to the end of it |
//! | `web comes up 20s late`, `web says no to http :80/ready: WORDS`, `yes to http :80/ready` | what its program answers to probes |
//! | `probes cannot run: WORDS`, `probes can run` | no container can be probed |
//! | `captures come 2s late`, `captures never come` | what is captured before a stop |
//! | `exec is broken: WORDS`, `exec works` | no check of any container can be run |
//! | `watchdog killed`, `asked to stop`, `told of shutdown`, `started`, `frozen`, `thawed` | the container-watchdog's process |
//! | `host-watchdog killed`, `power lost for 20s` | in a fleet |
//! | `dockerd killed`, `terminated`, `started` | the engine's daemon |
//! | `mount /m gone`, `network n gone`, `port 80 taken`; `mount /m there`, `network n there`, `port 80 free` | what a start needs |
//! | `calls forbidden`, `allowed` | a filter before the engine's socket |
//! | `stream cut`, `stream silent`, `events lost` | the event stream; the engine's memory of events |
//! | `journal loses 3`, `damage seen` | no watchdog lives: that record, counted from the newest, is damaged; a person looked |
//! | `retry web`, `hold web 60s`, `release web` | the `watchtree` command, on this machine |
//!
//! It acts on a [`Scene`] and knows nothing of right or wrong. A word that it does not know is a panic.

use crate::scene::Scene;
use crate::state::engine::{CheckResult, Engine, OnSignal, StopTrouble, Verb, Version, load, removal, shim};
use expect_test::Expect;
use std::time::Duration;
use watchtree_core::container::io::{ContainerInput, Health, RestartPolicy};
use watchtree_core::order;

/// A scene that is acted on by scripts.
pub trait Script {
    /// Does what the script says.
    ///
    /// # Panics
    /// At a word that it does not know.
    fn does(&mut self, script: &str) -> &mut Self;

    /// Scripts one after the other, each with its outcome.
    fn steps(&mut self, scripts: &[&str]) -> Lines;

    /// That is the story since it began, or since it was last told.
    fn tells(&mut self, expected: Expect);
}

impl Script for Scene {
    fn does(&mut self, script: &str) -> &mut Self {
        for act in script.split([',', '\n']).map(str::trim).filter(|act| !act.is_empty()) {
            let words: Vec<&str> = act.split_whitespace().collect();
            match (words.as_slice(), time(words[0])) {
                ([_], Some(passes)) => self.run(passes.as_millis() as u64),
                (["until", "called"], _) => self.run_until_called(),
                (["docker", typed @ ..], _) => {
                    self.happens(act);
                    let (who, verb) = docker(typed).unwrap_or_else(|| panic!("no such command: {act}"));
                    self.person(who, verb);
                }
                (words, _) => {
                    // The log itself tells what becomes of a process or a machine.
                    let is_told = ["watchdog", "host-watchdog", "power"].contains(&words[0]);
                    if !is_told || ["asked", "told"].iter().any(|it| words.contains(it)) {
                        self.happens(act);
                    }
                    assert!(act_on(self, words), "no such act: {act}");
                }
            }
        }
        self
    }

    fn steps(&mut self, scripts: &[&str]) -> Lines {
        let line = |script: &&str| format!("{script}: {}\n", self.does(script).outcome());
        Lines(scripts.iter().map(line).collect())
    }

    #[track_caller]
    fn tells(&mut self, expected: Expect) {
        expected.assert_eq(&self.take_story());
    }
}

/// The story of a script, on containers that were watched for a minute.
pub fn story(names: &[&str], script: &str) -> Lines {
    Lines(Scene::with(names).does(script).take_story())
}

/// False where there is no such act.
fn act_on(w: &mut Scene, words: &[&str]) -> bool {
    match words {
        [who, "exits", code] => w.crash(who, number(code)),
        ["the", "end", "of", who, "is", "missed"] => w.dockerd(|engine, now| {
            let place = engine.find_name(who).expect("a container");
            shim::end_is_missed(engine, now, place)
        }),
        [who, "runs", "for", lasts] => w.dies_after_start(who, Some(length(lasts).as_millis() as u64)),
        [who, "runs", "out", "of", "memory"] => w.out_of_memory(who, true),
        ["a", "child", "of", who, "runs", "out", "of", "memory"] => w.out_of_memory(who, false),
        [who, "runs", "on"] => w.dies_after_start(who, None),
        [who, "gets", "label", label] => {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            w.remake(who, |it| drop(it.labels.insert(key.into(), value.into())));
        }
        [who, "ignores", "TERM"] => w.ignores_term(who),
        [who, "ends", after, "after", name, "with", code] => {
            let signal = signal(name).unwrap_or_else(|| panic!("no signal: {name}"));
            let (after, code) = (length(after), number(code));
            w.program(who, |it| _ = it.handlers.insert(signal, OnSignal::Exit { code, after }));
        }
        [who, "is", "killed", late, "late"] => {
            let place = w
                .engine()
                .find_name(who)
                .unwrap_or_else(|| panic!("there is no container {who}"));
            w.engine().next_stop(place, StopTrouble::LateKill(length(late)));
        }
        ["the", "stop", "signal", "to", who, "is", "lost"] => {
            let place = w.engine().find_name(who).expect("a container");
            w.engine().next_stop(place, StopTrouble::LostSignal);
        }
        [who, "fails", "to", "start:", words @ ..] => w.refuses(who, Some(&words.join(" "))),
        [who, "starts", "again"] => w.refuses(who, None),
        [who, "is", "unhealthy"] => w.health(who, Health::Unhealthy),
        [who, "is", "unhealthy", "unseen"] => w.health_unseen(who, Health::Unhealthy),
        [who, "is", "healthy"] => w.health(who, Health::Healthy),
        [who, "hangs"] => w.dockerd(|engine, now| {
            let place = engine.find_name(who).expect("a container");
            engine.hang(now, place)
        }),
        ["the", "check", "of", who, result @ ..] => return check(w, who, result),
        ["the", "removal", "of", who, how] => w.dockerd(|engine, now| {
            let place = engine.find_name(who).expect("a container");
            removal::stuck(engine, now, place, *how == "fails")
        }),
        ["the", "shim", "of", who, now @ ..] => return shim_is(w, who, now),
        ["exec", "is", "broken:", words @ ..] => exec_breaks(w, Some(words.join(" "))),
        ["exec", "works"] => exec_breaks(w, None),
        ["machine", "is", now @ ("busy" | "idle")] => machine_is(w, *now == "busy"),
        ["load", "is", "hidden"] => w.api().hide_load(),
        [who, "comes", "up", late, "late"] => {
            let takes = length(late);
            w.program(who, |it| it.comes_up = Some(takes));
        }
        [who, "says", "no", "to", what @ ..] => {
            let what = what.join(" ");
            let (asked, words) = what.split_once(": ").unwrap_or((&what, "no"));
            w.program(who, |it| _ = it.says_no.insert(asked.into(), words.into()));
        }
        [who, "says", "yes", "to", asked @ ..] => w.program(who, |it| _ = it.says_no.remove(&asked.join(" "))),
        ["probes", "cannot", "run:", words @ ..] => w.api().probes_fail(Some(words.join(" "))),
        ["probes", "can", "run"] => w.api().probes_fail(None),
        ["captures", "come", late, "late"] => w.api().captures_come(Some(length(late).as_millis() as u64)),
        ["captures", "never", "come"] => w.api().captures_come(None),
        [who, "is", "touched"] => w.touch(who),
        ["watchdog", "killed"] => w.kill_agent(),
        ["watchdog", "asked", "to", "stop"] => w.input(ContainerInput::Stop),
        ["watchdog", "told", "of", "shutdown"] => w.input(ContainerInput::HostShutdown),
        ["watchdog", "started"] => w.start_agent(),
        ["watchdog", "frozen"] => w.freeze(),
        ["watchdog", "thawed"] => w.thaw(),
        ["host-watchdog", "killed"] => w.kill_host_watchdog(),
        ["power", "lost", "for", lasts] => w.power_cut(length(lasts)),
        ["dockerd", "killed"] => w.dockerd(|engine, _| engine.daemon_killed()),
        ["dockerd", "terminated"] => w.dockerd(Engine::daemon_terminated),
        ["dockerd", "started"] => w.dockerd(Engine::daemon_started),
        ["stream", "cut"] => w.cut_stream(),
        ["stream", "silent"] => w.api().deafen_stream(),
        ["events", "lost"] => w.engine().forget_events(),
        ["journal", "loses", newest] => w.disk().loses(number(newest)),
        ["damage", "seen"] => w.disk().damage_is_seen(),
        ["mount", path, now] => w.engine().set_mount(path, is_there(now)),
        ["network", name, now] => w.engine().set_network(name, is_there(now)),
        ["port", port, now] => w.engine().set_port(number(port), *now == "taken"),
        ["calls", now] => w.api().posts_forbidden(*now == "forbidden"),
        ["retry", who] => w.asks(who, order::Verb::Retry),
        ["release", who] => w.asks(who, order::Verb::Release),
        ["hold", who, lasts] => {
            let lasts = length(lasts);
            w.asks(who, order::Verb::Hold { lasts });
        }
        _ => return false,
    }
    true
}

/// What the check of a container comes to from now on.
fn check(w: &mut Scene, who: &str, words: &[&str]) -> bool {
    let result = match words {
        ["passes"] => CheckResult::Passes,
        ["times", "out"] => CheckResult::TimesOut,
        ["cannot", "run:", words @ ..] => CheckResult::CannotRun(words.join(" ")),
        ["exits", codes, words @ ..] => {
            let fails = |code| CheckResult::Fails(number(code), words.join(" "));
            CheckResult::InTurn(codes.split('/').map(fails).collect())
        }
        _ => return false,
    };
    w.dockerd(|engine, now| {
        let place = engine.find_name(who).expect("a container");
        engine.set_check_result(now, place, result);
        true
    });
    true
}

fn shim_is(w: &mut Scene, who: &str, words: &[&str]) -> bool {
    let act = match words {
        ["is", "stopped"] => shim::stopped,
        ["is", "killed"] => shim::killed,
        ["goes", "on"] => shim::goes_on,
        _ => return false,
    };
    w.dockerd(|engine, now| {
        let place = engine.find_name(who).expect("a container");
        act(engine, now, place)
    });
    true
}

fn exec_breaks(w: &mut Scene, words: Option<String>) {
    w.dockerd(|engine, now| {
        engine.set_exec_broken(now, words);
        true
    });
}

fn machine_is(w: &mut Scene, overloaded: bool) {
    w.dockerd(|engine, now| {
        load::set_overloaded(engine, now, overloaded);
        true
    });
}

fn docker<'a>(typed: &[&'a str]) -> Option<(&'a str, Verb)> {
    Some(match *typed {
        ["start", who] => (who, Verb::Start),
        ["stop", who] => (who, Verb::Stop(None)),
        ["stop", "-t", limit, who] => (who, Verb::Stop(Some(Duration::from_secs(number(limit))))),
        ["restart", who] => (who, Verb::Restart(None)),
        ["kill", who] => (who, Verb::Kill(9)),
        ["kill", "-s", name, who] => (who, Verb::Kill(signal(name)?)),
        ["rm", "-f", who] => (who, Verb::Remove { force: true }),
        ["pause", who] => (who, Verb::Pause),
        ["unpause", who] => (who, Verb::Unpause),
        ["rename", who, new] => (who, Verb::Rename(new.into())),
        ["update", "--restart", policy, who] => (who, Verb::Update(restart_policy(policy)?)),
        ["exec", who, "kill", number_of] => (who, Verb::ExecKill(number(number_of))),
        _ => return None,
    })
}

/// The number of a signal, by its name without `SIG`.
pub fn signal(name: &str) -> Option<u32> {
    let known = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("KILL", 9),
        ("USR1", 10),
        ("USR2", 12),
        ("TERM", 15),
    ];
    known.iter().find(|(it, _)| *it == name).map(|(_, number)| *number)
}

fn is_there(word: &str) -> bool {
    match word {
        "there" => true,
        "gone" => false,
        _ => panic!("there or gone, not {word}"),
    }
}

fn restart_policy(word: &str) -> Option<RestartPolicy> {
    Some(match word {
        "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => RestartPolicy::OnFailure { max: 0 },
        _ => return None,
    })
}

fn number<N: std::str::FromStr>(word: &str) -> N {
    word.parse().unwrap_or_else(|_| panic!("no number: {word}"))
}

fn length(word: &str) -> Duration {
    time(word).unwrap_or_else(|| panic!("no time: {word}"))
}

fn time(word: &str) -> Option<Duration> {
    let digits = word.trim_end_matches(char::is_alphabetic);
    let count: u64 = digits.parse().ok()?;
    Some(match &word[digits.len()..] {
        "ms" => Duration::from_millis(count),
        "s" => Duration::from_secs(count),
        "m" => Duration::from_secs(count * 60),
        _ => return None,
    })
}

/// A case of a table, by its name.
pub trait Case {
    /// What it is called in its line.
    fn name(&self) -> String;
}

macro_rules! cases {
    ($($plain:ty)*) => { $(impl Case for $plain { fn name(&self) -> String { self.to_string() } })* };
}
cases!(&str bool i32 i64 u32 u64);

impl Case for Version {
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

impl<T> Case for (&str, T) {
    fn name(&self) -> String {
        self.0.into()
    }
}

impl<T, U> Case for (&str, T, U) {
    fn name(&self) -> String {
        self.0.into()
    }
}

impl<T, U, V> Case for (&str, T, U, V) {
    fn name(&self) -> String {
        self.0.into()
    }
}

fn by_outcome<C: Case>(cases: impl IntoIterator<Item = C>, play: impl Fn(C) -> String) -> Vec<(String, String)> {
    let mut groups: Vec<(String, String)> = Vec::new();
    for case in cases {
        let (name, outcome) = (case.name(), play(case));
        match groups.iter_mut().find(|(_, known)| *known == outcome) {
            Some((names, _)) => *names = format!("{names} | {name}"),
            None => groups.push((name, outcome)),
        }
    }
    groups
}

/// Lines to be compared with what is expected.
pub struct Lines(pub(crate) String);

impl Lines {
    /// These are all of them.
    #[track_caller]
    pub fn tells(self, expected: Expect) {
        expected.assert_eq(&self.0);
    }
}

/// A table of named cases: one line for each outcome, with the cases that have it.
pub fn outcomes<C: Case>(cases: impl IntoIterator<Item = C>, play: impl Fn(C) -> String) -> Lines {
    let line = |(names, outcome): (String, String)| match outcome.contains('\n') {
        true => format!("{names}:\n{}\n", outcome.trim_end()),
        false => format!("{names}: {outcome}\n"),
    };
    Lines(by_outcome(cases, play).into_iter().map(line).collect())
}

/// The one outcome of all variations of a case; where a variation matters, all outcomes.
pub fn same<C: Case>(variations: impl IntoIterator<Item = C>, play: impl Fn(C) -> String) -> String {
    let groups = by_outcome(variations, play);
    match groups.as_slice() {
        [(_, outcome)] => outcome.clone(),
        several => several
            .iter()
            .map(|(names, outcome)| format!("[{names}: {outcome}]"))
            .collect(),
    }
}
