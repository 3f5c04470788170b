//! The keys of `manager.toml`.

use super::{
    HTTP_LISTEN, Key, LOG_FORMAT, LOG_LEVEL, RUN_DIR, SOCKET_GROUP, STATE_DIR, WEBHOOK_DEADLINE, WEBHOOK_RETRIES,
    WEBHOOK_URL, key,
};

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
    WEBHOOK_URL,
    WEBHOOK_DEADLINE,
    WEBHOOK_RETRIES,
];
