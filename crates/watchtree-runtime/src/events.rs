//! The events of a daemon, kept in a ring for `/api/v1/events`: bounded, with a cursor that only grows.
//!
//! Pushing never waits; readers may wait for the next one. What falls out of the ring is counted to the reader that
//! missed it. Knows nothing of what events mean.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use watchtree_api::{ApiVersion, EventQuery, EventView, EventsResponse};

/// The ring. Clones show the same events.
#[derive(Clone, Debug)]
pub struct EventLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    node: String,
    stream: String,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<EventView>,
    next_cursor: u64,
}

impl EventLog {
    /// Most events that are kept.
    pub const EVENTS_MAX: usize = 4096;

    /// An empty ring of `node`. `stream` must differ from one start of the daemon to the next: cursors count from 1 in
    /// each.
    pub fn new(node: impl Into<String>, stream: impl Into<String>) -> Self {
        Self(Arc::new(Shared {
            node: node.into(),
            stream: stream.into(),
            ring: Mutex::new(Ring {
                events: VecDeque::new(),
                next_cursor: 1,
            }),
            newest: watch::Sender::new(0),
        }))
    }

    /// Takes one event; its cursor is set here. Never waits.
    pub fn push(&self, mut event: EventView) {
        let mut ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        event.cursor = ring.next_cursor;
        ring.next_cursor += 1;
        if Self::EVENTS_MAX <= ring.events.len() {
            ring.events.pop_front();
        }
        let cursor = event.cursor;
        ring.events.push_back(event);
        drop(ring);
        self.0.newest.send_replace(cursor);
    }

    /// Events after the query's cursor; waits up to its `wait_ms` for the first that fits.
    pub async fn read(&self, query: &EventQuery) -> EventsResponse {
        let mut newest = self.0.newest.subscribe();
        let mut query = query.clone();
        // Waiting from the newest on must not move on with each new event that does not fit.
        let first = self.read_now(&query);
        query.since = query.since.or(Some(first.next));
        if !first.events.is_empty() || query.wait_ms() == 0 {
            return first;
        }
        let waited = tokio::time::timeout(Duration::from_millis(query.wait_ms()), async {
            while newest.changed().await.is_ok() {
                let answer = self.read_now(&query);
                if !answer.events.is_empty() {
                    return Some(answer);
                }
            }
            None
        });
        match waited.await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => self.read_now(&query),
        }
    }

    fn read_now(&self, query: &EventQuery) -> EventsResponse {
        let ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = ring.next_cursor - 1;
        let oldest = ring.events.front().map_or(ring.next_cursor, |event| event.cursor);
        // A cursor of the future is one of another stream: begin anew.
        let since = query.since.map(|since| if newest < since { 0 } else { since });
        let fits = |event: &&EventView| {
            query
                .subject
                .as_deref()
                .is_none_or(|top| is_within(&event.subject, top))
        };
        let limit = query.limit();
        let (events, next) = match since {
            Some(since) => {
                let skip = usize::try_from((since + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
                let found: Vec<EventView> = ring
                    .events
                    .iter()
                    .skip(skip)
                    .filter(fits)
                    .take(limit)
                    .cloned()
                    .collect();
                let next = if found.len() < limit {
                    newest
                } else {
                    found.last().map_or(newest, |event| event.cursor)
                };
                (found, next)
            }
            None => {
                let mut found: Vec<EventView> = ring.events.iter().rev().filter(fits).take(limit).cloned().collect();
                found.reverse();
                (found, newest)
            }
        };
        EventsResponse {
            api_version: ApiVersion::default(),
            node: self.0.node.clone(),
            stream: self.0.stream.clone(),
            next,
            lost: since.map_or(0, |since| oldest.saturating_sub(since + 1)),
            events,
        }
    }
}

/// True for `top` itself and everything below.
fn is_within(subject: &str, top: &str) -> bool {
    subject
        .strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(subject: &str) -> EventView {
        EventView {
            subject: subject.to_string(),
            ..EventView::default()
        }
    }

    fn cursors(answer: &EventsResponse) -> Vec<u64> {
        answer.events.iter().map(|event| event.cursor).collect()
    }

    #[tokio::test]
    async fn a_reader_gets_each_event_once_and_is_told_what_it_missed() {
        let log = EventLog::new("m", "1");
        for _ in 0..3 {
            log.push(event("h1/docker"));
        }
        let all = log.read(&EventQuery::default()).await;
        assert_eq!((cursors(&all), all.next, all.lost), (vec![1, 2, 3], 3, 0));
        let page = log
            .read(&EventQuery {
                since: Some(0),
                limit: Some(2),
                ..EventQuery::default()
            })
            .await;
        assert_eq!((cursors(&page), page.next), (vec![1, 2], 2));
        for _ in 0..EventLog::EVENTS_MAX {
            log.push(event("h1"));
        }
        let late = log
            .read(&EventQuery {
                since: Some(1),
                limit: Some(1),
                ..EventQuery::default()
            })
            .await;
        assert_eq!((cursors(&late), late.lost), (vec![4], 2));
        let other_stream = log
            .read(&EventQuery {
                since: Some(1 << 40),
                limit: Some(1),
                ..EventQuery::default()
            })
            .await;
        assert_eq!(cursors(&other_stream), vec![4]);
    }

    #[tokio::test]
    async fn a_long_poll_ends_with_the_first_event_that_fits() {
        let log = EventLog::new("m", "1");
        let query = EventQuery {
            wait_ms: 25_000,
            subject: Some("h1".into()),
            ..EventQuery::default()
        };
        let reader = tokio::spawn({
            let log = log.clone();
            async move { log.read(&query).await }
        });
        // The reader may subscribe before or after the first push: both end in the same answer.
        log.push(event("h10/docker"));
        log.push(event("h1/docker"));
        let answer = tokio::time::timeout(Duration::from_secs(20), reader)
            .await
            .expect("in time")
            .expect("no panic");
        assert_eq!(cursors(&answer), vec![2]);
    }

    #[tokio::test]
    async fn a_long_poll_without_events_ends_by_itself() {
        let log = EventLog::new("m", "1");
        let answer = log
            .read(&EventQuery {
                wait_ms: 20,
                ..EventQuery::default()
            })
            .await;
        assert!(answer.events.is_empty());
        assert_eq!(answer.next, 0);
    }
}
