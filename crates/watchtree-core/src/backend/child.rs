//! One child: its downlink session, what it said of itself, what it reported, when it was heard.
//!
//! Its life (boot and epoch) and the numbers of its frames tell the present from the past and from a clone. Stays when the
//! session is over. Knows no other child and sends nothing: its backend does.

use super::io::{Peer, Refusal};
use super::reading::{Rejection, differ};
use super::reported::{Missing, Reported};
use crate::detector::Detector;
use crate::id::NodeIdentity;
use crate::message::{Digest, Goodbye, Header, Hello};
use crate::time::{Duration, Moment};
use crate::tree::Book;
use alloc::format;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Child {
    hello: Hello,
    reported: Reported,
    /// How it left, until it says Hello again.
    left: Option<Goodbye>,
    /// Of all it reports, by its last beat.
    digest: Digest,
    peer: Peer,
    detector: Detector,
    /// Of the newest frame taken from the present life.
    last_seq: u64,
    /// It has not said Hello since it was told of a new term: that frame may be lost.
    term_unheard: bool,
    /// Nonce of the open Ping, and when it was sent.
    ping: Option<(u64, Moment)>,
}

impl Child {
    /// A child that has said Hello for the first time. Nothing was heard yet: see [`Self::heard`].
    pub(super) fn new(hello: Hello, peer: Peer, detector: Detector) -> Self {
        Self {
            hello,
            reported: Reported::default(),
            left: None,
            digest: Digest::default(),
            peer,
            detector,
            last_seq: 0,
            term_unheard: false,
            ping: None,
        }
    }

    /// The child after it has said Hello again. `detector` is a new one: a restarted daemon beats on the same clock as long
    /// as its machine did not boot, so what is known of that clock stays, and a Hello that was held back on the way does not
    /// pass for a fresh one.
    pub(super) fn greeted(self, hello: Hello, peer: Peer, detector: Detector) -> Self {
        let (old, new) = (&self.hello.identity, &hello.identity);
        let is_same_clock = (old.node_id, old.boot_id) == (new.node_id, new.boot_id);
        let is_new_life = self.is_new_life(new);
        let detector = if is_same_clock { self.detector } else { detector };
        let reported = self.reported.greeted(is_new_life);
        if is_new_life {
            return Self {
                reported,
                ..Self::new(hello, peer, detector)
            };
        }
        Self {
            hello,
            reported,
            left: None,
            peer,
            detector,
            term_unheard: false,
            ..self
        }
    }

    /// What it said of itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What it reported.
    pub fn book(&self) -> &Book {
        self.reported.book()
    }

    /// True if the book holds, as far as its last beat tells, all that the child has to report.
    pub fn book_is_whole(&self) -> bool {
        self.reported.is_whole(&self.digest)
    }

    /// True if it said goodbye, and no Hello since.
    pub fn has_left(&self) -> bool {
        self.left.is_some()
    }

    /// Until when it counts as fresh, on our clock.
    pub fn fresh_until(&self) -> Option<Moment> {
        self.detector.fresh_until()
    }

    /// True while it counts as fresh.
    pub fn is_fresh(&self, now: Moment) -> bool {
        self.detector.is_fresh(now)
    }

    /// Slot of its newest sign of life (its clock) and when that came (ours).
    pub fn newest(&self) -> Option<(Moment, Moment)> {
        self.detector.newest()
    }

    /// Its clock now, never later than the truth; `None` before it was heard.
    pub fn its_now(&self, now: Moment) -> Option<Moment> {
        self.detector.theirs(now)
    }

    /// A moment of its clock on ours.
    pub fn our_moment(&self, theirs: Moment) -> Option<Moment> {
        self.detector.ours(theirs)
    }

    /// The connection it was heard over last.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// True if a node of that identity is another node than the known one, or lives another life.
    pub(super) fn is_new_life(&self, id: &NodeIdentity) -> bool {
        let life = |id: &NodeIdentity| (id.node_id, id.boot_id, id.agent_epoch);
        life(&self.hello.identity) != life(id)
    }

