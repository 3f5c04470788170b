//! Errors of engine calls, as core values and as text with the cure.
//!
//! Contract, important for a call that changes something: [`EngineError::Unreachable`] means that the request never reached the
//! engine; `Deadline` and `BadAnswer` leave open whether it was carried out.

use bollard::errors::Error;
use std::io;
use std::path::{Path, PathBuf};
use watchtree_core::container::io::EngineError;

/// Longest text of the engine that is passed on, in bytes.
const MESSAGE_BYTES_MAX: usize = 512;

/// Why the engine's socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketTrouble {
    /// Only a person can mend this.
    #[error(
        "no rights on {}: run this as root or as a member of the group that owns the socket (usually `docker`)",
        .0.display()
    )]
    NoRights(PathBuf),
    /// Waiting may mend this.
    #[error("no engine at {}: start it (`systemctl start docker`) or correct the socket path", .0.display())]
    NoEngine(PathBuf),
    /// Anything else.
    #[error("cannot connect to {}: {error}", .socket.display())]
    Other {
        /// Which socket.
        socket: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

impl SocketTrouble {
    /// Sorts the error of a connect.
    pub(crate) fn of(socket: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::NoRights(socket.to_owned()),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NoEngine(socket.to_owned()),
            _ => Self::Other {
                socket: socket.to_owned(),
                error,
            },
        }
    }
}

/// The core's word for a failed call about container `id` (empty where none is meant).
pub(crate) fn engine_error(socket: &Path, id: &str, error: Error) -> EngineError {
    match error {
        // A 404 about something else (the container whose network this one joins) is a refusal.
        Error::DockerResponseServerError {
            status_code: 404,
            message,
        } if !id.is_empty() && message.contains(id) => EngineError::NotFound,
        Error::DockerResponseServerError { status_code, message } => EngineError::Refused {
            status: status_code,
            message: cut(&message, MESSAGE_BYTES_MAX),
        },
        Error::RequestTimeoutError => EngineError::Deadline,
        Error::IOError { err } => EngineError::Unreachable(SocketTrouble::of(socket, err).to_string()),
        Error::HyperResponseError { err } => EngineError::BadAnswer(cut(
            &format!("the connection ended before the answer: {err}"),
            MESSAGE_BYTES_MAX,
        )),
        other => EngineError::BadAnswer(cut(&other.to_string(), MESSAGE_BYTES_MAX)),
    }
}

/// The start of `text`, at most `bytes_max` long, cut at a character's border.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_and_absence_are_told_apart() {
        let socket = Path::new("/run/docker.sock");
        let text = |kind| SocketTrouble::of(socket, io::Error::from(kind)).to_string();
        assert!(text(io::ErrorKind::PermissionDenied).starts_with("no rights on /run/docker.sock: run this as root"));
        assert!(text(io::ErrorKind::NotFound).starts_with("no engine at /run/docker.sock: start it"));
        assert!(text(io::ErrorKind::ConnectionRefused).starts_with("no engine at"));
    }

    #[test]
    fn a_404_about_another_container_is_a_refusal() {
        let refused = |message: &str| Error::DockerResponseServerError {
            status_code: 404,
            message: message.to_owned(),
        };
        let socket = Path::new("/s");
        assert_eq!(
            engine_error(socket, "abc", refused("No such container: abc")),
            EngineError::NotFound
        );
        assert!(matches!(
            engine_error(socket, "abc", refused("No such container: def")),
            EngineError::Refused { status: 404, .. }
        ));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("abc", 9), "abc");
    }
}
