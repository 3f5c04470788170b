//! ZeroMQ: link thread, CURVE, ZAP, monitors, reconnect. Moves frames, knows no meaning.
//!
//! Contract: [`Dealer::start`] (the child's side) and [`Router::start`] (the parent's side) each make one context and one
//! OS thread, the only code that touches its sockets. Frames go in by [`LinkHandle::try_send`], which never blocks, and come
//! out with events by a bounded tokio channel. On tcp CURVE is always on and a peer *is* the node name of its key; on ipc
//! it is the credentials the kernel vouches for. Routing ids are never shown and never set. Everything has a limit; what is dropped is
//! counted. Does not know what a frame says, who should be watched, or what the time is (the clock is passed in).
//!
//! ```text
//!   tokio side                        thread "wt-router" / "wt-dealer"
//!   LinkHandle ── commands, eventfd ──▶ poll(data, monitor, zap, eventfd)
//!   Receiver<LinkEvent> ◀── bounded ──  drain monitor → zap → data → commands → timers
//! ```

mod backoff;
mod commands;
mod config;
mod counters;
mod dealer;
mod error;
mod event;
mod frame;
mod handle;
mod ipc;
mod library;
mod monitor;
mod outbox;
mod peers;
mod pump;
mod router;
mod socket;
mod zap;

pub use config::{Clock, DealerConfig, Limits, Listen, RouterConfig, Upstream};
pub use counters::Counters;
pub use dealer::Dealer;
pub use error::LinkError;
pub use event::{DownReason, LinkEvent, LocalPeer, NotSent, Peer, Refusal};
pub use handle::LinkHandle;
pub use library::check;
pub use pump::{LinkReader, pump};
pub use router::Router;
