//! The routes of the HTTP API: requests become calls of the [`Api`], results become JSON.
//!
//! Contract: each request has a deadline; each refusal is one line with a cure.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use watchtree_api::{
    Api, ApiError, ApiVersion, Ask, AskVerb, ErrorBody, ErrorCode, EventQuery, Health, IncidentQuery,
    REQUEST_BYTES_MAX, TreeQuery, WAIT_MS_MAX, path,
};

/// Who asks, as the kernel vouches for it: `uid 0`, `127.0.0.1`.
#[derive(Clone, Debug)]
pub(super) struct PeerName(pub(super) String);

/// Time for the request's body.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// Time for the answer of the daemon, besides the waiting time of a long poll. An order takes as long as it lives.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What a listener allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// Reads and writes.
    All,
    /// Reads.
    ReadsOnly,
}

type Shared = Arc<dyn Api>;

pub(super) fn router(api: Shared, access: Access) -> Router {
    let mut router = Router::new()
        .route(path::TREE, get(tree))
        .route(path::INCIDENTS, get(incidents))
        .route(path::EVENTS, get(events))
        .route(path::EXPLAIN, get(explain))
        .route(path::HOLD, post(hold))
        .route(path::RELEASE, post(release))
        .route(path::RETRY, post(retry))
        .route(path::FORGET, post(forget))
        .route(path::LIVEZ, get(livez))
        .route(path::READYZ, get(readyz))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api);
    if access == Access::ReadsOnly {
        router = router.layer(middleware::from_fn(reads_only));
    }
    router
}

/// The guard of the loopback listener: reads only, and only under a loopback name (a web page that had its own name
/// resolved to 127.0.0.1 could read along otherwise).
async fn reads_only(request: Request, next: Next) -> Response {
    if request.method() != axum::http::Method::GET {
        let error = ApiError::new(ErrorCode::ReadOnly, "this listener answers reads only")
            .cure("use the unix socket for hold, release, retry and forget");
        return refuse(error);
    }
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    if !is_loopback_name(host) {
        let error = ApiError::new(ErrorCode::ReadOnly, "the Host header names no loopback address")
            .cure("ask for http://127.0.0.1:PORT or http://localhost:PORT");
        return refuse(error);
    }
    next.run(request).await
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn no_such_path() -> Response {
    let error = ApiError::new(ErrorCode::NotFound, "no such path")
        .cure("the API is at /api/v1/tree, incidents, events, explain");
    refuse(error)
}

async fn wrong_method() -> Response {
    refuse(ApiError::new(
        ErrorCode::WrongMethod,
        "reads are GET; hold, release, retry and forget are POST",
    ))
}

fn refuse(error: ApiError) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = ErrorBody {
        api_version: ApiVersion::default(),
        error,
    };
    json(status, &body)
}

fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (status, headers, Body::from(bytes)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as json");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Runs one question under its deadline.
async fn answer<T: Serialize>(within: Duration, asked: impl Future<Output = Result<T, ApiError>>) -> Response {
    match tokio::time::timeout(within, asked).await {
        Ok(Ok(body)) => json(StatusCode::OK, &body),
        Ok(Err(error)) => refuse(error),
        Err(_) => refuse(
            ApiError::new(ErrorCode::Deadline, format!("no answer within {} s", within.as_secs()))
                .cure("see the daemon's log, then try again"),
        ),
    }
}

fn query_of<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query
        .map(|Query(query)| query)
        .map_err(|rejection| ApiError::new(ErrorCode::BadRequest, rejection.body_text()))
}

async fn tree(State(api): State<Shared>, query: Result<Query<TreeQuery>, QueryRejection>) -> Response {
    answer(ANSWER_WITHIN, async { api.tree(query_of(query)?).await }).await
}

async fn incidents(State(api): State<Shared>, query: Result<Query<IncidentQuery>, QueryRejection>) -> Response {
    answer(ANSWER_WITHIN, async { api.incidents(query_of(query)?).await }).await
}

async fn events(State(api): State<Shared>, query: Result<Query<EventQuery>, QueryRejection>) -> Response {
    let within = ANSWER_WITHIN + Duration::from_millis(WAIT_MS_MAX);
    answer(within, async { api.events(query_of(query)?).await }).await
}

#[derive(Debug, Deserialize)]
struct ExplainQuery {
    subject: String,
}

async fn explain(State(api): State<Shared>, query: Result<Query<ExplainQuery>, QueryRejection>) -> Response {
    answer(ANSWER_WITHIN, async { api.explain(query_of(query)?.subject).await }).await
}

async fn hold(State(api): State<Shared>, request: Request) -> Response {
    ask(api, AskVerb::Hold, request).await
}

async fn release(State(api): State<Shared>, request: Request) -> Response {
    ask(api, AskVerb::Release, request).await
}

async fn retry(State(api): State<Shared>, request: Request) -> Response {
    ask(api, AskVerb::Retry, request).await
}

async fn forget(State(api): State<Shared>, request: Request) -> Response {
    ask(api, AskVerb::Forget, request).await
}

async fn ask(api: Shared, verb: AskVerb, request: Request) -> Response {
    let peer = request
        .extensions()
        .get::<PeerName>()
        .map_or("unknown", |peer| peer.0.as_str())
        .to_string();
    let ask = match tokio::time::timeout(BODY_WITHIN, to_bytes(request.into_body(), REQUEST_BYTES_MAX)).await {
        Ok(Ok(bytes)) => serde_json::from_slice::<Ask>(&bytes).map_err(|error| {
            ApiError::new(
                ErrorCode::BadRequest,
                format!("the body is no request of this API: {error}"),
            )
            .cure(r#"send {"subject": "h1/docker/web", "lasts_ms": 1800000}"#)
        }),
        Ok(Err(_)) => Err(ApiError::new(
            ErrorCode::TooLarge,
            format!("a request has at most {REQUEST_BYTES_MAX} bytes"),
        )),
        Err(_) => Err(ApiError::new(
            ErrorCode::Deadline,
            "the request's body did not arrive in time",
        )),
    };
    answer(ANSWER_WITHIN, async {
        let mut ask = ask?;
        ask.verb = verb;
        ask.check()?;
        let claimed: String = ask.asked_by.chars().filter(|c| !c.is_control()).take(64).collect();
        ask.asked_by = if claimed.is_empty() {
            peer
        } else {
            format!("{peer} ({claimed})")
        };
        api.ask(ask).await
    })
    .await
}

async fn livez(State(api): State<Shared>) -> Response {
    health(api.live()).await
}

async fn readyz(State(api): State<Shared>) -> Response {
    health(api.ready()).await
}

async fn health(asked: impl Future<Output = Result<Health, ApiError>>) -> Response {
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(Ok(health)) => {
            let status = if health.ok {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            json(status, &health)
        }
        Ok(Err(error)) => refuse(error),
        Err(_) => refuse(ApiError::new(ErrorCode::Deadline, "no answer in time")),
    }
}
