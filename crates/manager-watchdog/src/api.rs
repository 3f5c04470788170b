//! The HTTP API of manager-watchdog. Each answer is one short read of the machine, or several.

use crate::effect_executor::{Asked, Waiting};
use crate::history::{self, Found};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use watchtree_api::{
    Answer, Api, ApiError, Ask, AskAnswer, AskVerb, ErrorCode, EventQuery, EventsResponse, ExplainResponse, Health,
    IncidentQuery, IncidentsResponse, TreeQuery, TreeResponse,
};
use watchtree_core::decision::Decision;
use watchtree_core::incident::Incident;
use watchtree_core::manager::ManagerAgent;
use watchtree_core::manager::io::{self, AskError, ManagerInput, TargetAnswer};
use watchtree_core::manager::page::{Shown, TreeCursor};
use watchtree_core::order::Verb;
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_link::LinkHandle;
use watchtree_runtime::view::{self, About, TreeCollector};
use watchtree_runtime::{Clock, Conditions, EventLog, Pulse, StateReader, Unresponsive};
use watchtree_store::sqlite::Reader;

/// Most incidents in one answer.
const INCIDENTS_MAX: usize = 1000;

/// Most incidents and decisions of one subject in one answer.
const EXPLAINED_INCIDENTS_MAX: usize = 20;
const EXPLAINED_DECISIONS_MAX: usize = 200;
/// Most subjects that one read of the machine goes through: some milliseconds.
const PIECE_SUBJECTS: usize = 500;

/// See the file's head.
pub(crate) struct ManagerApi {
    pub(crate) state: StateReader<ManagerAgent>,
    pub(crate) pulse: Pulse,
    pub(crate) conditions: Conditions,
    pub(crate) events: EventLog,
    pub(crate) inputs: mpsc::Sender<ManagerInput>,
    pub(crate) waiting: Waiting,
    pub(crate) link: LinkHandle,
    /// What the machine no longer has in memory.
    pub(crate) past: Reader,
    /// How long an order lives: an answer comes by then.
    pub(crate) order_lives: Duration,
    pub(crate) name: String,
    pub(crate) version: String,
}

