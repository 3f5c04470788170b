//! Reports when systemd begins to shut the machine down, at that moment and before any unit is stopped.
//!
//! PID 1 announces every job to whoever is connected to its private socket (root only), in D-Bus messages. Every kind of shutdown
//! (poweroff, reboot, halt, kexec, soft-reboot) has a job for `shutdown.target`. A scheduled shutdown that may still be cancelled has
//! none, so it is not reported. Costs nothing while nothing happens. Knows only the framing of D-Bus messages.

use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// PID 1's private socket.
pub const PRIVATE_SOCKET: &str = "/run/systemd/private";

/// Longest message that is read whole; of longer ones (none of those that matter) the rest is thrown away.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Pause before connecting again when PID 1 closed the socket (`daemon-reexec`) or did not accept us.
const AGAIN: Duration = Duration::from_secs(2);
/// Time for PID 1 to accept us.
const GREETING_WITHIN: Duration = Duration::from_secs(5);

/// Why shutdowns cannot be told here.
#[derive(Debug, thiserror::Error)]
pub enum NoWatch {
    /// The machine is not run by systemd.
    #[error("this machine is not run by systemd: a shutdown is only seen when this daemon is asked to stop")]
    NoSystemd,
    /// The socket is there but not for us.
    #[error("no right to {PRIVATE_SOCKET}: a shutdown is only seen when this daemon is asked to stop; run as root")]
    NoRights,
}

/// Waits until the machine goes down. Returns early only if that can never be told here.
///
/// # Errors
/// [`NoWatch`].
pub async fn wait() -> Result<(), NoWatch> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(NoWatch::NoSystemd);
    }
    wait_at(Path::new(PRIVATE_SOCKET)).await
}

async fn wait_at(socket: &Path) -> Result<(), NoWatch> {
    loop {
        match listen(socket).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(NoWatch::NoRights),
            // Closed, or not there for a moment: PID 1 executes itself anew. Anything else looks the same from here.
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Ends well when the job was announced.
async fn listen(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    tokio::time::timeout(GREETING_WITHIN, greet(&mut stream))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    loop {
        let message = read_message(&mut stream).await?;
        if contains(&message, b"JobNew\0") && contains(&message, b"shutdown.target\0") {
            return Ok(());
        }
    }
}

async fn greet(stream: &mut UnixStream) -> io::Result<()> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
    stream
        .write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())
        .await?;
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await?);
        if 256 < line.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    if !line.starts_with(b"OK ") {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.write_all(b"BEGIN\r\n").await
}

/// One message: 16 bytes with the byte order and both lengths, the header's fields padded to 8, the body.
async fn read_message(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let number = |at: usize| {
        let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        let number = if head[0] == b'l' {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        };
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    if !matches!(head[0], b'l' | b'B') {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let rest = number(12).next_multiple_of(8).saturating_add(number(4));
    // The specification's own limit; beyond it we have lost the frame.
    if 128 * 1024 * 1024 < rest {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; rest.min(MESSAGE_BYTES_MAX)];
    stream.read_exact(&mut message).await?;
    let mut left = rest - message.len();
    let mut waste = [0; 4096];
    while 0 < left {
        let part = left.min(waste.len());
        left -= stream.read_exact(&mut waste[..part]).await?;
    }
    Ok(message)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::net::UnixListener;

    /// A signal `JobNew` about that unit as PID 1 frames it (only the lengths and the words matter here).
    fn job_new(unit: &str) -> Vec<u8> {
        let fields = b"\x01\x01o\0\x19\0\0\0/org/freedesktop/systemd1\0\0\0\0\0\0\0\x03\x01s\0\x06\0\0\0JobNew\0";
        let mut body = vec![7, 0, 0, 0];
        body.extend_from_slice(&u32::try_from(unit.len()).expect("it is short").to_le_bytes());
        body.extend_from_slice(unit.as_bytes());
        body.push(0);
        let mut message = vec![b'l', 4, 1, 1];
        message.extend_from_slice(&u32::try_from(body.len()).expect("it is short").to_le_bytes());
        message.extend_from_slice(&[1, 0, 0, 0]);
        message.extend_from_slice(&u32::try_from(fields.len()).expect("it is short").to_le_bytes());
        message.extend_from_slice(fields);
        message.resize(message.len().next_multiple_of(8), 0);
        message.extend_from_slice(&body);
        message
    }

    async fn greeted(listener: &UnixListener) -> BufReader<UnixStream> {
        let (stream, _) = listener.accept().await.expect("somebody comes");
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("it greets");
        assert!(line.starts_with("\0AUTH EXTERNAL "), "{line:?}");
        stream.get_mut().write_all(b"OK 0123\r\n").await.expect("it listens");
        line.clear();
        stream.read_line(&mut line).await.expect("it begins");
        assert_eq!(line, "BEGIN\r\n");
        stream
    }

    #[tokio::test]
    async fn the_way_down_is_told_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let socket = dir.path().join("private");
        let listener = UnixListener::bind(&socket).expect("it can be bound");
        let waiting = tokio::spawn(async move { wait_at(&socket).await });
        let mut stream = greeted(&listener).await;
        stream
            .get_mut()
            .write_all(&job_new("docker.service"))
            .await
            .expect("it listens");
        let mut long = job_new("x");
        long[4..8].copy_from_slice(&200_000_u32.to_le_bytes());
        long.resize(long.len() - 10 + 200_000, 0);
        stream
            .get_mut()
            .write_all(&long)
            .await
            .expect("a long message is passed over");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished(), "a unit's job is no shutdown");
        // PID 1 executes itself anew: we come back.
        drop(stream);
        let mut stream = greeted(&listener).await;
        stream
            .get_mut()
            .write_all(&job_new("shutdown.target"))
            .await
            .expect("it listens");
        let told = tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .expect("at once");
        told.expect("it does not panic").expect("it goes down");
    }
}
