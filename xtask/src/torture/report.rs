//! What came of a run: progress while it lasts, and at its end the acts, the repairs with their bounds, and what was wrong with
//! the notes that led to it. It judges nothing.

use super::acts::Counts;
use super::checker::Checker;
use super::facts::Broken;
use super::notes::{Call, Event, Ms, Note, What, clock_words};
use super::repairs::Repaired;
use super::world::WORLD;
use anyhow::{Context, Result};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// How often progress is told.
const TELLS: Ms = 20_000;
/// So many notes are kept.
const NOTES_MAX: usize = 200_000;
/// So much of what led to something wrong is told.
const LED: Ms = 45_000;
/// So many wrong things are told with what led to them.
const TOLD_MAX: usize = 12;

/// See the top of this file.
pub(super) struct Report {
    seed: u64,
    notes: VecDeque<Note>,
    names: BTreeMap<String, &'static str>,
    told: usize,
    tells: Ms,
    pub(super) counts: Counts,
    /// What is not as it was meant at the end.
    pub(super) left: Vec<String>,
}

impl Report {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            notes: VecDeque::new(),
            names: BTreeMap::new(),
            told: 0,
            tells: TELLS,
            counts: Counts::new(),
            left: Vec::new(),
        }
    }

    /// Keeps the notes that were taken, and tells what was broken since.
    pub(super) fn take(&mut self, notes: Vec<Note>, checker: &Checker, now: Ms) {
        for note in notes {
            if let What::Made { slot } = note.what {
                self.names.insert(note.id.clone(), WORLD[slot].name);
            }
            if NOTES_MAX <= self.notes.len() {
                self.notes.pop_front();
            }
            self.notes.push_back(note);
        }
        for broken in checker.broken.iter().skip(self.told) {
            self.tell(broken);
        }
        self.told = checker.broken.len();
        if self.tells < now {
            self.tells = now + TELLS;
            let posts: u32 = checker.posts.values().sum();
            outln!(
                "{} {} requests of the watchdog, {} repairs, {} wrong",
                clock_words(now),
                posts,
                checker.repairs.repaired.len(),
                checker.broken.len()
            );
        }
    }

    fn tell(&self, broken: &Broken) {
        outln!("WRONG {} {}: {}", clock_words(broken.at), broken.rule, broken.text);
        if TOLD_MAX < self.told {
            return;
        }
        for note in &self.notes {
            let near = broken.at < note.at + LED && note.at < broken.at + 2000;
            // The list only repeats what the events tell.
            let is_list = matches!(note.what, What::Listed(_));
            if near && !is_list && (note.id == broken.id || note.id.is_empty()) {
                outln!("      {}", self.line(note));
            }
        }
    }

    fn line(&self, note: &Note) -> String {
        let name = self.names.get(&note.id).copied().unwrap_or_default();
        let who = format!("{} {name:<11} {:.6}", clock_words(note.at), note.id);
        let what = match &note.what {
            What::Asked(ask) => format!("person    asks {ask:?}"),
            What::Answered(ask, status) => format!("person    {ask:?} answered {}", status_word(*status)),
            What::Event(Event::Die { code }) => format!("engine    die, exit code {code}"),
            What::Event(Event::Kill { signal }) => format!("engine    kill, signal {signal}"),
            What::Event(event) => format!("engine    {event:?}"),
            What::Posted(Call::Other, ticket) => format!("watchdog  a request that it is never to make (#{ticket})"),
            What::Posted(call, ticket) => format!("watchdog  POST {call:?} (#{ticket})"),
            What::Replied(ticket, status) => format!("watchdog  #{ticket} answered {}", status_word(*status)),
            What::Shown(state, why) => format!("tree      {state}: {why}"),
            What::Listed(listed) => format!(
                "list      {}{}",
                listed.state,
                if listed.alive { "" } else { ", no process" }
            ),
            What::Engine(presence) => format!("engine    {presence:?}"),
            What::Watchdog(presence) => format!("watchdog  {presence:?}"),
            other => format!("{other:?}"),
        };
        format!("{who:<32} {what}")
    }

    /// How many things were wrong.
    pub(super) fn wrong(&self, checker: &Checker) -> usize {
        checker.broken.len() + self.left.len()
    }

    pub(super) fn print(&self, checker: &Checker, as_json: bool) {
        outln!("\n{:<34} {:>6} {:>10}", "act", "done", "no effect");
        for (word, (done, without)) in &self.counts {
            outln!("{word:<34} {:>6} {without:>10}", done - without);
        }
        let posts: Vec<String> = checker
            .posts
            .iter()
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        outln!("\nrequests of the watchdog: {}", posts.join(", "));
        outln!("requests of which nobody can say what was meant: {}", checker.unjudged);
        outln!("requests that crossed a person's on the way: {}", checker.races);
        outln!("given up, for a reason: {}", checker.repairs.escalated);
        let all = &checker.repairs.repaired;
        let groups = groups(all);
        outln!(
            "\n{:<34} {:>6} {:>9} {:>9} {:>9} {:>12}",
            "repairs",
            "count",
            "median s",
            "p99 s",
            "worst s",
            "worst/bound"
        );
        for (name, of) in &groups {
            outln!("{name:<34} {}", figures(of));
        }
        for left in &self.left {
            outln!("WRONG at the end: {left}");
        }
        outln!(
            "\nseed {}: {} wrongful acts or missed bounds, {} not as meant at the end",
            self.seed,
            checker.broken.len(),
            self.left.len()
        );
        if as_json {
            let repairs: Vec<_> = groups
                .iter()
                .map(|(name, of)| json!({ "kind": name, "count": of.len(), "worst_ms": worst(of) }))
                .collect();
            let wrong: Vec<_> = checker
                .broken
                .iter()
                .map(|it| json!({ "at_ms": it.at, "rule": it.rule, "text": it.text }))
                .collect();
            outln!(
                "{}",
                json!({ "seed": self.seed, "requests": checker.posts, "races": checker.races, "repairs": repairs, "wrong": wrong, "left": self.left })
            );
        }
    }

    /// Copies logs, and writes the notes.
    pub(super) fn keep(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
        for file in ["watchdog.log", "log", "host.toml"] {
            // One that was not begun is not there.
            let _missing = std::fs::copy(from.join(file), to.join(file));
        }
        let lines: String = self.notes.iter().map(|note| self.line(note) + "\n").collect();
        std::fs::write(to.join("notes"), lines).context("the notes")
    }
}

