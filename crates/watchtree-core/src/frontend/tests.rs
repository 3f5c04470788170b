//! The child's side of a session: what the roles' own tests do not reach.

use super::*;
use crate::fixture::identity;
use crate::id::Tier;
use crate::message::Capabilities;
use alloc::string::ToString;

fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

struct Script {
    frontend: Frontend,
    parent_seq: u64,
}

impl Script {
    fn greeting() -> Self {
        let settings = FrontendSettings {
            identity: identity("h1", Tier::Host, 1),
            capabilities: Capabilities(0),
            scope: SubjectId::new("h1").unwrap(),
            beat_wanted: Duration::from_millis(500),
            look_at: Vec::new(),
        };
        let mut frontend = Frontend::new(settings, ms(0));
        frontend.handle(ms(0), FrontendInput::Up);
        Self {
            frontend,
            parent_seq: 0,
        }
    }

    fn joined() -> Self {
        let mut script = Self::greeting();
        let welcome = Welcome {
            identity: identity("manager", Tier::Manager, 1),
            minor: 0,
            capabilities: Capabilities(0),
            beat_every: Duration::from_millis(500),
            ack_every: 1,
            parent_silence: Duration::from_secs(5),
            term: 1,
            digest: Digest::default(),
        };
        script.hears(ms(1), Message::Welcome(welcome));
        assert_eq!(script.notices(), ["Joined"]);
        script
    }

    fn hears(&mut self, now: Moment, message: Message) {
        self.parent_seq += 1;
        let header = Header::new(&identity("manager", Tier::Manager, 1), self.parent_seq, now);
        self.frontend
            .handle(now, FrontendInput::Received(Envelope { header, message }));
    }

    fn acks(&mut self, now: Moment) {
        let ack = BeatAck {
            number: 0,
            sent_echo: ms(0),
            held: Duration::ZERO,
        };
        self.hears(now, Message::BeatAck(ack));
    }

    /// Runs until then, as a driver would; the kinds of frames that went out.
    fn runs_until(&mut self, end: Moment) -> Vec<&'static str> {
        while let Some(due) = self.frontend.next_deadline().filter(|due| *due <= end) {
            self.frontend.handle_timeout(due);
        }
        core::iter::from_fn(|| self.frontend.poll_envelope())
            .map(|envelope| match envelope.message {
                Message::Hello(_) => "hello",
                Message::Beat(_) => "beat",
                _ => "other",
            })
            .collect()
    }

    /// The names of the notices since.
    fn notices(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.frontend.poll_notice())
            .map(|notice| {
                let text = alloc::format!("{notice:?}");
                text.split([' ', '(']).next().unwrap_or_default().to_string()
            })
            .collect()
    }
}

#[test]
fn a_refusal_is_over_when_frames_are_taken_again_and_not_while_it_is_repeated() {
    let mut script = Script::joined();
    let refused = || Message::Refused {
        seq: 3,
        reason: "out_of_scope".to_string(),
        detail: String::new(),
    };
    for second in [1, 4, 7, 12] {
        script.hears(ms(1000 * second), refused());
        assert_eq!(script.notices(), ["Refused"]);
        script.acks(ms(1000 * second + 500));
        assert!(script.notices().is_empty(), "it may be repeated");
    }
    script.acks(ms(21_999));
    assert!(script.notices().is_empty());
    script.acks(ms(22_000));
    assert_eq!(script.notices(), ["Accepted"]);
    script.acks(ms(40_000));
    assert!(script.notices().is_empty(), "once");
}

#[test]
fn the_silence_of_the_parent_is_a_notice_and_nothing_else() {
    let mut script = Script::joined();
    script.runs_until(ms(5000));
    assert!(script.notices().is_empty());
    let sent = script.runs_until(ms(60_000));
    assert_eq!(script.notices(), ["ParentSilent"], "once");
    assert!(
        sent.iter().all(|kind| *kind == "beat"),
        "it beats on, no more: {sent:?}"
    );
    script.acks(ms(60_001));
    assert_eq!(script.notices(), ["ParentBack"]);
}

#[test]
fn a_parent_that_answers_no_hello_is_silent_too() {
    let mut script = Script::greeting();
    let sent = script.runs_until(ms(6000));
    assert_eq!(
        sent.iter().filter(|kind| **kind == "hello").count(),
        4,
        "every 2 s: {sent:?}"
    );
    assert_eq!(script.notices(), ["ParentSilent"]);
}
