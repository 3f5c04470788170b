//! What the acts need: the engine's socket, the containers' present ids, the tape. Makes containers, and asks the engine as a
//! person does. It does not know which act comes when.

use super::kernel;
use super::notes::{Ask, Presence, Tape, What};
use super::world::{Kind, WORLD};
use crate::http::{self, Answer};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest request: an engine that is frozen answers late.
const CALL: Duration = Duration::from_secs(90);

/// So many events are kept to know those that come again; an engine remembers 256.
const EVENTS_MAX: usize = 4096;

/// See the top of this file.
pub(super) struct Stage {
    pub(super) tape: Tape,
    /// The engine's own socket.
    pub(super) engine: PathBuf,
    /// The watchdog's status socket.
    pub(super) watchdog: PathBuf,
    pub(super) image: String,
    /// The folders that containers read.
    pub(super) ctl: PathBuf,
    /// The control group of all containers.
    pub(super) group: String,
    /// The victim's static program, on this machine.
    pub(super) victim: PathBuf,
    ids: Vec<Mutex<String>>,
    engine_presence: AtomicU8,
    /// The newest events that were heard, by stamp and words.
    heard: Mutex<BTreeSet<(u64, String)>>,
    /// Everything is to end.
    pub(super) over: AtomicBool,
}

impl Stage {
    pub(super) fn new(tape: Tape, dir: &std::path::Path, group: String, victim: PathBuf) -> Self {
        Self {
            tape,
            engine: dir.join("docker.sock"),
            watchdog: dir.join("wt/container-docker.sock"),
            image: "victim:1".to_owned(),
            ctl: dir.join("ctl"),
            group,
            victim,
            ids: WORLD.iter().map(|_| Mutex::new(String::new())).collect(),
            engine_presence: AtomicU8::new(0),
            heard: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The engine is so from now on.
    pub(super) fn set_engine(&self, presence: Presence) {
        self.engine_presence
            .store(u8::from(presence != Presence::Here), Ordering::SeqCst);
        self.tape.note("", What::Engine(presence));
    }

    pub(super) fn engine_is_here(&self) -> bool {
        self.engine_presence.load(Ordering::SeqCst) == 0
    }

    /// The stamp of the newest event, in nanoseconds.
    pub(super) fn last_stamp(&self) -> u64 {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = heard.last().map_or(0, |(stamp, _)| *stamp);
        newest.max(self.tape.clock.wall_secs() * 1_000_000_000)
    }

    /// False for an event that was heard before.
    pub(super) fn is_new_event(&self, stamp: u64, words: &str) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if EVENTS_MAX <= heard.len() {
            heard.pop_first();
        }
        heard.insert((stamp, words.to_owned()))
    }

    /// The present container at that place.
    pub(super) fn id(&self, slot: usize) -> String {
        self.ids[slot].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn slot_of(&self, id: &str) -> Option<usize> {
        (0..WORLD.len()).find(|slot| self.id(*slot) == id)
    }

    pub(super) fn ctl_of(&self, slot: usize) -> PathBuf {
        self.ctl.join(WORLD[slot].name)
    }

    pub(super) fn call(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        http::ask(&self.engine, method, path, &body, CALL).with_context(|| format!("{method} {path}"))
    }

    /// A person's request for a container; gives the status, if there was an answer.
    pub(super) fn ask(&self, id: &str, ask: Ask, method: &str, path: &str) -> Option<u16> {
        self.tape.note(id, What::Asked(ask));
        let status = self.call(method, path, &Value::Null).ok().map(|answer| answer.status);
        self.tape.note(id, What::Answered(ask, status));
        status
    }

    /// Makes and starts the container of that place.
    pub(super) fn run(&self, slot: usize) -> Result<()> {
        let id = self.create(slot)?;
        match self.ask(&id, Ask::Start, "POST", &format!("/containers/{id}/start")) {
            // One whose owner is down cannot be started: as with a person, that is seen and left.
            Some(_) => Ok(()),
            None => bail!("{}: its start was not answered", WORLD[slot].name),
        }
    }

    pub(super) fn create(&self, slot: usize) -> Result<String> {
        let spec = &WORLD[slot];
        let ctl = self.ctl_of(slot);
        std::fs::create_dir_all(&ctl)?;
        if spec.kind == Kind::Filed {
            std::fs::write(ctl.join("check"), "0")?;
        }
        let settings = spec.settings(&self.image, &ctl);
        let path = format!("/containers/create?name={}", spec.name);
        let answer = self.call("POST", &path, &settings)?.ok(spec.name)?.json()?;
        let id = answer["Id"].as_str().context("the engine gives an id")?.to_owned();
        self.tape.note(&id, What::Made { slot });
        *self.ids[slot].lock().unwrap_or_else(PoisonError::into_inner) = id.clone();
        Ok(id)
    }

    /// The engine's list: id and state.
    pub(super) fn list(&self, within: Duration) -> Result<Vec<(String, String, String)>> {
        let answer = http::ask(&self.engine, "GET", "/containers/json?all=1", &[], within)?
            .ok("list")?
            .json()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of = |it: &Value| (text(&it["Id"]), text(&it["State"]), text(&it["Status"]));
        Ok(answer.as_array().into_iter().flatten().map(of).collect())
    }

    /// The init process of the present container at that place.
    pub(super) fn init(&self, slot: usize) -> Option<crate::process::Process> {
        kernel::init(&self.group, &self.id(slot))
    }
}