impl Api for ManagerApi {
    fn tree(&self, query: TreeQuery) -> Answer<'_, TreeResponse> {
        Box::pin(async move {
            let read = |manager: &ManagerAgent| {
                let now = Clock.now();
                (manager.health(now).0, now.since(manager.started()), refusals(manager))
            };
            let (node_health, uptime, refused) = self.state.read(read).await.map_err(unresponsive)?;
            let collector = self.collect(TreeCollector::new(query)).await.map_err(unresponsive)?;
            Ok(collector.finish(TreeResponse {
                node: self.name.clone(),
                tier: "manager".to_string(),
                version: self.version.clone(),
                node_health,
                uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
                wall_ms: Clock.wall().0,
                conditions: view::conditions(&self.conditions),
                refused: self.refused(refused),
                ..TreeResponse::default()
            }))
        })
    }

    fn incidents(&self, query: IncidentQuery) -> Answer<'_, IncidentsResponse> {
        Box::pin(async move {
            let all = query.all;
            let read = move |manager: &ManagerAgent| {
                let mut found: Vec<Incident> = manager.open_incidents().cloned().collect();
                if all {
                    found.extend(manager.closed_incidents().cloned());
                }
                found
            };
            let found = self.state.read(read).await.map_err(unresponsive)?;
            let limit = query.limit.unwrap_or(INCIDENTS_MAX).min(INCIDENTS_MAX);
            let mut past = Found::default();
            if all {
                past = history::found(|answer| self.past.incidents(None, limit, answer)).await;
            }
            let (incidents, omitted) = history::newest_incidents(found, past.newest, past.omitted, limit);
            Ok(IncidentsResponse {
                node: self.name.clone(),
                wall_ms: Clock.wall().0,
                incidents,
                omitted,
                incomplete: past.incomplete,
                ..IncidentsResponse::default()
            })
        })
    }

    fn events(&self, query: EventQuery) -> Answer<'_, EventsResponse> {
        Box::pin(async move { Ok(self.events.read(&query).await) })
    }

    fn explain(&self, subject: String) -> Answer<'_, ExplainResponse> {
        Box::pin(async move {
            let id = subject_of(&subject)?;
            let asked = id.clone();
            let read = move |manager: &ManagerAgent| {
                let now = Clock.now();
                let mut about = About::new(id.clone());
                manager.tree_below(now, &id, |shown| about.add_shown(now, &shown));
                let decisions: Vec<Decision> = manager.explain(&id).cloned().collect();
                let open = manager.open_incidents().chain(manager.closed_incidents());
                let incidents: Vec<Incident> = open.filter(|incident| incident.subject == id).cloned().collect();
                (about, decisions, incidents)
            };
            let (about, decisions, incidents) = self.state.read(read).await.map_err(unresponsive)?;
            let current = about.finish();
            let (of, past) = (Some(asked.clone()), &self.past);
            let older = history::found(|answer| past.incidents(of, EXPLAINED_INCIDENTS_MAX, answer)).await;
            let (incidents, incidents_omitted) =
                history::newest_incidents(incidents, older.newest, older.omitted, EXPLAINED_INCIDENTS_MAX);
            let older = history::found(|answer| past.decisions_of(asked, EXPLAINED_DECISIONS_MAX, answer)).await;
            let (decisions, omitted) =
                history::newest_decisions(decisions, older.newest, older.omitted, EXPLAINED_DECISIONS_MAX);
            if current.is_none() && decisions.is_empty() && incidents.is_empty() {
                return Err(no_such_subject(&subject));
            }
            Ok(ExplainResponse {
                node: self.name.clone(),
                wall_ms: Clock.wall().0,
                subject,
                current,
                incidents,
                incidents_omitted,
                decisions,
                omitted,
                incomplete: older.incomplete,
                ..ExplainResponse::default()
            })
        })
    }

    fn ask(&self, ask: Ask) -> Answer<'_, AskAnswer> {
        Box::pin(async move {
            let subject = subject_of(&ask.subject)?;
            let (ticket, answer) = self.waiting.wait();
            self.inputs
                .send(input_of(&ask, ticket, subject)?)
                .await
                .map_err(|_| stopping())?;
            let within = self.order_lives + Duration::from_secs(3);
            match tokio::time::timeout(within, answer).await {
                Ok(Ok(asked)) => answered(&self.name, &ask, asked),
                Ok(Err(_)) => Err(stopping()),
                Err(_) => Err(ApiError::new(
                    ErrorCode::Deadline,
                    "the manager did not answer while the order lived",
                )),
            }
        })
    }

    fn live(&self) -> Answer<'_, Health> {
        Box::pin(async move {
            let ok = self.pulse.is_alive();
            let detail = if ok {
                "the working loop turns"
            } else {
                "the working loop stands"
            };
            Ok(Health {
                ok,
                detail: detail.to_string(),
                ..Health::default()
            })
        })
    }

    fn ready(&self) -> Answer<'_, Health> {
        Box::pin(async move {
            let settled = |manager: &ManagerAgent| (manager.is_settled(Clock.now()), refusals(manager));
            let (ok, refused) = self.state.read(settled).await.map_err(unresponsive)?;
            let detail = if ok {
                "it judges"
            } else {
                "it waits for a whole healthy window before it judges"
            };
            let conditions = view::conditions(&self.conditions);
            Ok(Health {
                ok,
                detail: detail.to_string(),
                conditions,
                refused: self.refused(refused),
                ..Health::default()
            })
        })
    }
}

impl ManagerApi {
    /// Shows the whole tree to the collector, piece by piece: the machine judges on between two of them.
    async fn collect(&self, collector: TreeCollector) -> Result<TreeCollector, Unresponsive> {
        let (mut collector, mut from) = (collector, Some(TreeCursor::default()));
        while let Some(at) = from {
            let read = move |manager: &ManagerAgent| {
                let now = Clock.now();
                let see = |shown: Shown<'_>| collector.add_shown(now, &shown);
                let next = manager.tree_page(now, &at, PIECE_SUBJECTS, see);
                (collector, next)
            };
            (collector, from) = self.state.read(read).await?;
        }
        Ok(collector)
    }

    /// What the machine refused and what the link refused before it, together.
    fn refused(&self, by_machine: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let counters = self.link.counters();
        let by_link = watchtree_link::Refusal::ALL
            .into_iter()
            .map(|why| (why.as_str().to_string(), counters.refused(why)));
        view::refused(by_machine.into_iter().chain(by_link))
    }
}

