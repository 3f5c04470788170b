//! The columns of the table: which engines there are here, and where their programs come from.

use crate::engine_truth::rig::Kind;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// One column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) engine: Engine,
}

/// What stands in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Engine {
    /// This machine's dockerd and containerd, beside the engine that runs here.
    Here { live_restore: bool },
    /// Those of another distribution.
    Root { live_restore: bool },
    /// Podman of that distribution.
    Podman,
}

/// All columns, in their order.
pub(super) const COLUMNS: [Column; 4] = [
    Column {
        name: "20.10",
        engine: Engine::Here { live_restore: false },
    },
    Column {
        name: "20.10-live-restore",
        engine: Engine::Here { live_restore: true },
    },
    Column {
        name: "26.1",
        engine: Engine::Root { live_restore: false },
    },
    Column {
        name: "podman",
        engine: Engine::Podman,
    },
];

/// Those of that name, or all.
///
/// # Errors
/// None is named so.
pub(super) fn columns(only: &[String]) -> Result<Vec<Column>> {
    let known = COLUMNS.map(|it| it.name).join(", ");
    if let Some(unknown) = only.iter().find(|name| COLUMNS.iter().all(|it| it.name != **name)) {
        bail!("no engine is named {unknown:?}; there are {known}");
    }
    let is_wanted = |it: &Column| only.is_empty() || only.iter().any(|name| name == it.name);
    Ok(COLUMNS.into_iter().filter(is_wanted).collect())
}

impl Engine {
    /// How it is started; or why it cannot be here.
    pub(super) fn kind(self, root: Option<&Path>) -> std::result::Result<Kind, String> {
        match self {
            Self::Here { live_restore } => Ok(Kind {
                live_restore,
                root: None,
            }),
            Self::Root { live_restore } => Ok(Kind {
                live_restore,
                root: Some(with(root, "usr/sbin/dockerd")?),
            }),
            Self::Podman => Ok(Kind {
                live_restore: false,
                root: Some(with(root, "usr/bin/podman")?),
            }),
        }
    }
}

fn with(root: Option<&Path>, program: &str) -> std::result::Result<PathBuf, String> {
    let root = root.ok_or("no --root with its programs was given")?;
    match root.join(program).exists() {
        true => Ok(root.to_owned()),
        false => Err(format!("{} has no {program}", root.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Engine, columns};

    #[test]
    fn columns_are_chosen_by_name_and_what_is_not_there_is_said() {
        assert_eq!(columns(&[]).expect("all").len(), COLUMNS.len());
        let chosen = columns(&["podman".to_owned()]).expect("one");
        assert_eq!(chosen.iter().map(|it| it.engine).collect::<Vec<_>>(), [Engine::Podman]);
        assert!(columns(&["27".to_owned()]).is_err());
        let folder = tempfile::tempdir().expect("a folder");
        let missing = Engine::Podman
            .kind(Some(folder.path()))
            .expect_err("no podman is there");
        assert!(missing.ends_with("has no usr/bin/podman"), "{missing}");
        assert!(Engine::Here { live_restore: true }.kind(None).is_ok());
    }
}
