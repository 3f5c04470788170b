//! Who is who: nodes of the tree and their lives.
//!
//! A node's *name* is given by whoever enrols its key; everything it says of itself besides is a claim, checked against
//! that name. The other four tell a restart, a reboot, a reinstall and a clone apart.

use crate::words::words;
use alloc::string::{String, ToString};
use core::fmt;

/// Longest name of a node and longest segment of a subject, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameError {
    /// It is empty.
    Empty,
    /// It is longer than [`NAME_BYTES_MAX`].
    TooLong,
    /// It has a byte other than `A-Z a-z 0-9 . _ - @`, or (in a subject) an empty segment.
    BadByte(u8),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name must not be empty"),
            Self::TooLong => write!(f, "a name has at most {NAME_BYTES_MAX} bytes"),
            Self::BadByte(byte) => {
                write!(
                    f,
                    "a name consists of A-Z a-z 0-9 . _ - @, not of {:?}",
                    char::from(*byte)
                )
            }
        }
    }
}

impl core::error::Error for NameError {}

/// Checks one name (or one segment of a subject).
pub(crate) fn check_name(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if NAME_BYTES_MAX < text.len() {
        return Err(NameError::TooLong);
    }
    match text
        .bytes()
        .find(|byte| !(byte.is_ascii_alphanumeric() || b"._-@".contains(byte)))
    {
        Some(byte) => Err(NameError::BadByte(byte)),
        None => Ok(()),
    }
}

/// The name of a node: unique in the tree, given at enrolment. A container-watchdog is named `HOST.ENGINE.watchdog`
/// by its host-watchdog, for example `h1.docker.watchdog`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// Checks the text.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        check_name(text)?;
        Ok(Self(text.to_string()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! id16 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

id16!(
    /// Made once by a node and kept in its state folder. Two nodes that show one name with two node ids are clones,
    /// or the folder was wiped.
    NodeId
);
id16!(
    /// `/etc/machine-id`: the installation.
    MachineId
);
id16!(
    /// `/proc/sys/kernel/random/boot_id`: one life of the kernel. A `Moment` means something only together with it.
    BootId
);

/// Which start of the daemon this is: kept in its state folder, one more at each start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct AgentEpoch(pub u64);

words! {
    /// The tier of a node.
    pub enum Tier {
        /// manager-watchdog
        Manager = "manager",
        /// relay-watchdog
        Relay = "relay",
        /// host-watchdog
        Host = "host",
        /// container-watchdog
        Container = "container",
        /// A service that speaks the protocol itself.
        Service = "service",
    }
}

/// Everything a node says of its own identity; sent in Hello.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeIdentity {
    /// Its name; must equal the name its key (or its ipc credentials) stand for.
    pub name: NodeName,
    /// What it is.
    pub tier: Tier,
    /// See [`NodeId`].
    pub node_id: NodeId,
    /// See [`MachineId`].
    pub machine_id: MachineId,
    /// See [`BootId`].
    pub boot_id: BootId,
    /// See [`AgentEpoch`].
    pub agent_epoch: AgentEpoch,
    /// Version of the program, for people and for "a child of another build".
    pub version: String,
}

#[cfg(test)]
mod tests {
    //! What is a name, and why another text is none.
    use super::*;

    #[test]
    fn a_text_that_is_no_name_is_refused_with_the_reason() {
        let longest = "a".repeat(NAME_BYTES_MAX);
        for text in ["h1", "H.1_2-3@4", longest.as_str()] {
            assert_eq!(NodeName::new(text).map(|name| name.to_string()), Ok(text.to_string()));
        }
        let too_long = "a".repeat(NAME_BYTES_MAX + 1);
        let cases = [
            ("", "a name must not be empty"),
            (&*too_long, "a name has at most 128 bytes"),
            ("a/b", "a name consists of A-Z a-z 0-9 . _ - @, not of '/'"),
        ];
        for (text, why) in cases {
            let error = NodeName::new(text).map_err(|error| error.to_string());
            assert_eq!(error, Err(why.to_string()));
        }
    }
}
