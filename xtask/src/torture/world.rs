//! The thirty containers of the world: what each is, what its policy says, and the request that makes it. It makes none.

use super::notes::Ms;
use serde_json::{Value, json};
use std::path::Path;

/// The host's and the engine's name in the watchdog's tree.
pub(super) const ENGINE: &str = "h1/docker";
/// The compose project of those that a deploy of compose replaces.
const PROJECT: &str = "shop";
/// Processor time is short on a machine that tortures: a check each so often.
const CHECK_EVERY: Ms = 3000;
const CHECK_TIMEOUT: Ms = 2000;
const CHECK_RETRIES: u64 = 2;

/// How a container behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Serves; ends on TERM with 143.
    Plain,
    /// Its check asks the service, which does not answer while its process is frozen.
    Asked,
    /// Its check reads a file, which can be told to fail.
    Filed,
    /// Ends on TERM with 0.
    Polite,
    /// Ends two seconds after TERM, with 3.
    Slow,
    /// Ignores TERM; is given 2 s by its own stop timeout.
    Stubborn,
    /// Ends by itself with 0 after some seconds.
    Job,
    /// Ends by itself with 1 soon after each start.
    Looper,
    /// Takes memory until the kernel ends it, when it is told to.
    Glutton,
    /// Joins the network of another.
    Joiner(&'static str),
    /// Of a compose project.
    Service(&'static str),
}

/// A container of the world.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The engine's restart policy.
    pub(super) restart: &'static str,
    /// False: nobody said that it is to be healed.
    pub(super) healed: bool,
    /// Its labels give it a short window, short delays and an early retry; else it has what ships.
    pub(super) brisk: bool,
}

/// The limits in force for a container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) budget: usize,
    pub(super) stop_budget: usize,
    pub(super) window: Ms,
    pub(super) clean_after: Ms,
    pub(super) delay_max: Ms,
    pub(super) grace: Ms,
    pub(super) stop_timeout: Ms,
}

const fn spec(name: &'static str, kind: Kind, restart: &'static str) -> Spec {
    Spec {
        name,
        kind,
        restart,
        healed: true,
        brisk: false,
    }
}

const fn brisk(spec: Spec) -> Spec {
    Spec { brisk: true, ..spec }
}

const fn stranger(spec: Spec) -> Spec {
    Spec { healed: false, ..spec }
}

/// All of them. The joiner comes after whom it joins.
pub(super) const WORLD: [Spec; 30] = [
    spec("plain-a", Kind::Plain, "no"),
    brisk(spec("plain-b", Kind::Plain, "no")),
    brisk(spec("plain-c", Kind::Plain, "no")),
    spec("failure-a", Kind::Plain, "on-failure"),
    brisk(spec("failure-b", Kind::Plain, "on-failure")),
    spec("unless-a", Kind::Plain, "unless-stopped"),
    brisk(spec("unless-b", Kind::Plain, "unless-stopped")),
    brisk(spec("unless-c", Kind::Plain, "unless-stopped")),
    spec("always-a", Kind::Plain, "always"),
    brisk(spec("always-b", Kind::Plain, "always")),
    spec("asked-a", Kind::Asked, "no"),
    brisk(spec("asked-b", Kind::Asked, "unless-stopped")),
    brisk(spec("asked-c", Kind::Asked, "always")),
    spec("filed-a", Kind::Filed, "no"),
    brisk(spec("filed-b", Kind::Filed, "unless-stopped")),
    brisk(spec("polite-a", Kind::Polite, "no")),
    brisk(spec("polite-b", Kind::Polite, "on-failure")),
    brisk(spec("polite-c", Kind::Polite, "unless-stopped")),
    brisk(spec("slow-a", Kind::Slow, "no")),
    spec("slow-b", Kind::Slow, "unless-stopped"),
    brisk(spec("stubborn-a", Kind::Stubborn, "no")),
    brisk(spec("job-a", Kind::Job, "no")),
    brisk(spec("job-b", Kind::Job, "on-failure")),
    brisk(spec("looper-a", Kind::Looper, "no")),
    brisk(spec("glutton-a", Kind::Glutton, "no")),
    brisk(spec("owner-a", Kind::Plain, "no")),
    brisk(spec("joiner-a", Kind::Joiner("owner-a"), "no")),
    stranger(spec("stranger-a", Kind::Plain, "no")),
    stranger(spec("stranger-b", Kind::Asked, "unless-stopped")),
    brisk(spec("service-a", Kind::Service("web"), "unless-stopped")),
];

impl Spec {
    /// Its place in the watchdog's tree.
    pub(super) fn subject(&self) -> String {
        match self.kind {
            Kind::Service(service) => format!("{ENGINE}/{PROJECT}/{service}/1"),
            _ => format!("{ENGINE}/{}", self.name),
        }
    }