    /// Tells a restart, a reboot and a reinstall (all welcome) from a clone and from the past.
    pub(super) fn check_hello(&self, now: Moment, header: &Header, id: &NodeIdentity) -> Result<(), Rejection> {
        let last = &self.hello.identity;
        let is_alive = self.is_fresh(now) && !self.has_left();
        let is_same_boot = last.boot_id == id.boot_id;
        if last.node_id != id.node_id {
            if is_alive {
                let why = format!(
                    "two nodes show the name {}: node id {} lives, {} came; give one of them a name and a key of its own",
                    id.name, last.node_id, id.node_id
                );
                return Err(Rejection::new(Refusal::Clone, why));
            }
            return Ok(());
        }
        if !is_same_boot && is_alive {
            let why = format!(
                "node {} lives in boot {} and shows up in boot {}: a copied machine? remove its state folder",
                id.name, last.boot_id, id.boot_id
            );
            return Err(Rejection::new(Refusal::Clone, why));
        }
        if !is_same_boot {
            return Ok(());
        }
        self.check_epoch(header)?;
        if id.agent_epoch == last.agent_epoch {
            self.check_seq(header)?;
        }
        Ok(())
    }

    /// True if a frame with this header may be one of its session: of the life that said Hello, or of one before.
    pub(super) fn is_in_session(&self, header: &Header) -> bool {
        let id = &self.hello.identity;
        id.boot_id == header.boot_id && header.agent_epoch <= id.agent_epoch
    }

    /// Refuses a frame of the past.
    pub(super) fn check_frame(&self, header: &Header) -> Result<(), Rejection> {
        self.check_epoch(header)?;
        self.check_seq(header)
    }

    fn check_epoch(&self, header: &Header) -> Result<(), Rejection> {
        let (came, last) = (header.agent_epoch, self.hello.identity.agent_epoch);
        if came < last {
            let why = format!("epoch {} is over, {} has spoken", came.0, last.0);
            return Err(Rejection::new(Refusal::StaleEpoch, why));
        }
        Ok(())
    }

    fn check_seq(&self, header: &Header) -> Result<(), Rejection> {
        if header.seq <= self.last_seq {
            let why = format!("seq {} after {}", header.seq, self.last_seq);
            return Err(Rejection::new(Refusal::ReplayedSeq, why));
        }
        Ok(())
    }

    /// Takes a frame as a sign of life, by its slot.
    pub(super) fn heard(&mut self, now: Moment, peer: Peer, header: &Header) {
        self.peer = peer;
        self.last_seq = header.seq;
        self.detector.heard(header.slot, now);
    }

    /// Takes the digest of a beat: what it has that we have not.
    pub(super) fn compare(&mut self, digest: Digest) -> Missing {
        let missing = self.reported.compare(&digest);
        self.digest = digest;
        missing
    }

    /// True if it says of a session's begin that it has reported something else than we know of it.
    pub(super) fn is_behind(&self) -> bool {
        differ(&self.hello.digest, &self.book().digest())
    }

    /// What it reports goes here.
    pub(super) fn reported_mut(&mut self) -> &mut Reported {
        &mut self.reported
    }

    /// A Ping with this nonce is on its way.
    pub(super) fn pinged(&mut self, now: Moment, nonce: u64) {
        self.ping = Some((nonce, now));
    }

    /// Takes a Pong; true if it answers our Ping. One that took longer than `within` was held back on the way: it proves that
    /// its sender lived then, not that it lives now, and it must not teach the detector that such a delay is the way's own.
    pub(super) fn pong(&mut self, now: Moment, header: &Header, nonce: u64, within: Duration) -> bool {
        let Some((_, asked)) = self.ping.take_if(|(open, _)| *open == nonce) else {
            return false;
        };
        if within < now.since(asked) {
            return false;
        }
        self.detector.confirmed(header.slot, now);
        true
    }

    /// It said goodbye.
    pub(super) fn leave(&mut self, goodbye: Goodbye) {
        self.left = Some(goodbye);
    }

    /// It is told of a new term.
    pub(super) fn told_term(&mut self) {
        self.term_unheard = true;
    }

