//! What becomes of frames when a connection ends, and of two connections under one key.

mod common;

use common::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::{Duration, Instant};
use watchtree_keys::CurveKeys;
use watchtree_link::{DealerConfig, DownReason, Limits, LinkEvent, Listen, NotSent, Peer, RouterConfig, Upstream};

/// More than libzmq hands out before it looks whether the connection still stands, fewer than it holds.
const FRAMES: usize = 300;

fn seen(event: &LinkEvent) -> String {
    match event {
        LinkEvent::PeerSeen { .. } => "seen".into(),
        LinkEvent::PeerGone { .. } => "gone".into(),
        LinkEvent::Frame { parts, .. } => String::from_utf8_lossy(&parts[parts.len() - 1]).into_owned(),
        other => format!("{other:?}"),
    }
}

/// A parent of another make.
fn raw_router(context: &zmq::Context, server: &CurveKeys, received_max: i32) -> (zmq::Socket, String) {
    let socket = context.socket(zmq::ROUTER).unwrap();
    socket.set_linger(DEADLINE.as_millis() as i32).unwrap();
    socket.set_rcvhwm(received_max).unwrap();
    socket.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
    socket.set_curve_server(true).unwrap();
    socket.set_curve_secretkey(server.secret_bytes()).unwrap();
    socket.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = socket.get_last_endpoint().unwrap().unwrap();
    (socket, endpoint)
}

fn upstream(endpoint: &str, keys: &CurveKeys, server: &CurveKeys) -> Upstream {
    Upstream::Tcp {
        endpoint: endpoint.into(),
        keys: keys.clone(),
        server_keys: vec![server.public()],
    }
}

#[tokio::test]
async fn two_machines_with_one_key_do_not_take_each_others_way() {
    let (server, key) = (keys(), keys());
    let (mut parent, endpoint) = tcp_router(&server, allow(&[("h1", &key)]));
    let context = zmq::Context::new();
    let real = raw_dealer(&context, &endpoint, &key, server.public());
    real.send("it is me", 0).unwrap();
    assert_eq!(parent.frame().await.0, node("h1"));
    let way = parent.route(&node("h1"));
    let copy = raw_dealer(&context, &endpoint, &key, server.public());
    copy.send("no, me", 0).unwrap();
    assert_eq!(parent.frame().await.0, node("h1"));
    let other = parent.route(&node("h1"));
    assert_ne!(way, other);

    parent.send_over(&node("h1"), way, "an order");
    assert_eq!(real.recv_multipart(0).unwrap()[2], b"an order");
    parent.send_over(&node("h1"), other, "refused: clone");
    assert_eq!(copy.recv_multipart(0).unwrap()[2], b"refused: clone");

    drop(copy);
    let gone = parent
        .until("gone", |event| match event {
            LinkEvent::PeerGone { connection, .. } => Some(connection),
            _ => None,
        })
        .await;
    assert_eq!(gone, other);
    parent.send_over(&node("h1"), other, "to nobody");
    parent
        .until_event(LinkEvent::NotSent {
            peer: node("h1"),
            why: NotSent::NoPeer,
            count: 1,
        })
        .await;
    parent.send_over(&node("h1"), way, "another order");
    assert_eq!(real.recv_multipart(0).unwrap()[2], b"another order");
}

#[tokio::test]
async fn a_peer_is_gone_after_its_last_frame_and_leaves_nothing_behind() {
    let (server, key) = (keys(), keys());
    let mut config = tcp_config(&server, allow(&[("h1", &key)]));
    config.limits.events_max = 1;
    let mut parent = router(config);
    let endpoint = parent.handle.bound()[0].clone();
    let context = zmq::Context::new();
    let child = raw_dealer(&context, &endpoint, &key, server.public());
    child.set_linger(DEADLINE.as_millis() as i32).unwrap();
    for number in 0..FRAMES {
        child.send(number.to_string().as_str(), 0).unwrap();
    }
    drop(child);
    // Nobody reads: the thread learns of the end while most of the frames wait in libzmq.
    let handle = parent.handle.clone();
    eventually("the connection ended", || handle.counters().ended == 1).await;
    assert!(handle.counters().frames_in < FRAMES as u64);

    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "gone") {
        told.push(parent.until("an event", |event| Some(seen(&event))).await);
    }
    let mut expected = vec!["seen".to_string()];
    expected.extend((0..FRAMES).map(|number| number.to_string()));
    expected.push("gone".into());
    assert_eq!(told, expected);
    eventually("nobody is left", || handle.counters().peers == 0).await;
}

