//! Does what the plan says, at its time: each container has a person of its own, who does one thing after the other; faults
//! happen at once. What has no effect any more, such as a crash of what is down, is counted as such.

use super::notes::{Ask, Ms, What};
use super::plan::{Act, Deed, EngineFault, Step, WatchdogFault};
use super::stage::Stage;
use super::world::{Kind, WORLD};
use crate::{http, interrupt};
use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request to a frozen watchdog is heard when it thaws.
const FROZEN_MAX: Ms = 10_000;

/// How often each act was done, and how often it had no effect.
pub(super) type Counts = BTreeMap<String, (u32, u32)>;

/// The persons, and who hurts engine and watchdog.
pub(super) struct Actors {
    stage: Arc<Stage>,
    persons: Vec<Sender<Deed>>,
    threads: Vec<JoinHandle<()>>,
    engine: Sender<EngineFault>,
    watchdog: Sender<WatchdogFault>,
    pub(super) counts: Counts,
}

impl Actors {
    pub(super) fn new(stage: &Arc<Stage>, engine: Sender<EngineFault>, watchdog: Sender<WatchdogFault>) -> Self {
        let mut actors = Self {
            stage: Arc::clone(stage),
            persons: Vec::new(),
            threads: Vec::new(),
            engine,
            watchdog,
            counts: Counts::new(),
        };
        for slot in 0..WORLD.len() {
            let (to, deeds) = channel();
            let stage = Arc::clone(stage);
            actors.persons.push(to);
            actors
                .threads
                .push(std::thread::spawn(move || person(&stage, slot, &deeds)));
        }
        actors
    }

    /// Does all steps.
    ///
    /// # Errors
    /// A person wants us to end.
    pub(super) fn play(&mut self, steps: &[Step], verbose: bool) -> Result<()> {
        for step in steps {
            while self.stage.tape.clock.now() < step.at {
                interrupt::check()?;
                let left = step.at.saturating_sub(self.stage.tape.clock.now());
                std::thread::sleep(Duration::from_millis(left.min(50)));
            }
            let done = self.act(&step.act);
            let count = self.counts.entry(word(&step.act)).or_default();
            count.0 += 1;
            count.1 += u32::from(!done);
            if verbose {
                let effect = if done { "" } else { " (no effect)" };
                outln!(
                    "{} {}{effect}",
                    super::notes::clock_words(self.stage.tape.clock.now()),
                    line(&step.act)
                );
            }
        }
        Ok(())
    }

    /// Every person ends what he is at.
    pub(super) fn join(&mut self) {
        self.persons.clear();
        for thread in self.threads.drain(..) {
            // A panic was printed where it happened.
            let _panicked = thread.join();
        }
    }

    /// False where it has no effect any more.
    fn act(&self, act: &Act) -> bool {
        let stage = &self.stage;
        match act {
            Act::Person(slot, deed) => self.persons[*slot].send(*deed).is_ok(),
            Act::Crash(slots) => {
                let inits: Vec<_> = slots.iter().filter_map(|slot| stage.init(*slot)).collect();
                inits.iter().filter(|init| init.signal(Signal::KILL).is_ok()).count() != 0
            }
            Act::Exit(slot, code) => say(stage, *slot, if *code == 0 { "exit0" } else { "crash" }),
            Act::Hang(slot) => hurt(stage, *slot, || {
                stage.init(*slot).is_some_and(|init| init.signal(Signal::STOP).is_ok())
            }),
            Act::Ill(slot) => hurt(stage, *slot, || {
                std::fs::write(stage.ctl_of(*slot).join("check"), "1").is_ok()
            }),
            Act::Eat(slot) => {
                stage.init(*slot).is_some() && std::fs::write(stage.ctl_of(*slot).join("now"), "eat init").is_ok()
            }
            Act::Engine(fault) => self.engine.send(*fault).is_ok(),
            Act::Watchdog(fault) => self.watchdog.send(*fault).is_ok(),
        }
    }
}