fn status_word(status: Option<u16>) -> String {
    status.map_or_else(|| "by nobody".to_owned(), |status| status.to_string())
}

fn groups(all: &[Repaired]) -> Vec<(&'static str, Vec<Repaired>)> {
    let of = |fits: &dyn Fn(&Repaired) -> bool| all.iter().filter(|it| fits(it)).copied().collect();
    vec![
        ("crash", of(&|it| !it.hung && it.by_us && it.plain)),
        ("crash, something was away", of(&|it| !it.hung && it.by_us && !it.plain)),
        ("hang", of(&|it| it.hung && it.plain)),
        ("hang, something was away", of(&|it| it.hung && !it.plain)),
        ("crash, restarted by the engine", of(&|it| !it.hung && !it.by_us)),
    ]
}

fn worst(of: &[Repaired]) -> Ms {
    of.iter().map(|it| it.took).max().unwrap_or(0)
}

fn figures(of: &[Repaired]) -> String {
    let mut took: Vec<Ms> = of.iter().map(|it| it.took).collect();
    took.sort_unstable();
    let at = |percent: usize| {
        took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    };
    let seconds = |ms: Ms| ms as f64 / 1000.0;
    let share = of
        .iter()
        .map(|it| it.took as f64 / it.bound.max(1) as f64)
        .fold(0.0, f64::max);
    format!(
        "{:>6} {:>9.2} {:>9.2} {:>9.2} {:>12.2}",
        of.len(),
        seconds(at(50)),
        seconds(at(99)),
        seconds(at(100)),
        share
    )
}
