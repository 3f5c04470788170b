//! Which build of a program a file is.
//!
//! Contract: identified by the file's inode, size and time of change. Reading a program of many megabytes at every start would
//! cost more than it is worth; an equal build that was reinstalled counts as another one, which only means that a child is replaced
//! once more, between repairs.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use watchtree_core::hash::{FNV1A_BASIS, fnv1a};

/// `VERSION+xxxxxxxx` for the program in that file. Symbolic links are followed.
///
/// # Errors
/// The file cannot be looked at.
pub fn version_of(program: &Path, version: &str) -> io::Result<String> {
    let meta = std::fs::metadata(program)?;
    let parts = [
        meta.ino(),
        meta.size(),
        meta.mtime().cast_unsigned(),
        meta.mtime_nsec().cast_unsigned(),
    ];
    let hash = parts
        .iter()
        .fold(FNV1A_BASIS, |hash, part| fnv1a(hash, &part.to_le_bytes()));
    Ok(format!("{version}+{:08x}", (hash ^ (hash >> 32)) as u32))
}

/// The same of the program this process runs, also after its file was replaced.
///
/// # Errors
/// `/proc` is not there.
pub fn own_version(version: &str) -> io::Result<String> {
    version_of(Path::new("/proc/self/exe"), version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_is_another_build() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let program = dir.path().join("program");
        std::fs::write(&program, "one").expect("it can be written");
        let one = version_of(&program, "1.2.3").expect("it is there");
        assert!(one.starts_with("1.2.3+") && one.len() == 14, "{one}");
        assert_eq!(version_of(&program, "1.2.3").ok(), Some(one.clone()));
        std::fs::write(dir.path().join("new"), "two!").expect("it can be written");
        std::fs::rename(dir.path().join("new"), &program).expect("it can be replaced");
        assert_ne!(version_of(&program, "1.2.3").ok(), Some(one));
        assert_eq!(
            own_version("1").ok(),
            std::env::current_exe().ok().and_then(|exe| version_of(&exe, "1").ok())
        );
    }
}
