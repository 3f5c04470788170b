//! Every key of both files with its default and its meaning: the one source of docs/configuration.md and of the samples.
//!
//! Tests hold this table against what the parser really takes, so it can neither lack a key nor name one too many.

/// How a key is shown in the sample file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// Must be given: stands uncommented.
    Required,
    /// The value is the default: stands commented out.
    Default,
    /// Off by default; the value is an example: stands commented out.
    Example,
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

/// The keys of `manager.toml`.
pub const MANAGER: &[Key] = &[
    key(
        "",
        "name",
        "\"manager\"",
        "The manager's name in the tree. 1 to 64 of A-Z a-z 0-9 . _ - @.",
    ),
    key(
        "",
        "listen",
        "[\"0.0.0.0:7411\"]",
        "Where host-watchdogs connect to (ZeroMQ with CURVE over tcp). 1 to 8 addresses.",
    ),
    STATE_DIR,
    RUN_DIR,
    LOG_LEVEL,
    LOG_FORMAT,
    key(
        "[keys]",
        "key",
        "\"/etc/watchtree/keys/manager.key\"",
        "The manager's own secret CURVE key (mode 0600); `watchtree key gen` makes it.",
    ),
    key(
        "[keys]",
        "order_key",
        "\"/etc/watchtree/keys/manager-order.key\"",
        "The secret key that signs orders (mode 0600).",
    ),
    key(
        "[keys]",
        "allowed_dir",
        "\"/etc/watchtree/allowed\"",
        "One file NAME.pub for each node that may connect as NAME. Read again when it changes.",
    ),
    SOCKET_GROUP,
    HTTP_LISTEN,
    key(
        "[hosts]",
        "beat",
        "\"500ms\"",
        "Hosts beat this often. 100ms to 1m; `1s` and a longer margin for a WAN.",
    ),
    key(
        "[hosts]",
        "margin",
        "\"1s\"",
        "How late a beat may be before its host is suspected. Not shorter than beat.",
    ),
    key(
        "[hosts]",
        "ack_every",
        "4",
        "Every so many beats are acknowledged. 1 to 100.",
    ),
    key(
        "[hosts]",
        "look_within",
        "\"700ms\"",
        "Time for one probe of a suspect: a Ping on the link, and whether its kernel answers.",
    ),
    key(
        "[hosts]",
        "rounds",
        "2",
        "Looks that must fail before the verdict is more than SUSPECT. 1 to 10.",
    ),
    key("[hosts]", "look_again", "\"2s\"", "A lost host is probed this often."),
    key(
        "[hosts]",
        "settle",
        "\"2s\"",
        "After the manager's own start or stall nobody is judged for this long.",
    ),
    key(
        "[hosts]",
        "return_within",
        "\"5s\"",
        "A host known from before that is not back this long after settling is suspected.",
    ),
    key(
        "[hosts]",
        "back_after_shutdown",
        "\"15m\"",
        "A machine that announced its shutdown or reboot and is not back after this is probed, and becomes an incident. `0s`: never.",
    ),
    key(
        "[hosts]",
        "unhealthy_after",
        "\"1m\"",
        "A container that stays unhealthy this long becomes an incident.",
    ),
    example(
        "[[webhook]]",
        "url",
        "\"https://alerts.example.org/watchtree\"",
        "Each change of an incident is posted here as JSON. http or https; at most 16 webhooks.",
    ),
    example(
        "[[webhook]]",
        "deadline",
        "\"5s\"",
        "Time for one attempt, answer included. Default 5s.",
    ),
    example(
        "[[webhook]]",
        "retries",
        "8",
        "Gives a change up after this many more attempts. 0 to 100; not set: it is tried for as long as it takes, with pauses that grow to 1m.",
    ),
];