    /// What holds for it, by what ships and what its labels say.
    pub(super) fn limits(&self) -> Limits {
        let stop_timeout = if self.kind == Kind::Stubborn { 2000 } else { 10_000 };
        match self.brisk {
            true => Limits {
                budget: 8,
                stop_budget: 8,
                window: 60_000,
                clean_after: 12_000,
                delay_max: 5000,
                grace: 4000,
                stop_timeout,
            },
            false => Limits {
                budget: 12,
                stop_budget: 5,
                window: 600_000,
                clean_after: 600_000,
                delay_max: 60_000,
                grace: 10_000,
                stop_timeout,
            },
        }
    }

    /// The longest time until its check tells of a hang.
    pub(super) fn check_tells_within(&self) -> Option<Ms> {
        let has_check = matches!(self.kind, Kind::Asked | Kind::Filed);
        // The run before may have begun just before; the engine's exec takes its time.
        has_check.then_some((CHECK_RETRIES + 1) * (CHECK_EVERY + CHECK_TIMEOUT))
    }

    /// Its init polls a file, and does what that says.
    pub(super) fn plays(&self) -> bool {
        use Kind::{Glutton, Job, Polite, Slow};
        matches!(self.kind, Polite | Slow | Job | Glutton)
    }

    /// A person may send it a signal that stops it, which it obeys.
    pub(super) fn obeys_term(&self) -> bool {
        !matches!(self.kind, Kind::Stubborn)
    }

    /// Others need it by its id: it is not made anew.
    pub(super) fn is_joined(&self) -> bool {
        WORLD
            .iter()
            .any(|it| matches!(it.kind, Kind::Joiner(owner) if owner == self.name))
    }

    fn labels(&self) -> Value {
        let mut labels = json!({});
        if self.healed {
            labels["watchtree.enable"] = "true".into();
        }
        if self.brisk {
            let set = [
                ("watchtree.budget", "8/1m"),
                ("watchtree.clean-after", "12s"),
                ("watchtree.delay-max", "5s"),
                ("watchtree.retry-given-up", "40s"),
                ("watchtree.grace", "4s"),
            ];
            for (key, value) in set {
                labels[key] = value.into();
            }
        }
        if let Kind::Service(service) = self.kind {
            labels["com.docker.compose.project"] = PROJECT.into();
            labels["com.docker.compose.service"] = service.into();
            labels["com.docker.compose.container-number"] = "1".into();
            labels["com.docker.compose.oneoff"] = "False".into();
        }
        labels
    }

    fn env(&self) -> Vec<&'static str> {
        match self.kind {
            Kind::Polite => vec!["VICTIM_ON_TERM=0@0"],
            Kind::Slow => vec!["VICTIM_ON_TERM=3@2000"],
            Kind::Stubborn => vec!["VICTIM_IGNORE_TERM=1"],
            Kind::Job => vec!["VICTIM_EXITS=0@4000"],
            Kind::Joiner(_) => vec!["VICTIM_PORT=7401"],
            Kind::Looper => vec!["VICTIM_MODE=crash-loop", "VICTIM_CRASH_AFTER_MS=700"],
            _ => Vec::new(),
        }
    }

    /// The body of the request that makes it. `ctl` = the folder that it reads.
    pub(super) fn settings(&self, image: &str, ctl: &Path) -> Value {
        let network = match self.kind {
            Kind::Joiner(owner) => format!("container:{owner}"),
            _ => "none".to_owned(),
        };
        let mut host = json!({ "RestartPolicy": { "Name": self.restart }, "NetworkMode": network });
        let command = if self.plays() { "play" } else { "serve" };
        if self.plays() || self.kind == Kind::Filed {
            let source = ctl.display().to_string();
            host["Mounts"] = json!([{ "Type": "bind", "Source": source, "Target": "/ctl" }]);
        }
        if self.kind == Kind::Glutton {
            host["Memory"] = (48_u64 << 20).into();
            host["MemorySwap"] = (48_u64 << 20).into();
        }
        let mut body = json!({
            "Image": image,
            "Entrypoint": ["/victim"],
            "Cmd": [command],
            "Env": self.env(),
            "Labels": self.labels(),
            "HostConfig": host,
        });
        if self.kind == Kind::Stubborn {
            body["StopTimeout"] = 2.into();
        }
        let check = match self.kind {
            Kind::Asked => json!(["CMD", "/victim", "healthcheck", "1500"]),
            Kind::Filed => json!(["CMD", "/victim", "check"]),
            _ => return body,
        };
        let nanos = |ms: Ms| ms * 1_000_000;
        body["Healthcheck"] = json!({
            "Test": check,
            "Interval": nanos(CHECK_EVERY),
            "Timeout": nanos(CHECK_TIMEOUT),
            "Retries": CHECK_RETRIES,
        });
        body
    }
}
