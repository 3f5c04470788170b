//! The HTTP API of container-watchdog: reads the machine between two turns, and passes local orders to it.

use crate::effect_executor::Waiting;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use watchtree_api::{
    Answer, Api, ApiError, Ask, AskAnswer, AskVerb, ErrorCode, EventQuery, EventsResponse, ExplainResponse, Health,
    IncidentQuery, IncidentsResponse, PolicyValue, TreeQuery, TreeResponse,
};
use watchtree_core::container::ContainerAgent;
use watchtree_core::container::io::ContainerInput;
use watchtree_core::container::policy::PolicyLine;
use watchtree_core::id::NodeIdentity;
use watchtree_core::message::OrderInput;
use watchtree_core::order::{Order, Verb};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::Moment;
use watchtree_os::identity::random16;
use watchtree_runtime::view::{self, About, TreeCollector};
use watchtree_runtime::{Clock, Conditions, EventLog, Pulse, StateReader, Unresponsive};

/// A local order dies after this.
const ORDER_LASTS: Duration = Duration::from_secs(10);

/// See the file's head.
pub(crate) struct Status {
    pub(crate) identity: NodeIdentity,
    pub(crate) began: Moment,
    pub(crate) observe_only: bool,
    pub(crate) state: StateReader<ContainerAgent>,
    pub(crate) inputs: mpsc::Sender<ContainerInput>,
    pub(crate) waiting: Waiting,
    pub(crate) conditions: Conditions,
    pub(crate) events: EventLog,
    pub(crate) pulse: Pulse,
}

impl Status {
    fn answer(&self) -> TreeResponse {
        TreeResponse {
            node: self.identity.name.to_string(),
            tier: self.identity.tier.as_str().to_owned(),
            version: self.identity.version.clone(),
            uptime_ms: millis(Clock.now().since(self.began)),
            wall_ms: Clock.wall().0,
            observe_only: self.observe_only,
            conditions: view::conditions(&self.conditions),
            ..TreeResponse::default()
        }
    }

    async fn find(&self, subject: String) -> Result<ExplainResponse, ApiError> {
        let id = subject_id(&subject)?;
        let look = move |agent: &ContainerAgent| {
            let now = Clock.now();
            let mut about = About::new(id.clone());
            agent.verdicts().for_each(|verdict| about.add(Some(now), verdict));
            let decisions = agent.decisions().filter(|decision| decision.subject == id);
            let decisions: Vec<_> = decisions.map(view::decision).collect();
            (about, decisions, agent.policy(&id).unwrap_or_default())
        };
        let (about, decisions, policy) = self.state.read(look).await.map_err(unresponsive)?;
        let current = about.finish();
        if current.is_none() && decisions.is_empty() {
            let error = ApiError::new(ErrorCode::NotFound, format!("nothing is known of {subject}"));
            return Err(error.cure("see `watchtree tree --local` for what is"));
        }
        Ok(ExplainResponse {
            node: self.identity.name.to_string(),
            wall_ms: Clock.wall().0,
            subject,
            current,
            decisions,
            policy: policy.into_iter().map(policy_value).collect(),
            ..ExplainResponse::default()
        })
    }

    async fn order(&self, ask: Ask) -> Result<AskAnswer, ApiError> {
        ask.check()?;
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
            subject: subject_id(&ask.subject)?,
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
        let input = ContainerInput::Order(OrderInput { order, local: true });
        let asked = async {
            self.inputs.send(input).await.ok()?;
            answered.await.ok()
        };
        let result = tokio::time::timeout(ORDER_LASTS, asked).await.ok().flatten();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let answer = result.ok_or_else(|| unresponsive(Unresponsive))?;
        Ok(view::answer(self.identity.name.as_str(), &answer))
    }

    fn health(&self, ok: bool, detail: &str) -> Health {
        Health {
            ok,
            detail: detail.to_owned(),
            conditions: view::conditions(&self.conditions),
            ..Health::default()
        }
    }
}

impl Api for Status {
    fn tree(&self, query: TreeQuery) -> Answer<'_, TreeResponse> {
        Box::pin(async move {
            let look = move |agent: &ContainerAgent| {
                let mut collector = TreeCollector::new(query);
                let now = Clock.now();
                agent
                    .verdicts()
                    .for_each(|verdict| collector.add(Some(now), verdict, None));
                collector
            };
            let collected = self.state.read(look).await.map_err(unresponsive)?;
            Ok(collected.finish(self.answer()))
        })
    }

    /// Incidents are opened by the manager; what is ill here is in the tree.
    fn incidents(&self, _query: IncidentQuery) -> Answer<'_, IncidentsResponse> {
        Box::pin(async {
            let node = self.identity.name.to_string();
            Ok(IncidentsResponse {
                node,
                wall_ms: Clock.wall().0,
                kept_elsewhere: true,
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
            Ok(self.health(
                alive,
                if alive {
                    "the working loop turns"
                } else {
                    "the working loop stands"
                },
            ))
        })
    }

    fn ready(&self) -> Answer<'_, Health> {
        Box::pin(async {
            let knows = self.state.read(ContainerAgent::is_ready).await.map_err(unresponsive)?;
            let words = if knows {
                "the containers are known"
            } else {
                "the containers are not known yet"
            };
            Ok(self.health(knows, words))
        })
    }
}

fn policy_value(line: PolicyLine) -> PolicyValue {
    PolicyValue {
        key: line.key.to_owned(),
        value: line.value,
        from: line.source,
    }
}

fn subject_id(text: &str) -> Result<SubjectId, ApiError> {
    SubjectId::new(text).map_err(|error| {
        ApiError::new(ErrorCode::BadRequest, error.to_string())
            .cure("name a subject as `watchtree tree --local` shows it")
    })
}

fn unresponsive(error: Unresponsive) -> ApiError {
    ApiError::new(ErrorCode::Deadline, error.to_string()).cure("see the log of this daemon")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
