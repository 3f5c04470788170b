//! Verdicts and the messages that carry them (Report and Snapshot), in both directions.

use super::fields::{
    DecodeResult, EncodeResult, check_count, cut, health_in, health_out, incarnation_in, incarnation_out, name_in,
    subject_in, subject_out, text_in, within,
};
use super::session::{digest_in, digest_out};
use super::truncation::TruncationLevel;
use crate::limits::{
    EVIDENCE_MAX, GONE_MAX, REMARK_BYTES_MAX, REMARKS_MAX, SNAPSHOT_CHUNKS_MAX, TEXT_BYTES_MAX, VERDICTS_MAX,
    WORD_BYTES_MAX,
};
use crate::pb;
use watchtree_core::message::{Digest, Message, Report};
use watchtree_core::subject::{SubjectId, SubjectKind};
use watchtree_core::time::Moment;
use watchtree_core::verdict::{Evidence, EvidenceKind, Level, State, Verdict};

pub(super) fn report_out(report: &Report, level: TruncationLevel) -> EncodeResult<pb::Report> {
    check_count("gone", report.gone.len(), GONE_MAX)?;
    Ok(pb::Report {
        number: report.number,
        verdicts: verdicts_out(&report.verdicts, level)?,
        gone: report
            .gone
            .iter()
            .map(|subject| subject_out("gone", subject))
            .collect::<EncodeResult<_>>()?,
        digest: digest_out(&report.digest),
    })
}

pub(super) fn report_in(report: pb::Report) -> DecodeResult<Report> {
    within("gone", report.gone.len(), GONE_MAX)?;
    Ok(Report {
        number: report.number,
        verdicts: verdicts_in(report.verdicts)?,
        gone: report
            .gone
            .iter()
            .map(|text| subject_in("gone", text))
            .collect::<DecodeResult<_>>()?,
        digest: digest_in(report.digest)?,
    })
}

pub(super) fn snapshot_out(
    scope: &SubjectId,
    chunk: u32,
    last: bool,
    verdicts: &[Verdict],
    digest: &Digest,
    level: TruncationLevel,
) -> EncodeResult<pb::Snapshot> {
    check_count("chunk", chunk as usize, SNAPSHOT_CHUNKS_MAX as usize - 1)?;
    let verdicts = verdicts_out(verdicts, level)?;
    Ok(pb::Snapshot {
        scope: subject_out("scope", scope)?,
        chunk,
        last,
        verdicts,
        digest: digest_out(digest),
    })
}

pub(super) fn snapshot_in(snapshot: pb::Snapshot) -> DecodeResult<Message> {
    within("chunk", snapshot.chunk as usize, SNAPSHOT_CHUNKS_MAX as usize - 1)?;
    Ok(Message::Snapshot {
        scope: subject_in("scope", &snapshot.scope)?,
        chunk: snapshot.chunk,
        last: snapshot.last,
        verdicts: verdicts_in(snapshot.verdicts)?,
        digest: digest_in(snapshot.digest)?,
    })
}

fn verdicts_out(verdicts: &[Verdict], level: TruncationLevel) -> EncodeResult<Vec<pb::Verdict>> {
    check_count("verdicts", verdicts.len(), VERDICTS_MAX)?;
    verdicts.iter().map(|verdict| verdict_out(verdict, level)).collect()
}

fn verdicts_in(verdicts: Vec<pb::Verdict>) -> DecodeResult<Vec<Verdict>> {
    within("verdicts", verdicts.len(), VERDICTS_MAX)?;
    verdicts.into_iter().map(verdict_in).collect()
}

fn verdict_out(verdict: &Verdict, level: TruncationLevel) -> EncodeResult<pb::Verdict> {
    Ok(pb::Verdict {
        subject: subject_out("subject", &verdict.subject)?,
        state: state_out(verdict.state).into(),
        level: level_out(verdict.level).into(),
        incarnation: incarnation_out(&verdict.incarnation)?,
        since_us: verdict.since.as_micros(),
        why: cut(&verdict.why, TEXT_BYTES_MAX),
        kind: kind_out(verdict.kind).into(),
        observer: verdict.observer.as_str().to_owned(),
        observer_health: health_out(verdict.observer_health),
        held: verdict.held,
        evidence: evidence_out(&verdict.evidence, level),
        remarks: verdict
            .remarks
            .iter()
            .take(level.remarks)
            .map(|remark| cut(remark, REMARK_BYTES_MAX))
            .collect(),
    })
}

fn verdict_in(verdict: pb::Verdict) -> DecodeResult<Verdict> {
    within("remarks", verdict.remarks.len(), REMARKS_MAX)?;
    let (state, level, kind) = (state_in(verdict.state()), level_in(verdict.level()), verdict.kind());
    let subject = subject_in("subject", &verdict.subject)?;
    Ok(Verdict {
        kind: kind_in(kind, &subject),
        subject,
        incarnation: incarnation_in(verdict.incarnation)?,
        state,
        level,
        why: text_in("why", verdict.why, TEXT_BYTES_MAX)?,
        evidence: evidence_in(verdict.evidence)?,
        observer: name_in("observer", &verdict.observer)?,
        observer_health: health_in(verdict.observer_health),
        since: Moment::from_micros(verdict.since_us),
        held: verdict.held,
        remarks: verdict
            .remarks
            .into_iter()
            .map(|remark| text_in("remarks", remark, REMARK_BYTES_MAX))
            .collect::<DecodeResult<_>>()?,
    })
}

