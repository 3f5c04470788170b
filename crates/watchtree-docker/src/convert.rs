//! bollard's models as core observations: selected fields only, each bounded; never the environment.

use crate::address::address;
use crate::error::cut;
use crate::labels;
use crate::namespaces;
use crate::timestamp::engine_time;
use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum, EventMessage, HealthStatusEnum, HealthcheckResult, HostConfig, RestartPolicyNameEnum,
};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use watchtree_core::container::io::{
    CheckRun, ContainerView, EngineEvent, EngineTime, EventAction, Health, ListEntry, RestartPolicy, RunState,
};

/// Longest error text of a failed start, in bytes.
const ERROR_BYTES_MAX: usize = 512;
/// Longest stamp of the engine, in bytes.
const STAMP_BYTES_MAX: usize = 64;
/// Failed checks in a row that make a container unhealthy where nobody says otherwise.
const RETRIES_DEFAULT: u32 = 3;
/// Longest value of a label, in bytes.
const LABEL_BYTES_MAX: usize = 512;
/// Longest name of an image, in bytes.
const IMAGE_BYTES_MAX: usize = 512;
/// Most bind mounts of one container that are looked at.
const BINDS_MAX: usize = 64;
/// SIGTERM, which the engine takes where nobody sets a stop signal.
const SIGTERM: u32 = 15;

/// One line of the list; `None` without an id.
pub(crate) fn list_entry(summary: ContainerSummary) -> Option<ListEntry> {
    // Legacy links add names such as `/web/db`; its own has no inner slash.
    let names = summary.names.unwrap_or_default();
    let name = names
        .iter()
        .map(|name| name.trim_start_matches('/'))
        .find(|name| !name.contains('/'));
    let run = match summary.state.unwrap_or(ContainerSummaryStateEnum::EMPTY) {
        ContainerSummaryStateEnum::CREATED | ContainerSummaryStateEnum::EMPTY => RunState::Created,
        // Podman's word for "a stop is under way": it still runs.
        ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::STOPPING => RunState::Running,
        ContainerSummaryStateEnum::PAUSED => RunState::Paused,
        ContainerSummaryStateEnum::RESTARTING => RunState::Restarting,
        ContainerSummaryStateEnum::REMOVING => RunState::Removing,
        ContainerSummaryStateEnum::EXITED => RunState::Exited,
        ContainerSummaryStateEnum::DEAD => RunState::Dead,
    };
    let health = health_in_status(summary.status.as_deref().unwrap_or_default());
    Some(ListEntry {
        id: summary.id?,
        name: name.unwrap_or_default().to_owned(),
        run,
        health,
    })
}

/// `Up 3 minutes (unhealthy)`
fn health_in_status(status: &str) -> Health {
    let word = status
        .rsplit_once('(')
        .map_or("", |(_, rest)| rest.trim_end_matches(')'));
    match word {
        "healthy" => Health::Healthy,
        "unhealthy" => Health::Unhealthy,
        "health: starting" => Health::Starting,
        _ => Health::None,
    }
}

/// Where its bind mounts come from; at most [`BINDS_MAX`].
pub(crate) fn bind_sources(answer: &ContainerInspectResponse) -> Vec<PathBuf> {
    let mounts = answer.mounts.iter().flatten();
    let binds = mounts.filter(|mount| mount.typ.as_deref() == Some("bind"));
    let sources = binds.filter_map(|mount| mount.source.as_ref()).map(PathBuf::from);
    sources.take(BINDS_MAX).collect()
}

/// The chosen fields of an inspect; of the labels also those with these keys. `id` is taken where the answer has none.
pub(crate) fn view(id: &str, answer: ContainerInspectResponse, label_keys: &[String]) -> ContainerView {
    let state = answer.state.unwrap_or_default();
    let config = answer.config.unwrap_or_default();
    let host = answer.host_config.unwrap_or_default();
    let mut view = ContainerView {
        id: answer.id.unwrap_or_else(|| id.to_owned()),
        name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        restart_count: number(answer.restart_count),
        memory_limit: host.memory.and_then(|it| u64::try_from(it).ok()).unwrap_or(0),
        auto_remove: host.auto_remove.unwrap_or(false),
        joins: namespaces::joins(&host),
        address: address(&host, answer.network_settings),
        restart_policy: restart_policy(host),
        ..ContainerView::default()
    };
    fill_state(&mut view, state);
    fill_config(&mut view, config, label_keys);
    view
}

