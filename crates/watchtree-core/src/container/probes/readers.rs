//! How the values of a probe are written in labels and in the configuration, and read. Knows no probe.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// `:8080/healthz`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpAt {
    /// Where it listens.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

pub(super) fn read_off(text: &str) -> Option<bool> {
    let words = ["off", "false", "no", "0"];
    words
        .iter()
        .any(|word| text.trim().eq_ignore_ascii_case(word))
        .then_some(true)
}

/// `:8080/healthz`, `8080`
pub fn read_http(text: &str) -> Option<HttpAt> {
    let text = text.trim();
    let end = text.find('/').unwrap_or(text.len());
    let (port, path) = text.split_at(end);
    let path = if path.is_empty() { "/" } else { path };
    Some(HttpAt {
        port: read_port(port)?,
        path: path.to_string(),
    })
}

/// `:6379`, `6379`
pub fn read_port(text: &str) -> Option<u16> {
    let text = text.trim();
    let port = text.strip_prefix(':').unwrap_or(text);
    let is_number = port.bytes().all(|it| it.is_ascii_digit());
    port.parse().ok().filter(|port| is_number && *port != 0)
}

/// `200-399`, `204`
pub fn read_status(text: &str) -> Option<(u16, u16)> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    Some((least.trim().parse().ok()?, most.trim().parse().ok()?))
}

pub(super) fn read_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

pub(super) fn read_count(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}

/// With the escapes of a shell's `$'…'` that have one meaning.
pub fn read_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'\\' => b'\\',
                b'x' => {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                    u8::try_from(high * 16 + low).ok()?
                }
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(bytes)
}

/// The exec form of a Dockerfile, or words without anything that a shell would read.
pub(super) fn read_argv(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('[') {
        return read_array(inner.strip_suffix(']')?);
    }
    let is_plain = !text.contains(['"', '\'', '\\', '$', '`', '|', '&', ';', '<', '>', '*', '(', ')']);
    let words = text.split_ascii_whitespace().map(ToString::to_string);
    Some(words.collect()).filter(|argv: &Vec<String>| is_plain && !argv.is_empty())
}

/// `"a", "b"`: strings as in JSON.
fn read_array(text: &str) -> Option<Vec<String>> {
    let (mut strings, mut rest) = (Vec::new(), text.trim());
    loop {
        let (string, left) = read_string(rest)?;
        strings.push(string);
        match left.trim_start() {
            "" => return Some(strings),
            left => rest = left.strip_prefix(',')?.trim_start(),
        }
    }
}

/// A string in quotes at the beginning of that text, and what follows it.
fn read_string(text: &str) -> Option<(String, &str)> {
    let mut string = String::new();
    let mut chars = text.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => return Some((string, chars.as_str())),
            '\\' => string.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                it @ ('"' | '\\' | '/') => it,
                'u' => {
                    let digits = chars.as_str().get(..4)?;
                    chars = chars.as_str().get(4..)?.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                _ => return None,
            }),
            it => string.push(it),
        }
    }
}

#[cfg(test)]
mod tests {
    //! What is a command, and what is none.
    use super::*;

    #[test]
    fn a_command_is_an_array_or_plain_words() {
        let argv = |text: &str| read_argv(text);
        let words = |words: &[&str]| Some(words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(argv("/bin/check  x"), words(&["/bin/check", "x"]));
        assert_eq!(
            argv(r#"["/bin/sh", "-c","a \"b\" \\ \u00e4"]"#),
            words(&["/bin/sh", "-c", "a \"b\" \\ ä"])
        );
        assert_eq!(argv(r#"[ "a" ]"#), words(&["a"]));
        for bad in [
            "",
            "[]",
            "[a]",
            r#"["a" "b"]"#,
            r#"["a",]"#,
            r#"["a"#,
            "curl x | grep y",
            "sh -c 'x'",
            r#"["\q"]"#,
        ] {
            assert_eq!(argv(bad), None, "{bad}");
        }
    }
}
