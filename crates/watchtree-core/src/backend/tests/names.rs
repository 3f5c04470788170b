//! In whose name a child may speak.

use super::*;

#[test]
fn a_decision_may_be_about_what_is_above_a_child_and_not_about_what_is_beside_it() {
    let about = |text| fixture::decision(text, 1);
    let read = |decision| {
        let message = Message::Events {
            decisions: vec![decision],
            dropped: 0,
        };
        let read = reading::read(message, &name("n"), &subject("h1/docker"), |_| false);
        read.map_err(|rejection| rejection.refusal).err()
    };
    for text in ["h1", "h1/docker", "h1/docker/web"] {
        assert_eq!(read(about(text)), None, "{text}");
    }
    for text in ["h2", "h1/podman", "h1/dock"] {
        assert_eq!(read(about(text)), Some(Refusal::OutOfScope), "{text}");
    }
}

fn decided_by(node: &str) -> Message {
    let mut decision = fixture::decision("h1/docker/web", 1);
    decision.id.node = name(node);
    Message::Events {
        decisions: vec![decision],
        dropped: 0,
    }
}

#[test]
fn a_decision_in_the_name_of_a_node_elsewhere_is_refused() {
    let mut script = Script::joined();
    // Another host whose name begins like a node below h1.
    let neighbour = Envelope {
        header: Header::new(&identity("h1.example", Tier::Host), 1, ms(0)),
        message: hello(identity("h1.example", Tier::Host)),
    };
    assert_eq!(script.frame(ms(0), "h1.example", neighbour), ["welcome"]);
    let foreign = [
        "h2",
        "h",
        "h11",
        "h1x.docker.watchdog",
        "manager",
        "h1.example",
        "h1.example.docker.watchdog",
    ];
    let mut now = 1000;
    for node in foreign {
        now += 1000;
        assert_eq!(script.says(ms(now), decided_by(node)), ["out_of_scope"], "{node}");
    }
    assert_eq!(script.backend.refused()[&Refusal::OutOfScope], foreign.len() as u64);
    let events = |script: &mut Script| {
        let happenings = core::iter::from_fn(|| script.backend.poll_happening());
        happenings.filter(|it| matches!(it, Happening::Events { .. })).count()
    };
    assert_eq!(events(&mut script), 0);
    for node in ["h1", "h1.docker.watchdog", "h1.exam"] {
        assert_eq!(script.says(ms(now), decided_by(node)), [""; 0], "{node}");
    }
    assert_eq!(events(&mut script), 3);
}
