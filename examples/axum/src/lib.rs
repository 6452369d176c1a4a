//! A web service on axum that counts what is done with it.
//!
//! Two rules make headcount fit an async program. Tracking goes straight into the handlers: it does no I/O and waits for nothing.
//! Everything else (opening, answers, `flush`, `close`) goes through `spawn_blocking`, because it reads or syncs a file.

use std::future::Future;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use headcount::{
    Definitions, Error, ErrorKind, EventDefinition, EventTracker, MetricDefinition, Rule, Stats, Store,
    TimeFrame,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// How long closing the store may take. The service manager has to wait longer than this and the drain limit together before it
/// kills.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// What a handler needs; cloned for each request, which costs two counters.
#[derive(Clone)]
struct App {
    store: Store,
    issue_created: EventTracker,
}

#[derive(Deserialize)]
struct NewIssue {
    user: u64,
    place: String,
}

/// The events and metrics of the service.
pub fn definitions() -> Result<Definitions, Error> {
    Definitions::new()
        .event(EventDefinition::new("issue_created").identifier("user").label())?
        .metric(MetricDefinition::new("counts.issues", TimeFrame::All).rule(Rule::count("issue_created")))
}

/// The routes: `POST /issues` with `{"user": 7, "place": "web"}`, and `GET /metrics/{key_path}`.
pub fn router(store: &Store) -> Result<Router, Error> {
    // Here a misspelt name stops the service at its start, instead of being counted later.
    let issue_created = store.tracker().event("issue_created")?;
    Ok(Router::new()
        .route("/issues", post(create_issue))
        .route("/metrics/{key_path}", get(metric))
        .with_state(App { store: store.clone(), issue_created }))
}

/// Answers requests until `shutdown` resolves, gives those in work `drain_limit` to end, and closes the store.
///
/// The order matters: first the last handler has tracked, then the store is closed; a request that takes longer is refused its
/// event. What became of the events is returned, for the log.
pub async fn serve(
    listener: TcpListener,
    store: Store,
    shutdown: impl Future<Output = ()> + Send + 'static,
    drain_limit: Duration,
) -> Result<Stats, Box<dyn std::error::Error + Send + Sync>> {
    let router = router(&store)?;
    let (began, draining) = oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        // Nobody listens any more when the server has ended by itself.
        let _ = began.send(());
    });
    // A client that reads slowly must not keep the events of all others in memory until the service is killed.
    let served = tokio::select! {
        served = async { server.await } => served,
        () = drained_too_long(draining, drain_limit) => Ok(()),
    };
    // Closing syncs the file. Also after an error of the server, as the events in memory are worth keeping.
    let stats = spawn_blocking(move || store.close_within(CLOSE_LIMIT)).await??;
    served?;
    Ok(stats)
}

async fn drained_too_long(draining: oneshot::Receiver<()>, limit: Duration) {
    match draining.await {
        Ok(()) => tokio::time::sleep(limit).await,
        // The server has ended by itself and is the one to be heard.
        Err(_) => std::future::pending().await,
    }
}

async fn create_issue(State(app): State<App>, Json(issue): Json<NewIssue>) -> StatusCode {
    // The program's own work stands here. Then the event: no await, no lock that is held during I/O, nothing that can fail.
    app.issue_created.user(issue.user).label(&issue.place).track();
    StatusCode::CREATED
}

async fn metric(State(app): State<App>, Path(key_path): Path<String>) -> (StatusCode, Json<Value>) {
    // Reading the file takes some 10 µs when it is cached and milliseconds when it is not; answers also take turns.
    let answer = spawn_blocking(move || app.store.metric(&key_path)).await;
    let outcome = match answer {
        Ok(metric) => metric.and_then(|metric| metric.outcome),
        Err(panicked) => return failure(StatusCode::INTERNAL_SERVER_ERROR, &panicked),
    };
    match outcome {
        // What was tracked within the last second may not be in it: `freshness` says so. To flush for each answer would cost a sync
        // of the disk each time.
        Ok(answer) => {
            let body = json!({
                "value": answer.value.number(),
                "standard_error": answer.standard_error,
                "freshness": answer.freshness.map(|time| time.to_string()),
            });
            (StatusCode::OK, Json(body))
        }
        Err(error) if error.kind() == ErrorKind::UnknownMetric => failure(StatusCode::NOT_FOUND, &error),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

fn failure(status: StatusCode, error: &dyn std::error::Error) -> (StatusCode, Json<Value>) {
    (status, Json(json!({ "error": error.to_string() })))
}
