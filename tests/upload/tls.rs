//! HTTPS against OpenSSL, with certificates of our own.
//!
//! Runs with `HEADCOUNT_TEST_SERVERS=1` and `openssl` in the path.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use headcount::{DeliveryOutcome, ErrorKind, SendFault};

use crate::place::{Place, uploader};

const KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

fn openssl(folder: &Path, words: &[&str]) {
    let done = Command::new("openssl").current_dir(folder).args(words).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// An authority, and a certificate of it for 127.0.0.1.
fn certificates(folder: &Path) {
    let ca =
        ["-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority of a test"];
    let own = ["-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=receiver"];
    openssl(folder, &[&["req"], KEY, &ca].concat());
    openssl(folder, &[&["req"], KEY, &own].concat());
    std::fs::write(folder.join("extra"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let words =
        "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extra -out own.pem";
    openssl(folder, &words.split(' ').collect::<Vec<_>>());
}

struct TlsReceiver {
    server: Child,
    out: BufReader<std::process::ChildStdout>,
    port: u16,
}

impl TlsReceiver {
    /// Takes one connection.
    fn start(folder: &Path, own: &str) -> Self {
        let words = format!("s_server -accept 127.0.0.1:0 -cert {own}.pem -key {own}.key -naccept 1");
        let mut server = Command::new("openssl");
        server.current_dir(folder).args(words.split(' ')).stderr(Stdio::null());
        let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ACCEPT") {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "openssl did not start");
        }
        let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
        Self { server, out, port }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/usage_data", self.port)
    }

    /// Reads until the document's end has come, answers, and returns what came.
    fn answer(mut self, end: &str) -> String {
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(end.as_bytes()) && self.out.read(&mut byte).unwrap() > 0 {
            seen.extend(byte);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
        self.server.stdin.as_mut().unwrap().write_all(answer).unwrap();
        self.server.stdin.as_mut().unwrap().flush().unwrap();
        self.server.wait().unwrap();
        String::from_utf8_lossy(&seen).into_owned()
    }
}

impl Drop for TlsReceiver {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn may_run() -> bool {
    let may = std::env::var_os("HEADCOUNT_TEST_SERVERS").is_some();
    if !may {
        println!("skipped: HEADCOUNT_TEST_SERVERS is not set");
    }
    may
}

#[test]
fn a_ping_goes_over_https_to_a_receiver_that_a_ca_file_vouches_for() {
    if !may_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let receiver = TlsReceiver::start(folder.path(), "own");
    let place = Place::new(1, &receiver.url("127.0.0.1"));
    let document = place.history()[0].document.clone();
    let end = document.clone();
    std::fs::write(folder.path().join("token"), "canary").unwrap();
    let serving = std::thread::spawn(move || receiver.answer(&end));
    let trusting =
        uploader().ca_file(folder.path().join("ca.pem")).token_from_file(folder.path().join("token"));
    let sending = place.send(&trusting);
    assert_eq!(sending.weeks[0].delivery.outcome, DeliveryOutcome::Sent, "{sending:?}");
    assert_eq!(place.delivery().response.as_deref(), Some("ok"));
    let seen = serving.join().unwrap();
    assert!(seen.contains("POST /usage_data HTTP/1.1") && seen.contains("Bearer canary"), "{seen}");
    assert!(seen.ends_with(&document));
}

/// Of a ping nothing may be sent before the other side is known.
#[test]
fn a_receiver_that_nobody_vouches_for_gets_nothing() {
    if !may_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let others = tempfile::tempdir().unwrap();
    certificates(folder.path());
    certificates(others.path());
    let trusting = uploader().ca_file(folder.path().join("ca.pem"));
    for (uploader, host) in [
        // By the system's authorities, by another one, and under another name.
        (uploader(), "127.0.0.1"),
        (uploader().ca_file(others.path().join("ca.pem")), "127.0.0.1"),
        (trusting, "localhost"),
    ] {
        let mut receiver = TlsReceiver::start(folder.path(), "own");
        let place = Place::new(1, &receiver.url(host));
        let sending = place.send(&uploader);
        let failure = sending.weeks[0].failure.as_ref().unwrap();
        println!("{failure}");
        assert_eq!(failure.fault(), SendFault::Tls, "{failure}");
        assert!(failure.message().contains("CA file"), "{failure}");
        assert_eq!(sending.error().unwrap().kind(), ErrorKind::Unreachable);
        // A certificate may be renewed: it is tried again.
        assert_eq!(place.delivery().outcome, DeliveryOutcome::Waiting);
        receiver.server.kill().unwrap();
        let mut seen = String::new();
        receiver.out.read_to_string(&mut seen).unwrap();
        assert!(!seen.contains("POST"), "{seen}");
    }
}
