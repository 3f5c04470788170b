//! What the API of one engine is asked, whoever else uses that engine: everything made bears the run's label, and only what
//! bears it is listed, heard and removed. It knows no rows.

use crate::engine::{OWNER_LABEL, RUN_LABEL, percent_encode};
use crate::http::{self, Answer};
use crate::owner::Owner;
use crate::victims;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Longest call.
const CALL: Duration = Duration::from_secs(90);
/// Images of the victim; two names, so that one can replace the other.
const IMAGES: [&str; 2] = ["victim:1", "victim:2"];

/// The engine, and whose run asks.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) socket: PathBuf,
    /// Before every name, so that no stranger's is taken; empty where there are no strangers.
    pub(super) prefix: String,
    run: String,
    owner: String,
}

/// What the engine says of itself.
pub(super) struct About {
    pub(super) version: String,
    pub(super) api: Value,
    pub(super) live_restore: bool,
    pub(super) data_root: PathBuf,
}

impl About {
    /// The name of the folder for its recordings.
    pub(super) fn folder(&self) -> String {
        let short: Vec<&str> = self.version.split(['.', '+', '-']).take(2).collect();
        let variant = if self.live_restore { "-live-restore" } else { "" };
        format!("{}{variant}", short.join("."))
    }
}

impl Api {
    /// An engine of our own.
    pub(super) fn own(socket: PathBuf) -> Result<Self> {
        Ok(Self {
            socket,
            prefix: String::new(),
            run: format!("truth-{}", std::process::id()),
            owner: Owner::me()?.to_string(),
        })
    }

    /// An engine that others use too.
    pub(super) fn shared(socket: PathBuf) -> Result<Self> {
        let own = Self::own(socket)?;
        Ok(Self {
            prefix: format!("{}-", own.run),
            ..own
        })
    }

    /// A name as the engine is told it.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// One of the two images.
    pub(super) fn image(&self, number: usize) -> String {
        self.name(IMAGES[number])
    }

    /// On everything that is made.
    pub(super) fn labels(&self) -> Value {
        json!({ RUN_LABEL: self.run, OWNER_LABEL: self.owner })
    }

    /// What bears the label, as a filter of a list.
    pub(super) fn label_filter(&self) -> Value {
        json!([format!("{RUN_LABEL}={}", self.run)])
    }

    fn ours(&self) -> String {
        percent_encode(&json!({ "label": self.label_filter() }).to_string())
    }

    pub(super) fn call(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        http::ask(&self.socket, method, path, &body, CALL).with_context(|| format!("{method} {path}"))
    }

    fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, &Value::Null)?.ok(path)?.json()
    }

    /// What the engine says of itself.
    pub(super) fn about(&self) -> Result<About> {
        let (version, info) = (self.get("/version")?, self.get("/info")?);
        Ok(About {
            version: version["Version"].as_str().unwrap_or("unknown").to_owned(),
            api: version["ApiVersion"].clone(),
            live_restore: info["LiveRestoreEnabled"] == true,
            data_root: info["DockerRootDir"].as_str().unwrap_or_default().into(),
        })
    }

    /// Inspect, whatever it says.
    pub(super) fn inspect(&self, id: &str) -> Result<Value> {
        self.call("GET", &format!("/containers/{id}/json"), &Value::Null)?
            .json()
    }

    /// Ids and names of this run's containers.
    pub(super) fn list(&self) -> Result<Vec<(String, String)>> {
        let list = self.get(&format!("/containers/json?all=1&filters={}", self.ours()))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entry = |it: &Value| {
            let name = text(&it["Names"][0]).trim_start_matches('/').to_owned();
            (text(&it["Id"]), name)
        };
        Ok(list.as_array().into_iter().flatten().map(entry).collect())
    }

    /// Removes every container and network of this run, also those of a row that could not be played.
    pub(super) fn clear(&self) -> Result<()> {
        for (id, _) in self.list()? {
            self.call("DELETE", &format!("/containers/{id}?force=1"), &Value::Null)?;
        }
        let path = format!("/networks/prune?filters={}", self.ours());
        self.call("POST", &path, &Value::Null)?.ok("prune").map(drop)
    }

    /// Imports the victim's images: two that differ in a label alone.
    pub(super) fn import_images(&self) -> Result<()> {
        let tar = victims::victim_tar()?;
        for number in 0..IMAGES.len() {
            let image = self.image(number);
            let (name, tag) = image.split_once(':').unwrap_or((&image, "1"));
            let labels = percent_encode(&format!("LABEL edition={tag} {OWNER_LABEL}={}", self.owner));
            let path = format!("/images/create?fromSrc=-&repo={name}&tag={tag}&changes={labels}");
            http::ask(&self.socket, "POST", &path, &tar, Duration::from_secs(60))?
                .ok("import of the victim's image")?;
        }
        Ok(())
    }

    /// Removes them.
    pub(super) fn remove_images(&self) -> Result<()> {
        for number in 0..IMAGES.len() {
            let path = format!("/images/{}", self.image(number));
            self.call("DELETE", &path, &Value::Null)?
                .ok("removal of the victim's image")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{About, Api};
    use serde_json::Value;

    #[test]
    fn the_folder_is_the_version_and_the_variant() {
        let about = |version: &str, live_restore| About {
            version: version.to_owned(),
            api: Value::Null,
            live_restore,
            data_root: "/".into(),
        };
        assert_eq!(about("20.10.24+dfsg1", false).folder(), "20.10");
        assert_eq!(about("28.3.0-rc.1", true).folder(), "28.3-live-restore");
    }

    #[test]
    fn on_a_shared_engine_names_are_the_runs_own() {
        let api = Api::shared("/run/it.sock".into()).expect("a run");
        let name = api.name("web");
        assert!(name.ends_with("-web") && name.contains(&std::process::id().to_string()));
        assert_eq!(Api::own("/run/it.sock".into()).expect("a run").name("web"), "web");
    }
}