    /// True while it may not have heard of the newest term.
    pub(super) fn is_term_unheard(&self) -> bool {
        self.term_unheard
    }

    /// Its process is gone: the life is over. What it reported stays; `detector` is a new one.
    pub(super) fn life_ended(&mut self, detector: Detector) {
        self.detector = detector;
        self.last_seq = 0;
        self.reported.life_ended();
        self.ping = None;
    }
}

#[cfg(test)]
mod tests {
    //! Lives, the past and clones; what a new session keeps; Pongs.
    use super::*;
    use crate::backend::reading::SnapshotChunk;
    use crate::fixture::{identity, name, subject};
    use crate::id::{AgentEpoch, BootId, NodeId, Tier};
    use crate::message::Capabilities;
    use alloc::vec::Vec;

    const BEAT: Duration = Duration::from_millis(500);
    const MARGIN: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn peer(connection: u64) -> Peer {
        let name = name("h1");
        Peer { name, connection }
    }

    fn detector() -> Detector {
        Detector::new(BEAT, MARGIN)
    }

    /// h1 with the last byte of node id and boot, and the epoch.
    fn life(node: u8, boot: u8, epoch: u64) -> NodeIdentity {
        NodeIdentity {
            node_id: NodeId([node; 16]),
            boot_id: BootId([boot; 16]),
            agent_epoch: AgentEpoch(epoch),
            ..identity("h1", Tier::Host, 0)
        }
    }

    fn hello(identity: NodeIdentity) -> Hello {
        Hello {
            identity,
            minor_min: 0,
            minor_max: 0,
            capabilities: Capabilities(0),
            scope: subject("h1"),
            digest: Digest::default(),
            beat_wanted: BEAT,
            look_at: Vec::new(),
        }
    }

    /// Of node 1 in boot 1 and epoch 5, heard with frame 10 at 100 s of ours and 0 s of its own.
    fn child() -> Child {
        let mut child = Child::new(hello(life(1, 1, 5)), peer(1), detector());
        child.heard(ms(100_000), peer(1), &Header::new(&life(1, 1, 5), 10, ms(0)));
        child
    }

    #[test]
    fn a_hello_is_told_from_a_clone_and_from_the_past() {
        let (stale, replay) = (Some(Refusal::StaleEpoch), Some(Refusal::ReplayedSeq));
        // Node, boot, epoch and seq of the Hello; how it is refused while the known one is alive, and when it is silent.
        let cases = [
            (1, 1, 5, 11, None, None),
            (1, 1, 5, 10, replay, replay),
            (1, 1, 6, 1, None, None),
            (1, 1, 4, 11, stale, stale),
            (1, 2, 6, 1, Some(Refusal::Clone), None),
            (1, 2, 4, 1, Some(Refusal::Clone), None),
            (2, 1, 5, 11, Some(Refusal::Clone), None),
            (2, 1, 4, 1, Some(Refusal::Clone), None),
            (2, 2, 5, 1, Some(Refusal::Clone), None),
        ];
        for (node, boot, epoch, seq, alive, silent) in cases {
            let id = life(node, boot, epoch);
            let header = Header::new(&id, seq, ms(0));
            let refusal = |child: &Child, now| child.check_hello(now, &header, &id).err().map(|it| it.refusal);
            let mut child = child();
            assert_eq!(refusal(&child, ms(101_499)), alive, "{id:?} {seq}");
            assert_eq!(refusal(&child, ms(101_500)), silent, "{id:?} {seq}");
            child.leave(Goodbye::HostShutdown);
            assert_eq!(
                refusal(&child, ms(100_001)),
                silent,
                "who has left is not alive: {id:?} {seq}"
            );
        }
    }

    #[test]
    fn a_frame_is_of_the_session_of_the_past_or_of_a_life_unknown() {
        // Boot, epoch and seq; whether the session is asked, and what it says.
        let cases = [
            (1, 5, 11, true, None),
            (1, 5, 10, true, Some(Refusal::ReplayedSeq)),
            (1, 4, 11, true, Some(Refusal::StaleEpoch)),
            (1, 6, 1, false, None),
            (2, 5, 11, false, None),
            (2, 6, 11, false, None),
        ];
        for (boot, epoch, seq, is_in_session, refusal) in cases {
            let header = Header::new(&life(1, boot, epoch), seq, ms(0));
            let child = child();
            assert_eq!(child.is_in_session(&header), is_in_session, "{boot} {epoch}");
            if is_in_session {
                assert_eq!(child.check_frame(&header).err().map(|it| it.refusal), refusal);
            }
        }
    }