fn fill_state(view: &mut ContainerView, state: ContainerState) {
    view.run = match state.status.unwrap_or(ContainerStateStatusEnum::EMPTY) {
        ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY => RunState::Created,
        ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING => RunState::Running,
        ContainerStateStatusEnum::PAUSED => RunState::Paused,
        ContainerStateStatusEnum::RESTARTING => RunState::Restarting,
        ContainerStateStatusEnum::REMOVING => RunState::Removing,
        ContainerStateStatusEnum::EXITED => RunState::Exited,
        ContainerStateStatusEnum::DEAD => RunState::Dead,
    };
    view.pid = number(state.pid) as u32;
    view.exit_code = state.exit_code.unwrap_or(0);
    view.oom_killed = state.oom_killed.unwrap_or(false);
    view.error = cut(&state.error.unwrap_or_default(), ERROR_BYTES_MAX);
    view.started_at_text = cut(&state.started_at.unwrap_or_default(), STAMP_BYTES_MAX);
    view.started_at = engine_time(&view.started_at_text);
    view.finished_at = engine_time(&state.finished_at.unwrap_or_default());
    if let Some(health) = state.health {
        view.health = match health.status.unwrap_or(HealthStatusEnum::NONE) {
            HealthStatusEnum::NONE | HealthStatusEnum::EMPTY => Health::None,
            HealthStatusEnum::STARTING => Health::Starting,
            HealthStatusEnum::HEALTHY => Health::Healthy,
            HealthStatusEnum::UNHEALTHY => Health::Unhealthy,
        };
        view.health_streak = number(health.failing_streak) as u32;
        view.health_failures = failures(health.log.unwrap_or_default(), view.health_streak);
    }
}

/// The newest runs of the present streak of failures. The log goes on over restarts of the container, the streak does not.
fn failures(log: Vec<HealthcheckResult>, streak: u32) -> Vec<CheckRun> {
    let count = CheckRun::COUNT_MAX.min(streak as usize);
    let begins = log.len().saturating_sub(count);
    let runs = log.into_iter().skip(begins).map(|run| CheckRun {
        ended: cut(&run.end.unwrap_or_default(), STAMP_BYTES_MAX),
        exit_code: run.exit_code.unwrap_or(-1),
        output: cut(&run.output.unwrap_or_default(), CheckRun::OUTPUT_BYTES_MAX),
    });
    runs.collect()
}

fn fill_config(view: &mut ContainerView, config: ContainerConfig, label_keys: &[String]) {
    view.image = cut(&config.image.unwrap_or_default(), IMAGE_BYTES_MAX);
    let check = config.healthcheck.unwrap_or_default();
    view.health_start_period = Duration::from_nanos(number(check.start_period));
    view.health_retries = match number(check.retries) as u32 {
        0 => RETRIES_DEFAULT,
        retries => retries,
    };
    let stop_signal = config.stop_signal.as_deref().and_then(signal_number);
    view.stop_signal = stop_signal.unwrap_or(SIGTERM);
    view.stop_signal_set = stop_signal.is_some();
    // -1 means "wait for ever", which no repair does: the engine's default then.
    view.stop_timeout = config
        .stop_timeout
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(Duration::from_secs);
    view.terminal = config.tty.unwrap_or(false) || config.attach_stdin.unwrap_or(false);
    view.labels = labels::ours(config.labels.unwrap_or_default(), label_keys);
}

fn restart_policy(host: HostConfig) -> RestartPolicy {
    let Some(policy) = host.restart_policy else {
        return RestartPolicy::No;
    };
    match policy.name.unwrap_or(RestartPolicyNameEnum::NO) {
        RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO => RestartPolicy::No,
        RestartPolicyNameEnum::ALWAYS => RestartPolicy::Always,
        RestartPolicyNameEnum::UNLESS_STOPPED => RestartPolicy::UnlessStopped,
        RestartPolicyNameEnum::ON_FAILURE => RestartPolicy::OnFailure {
            max: number(policy.maximum_retry_count) as u32,
        },
    }
}

/// The number of a signal as the engine takes it: `TERM`, `SIGTERM`, `15`, `RTMIN+3`.
pub(crate) fn signal_number(text: &str) -> Option<u32> {
    const NAMES: [(&str, u32); 31] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
        ("STKFLT", 16),
        ("CHLD", 17),
        ("CONT", 18),
        ("STOP", 19),
        ("TSTP", 20),
        ("TTIN", 21),
        ("TTOU", 22),
        ("URG", 23),
        ("XCPU", 24),
        ("XFSZ", 25),
        ("VTALRM", 26),
        ("PROF", 27),
        ("WINCH", 28),
        ("IO", 29),
        ("PWR", 30),
        ("SYS", 31),
    ];
    let upper = text.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(above) = name.strip_prefix("RTMIN") {
        let above = if above.is_empty() {
            0
        } else {
            above.strip_prefix('+')?.parse::<u32>().ok()?
        };
        return (above <= 30).then_some(34 + above);
    }
    if let Some(below) = name.strip_prefix("RTMAX") {
        let below = if below.is_empty() {
            0
        } else {
            below.strip_prefix('-')?.parse::<u32>().ok()?
        };
        return (below <= 30).then_some(64 - below);
    }
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
}

