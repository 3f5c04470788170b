//! The header, identities, and the messages of a session: Hello to Goodbye, and probes from outside, in both directions.

use super::fields::{
    DecodeResult, EncodeResult, array16, check_count, cut, health_in, health_out, name_in, subject_in, subject_out,
    text_in, us, within,
};
use crate::error::{DecodeError, EncodeError};
use crate::limits::{
    ADDRESS_BYTES_MAX, BACK_WITHIN_US_DEFAULT, BEAT_EVERY_US_MAX, BEAT_EVERY_US_MIN, FIGURES_MAX, HOPS_MAX,
    LOOK_AT_MAX, LOOK_WITHIN_US_MAX, TEXT_BYTES_MAX, VERSION_BYTES_MAX, WORD_BYTES_MAX,
};
use crate::pb;
use watchtree_core::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use watchtree_core::message::{Beat, BeatAck, Capabilities, Digest, Goodbye, Header, Hello, Look, Message, Welcome};
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::ObserverHealth;

// --- header ----------------------------------------------------------------------------------------------------------

pub(crate) fn header_out(header: &Header, kind: pb::MessageKind) -> EncodeResult<pb::Header> {
    if header.seq == 0 {
        return Err(EncodeError::BadValue {
            field: "seq",
            must: SEQ_MUST,
        });
    }
    check_count("hops_left", header.hops_left.into(), HOPS_MAX as usize)?;
    Ok(pb::Header {
        kind: kind.into(),
        seq: header.seq,
        origin: header.origin.as_str().to_owned(),
        boot_id: header.boot_id.0.to_vec(),
        agent_epoch: header.agent_epoch.0,
        sent_us: header.sent.as_micros(),
        slot_us: header.slot.as_micros(),
        target: header
            .target
            .as_ref()
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        hops_left: header.hops_left.into(),
        trace: header.trace,
    })
}

pub(crate) fn header_in(header: pb::Header) -> DecodeResult<Header> {
    if header.seq == 0 {
        return Err(DecodeError::BadValue {
            field: "seq",
            must: SEQ_MUST,
        });
    }
    within("hops_left", header.hops_left as usize, HOPS_MAX as usize)?;
    let target = if header.target.is_empty() {
        None
    } else {
        Some(name_in("target", &header.target)?)
    };
    Ok(Header {
        origin: name_in("origin", &header.origin)?,
        target,
        boot_id: BootId(array16("boot_id", &header.boot_id)?),
        agent_epoch: AgentEpoch(header.agent_epoch),
        seq: header.seq,
        sent: Moment::from_micros(header.sent_us),
        slot: Moment::from_micros(header.slot_us),
        hops_left: u8::try_from(header.hops_left).unwrap_or(Header::HOPS_MAX),
        trace: header.trace,
    })
}

const SEQ_MUST: &str = "counts from 1";

// --- identity --------------------------------------------------------------------------------------------------------

const fn tier_out(tier: Tier) -> pb::Tier {
    match tier {
        Tier::Manager => pb::Tier::Manager,
        Tier::Relay => pb::Tier::Relay,
        Tier::Host => pb::Tier::Host,
        Tier::Container => pb::Tier::Container,
        Tier::Service => pb::Tier::Service,
    }
}

/// A tier of a newer version is taken for the one from which the least is expected.
const fn tier_in(tier: pb::Tier) -> Tier {
    match tier {
        pb::Tier::Manager => Tier::Manager,
        pb::Tier::Relay => Tier::Relay,
        pb::Tier::Host => Tier::Host,
        pb::Tier::Container => Tier::Container,
        pb::Tier::Service | pb::Tier::Unspecified => Tier::Service,
    }
}

fn identity_out(identity: &NodeIdentity) -> pb::NodeIdentity {
    pb::NodeIdentity {
        name: identity.name.as_str().to_owned(),
        tier: tier_out(identity.tier).into(),
        node_id: identity.node_id.0.to_vec(),
        machine_id: identity.machine_id.0.to_vec(),
        boot_id: identity.boot_id.0.to_vec(),
        agent_epoch: identity.agent_epoch.0,
        version: cut(&identity.version, VERSION_BYTES_MAX),
    }
}

fn identity_in(identity: Option<pb::NodeIdentity>, header: &Header) -> DecodeResult<NodeIdentity> {
    let identity = identity.ok_or(DecodeError::MissingField { field: "identity" })?;
    let tier = tier_in(identity.tier());
    let identity = NodeIdentity {
        name: name_in("identity.name", &identity.name)?,
        tier,
        node_id: NodeId(array16("identity.node_id", &identity.node_id)?),
        machine_id: MachineId(array16("identity.machine_id", &identity.machine_id)?),
        boot_id: BootId(array16("identity.boot_id", &identity.boot_id)?),
        agent_epoch: AgentEpoch(identity.agent_epoch),
        version: text_in("identity.version", identity.version, VERSION_BYTES_MAX)?,
    };
    let life = (&identity.name, identity.boot_id, identity.agent_epoch);
    if life != (&header.origin, header.boot_id, header.agent_epoch) {
        return Err(DecodeError::IdentityMismatch);
    }
    Ok(identity)
}

