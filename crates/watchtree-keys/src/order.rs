//! ed25519 keys that sign orders, and what verifies them.
//!
//! Contract: signs and verifies exactly the bytes given. Does not know what an order is.

use crate::error::KeyError;
use crate::file::{self, Kind, Saved};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Untrusted {
    /// No trusted key has that id.
    #[error("signed by a key that is not trusted here")]
    UnknownKey,
    /// The signature does not fit the bytes.
    #[error("the signature does not fit")]
    BadSignature,
}

/// The public half of a signing key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderPublic(VerifyingKey);

impl OrderPublic {
    /// From 32 bytes; `None` if they are no point of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes)
            .ok()
            .filter(|key| !key.is_weak())
            .map(Self)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The first 8 bytes of SHA-256 of the public key, in hex: 16 characters.
    pub fn key_id(&self) -> String {
        Sha256::digest(self.as_bytes())
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Whether the signature fits exactly these bytes.
    ///
    /// # Errors
    /// [`Untrusted::BadSignature`].
    pub fn verify(&self, bytes: &[u8], signature: &[u8]) -> Result<(), Untrusted> {
        let signature = Signature::from_slice(signature).map_err(|_| Untrusted::BadSignature)?;
        self.0
            .verify_strict(bytes, &signature)
            .map_err(|_| Untrusted::BadSignature)
    }
}

/// A signing key pair. The secret is wiped when dropped and never printed.
#[derive(Clone)]
pub struct OrderKeys(SigningKey);

impl OrderKeys {
    /// A new random pair.
    ///
    /// # Errors
    /// [`KeyError::Random`] if the system has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads `NAME.key`.
    ///
    /// # Errors
    /// [`KeyError`]: not there, open to others, no key file, another kind, halves that do not belong together.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let (public, secret) = file::read_secret(path, Kind::Order)?;
        let key = SigningKey::from_bytes(&secret);
        if key.verifying_key().as_bytes() != &public {
            return Err(file::content(
                path,
                2,
                "the public key does not belong to the secret one; make a new pair".into(),
            ));
        }
        Ok(Self(key))
    }

    /// Writes `DIR/NAME.key` (0600) and `DIR/NAME.pub`; overwrites nothing.
    ///
    /// # Errors
    /// [`KeyError`]: a file is there already, the name cannot be one, no rights.
    pub fn save(&self, dir: &Path, name: &str) -> Result<Saved, KeyError> {
        file::write_pair(
            dir,
            name,
            Kind::Order,
            self.0.verifying_key().as_bytes(),
            self.0.as_bytes(),
        )
    }

    /// The half to give away.
    pub fn public(&self) -> OrderPublic {
        OrderPublic(self.0.verifying_key())
    }

    /// See [`OrderPublic::key_id`].
    pub fn key_id(&self) -> String {
        self.public().key_id()
    }

    /// Signs exactly these bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for OrderKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderKeys({})", self.key_id())
    }
}
