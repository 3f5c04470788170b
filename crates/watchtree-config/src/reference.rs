//! What users read of the keys: the commented sample files, and docs/configuration.md. Written from [`keys`](crate::keys) and
//! nothing else; knows no parser.

use crate::keys::{HOST, Key, MANAGER, Shown};
use std::fmt::Write;

/// The commented sample file of those keys.
pub fn sample(intro: &str, keys: &[Key]) -> String {
    let mut text = String::new();
    for line in intro.lines() {
        let _ = writeln!(text, "# {line}");
    }
    let mut table = "";
    for key in keys {
        let _ = writeln!(text);
        if key.table != table {
            table = key.table;
            // A table of which all is an example would change the meaning by standing there empty.
            let all_examples = keys
                .iter()
                .filter(|k| k.table == table)
                .all(|k| matches!(k.shown, Shown::Example | Shown::Instead));
            let _ = writeln!(text, "{}{table}", if all_examples { "#" } else { "" });
        }
        wrap(&mut text, key.meaning);
        let mark = if key.shown == Shown::Required { "" } else { "#" };
        let _ = writeln!(text, "{mark}{} = {}", key.name, key.value);
    }
    text
}

fn wrap(text: &mut String, meaning: &str) {
    let mut width = 0;
    for word in meaning.split(' ') {
        if width == 0 || 116 < width + 1 + word.len() {
            text.push_str(if width == 0 { "# " } else { "\n# " });
            width = 2;
        } else {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += word.len();
    }
    text.push('\n');
}

/// The intro of `manager.toml`'s sample.
pub const MANAGER_INTRO: &str = "manager.toml: the manager-watchdog. Copy to /etc/watchtree/manager.toml.
Lines that begin with # and a key show its default, or an example where the text says so.
Check it with: manager-watchdog check-config /etc/watchtree/manager.toml";

/// The intro of `host.toml`'s sample.
pub const HOST_INTRO: &str =
    "host.toml: the host-watchdog and its container-watchdogs. Copy to /etc/watchtree/host.toml.
Lines that begin with # and a key show its default, or an example where the text says so.
Check it with: host-watchdog check-config /etc/watchtree/host.toml";

/// docs/configuration.md, whole.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n<!-- Made from crates/watchtree-config/src/keys.rs; `UPDATE_EXPECT=1 cargo test -p watchtree-config` writes it anew. -->\n\n\
        One TOML file per machine and role. `manager-watchdog check-config FILE`, `host-watchdog check-config FILE` and\n\
        `watchtree config check FILE` read a file and open nothing else. A mistake is one line with its place and cure, and\n\
        exit code 2; a file that may not be read is exit code 6:\n\n\
        ```text\n/etc/watchtree/host.toml:12:1: unknown key `budgett`; did you mean `budget`?\n```\n\n\
        Durations are a whole number with a unit: `500ms`, `30s`, `10m`, `2h`, `7d`. Paths are absolute. A file has at most\n\
        256 KiB. Labels of a container overrule `[[class]]`, and that `[heal]`; a bad label is named in the tree and the next\n\
        further word holds. `watchtree --local policy show SUBJECT` tells what is in force. The container-watchdogs of a host read the host's file.\n",
    );
    for (file, keys) in [("manager.toml", MANAGER), ("host.toml", HOST)] {
        let _ = writeln!(
            text,
            "\n## {file}\n\nCommented sample: [deploy/samples/{file}](../deploy/samples/{file})\n"
        );
        let _ = writeln!(text, "| table | key | value | meaning |\n|---|---|---|---|");
        for key in keys {
            let table = if key.table.is_empty() {
                String::new()
            } else {
                format!("`{}`", key.table)
            };
            let shown = match key.shown {
                Shown::Required => "required, e.g. ",
                Shown::Default => "",
                Shown::Example => "e.g. ",
                Shown::Instead => "or e.g. ",
            };
            let _ = writeln!(
                text,
                "| {table} | `{}` | {shown}`{}` | {} |",
                key.name, key.value, key.meaning
            );
        }
    }
    text
}
