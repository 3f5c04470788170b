//! `[class.startup]`, `[class.liveness]`, `[class.readiness]` of `host.toml`: how the containers of a class are probed. The words are
//! those of the labels, and read by the same readers.

use crate::value::Span;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use watchtree_core::container::probes::readers::{HttpAt, read_bytes, read_http, read_port, read_status};
use watchtree_core::container::probes::spec::ProbeKind;
use watchtree_core::container::probes::words::ProbeWords;

/// One of the three.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    off: Option<bool>,
    #[serde(default, deserialize_with = "http")]
    http: Option<HttpAt>,
    #[serde(default, deserialize_with = "port")]
    tcp: Option<u16>,
    exec: Option<Vec<String>>,
    #[serde(default, deserialize_with = "status")]
    status: Option<(u16, u16)>,
    body: Option<String>,
    host: Option<String>,
    #[serde(default, deserialize_with = "bytes")]
    send: Option<Vec<u8>>,
    #[serde(default, deserialize_with = "bytes")]
    expect: Option<Vec<u8>>,
    period: Option<Span<100, 3_600_000>>,
    timeout: Option<Span<10, 60_000>>,
    initial_delay: Option<Span<0, 3_600_000>>,
    failure_threshold: Option<u32>,
    success_threshold: Option<u32>,
}

impl Probe {
    /// For the core.
    pub(crate) fn core(&self) -> ProbeWords {
        let it = self.clone();
        ProbeWords {
            off: it.off.filter(|off| *off),
            http: it.http,
            tcp: it.tcp,
            exec: it.exec,
            status: it.status,
            body: it.body,
            host: it.host,
            send: it.send,
            expect: it.expect,
            period: it.period.map(Span::get),
            timeout: it.timeout.map(Span::get),
            initial_delay: it.initial_delay.map(Span::get),
            failure_threshold: it.failure_threshold,
            success_threshold: it.success_threshold,
        }
    }

    /// What no single value shows, in words.
    pub(crate) fn check(&self, kind: ProbeKind) -> Result<(), String> {
        self.core().check(kind)
    }
}

fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl Fn(&str) -> Option<T>,
    wanted: &str,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match read(&text) {
        Some(value) => Ok(Some(value)),
        None => Err(D::Error::custom(format!("`{text}` is not understood; write {wanted}"))),
    }
}

fn http<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HttpAt>, D::Error> {
    text(deserializer, read_http, "a port and a path such as \":8080/healthz\"")
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    text(deserializer, read_port, "a port such as \":6379\"")
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(u16, u16)>, D::Error> {
    text(deserializer, read_status, "a status or a range such as \"200-399\"")
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let wanted = "a text, in single quotes, with \\r \\n \\t \\0 \\\\ \\x00";
    text(deserializer, read_bytes, wanted)
}
