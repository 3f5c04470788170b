//! The parent's side of links: one ROUTER with its authenticator and monitor, in one thread.
//!
//! Contract: a frame is passed on only with a proven sender and the connection it came over. A frame is sent over the connection
//! that is named, or is reported as not sent: only the receiver knows which connection of a name is the right one. The end of a
//! connection is reported after its last frame. Nothing here blocks except `poll`. Does not know what a frame says.

use crate::commands::{Command, Shared};
use crate::config::{Clock, Limits, Listen, RouterConfig};
use crate::counters::count;
use crate::error::LinkError;
use crate::event::{LinkEvent, NotSent, Peer, Refusal};
use crate::handle::LinkHandle;
use crate::ipc::{self, Lock};
use crate::monitor::{Monitor, MonitorEvent, ROUTER_EVENTS};
use crate::outbox::Outbox;
use crate::peers::{CONNECTIONS_MAX, Peers};
use crate::zap::{Allowed, Zap};
use crate::{frame, socket};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver as Commands, TryRecvError, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use zmq::{Context, Error, PollEvents, PollItem, Socket};

/// Most frames taken in, and most sent, in one pass.
pub(crate) const FRAMES_PER_PASS_MAX: usize = 1000;
/// A peer with too many connections is named in the log this often.
const CROWD_EVERY: Duration = Duration::from_secs(60);
/// While the receiver does not read, look again after this.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// The parent's side of a link.
#[derive(Debug)]
pub struct Router;

impl Router {
    /// Binds and starts the link's thread. When it returns, children can connect.
    ///
    /// # Errors
    /// [`LinkError`]: taken port or path, no rights, a bad endpoint; each with its exit code.
    pub fn start(config: RouterConfig, clock: Clock) -> Result<(LinkHandle, Receiver<LinkEvent>), LinkError> {
        let context = socket::context(config.io_threads)?;
        let shared = Shared::new()?;
        let limits = config.limits;
        let (allowed, keys, ipv6) = match &config.listen {
            Listen::Tcp {
                keys,
                allowed,
                endpoints,
            } => {
                // With this option libzmq shows all addresses as IPv6: only where it is needed.
                let ipv6 = endpoints.iter().any(|endpoint| endpoint.contains(['[', '*']));
                (Allowed::keys(allowed), Some(keys), ipv6)
            }
            Listen::Ipc { uids, .. } => (Allowed::users(uids), None, false),
        };
        let zap = Zap::new(&context, allowed)?;
        let data = socket::router(&context, &limits, keys, ipv6)?;
        let monitor = Monitor::of(&context, &data, ROUTER_EVENTS)?;
        let (lock, bound) = bind(&data, &config.listen)?;
        let (sender, commands) = sync_channel(limits.commands_max.max(1));
        let (up, events) = Outbox::new(limits.events_max, shared.clone());
        let peers = Peers::new(limits.peers_max);
        let thread = Thread {
            context,
            data,
            monitor,
            zap,
            peers,
            leaving: BTreeSet::new(),
            closed: BTreeSet::new(),
            crowd_due: Instant::now(),
            commands,
            up,
            clock,
            limits,
            lock,
        };
        std::thread::Builder::new()
            .name("wt-router".into())
            .spawn(move || thread.run())
            .map_err(|error| LinkError::system("start the router's thread", error))?;
        Ok((LinkHandle::new(sender, shared, limits, bound), events))
    }
}

fn bind(data: &Socket, listen: &Listen) -> Result<(Option<Lock>, Vec<String>), LinkError> {
    match listen {
        Listen::Tcp { endpoints, .. } => {
            if endpoints.is_empty() {
                return Err(LinkError::Address {
                    place: "tcp".into(),
                    what: "give at least one address to listen at".into(),
                });
            }
            let bound = endpoints
                .iter()
                .map(|endpoint| bind_tcp(data, endpoint))
                .collect::<Result<_, _>>()?;
            Ok((None, bound))
        }
        Listen::Ipc { path, .. } => {
            let endpoint = ipc::endpoint(path)?;
            let lock = ipc::claim(path)?;
            data.bind(&endpoint).map_err(|error| bind_error(&endpoint, error))?;
            ipc::open_to_group(path)?;
            Ok((Some(lock), vec![endpoint]))
        }
    }
}

fn bind_tcp(data: &Socket, endpoint: &str) -> Result<String, LinkError> {
    check_tcp(endpoint)?;
    data.bind(endpoint).map_err(|error| bind_error(endpoint, error))?;
    match data.get_last_endpoint() {
        Ok(Ok(bound)) => Ok(bound),
        _ => Ok(endpoint.to_string()),
    }
}

