//! The HTTP API of host-watchdog: its own verdicts and its children's, read between two turns.
//!
//! Contract: a request about a container is passed to its container-watchdog's own socket, so the one who decides answers.

use crate::alerts::Book;
use crate::refusals::{self, Refusals};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use watchtree_api::{
    Answer, Api, ApiError, Ask, AskAnswer, AskVerb, Client, ClientError, Endpoint, ErrorCode, EventQuery,
    EventsResponse, ExplainResponse, Health, IncidentQuery, IncidentsResponse, TreeQuery, TreeResponse,
};
use watchtree_config::HostConfig;
use watchtree_core::host::HostAgent;
use watchtree_core::host::io::HostInput;
use watchtree_core::id::NodeIdentity;
use watchtree_core::message::OrderInput;
use watchtree_core::order::{Order, OrderAnswer, Verb};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::Moment;
use watchtree_os::identity::random16;
use watchtree_runtime::view::{self, About, TreeCollector};
use watchtree_runtime::{Clock, Conditions, EventLog, Pulse, StateReader, Unresponsive};

/// A local order dies after this.
const ORDER_LASTS: Duration = Duration::from_secs(10);
/// A container-watchdog's own answer may take this long: less than the server gives us.
const CHILD_WITHIN: Duration = Duration::from_secs(12);

/// Local requests that wait for their answer, by order id.
pub(crate) type Waiting = Arc<Mutex<BTreeMap<[u8; 16], oneshot::Sender<OrderAnswer>>>>;

/// See the file's head.
pub(crate) struct HostApi {
    pub(crate) identity: NodeIdentity,
    pub(crate) began: Moment,
    /// Per engine: the top of what its container-watchdog decides on, and that one's socket.
    pub(crate) below: Vec<(SubjectId, PathBuf)>,
    pub(crate) state: StateReader<HostAgent>,
    pub(crate) inputs: mpsc::Sender<HostInput>,
    pub(crate) waiting: Waiting,
    pub(crate) conditions: Conditions,
    pub(crate) refusals: Refusals,
    pub(crate) events: EventLog,
    pub(crate) alerts: Arc<Book>,
    pub(crate) pulse: Pulse,
}

/// Where the questions about each engine's containers go.
pub(crate) fn below(config: &HostConfig) -> Vec<(SubjectId, PathBuf)> {
    // A host's name is a name, so this is never empty; a path that could not be one would only not be handed on.
    let host = SubjectId::new(config.name.as_str()).ok();
    let engines = config.engines.iter();
    let below = engines.map(|engine| {
        Some((
            host.as_ref()?.child(&engine.name),
            config.container_status_socket(&engine.name),
        ))
    });
    below.flatten().collect()
}

impl HostApi {
    /// The container-watchdog that decides on this subject; `None` = we do.
    fn decider(&self, subject: &SubjectId) -> Option<Client> {
        let (top, socket) = self
            .below
            .iter()
            .find(|(top, _)| subject.is_within(top) && subject != top)?;
        let watchdog = top.child("@watchdog");
        (*subject != watchdog).then(|| Client::new(Endpoint::Unix(socket.clone()), CHILD_WITHIN))
    }

    async fn show(&self, query: TreeQuery) -> Result<TreeResponse, ApiError> {
        let look = move |agent: &HostAgent| {
            let now = Clock.now();
            let mut collector = TreeCollector::new(query);
            // One machine, one clock: what the children saw is on ours.
            let verdicts = agent.frontend().verdicts();
            verdicts.for_each(|verdict| collector.add(Some(now), verdict, None));
            (collector, agent.frontend().health(), refusals::of_machine(agent))
        };
        let (collector, health, refused) = self.state.read(look).await.map_err(unresponsive)?;
        Ok(collector.finish(TreeResponse {
            node: self.identity.name.to_string(),
            tier: self.identity.tier.as_str().to_owned(),
            version: self.identity.version.clone(),
            node_health: health.0,
            uptime_ms: millis(Clock.now().since(self.began)),
            wall_ms: Clock.wall().0,
            conditions: view::conditions(&self.conditions),
            refused: self.refusals.all(refused),
            ..TreeResponse::default()
        }))
    }

    async fn find(&self, subject: String) -> Result<ExplainResponse, ApiError> {
        let id = subject_id(&subject)?;
        if let Some(client) = self.decider(&id)
            && let Ok(answer) = client.explain(&subject).await
        {
            return Ok(answer);
        }
        let look = move |agent: &HostAgent| {
            let now = Clock.now();
            let mut about = About::new(id.clone());
            // One machine, one clock: what the children saw is on ours.
            agent
                .frontend()
                .verdicts()
                .for_each(|verdict| about.add(Some(now), verdict));
            let decisions: Vec<_> = agent.explain(&id).map(view::decision).collect();
            (about, decisions)
        };
        let (about, decisions) = self.state.read(look).await.map_err(unresponsive)?;
        let current = about.finish();
        if current.is_none() && decisions.is_empty() {
            let error = ApiError::new(ErrorCode::NotFound, format!("nothing is known of {subject}"));
            return Err(error.cure("see `watchtree --local tree` for what is"));
        }
        Ok(ExplainResponse {
            node: self.identity.name.to_string(),
            wall_ms: Clock.wall().0,
            subject,
            current,
            decisions,
            ..ExplainResponse::default()
        })
    }

