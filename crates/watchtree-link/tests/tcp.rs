//! Router and dealer over tcp with CURVE: who is who, who may, how it ends.

mod common;

use common::*;
use std::time::{Duration, Instant};
use watchtree_link::{DownReason, LinkError, LinkEvent, Listen, NotSent, Peer, Refusal, Router, RouterConfig};

#[tokio::test]
async fn frames_go_both_ways_under_the_names_of_the_keys() {
    let (server, k1, k2) = (keys(), keys(), keys());
    let (mut parent, endpoint) = tcp_router(&server, allow(&[("h1", &k1), ("h2", &k2)]));
    let mut h1 = tcp_dealer(&endpoint, &k1, &[server.public()]);
    let mut h2 = tcp_dealer(&endpoint, &k2, &[server.public()]);
    h1.until_event(LinkEvent::Up).await;
    h2.until_event(LinkEvent::Up).await;
    h1.send(&Peer::Parent, "one");
    let seen = parent
        .until("h1 seen", |event| match event {
            LinkEvent::PeerSeen { peer, address, .. } => Some((peer, address)),
            _ => None,
        })
        .await;
    assert_eq!(seen, (node("h1"), Some("127.0.0.1".parse().unwrap())));
    assert_eq!(
        parent.frame().await,
        (node("h1"), vec![b"WT1".to_vec(), b"header".to_vec(), b"one".to_vec()])
    );
    h2.send(&Peer::Parent, "two");
    assert_eq!(parent.frame().await.0, node("h2"));
    parent.send(&node("h2"), "to two");
    parent.send(&node("h1"), "to one");
    assert_eq!(h1.frame().await.1[2], b"to one");
    assert_eq!(h2.frame().await.1[2], b"to two");

    parent.send(&node("h3"), "to nobody");
    parent
        .until_event(LinkEvent::NotSent {
            peer: node("h3"),
            why: NotSent::NoPeer,
            count: 1,
        })
        .await;
    let counters = parent.handle.counters();
    assert_eq!(
        (
            counters.frames_in,
            counters.frames_out,
            counters.peers,
            counters.not_sent
        ),
        (2, 2, 2, 1)
    );
    drop(h1);
    parent.until_gone(node("h1")).await;
}

#[tokio::test]
async fn an_unknown_key_is_refused_until_it_is_enrolled_and_again_after_it_is_withdrawn() {
    let (server, known, new) = (keys(), keys(), keys());
    let (mut parent, endpoint) = tcp_router(&server, allow(&[("h1", &known)]));
    let mut child = tcp_dealer(&endpoint, &new, &[server.public()]);
    child
        .until_event(LinkEvent::Down {
            why: DownReason::Refused,
        })
        .await;
    let address = parent
        .until("a refusal", |event| match event {
            LinkEvent::Refused {
                why: Refusal::UnknownKey,
                address,
                ..
            } => Some(address),
            _ => None,
        })
        .await;
    assert_eq!(address, "127.0.0.1");
    assert!(!child.handle.is_up());
    assert_eq!(child.handle.try_send_up(vec![b"x".to_vec()]), Err(NotSent::Down));

    parent.handle.set_allowed(allow(&[("h1", &known), ("h2", &new)]));
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "here I am");
    assert_eq!(parent.frame().await.0, node("h2"));
    assert!(1 <= child.handle.counters().recreated);
    assert_eq!(
        parent.handle.counters().refused(Refusal::UnknownKey),
        child.handle.counters().recreated
    );

    parent.handle.set_allowed(allow(&[("h1", &known)]));
    parent.until_gone(node("h2")).await;
    child.send(&Peer::Parent, "still here");
    parent
        .until("a refusal", |event| {
            matches!(
                event,
                LinkEvent::Refused {
                    why: Refusal::Revoked,
                    ..
                }
            )
            .then_some(())
        })
        .await;
    assert_eq!(parent.handle.counters().frames_in, 1);
}

#[tokio::test]
async fn both_keys_of_a_node_are_that_node_and_the_latest_connection_gets_the_frames() {
    let (server, old, new) = (keys(), keys(), keys());
    let (mut parent, endpoint) = tcp_router(&server, allow(&[("h1", &old), ("h1", &new)]));
    let mut before = tcp_dealer(&endpoint, &old, &[server.public()]);
    before.until_event(LinkEvent::Up).await;
    before.send(&Peer::Parent, "old key");
    assert_eq!(parent.frame().await.0, node("h1"));
    let mut after = tcp_dealer(&endpoint, &new, &[server.public()]);
    after.until_event(LinkEvent::Up).await;
    after.send(&Peer::Parent, "new key");
    assert_eq!(parent.frame().await.0, node("h1"));
    parent.send(&node("h1"), "for the latest");
    assert_eq!(after.frame().await.1[2], b"for the latest");
    // The end of the old connection is not the end of the peer.
    drop(before);
    after.send(&Peer::Parent, "more");
    assert_eq!(parent.frame().await.0, node("h1"));
    assert_eq!(parent.handle.counters().reconnects, 1);
}