pub(super) fn digest_out(digest: &Digest) -> Option<pb::Digest> {
    Some(pb::Digest {
        algorithm: cut(&digest.algorithm, WORD_BYTES_MAX),
        value: digest.value,
    })
}

pub(super) fn digest_in(digest: Option<pb::Digest>) -> DecodeResult<Digest> {
    let pb::Digest { algorithm, value } = digest.unwrap_or_default();
    Ok(Digest {
        algorithm: text_in("digest.algorithm", algorithm, WORD_BYTES_MAX)?,
        value,
    })
}

// --- Hello, Welcome --------------------------------------------------------------------------------------------------

pub(super) fn hello_out(hello: &Hello) -> EncodeResult<pb::Hello> {
    check_count("look_at", hello.look_at.len(), LOOK_AT_MAX)?;
    hello
        .look_at
        .iter()
        .try_for_each(|address| check_count("look_at", address.len(), ADDRESS_BYTES_MAX))?;
    Ok(pb::Hello {
        identity: Some(identity_out(&hello.identity)),
        minor_min: hello.minor_min,
        minor_max: hello.minor_max,
        capabilities: hello.capabilities.0,
        scope: subject_out("scope", &hello.scope)?,
        digest: digest_out(&hello.digest),
        beat_wanted_us: us(hello.beat_wanted),
        look_at: hello.look_at.clone(),
    })
}

pub(super) fn hello_in(hello: pb::Hello, header: &Header) -> DecodeResult<Hello> {
    within("look_at", hello.look_at.len(), LOOK_AT_MAX)?;
    if hello.minor_max < hello.minor_min {
        return Err(DecodeError::BadValue {
            field: "minor_max",
            must: "must not be below minor_min",
        });
    }
    Ok(Hello {
        identity: identity_in(hello.identity, header)?,
        minor_min: hello.minor_min,
        minor_max: hello.minor_max,
        capabilities: Capabilities(hello.capabilities),
        scope: subject_in("scope", &hello.scope)?,
        digest: digest_in(hello.digest)?,
        beat_wanted: Duration::from_micros(hello.beat_wanted_us),
        look_at: hello
            .look_at
            .into_iter()
            .map(|address| text_in("look_at", address, ADDRESS_BYTES_MAX))
            .collect::<DecodeResult<_>>()?,
    })
}

const BEAT_EVERY_MUST: &str = "must be 20 ms to 60 s";

const fn is_interval(micros: u64) -> bool {
    BEAT_EVERY_US_MIN <= micros && micros <= BEAT_EVERY_US_MAX
}

pub(super) fn welcome_out(welcome: &Welcome) -> EncodeResult<pb::Welcome> {
    if !is_interval(us(welcome.beat_every)) {
        return Err(EncodeError::BadValue {
            field: "beat_every_us",
            must: BEAT_EVERY_MUST,
        });
    }
    Ok(pb::Welcome {
        identity: Some(identity_out(&welcome.identity)),
        minor: welcome.minor,
        capabilities: welcome.capabilities.0,
        beat_every_us: us(welcome.beat_every),
        ack_every: welcome.ack_every,
        parent_silence_us: us(welcome.parent_silence),
        term: welcome.term,
        digest: digest_out(&welcome.digest),
    })
}

pub(super) fn welcome_in(welcome: pb::Welcome, header: &Header) -> DecodeResult<Welcome> {
    // An interval of zero would make the child do nothing but beat.
    if !is_interval(welcome.beat_every_us) {
        return Err(DecodeError::BadValue {
            field: "beat_every_us",
            must: BEAT_EVERY_MUST,
        });
    }
    Ok(Welcome {
        identity: identity_in(welcome.identity, header)?,
        minor: welcome.minor,
        capabilities: Capabilities(welcome.capabilities),
        beat_every: Duration::from_micros(welcome.beat_every_us),
        ack_every: welcome.ack_every,
        parent_silence: Duration::from_micros(welcome.parent_silence_us),
        term: welcome.term,
        digest: digest_in(welcome.digest)?,
    })
}

// --- Beat, BeatAck, Goodbye ------------------------------------------------------------------------------------------

pub(super) fn beat_out(beat: &Beat) -> EncodeResult<pb::Beat> {
    check_count("figures", beat.figures.len(), FIGURES_MAX)?;
    beat.figures
        .iter()
        .try_for_each(|(name, _)| check_count("figures.name", name.len(), WORD_BYTES_MAX))?;
    Ok(pb::Beat {
        number: beat.number,
        health: health_out(beat.health),
        digest: digest_out(&beat.digest),
        round_trip_us: us(beat.round_trip),
        figures: beat
            .figures
            .iter()
            .map(|(name, value)| pb::Figure {
                name: name.clone(),
                value: *value,
            })
            .collect(),
    })
}

pub(super) fn beat_in(beat: pb::Beat) -> DecodeResult<Beat> {
    within("figures", beat.figures.len(), FIGURES_MAX)?;
    Ok(Beat {
        number: beat.number,
        health: health_in(beat.health),
        figures: beat
            .figures
            .into_iter()
            .map(|figure| Ok((text_in("figures.name", figure.name, WORD_BYTES_MAX)?, figure.value)))
            .collect::<DecodeResult<_>>()?,
        digest: digest_in(beat.digest)?,
        round_trip: Duration::from_micros(beat.round_trip_us),
    })
}

