//! A container of a case: how it is made, what a person does to it, and what it is seen to do. Each expectation is a bound in
//! which something is seen, or a time in which nothing is.

use super::spec::{CASE_LABEL, Spec};
use super::testbed::Testbed;
use crate::engine::percent_encode;
use crate::engine_truth::init;
use crate::http::Answer;
use crate::interrupt;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(150);
/// So many are started at a time.
const STARTS: usize = 4;
/// The watchdog knows what was made within that.
const KNOWN: Duration = Duration::from_secs(30);

/// One that was made.
#[derive(Clone)]
pub(super) struct Container<'a> {
    testbed: &'a Testbed,
    pub(super) name: String,
    pub(super) id: String,
    /// Where the watchdog has it, behind the engine's name.
    pub(super) place: String,
}

/// What inspect says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) status: String,
    pub(super) started_at: String,
    pub(super) exit_code: i64,
}

impl Seen {
    pub(super) fn runs(&self) -> bool {
        self.status == "running"
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.started_at.get(11..19).unwrap_or(&self.started_at);
        write!(f, "{}, started at {at}, exit code {}", self.status, self.exit_code)
    }
}

impl<'a> Container<'a> {
    pub(super) fn new(testbed: &'a Testbed, name: String, id: String) -> Self {
        let place = name.clone();
        Self {
            testbed,
            name,
            id,
            place,
        }
    }

    /// Makes one and starts it.
    pub(super) fn run(testbed: &'a Testbed, spec: &Spec) -> Result<Self> {
        let container = Self::create(testbed, spec)?;
        container.start()?.ok(&format!("start of {}", container.name))?;
        Ok(container)
    }

    /// Makes and starts several, a few at a time; gives them in their order.
    pub(super) fn run_all(testbed: &'a Testbed, specs: &[Spec]) -> Result<Vec<Self>> {
        let share = specs.len().div_ceil(STARTS).max(1);
        let run = |specs: &[Spec]| {
            specs
                .iter()
                .map(|spec| Self::run(testbed, spec))
                .collect::<Result<Vec<_>>>()
        };
        let parts = std::thread::scope(|scope| {
            let threads: Vec<_> = specs.chunks(share).map(|part| scope.spawn(move || run(part))).collect();
            let join = |it: std::thread::ScopedJoinHandle<'_, _>| it.join().map_err(|_| anyhow::anyhow!("a panic"))?;
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        });
        Ok(parts?.into_iter().flatten().collect())
    }

    /// Makes one, as `docker create` does.
    pub(super) fn create(testbed: &'a Testbed, spec: &Spec) -> Result<Self> {
        let ctl = testbed.folder(&spec.name);
        std::fs::create_dir_all(&ctl)?;
        std::fs::write(ctl.join("check"), "0")?;
        let path = format!("/containers/create?name={}", spec.name);
        let answer = testbed
            .call("POST", &path, &spec.settings(&ctl))?
            .ok(&spec.name)?
            .json()?;
        let id = answer["Id"].as_str().context("the engine gives an id")?.to_owned();
        Ok(Self::new(testbed, spec.name.clone(), id))
    }

    /// Those with that label, running or not.
    pub(super) fn labelled(testbed: &'a Testbed, label: &str) -> Result<Vec<Self>> {
        let filters = percent_encode(&json!({ "label": [label] }).to_string());
        let path = format!("/containers/json?all=1&filters={filters}");
        let list = testbed.call("GET", &path, &Value::Null)?.ok("list")?.json()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().trim_start_matches('/').to_owned();
        let all = list.as_array().into_iter().flatten();
        Ok(all
            .map(|it| Self::new(testbed, text(&it["Names"][0]), text(&it["Id"])))
            .collect())
    }

    fn post(&self, rest: &str) -> Result<Answer> {
        self.testbed
            .call("POST", &format!("/containers/{}/{rest}", self.id), &Value::Null)
    }

    pub(super) fn start(&self) -> Result<Answer> {
        self.post("start")
    }

    /// What a person does: `stop?t=1`, `kill?signal=HUP`, `restart?t=1`, `rename?name=…`.
    pub(super) fn ask(&self, verb: &str) -> Result<()> {
        self.post(verb)?.ok(&format!("{verb} of {}", self.name)).map(drop)
    }

    pub(super) fn remove(&self) -> Result<()> {
        let path = format!("/containers/{}?force=1", self.id);
        let answer = self.testbed.call("DELETE", &path, &Value::Null)?;
        match answer.status {
            404 | 409 => Ok(()), // gone, or going
            _ => answer.ok(&format!("removal of {}", self.name)).map(drop),
        }
    }