    #[test]
    fn a_new_session_keeps_what_is_still_true() {
        // Who says Hello; whether it is a new life, and whether the clock is the same.
        let cases = [
            (life(1, 1, 5), false, true),
            (life(1, 1, 6), true, true),
            (life(1, 2, 6), true, false),
            (life(2, 1, 5), true, false),
        ];
        for (id, is_new_life, is_same_clock) in cases {
            let mut old = child();
            old.leave(Goodbye::HostShutdown);
            old.told_term();
            old.pinged(ms(100_000), 7);
            assert!(old.has_left() && old.is_term_unheard());
            assert_eq!(old.is_new_life(&id), is_new_life, "{id:?}");
            let mut new = old.greeted(hello(id.clone()), peer(2), detector());
            assert_eq!((&new.hello().identity, new.peer()), (&id, &peer(2)));
            assert!(!new.has_left() && !new.is_term_unheard(), "{id:?}");
            assert_eq!(new.newest().is_some(), is_same_clock, "{id:?}");
            assert_eq!(new.last_seq, if is_new_life { 0 } else { 10 });
            let header = Header::new(&id, 11, ms(1));
            assert_eq!(new.pong(ms(100_001), &header, 7, MARGIN), !is_new_life, "{id:?}");
        }
    }

    #[test]
    fn a_hello_of_the_same_life_may_say_something_new_of_it() {
        let said = Hello {
            capabilities: Capabilities(3),
            ..hello(life(1, 1, 5))
        };
        let mut old = child();
        old.reported_mut().take_chunk(SnapshotChunk {
            scope: subject("h1"),
            place: 0,
            is_last: false,
            verdicts: Vec::new(),
        });
        let mut new = old.greeted(said.clone(), peer(2), detector());
        assert_eq!(new.hello(), &said);
        let rest = SnapshotChunk {
            scope: subject("h1"),
            place: 1,
            is_last: true,
            verdicts: Vec::new(),
        };
        assert_eq!(
            new.reported_mut().take_chunk(rest).change,
            None,
            "the snapshot begins anew"
        );
        assert!(!new.book_is_whole(), "an empty book proves nothing");
    }

    #[test]
    fn a_pong_counts_once_and_in_time() {
        // The nonce, how long it took, whether it is an answer.
        for (nonce, took, counts) in [(7, 0, true), (7, 1000, true), (7, 1001, false), (8, 0, false)] {
            let mut child = child();
            child.pinged(ms(200_000), 7);
            let header = Header::new(&life(1, 1, 5), 11, ms(50_000));
            let mut pong = || child.pong(ms(200_000 + took), &header, nonce, MARGIN);
            assert_eq!((pong(), pong()), (counts, false), "{nonce} {took}");
            let until = counts.then_some(ms(200_000 + took + 1500)).or(Some(ms(101_500)));
            assert_eq!(child.fresh_until(), until, "it alone says how the clocks stand");
        }
    }

    #[test]
    fn its_clock_is_told_on_ours_until_the_life_is_over() {
        let mut child = child();
        assert_eq!(child.newest(), Some((ms(0), ms(100_000))));
        assert_eq!(child.its_now(ms(100_700)), Some(ms(700)));
        assert_eq!(child.our_moment(ms(700)), Some(ms(100_700)));
        child.pinged(ms(100_000), 7);
        child.life_ended(detector());
        assert_eq!((child.newest(), child.its_now(ms(100_700))), (None, None));
        let first = Header::new(&life(1, 1, 5), 1, ms(0));
        assert!(child.check_frame(&first).is_ok(), "frames are counted anew");
        assert!(!child.pong(ms(100_001), &first, 7, MARGIN));
    }
}
