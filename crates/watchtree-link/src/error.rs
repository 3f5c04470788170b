//! Why a link cannot start: one line with place and cure, and an exit code.

/// A link cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The linked libzmq is not ours.
    #[error("{what}")]
    Library {
        /// What was linked.
        what: String,
    },
    /// An endpoint or path that cannot be used.
    #[error("{place}: {what}")]
    Address {
        /// The endpoint or path.
        place: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Somebody else listens there.
    #[error("{place}: taken: {what}")]
    Taken {
        /// The endpoint or path.
        place: String,
        /// By whom, and what to do.
        what: String,
    },
    /// This process may not.
    #[error("{place}: no rights: {what}")]
    Rights {
        /// The endpoint, path or folder.
        place: String,
        /// What is missing.
        what: String,
    },
    /// The system or libzmq refused something that should have worked.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: std::io::Error,
    },
}

impl LinkError {
    /// The exit code of a program that ends for this: 2 bad input, 6 no rights, 8 taken, 1 else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Address { .. } => 2,
            Self::Rights { .. } => 6,
            Self::Taken { .. } => 8,
            Self::Library { .. } | Self::System { .. } => 1,
        }
    }

    pub(crate) fn system(what: &'static str, source: impl Into<std::io::Error>) -> Self {
        Self::System {
            what,
            source: source.into(),
        }
    }

    pub(crate) fn zmq(what: &'static str) -> impl FnOnce(zmq::Error) -> Self {
        move |error| Self::System {
            what,
            source: std::io::Error::other(error.message()),
        }
    }
}
