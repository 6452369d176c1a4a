//! What the service promises: after a graceful end every request is in the file.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use headcount::{Query, Reader, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

const CLIENTS: u64 = 20;
const REQUESTS_PER_CLIENT: u64 = 25;
const REQUESTS: u64 = CLIENTS * REQUESTS_PER_CLIENT;
/// Far above what anything here takes; without it a fault would hang.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends one request on a connection of its own, and returns the answer as it came.
async fn ask(address: SocketAddr, request: &str, body: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    timeout(LIMIT, exchange).await.unwrap()
}

/// Many clients at once; each user opens one issue.
async fn create_issues(address: SocketAddr) {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            for request in 0..REQUESTS_PER_CLIENT {
                let user = client * REQUESTS_PER_CLIENT + request;
                let body = format!(r#"{{"user":{user},"place":"web"}}"#);
                let answer = ask(address, "POST /issues", &body).await;
                assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

async fn until(ended: oneshot::Receiver<()>) {
    ended.await.unwrap();
}

fn counted(store: &std::path::Path) -> u64 {
    Reader::open(store).unwrap().value(&Query::total("issue_created")).unwrap().count().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_tracked_is_in_the_file_after_a_graceful_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    // With an hour between commits it is the shutdown that has to store, and not luck.
    let store = Store::builder(&path)
        .definitions(service::definitions().unwrap())
        .flush_every(Duration::from_secs(3_600))
        .open()
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(service::serve(listener, store.clone(), until(ended), LIMIT));

    create_issues(address).await;
    let flushed = store.clone();
    spawn_blocking(move || flushed.flush()).await.unwrap().unwrap();
    let answer = ask(address, "GET /metrics/counts.issues", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains(&format!(r#""value":{REQUESTS}.0"#)), "{answer}");
    let answer = ask(address, "GET /metrics/counts.isues", "").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("counts.issues"), "{answer}");

    create_issues(address).await;
    assert_eq!(counted(&path), REQUESTS, "the second half is in memory only");
    end.send(()).unwrap();
    let stats = timeout(LIMIT, serving).await.unwrap().unwrap().unwrap();
    assert_eq!((stats.offered, stats.stored, stats.lost), (2 * REQUESTS, 2 * REQUESTS, 0));
    assert_eq!(counted(&path), 2 * REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_ends_its_request_does_not_hold_up_the_events_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let definitions = service::definitions().unwrap();
    let store = Store::builder(&path).definitions(definitions).flush_every(LIMIT).open().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(service::serve(listener, store, until(ended), Duration::from_millis(50)));

    let mut slow = TcpStream::connect(address).await.unwrap();
    // The handler waits for the rest of the body.
    let half = "POST /issues HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    slow.write_all(half.as_bytes()).await.unwrap();
    create_issues(address).await;
    end.send(()).unwrap();
    let stats = timeout(LIMIT, serving).await.unwrap().unwrap().unwrap();
    assert_eq!((stats.offered, stats.stored), (REQUESTS, REQUESTS));
    assert_eq!(counted(&path), REQUESTS);
    drop(slow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_service_has_stored_everything_and_ends_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let mut service =
        Command::new(env!("CARGO_BIN_EXE_service")).arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(service.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap().parse().unwrap();

    create_issues(address).await;
    // A client that says nothing more does not hold the end up.
    let idle = TcpStream::connect(address).await.unwrap();
    let killed = Command::new("kill").args(["-TERM", &service.id().to_string()]).status().unwrap();
    assert!(killed.success());

    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = service.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            service.kill().unwrap();
            panic!("the service did not end");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    drop(idle);
    assert_eq!(status.code(), Some(0));
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.trim(), format!("offered {REQUESTS}, stored {REQUESTS}, lost 0"));
    assert_eq!(counted(&path), REQUESTS);
}
