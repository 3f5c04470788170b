//! The files of captures in the state folder: one for each, readable by their owner alone, so many and so many bytes in all; the oldest go
//! first. They hold lines of logs, and so whatever programs write there. Blocks; does not know what is in them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Most files.
const FILES_MAX: usize = 200;
/// Most bytes in all.
const BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How each is called at its end.
const SUFFIX: &str = ".txt";

/// See the file's head.
#[derive(Clone, Debug)]
pub(crate) struct CaptureFiles {
    folder: PathBuf,
    files_max: usize,
    bytes_max: u64,
}

impl CaptureFiles {
    /// In that state folder.
    pub(crate) fn new(state_folder: &Path) -> Self {
        Self {
            folder: state_folder.join("captures"),
            files_max: FILES_MAX,
            bytes_max: BYTES_MAX,
        }
    }

    /// Keeps a capture of a container, taken at that wall time in ms. Returns the name of its file.
    ///
    /// # Errors
    /// In words, with the path.
    pub(crate) fn keep(&self, wall_millis: u64, id: &str, text: &str) -> Result<String, String> {
        // In the order of their names they are in that of time.
        let name = format!("{wall_millis:013}-{}{SUFFIX}", id.get(..12).unwrap_or(id));
        let kept = self.make_room(text.len() as u64).and_then(|()| self.write(&name, text));
        kept.map_err(|error| format!("{}: {error}", self.folder.display()))?;
        Ok(name)
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        let written = write_all(&mut file, text);
        if written.is_err() {
            // A half one tells less than none, and takes room that there is not.
            let _ = std::fs::remove_file(&path);
        }
        written
    }

    /// Deletes the oldest until there is room for one more.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.ends_with(SUFFIX)) {
                files.push((name, entry.metadata().map_or(0, |it| it.len())));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let mut left = files.len();
        for (name, size) in files {
            if left < self.files_max && total + bytes <= self.bytes_max {
                break;
            }
            std::fs::remove_file(self.folder.join(name))?;
            (left, total) = (left - 1, total - size);
        }
        Ok(())
    }
}

fn write_all(file: &mut File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.flush()
}

#[cfg(test)]
mod tests {
    //! What is kept, how it may be read, and what makes room.
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn names(files: &CaptureFiles) -> Vec<String> {
        let entries = std::fs::read_dir(&files.folder).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_make_room_and_nobody_else_may_read() {
        let state = tempfile::tempdir().expect("a folder");
        let files = CaptureFiles {
            files_max: 3,
            bytes_max: 25,
            ..CaptureFiles::new(state.path())
        };
        let id = "5f1c2d3e4f5a6b7c8d9e";
        for at in 1..=5 {
            let name = files.keep(at, id, "0123456").expect("there is room");
            let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
            assert_eq!(mode(&files.folder.join(name)), 0o600);
            assert_eq!(mode(&files.folder), 0o700);
        }
        let of = |at: u64| format!("{at:013}-5f1c2d3e4f5a.txt");
        assert_eq!(names(&files), [of(3), of(4), of(5)]);
        files.keep(6, id, "0123456789 123456789").expect("there is room");
        assert_eq!(names(&files), [of(6)], "so many bytes in all");
        std::fs::write(files.folder.join("notes"), "of somebody").expect("a file");
        files.keep(7, id, "").expect("there is room");
        assert!(names(&files).contains(&"notes".to_owned()), "what is not ours stays");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let state = tempfile::tempdir().expect("a folder");
        std::fs::write(state.path().join("captures"), "a file").expect("a file");
        let error = CaptureFiles::new(state.path())
            .keep(1, "c1", "x")
            .expect_err("no folder");
        assert!(error.contains("captures: "), "{error}");
    }
}
