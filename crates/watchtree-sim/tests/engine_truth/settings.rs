//! From the words of an act to what the model is told: how a container is made, and what its program does.

use crate::rows::Act;
use std::collections::BTreeMap;
use watchtree_core::container::io::{Joins, RestartPolicy};
use watchtree_core::time::Duration;
use watchtree_sim::script;
use watchtree_sim::state::engine::{Check, CheckResult, OnSignal, Spec, Version};

/// The folder of the recording.
pub(crate) const FOLDER: &str = "<dir>";

/// What a `create` makes; `joins` are the ids of the containers whose namespaces it joins.
pub(crate) fn spec(act: &Act, version: Version, joins: Joins) -> Spec {
    let mut spec = Spec::named(act.word(0));
    spec.policy = policy(act.setting("policy").unwrap_or("no"));
    spec.auto_remove = act.setting("auto_remove").is_some();
    spec.stop_signal = act
        .setting("stop_signal")
        .map(|name| signal(name.trim_start_matches("SIG")));
    spec.mounts = act.setting("mount").map(mount).into_iter().collect();
    spec.ports = act
        .number("port")
        .map(|port| u16::try_from(port).expect("a port"))
        .into_iter()
        .collect();
    spec.joins = joins;
    let network = act.setting("network").filter(|it| !it.starts_with("container:"));
    spec.networks.extend(network.map(str::to_owned));
    let handlers = ["term", "hup", "quit", "usr1"].map(|key| {
        let usual = if key == "term" { "143@0" } else { "ignore" };
        let reaction = act.setting(key).unwrap_or(usual);
        let (code, after) = code_at(reaction).unwrap_or_default();
        let ends = OnSignal::Exit { code, after };
        (
            signal(&key.to_uppercase()),
            if reaction == "ignore" { OnSignal::Ignore } else { ends },
        )
    });
    spec.program.handlers = BTreeMap::from(handlers);
    spec.program.runs_for = act
        .setting("exits")
        .and_then(code_at)
        .map(|(code, after)| (after, code));
    spec.program.cannot_start = act.setting("command").map(|file| {
        let (code, words) = match (file, version) {
            ("/ctl", Version::V20_10) => (126, cannot_run(file, "permission denied: unknown")),
            ("/ctl", Version::V26_1) => (126, cannot_run(file, "is a directory: unknown: permission denied")),
            _ => (127, no_file(file)),
        };
        let by = "failed to create shim task: OCI runtime create failed: runc create failed";
        (code, format!("{by}: {words}"))
    });
    spec.check = act.number("interval_ms").map(|interval| Check {
        interval: Duration::from_millis(interval),
        timeout: Duration::from_millis(act.number("timeout_ms").unwrap_or(1000)),
        retries: act.number("retries").map_or(1, |it| u32::try_from(it).expect("a few")),
        start_period: Duration::ZERO,
        result: act.setting("check").map_or(CheckResult::Passes, |file| {
            CheckResult::CannotRun(format!("OCI runtime exec failed: exec failed: {}", no_file(file)))
        }),
    });
    spec
}

fn no_file(file: &str) -> String {
    cannot_run(file, &format!("stat {file}: no such file or directory: unknown"))
}

fn cannot_run(file: &str, why: &str) -> String {
    format!("unable to start container process: exec: \"{file}\": {why}")
}

pub(crate) fn mount(name: &str) -> String {
    format!("{FOLDER}/mounts/{name}")
}

pub(crate) fn code(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// `CODE@MS`
pub(crate) fn code_at(text: &str) -> Option<(i64, Duration)> {
    let (exit, ms) = text.split_once('@')?;
    Some((code(exit), Duration::from_millis(ms.parse().ok()?)))
}

pub(crate) fn signal(name: &str) -> u32 {
    script::signal(name).unwrap_or_else(|| panic!("no signal {name}"))
}

pub(crate) fn policy(text: &str) -> RestartPolicy {
    let (name, max) = text.split_once(':').unwrap_or((text, "0"));
    match name {
        "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => RestartPolicy::OnFailure {
            max: max.parse().expect("a number of retries"),
        },
        other => panic!("no policy {other}"),
    }
}
