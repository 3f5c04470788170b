//! Configuration values that are checked while they are read: durations, paths, addresses, labels, URLs.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A duration between `MIN` and `MAX` milliseconds, written `500ms`, `30s`, `10m`, `2h` or `7d`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Span<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> Span<MIN, MAX> {
    /// A default; the tests of the samples check that it lies between the limits.
    pub(crate) const fn millis(millis: u64) -> Self {
        assert!(MIN <= millis && millis <= MAX, "the default lies between the limits");
        Self(Duration::from_millis(millis))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Span<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("a duration such as \"500ms\", \"30s\" or \"10m\""))?;
        let millis = parse_millis(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no duration; write one such as \"500ms\", \"30s\", \"10m\", \"2h\""
            ))
        })?;
        if (MIN..=MAX).contains(&millis) {
            return Ok(Self(Duration::from_millis(millis)));
        }
        let (least, most) = (show_millis(MIN), show_millis(MAX));
        Err(D::Error::custom(format!(
            "`{text}` is out of bounds; give a duration from {least} to {most}"
        )))
    }
}

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// `30s` → 30000. One whole number and one unit.
fn parse_millis(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The largest unit that divides it: 90000 → `90s`.
pub(crate) fn show_millis(millis: u64) -> String {
    let (unit, factor) = UNITS
        .into_iter()
        .rev()
        .find(|(_, factor)| millis.is_multiple_of(*factor))
        .unwrap_or(("ms", 1));
    if millis == 0 {
        "0s".to_string()
    } else {
        format!("{}{unit}", millis / factor)
    }
}

/// An absolute path without `..`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct AbsPath(PathBuf);

impl AbsPath {
    /// Longest path, in bytes.
    pub const BYTES_MAX: usize = 1024;

    pub(crate) fn fixed(path: &str) -> Self {
        Self(PathBuf::from(path))
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl<'de> Deserialize<'de> for AbsPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("an absolute path"))?;
        let path = PathBuf::from(&text);
        if !path.is_absolute() {
            return Err(D::Error::custom(format!(
                "`{text}` is no absolute path; begin it with /"
            )));
        }
        if path.components().any(|part| part == std::path::Component::ParentDir) || text.contains('\0') {
            return Err(D::Error::custom(format!(
                "`{text}` goes up with `..`; write the path out"
            )));
        }
        if Self::BYTES_MAX < text.len() {
            return Err(D::Error::custom(format!(
                "this path is too long; at most {} bytes",
                Self::BYTES_MAX
            )));
        }
        Ok(Self(path))
    }
}

/// A host (name or address) and a port: `192.0.2.10:7411`, `manager.example.org:7411`, `[2001:db8::1]:7411`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    pub(crate) fn any_address(port: u16) -> Self {
        Self {
            host: "0.0.0.0".to_string(),
            port,
        }
    }

    /// Name or address, an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `tcp://HOST:PORT`
    pub fn endpoint(&self) -> String {
        format!("tcp://{self}")
    }

    /// True for 127.0.0.0/8, `::1` and `localhost`.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let good = if bracketed {
            host[1..host.len() - 1].parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty()
                && host.len() <= 253
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_*".contains(&b))
        };
        good.then(|| Self {
            host: host.to_string(),
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("HOST:PORT"))?;
        let cure = "write one such as \"192.0.2.10:7411\", \"manager.example.org:7411\" or \"[2001:db8::1]:7411\"";
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not HOST:PORT; {cure}")))
    }
}

/// A label that a container must have: `key`, or `key=value`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Label(String);

impl Label {
    /// As the engine's `label` filter wants it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its key.
    pub fn key(&self) -> &str {
        self.0.split_once('=').map_or(&self.0, |(key, _)| key)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("a label: \"key\" or \"key=value\""))?;
        let key = text.split('=').next().unwrap_or_default();
        if key.is_empty() || 512 < text.len() || text.chars().any(char::is_control) {
            return Err(D::Error::custom(format!(
                "`{text}` is no label; write \"key\" or \"key=value\""
            )));
        }
        Ok(Self(text))
    }
}

/// An `http://` or `https://` URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Url(String);

impl Url {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Text("a URL"))?;
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && text.len() <= 2048
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format!(
                "`{text}` is no URL; begin it with http:// or https://"
            )))
        }
    }
}

/// Takes a string and names what it should have been where it is none.
struct Text(&'static str);

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_one_number_and_one_unit() {
        let cases = [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("10m", Some(600_000)),
            ("2h", Some(7_200_000)),
            ("7d", Some(604_800_000)),
            ("5 s", Some(5000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_millis(text), millis, "{text}");
        }
        assert_eq!(show_millis(90_000), "90s");
        assert_eq!(show_millis(0), "0s");
        assert_eq!(show_millis(86_400_000), "1d");
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in [
            "192.0.2.10:7411",
            "manager.example.org:7411",
            "[2001:db8::1]:7411",
            "localhost:1",
        ] {
            assert_eq!(HostPort::parse(good).map(|a| a.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "",
            "host",
            "host:",
            ":7411",
            "host:0",
            "host:70000",
            "2001:db8::1:7411",
            "[x]:1",
            "a b:1",
        ] {
            assert_eq!(HostPort::parse(bad), None, "{bad}");
        }
        assert!(HostPort::parse("[::1]:80").is_some_and(|address| address.is_loopback()));
        assert!(!HostPort::parse("192.0.2.1:80").is_some_and(|address| address.is_loopback()));
    }
}