/// Only what is well can be made ill, and only then its grace is over.
fn hurt(stage: &Stage, slot: usize, how: impl Fn() -> bool) -> bool {
    let id = stage.id(slot);
    let list = stage.list(Duration::from_secs(2)).unwrap_or_default();
    let is_well = list
        .iter()
        .any(|(it, _, status)| *it == id && status.contains("(healthy)"));
    if !is_well || !how() {
        return false;
    }
    stage.tape.note(&id, What::Hurt);
    true
}

/// Tells the service of a container, in its network.
fn say(stage: &Stage, slot: usize, what: &str) -> bool {
    let Some(init) = stage.init(slot) else { return false };
    let port = if matches!(WORLD[slot].kind, Kind::Joiner(_)) {
        "7401"
    } else {
        "7400"
    };
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &init.pid.to_string(), "--net"])
        .arg(&stage.victim);
    command.args(["say", what]).env("VICTIM_PORT", port);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // It ends without an answer, which `say` calls a failure.
    command.status().is_ok()
}

fn person(stage: &Stage, slot: usize, deeds: &Receiver<Deed>) {
    while let Ok(deed) = deeds.recv() {
        let mut tries = 0;
        while !stage.is_over() {
            if !stage.engine_is_here() {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            tries += 1;
            match perform(stage, slot, deed) {
                Ok(()) => break,
                // The engine went meanwhile: what a person has begun he brings to its end.
                Err(_) if tries < 5 => std::thread::sleep(Duration::from_millis(500)),
                Err(error) => {
                    errln!("{}: {deed:?}: {error:#}", WORLD[slot].name);
                    break;
                }
            }
        }
    }
}

fn perform(stage: &Stage, slot: usize, deed: Deed) -> Result<()> {
    let id = stage.id(slot);
    let simple = |ask, verb: &str| _ = stage.ask(&id, ask, "POST", &format!("/containers/{id}/{verb}"));
    match deed {
        Deed::Start => simple(Ask::Start, "start"),
        Deed::Stop(None) => simple(Ask::Stop, "stop"),
        Deed::Stop(Some(seconds)) => simple(Ask::Stop, &format!("stop?t={seconds}")),
        Deed::Kill(signal) => simple(Ask::Kill(signal), &format!("kill?signal={signal}")),
        Deed::Restart => simple(Ask::Restart, "restart"),
        Deed::Pause => simple(Ask::Pause, "pause"),
        Deed::Unpause => simple(Ask::Unpause, "unpause"),
        Deed::Anew => return anew(stage, slot, &id),
        Deed::Swap => return swap(stage, slot, &id),
        Deed::Policy(policy) => {
            let body = json!({ "RestartPolicy": { "Name": policy } });
            let answer = stage.call("POST", &format!("/containers/{id}/update"), &body)?;
            if answer.status == 200 {
                stage.tape.note(&id, What::Policy(policy));
            }
        }
        Deed::Hold(lasts) => {
            let body = json!({ "subject": WORLD[slot].subject(), "lasts_ms": lasts });
            let told = tell_watchdog(stage, "hold", &body);
            let until = stage.tape.clock.now() + lasts;
            match told {
                Told::Done => stage.tape.note(&id, What::Held(until)),
                Told::Unanswered => stage.tape.note(&id, What::MayBeHeld(until + FROZEN_MAX)),
                Told::Refused => {}
            }
        }
        Deed::Release => {
            let body = json!({ "subject": WORLD[slot].subject() });
            // It may act as soon as it is told, which is before it answers.
            stage.tape.note(&id, What::Released);
            let _whatever = tell_watchdog(stage, "release", &body);
        }
    }
    Ok(())
}

/// What came of a request to the watchdog.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Done,
    /// It is away, or says no.
    Refused,
    /// It is frozen, and may do it later.
    Unanswered,
}

fn tell_watchdog(stage: &Stage, verb: &str, body: &Value) -> Told {
    if std::os::unix::net::UnixStream::connect(&stage.watchdog).is_err() {
        return Told::Refused;
    }
    let text = body.to_string().into_bytes();
    let path = format!("/api/v1/{verb}");
    match http::ask(&stage.watchdog, "POST", &path, &text, Duration::from_secs(5)) {
        Ok(answer) => match answer.status == 200 && answer.json().is_ok_and(|json| json["done"] == true) {
            true => Told::Done,
            false => Told::Refused,
        },
        Err(_) => Told::Unanswered,
    }
}