    /// Sends the init a signal from the machine, past the engine.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        init::of(&self.id)?.signal(signal)
    }

    /// Tells the init what to do, past the engine: `exit 3`.
    pub(super) fn order(&self, order: &str) -> Result<()> {
        let ctl = self.testbed.folder(&self.name);
        std::fs::write(ctl.join("new"), order)?;
        Ok(std::fs::rename(ctl.join("new"), ctl.join("now"))?)
    }

    /// How its checks end from now on.
    pub(super) fn set_check(&self, code: &str) -> Result<()> {
        Ok(std::fs::write(self.testbed.folder(&self.name).join("check"), code)?)
    }

    pub(super) fn inspect(&self) -> Result<Value> {
        let path = format!("/containers/{}/json", self.id);
        self.testbed.call("GET", &path, &Value::Null)?.ok(&self.name)?.json()
    }

    pub(super) fn seen(&self) -> Result<Seen> {
        let state = self.inspect()?["State"].take();
        let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
        Ok(Seen {
            status: text("Status"),
            started_at: text("StartedAt"),
            exit_code: state["ExitCode"].as_i64().unwrap_or(-1),
        })
    }

    /// The word for its state over the local socket, and why.
    pub(super) fn told(&self) -> Result<(String, String)> {
        let Some(told) = self.testbed.told_of(&self.place)? else {
            return Ok(("unknown to the watchdog".to_owned(), String::new()));
        };
        let remarks = told["remarks"].as_array().into_iter().flatten();
        let words = std::iter::once(&told["why"]).chain(remarks).filter_map(Value::as_str);
        let state = told["state"].as_str().unwrap_or_default().to_owned();
        Ok((state, words.collect::<Vec<_>>().join("; ")))
    }

    /// Waits until what is seen is so; gives it, with the time it took.
    pub(super) fn until(&self, what: &str, within: Duration, is: impl Fn(&Seen) -> bool) -> Result<(Seen, Duration)> {
        let mut last = None;
        let poll = || {
            let seen = self.seen().ok();
            last = seen.clone().or(last.take());
            Ok(seen.filter(&is))
        };
        interrupt::wait(what, Instant::now(), within, EVERY, poll).map_err(|error| {
            let seen = last.map_or("not seen at all".to_owned(), |seen| seen.to_string());
            let told = self
                .told()
                .map_or_else(|error| format!("{error:#}"), |(state, why)| format!("{state}: {why}"));
            anyhow::anyhow!("{} {error:#}: {seen}; told as {told}", self.name)
        })
    }

    /// Runs, and the watchdog says that it is well.
    pub(super) fn is_well(&self) -> Result<Seen> {
        let (seen, _) = self.until("does not run", KNOWN, Seen::runs)?;
        self.is_told(&["ok"], KNOWN)?;
        Ok(seen)
    }

    /// Waits until the watchdog says one of these words; gives why.
    pub(super) fn is_told(&self, states: &[&str], within: Duration) -> Result<String> {
        let mut last = (String::new(), String::new());
        let poll = || {
            last = self
                .told()
                .unwrap_or_else(|error| (format!("{error:#}"), String::new()));
            Ok(states.contains(&last.0.as_str()).then_some(()))
        };
        let what = format!("{} is not told as {}", self.name, states.join(" or "));
        let done = interrupt::wait(&what, Instant::now(), within, EVERY * 2, poll);
        done.with_context(|| format!("told as {}: {}", last.0, last.1))?;
        Ok(last.1)
    }

    /// Waits for another incarnation that runs.
    pub(super) fn is_started_again(&self, before: &Seen, within: Duration) -> Result<Duration> {
        let is = |seen: &Seen| seen.runs() && seen.started_at != before.started_at;
        self.until("is not started again", within, is).map(|(_, took)| took)
    }

    /// Nothing changes for so long.
    pub(super) fn stays(&self, seen: &Seen, lasts: Duration) -> Result<()> {
        stay(&[(self.clone(), seen.clone())], lasts)
    }
}

/// Takes away what a case made.
pub(super) fn clear(testbed: &Testbed, case: &str) -> Result<()> {
    for container in Container::labelled(testbed, &format!("{CASE_LABEL}={case}"))? {
        container.remove()?;
    }
    Ok(())
}

/// None of them changes for so long.
pub(super) fn stay(all: &[(Container<'_>, Seen)], lasts: Duration) -> Result<()> {
    let since = Instant::now();
    while since.elapsed() < lasts {
        interrupt::check()?;
        for (container, seen) in all {
            let now = container.seen()?;
            if now != *seen {
                let (state, why) = container.told()?;
                bail!(
                    "{} was not left alone: it was {seen}, and after {:.1} s is {now}; told as {state}: {why}",
                    container.name,
                    since.elapsed().as_secs_f64()
                );
            }
        }
        std::thread::sleep(EVERY);
    }
    ensure!(!all.is_empty(), "there is nothing to be left alone");
    Ok(())
}
