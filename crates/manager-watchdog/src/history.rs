//! Records from memory and from the store, merged. Memory is newer and wins; the store goes back further.
//!
//! Contract: the store answers on its own thread and with a deadline; the machine's thread is never used for it.

use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::oneshot;
use watchtree_api as api;
use watchtree_core::decision::Decision;
use watchtree_core::incident::Incident;
use watchtree_runtime::view;
use watchtree_store::sqlite::{Past, StoreError};

/// A disk that does not answer by then is done without.
const STORE_WITHIN: Duration = Duration::from_secs(5);

/// What the store answered; where it could not, why.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) newest: Vec<T>,
    pub(crate) omitted: u64,
    pub(crate) incomplete: String,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self {
            newest: Vec::new(),
            omitted: 0,
            incomplete: String::new(),
        }
    }
}

type Answer<T> = Box<dyn FnOnce(Result<Past<T>, StoreError>) + Send>;

/// Asks the store.
pub(crate) async fn found<T: Send + 'static>(ask: impl FnOnce(Answer<T>)) -> Found<T> {
    let (sender, receiver) = oneshot::channel();
    ask(Box::new(move |past| {
        // Who asked may have given up.
        let _ = sender.send(past);
    }));
    let incomplete = match tokio::time::timeout(STORE_WITHIN, receiver).await {
        Ok(Ok(Ok(past))) => {
            return Found {
                newest: past.newest,
                omitted: past.omitted,
                incomplete: String::new(),
            };
        }
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(_)) => "the store has ended".to_string(),
        Err(_) => format!("the store did not answer within {} s", STORE_WITHIN.as_secs()),
    };
    Found {
        incomplete,
        ..Found::default()
    }
}

/// The newest of both, oldest first, and how many are left out.
pub(crate) fn newest_incidents(
    memory: Vec<Incident>,
    stored: Vec<Incident>,
    omitted: u64,
    limit: usize,
) -> (Vec<api::Incident>, u64) {
    // The sort is stable: of two with one number the one from memory comes first and stays.
    let mut all: Vec<Incident> = memory.into_iter().chain(stored).collect();
    all.sort_by_key(|incident| incident.id);
    all.dedup_by_key(|incident| incident.id);
    let skip = all.len().saturating_sub(limit);
    (
        all.iter().skip(skip).map(view::incident).collect(),
        omitted + skip as u64,
    )
}

/// As [`newest_incidents`]. The memory holds the newest of a subject: what only the store knows comes before it.
pub(crate) fn newest_decisions(
    memory: Vec<Decision>,
    stored: Vec<Decision>,
    omitted: u64,
    limit: usize,
) -> (Vec<api::DecisionView>, u64) {
    let known: BTreeSet<_> = memory.iter().map(|decision| decision.id.clone()).collect();
    let older = stored.into_iter().filter(|decision| !known.contains(&decision.id));
    let all: Vec<Decision> = older.chain(memory.iter().cloned()).collect();
    let skip = all.len().saturating_sub(limit);
    (
        all.iter().skip(skip).map(view::decision).collect(),
        omitted + skip as u64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtree_core::decision::{ActionKind, DecisionId, Outcome};
    use watchtree_core::id::NodeName;
    use watchtree_core::subject::{Incarnation, SubjectId};
    use watchtree_core::time::{Moment, WallTime};
    use watchtree_core::verdict::{Level, State};

    fn incident(id: u64, why: &str) -> Incident {
        Incident {
            id,
            subject: SubjectId::new("h1").expect("a good subject"),
            state: State::AgentLost,
            level: Level::Strong,
            unconfirmed: false,
            why: why.into(),
            root_cause: None,
            touched: 0,
            opened: Moment::ZERO,
            opened_wall: WallTime(0),
            closed_wall: None,
            closed_why: String::new(),
            evidence: Vec::new(),
            decisions: Vec::new(),
        }
    }

    fn decision(count: u64, result: &str) -> Decision {
        Decision {
            id: DecisionId {
                node: NodeName::new("h1").expect("a good name"),
                epoch: 1,
                count,
            },
            at: Moment::ZERO,
            wall: WallTime(0),
            subject: SubjectId::new("h1").expect("a good subject"),
            incarnation: Incarnation::default(),
            evidence: Vec::new(),
            guards: Vec::new(),
            action: ActionKind::None,
            budget_left: None,
            outcome: Outcome::NotTaken,
            why: String::new(),
            result: result.into(),
        }
    }

    #[test]
    fn memory_wins_and_the_store_goes_back_further() {
        let memory = vec![incident(7, "new"), incident(3, "new")];
        let stored = vec![incident(1, "old"), incident(3, "old"), incident(5, "old")];
        let (shown, omitted) = newest_incidents(memory, stored, 10, 3);
        let shown: Vec<(&str, &str)> = shown.iter().map(|one| (one.id.as_str(), one.why.as_str())).collect();
        assert_eq!(shown, [("3", "new"), ("5", "old"), ("7", "new")]);
        assert_eq!(omitted, 11);

        let memory = vec![decision(8, "new"), decision(9, "new")];
        let stored = vec![decision(6, "old"), decision(7, "old"), decision(8, "old")];
        let (shown, omitted) = newest_decisions(memory, stored, 5, 3);
        let shown: Vec<(&str, &str)> = shown.iter().map(|one| (one.id.as_str(), one.result.as_str())).collect();
        assert_eq!(shown, [("h1:1:7", "old"), ("h1:1:8", "new"), ("h1:1:9", "new")]);
        assert_eq!(omitted, 6);
    }

    #[tokio::test]
    async fn a_store_that_cannot_answer_is_named() {
        let found = found::<Incident>(|answer| {
            answer(Ok(Past {
                newest: vec![incident(1, "")],
                omitted: 2,
            }))
        })
        .await;
        assert_eq!(
            (found.newest.len(), found.omitted, found.incomplete.as_str()),
            (1, 2, "")
        );
        let ended = super::found::<Incident>(drop).await;
        assert_eq!(ended.incomplete, "the store has ended");
    }
}
