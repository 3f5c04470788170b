//! The manual-stop flag of a container, the engine's own record that somebody stopped it: `HasBeenManuallyStopped` in its
//! `config.v2.json`.
//!
//! Not in the API; only root on the engine's machine can read it. Tried: true after stop and kill (a kill with HUP, too),
//! false after a start, a restart and a crash. Knows nothing of events.

use serde::Deserialize;
use std::io::Read;
use std::path::Path;

/// A larger file is not read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerFile {
    has_been_manually_stopped: bool,
}

/// `None` where it cannot be read: no rights, another machine, another engine, an id that is none.
pub(crate) fn read(root: &Path, id: &str) -> Option<bool> {
    if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let file = std::fs::File::open(root.join("containers").join(id).join("config.v2.json")).ok()?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice::<ContainerFile>(&text)
        .ok()
        .map(|file| file.has_been_manually_stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_read_or_is_unknown() {
        let root = tempfile::tempdir().expect("a folder");
        let id = "a".repeat(64);
        assert_eq!(read(root.path(), &id), None);
        let folder = root.path().join("containers").join(&id);
        std::fs::create_dir_all(&folder).expect("a folder");
        for (text, flag) in [
            (r#"{"ID":"x","HasBeenManuallyStopped":true}"#, Some(true)),
            (r#"{"HasBeenManuallyStopped":false,"Config":{}}"#, Some(false)),
            (r#"{"ID":"x"}"#, None),
            ("torn", None),
        ] {
            std::fs::write(folder.join("config.v2.json"), text).expect("a file");
            assert_eq!(read(root.path(), &id), flag, "{text}");
        }
        assert_eq!(read(root.path(), "../../etc"), None);
    }
}
