//! Plays one row on an engine and gives what the API said, act by act. It does not judge.
//!
//! After an act it waits until no event was heard for [`QUIET`] (at most [`QUIET_MAX`]), or as long as the act says with
//! `for_ms`; `wait` waits for a state. Events belong to the act during which the engine stamped them.

use super::api::Api;
use super::init;
use super::listen::{Heard, listen};
use super::observe::{Words, event};
use super::place::Place;
use super::rows::{Act, Row};
use super::settings::{Ground, policy, settings};
use crate::http::Answer;
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An act is over when no event was heard for so long.
const QUIET: Duration = Duration::from_millis(700);
/// ... or after this.
const QUIET_MAX: Duration = Duration::from_secs(3);
/// Longest wait for a state.
const STATE: Duration = Duration::from_secs(90);

/// See the top of this file.
pub(super) struct Player<'a> {
    place: &'a mut Place,
    api: Api,
    words: Words,
    ids: BTreeMap<String, String>,
    heard: Heard,
    mounts: PathBuf,
    ctl: PathBuf,
}

impl<'a> Player<'a> {
    pub(super) fn new(place: &'a mut Place, dir: &Path) -> Result<Self> {
        let (mounts, ctl, api) = (dir.join("mounts"), place.ctl(), place.api()?);
        std::fs::create_dir_all(&mounts)?;
        let words = Words::new(&dir.display().to_string(), &api.prefix);
        Ok(Self {
            place,
            api,
            words,
            ids: BTreeMap::new(),
            heard: Heard::default(),
            mounts,
            ctl,
        })
    }

    /// Plays all acts; the containers are gone afterwards.
    pub(super) fn play(&mut self, row: &Row) -> Result<Value> {
        listen(&self.api, now_ns()?, &self.heard)?;
        let mut steps = Vec::new();
        for act in &row.acts {
            let step = self
                .step(act)
                .with_context(|| format!("row {}: `{}`", row.name, act.line))?;
            steps.push(step);
        }
        let seen = self.observe_all()?;
        self.api.clear()?;
        Ok(json!({ "row": row.name, "steps": steps, "seen": seen }))
    }