/// The newest are kept.
pub(super) fn evidence_out(evidence: &[Evidence], level: TruncationLevel) -> Vec<pb::Evidence> {
    evidence[evidence.len().saturating_sub(level.evidence)..]
        .iter()
        .map(|fact| pb::Evidence {
            kind: fact.kind.as_str().to_owned(),
            detail: cut(&fact.detail, level.detail_bytes),
            at_us: fact.at.as_micros(),
        })
        .collect()
}

pub(super) fn evidence_in(evidence: Vec<pb::Evidence>) -> DecodeResult<Vec<Evidence>> {
    within("evidence", evidence.len(), EVIDENCE_MAX)?;
    evidence
        .into_iter()
        .map(|fact| {
            let word = text_in("evidence.kind", fact.kind, WORD_BYTES_MAX)?;
            let detail = text_in("evidence.detail", fact.detail, TEXT_BYTES_MAX)?;
            let at = Moment::from_micros(fact.at_us);
            Ok(match EvidenceKind::from_word(&word) {
                Some(kind) => Evidence { kind, detail, at },
                None => unknown_word("evidence", &word, &detail, at),
            })
        })
        .collect()
}

/// What a newer version says in a word we do not know is shown, and proves nothing.
pub(super) fn unknown_word(what: &str, word: &str, detail: &str, at: Moment) -> Evidence {
    Evidence::new(
        EvidenceKind::BadInput,
        at,
        format!("{what} {word:?} is not known to this version: {detail}"),
    )
}

const fn state_out(state: State) -> pb::SubjectState {
    match state {
        State::Ok => pb::SubjectState::Ok,
        State::Finished => pb::SubjectState::Finished,
        State::Stopped => pb::SubjectState::Stopped,
        State::Starting => pb::SubjectState::Starting,
        State::Unknown => pb::SubjectState::Unknown,
        State::Unwatched => pb::SubjectState::Unwatched,
        State::Degraded => pb::SubjectState::Degraded,
        State::Suspect => pb::SubjectState::Suspect,
        State::Repairing => pb::SubjectState::Repairing,
        State::Unhealthy => pb::SubjectState::Unhealthy,
        State::AgentLost => pb::SubjectState::AgentLost,
        State::Unreachable => pb::SubjectState::Unreachable,
        State::Down => pb::SubjectState::Down,
        State::GivenUp => pb::SubjectState::GivenUp,
    }
}

const fn state_in(state: pb::SubjectState) -> State {
    match state {
        pb::SubjectState::Ok => State::Ok,
        pb::SubjectState::Finished => State::Finished,
        pb::SubjectState::Stopped => State::Stopped,
        pb::SubjectState::Starting => State::Starting,
        pb::SubjectState::Unspecified | pb::SubjectState::Unknown => State::Unknown,
        pb::SubjectState::Unwatched => State::Unwatched,
        pb::SubjectState::Degraded => State::Degraded,
        pb::SubjectState::Suspect => State::Suspect,
        pb::SubjectState::Repairing => State::Repairing,
        pb::SubjectState::Unhealthy => State::Unhealthy,
        pb::SubjectState::AgentLost => State::AgentLost,
        pb::SubjectState::Unreachable => State::Unreachable,
        pb::SubjectState::Down => State::Down,
        pb::SubjectState::GivenUp => State::GivenUp,
    }
}

const fn level_out(level: Level) -> pb::EvidenceLevel {
    match level {
        Level::None => pb::EvidenceLevel::Unspecified,
        Level::Weak => pb::EvidenceLevel::Weak,
        Level::Strong => pb::EvidenceLevel::Strong,
        Level::Certain => pb::EvidenceLevel::Certain,
    }
}

const fn level_in(level: pb::EvidenceLevel) -> Level {
    match level {
        pb::EvidenceLevel::Unspecified => Level::None,
        pb::EvidenceLevel::Weak => Level::Weak,
        pb::EvidenceLevel::Strong => Level::Strong,
        pb::EvidenceLevel::Certain => Level::Certain,
    }
}

const fn kind_out(kind: SubjectKind) -> pb::SubjectKind {
    match kind {
        SubjectKind::Host => pb::SubjectKind::Host,
        SubjectKind::Engine => pb::SubjectKind::Engine,
        SubjectKind::Container => pb::SubjectKind::Container,
        SubjectKind::Watchdog => pb::SubjectKind::Watchdog,
        SubjectKind::Manager => pb::SubjectKind::Manager,
    }
}

/// A kind that is not known is told from the subject's place in the tree.
fn kind_in(kind: pb::SubjectKind, subject: &SubjectId) -> SubjectKind {
    match kind {
        pb::SubjectKind::Host => SubjectKind::Host,
        pb::SubjectKind::Engine => SubjectKind::Engine,
        pb::SubjectKind::Container => SubjectKind::Container,
        pb::SubjectKind::Watchdog => SubjectKind::Watchdog,
        pb::SubjectKind::Manager => SubjectKind::Manager,
        pb::SubjectKind::Unspecified if subject.last().starts_with('@') => SubjectKind::Watchdog,
        pb::SubjectKind::Unspecified => match subject.as_str().split('/').count() {
            1 => SubjectKind::Host,
            2 => SubjectKind::Engine,
            _ => SubjectKind::Container,
        },
    }
}