    async fn order(&self, ask: Ask) -> Result<AskAnswer, ApiError> {
        ask.check()?;
        let subject = subject_id(&ask.subject)?;
        if let Some(client) = self.decider(&subject) {
            return client.ask(&ask).await.map_err(of_child);
        }
        let verb = match ask.verb {
            AskVerb::Hold => Verb::Hold {
                lasts: Duration::from_millis(ask.lasts_ms.unwrap_or(0)),
            },
            AskVerb::Release => Verb::Release,
            AskVerb::Retry => Verb::Retry,
            AskVerb::Forget => {
                let error = ApiError::new(ErrorCode::BadRequest, "a host is forgotten by its manager");
                return Err(error.cure("ask the manager: the same command without --local"));
            }
        };
        let id = random16().map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        let order = Order {
            id,
            target: self.identity.name.clone(),
            subject,
            incarnation: Incarnation(ask.incarnation),
            verb,
            term: 0,
            boot_id: self.identity.boot_id,
            expires: Clock.now() + ORDER_LASTS,
            asked_by: ask.asked_by,
        };
        let (answer, answered) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, answer);
        let asked = async {
            self.inputs
                .send(HostInput::Order(OrderInput { order, local: true }))
                .await
                .ok()?;
            answered.await.ok()
        };
        let result = tokio::time::timeout(ORDER_LASTS, asked).await.ok().flatten();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let answer = result.ok_or_else(|| unresponsive(Unresponsive))?;
        Ok(view::answer(self.identity.name.as_str(), &answer))
    }

    fn health(&self, ok: bool, detail: String, refused: BTreeMap<String, u64>) -> Health {
        Health {
            ok,
            detail,
            conditions: view::conditions(&self.conditions),
            refused,
            ..Health::default()
        }
    }
}

impl Api for HostApi {
    fn tree(&self, query: TreeQuery) -> Answer<'_, TreeResponse> {
        Box::pin(self.show(query))
    }

    /// Incidents are opened by the manager, but for those that this host told a person itself. What is ill here is in the tree.
    fn incidents(&self, _query: IncidentQuery) -> Answer<'_, IncidentsResponse> {
        Box::pin(async {
            let node = self.identity.name.to_string();
            let open = self.alerts.open_alerts();
            Ok(IncidentsResponse {
                node,
                wall_ms: Clock.wall().0,
                kept_elsewhere: open.is_none(),
                incidents: open.iter().flatten().map(view::incident).collect(),
                ..IncidentsResponse::default()
            })
        })
    }

    fn events(&self, query: EventQuery) -> Answer<'_, EventsResponse> {
        Box::pin(async move { Ok(self.events.read(&query).await) })
    }

    fn explain(&self, subject: String) -> Answer<'_, ExplainResponse> {
        Box::pin(self.find(subject))
    }

    fn ask(&self, ask: Ask) -> Answer<'_, AskAnswer> {
        Box::pin(self.order(ask))
    }

    fn live(&self) -> Answer<'_, Health> {
        Box::pin(async {
            let alive = self.pulse.is_alive();
            let words = if alive {
                "the working loop turns"
            } else {
                "the working loop stands"
            };
            // The loop itself may stand: what it counted is not asked.
            Ok(self.health(alive, words.to_owned(), self.refusals.all(BTreeMap::new())))
        })
    }

    /// Ready = every engine's container-watchdog has said Hello.
    fn ready(&self) -> Answer<'_, Health> {
        Box::pin(async {
            let look = |agent: &HostAgent| {
                let views = agent.children().into_iter();
                let children: Vec<(String, bool, String)> = views
                    .map(|child| {
                        (
                            child.engine,
                            child.version.is_some() && child.pid.is_some(),
                            child.phase,
                        )
                    })
                    .collect();
                (children, refusals::of_machine(agent))
            };
            let (children, refused) = self.state.read(look).await.map_err(unresponsive)?;
            let missing: Vec<String> = children
                .into_iter()
                .filter(|(_, there, _)| !there)
                .map(|(engine, _, phase)| format!("{engine}: {phase}"))
                .collect();
            let words = if missing.is_empty() {
                "every engine is watched".to_owned()
            } else {
                missing.join("; ")
            };
            Ok(self.health(missing.is_empty(), words, self.refusals.all(refused)))
        })
    }
}

fn subject_id(text: &str) -> Result<SubjectId, ApiError> {
    SubjectId::new(text).map_err(|error| {
        ApiError::new(ErrorCode::BadRequest, error.to_string())
            .cure("name a subject as `watchtree --local tree` shows it")
    })
}

fn unresponsive(error: Unresponsive) -> ApiError {
    ApiError::new(ErrorCode::Deadline, error.to_string()).cure("see the log of this daemon")
}

fn of_child(error: ClientError) -> ApiError {
    match error {
        ClientError::Api(error) => error,
        other => ApiError::new(
            ErrorCode::Unavailable,
            format!("the container-watchdog does not answer: {other}"),
        )
        .cure("see `watchtree --local status`"),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
