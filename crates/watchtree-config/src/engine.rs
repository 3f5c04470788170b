//! `[[engine]]`: the engines of a host, what is healed on them, and how they are repaired.

use crate::error::ConfigError;
use crate::value::{AbsPath, Label};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::path::Path;

/// Longest name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 24;

/// What is healed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum HealMode {
    /// Containers with the label `watchtree.enable=true` (and those with `autoheal=true` when unhealthy).
    #[default]
    Labelled,
    /// Every container but those labelled `watchtree.enable=false`.
    All,
    /// Nothing: only look and tell.
    Observe,
}

/// `[[engine]]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Its name in the tree.
    #[serde(deserialize_with = "engine_name")]
    pub name: String,
    /// Its API socket.
    #[serde(default = "docker_socket")]
    socket: AbsPath,
    /// What is healed there.
    #[serde(default)]
    pub heal: HealMode,
    /// Only containers with all of these labels exist for us; at most 8.
    #[serde(default)]
    pub select: Vec<Label>,
    /// When the engine itself may be repaired.
    #[serde(default)]
    pub repair: RepairMode,
    /// The unit of its daemon; empty = see [`Self::unit`].
    #[serde(default)]
    unit: String,
    /// The program that repairs it instead of systemd, with its arguments.
    #[serde(default)]
    repair_command: Vec<String>,
}

/// When an engine that is ill may be repaired.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum RepairMode {
    /// Where no container ends by it.
    #[default]
    Safe,
    /// Also where its containers end by it.
    Always,
    /// Never.
    Never,
}

impl Engine {
    /// Its API socket.
    pub fn socket(&self) -> &Path {
        self.socket.as_path()
    }

    /// The unit of its daemon. Without one in the file it is known for the engine at Docker's own socket only: of another
    /// engine it would be the wrong one.
    pub fn unit(&self) -> Option<&str> {
        let is_dockers = [DOCKER_SOCKET, "/run/docker.sock"]
            .map(Path::new)
            .contains(&self.socket());
        match self.unit.as_str() {
            "" => is_dockers.then_some("docker.service"),
            unit => Some(unit),
        }
    }

    /// The program that repairs it instead of systemd, with its arguments.
    pub fn repair_command(&self) -> Option<(&Path, &[String])> {
        let (program, arguments) = self.repair_command.split_first()?;
        Some((Path::new(program), arguments))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        if 8 < self.select.len() {
            return Err(ConfigError::new(format!(
                "[[engine]] select of `{name}`: at most 8 labels"
            )));
        }
        if self.repair_command().is_some_and(|(program, _)| !program.is_absolute()) {
            let why = format!("[[engine]] repair_command of `{name}`: begins with the full path of a program");
            return Err(ConfigError::new(why));
        }
        if self.repair_command.len() > 16 || self.unit.starts_with('-') {
            let why = format!(
                "[[engine]] of `{name}`: repair_command has at most 16 words, unit is a name such as docker.service"
            );
            return Err(ConfigError::new(why));
        }
        Ok(())
    }
}

pub(crate) fn one_docker() -> Vec<Engine> {
    vec![Engine {
        name: "docker".into(),
        socket: docker_socket(),
        heal: HealMode::Labelled,
        select: Vec::new(),
        repair: RepairMode::default(),
        unit: String::new(),
        repair_command: Vec::new(),
    }]
}

const DOCKER_SOCKET: &str = "/var/run/docker.sock";

fn docker_socket() -> AbsPath {
    AbsPath::fixed(DOCKER_SOCKET)
}

fn engine_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if good {
        Ok(text)
    } else {
        Err(Error::custom(format!("engine name `{text}`: 1 to 24 of a-z 0-9 -")))
    }
}