#[tokio::test]
async fn a_peer_that_came_and_went_before_it_was_read_leaves_nothing_behind() {
    let (server, busy, brief) = (keys(), keys(), keys());
    let mut config = tcp_config(&server, allow(&[("busy", &busy), ("brief", &brief)]));
    config.limits.events_max = 1;
    let mut parent = router(config);
    let endpoint = parent.handle.bound()[0].clone();
    let context = zmq::Context::new();
    let first = raw_dealer(&context, &endpoint, &busy, server.public());
    for number in 0..FRAMES {
        first.send(number.to_string().as_str(), 0).unwrap();
    }
    let handle = parent.handle.clone();
    eventually("reading pauses", || handle.counters().pauses == 1).await;
    let second = raw_dealer(&context, &endpoint, &brief, server.public());
    second.set_linger(DEADLINE.as_millis() as i32).unwrap();
    second.send("goodbye", 0).unwrap();
    drop(second);
    eventually("the connection ended", || handle.counters().ended == 1).await;

    let mut brief = Vec::new();
    while brief.last().is_none_or(|last| last != "gone") {
        let told = parent.until("an event", |event| match &event {
            LinkEvent::PeerSeen { peer, .. } | LinkEvent::PeerGone { peer, .. } | LinkEvent::Frame { peer, .. } => {
                (*peer == node("brief")).then(|| seen(&event))
            }
            _ => None,
        });
        brief.push(told.await);
    }
    assert_eq!(brief, ["seen", "goodbye", "gone"]);
    eventually("only the other is left", || handle.counters().peers == 1).await;
}

#[tokio::test]
async fn what_the_parent_sent_before_the_cut_is_read() {
    let (server, key) = (keys(), keys());
    let context = zmq::Context::new();
    let (parent, endpoint) = raw_router(&context, &server, 1000);
    let mut config = DealerConfig::new(upstream(&endpoint, &key, &server));
    config.limits = Limits {
        events_max: 2,
        ..config.limits
    };
    let mut child = dealer_of(config);
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "hello");
    let routing_id = parent.recv_multipart(0).unwrap().remove(0);
    for number in 0..FRAMES {
        parent
            .send_multipart([routing_id.clone(), number.to_string().into()], 0)
            .unwrap();
    }
    drop(parent);
    // Nobody reads: most of the frames wait in libzmq when the child learns of the end.
    let handle = child.handle.clone();
    eventually("the connection ended", || 1 <= handle.counters().ended).await;
    let begin = Instant::now();
    let mut told = Vec::new();
    while told.last().is_none_or(|last: &String| !last.starts_with("Down")) {
        told.push(child.until("an event", |event| Some(seen(&event))).await);
    }
    let mut expected: Vec<String> = (0..FRAMES).map(|number| number.to_string()).collect();
    expected.push(format!(
        "{:?}",
        LinkEvent::Down {
            why: DownReason::Disconnected
        }
    ));
    assert_eq!(told, expected);
    // The thread looks again soon for a receiver that reads by and by, also while it has no connection.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn nothing_old_is_sent_on_a_new_connection() {
    let (server, key) = (keys(), keys());
    let context = zmq::Context::new();
    // It reads nothing: what the child says waits on both sides.
    let (mute, endpoint) = raw_router(&context, &server, 1);
    let mut child = dealer(upstream(&endpoint, &key, &server));
    child.until_event(LinkEvent::Up).await;
    while child.handle.counters().not_sent == 0 {
        // `Err` = the queue to the thread is full, which counts as well.
        let _ = child.handle.try_send_up(vec![b"old".to_vec(), vec![0; 200 * 1024]]);
        tokio::task::yield_now().await;
    }
    mute.set_linger(0).unwrap();
    drop(mute);
    child
        .until_event(LinkEvent::Down {
            why: DownReason::Disconnected,
        })
        .await;
    let mut parent = router(RouterConfig::new(Listen::Tcp {
        endpoints: vec![endpoint],
        keys: server.clone(),
        allowed: allow(&[("h1", &key)]),
    }));
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "new");
    assert_eq!(parent.frame().await.1[2], b"new");
    assert_eq!(parent.handle.counters().frames_in, 1);
}

/// Says to the next test's other process that it is one.
const STARVED: &str = "WATCHTREE_LINK_TEST_STARVED";

/// Not a test of its own: the other process of the next one, which runs out of descriptors.
#[tokio::test]
async fn as_a_process_without_descriptors() {
    if std::env::var_os(STARVED).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let listen = || {
        RouterConfig::new(Listen::Ipc {
            path: path.clone(),
            uids: Vec::new(),
        })
    };
    let parent = router(listen());
    let mut child = dealer(Upstream::Ipc { path: path.clone() });
    child.until_event(LinkEvent::Up).await;
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(3),
        ..limit
    };
    setrlimit(Resource::Nofile, none).unwrap();
    assert!(parent.stop(Duration::ZERO).await.1);
    let handle = child.handle.clone();
    let before = handle.counters().recreated;
    eventually("it cannot make its socket", || {
        before + 2 <= handle.counters().recreated
    })
    .await;
    setrlimit(Resource::Nofile, limit).unwrap();
    let begin = Instant::now();
    let _parent = router(listen());
    child.until_event(LinkEvent::Up).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_child_that_had_no_descriptors_is_back_soon_after_it_has_some() {
    let status = tokio::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64 && exec \"$0\" --exact as_a_process_without_descriptors",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(STARVED, "1")
        .status();
    let status = tokio::time::timeout(3 * DEADLINE, status).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}