/// The keys of `host.toml`.
pub const HOST: &[Key] = &[
    required(
        "",
        "name",
        "\"h1\"",
        "This host's name in the tree: the name its key is allowed under at the manager. 1 to 64 of A-Z a-z 0-9 . _ - @.",
    ),
    key(
        "",
        "look_at",
        "[]",
        "At most 4 HOST:PORT at which the manager may probe whether this machine's kernel answers (accepted or refused, both prove it lives); ssh's port is a good one.",
    ),
    STATE_DIR,
    RUN_DIR,
    example(
        "",
        "container_watchdog",
        "\"/usr/local/bin/container-watchdog\"",
        "The container-watchdog program. Without it: the one beside host-watchdog itself.",
    ),
    LOG_LEVEL,
    LOG_FORMAT,
    example(
        "[parent]",
        "connect",
        "\"192.0.2.10:7411\"",
        "The manager's HOST:PORT. Without [parent] the host heals alone.",
    ),
    example(
        "[parent]",
        "server_key",
        "\"/etc/watchtree/keys/manager.pub\"",
        "File with the manager's public CURVE key. Default as shown.",
    ),
    example(
        "[keys]",
        "key",
        "\"/etc/watchtree/keys/h1.key\"",
        "This host's own secret CURVE key (mode 0600). Default /etc/watchtree/keys/NAME.key.",
    ),
    key(
        "[keys]",
        "order_keys_dir",
        "\"/etc/watchtree/order-keys\"",
        "Public keys (*.pub) whose orders are obeyed here. Read again when it changes.",
    ),
    SOCKET_GROUP,
    HTTP_LISTEN,
    key(
        "[heal]",
        "budget",
        "12",
        "Restarts of one container within `window`; then the restart limit is reached and a person is called. 1 to 100. Label watchtree.budget.",
    ),
    key(
        "[heal]",
        "window",
        "\"10m\"",
        "See budget. 10s to 7d. Label watchtree.window.",
    ),
    key(
        "[heal]",
        "stop_budget",
        "5",
        "After so many restarts within `window` an unhealthy container is not stopped any more, and a person is called. 1 to 100. Label watchtree.budget.",
    ),
    key(
        "[heal]",
        "delay_min",
        "\"100ms\"",
        "Pause before the second restart in a row; it doubles. The first one has none.",
    ),
    key("[heal]", "delay_max", "\"1m\"", "Longest pause between restarts."),
    key(
        "[heal]",
        "clean_after",
        "\"10m\"",
        "A container that ran this long is clean: its next restart has no pause.",
    ),
    key(
        "[heal]",
        "stop_timeout",
        "\"10s\"",
        "Time between stop signal and kill where neither label nor container say. Label watchtree.stop-timeout.",
    ),
    key(
        "[heal]",
        "grace",
        "\"10s\"",
        "For this long after a start a failing health check is not held against it; the first healthy of a life ends it. Grows with starts that never became well. Label watchtree.grace.",
    ),
    key(
        "[heal]",
        "verify",
        "\"10s\"",
        "A restarted container must stay up this long to count as repaired.",
    ),
    key(
        "[heal]",
        "list_every",
        "\"60s\"",
        "The whole container list is compared at least this often, and every 5s where that is cheap. 1s to 60s.",
    ),
    key(
        "[heal]",
        "retry_given_up",
        "\"10m\"",
        "A container whose restart limit is reached is tried once this often.",
    ),
    key(
        "[heal]",
        "parallel",
        "8",
        "Most repairs at one time on one engine. 1 to 64.",
    ),
    key(
        "[heal]",
        "host_budget",
        "250",
        "Restarts of all containers of one engine together within 10 minutes; many that died of one cause do not count. 1 to 500.",
    ),
    example(
        "[[class]]",
        "name",
        "\"databases\"",
        "What is set here holds for the containers that fit `label`, `container`, `image` and `project`, as far as given; at least one is. A later class overrules an earlier one, a container's label overrules both. At most 64 classes. `watchtree policy show` tells what is in force.",
    ),
    example(
        "[[class]]",
        "label",
        "\"tier=database\"",
        "Its label: \"key\", or \"key=value\". `*` stands for any text in a value.",
    ),
    example(
        "[[class]]",
        "container",
        "\"*-db-*\"",
        "Its name; `*` stands for any text.",
    ),
    example(
        "[[class]]",
        "image",
        "\"postgres:*\"",
        "Its image, as it was named when the container was made; `*` stands for any text.",
    ),
    example(
        "[[class]]",
        "project",
        "\"shop\"",
        "Its compose project; `*` stands for any text.",
    ),
    example(
        "[[class]]",
        "heal",
        "true",
        "Healed, or not, whatever [[engine]] heal says; with `observe` nothing is. Label watchtree.enable.",
    ),
    example(
        "[[class]]",
        "action",
        "\"notify\"",
        "`restart`, or `notify`: nothing is done, it is only reported. Label watchtree.action.",
    ),
    example("[[class]]", "budget", "3", "As in [heal]. Label watchtree.budget."),
    example("[[class]]", "window", "\"1h\"", "As in [heal]. Label watchtree.window."),
    example(
        "[[class]]",
        "delay_min",
        "\"5s\"",
        "As in [heal]. Label watchtree.delay-min.",
    ),
    example(
        "[[class]]",
        "delay_max",
        "\"5m\"",
        "As in [heal]. Label watchtree.delay-max.",
    ),
    example(
        "[[class]]",
        "clean_after",
        "\"30m\"",
        "As in [heal]. Label watchtree.clean-after.",
    ),
    example(
        "[[class]]",
        "verify",
        "\"30s\"",
        "As in [heal]. Label watchtree.verify.",
    ),
    example(
        "[[class]]",
        "grace",
        "\"5m\"",
        "After a start a failing health check is not held against it for this long, in the place of the check's own start period. Label watchtree.grace.",
    ),
    example(
        "[[class]]",
        "unhealthy_for",
        "\"2m\"",
        "Something is done only when it was unhealthy for this long. Label watchtree.unhealthy-for.",
    ),
    example(
        "[[class]]",
        "stop_timeout",
        "\"2m\"",
        "As in [heal], and before the container's own. Label watchtree.stop-timeout.",
    ),
    example(
        "[[class]]",
        "retry_given_up",
        "\"30m\"",
        "As in [heal]. Label watchtree.retry-given-up.",
    ),
    key(
        "[figures]",
        "disks",
        "[\"/\", \"/var/lib/docker\"]",
        "Paths on the file systems to measure; at most 8.",
    ),
    key(
        "[figures]",
        "disk_free_min",
        "5",
        "Per cent of each disk that must be free, or the host is DEGRADED.",
    ),
    key(
        "[figures]",
        "memory_available_min",
        "5",
        "Per cent of the memory that must be available.",
    ),
    key(
        "[figures]",
        "load_per_cpu_max",
        "4",
        "Load average per processor that is too much.",
    ),
    key(
        "[figures]",
        "pressure_max",
        "40",
        "Per cent of the time that work may wait for processor, memory or disk (PSI, where the kernel has it).",
    ),
    example(
        "[[engine]]",
        "name",
        "\"docker\"",
        "The engine's name in the tree. 1 to 24 of a-z 0-9 -. Without any [[engine]]: one named docker.",
    ),
    example(
        "[[engine]]",
        "socket",
        "\"/var/run/docker.sock\"",
        "Its API socket. Default as shown.",
    ),
    example(
        "[[engine]]",
        "heal",
        "\"labelled\"",
        "`labelled`: containers with watchtree.enable=true, and autoheal=true when unhealthy. `all`: every container but those whose watchtree.enable or autoheal says no (or cannot be read), and, where there is no restart policy, those with a terminal and those that failed before they ever ran for 10s. `observe`: watch and report only. Containers of Docker Swarm, Kubernetes or Nomad are never touched.",
    ),
    example(
        "[[engine]]",
        "select",
        "[]",
        "Only containers with all of these labels (\"key\" or \"key=value\") are watched. At most 8.",
    ),
    example(
        "[[engine]]",
        "repair",
        "\"safe\"",
        "When the engine itself is repaired while it hangs or is away. `safe`: where no container ends by it, that is with live-restore, or where most of them are down already. `always`: also where its containers end by it. `never`: only told. Default safe.",
    ),
    example(
        "[[engine]]",
        "unit",
        "\"\"",
        "The systemd unit of its daemon. Where it is empty: docker.service at Docker's own socket, else none, and then it cannot be repaired.",
    ),
    example(
        "[[engine]]",
        "repair_command",
        "[]",
        "A program that repairs it instead of systemd, with its arguments. One word is added: dump-stacks, restart-containerd or restart-daemon; WATCHTREE_ENGINE and WATCHTREE_SOCKET name the engine. Exit code 0 = done.",
    ),
];
