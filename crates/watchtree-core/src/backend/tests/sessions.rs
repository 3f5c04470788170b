//! What begins and ends a session, and what is sent in one.

use super::*;
use crate::message::Goodbye;

#[test]
fn what_is_sent_to_a_child_goes_by_its_connection_with_numbers_that_grow() {
    let mut script = Script::joined();
    let (h1, h2) = (name("h1"), name("h2"));
    let header = script.backend.next_header(ms(5), Some(name("h1.docker.watchdog")));
    assert_eq!((header.seq, header.sent, header.slot), (2, ms(5), ms(5)));
    assert_eq!(header.target, Some(name("h1.docker.watchdog")));
    assert!(!script.backend.send_with(&h2, header.clone(), Message::SnapshotRequest));
    assert!(script.backend.send_with(&h1, header.clone(), Message::SnapshotRequest));
    let (peer, envelope) = script.backend.poll_outgoing().unwrap();
    assert_eq!((peer.connection, envelope.header), (1, header));
    assert!(!script.backend.ping(ms(6), &h2) && script.backend.ping(ms(6), &h1));
    let (_, envelope) = script.backend.poll_outgoing().unwrap();
    let Message::Ping { nonce } = envelope.message else {
        panic!("{envelope:?}");
    };
    assert_eq!(envelope.header.seq, 3);
    let health = crate::verdict::ObserverHealth(0);
    script.says(ms(7), Message::Pong { nonce, health });
    let pongs = core::iter::from_fn(|| script.backend.poll_happening()).filter(|it| *it == Happening::Pong(h1.clone()));
    assert_eq!(pongs.count(), 1);
}

#[test]
fn a_welcome_says_what_a_parent_can_and_wants() {
    let mut script = Script::joined();
    script.backend.tell_term(ms(1), 9);
    assert_eq!(script.backend.poll_outgoing(), None, "no news");
    script.backend.tell_term(ms(1), 10);
    let (_, envelope) = script.backend.poll_outgoing().unwrap();
    let Message::Welcome(welcome) = envelope.message else {
        panic!("{envelope:?}");
    };
    assert_eq!((welcome.term, welcome.ack_every, welcome.minor), (10, 2, 0));
    assert_eq!(welcome.capabilities, Capabilities(1 + 2 + 8), "reports, orders, events");
}

#[test]
fn a_life_that_ended_may_begin_anew_and_who_is_forgotten_is_unknown() {
    let mut script = Script::joined();
    let h1 = name("h1");
    script.says(ms(1), snapshot(0, true, &["h1/d/a"]));
    script.backend.life_ended(&h1);
    assert!(!script.backend.child(&h1).unwrap().is_fresh(ms(2)));
    assert_eq!(script.book(), ["h1/d/a"]);
    script.seq = 0;
    assert_eq!(script.says(ms(3), beat(2, 0)), ["ack 2"], "its frames are counted anew");
    script.backend.forget(&h1);
    assert!(script.backend.child(&h1).is_none());
    assert_eq!(script.says(ms(4), beat(4, 0)), ["rehello"]);
    script.backend.forget(&h1);
    assert_eq!(
        script.says(ms(5), beat(6, 0)),
        ["rehello"],
        "nobody has asked it lately"
    );
}

#[test]
fn a_child_that_says_goodbye_has_left_until_its_next_hello() {
    let mut script = Script::joined();
    script.says(ms(1), Message::Goodbye(Goodbye::Leaving));
    let left = Happening::Left {
        name: name("h1"),
        goodbye: Goodbye::Leaving,
    };
    assert!(core::iter::from_fn(|| script.backend.poll_happening()).any(|it| it == left));
    assert!(script.backend.child(&name("h1")).unwrap().has_left());
    script.says(ms(2), hello(identity("h1", Tier::Host)));
    assert!(!script.backend.child(&name("h1")).unwrap().has_left());
}

#[test]
fn a_clone_is_told_to_the_owner_and_no_other_refusal_is() {
    let mut script = Script::joined();
    while script.backend.poll_happening().is_some() {}
    let other = NodeIdentity {
        boot_id: BootId([2; 16]),
        ..identity("h1", Tier::Host)
    };
    let header = Header::new(&other, 9, ms(1));
    let message = hello(other);
    assert_eq!(script.frame(ms(1), "h1", Envelope { header, message }), ["clone"]);
    let happening = script.backend.poll_happening();
    assert!(matches!(happening, Some(Happening::Cloned { .. })), "{happening:?}");
    script.seq = 0;
    script.says(ms(500), hello(identity("h1", Tier::Host)));
    assert_eq!(script.backend.poll_happening(), None, "a replay is nobody's news");
}

#[test]
fn a_backend_has_room_for_so_many_children() {
    let mut backend = backend();
    let mut welcomed = 0;
    for i in 0..=Backend::CHILDREN_MAX {
        let id = identity(&format!("n{i}"), Tier::Host);
        let peer = Peer {
            name: id.name.clone(),
            connection: 1,
        };
        let header = Header::new(&id, 1, ms(0));
        let message = hello(id);
        let envelope = Envelope { header, message };
        backend.handle(ms(0), BackendInput::Received { peer, envelope });
        let (_, answer) = backend.poll_outgoing().unwrap();
        welcomed += usize::from(matches!(answer.message, Message::Welcome(_)));
    }
    assert_eq!(welcomed, Backend::CHILDREN_MAX);
    assert_eq!(backend.refused().get(&Refusal::NotAdmitted), Some(&1));
}
