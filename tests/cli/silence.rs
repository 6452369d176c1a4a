//! Whether the binary opens sockets, by what the system saw of it; and what it says to a receiver's answer.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use crate::bench::{Bench, Ran};

/// The ends of weeks: whatever an installation's minute is, it has come.
const SUNDAYS: [&str; 3] = ["2026-12-06T23:59:59Z", "2026-12-13T23:59:59Z", "2026-12-20T23:59:59Z"];

/// A run of the binary behind `strace`, and the calls that open a socket.
fn sockets(bench: &Bench, now: &str, args: &[&str], variables: &[(&str, &str)]) -> (Ran, Vec<String>) {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-e", "trace=network", "-o", "trace", env!("CARGO_BIN_EXE_headcount")])
        .args(args);
    strace.current_dir(bench.path("")).env("HEADCOUNT_NOW", now).env_remove("HEADCOUNT_STORE");
    for name in ["DO_NOT_TRACK", "HEADCOUNT_TELEMETRY", "HEADCOUNT_DEFINITIONS"] {
        strace.env_remove(name);
    }
    let ran = Ran::of(strace.envs(variables.iter().copied()).output().unwrap());
    let trace = std::fs::read_to_string(bench.path("trace")).unwrap();
    (ran, trace.lines().filter(|line| line.contains("socket(")).map(str::to_owned).collect())
}

/// Answers each connection with a status, in turn, the last one again and again.
fn receiver(statuses: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/pings", listener.local_addr().unwrap());
    // Ends with the test program.
    thread::spawn(move || {
        for status in statuses.iter().chain(std::iter::repeat(statuses.last().unwrap())) {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = Vec::new();
            let mut piece = [0; 65_536];
            // The document ends with a brace in a line of its own.
            while !request.ends_with(b"\n}\n") {
                match stream.read(&mut piece) {
                    Ok(read) if read > 0 => request.extend_from_slice(piece.get(..read).unwrap()),
                    _ => break,
                }
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

/// Runs with `HEADCOUNT_TEST_SERVERS=1` and `strace` in the path.
#[test]
fn without_consent_a_run_opens_no_socket() {
    if std::env::var_os("HEADCOUNT_TEST_SERVERS").is_none() {
        return;
    }
    let bench = Bench::with_events();
    let url = receiver(&["200 OK"]);
    // Nobody has said anything.
    let (ran, opened) = sockets(&bench, SUNDAYS[0], &["ping", "run", "--definitions", "config"], &[]);
    assert!(ran.code == 0 && ran.out.contains(" is made: "), "{} {}", ran.out, ran.err);
    assert_eq!(opened, Vec::<String>::new());
    // Somebody agreed, and the environment forbids.
    bench.json(&["ping", "consent", "--send-to", &url]);
    for variable in [("DO_NOT_TRACK", "1"), ("HEADCOUNT_TELEMETRY", "off")] {
        for args in [
            &["ping", "run"][..],
            &["ping", "send"],
            &["ping", "generate"],
            &["ping", "preview"],
            &["ping", "status"],
        ] {
            let (ran, opened) = sockets(&bench, SUNDAYS[0], args, &[variable]);
            assert_eq!((ran.code, opened), (0, vec![]), "{args:?} {}", ran.err);
        }
    }
    // Somebody agreed, and took it back.
    bench.json(&["ping", "consent", "--off"]);
    let (ran, opened) = sockets(&bench, SUNDAYS[1], &["ping", "run"], &[]);
    assert!(ran.code == 0 && ran.out.contains(" is made: "), "{} {}", ran.out, ran.err);
    assert_eq!(opened, Vec::<String>::new());
    // With consent the trace has one.
    if cfg!(feature = "upload") {
        bench.json(&["ping", "consent", "--send-to", &url]);
        let (ran, opened) = sockets(&bench, SUNDAYS[2], &["ping", "run", "--no-proxy"], &[]);
        assert!(ran.code == 0 && ran.out.contains(" is sent"), "{} {}", ran.out, ran.err);
        assert!(opened.iter().any(|line| line.contains("socket(AF_INET")), "{opened:?}");
    }
}

#[cfg(feature = "upload")]
#[test]
fn a_wrong_token_is_named_with_its_remedy_and_one_send_after_mending_sends_all() {
    let bench = Bench::with_events();
    let url = receiver(&["401 Unauthorized", "404 Not Found", "200 OK"]);
    bench.write("token", "old");
    bench.json(&["ping", "consent", "--send-to", &url]);
    let [.., last] = SUNDAYS;
    let at = |now: &str, args: &[&str]| {
        let mut command = bench.command(args);
        Ran::of(command.env_remove("DO_NOT_TRACK").env("HEADCOUNT_NOW", now).output().unwrap())
    };
    for now in SUNDAYS {
        assert_eq!(at(now, &["ping", "generate", "--definitions", "config"]).code, 0);
    }
    let send = ["ping", "send", "--no-proxy", "--token-file", "token"];
    let denied = at(last, &send);
    assert_eq!(denied.code, 6, "{}", denied.err);
    for part in [
        "renew the token in token",
        "headcount ping consent --send-to URL",
        "--token-file",
        "sends all that wait",
    ] {
        assert!(denied.err.contains(part), "{part}: {}", denied.err);
    }
    assert!(denied.out.contains("the others would fare as the last one did"), "{}", denied.out);
    // cron comes too early.
    let run = at(last, &["ping", "run", "--no-proxy", "--token-file", "token"]);
    assert!(run.code == 0 && run.out.contains("all wait until 2026-12-21T00:0"), "{} {}", run.out, run.err);
    assert!(at(last, &send).err.contains("nothing there takes pings; correct the URL of the consent"));
    let sent = at(last, &send);
    assert_eq!((sent.code, sent.out.matches(" is sent\n").count()), (0, 3), "{} {}", sent.out, sent.err);
}
