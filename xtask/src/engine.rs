//! A client of the container engine's API: the calls that demo and bench make, and no others.
//!
//! Contract: one request per connection with one deadline; an answer other than 2xx or 304 is an error with the engine's
//! words. It does not share code with `watchtree-docker`, which speaks of core observations and cannot create, import or
//! remove; and it does not know what the product does with its containers.

use crate::http::{self, Answer};
use crate::owner::Owner;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Label of everything that demo and bench make, so that it can be found and removed; the value tells runs apart. Not one
/// of the labels that the daemons read.
pub(crate) const RUN_LABEL: &str = "xtask.watchtree.run";
/// Label with the process that made it, so that what a killed run left is told from what one uses now.
pub(crate) const OWNER_LABEL: &str = "xtask.watchtree.owner";

/// How long a call may take; stopping a hung container takes its whole stop timeout.
const CALL: Duration = Duration::from_secs(60);

/// An engine's socket.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    socket: PathBuf,
}

/// What inspect tells that matters here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ContainerState {
    pub(crate) running: bool,
    pub(crate) pid: i32,
    pub(crate) started_at: String,
}

impl Engine {
    /// The engine of `DOCKER_HOST` (a unix socket), or the usual one.
    ///
    /// # Errors
    /// `DOCKER_HOST` is not a unix socket.
    pub(crate) fn here() -> Result<Self> {
        let Some(host) = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()) else {
            return Ok(Self {
                socket: "/var/run/docker.sock".into(),
            });
        };
        match host.strip_prefix("unix://") {
            Some(path) => Ok(Self { socket: path.into() }),
            None => bail!("DOCKER_HOST={host}: only an engine on a unix socket of this machine can be used"),
        }
    }

    /// The engine that serves this socket.
    pub(crate) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(crate) fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    fn call(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        http::ask(&self.socket, method, path, body, CALL).with_context(|| format!("{method} {path}"))
    }

    /// The engine's version; an error if it does not answer.
    pub(crate) fn version(&self) -> Result<String> {
        let answer = http::ask(&self.socket, "GET", "/version", &[], Duration::from_secs(5))?.ok("GET /version")?;
        Ok(answer.json()?["Version"].as_str().unwrap_or("unknown").to_owned())
    }

    /// The engine's storage driver.
    pub(crate) fn storage(&self) -> Result<String> {
        let info = self.call("GET", "/info", &[])?.ok("GET /info")?.json()?;
        Ok(info["Driver"].as_str().unwrap_or("unknown").to_owned())
    }

    /// Makes an image of one layer from a tar file.
    pub(crate) fn import(&self, image: &str, owner: &Owner, tar: &[u8]) -> Result<()> {
        let (repo, tag) = image.split_once(':').unwrap_or((image, "latest"));
        let label = percent_encode(&format!("LABEL {OWNER_LABEL}={owner}"));
        let path = format!("/images/create?fromSrc=-&repo={repo}&tag={tag}&changes={label}");
        let answer = self.call("POST", &path, tar)?.ok("import of the victim's image")?;
        let text = String::from_utf8_lossy(&answer.body);
        if text.contains("\"error\"") {
            bail!("import of the victim's image: {}", text.trim());
        }
        Ok(())
    }

    pub(crate) fn remove_image(&self, image: &str) -> Result<()> {
        self.call("DELETE", &format!("/images/{image}?force=1"), &[])?
            .ok("remove the image")
            .map(drop)
    }

    /// Makes a container; gives its id.
    pub(crate) fn create(&self, name: &str, settings: &Value) -> Result<String> {
        let path = format!("/containers/create?name={name}");
        let answer = self
            .call("POST", &path, settings.to_string().as_bytes())?
            .ok(&format!("create {name}"))?;
        Ok(answer.json()?["Id"]
            .as_str()
            .context("the engine gives an id")?
            .to_owned())
    }

    pub(crate) fn start(&self, id: &str) -> Result<u16> {
        let answer = self
            .call("POST", &format!("/containers/{id}/start"), &[])?
            .ok(&format!("start {id}"))?;
        Ok(answer.status)
    }

    /// What `docker stop` does.
    pub(crate) fn stop(&self, id: &str) -> Result<()> {
        self.call("POST", &format!("/containers/{id}/stop"), &[])?
            .ok(&format!("stop {id}"))
            .map(drop)
    }

    pub(crate) fn remove(&self, id: &str) -> Result<()> {
        let answer = self.call("DELETE", &format!("/containers/{id}?force=1"), &[])?;
        if answer.status == 404 {
            return Ok(()); // gone already is what was wanted
        }
        answer.ok(&format!("remove {id}")).map(drop)
    }

    pub(crate) fn inspect(&self, id: &str) -> Result<ContainerState> {
        let json = self
            .call("GET", &format!("/containers/{id}/json"), &[])?
            .ok(&format!("inspect {id}"))?
            .json()?;
        Ok(ContainerState {
            running: json["State"]["Running"].as_bool().unwrap_or(false),
            pid: json["State"]["Pid"]
                .as_i64()
                .and_then(|pid| i32::try_from(pid).ok())
                .unwrap_or(0),
            started_at: json["State"]["StartedAt"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// What its health check says: `starting`, `healthy`, `unhealthy`; empty where it has none.
    pub(crate) fn health(&self, id: &str) -> Result<String> {
        let path = format!("/containers/{id}/json");
        let json = self.call("GET", &path, &[])?.ok(&format!("inspect {id}"))?.json()?;
        Ok(json["State"]["Health"]["Status"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// How often a container was started, by the engine's memory of its last 256 events: ask soon.
    pub(crate) fn starts(&self, id: &str) -> Result<u32> {
        let filters = json!({ "type": ["container"], "container": [id], "event": ["start"] });
        let filters = percent_encode(&filters.to_string());
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let until = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let path = format!("/events?since=0&until={until}&filters={filters}");
        let answer = self.call("GET", &path, &[])?.ok("events")?;
        let events = serde_json::Deserializer::from_slice(&answer.body).into_iter::<Value>();
        let events = events.collect::<serde_json::Result<Vec<Value>>>().context("events")?;
        Ok(u32::try_from(events.len())?)
    }

    /// Containers of every run, also of killed ones: id and owner.
    pub(crate) fn owned_containers(&self) -> Result<Vec<(String, String)>> {
        self.labelled("/containers/json?all=1", OWNER_LABEL, OWNER_LABEL)
    }

    /// Images of every run: id and owner.
    pub(crate) fn owned_images(&self) -> Result<Vec<(String, String)>> {
        self.labelled("/images/json?all=0", OWNER_LABEL, OWNER_LABEL)
    }

    /// Ids of a list's entries with that label, and the value of the label `tell`.
    fn labelled(&self, list: &str, label: &str, tell: &str) -> Result<Vec<(String, String)>> {
        let filters = percent_encode(&json!({ "label": [label] }).to_string());
        let answer = self
            .call("GET", &format!("{list}&filters={filters}"), &[])?
            .ok("list")?;
        let list = answer.json()?;
        let entries = list.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        Ok(entries
            .filter_map(|entry| {
                let value = entry["Labels"][tell].as_str().unwrap_or_default();
                Some((entry["Id"].as_str()?.to_owned(), value.to_owned()))
            })
            .collect())
    }

    /// Removes every container of one run; gives what could not be removed.
    pub(crate) fn remove_run(&self, run: &str) -> Vec<String> {
        let label = format!("{RUN_LABEL}={run}");
        let of_run = match self.labelled("/containers/json?all=1", &label, RUN_LABEL) {
            Ok(of_run) => of_run,
            Err(error) => return vec![format!("{error:#}")],
        };
        of_run
            .iter()
            .filter_map(|(id, _)| self.remove(id).err().map(|error| format!("{error:#}")))
            .collect()
    }
}

/// For a query value.
pub(crate) fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
