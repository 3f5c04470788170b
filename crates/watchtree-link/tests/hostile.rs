//! What strangers and enrolled but wicked peers may try: garbage, other people's routing ids, no key at all.

mod common;

use common::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use watchtree_keys::{z85_decode, z85_encode};
use watchtree_link::{LinkEvent, Peer, Refusal};

fn address(endpoint: &str) -> &str {
    endpoint.strip_prefix("tcp://").unwrap()
}

#[tokio::test]
async fn a_chosen_routing_id_steals_nothing_and_locks_nobody_out() {
    let (server, good, wicked) = (keys(), keys(), keys());
    let (mut parent, endpoint) = tcp_router(&server, allow(&[("h1", &good), ("wicked", &wicked)]));
    let context = zmq::Context::new();
    let squat = |id: &[u8]| {
        let socket = context.socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_identity(id).unwrap();
        socket.set_curve_serverkey(&server.public().0).unwrap();
        socket.set_curve_publickey(&wicked.public().0).unwrap();
        socket.set_curve_secretkey(wicked.secret_bytes()).unwrap();
        socket.set_rcvtimeo(200).unwrap();
        socket.connect(&endpoint).unwrap();
        socket.send("it is me, h1", 0).unwrap();
        socket
    };
    // Before the real one comes, and again once it is there.
    let early = squat(b"h1");
    assert_eq!(parent.frame().await.0, node("wicked"));
    let mut child = tcp_dealer(&endpoint, &good, &[server.public()]);
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "hello");
    assert_eq!(parent.frame().await.0, node("h1"));
    let late = squat(b"h1.again");
    assert_eq!(parent.frame().await.0, node("wicked"));

    parent.send(&node("h1"), "a secret");
    assert_eq!(child.frame().await.1[2], b"a secret");
    assert!(early.recv_bytes(0).is_err() && late.recv_bytes(0).is_err());
    child.send(&Peer::Parent, "still me");
    assert_eq!(parent.frame().await.0, node("h1"));
}

#[tokio::test]
async fn garbage_on_the_port_changes_nothing() {
    let (server, good) = (keys(), keys());
    let (mut parent, endpoint) = tcp_router(&server, allow(&[("h1", &good)]));
    let mut child = tcp_dealer(&endpoint, &good, &[server.public()]);
    child.until_event(LinkEvent::Up).await;
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    greeting.extend(b"CURVE");
    greeting.resize(64, 0);
    let mut half_hello = greeting.clone();
    half_hello.extend([4, 200, 5]);
    half_hello.extend(b"HELLO\x01\x00");
    half_hello.extend([0; 192]);
    let mut giant = greeting.clone();
    giant.extend([6, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let mut null = greeting.clone();
    null[12..17].copy_from_slice(b"NULL\0");
    null.extend(b"\x04\x26\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER");
    let pieces: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 4096],
        &[0xff; 4096],
        &half_hello,
        &giant,
        &null,
        &[1, 0, 0x7f],
    ];
    let mut open = Vec::new();
    for piece in pieces {
        let mut stream = TcpStream::connect(address(&endpoint)).unwrap();
        // It may be closed in our face: just as well.
        let _ = stream.write_all(piece);
        open.push(stream);
    }
    let handle = parent.handle.clone();
    eventually("garbage is counted", || {
        handle.counters().refused(Refusal::BadHandshake) >= 3
    })
    .await;
    child.send(&Peer::Parent, "unmoved");
    assert_eq!(parent.frame().await.0, node("h1"));
    parent.send(&node("h1"), "neither am I");
    assert_eq!(child.frame().await.1[2], b"neither am I");
    let counters = parent.handle.counters();
    assert_eq!((counters.frames_in, counters.peers), (1, 1));
}

#[tokio::test]
async fn without_curve_nobody_gets_in() {
    let (server, good) = (keys(), keys());
    let (parent, endpoint) = tcp_router(&server, allow(&[("h1", &good)]));
    let context = zmq::Context::new();
    let plain = context.socket(zmq::DEALER).unwrap();
    plain.set_linger(0).unwrap();
    plain.connect(&endpoint).unwrap();
    plain.send("let me in", 0).unwrap();
    let handle = parent.handle.clone();
    eventually("it is refused", || handle.counters().refused(Refusal::BadHandshake) > 0).await;
    assert_eq!(handle.counters().frames_in, 0);
    drop(parent);
    let mut stream = TcpStream::connect(address(&endpoint));
    // Dropping the handle and the receiver ends the link: the port closes.
    eventually("the port closes", || {
        let closed = stream
            .as_mut()
            .map_or(true, |stream| stream.read(&mut [0; 64]).is_err());
        stream = TcpStream::connect(address(&endpoint));
        closed || stream.is_err()
    })
    .await;
}

#[test]
fn our_z85_is_libzmqs() {
    for _ in 0..100 {
        let key = keys().public();
        assert_eq!(zmq::z85_encode(&key.0).unwrap(), z85_encode(&key.0));
        assert_eq!(z85_decode(&key.to_string()), Some(key.0));
    }
    let pair = zmq::CurveKeyPair::new().unwrap();
    assert_eq!(
        zmq::z85_decode(&zmq::z85_encode(&pair.public_key).unwrap()).unwrap(),
        pair.public_key
    );
}