    fn step(&mut self, act: &Act) -> Result<Value> {
        let (began_ns, began) = (now_ns()?, Instant::now());
        let mut answer = self.carry_out(act)?;
        answer["took_ms"] = millis(began.elapsed()).into();
        self.settle(act, began)?;
        let mut events: Map<String, Value> = Map::new();
        let mut order = Vec::new();
        for it in self.heard.take() {
            let id = it["Actor"]["ID"].as_str().unwrap_or_default();
            let word = self
                .words
                .of(id, it["Actor"]["Attributes"]["name"].as_str().unwrap_or_default());
            order.push(json!(format!("{word} {}", it["Action"].as_str().unwrap_or_default())));
            let list = events.entry(word).or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                let mut kept = event(&it, began_ns);
                if let Some(name) = kept["name"].as_str().map(|name| self.words.clean(name)) {
                    kept["name"] = name.into();
                }
                list.push(kept);
            }
        }
        let mut step = json!({ "act": act.line, "answer": answer, "events": events });
        if act.verb == "compose" {
            step["order"] = order.into();
        }
        if self.place.runs()
            && act.setting("for_ms").is_none()
            && matches!(act.verb.as_str(), "wait" | "kill" | "pause" | "end" | "stop" | "start")
        {
            let word = act.word(0)?.to_owned();
            step["seen"] = self.observe(&self.id(&word))?;
        }
        Ok(step)
    }

    fn settle(&self, act: &Act, began: Instant) -> Result<()> {
        if let Some(ms) = act.number("for_ms")? {
            std::thread::sleep(Duration::from_millis(ms).saturating_sub(began.elapsed()));
            return Ok(());
        }
        if matches!(act.verb.as_str(), "create" | "wait") {
            // Nothing follows but the event of it, which comes right after the answer, or after the state is seen.
            std::thread::sleep(Duration::from_millis(100));
            return Ok(());
        }
        let answered = Instant::now();
        while answered.elapsed() < QUIET_MAX {
            let last = self.heard.last().filter(|last| answered < *last).unwrap_or(answered);
            if QUIET < last.elapsed() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn carry_out(&mut self, act: &Act) -> Result<Value> {
        let t = act.number("t")?.map(|t| format!("?t={t}")).unwrap_or_default();
        match act.verb.as_str() {
            "create" => self.create(act),
            "start" | "pause" | "unpause" => self.post(act, &format!("/{}", act.verb), &Value::Null),
            "stop" | "restart" => self.post(act, &format!("/{}{t}", act.verb), &Value::Null),
            "kill" => self.post(act, &format!("/kill?signal={}", act.word(1)?), &Value::Null),
            "rename" => {
                let answer = self.post(
                    act,
                    &format!("/rename?name={}", self.api.name(act.word(1)?)),
                    &Value::Null,
                )?;
                if let (Some(id), 204) = (
                    self.ids.get(act.word(0)?).cloned(),
                    answer["status"].as_u64().unwrap_or(0),
                ) {
                    self.ids.insert(act.word(1)?.to_owned(), id);
                }
                Ok(answer)
            }
            "update" => self.post(act, "/update", &json!({ "RestartPolicy": policy(act.word(1)?) })),
            "remove" => {
                let force = act.number("force")?.unwrap_or(1);
                let answer = self.api.call(
                    "DELETE",
                    &format!("/containers/{}?force={force}", self.id(act.word(0)?)),
                    &Value::Null,
                )?;
                Ok(self.said(&answer))
            }
            "exec" => self.exec(act),
            "end" => self.order(act, &format!("exit {}", act.word(1)?)),
            "eat" => self.order(act, &format!("eat {}", act.word(1)?)),
            "host_kill" => {
                init::of(&self.id(act.word(0)?))?.signal(Signal::KILL)?;
                Ok(json!({}))
            }
            "check" => {
                std::fs::write(self.ctl.join(act.word(0)?).join("check"), act.word(1)?)?;
                Ok(json!({}))
            }
            "mount" | "network" => self.surroundings(act),
            "wait" => self.wait(act),
            "listen" => self.listening(act),
            "burst" => {
                let count: u64 = act.word(1)?.parse()?;
                for _ in 0..count {
                    self.post(act, "/pause", &Value::Null)?;
                    self.post(act, "/unpause", &Value::Null)?;
                }
                Ok(json!({}))
            }
            "engine" => self.engine(act),
            "compose" => self.compose(act),
            other => bail!("unknown verb {other:?}"),
        }
    }

    /// The id of what a row calls so, or the name as the engine would know it: never a stranger's.
    fn id(&self, name: &str) -> String {
        self.ids.get(name).cloned().unwrap_or_else(|| self.api.name(name))
    }

    /// The status, and the words of a refusal.
    fn said(&self, answer: &Answer) -> Value {
        let mut said = json!({ "status": answer.status });
        if 400 <= answer.status {
            let message = answer
                .json()
                .map(|it| it["message"].as_str().unwrap_or_default().to_owned());
            said["error"] = self.words.clean(&message.unwrap_or_default()).into();
        }
        said
    }

    fn post(&mut self, act: &Act, rest: &str, body: &Value) -> Result<Value> {
        let path = format!("/containers/{}{rest}", self.id(act.word(0)?));
        let answer = self.api.call("POST", &path, body)?;
        Ok(self.said(&answer))
    }

    fn create(&mut self, act: &Act) -> Result<Value> {
        let name = act.word(0)?;
        let ctl = self.ctl.join(name);
        let _ = std::fs::remove_dir_all(&ctl); // of an earlier row, or not there
        std::fs::create_dir_all(&ctl)?;
        let joined = |(key, mode): (&str, &'static str)| {
            let wanted = act.setting(key)?;
            let mode_of = match (wanted.strip_prefix("container:"), key) {
                (Some(other), _) => format!("container:{}", self.id(other)),
                (None, "network") => self.api.name(wanted),
                (None, _) => wanted.to_owned(),
            };
            Some((mode, mode_of))
        };
        let modes = [("network", "NetworkMode"), ("pid", "PidMode"), ("ipc", "IpcMode")];
        let modes: Vec<_> = modes.into_iter().filter_map(joined).collect();
        let ground = Ground {
            image: &self.api.image(0),
            labels: self.api.labels(),
            ctl: &ctl,
            mounts: &self.mounts,
        };
        let body = settings(act, &ground, modes)?;
        let answer = self.api.call(
            "POST",
            &format!("/containers/create?name={}", self.api.name(name)),
            &body,
        )?;
        if let Some(id) = answer.json()?["Id"].as_str() {
            self.words.of(id, name);
            self.ids.insert(name.to_owned(), id.to_owned());
        }
        let said = self.said(&answer);
        if act.setting("may_fail").is_none() {
            answer.ok("create")?;
        }
        Ok(said)
    }

    fn order(&self, act: &Act, order: &str) -> Result<Value> {
        let ctl = self.ctl.join(act.word(0)?);
        std::fs::write(ctl.join("new"), order)?;
        std::fs::rename(ctl.join("new"), ctl.join("now"))?;
        Ok(json!({}))
    }

    fn exec(&mut self, act: &Act) -> Result<Value> {
        let command = match act.word(1)? {
            file if file.starts_with('/') => json!([file]),
            word => json!(["/victim", word]),
        };
        let body = json!({ "Cmd": command, "AttachStdout": true, "AttachStderr": true });
        let made = self
            .api
            .call("POST", &format!("/containers/{}/exec", self.id(act.word(0)?)), &body)?;
        let Some(exec) = made.json()?["Id"].as_str().map(str::to_owned) else {
            return Ok(self.said(&made));
        };
        let answer = self
            .api
            .call("POST", &format!("/exec/{exec}/start"), &json!({ "Detach": false }))?;
        let mut said = self.said(&answer);
        if act.word(1)? == "kill-init" {
            return Ok(said); // it ends with the init, by itself or not
        }
        let ended = self
            .api
            .call("GET", &format!("/exec/{exec}/json"), &Value::Null)?
            .json()?;
        said["exit_code"] = ended["ExitCode"].clone();
        Ok(said)
    }

    fn surroundings(&mut self, act: &Act) -> Result<Value> {
        let (name, there) = (act.word(0)?, act.word(1)? == "there");
        if act.verb == "mount" {
            let folder = self.mounts.join(name);
            if there {
                std::fs::create_dir_all(&folder)?
            } else {
                std::fs::remove_dir_all(&folder)?
            }
            return Ok(json!({}));
        }
        let name = self.api.name(name);
        let answer = match there {
            true => {
                let body = json!({ "Name": name, "Labels": self.api.labels() });
                self.api.call("POST", "/networks/create", &body)?
            }
            false => self.api.call("DELETE", &format!("/networks/{name}"), &Value::Null)?,
        };
        Ok(self.said(&answer))
    }

    fn wait(&mut self, act: &Act) -> Result<Value> {
        let (began, wanted) = (Instant::now(), act.word(1)?);
        let (state, restarts) = match wanted.split_once(':') {
            Some((state, restarts)) => (state, Some(restarts.parse::<u64>()?)),
            None => (wanted, None),
        };
        loop {
            let seen = self.api.inspect(&self.id(act.word(0)?))?;
            let is = seen["State"]["Status"] == state || seen["State"]["Health"]["Status"] == state;
            if is && restarts.is_none_or(|it| seen["RestartCount"] == it) {
                return Ok(json!({}));
            }
            if STATE < began.elapsed() {
                bail!("not {wanted} within {} s", STATE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn listening(&mut self, act: &Act) -> Result<Value> {
        if act.word(0)? == "off" {
            // What is heard in this time goes to nobody; the engine remembers by itself.
            self.heard = Heard::default();
            return Ok(json!({}));
        }
        let heard = Heard::default();
        listen(&self.api, 0, &heard)?;
        std::thread::sleep(QUIET);
        let replayed = heard.take();
        self.heard = Heard::default();
        let actions = |action: &str| replayed.iter().filter(|it| it["Action"] == action).count();
        Ok(
            json!({ "replayed": replayed.len(), "pause": actions("pause"), "unpause": actions("unpause"), "start": actions("start") }),
        )
    }

    fn engine(&mut self, act: &Act) -> Result<Value> {
        let rig = self.place.hurt()?;
        match act.word(0)? {
            "kill9" => rig.end("KILL")?,
            "term" => rig.end("TERM")?,
            "power_cut" => rig.power_cut()?,
            "exec_broken" => rig.set_exec_broken(true)?,
            "exec_whole" => rig.set_exec_broken(false)?,
            "start" => {
                let since = now_ns()?;
                rig.start()?;
                listen(&self.api, since, &self.heard)?;
            }
            other => bail!("no such thing can be done to an engine: {other:?}"),
        }
        Ok(json!({}))
    }

    fn compose(&mut self, act: &Act) -> Result<Value> {
        let image = self.api.image(act.word(0)?.parse::<usize>()?.saturating_sub(1));
        let labels = self.api.labels();
        let service = json!({
            "image": image, "entrypoint": ["/victim", "play"], "restart": "always", "stop_grace_period": "1s", "labels": labels,
        });
        let networks = json!({ "default": { "labels": labels } });
        let file = self.mounts.join("compose.json");
        std::fs::write(
            &file,
            json!({ "version": "3.0", "services": { "web": service }, "networks": networks }).to_string(),
        )?;
        let mut command = Command::new("docker-compose");
        command.env("DOCKER_HOST", format!("unix://{}", self.api.socket.display()));
        command.args(["-p", &self.api.name("truth"), "-f"]).arg(&file);
        command.args(act.words().iter().skip(1).map(|word| word.replace(':', "=")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut compose = command.spawn().context("cannot start `docker-compose`")?;
        if let Some(ms) = act.number("interrupt_ms")? {
            std::thread::sleep(Duration::from_millis(ms));
            crate::sh::run(Command::new("kill").args(["-INT", &compose.id().to_string()]))?;
        }
        Ok(json!({ "exit_code": compose.wait()?.code() }))
    }

    fn observe(&mut self, id: &str) -> Result<Value> {
        let json = self.api.inspect(id)?;
        if json["Id"].is_null() {
            return Ok(json!("no such container"));
        }
        let mut seen = self.words.inspect(&json);
        let id = json["Id"].as_str().unwrap_or_default();
        let config = self
            .place
            .data_root()
            .join("containers")
            .join(id)
            .join("config.v2.json");
        let config: Value = serde_json::from_slice(&std::fs::read(&config).unwrap_or_default()).unwrap_or_default();
        seen["HasBeenManuallyStopped"] = config["HasBeenManuallyStopped"].clone();
        Ok(seen)
    }

    fn observe_all(&mut self) -> Result<Value> {
        let mut all = Map::new();
        for (id, name) in self.api.list()? {
            let word = self.words.of(&id, &name);
            let mut seen = self.observe(&id)?;
            if seen.is_object() {
                seen["Name"] = self.words.unprefixed(&name).into();
            }
            all.insert(word, seen);
        }
        Ok(Value::Object(all))
    }
}

fn now_ns() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    u64::try_from(since.as_nanos()).context("a wall clock of this era")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