/// One event; `None` for what the role has no use for.
pub(crate) fn event(message: EventMessage) -> Option<EngineEvent> {
    let actor = message.actor?;
    let mut attributes = actor.attributes.unwrap_or_default();
    let action = action(&message.action?, &attributes)?;
    let compose = attributes
        .remove("com.docker.compose.project")
        .zip(attributes.remove("com.docker.compose.service"))
        .map(|(project, service)| (cut(&project, LABEL_BYTES_MAX), cut(&service, LABEL_BYTES_MAX)));
    let nanoseconds = message
        .time_nano
        .or_else(|| message.time.map(|seconds| seconds.saturating_mul(1_000_000_000)));
    Some(EngineEvent {
        at: EngineTime(number(nanoseconds)),
        id: actor.id?,
        name: attributes
            .remove("name")
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        compose,
        action,
    })
}

fn action(word: &str, attributes: &HashMap<String, String>) -> Option<EventAction> {
    let attribute = |key: &str| attributes.get(key).map(String::as_str);
    // `health_status: unhealthy`; Podman leaves the status out.
    let (word, status) = word
        .split_once(':')
        .map_or((word, ""), |(word, status)| (word, status.trim()));
    Some(match word {
        "create" => EventAction::Create,
        "start" => EventAction::Start,
        "die" => {
            let code = attribute("exitCode").or_else(|| attribute("containerExitCode"));
            EventAction::Die {
                exit_code: code.and_then(|code| code.parse().ok()).unwrap_or(-1),
            }
        }
        // A kill whose signal cannot be read is taken for SIGKILL: rather somebody's wish than nobody's.
        "kill" => EventAction::Kill {
            signal: attribute("signal").and_then(signal_number).unwrap_or(9),
        },
        "stop" => EventAction::Stop,
        "restart" => EventAction::Restart,
        "oom" => EventAction::Oom,
        "pause" => EventAction::Pause,
        "unpause" => EventAction::Unpause,
        "rename" => {
            let old_name = attribute("oldName")
                .unwrap_or_default()
                .trim_start_matches('/')
                .to_owned();
            EventAction::Rename { old_name }
        }
        "update" => EventAction::Update,
        "destroy" => EventAction::Destroy,
        "health_status" => match status {
            "healthy" => EventAction::Health(Health::Healthy),
            "unhealthy" => EventAction::Health(Health::Unhealthy),
            "starting" => EventAction::Health(Health::Starting),
            // Something about its health changed and the event does not say what: look.
            _ => EventAction::Update,
        },
        _ => return None,
    })
}

