//! How a container of a case is made. It makes none.

use serde_json::{Value, json};
use std::path::Path;

/// Image of the victim.
pub(super) const IMAGE: &str = "victim:1";
/// Names the case on everything that it makes.
pub(super) const CASE_LABEL: &str = "xtask.watchtree.case";

/// How one is made: `victim play`, healed, without a network.
#[derive(Clone)]
pub(super) struct Spec {
    pub(super) name: String,
    case: String,
    body: Value,
}

impl Spec {
    pub(super) fn new(case: &str, name: &str) -> Self {
        let body = json!({
            "Image": IMAGE,
            "Entrypoint": ["/victim"],
            "Cmd": ["play"],
            "Env": [],
            "Labels": { "watchtree.enable": "true", CASE_LABEL: case },
            "HostConfig": { "NetworkMode": "none", "RestartPolicy": { "Name": "no" } },
        });
        Self {
            name: name.to_owned(),
            case: case.to_owned(),
            body,
        }
    }

    /// The same under another name.
    pub(super) fn named(&self, name: &str) -> Self {
        let mut spec = self.clone();
        spec.name = name.to_owned();
        spec
    }

    pub(super) fn policy(mut self, policy: &str) -> Self {
        self.body["HostConfig"]["RestartPolicy"]["Name"] = policy.into();
        self
    }

    pub(super) fn label(mut self, key: &str, value: &str) -> Self {
        self.body["Labels"][key] = value.into();
        self
    }

    pub(super) fn command(mut self, words: &[&str]) -> Self {
        self.body["Entrypoint"] = json!([words[0]]);
        self.body["Cmd"] = json!(words[1..]);
        self
    }

    pub(super) fn env(mut self, pair: &str) -> Self {
        if let Some(env) = self.body["Env"].as_array_mut() {
            env.push(pair.into());
        }
        self
    }

    pub(super) fn network(mut self, mode: &str) -> Self {
        self.body["HostConfig"]["NetworkMode"] = mode.into();
        self
    }

    /// Binds one more folder.
    pub(super) fn bind(mut self, source: &Path) -> Self {
        let mount = json!({ "Type": "bind", "Source": source.display().to_string(), "Target": "/more" });
        self.body["HostConfig"]["Mounts"] = json!([mount]);
        self
    }

    /// A health check each second; two failures make it ill.
    pub(super) fn check(mut self, words: &[&str]) -> Self {
        let test: Vec<&str> = std::iter::once("CMD").chain(words.iter().copied()).collect();
        let second = 1_000_000_000_u64;
        self.body["Healthcheck"] = json!({ "Test": test, "Interval": second, "Timeout": second, "Retries": 2 });
        self
    }

    /// The body of the request that makes it. `ctl` = the folder that it is told by.
    pub(super) fn settings(&self, ctl: &Path) -> Value {
        let mut body = self.body.clone();
        let mount = json!({ "Type": "bind", "Source": ctl.display().to_string(), "Target": "/ctl" });
        let host = &mut body["HostConfig"];
        match host["Mounts"].as_array_mut() {
            Some(mounts) => mounts.push(mount),
            None => host["Mounts"] = json!([mount]),
        }
        body["Labels"][CASE_LABEL] = self.case.as_str().into();
        body
    }
}
