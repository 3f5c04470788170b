//! The identity of this machine, this boot and this daemon.
//!
//! Contract: a daemon keeps its own part in its state folder, file `identity`: the node id, made once, and the epoch, greater at
//! each start. A wiped folder gives a new node id, which the parent sees. Epochs are never behind the wall clock: decision records
//! are named by node name and epoch, and a fresh folder must not overwrite those of the one before. On a full disk the epoch is
//! written over its old digits in place, which needs no new block.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use watchtree_core::id::{AgentEpoch, BootId, MachineId, NodeId};

/// This boot of the machine.
///
/// # Errors
/// `/proc` is not there.
pub fn boot_id() -> io::Result<BootId> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    hex16(&text)
        .map(BootId)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "boot_id is no uuid"))
}

/// This installation: `/etc/machine-id`; all zero where there is none (some containers).
pub fn machine_id() -> MachineId {
    let text = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    MachineId(hex16(&text).unwrap_or_default())
}

/// 32 hex digits, dashes allowed.
fn hex16(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.trim().bytes().filter(|byte| *byte != b'-').collect();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let text = std::str::from_utf8(&digits).ok()?;
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// 16 bytes that nobody else has, from the kernel.
///
/// # Errors
/// `/dev/urandom` is not there.
pub fn random16() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A daemon's start: who it is and which start this is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Life {
    /// Made once.
    pub node_id: NodeId,
    /// This start.
    pub epoch: AgentEpoch,
    /// Why the state folder could not be trusted or written, in words with the cure; the daemon runs all the same.
    pub degraded: Option<String>,
    /// False while the state folder does not know of this life; see [`save_life`].
    pub saved: bool,
}

/// Begins a life in that state folder (made if it is missing, mode 0700): reads the identity, counts the epoch up and
/// writes it down. Never fails: a folder that cannot be used gives a life that is only remembered in memory, and says so.
pub fn begin_life(folder: &Path) -> Life {
    let file = folder.join("identity");
    let made = make_folder(folder);
    let (node_id, last, remark) = match read_identity(&file) {
        Ok(Some((node_id, epoch))) => (node_id, epoch, None),
        Ok(None) => (fresh_id(), 0, None),
        Err(error) => (
            fresh_id(),
            0,
            Some(format!(
                "{} cannot be used ({error}); made a new node id",
                file.display()
            )),
        ),
    };
    // Later than a start that is written down, and by the clock than one that could not be: with a lower number than that one's
    // this start would be taken for an earlier one. Ahead by one of an unwritten start in this very second.
    let begun = last.max(seconds_since_1970()).saturating_add(1);
    let next = begun.saturating_add(1);
    let written = made.and_then(|()| write_identity(&file, node_id, next));
    match written {
        Ok(()) => Life {
            node_id,
            epoch: AgentEpoch(next),
            degraded: remark,
            saved: true,
        },
        Err(error) => Life {
            node_id,
            epoch: AgentEpoch(begun),
            degraded: Some(format!(
                "{} cannot be written ({error}); going on from memory, make room or give rights",
                file.display()
            )),
            saved: false,
        },
    }
}

/// Writes down a life that could not be written at its start, once there is room again. Nothing to do for one that was.
///
/// # Errors
/// The kernel's: still no room, or no rights.
pub fn save_life(folder: &Path, life: &mut Life) -> io::Result<()> {
    if !life.saved {
        make_folder(folder)?;
        write_identity(&folder.join("identity"), life.node_id, life.epoch.0)?;
        life.saved = true;
    }
    Ok(())
}

/// Tries [`save_life`] that far apart until it works: a full disk is waited out. Ends at once for a life that is saved.
/// Why it does not work is in [`Life::degraded`] since the start.
pub async fn save_life_later(folder: &Path, mut life: Life, every: Duration) {
    while save_life(folder, &mut life).is_err() {
        tokio::time::sleep(every).await;
    }
}

fn write_identity(file: &Path, node_id: NodeId, epoch: u64) -> io::Result<()> {
    let text = identity_text(node_id, epoch);
    // In place only where the first way fails, and then the first error is the one that tells.
    write_atomic(file, text.as_bytes()).or_else(|error| write_in_place(file, &text).map_err(|_| error))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn fresh_id() -> NodeId {
    NodeId(random16().unwrap_or_default())
}

fn seconds_since_1970() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |age| age.as_secs())
}

