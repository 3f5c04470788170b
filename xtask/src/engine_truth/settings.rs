//! From a `create` act to what the API is told.

use super::rows::Act;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

/// What a row's containers are made of and where they lie.
pub(super) struct Ground<'a> {
    pub(super) image: &'a str,
    pub(super) labels: Value,
    pub(super) ctl: &'a Path,
    pub(super) mounts: &'a Path,
}

/// `NAME` or `NAME:RETRIES`.
pub(super) fn policy(text: &str) -> Value {
    let (name, retries) = text.split_once(':').unwrap_or((text, "0"));
    json!({ "Name": name, "MaximumRetryCount": retries.parse::<u64>().unwrap_or(0) })
}

/// The body of `POST /containers/create`; `modes` = whose namespaces it is in, by the keys of the API.
pub(super) fn settings(act: &Act, ground: &Ground<'_>, modes: Vec<(&str, String)>) -> Result<Value> {
    let ctl = ground.ctl.display();
    let mut host = json!({
        "RestartPolicy": policy(act.setting("policy").unwrap_or("no")),
        "Mounts": [{"Type": "bind", "Source": ctl.to_string(), "Target": "/ctl"}],
    });
    if let Some(mount) = act.setting("mount") {
        let source = ground.mounts.join(mount).display().to_string();
        if let Some(mounts) = host["Mounts"].as_array_mut() {
            mounts.push(json!({"Type": "bind", "Source": source, "Target": "/more"}));
        }
    }
    for (mode, value) in modes {
        host[mode] = value.into();
    }
    if let Some(mb) = act.number("memory_mb")? {
        host["Memory"] = (mb << 20).into();
        host["MemorySwap"] = (mb << 20).into();
    }
    host["AutoRemove"] = act.setting("auto_remove").is_some().into();
    let signals = [("term", "TERM"), ("hup", "HUP"), ("quit", "QUIT"), ("usr1", "USR1")];
    let given = |(key, name): (&str, &str)| Some(format!("VICTIM_ON_{name}={}", act.setting(key)?));
    let mut env: Vec<String> = signals.into_iter().filter_map(given).collect();
    env.extend(act.setting("exits").map(|exits| format!("VICTIM_EXITS={exits}")));
    let mut body = json!({ "Image": ground.image, "Labels": ground.labels, "Env": env, "HostConfig": host });
    body["Entrypoint"] = match act.setting("command") {
        Some(command) => json!([command]),
        None => json!(["/victim", "play"]),
    };
    if let Some(signal) = act.setting("stop_signal") {
        body["StopSignal"] = signal.into();
    }
    if let Some(port) = act.number("port")? {
        let inside = format!("{port}/tcp");
        body["ExposedPorts"] = json!({ &inside: {} });
        body["HostConfig"]["PortBindings"] = json!({ &inside: [{"HostPort": port.to_string()}] });
    }
    if let Some(interval_ms) = act.number("interval_ms")? {
        let ns = |ms: Option<u64>| ms.unwrap_or(1000) * 1_000_000;
        let test = act
            .setting("check")
            .map_or(json!(["CMD", "/victim", "check"]), |check| json!(["CMD", check]));
        body["Healthcheck"] = json!({
            "Test": test,
            "Interval": ns(Some(interval_ms)),
            "Timeout": ns(act.number("timeout_ms")?),
            "Retries": act.number("retries")?.unwrap_or(1),
        });
    }
    Ok(body)
}
