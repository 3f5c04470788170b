//! The child's side: one DEALER and its monitor, in one thread.
//!
//! Contract: connects to one parent and goes on trying for ever. A frame is taken only while there is a connection; without one it is
//! reported as not sent. What libzmq still holds of it when the connection ends goes with the socket, and what had come by
//! it is handed up before. So nothing old is sent on a new connection, unless this thread slept longer than the wait to reconnect:
//! libzmq may then have sent it by a connection of its own, which the socket's end cuts again.
//!
//! ```text
//!              handshake done
//!  Down(why) ────────────────▶ Up
//!     ▲  ▲                      │ gone
//!     │  └──────────────────────┘  what had come is read, then the socket is made anew after the wait to reconnect;
//!     │                            where it cannot be made (no descriptors), that wait doubles up to 2 s
//!     │ refused (ZAP 400): libzmq never tries again: the socket is made anew, 1 s doubling to 15 s
//!     │ broken handshake, over-long message: neither: made anew when no attempt follows within 3 s
//!     └ refused connection, timeout: libzmq tries again by itself
//! ```

use crate::backoff::{Backoff, between_once_and_twice};
use crate::commands::{Command, Shared};
use crate::config::{Clock, DealerConfig, Limits, Upstream};
use crate::counters::count;
use crate::error::LinkError;
use crate::event::{DownReason, LinkEvent, NotSent, Peer};
use crate::handle::LinkHandle;
use crate::monitor::{DEALER_EVENTS, Monitor, MonitorEvent};
use crate::outbox::Outbox;
use crate::router::{FRAMES_PER_PASS_MAX, PAUSE, check_tcp};
use crate::{frame, ipc, socket};
use std::sync::atomic::Ordering::Release;
use std::sync::mpsc::{Receiver as Commands, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use zmq::{Context, Error, PollEvents, PollItem, Socket};

/// First and longest wait before the socket is made anew after a refusal.
const REFUSED_WAIT_MIN: Duration = Duration::from_secs(1);
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(15);
/// Longest wait before another try where the socket itself cannot be made; it costs nothing to try.
const UNMADE_WAIT_MAX: Duration = Duration::from_secs(2);
/// libzmq schedules its next attempt at once after a failure. If it has not by then, it never will.
const NO_ATTEMPT: Duration = Duration::from_secs(3);
/// Not up, and not a word from the monitor for this long: the socket is stuck, whatever the reason.
const QUIET: Duration = Duration::from_secs(60);
/// With two server keys: failed handshakes in a row before the other one is tried.
const OTHER_KEY_AFTER: u32 = 2;
/// ipc: the path costs nothing to try, so the wait is random between this and twice this.
const IPC_RECONNECT: Duration = Duration::from_millis(50);

/// The child's side of a link.
#[derive(Debug)]
pub struct Dealer;

impl Dealer {
    /// Starts the link's thread, which connects. The parent need not be there.
    ///
    /// # Errors
    /// [`LinkError`]: a bad endpoint or path, no server key.
    pub fn start(config: DealerConfig, clock: Clock) -> Result<(LinkHandle, Receiver<LinkEvent>), LinkError> {
        let endpoint = endpoint(&config.upstream)?;
        let context = socket::context(1)?;
        let shared = Shared::new()?;
        let limits = config.limits;
        let unmade = Backoff::new(reconnect(&config), UNMADE_WAIT_MAX.max(reconnect(&config)));
        let (data, monitor) = connect(&context, &config, &endpoint, 0)?;
        let (sender, commands) = sync_channel(limits.commands_max.max(1));
        let (up, events) = Outbox::new(limits.events_max, shared.clone());
        let thread = Thread {
            context,
            data: Some((data, monitor)),
            commands,
            up,
            clock,
            limits,
            config,
            endpoint,
            down: None,
            is_up: false,
            anew_at: Some(Instant::now() + QUIET),
            refused: Backoff::new(REFUSED_WAIT_MIN, REFUSED_WAIT_MAX),
            unmade,
            handshakes_failed: 0,
            server_key: 0,
        };
        std::thread::Builder::new()
            .name("wt-dealer".into())
            .spawn(move || thread.run())
            .map_err(|error| LinkError::system("start the dealer's thread", error))?;
        Ok((LinkHandle::new(sender, shared, limits, Vec::new()), events))
    }
}

fn endpoint(upstream: &Upstream) -> Result<String, LinkError> {
    match upstream {
        Upstream::Ipc { path } => ipc::endpoint(path),
        Upstream::Tcp {
            endpoint, server_keys, ..
        } => {
            check_tcp(endpoint)?;
            if server_keys.is_empty() {
                let what = "the parent's public key is missing; copy it from the parent (NAME.pub)".into();
                return Err(LinkError::Address {
                    place: endpoint.clone(),
                    what,
                });
            }
            Ok(endpoint.clone())
        }
    }
}

fn connect(
    context: &Context,
    config: &DealerConfig,
    endpoint: &str,
    server_key: usize,
) -> Result<(Socket, Monitor), LinkError> {
    let keys = match &config.upstream {
        Upstream::Tcp { keys, server_keys, .. } => server_keys
            .get(server_key % server_keys.len().max(1))
            .map(|key| (keys, key)),
        Upstream::Ipc { .. } => None,
    };
    let data = socket::dealer(context, &config.limits, keys, reconnect(config), endpoint.contains('['))?;
    let monitor = Monitor::of(context, &data, DEALER_EVENTS)?;
    data.connect(endpoint).map_err(|error| LinkError::Address {
        place: endpoint.to_string(),
        what: format!("cannot connect there: {}", error.message()),
    })?;
    Ok((data, monitor))
}

/// The shortest wait before the next attempt.
fn reconnect(config: &DealerConfig) -> Duration {
    match &config.upstream {
        Upstream::Tcp { .. } => config.reconnect,
        Upstream::Ipc { .. } => IPC_RECONNECT,
    }
}

struct Thread {
    context: Context,
    /// `None` while it waits to be made anew.
    data: Option<(Socket, Monitor)>,
    commands: Commands<Command>,
    up: Outbox,
    clock: Clock,
    limits: Limits,
    config: DealerConfig,
    endpoint: String,
    /// What was told last.
    down: Option<DownReason>,
    is_up: bool,
    /// When the socket is made anew.
    anew_at: Option<Instant>,
    refused: Backoff,
    /// Where the socket cannot be made.
    unmade: Backoff,
    handshakes_failed: u32,
    server_key: usize,
}

impl Thread {
    fn run(mut self) {
        let mut due = None;
        let linger = loop {
            self.wait(due);
            self.watch();
            let mut again = self.receive();
            self.up.shared.drain_wake();
            let requests = self.up.shared.take_requests();
            again |= self.send();
            if let Some(linger) = requests.stop {
                while self.send() {}
                break linger;
            }
            if self.up.is_orphaned() {
                break Duration::ZERO;
            }
            let now = Instant::now();
            if self.anew_at.is_some_and(|at| at <= now) {
                self.make_anew(now);
            }
            due = self.up.tick(now).into_iter().chain(self.anew_at).min();
            if again {
                due = Some(now);
            }
        };
        self.up.shared.up.store(false, Release);
        self.up.tick(Instant::now());
        // Without a connection there is nobody to linger for.
        let linger = if self.is_up { linger } else { Duration::ZERO };
        let clean = socket::end(self.context, self.data, None, linger, ());
        drop(self.commands);
        self.up.close(clean);
    }

    fn wait(&mut self, mut due: Option<Instant>) {
        let now = Instant::now();
        let paused = self.up.is_paused();
        if paused {
            due = Some(now + PAUSE);
        }
        let mut items = Vec::with_capacity(3);
        items.push(PollItem::from_fd(self.up.shared.wake_fd(), PollEvents::POLLIN));
        if let Some((data, monitor)) = &self.data {
            items.push(monitor.socket().as_poll_item(PollEvents::POLLIN));
            if !paused {
                items.push(data.as_poll_item(PollEvents::POLLIN));
            }
        }
        if let Err(error) = zmq::poll(&mut items, frame::poll_ms(due, now))
            && error != Error::EINTR
        {
            tracing::warn!(%error, "link: poll failed");
            std::thread::sleep(PAUSE);
        }
    }

    fn watch(&mut self) {
        let Some((_, monitor)) = &self.data else { return };
        let events = monitor.drain();
        let now = Instant::now();
        for seen in events {
            let counters = &self.up.shared.counters;
            match seen {
                MonitorEvent::HandshakeDone => {
                    count(&counters.handshakes);
                    self.rise();
                    continue;
                }
                MonitorEvent::HandshakeRefused(status) => {
                    count(&counters.handshakes_failed);
                    self.fall(DownReason::Refused);
                    tracing::debug!(status, "link: the parent refuses us");
                    self.anew_at = Some(now + self.refused.wait());
                    self.drop_socket();
                    return;
                }
                MonitorEvent::HandshakeBroken | MonitorEvent::HandshakeCut => {
                    count(&counters.handshakes_failed);
                    self.handshakes_failed += 1;
                    self.fall(DownReason::Handshake);
                    self.anew_at = Some(now + NO_ATTEMPT);
                    if self.has_other_key() && self.handshakes_failed.is_multiple_of(OTHER_KEY_AFTER) {
                        self.anew_at = Some(now);
                        return;
                    }
                    continue;
                }
                MonitorEvent::Gone(_) if self.is_up => {
                    count(&counters.ended);
                    count(&counters.reconnects);
                    self.read_rest();
                    self.fall(DownReason::Disconnected);
                    self.drop_socket();
                    self.anew_at = Some(now + between_once_and_twice(reconnect(&self.config)));
                    return;
                }
                MonitorEvent::Gone(_) => {
                    count(&counters.ended);
                    self.anew_at = Some(now + NO_ATTEMPT);
                    continue;
                }
                MonitorEvent::ConnectFailed if !self.is_up => self.fall(DownReason::Unreachable),
                MonitorEvent::Retrying => count(&counters.reconnects),
                MonitorEvent::ConnectFailed
                | MonitorEvent::Connected
                | MonitorEvent::Accepted(_)
                | MonitorEvent::AcceptFailed => {}
            }
            if !self.is_up {
                self.anew_at = Some(now + QUIET);
            }
        }
    }

    /// Reads what came before the connection ended: with the socket it would be gone. It cannot wait for a slow receiver, and
    /// is no more than libzmq holds for one peer.
    fn read_rest(&mut self) {
        while self.receive_one() {}
    }

    fn has_other_key(&self) -> bool {
        matches!(&self.config.upstream, Upstream::Tcp { server_keys, .. } if 1 < server_keys.len())
    }

    fn rise(&mut self) {
        self.is_up = true;
        self.down = None;
        self.anew_at = None;
        self.refused.reset();
        self.handshakes_failed = 0;
        self.up.shared.up.store(true, Release);
        self.up.report(LinkEvent::Up);
    }

    fn fall(&mut self, why: DownReason) {
        self.is_up = false;
        self.up.shared.up.store(false, Release);
        if self.down != Some(why) {
            self.down = Some(why);
            self.up.report(LinkEvent::Down { why });
        }
    }

    fn drop_socket(&mut self) {
        if let Some((mut data, monitor)) = self.data.take() {
            monitor.stop(&mut data);
        }
    }

    fn make_anew(&mut self, now: Instant) {
        self.drop_socket();
        if self.has_other_key() && OTHER_KEY_AFTER <= self.handshakes_failed {
            self.server_key = self.server_key.wrapping_add(1);
            self.handshakes_failed = 0;
        }
        self.is_up = false;
        self.up.shared.up.store(false, Release);
        count(&self.up.shared.counters.recreated);
        match connect(&self.context, &self.config, &self.endpoint, self.server_key) {
            Ok(made) => {
                self.data = Some(made);
                self.unmade.reset();
                self.anew_at = Some(now + QUIET);
            }
            Err(error) => {
                let wait = self.unmade.wait();
                tracing::warn!(%error, ?wait, "link: cannot make the socket anew; trying again");
                self.anew_at = Some(now + wait);
            }
        }
    }

    /// Takes in what has come; whether there may be more.
    fn receive(&mut self) -> bool {
        for _ in 0..FRAMES_PER_PASS_MAX {
            if self.up.is_paused() || !self.receive_one() {
                return false;
            }
        }
        true
    }

    /// Takes in one frame; whether there was one.
    fn receive_one(&mut self) -> bool {
        let Some((data, _)) = &self.data else { return false };
        let Some((_, body)) = frame::receive(data, &self.limits, false) else {
            return false;
        };
        match body {
            Ok(parts) => self.up.frame(LinkEvent::Frame {
                peer: Peer::Parent,
                connection: 0,
                parts,
                at: (self.clock)(),
            }),
            Err(why) => self.up.refuse(why, &self.endpoint),
        }
        true
    }

    /// Sends what was handed in; whether there may be more.
    fn send(&mut self) -> bool {
        for _ in 0..FRAMES_PER_PASS_MAX {
            let Ok(Command { peer, parts, .. }) = self.commands.try_recv() else {
                return false;
            };
            if peer != Peer::Parent {
                self.up.not_sent(peer, NotSent::NoPeer);
                continue;
            }
            let Some((data, _)) = self.data.as_ref().filter(|_| self.is_up) else {
                self.up.not_sent(peer, NotSent::Down);
                continue;
            };
            match frame::send(data, None, parts) {
                Ok(()) => self.up.sent(),
                Err(Error::EAGAIN) => self.up.not_sent(peer, NotSent::PeerFull),
                Err(error) => {
                    tracing::warn!(%error, "link: send failed");
                    self.up.not_sent(peer, NotSent::Down);
                }
            }
        }
        true
    }
}
