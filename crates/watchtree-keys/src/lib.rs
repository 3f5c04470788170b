//! CURVE and signing keys, allow-lists, their files and modes.
//!
//! Contract: a secret lies in `NAME.key`, mode 0600, never behind a link, and is wiped from memory when dropped; a public
//! key lies in `NAME.pub`. A bad file is an error of one line with place and cure. Directories of public keys are read again
//! when they change: a bad file there is named and skipped, the others stay in force. Knows neither sockets nor the tree.
//!
//! A file is text:
//!
//! ```text
//! watchtree-key v1 curve secret     watchtree-key v1 curve public
//! public rq:rM>}U?@Lns47E1%kR.o@n…  # several lines while a key is being rotated
//! secret D:)Q[IlAW!ahhC2ac:9*A}h…   public rq:rM>}U?@Lns47E1%kR.o@n…
//! ```

mod curve;
mod directory;
mod error;
mod file;
mod order;
mod z85;

pub use curve::{CurveKeys, CurvePublic};
pub use directory::{AllowDir, AllowList, OrderKeyDir, Reload, TrustedOrderKeys};
pub use error::KeyError;
pub use file::{Inspected, Kind, Saved, inspect};
pub use order::{OrderKeys, OrderPublic, Untrusted};
pub use z85::{decode as z85_decode, encode as z85_encode};