/// Always the same length, so that it can be written in place.
fn identity_text(node_id: NodeId, epoch: u64) -> String {
    format!("node_id={node_id}\nepoch={epoch:020}\n")
}

fn read_identity(file: &Path) -> io::Result<Option<(NodeId, u64)>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let node_id = value("node_id").and_then(hex16).map(NodeId);
    let epoch = value("epoch").and_then(|digits| digits.parse().ok());
    match node_id.zip(epoch) {
        Some(both) => Ok(Some(both)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged")),
    }
}

/// Writes a whole file or nothing: a file beside it, synced, then renamed over it (mode 0600).
///
/// # Errors
/// The kernel's; the old content is still there then.
pub fn write_atomic(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(file);
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut new = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        new.write_all(bytes)?;
        new.sync_all()?;
        std::fs::rename(&beside, file)
    })();
    if written.is_err() {
        // Best effort: the half-written file is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
    }
    written?;
    if let Some(folder) = file.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    file.with_file_name(name)
}

fn write_in_place(file: &Path, text: &str) -> io::Result<()> {
    let old = OpenOptions::new().write(true).open(file)?;
    if old.metadata()?.len() != text.len() as u64 {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "no room for it"));
    }
    old.write_all_at(text.as_bytes(), 0)?;
    old.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_one_more_and_a_wiped_folder_is_another_node() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let folder = dir.path().join("state/host");
        let wall = seconds_since_1970();
        let first = begin_life(&folder);
        let second = begin_life(&folder);
        assert!(wall < first.epoch.0, "not behind the wall clock");
        assert!(first.epoch < second.epoch);
        assert_eq!(first.node_id, second.node_id);
        assert_eq!(second.degraded, None);
        std::fs::remove_dir_all(&folder).expect("it can be wiped");
        let third = begin_life(&folder);
        assert!(
            wall <= third.epoch.0,
            "its records do not write over those of the lives before"
        );
        assert_ne!(third.node_id, first.node_id);
        std::fs::write(folder.join("identity"), "garbage").expect("it can be damaged");
        let fourth = begin_life(&folder);
        assert!(fourth.degraded.is_some_and(|why| why.contains("it is damaged")));
        assert_eq!(begin_life(&folder).node_id, fourth.node_id);
    }

    #[test]
    fn a_full_disk_and_no_folder_at_all_end_nobody() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let life = begin_life(&dir.path().join("ok"));
        let file = dir.path().join("ok/identity");
        let far = life.epoch.0 + 1_000_000;
        write_in_place(&file, &identity_text(life.node_id, far)).expect("the old blocks are there");
        assert!(far < begin_life(&dir.path().join("ok")).epoch.0);
        std::fs::write(dir.path().join("file"), "").expect("it can be written");
        let life = begin_life(&dir.path().join("file/under"));
        assert!(life.degraded.is_some());
        assert!(life.epoch.0 > 1_600_000_000, "unlike any counted one");
        let mut life = life;
        assert!(save_life(&dir.path().join("file/under"), &mut life).is_err());
        std::fs::remove_file(dir.path().join("file")).expect("it can be removed");
        save_life(&dir.path().join("file/under"), &mut life).expect("there is room now");
        let next = begin_life(&dir.path().join("file/under"));
        assert!(next.node_id == life.node_id && life.epoch < next.epoch);
    }

    #[test]
    fn a_start_after_one_that_could_not_be_written_down_is_a_later_one() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let first = begin_life(dir.path());
        // Neither beside the file nor over its old blocks.
        let (file, blocked) = (dir.path().join("identity"), dir.path().join("identity.new"));
        std::fs::write(&file, format!("node_id={}\nepoch={}\n", first.node_id, first.epoch.0)).expect("there is room");
        std::fs::create_dir(&blocked).expect("there is room");
        let unsaved = begin_life(dir.path());
        assert!(!unsaved.saved && first.epoch < unsaved.epoch, "{unsaved:?}");
        std::fs::remove_dir(&blocked).expect("it is empty");
        let next = begin_life(dir.path());
        assert!(next.saved && unsaved.epoch < next.epoch, "{unsaved:?} {next:?}");
        assert_eq!(first.node_id, next.node_id);
    }

    #[test]
    fn ids_are_read() {
        assert_eq!(hex16("0123456789abcdef0123456789abcdef\n").map(|id| id[0]), Some(0x01));
        assert_eq!(hex16("a-b"), None);
        assert_ne!(boot_id().expect("Linux has one"), BootId::default());
    }
}