/// A count of the engine; negative (its "unset") is 0.
fn number(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtree_core::container::io::Namespace;

    #[test]
    fn signals_are_read_as_the_engine_reads_them() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("SIGQUIT", 3),
            ("HUP", 1),
        ] {
            assert_eq!(signal_number(text), Some(number), "{text}");
        }
        for text in ["", "0", "65", "SIGFOO", "RTMIN+", "RTMIN+99", "-9"] {
            assert_eq!(signal_number(text), None, "{text}");
        }
    }

    #[test]
    fn status_text_tells_health() {
        assert_eq!(health_in_status("Up 3 minutes (unhealthy)"), Health::Unhealthy);
        assert_eq!(health_in_status("Up 2 seconds (health: starting)"), Health::Starting);
        assert_eq!(health_in_status("Up 2 hours (healthy)"), Health::Healthy);
        assert_eq!(health_in_status("Exited (137) 2 hours ago"), Health::None);
        assert_eq!(health_in_status("Up 1 second (Paused)"), Health::None);
    }

    fn message(action: &str, attributes: &[(&str, &str)]) -> EventMessage {
        let attributes = attributes
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        EventMessage {
            action: Some(action.to_owned()),
            actor: Some(bollard::models::EventActor {
                id: Some("abc".to_owned()),
                attributes: Some(attributes),
            }),
            time_nano: Some(7),
            ..EventMessage::default()
        }
    }

    #[test]
    fn events_carry_what_decides() {
        let act = |action: &str, attributes: &[(&str, &str)]| event(message(action, attributes)).map(|e| e.action);
        assert_eq!(
            act("die", &[("exitCode", "137")]),
            Some(EventAction::Die { exit_code: 137 })
        );
        assert_eq!(act("kill", &[("signal", "1")]), Some(EventAction::Kill { signal: 1 }));
        assert_eq!(act("kill", &[]), Some(EventAction::Kill { signal: 9 }));
        assert_eq!(
            act("health_status: unhealthy", &[]),
            Some(EventAction::Health(Health::Unhealthy))
        );
        assert_eq!(act("health_status", &[]), Some(EventAction::Update));
        assert_eq!(
            act("rename", &[("oldName", "/old")]),
            Some(EventAction::Rename {
                old_name: "old".to_owned()
            })
        );
        assert_eq!(act("exec_create: sh", &[]), None);
        let labels = [
            ("com.docker.compose.project", "shop"),
            ("com.docker.compose.service", "web"),
            ("name", "shop_web_1"),
        ];
        let event = event(message("start", &labels)).expect("an event");
        assert_eq!(event.compose, Some(("shop".to_owned(), "web".to_owned())));
        assert_eq!((event.name.as_str(), event.at), ("shop_web_1", EngineTime(7)));
    }

    #[test]
    fn a_view_has_chosen_fields_and_bounds() {
        let answer: ContainerInspectResponse = serde_json::from_value(serde_json::json!({
            "Id": "abc", "Name": "/web", "RestartCount": 2,
            "State": {"Status": "running", "Running": true, "Pid": 42, "ExitCode": 0, "Error": "x".repeat(9999),
                "StartedAt": "2026-11-22T20:16:01.5Z", "FinishedAt": "0001-01-01T00:00:00Z",
                "Health": {"Status": "unhealthy", "FailingStreak": 2, "Log": [
                    {"Start": "2026-11-22T20:16:01Z", "End": "2026-11-22T20:16:02Z", "ExitCode": 1, "Output": "of the life before"},
                    {"Start": "2026-11-22T20:16:03Z", "End": "2026-11-22T20:16:04Z", "ExitCode": -1, "Output": "x".repeat(9999)},
                    {"Start": "2026-11-22T20:16:05Z", "End": "2026-11-22T20:16:06Z", "ExitCode": 127, "Output": "new"}]}},
            "HostConfig": {"AutoRemove": true, "NetworkMode": "container:7d3d", "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4}},
            "Config": {"Env": ["PASSWORD=secret"], "Image": "nginx:1.27", "StopSignal": "SIGQUIT", "StopTimeout": 3,
                "Healthcheck": {"StartPeriod": 2_000_000_000_u64}, "Tty": false, "AttachStdin": true,
                "Labels": {"watchtree.enable": "true", "autoheal": "true", "Watchtree.Grace": "1s", "secret": "x"}}
        }))
        .expect("an inspect answer");
        let view = view("abc", answer, &[]);
        assert_eq!((view.name.as_str(), view.run, view.pid), ("web", RunState::Running, 42));
        assert_eq!(
            (view.health, view.health_streak, view.health_retries),
            (Health::Unhealthy, 2, 3)
        );
        let runs: Vec<_> = view.health_failures.iter().collect();
        let runs: Vec<_> = runs.iter().map(|run| (run.exit_code, run.output.len())).collect();
        assert_eq!(runs, [(-1, CheckRun::OUTPUT_BYTES_MAX), (127, 3)]);
        assert_eq!(view.health_failures[1].ended, "2026-11-22T20:16:06Z");
        assert_eq!((view.stop_signal, view.stop_signal_set), (3, true));
        assert_eq!(view.stop_timeout, Some(Duration::from_secs(3)));
        assert_eq!(view.restart_policy, RestartPolicy::OnFailure { max: 4 });
        assert_eq!(view.health_start_period, Duration::from_secs(2));
        assert_eq!(
            (view.error.len(), view.finished_at, view.auto_remove),
            (512, EngineTime(0), true)
        );
        assert_eq!(view.joins.get(&Namespace::Network).map(String::as_str), Some("7d3d"));
        let labels: Vec<_> = view.labels.keys().collect();
        assert_eq!(labels, ["Watchtree.Grace", "autoheal", "watchtree.enable"]);
        assert!(view.terminal);
        assert_eq!(view.image, "nginx:1.27");
        assert!(!format!("{view:?}").contains("secret"));
    }
}
