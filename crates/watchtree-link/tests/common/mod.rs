//! What the link's tests share: ends of a link with deadlines, keys, raw ZeroMQ peers.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use watchtree_core::id::NodeName;
use watchtree_core::time::Moment;
use watchtree_keys::{AllowList, CurveKeys, CurvePublic};
use watchtree_link::{
    Clock, Dealer, DealerConfig, LinkEvent, LinkHandle, Listen, Peer, Router, RouterConfig, Upstream,
};

/// Everything here happens within this, or fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) struct End {
    pub(crate) handle: LinkHandle,
    pub(crate) events: Receiver<LinkEvent>,
    /// The connection each peer was last heard over.
    pub(crate) routes: BTreeMap<Peer, u64>,
}

impl End {
    /// The next event that `pick` takes; others are passed over.
    pub(crate) async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(LinkEvent) -> Option<T>) -> T {
        let mut passed = Vec::new();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            match tokio::time::timeout_at(deadline, self.events.recv()).await {
                Ok(Some(event)) => {
                    if let LinkEvent::Frame { peer, connection, .. } = &event {
                        self.routes.insert(peer.clone(), *connection);
                    }
                    let text: String = format!("{event:?}").chars().take(200).collect();
                    match pick(event) {
                        Some(found) => return found,
                        None => passed.push(text),
                    }
                }
                Ok(None) => panic!("the link ended before: {what}; passed over: {passed:#?}"),
                Err(_) => panic!(
                    "not within {DEADLINE:?}: {what}; {:?}; passed over: {passed:#?}",
                    self.handle.counters()
                ),
            }
        }
    }

    pub(crate) async fn until_event(&mut self, wanted: LinkEvent) {
        self.until(&format!("{wanted:?}"), |event| (event == wanted).then_some(()))
            .await;
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> (Peer, Vec<Vec<u8>>) {
        self.until("a frame", |event| match event {
            LinkEvent::Frame { peer, parts, .. } => Some((peer, parts)),
            _ => None,
        })
        .await
    }

    /// To a peer over the connection it was last heard over.
    pub(crate) fn send(&self, peer: &Peer, text: &str) {
        self.send_over(peer, self.route(peer), text);
    }

    pub(crate) fn send_over(&self, peer: &Peer, connection: u64, text: &str) {
        self.handle.try_send(peer, connection, body(text)).unwrap();
    }

    pub(crate) fn route(&self, peer: &Peer) -> u64 {
        self.routes.get(peer).copied().unwrap_or(0)
    }

    pub(crate) async fn until_gone(&mut self, wanted: Peer) {
        self.until(&format!("{wanted} gone"), |event| {
            matches!(event, LinkEvent::PeerGone { peer, .. } if peer == wanted).then_some(())
        })
        .await;
    }

    /// Stops it and waits for the end; how long it took, and whether it was clean. A machine that stood still meanwhile
    /// ends nothing in time: that is neither counted nor called unclean.
    pub(crate) async fn stop(mut self, linger: Duration) -> (Duration, bool) {
        let begin = Instant::now();
        let pause = Arc::new(Mutex::new(Duration::ZERO));
        let longest = Arc::clone(&pause);
        let watching = tokio::spawn(async move {
            loop {
                let begin = Instant::now();
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut longest = longest.lock().unwrap();
                *longest = begin.elapsed().max(*longest);
            }
        });
        self.handle.stop(linger);
        let clean = self
            .until("Closed", |event| match event {
                LinkEvent::Closed { clean } => Some(clean),
                _ => None,
            })
            .await;
        assert_eq!(self.events.recv().await, None, "Closed is the last event");
        // Once more round, so that the pause that has just ended is seen.
        tokio::time::sleep(Duration::from_millis(40)).await;
        watching.abort();
        let pause = *pause.lock().unwrap();
        let stood = Duration::from_millis(400) < pause;
        (
            begin.elapsed() - if stood { pause } else { Duration::ZERO },
            clean || stood,
        )
    }
}

/// The parts of a frame with that text.
pub(crate) fn body(text: &str) -> Vec<Vec<u8>> {
    vec![b"WT1".to_vec(), b"header".to_vec(), text.into()]
}

pub(crate) fn clock() -> Clock {
    let begin = Instant::now();
    Arc::new(move || Moment::ZERO + begin.elapsed())
}

pub(crate) fn node(name: &str) -> Peer {
    Peer::Node(NodeName::new(name).unwrap())
}

pub(crate) fn keys() -> CurveKeys {
    CurveKeys::generate().unwrap()
}

pub(crate) fn allow(pairs: &[(&str, &CurveKeys)]) -> Arc<AllowList> {
    Arc::new(
        pairs
            .iter()
            .map(|(name, keys)| (keys.public(), (*name).to_string()))
            .collect(),
    )
}

pub(crate) fn router(config: RouterConfig) -> End {
    let (handle, events) = Router::start(config, clock()).unwrap();
    End {
        handle,
        events,
        routes: BTreeMap::new(),
    }
}

pub(crate) fn tcp_config(keys: &CurveKeys, allowed: Arc<AllowList>) -> RouterConfig {
    let endpoints = vec!["tcp://127.0.0.1:*".to_string()];
    RouterConfig::new(Listen::Tcp {
        endpoints,
        keys: keys.clone(),
        allowed,
    })
}

/// A router on a free port, and that endpoint.
pub(crate) fn tcp_router(keys: &CurveKeys, allowed: Arc<AllowList>) -> (End, String) {
    let end = router(tcp_config(keys, allowed));
    let endpoint = end.handle.bound()[0].clone();
    (end, endpoint)
}

pub(crate) fn dealer(upstream: Upstream) -> End {
    dealer_of(DealerConfig::new(upstream))
}

pub(crate) fn dealer_of(config: DealerConfig) -> End {
    let (handle, events) = Dealer::start(config, clock()).unwrap();
    End {
        handle,
        events,
        routes: BTreeMap::new(),
    }
}

pub(crate) fn tcp_dealer(endpoint: &str, keys: &CurveKeys, server: &[CurvePublic]) -> End {
    dealer(Upstream::Tcp {
        endpoint: endpoint.into(),
        keys: keys.clone(),
        server_keys: server.to_vec(),
    })
}

/// A peer that is not ours: a bare DEALER with CURVE.
pub(crate) fn raw_dealer(context: &zmq::Context, endpoint: &str, keys: &CurveKeys, server: CurvePublic) -> zmq::Socket {
    let socket = context.socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_curve_serverkey(&server.0).unwrap();
    socket.set_curve_publickey(&keys.public().0).unwrap();
    socket.set_curve_secretkey(keys.secret_bytes()).unwrap();
    socket.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
    socket.set_sndtimeo(DEADLINE.as_millis() as i32).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

/// Waits until something holds, looking every few milliseconds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
