//! Every key of both files with its default and its meaning: the one source of docs/configuration.md and of the samples.
//!
//! Tests hold this table against what the parser really takes, so it can neither lack a key nor name one too many.

mod host;
mod manager;

pub use host::HOST;
pub use manager::MANAGER;

/// How a key is shown in the sample file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// Must be given: stands uncommented.
    Required,
    /// The value is the default: stands commented out.
    Default,
    /// Off by default; the value is an example: stands commented out.
    Example,
    /// The same, in the place of another key of its table: not both can be given.
    Instead,
}

/// One key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    /// `""` for the top, else as written: `[heal]`, `[[engine]]`.
    pub table: &'static str,
    /// The key.
    pub name: &'static str,
    /// Its value in TOML.
    pub value: &'static str,
    /// What `value` is.
    pub shown: Shown,
    /// One or two sentences with units and limits.
    pub meaning: &'static str,
}

const fn key(table: &'static str, name: &'static str, value: &'static str, meaning: &'static str) -> Key {
    Key {
        table,
        name,
        value,
        shown: Shown::Default,
        meaning,
    }
}

const fn required(table: &'static str, name: &'static str, value: &'static str, meaning: &'static str) -> Key {
    Key {
        table,
        name,
        value,
        shown: Shown::Required,
        meaning,
    }
}

const fn example(table: &'static str, name: &'static str, value: &'static str, meaning: &'static str) -> Key {
    Key {
        table,
        name,
        value,
        shown: Shown::Example,
        meaning,
    }
}

const fn instead(table: &'static str, name: &'static str, value: &'static str, meaning: &'static str) -> Key {
    Key {
        table,
        name,
        value,
        shown: Shown::Instead,
        meaning,
    }
}

const STATE_DIR: Key = key(
    "",
    "state_dir",
    "\"/var/lib/watchtree\"",
    "Each daemon keeps its state in a folder of its own in here.",
);
const RUN_DIR: Key = key(
    "",
    "run_dir",
    "\"/run/watchtree\"",
    "Sockets and pid files. At most 64 bytes long.",
);
const LOG_LEVEL: Key = key(
    "[log]",
    "level",
    "\"info\"",
    "error, warn, info, debug or trace. The variable WATCHTREE_LOG overrules it.",
);
const LOG_FORMAT: Key = key(
    "[log]",
    "format",
    "\"text\"",
    "`text` (coloured on a terminal, plain elsewhere) or `json` (one object per line).",
);
const SOCKET_GROUP: Key = example(
    "[http]",
    "socket_group",
    "\"watchtree\"",
    "Group that may use the status socket (mode 0660) besides root. Without it: the group the daemon runs as.",
);
const HTTP_LISTEN: Key = example(
    "[http]",
    "listen",
    "\"127.0.0.1:7412\"",
    "Also answer reads (never hold, release, retry or forget) on this loopback address. Off by default.",
);

const WEBHOOK_URL: Key = example(
    "[[webhook]]",
    "url",
    "\"https://alerts.example.org/watchtree\"",
    "Each change of an incident is posted here as JSON. http or https; at most 16 webhooks.",
);
const WEBHOOK_DEADLINE: Key = example(
    "[[webhook]]",
    "deadline",
    "\"5s\"",
    "Time for one attempt, answer included. Default 5s.",
);
const WEBHOOK_RETRIES: Key = example(
    "[[webhook]]",
    "retries",
    "8",
    "Gives a change up after this many more attempts. 0 to 100; not set: it is tried for as long as it takes, with pauses that grow to 1m.",
);