fn anew(stage: &Stage, slot: usize, id: &str) -> Result<()> {
    let status = stage.ask(id, Ask::Remove, "DELETE", &format!("/containers/{id}?force=1"));
    status.context("its removal was not answered")?;
    stage.run(slot)
}

/// As docker-compose 1.29 does it.
fn swap(stage: &Stage, slot: usize, id: &str) -> Result<()> {
    stage.tape.note(id, What::Deploys(true));
    let done = replace(stage, slot, id);
    stage.tape.note(id, What::Deploys(false));
    let new = stage.id(slot);
    stage.tape.note(&new, What::Deploys(false));
    done
}

fn replace(stage: &Stage, slot: usize, id: &str) -> Result<()> {
    let path = format!("/containers/{id}");
    let status = stage.ask(id, Ask::Stop, "POST", &format!("{path}/stop"));
    status.context("its stop was not answered")?;
    let aside = format!("{}_{}", &id[..12], WORLD[slot].name);
    stage.call("POST", &format!("{path}/rename?name={aside}"), &Value::Null)?;
    let new = stage.create(slot)?;
    stage.tape.note(&new, What::Deploys(true));
    stage.ask(&new, Ask::Start, "POST", &format!("/containers/{new}/start"));
    stage.ask(id, Ask::Remove, "DELETE", &format!("{path}?force=1"));
    Ok(())
}

fn word(act: &Act) -> String {
    match act {
        Act::Person(_, deed) => match deed {
            Deed::Start => "docker start",
            Deed::Stop(None) => "docker stop",
            Deed::Stop(Some(_)) => "docker stop -t",
            Deed::Kill(9) => "docker kill",
            Deed::Kill(15) => "docker kill -s TERM",
            Deed::Kill(1) => "docker kill -s HUP",
            Deed::Kill(_) => "docker kill -s USR1",
            Deed::Restart => "docker restart",
            Deed::Pause => "docker pause",
            Deed::Unpause => "docker unpause",
            Deed::Anew => "docker rm -f, run again",
            Deed::Swap => "compose recreate",
            Deed::Policy(_) => "docker update --restart",
            Deed::Hold(_) => "watchtree hold",
            Deed::Release => "watchtree release",
        },
        Act::Crash(slots) if slots.len() == 1 => "kill -9 of an init",
        Act::Crash(_) => "kill -9 of several inits at once",
        Act::Exit(_, 0) => "exit 0",
        Act::Exit(..) => "exit 1",
        Act::Hang(_) => "hang (SIGSTOP of an init)",
        Act::Ill(_) => "failing health check",
        Act::Eat(_) => "out of memory",
        Act::Engine(EngineFault::Kill(_)) => "engine kill -9",
        Act::Engine(EngineFault::Restart(_)) => "engine restart in order",
        Act::Engine(EngineFault::Freeze(_)) => "engine frozen",
        Act::Engine(EngineFault::Containerd(_)) => "containerd kill -9",
        Act::Watchdog(WatchdogFault::Kill(_)) => "container-watchdog kill -9",
        Act::Watchdog(WatchdogFault::Stop(_)) => "container-watchdog stop",
        Act::Watchdog(WatchdogFault::Freeze(_)) => "container-watchdog frozen",
    }
    .to_owned()
}

fn line(act: &Act) -> String {
    let names = |slots: &[usize]| slots.iter().map(|slot| WORLD[*slot].name).collect::<Vec<_>>().join(" ");
    match act {
        Act::Person(slot, deed) => format!("{}: {deed:?}", WORLD[*slot].name),
        Act::Crash(slots) => format!("kill -9 of the init of {}", names(slots)),
        Act::Exit(slot, _) | Act::Hang(slot) | Act::Ill(slot) | Act::Eat(slot) => {
            format!("{}: {}", WORLD[*slot].name, word(act))
        }
        Act::Engine(fault) => format!("engine: {fault:?} ms"),
        Act::Watchdog(fault) => format!("container-watchdog: {fault:?} ms"),
    }
}