/// Only tcp, and nothing that libzmq would read as an option of its own.
pub(crate) fn check_tcp(endpoint: &str) -> Result<(), LinkError> {
    let port = endpoint
        .strip_prefix("tcp://")
        .and_then(|rest| rest.rsplit_once(':'))
        .filter(|(host, _)| !host.is_empty());
    let fits = port.is_some_and(|(_, port)| port == "*" || port.parse::<u16>().is_ok())
        && endpoint.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    if fits {
        return Ok(());
    }
    Err(LinkError::Address {
        place: endpoint.into(),
        what: "an endpoint has the form tcp://HOST:PORT".into(),
    })
}

fn bind_error(endpoint: &str, error: Error) -> LinkError {
    let place = endpoint.to_string();
    match error {
        Error::EADDRINUSE => LinkError::Taken {
            place,
            what: "another program listens there; stop it, or choose another port".into(),
        },
        Error::EACCES => LinkError::Rights {
            place,
            what: "this user may not listen there; choose a port above 1023".into(),
        },
        Error::EADDRNOTAVAIL | Error::ENODEV => LinkError::Address {
            place,
            what: "this machine has no such address; use one of its own, or *".into(),
        },
        other => LinkError::Address {
            place,
            what: format!("cannot listen there: {}", other.message()),
        },
    }
}

/// The address of a tcp peer; a socket of both families shows IPv4 as a mapped IPv6 address.
fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// How far the reading of one pass came.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Read {
    /// Nothing waits.
    All,
    More,
    /// The receiver is slow.
    Paused,
}

struct Thread {
    context: Context,
    data: Socket,
    monitor: Monitor,
    zap: Zap,
    peers: Peers,
    /// Connections that have ended; forgotten when no frame of theirs can be unread any more.
    leaving: BTreeSet<(Peer, u64)>,
    /// Descriptors of ended connections that no later one uses: an unread frame by one of them is of a connection that ended before it
    /// was bound.
    closed: BTreeSet<i32>,
    /// When a peer with too many connections may be named again.
    crowd_due: Instant,
    commands: Commands<Command>,
    up: Outbox,
    clock: Clock,
    limits: Limits,
    lock: Option<Lock>,
}

impl Thread {
    fn run(mut self) {
        let mut due = None;
        let linger = loop {
            self.wait(due);
            self.watch();
            self.zap.serve(&mut self.up);
            let read = self.receive();
            if read == Read::All {
                self.bury();
            }
            self.up.shared.drain_wake();
            let requests = self.up.shared.take_requests();
            if let Some(list) = requests.allowed {
                self.allow(Allowed::keys(&list));
            }
            let again = self.send() | (read == Read::More);
            if let Some(linger) = requests.stop {
                while self.send() {}
                break linger;
            }
            if self.up.is_orphaned() {
                break Duration::ZERO;
            }
            let now = Instant::now();
            due = self.up.tick(now);
            if again || !self.leaving.is_empty() {
                due = Some(now);
            }
            self.up.shared.counters.peers.store(self.peers.len() as u64, Relaxed);
        };
        self.up.tick(Instant::now());
        let clean = socket::end(
            self.context,
            Some((self.data, self.monitor)),
            Some(self.zap),
            linger,
            self.lock,
        );
        drop(self.commands);
        self.up.close(clean);
    }

