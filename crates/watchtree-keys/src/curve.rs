//! CURVE key pairs: the identity of a node, and what encrypts its link.
//!
//! Contract: a secret is wiped from memory when dropped and never printed. Does not know who may connect.

#![expect(unsafe_code, reason = "libsodium is C")]

use crate::error::KeyError;
use crate::file::{self, Kind, Saved};
use crate::z85;
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// The public half of a CURVE key; printed as Z85.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct CurvePublic(pub [u8; 32]);

impl CurvePublic {
    /// Reads `NAME.pub`; several keys while one is being rotated.
    ///
    /// # Errors
    /// [`KeyError`]: not there, no key file, another kind.
    pub fn load(path: &Path) -> Result<Vec<Self>, KeyError> {
        Ok(file::read_public(path, Kind::Curve)?.into_iter().map(Self).collect())
    }
}

impl fmt::Display for CurvePublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&z85::encode(&self.0))
    }
}

impl fmt::Debug for CurvePublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CurvePublic({self})")
    }
}

/// A CURVE key pair. The secret is wiped when dropped and never printed.
#[derive(Clone)]
pub struct CurveKeys {
    public: CurvePublic,
    secret: Zeroizing<[u8; 32]>,
}

impl CurveKeys {
    /// A new random pair.
    ///
    /// # Errors
    /// [`KeyError::Random`] if the system has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self {
            public: public_of(&secret),
            secret,
        })
    }

    /// Reads `NAME.key`.
    ///
    /// # Errors
    /// [`KeyError`]: not there, open to others, no key file, another kind, halves that do not belong together.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let (public, secret) = file::read_secret(path, Kind::Curve)?;
        if public_of(&secret).0 != public {
            return Err(file::content(
                path,
                2,
                "the public key does not belong to the secret one; make a new pair".into(),
            ));
        }
        Ok(Self {
            public: CurvePublic(public),
            secret,
        })
    }

    /// Writes `DIR/NAME.key` (0600) and `DIR/NAME.pub`; overwrites nothing.
    ///
    /// # Errors
    /// [`KeyError`]: a file is there already, the name cannot be one, no rights.
    pub fn save(&self, dir: &Path, name: &str) -> Result<Saved, KeyError> {
        file::write_pair(dir, name, Kind::Curve, &self.public.0, &self.secret)
    }

    /// The half to give away.
    pub fn public(&self) -> CurvePublic {
        self.public
    }

    /// The half to keep: only for the socket.
    pub fn secret_bytes(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for CurveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CurveKeys({})", self.public)
    }
}

fn public_of(secret: &[u8; 32]) -> CurvePublic {
    let mut public = [0; 32];
    // SAFETY: both are 32 bytes, which is what the function reads and writes; it needs no initialisation.
    unsafe { libsodium_sys::crypto_scalarmult_base(public.as_mut_ptr(), secret.as_ptr()) };
    CurvePublic(public)
}