#[tokio::test]
async fn a_child_finds_a_restarted_parent_and_a_parent_with_its_next_key() {
    let (server, next, key) = (keys(), keys(), keys());
    let (parent, endpoint) = tcp_router(&server, allow(&[("h1", &key)]));
    let mut child = tcp_dealer(&endpoint, &key, &[server.public(), next.public()]);
    child.until_event(LinkEvent::Up).await;
    let (_, clean) = parent.stop(Duration::ZERO).await;
    assert!(clean);
    child
        .until_event(LinkEvent::Down {
            why: DownReason::Disconnected,
        })
        .await;
    child
        .until_event(LinkEvent::Down {
            why: DownReason::Unreachable,
        })
        .await;

    let again = |server| {
        let endpoints = vec![endpoint.clone()];
        router(RouterConfig::new(Listen::Tcp {
            endpoints,
            keys: server,
            allowed: allow(&[("h1", &key)]),
        }))
    };
    let mut parent = again(server.clone());
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "back");
    assert_eq!(parent.frame().await.0, node("h1"));

    assert!(parent.stop(Duration::ZERO).await.1);
    let mut parent = again(next.clone());
    child
        .until_event(LinkEvent::Down {
            why: DownReason::Handshake,
        })
        .await;
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "by the next key");
    assert_eq!(parent.frame().await.0, node("h1"));
}

#[tokio::test]
async fn a_frame_over_the_limit_is_counted_and_dropped_or_ends_the_connection_and_the_child_comes_back() {
    let (server, key, other) = (keys(), keys(), keys());
    let mut config = tcp_config(&server, allow(&[("h1", &key), ("h2", &other)]));
    config.limits.out_bytes_max = 8 * 1024 * 1024;
    let mut parent = router(config);
    let endpoint = parent.handle.bound()[0].clone();
    let mut child = tcp_dealer(&endpoint, &key, &[server.public()]);
    child.until_event(LinkEvent::Up).await;
    let of = |bytes: usize| vec![vec![0; bytes]];
    assert_eq!(child.handle.try_send_up(of(256 * 1024 + 1)), Err(NotSent::TooLarge));
    assert_eq!(child.handle.try_send_up(vec![Vec::new(); 9]), Err(NotSent::TooLarge));
    assert_eq!(child.handle.try_send_up(Vec::new()), Err(NotSent::TooLarge));
    child.handle.try_send_up(of(256 * 1024)).unwrap();
    assert_eq!(parent.frame().await.1[0].len(), 256 * 1024);

    // A peer of another make keeps to no limit.
    let context = zmq::Context::new();
    let foreign = raw_dealer(&context, &endpoint, &other, server.public());
    foreign.send_multipart(of(256 * 1024 + 1), 0).unwrap();
    parent
        .until("too large", |event| {
            matches!(
                event,
                LinkEvent::Refused {
                    why: Refusal::TooLarge,
                    ..
                }
            )
            .then_some(())
        })
        .await;
    foreign.send_multipart(vec![b"x".to_vec(); 9], 0).unwrap();
    parent
        .until("too many parts", |event| {
            matches!(
                event,
                LinkEvent::Refused {
                    why: Refusal::BadParts,
                    ..
                }
            )
            .then_some(())
        })
        .await;
    foreign.send_multipart(of(4 * 1024 * 1024), 0).unwrap();
    parent.until_gone(node("h2")).await;

    // The parent's own frame over the child's limit: libzmq gives the connection up for good, the child makes a new one.
    parent
        .handle
        .try_send(&node("h1"), parent.route(&node("h1")), of(4 * 1024 * 1024))
        .unwrap();
    child
        .until_event(LinkEvent::Down {
            why: DownReason::Disconnected,
        })
        .await;
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "still alive");
    assert_eq!(parent.frame().await.0, node("h1"));
    drop(foreign);
}