    /// Waits for anything. While the receiver is slow the data stays in libzmq, where TCP holds back the senders.
    fn wait(&mut self, mut due: Option<Instant>) {
        let now = Instant::now();
        let paused = self.up.is_paused();
        if paused {
            due = Some(now + PAUSE);
        }
        let mut items = [
            PollItem::from_fd(self.up.shared.wake_fd(), PollEvents::POLLIN),
            self.monitor.socket().as_poll_item(PollEvents::POLLIN),
            self.zap.socket().as_poll_item(PollEvents::POLLIN),
            self.data.as_poll_item(PollEvents::POLLIN),
        ];
        let count = if paused { 3 } else { 4 };
        if let Err(error) = zmq::poll(&mut items[..count], frame::poll_ms(due, now)) {
            // EINTR is a signal; anything else would repeat at once, so it must not spin.
            if error != Error::EINTR {
                tracing::warn!(%error, "link: poll failed");
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn watch(&mut self) {
        for seen in self.monitor.drain() {
            let counters = &self.up.shared.counters;
            match seen {
                MonitorEvent::HandshakeDone => count(&counters.handshakes),
                // The authenticator has named and counted it.
                MonitorEvent::HandshakeRefused(_) => count(&counters.handshakes_failed),
                MonitorEvent::HandshakeBroken | MonitorEvent::HandshakeCut => {
                    count(&counters.handshakes_failed);
                    self.up.refuse(Refusal::BadHandshake, "");
                }
                MonitorEvent::AcceptFailed => self.up.refuse(Refusal::NotAccepted, ""),
                MonitorEvent::Accepted(fd) => {
                    self.closed.remove(&fd);
                }
                MonitorEvent::Gone(fd) => {
                    count(&counters.ended);
                    self.leaving.extend(self.peers.closed(fd));
                    self.closed.insert(fd);
                }
                MonitorEvent::Connected | MonitorEvent::ConnectFailed | MonitorEvent::Retrying => {}
            }
        }
    }

    /// Takes in what has come.
    fn receive(&mut self) -> Read {
        for _ in 0..FRAMES_PER_PASS_MAX {
            if self.up.is_paused() {
                return Read::Paused;
            }
            let Some((mut routing_id, body)) = frame::receive(&self.data, &self.limits, true) else {
                return Read::All;
            };
            let Some(user_id) = routing_id.gets("User-Id").map(str::to_string) else {
                let address = routing_id.gets("Peer-Address").unwrap_or_default().to_string();
                self.up.refuse(Refusal::NoIdentity, &address);
                continue;
            };
            let Some(peer) = self.zap.allowed.peer(&user_id) else {
                self.up.refuse(Refusal::Revoked, &user_id);
                continue;
            };
            let fd = routing_id.gets("__fd").and_then(|fd| fd.parse().ok());
            let connection = match self.peers.heard(&peer, &routing_id, fd) {
                Some(connection) => connection,
                None => {
                    let address = routing_id.gets("Peer-Address").and_then(ip);
                    match self.bind(&peer, &routing_id, fd, &user_id, address) {
                        Some(connection) => connection,
                        None => continue,
                    }
                }
            };
            match body {
                Ok(parts) => self.up.frame(LinkEvent::Frame {
                    peer,
                    connection,
                    parts,
                    at: (self.clock)(),
                }),
                Err(why) => self.up.refuse(why, &peer.to_string()),
            }
        }
        Read::More
    }

    /// Binds the connection a message came by to its peer; its number, or `None` without a place in the table.
    fn bind(
        &mut self,
        peer: &Peer,
        routing_id: &[u8],
        fd: Option<i32>,
        user_id: &str,
        address: Option<IpAddr>,
    ) -> Option<u64> {
        // What the monitor has told before this message is about this descriptor too: closed, or in use again.
        self.watch();
        let Some(new) = self.peers.bind(peer, routing_id, fd, user_id) else {
            self.up.refuse(Refusal::TooManyPeers, &peer.to_string());
            return None;
        };
        let connection = new.connection;
        if fd.is_some_and(|fd| self.closed.contains(&fd)) {
            self.leaving.insert((peer.clone(), connection));
        }
        if 0 < new.others {
            count(&self.up.shared.counters.reconnects);
        }
        if let Some(dropped) = new.dropped {
            self.name_crowd(peer);
            let peer = peer.clone();
            self.up.report(LinkEvent::PeerGone {
                peer,
                connection: dropped,
            });
        }
        self.up.report(LinkEvent::PeerSeen {
            peer: peer.clone(),
            connection,
            address,
        });
        Some(connection)
    }

    fn name_crowd(&mut self, peer: &Peer) {
        let now = Instant::now();
        if self.crowd_due <= now {
            self.crowd_due = now + CROWD_EVERY;
            tracing::warn!(%peer, most = CONNECTIONS_MAX, "link: too many connections of one peer, the one that was silent longest is \
                forgotten; is its key in use on several machines?");
        }
    }

    /// No frame waits: what has ended is really over.
    fn bury(&mut self) {
        self.closed.clear();
        for (peer, connection) in std::mem::take(&mut self.leaving) {
            if self.peers.forget(&peer, connection) {
                self.up.report(LinkEvent::PeerGone { peer, connection });
            }
        }
    }

    fn allow(&mut self, allowed: Allowed) {
        if matches!(self.zap.allowed, Allowed::Users(_)) {
            tracing::warn!("link: an allow-list of keys was given to an ipc router; it is not used");
            return;
        }
        self.zap.allowed = allowed;
        let allowed = &self.zap.allowed;
        for (peer, connection) in self
            .peers
            .retain(|user_id, peer| allowed.peer(user_id).as_ref() == Some(peer))
        {
            self.up.report(LinkEvent::PeerGone { peer, connection });
        }
    }

    /// Sends what was handed in; whether there may be more.
    fn send(&mut self) -> bool {
        for _ in 0..FRAMES_PER_PASS_MAX {
            match self.commands.try_recv() {
                Ok(command) => self.send_one(command),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn send_one(
        &mut self,
        Command {
            peer,
            connection,
            parts,
        }: Command,
    ) {
        let Some(routing_id) = self.peers.routing_id(&peer, connection) else {
            return self.up.not_sent(peer, NotSent::NoPeer);
        };
        match frame::send(&self.data, Some(routing_id), parts) {
            Ok(()) => self.up.sent(),
            Err(Error::EAGAIN) => self.up.not_sent(peer, NotSent::PeerFull),
            Err(error) => {
                if error != Error::EHOSTUNREACH {
                    tracing::warn!(%error, %peer, "link: send failed");
                }
                // Gone; told when what it may have sent before has been read.
                self.leaving.insert((peer.clone(), connection));
                self.up.not_sent(peer, NotSent::NoPeer);
            }
        }
    }
}