pub(super) fn beat_ack_out(ack: &BeatAck) -> pb::BeatAck {
    pb::BeatAck {
        number: ack.number,
        sent_echo_us: ack.sent_echo.as_micros(),
        held_us: us(ack.held),
    }
}

pub(super) fn beat_ack_in(ack: &pb::BeatAck) -> BeatAck {
    BeatAck {
        number: ack.number,
        sent_echo: Moment::from_micros(ack.sent_echo_us),
        held: Duration::from_micros(ack.held_us),
    }
}

pub(super) fn goodbye_out(goodbye: Goodbye) -> pb::Goodbye {
    let (reason, back_within_us) = match goodbye {
        Goodbye::Restart { back_within } => (pb::GoodbyeReason::Restart, us(back_within)),
        Goodbye::HostShutdown => (pb::GoodbyeReason::HostShutdown, 0),
        Goodbye::Leaving => (pb::GoodbyeReason::Leaving, 0),
    };
    pb::Goodbye {
        reason: reason.into(),
        back_within_us,
    }
}

/// A reason of a newer version is taken for the weakest: "back soon". It neither forgets the node nor proves a thing.
pub(super) fn goodbye_in(goodbye: &pb::Goodbye) -> Goodbye {
    match goodbye.reason() {
        pb::GoodbyeReason::HostShutdown => Goodbye::HostShutdown,
        pb::GoodbyeReason::Leaving => Goodbye::Leaving,
        pb::GoodbyeReason::Restart => Goodbye::Restart {
            back_within: Duration::from_micros(goodbye.back_within_us),
        },
        pb::GoodbyeReason::Unspecified => {
            let back_within = if goodbye.back_within_us == 0 {
                BACK_WITHIN_US_DEFAULT
            } else {
                goodbye.back_within_us
            };
            Goodbye::Restart {
                back_within: Duration::from_micros(back_within),
            }
        }
    }
}

// --- looks from outside ----------------------------------------------------------------------------------------------

pub(super) fn probe_request_out(
    nonce: u64,
    target: &NodeName,
    address: &str,
    within: Duration,
) -> EncodeResult<pb::ProbeRequest> {
    check_count("address", address.len(), ADDRESS_BYTES_MAX)?;
    if LOOK_WITHIN_US_MAX < us(within) {
        return Err(EncodeError::OverLimit {
            field: "within_us",
            limit: LOOK_WITHIN_US_MAX,
        });
    }
    let (target, address) = (target.as_str().to_owned(), address.to_owned());
    Ok(pb::ProbeRequest {
        nonce,
        target,
        address,
        within_us: us(within),
    })
}

pub(super) fn probe_request_in(request: pb::ProbeRequest) -> DecodeResult<Message> {
    if LOOK_WITHIN_US_MAX < request.within_us {
        return Err(DecodeError::OverLimit {
            field: "within_us",
            limit: LOOK_WITHIN_US_MAX,
        });
    }
    Ok(Message::ProbeRequest {
        nonce: request.nonce,
        target: name_in("target", &request.target)?,
        address: text_in("address", request.address, ADDRESS_BYTES_MAX)?,
        within: Duration::from_micros(request.within_us),
    })
}

pub(super) fn probe_result_out(nonce: u64, target: &NodeName, look: &Look, health: ObserverHealth) -> pb::ProbeResult {
    let (outcome, how) = match look {
        Look::Answered(how) => (pb::LookOutcome::Answered, how.as_str()),
        Look::Silent(how) => (pb::LookOutcome::Silent, how.as_str()),
        Look::SilentInPart(how) => (pb::LookOutcome::SilentInPart, how.as_str()),
        Look::NotPossible(how) => (pb::LookOutcome::NotPossible, how.as_str()),
        Look::StillTrying => (pb::LookOutcome::StillTrying, ""),
    };
    pb::ProbeResult {
        nonce,
        target: target.as_str().to_owned(),
        outcome: outcome.into(),
        how: cut(how, TEXT_BYTES_MAX),
        health: health_out(health),
    }
}

/// An outcome of a newer version says nothing, least of all that the target is silent.
pub(super) fn probe_result_in(result: pb::ProbeResult) -> DecodeResult<Message> {
    let outcome = result.outcome();
    let how = text_in("how", result.how, TEXT_BYTES_MAX)?;
    let look = match outcome {
        pb::LookOutcome::Answered => Look::Answered(how),
        pb::LookOutcome::Silent => Look::Silent(how),
        pb::LookOutcome::SilentInPart => Look::SilentInPart(how),
        pb::LookOutcome::NotPossible | pb::LookOutcome::Unspecified => Look::NotPossible(how),
        pb::LookOutcome::StillTrying => Look::StillTrying,
    };
    let target = name_in("target", &result.target)?;
    Ok(Message::ProbeResult {
        nonce: result.nonce,
        target,
        look,
        health: health_in(result.health),
    })
}