#[tokio::test]
async fn a_taken_port_and_a_bad_endpoint_are_named() {
    let (server, key) = (keys(), keys());
    let (_parent, endpoint) = tcp_router(&server, allow(&[("h1", &key)]));
    let start = |endpoint: &str| {
        let listen = Listen::Tcp {
            endpoints: vec![endpoint.into()],
            keys: server.clone(),
            allowed: allow(&[]),
        };
        Router::start(RouterConfig::new(listen), clock()).err().unwrap()
    };
    let taken = start(&endpoint);
    assert!(
        matches!(taken, LinkError::Taken { .. }) && taken.to_string().contains(&endpoint),
        "{taken}"
    );
    assert_eq!(taken.exit_code(), 8);
    for bad in [
        "udp://127.0.0.1:1",
        "ws://127.0.0.1:1",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
        "tcp://:1",
        "tcp://203.0.113.9:7411",
    ] {
        let error = start(bad);
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn names_and_both_families_connect() {
    let (server, key) = (keys(), keys());
    let start = |endpoint: &str| {
        let listen = Listen::Tcp {
            endpoints: vec![endpoint.into()],
            keys: server.clone(),
            allowed: allow(&[("h1", &key)]),
        };
        let parent = router(RouterConfig::new(listen));
        let port = parent.handle.bound()[0].rsplit_once(':').unwrap().1.to_string();
        (parent, port)
    };
    let (_v4, port_v4) = start("tcp://127.0.0.1:0");
    let (_any, port_any) = start("tcp://*:0");
    let has_v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let more = has_v6.then(|| format!("tcp://[::1]:{port_any}"));
    let endpoints = [
        format!("tcp://localhost:{port_v4}"),
        format!("tcp://127.0.0.1:{port_any}"),
    ];
    for endpoint in endpoints.into_iter().chain(more) {
        tcp_dealer(&endpoint, &key, &[server.public()])
            .until_event(LinkEvent::Up)
            .await;
    }
}

#[tokio::test]
async fn the_end_has_a_bound_with_unsent_frames_and_a_frozen_or_absent_peer() {
    let (server, key) = (keys(), keys());
    // A parent that accepts and never reads: the frames stay in the buffers.
    let context = zmq::Context::new();
    let mute = context.socket(zmq::ROUTER).unwrap();
    mute.set_linger(0).unwrap();
    mute.set_rcvhwm(1).unwrap();
    mute.set_curve_server(true).unwrap();
    mute.set_curve_secretkey(server.secret_bytes()).unwrap();
    mute.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = mute.get_last_endpoint().unwrap().unwrap();
    let mut child = tcp_dealer(&endpoint, &key, &[server.public()]);
    child.until_event(LinkEvent::Up).await;
    let mut sent = 0;
    while child.handle.counters().not_sent == 0 {
        sent += usize::from(child.handle.try_send_up(vec![vec![0; 200 * 1024]]).is_ok());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(sent < 10_000, "nothing pushes back");
    }
    child
        .until("not sent", |event| {
            matches!(
                event,
                LinkEvent::NotSent {
                    why: NotSent::PeerFull,
                    ..
                }
            )
            .then_some(())
        })
        .await;
    let (took, clean) = child.stop(Duration::from_secs(1)).await;
    assert!(clean && took < Duration::from_secs(2), "{took:?} {clean}");

    // Nobody there at all.
    let absent = tcp_dealer("tcp://127.0.0.1:1", &key, &[server.public()]);
    let (took, clean) = absent.stop(Duration::from_secs(1)).await;
    assert!(clean && took < Duration::from_secs(1), "{took:?} {clean}");
    drop(mute);
}

#[tokio::test]
async fn what_was_taken_is_sent_before_the_end() {
    let (server, key) = (keys(), keys());
    let (mut parent, endpoint) = tcp_router(&server, allow(&[("h1", &key)]));
    let mut child = tcp_dealer(&endpoint, &key, &[server.public()]);
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "hello");
    parent.frame().await;
    parent.send(&node("h1"), "goodbye, child");
    let parent_ends = tokio::spawn(parent.stop(Duration::from_secs(1)));
    assert_eq!(child.frame().await.1[2], b"goodbye, child");
    let (took, clean) = parent_ends.await.unwrap();
    assert!(clean && took < Duration::from_secs(2), "{took:?}");
    let handle = child.handle.clone();
    child.stop(Duration::from_millis(100)).await;
    assert!(matches!(
        handle.try_send_up(vec![b"x".to_vec()]),
        Err(NotSent::Down | NotSent::Closed)
    ));
}

#[tokio::test]
async fn a_receiver_that_sleeps_holds_the_sender_back_and_loses_nothing() {
    let (server, key) = (keys(), keys());
    let mut config = tcp_config(&server, allow(&[("h1", &key)]));
    config.limits.events_max = 4;
    let mut parent = router(config);
    let endpoint = parent.handle.bound()[0].clone();
    let mut child = tcp_dealer(&endpoint, &key, &[server.public()]);
    child.until_event(LinkEvent::Up).await;
    for number in 0..50 {
        child.send(&Peer::Parent, &number.to_string());
    }
    let handle = parent.handle.clone();
    eventually("reading pauses", || handle.counters().pauses > 0).await;
    for number in 0..50 {
        assert_eq!(parent.frame().await.1[2], number.to_string().into_bytes());
    }
    assert_eq!(handle.counters().events_dropped, 0);
}

#[tokio::test]
async fn two_hundred_connects_pass_the_monitor() {
    let (server, key) = (keys(), keys());
    let (mut parent, endpoint) = tcp_router(&server, allow(&[("h1", &key)]));
    let context = zmq::Context::new();
    let begin = Instant::now();
    let sockets: Vec<_> = (0..200)
        .map(|_| raw_dealer(&context, &endpoint, &key, server.public()))
        .collect();
    for socket in &sockets {
        socket.send("beat", 0).unwrap();
    }
    for _ in 0..200 {
        assert_eq!(parent.frame().await.0, node("h1"));
    }
    assert_eq!(parent.handle.counters().handshakes, 200, "in {:?}", begin.elapsed());
    drop(sockets);
    parent.until_gone(node("h1")).await;
    let handle = parent.handle.clone();
    eventually("nobody is left", || handle.counters().peers == 0).await;
}