fn refusals(manager: &ManagerAgent) -> BTreeMap<String, u64> {
    let refused = manager.refused().iter();
    refused.map(|(why, count)| (why.as_str().to_string(), *count)).collect()
}

fn subject_of(text: &str) -> Result<SubjectId, ApiError> {
    let bad = |error| ApiError::new(ErrorCode::BadRequest, format!("{text:?} is no subject: {error}"));
    SubjectId::new(text).map_err(|error| bad(error).cure("write it as `watchtree tree` shows it: h1/docker/web"))
}

fn input_of(ask: &Ask, ticket: u64, subject: SubjectId) -> Result<ManagerInput, ApiError> {
    let asked_by = ask.asked_by.clone();
    let verb = match ask.verb {
        AskVerb::Hold => Verb::Hold {
            lasts: Duration::from_millis(ask.lasts_ms.unwrap_or(0)),
        },
        AskVerb::Release => Verb::Release,
        AskVerb::Retry => Verb::Retry,
        AskVerb::Forget => {
            let host = subject;
            return Ok(ManagerInput::Forget { ticket, host, asked_by });
        }
    };
    let incarnation = incarnation_of(&ask.incarnation)?;
    Ok(ManagerInput::Ask(io::Ask {
        ticket,
        verb,
        subject,
        incarnation,
        asked_by,
    }))
}

fn incarnation_of(text: &str) -> Result<Incarnation, ApiError> {
    if Incarnation::BYTES_MAX < text.len() {
        let error = ApiError::new(ErrorCode::BadRequest, "`incarnation` is too long to be one");
        return Err(error.cure("give it as the tree does, or leave it out"));
    }
    Ok(Incarnation(text.to_string()))
}

fn no_such_subject(subject: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("no subject {subject} in the tree")).cure("see `watchtree tree`")
}

fn unresponsive(error: Unresponsive) -> ApiError {
    ApiError::new(ErrorCode::Unavailable, error.to_string()).cure("see the manager's log")
}

fn stopping() -> ApiError {
    ApiError::new(ErrorCode::Unavailable, "the manager is stopping").cure("try again when it is back")
}

/// One answer for all targets: done only if all have done it.
fn answered(by: &str, ask: &Ask, asked: Asked) -> Result<AskAnswer, ApiError> {
    match asked {
        Ok(targets) => Ok(joined(&targets)),
        Err(AskError::UnknownSubject) => Err(no_such_subject(&ask.subject)),
        Err(AskError::NobodyThere(who)) => {
            let message = format!("nobody stands over {} just now: {who}", ask.subject);
            Err(ApiError::new(ErrorCode::Unavailable, message).cure("on that machine: the same command with --local"))
        }
        Err(AskError::StillHeard(why)) => Ok(AskAnswer {
            refusal: Some("still_heard".to_string()),
            detail: format!("{why}; a host that is heard stays: stop its host-watchdog for good first"),
            by: by.to_string(),
            ..AskAnswer::default()
        }),
        Err(AskError::Bad(why)) => Err(ApiError::new(ErrorCode::BadRequest, why)),
        Err(AskError::Busy) => {
            Err(ApiError::new(ErrorCode::Busy, "too many requests are under way").cure("try again in some seconds"))
        }
    }
}

fn joined(targets: &[TargetAnswer]) -> AskAnswer {
    let words = |target: &TargetAnswer| match &target.answer {
        Some(answer) => format!("{}: {}", target.target, answer.detail),
        None => format!("{}: no answer while the order lived", target.target),
    };
    let done = |target: &TargetAnswer| target.answer.as_ref().is_some_and(|answer| answer.result.is_ok());
    let first_bad = targets.iter().find(|target| !done(target));
    let shown = first_bad.or(targets.first());
    let mut all = match shown {
        Some(TargetAnswer {
            target,
            answer: Some(answer),
        }) => view::answer(target.as_str(), answer),
        Some(TargetAnswer { target, answer: None }) => AskAnswer {
            by: target.to_string(),
            refusal: Some("no_answer".to_string()),
            ..AskAnswer::default()
        },
        None => AskAnswer::default(),
    };
    all.done = first_bad.is_none() && !targets.is_empty();
    all.detail = targets.iter().map(words).collect::<Vec<_>>().join("; ");
    all.by = targets
        .iter()
        .map(|target| target.target.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    all
}
