//! What must never leave: anything without consent, and the token anywhere but to the receiver.

use std::io::ErrorKind::WouldBlock;
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use headcount::{Consent, DataCategory, DeliveryOutcome, SendingStopped, Uploader};

use crate::common::child::Child;
use crate::place::{Place, uploader, week};
use crate::receiver::{Reaction, Receiver, answer, read, status};

const TOKEN: &str = "glpat-canary-4711";

/// A receiver that nobody may come to.
fn quiet() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

fn nobody_came(listener: &TcpListener) {
    assert_eq!(listener.accept().unwrap_err().kind(), WouldBlock);
}

#[test]
fn without_consent_no_connection_is_made() {
    let (listener, url) = quiet();
    let place = Place::new(2, &url);
    let ping = place.store.ping();
    for consent in [Consent::default(), Consent::default().send_to(&url).without_sending()] {
        ping.set_consent(&consent).unwrap();
        // A URL from elsewhere is no consent.
        for uploader in [uploader(), uploader().to(&url)] {
            let sending = place.send(&uploader);
            assert_eq!((sending.weeks.len(), sending.stopped), (0, Some(SendingStopped::Off)));
            let sending = ping.resend(&[week("2026-W48")], &uploader).unwrap();
            assert_eq!((sending.weeks.len(), sending.stopped), (0, Some(SendingStopped::Off)));
        }
    }
    nobody_came(&listener);
    assert_eq!(place.delivery().attempts, 0);
}

/// What was made while nobody had agreed, or with what has been taken back since, goes only by name.
#[test]
fn what_was_made_before_the_last_consent_stays_here() {
    let receiver = Receiver::start(vec![status("200 OK")]);
    let on = Consent::default().send_to(receiver.url());
    let later = |place: &Place| place.clock.set(place.now().plus_seconds(60));
    for narrower in [on.clone().without(DataCategory::Optional), on.clone().suppress_below(5)] {
        let place = Place::new(2, &receiver.url());
        later(&place);
        place.store.ping().set_consent(&narrower).unwrap();
        assert!(place.send(&uploader()).weeks.is_empty());
        let named = place.store.ping().resend(&[week("2026-W47")], &uploader()).unwrap();
        assert_eq!(named.weeks.len(), 1);
    }
    // Off and on again is a new agreement; what takes nothing back is none.
    for (consents, sent) in
        [(vec![on.clone().without_sending(), on.clone()], 0), (vec![on.keep_weeks(50)], 2)]
    {
        let place = Place::new(2, &receiver.url());
        later(&place);
        consents.iter().for_each(|consent| place.store.ping().set_consent(consent).unwrap());
        assert_eq!(place.send(&uploader()).weeks.len(), sent);
    }
}

/// The first ping's receiver turns sending off: the second one must not leave.
#[test]
fn consent_is_asked_before_each_connection() {
    let store = Arc::new(Mutex::new(None::<headcount::Ping>));
    let shared = Arc::clone(&store);
    let receiver = Receiver::start(vec![Reaction::Call(Arc::new(move |stream| {
        shared.lock().unwrap().as_ref().unwrap().set_consent(&Consent::default()).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }))]);
    let place = Place::new(3, &receiver.url());
    *store.lock().unwrap() = Some(place.store.ping());
    let sending = place.send(&uploader());
    assert_eq!((sending.weeks.len(), sending.stopped), (1, Some(SendingStopped::Off)));
    assert_eq!(receiver.count(), 1);
}

#[test]
fn the_environment_forbids_whatever_the_consent_says() {
    let (listener, url) = quiet();
    for (name, value) in
        [("DO_NOT_TRACK", "1"), ("HEADCOUNT_TELEMETRY", "off"), ("HEADCOUNT_TELEMETRY", "disabled")]
    {
        let place = Place::new(1, &url);
        let own = place.variables();
        let mut variables: Vec<(&str, &str)> =
            own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        variables.push((name, value));
        let mut child = Child::start("send", &variables);
        assert_eq!(child.wait_for("sent "), format!("[] Some(Forbidden(\"{name}={value}\"))"));
        child.succeeds();
        assert_eq!(place.delivery().attempts, 0);
    }
    nobody_came(&listener);
}

#[test]
fn the_token_goes_to_the_receiver_and_nowhere_else() {
    let echo = format!("you sent {TOKEN}");
    let receiver = Receiver::start(vec![answer("403 Forbidden", "", &echo), status("200 OK")]);
    let place = Place::new(1, &receiver.url());
    let file = place.folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\nsecond line\n")).unwrap();
    let uploader = uploader().token_from_file(&file);
    let sending = place.send(&uploader);
    let authorization = format!("Bearer {TOKEN}");
    assert_eq!(receiver.arrived()[0].header("authorization"), Some(authorization.as_str()));
    let said = format!("{uploader:?} {sending:?} {:?} {}", place.history(), sending.error().unwrap());
    assert!(said.contains("(the token)") && !said.contains(TOKEN), "{said}");
    place.store.flush().unwrap();
    for entry in std::fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry != file {
            let bytes = std::fs::read(&entry).unwrap();
            assert!(!bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()), "{}", entry.display());
        }
    }
    // A token that was renewed is taken without a new uploader.
    std::fs::write(&file, "renewed").unwrap();
    place.store.ping().resend(&[week("2026-W48")], &uploader).unwrap();
    assert_eq!(receiver.arrived()[1].header("authorization"), Some("Bearer renewed"));
}

#[test]
fn a_proxy_gets_the_name_of_the_receiver_and_its_password_stays_with_it() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let (mut stream, _) = proxy.accept().unwrap();
        seen.push(read(&mut stream).unwrap());
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").unwrap();
        drop(stream);
        let (mut stream, _) = proxy.accept().unwrap();
        seen.push(read(&mut stream).unwrap());
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        // What comes now is meant for the receiver.
        seen.push(read(&mut stream).unwrap());
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        seen
    });
    let place = Place::new(1, "http://receiver.invalid/usage_data");
    let through = Uploader::new().proxy(format!("http://me:canary@{address}"));
    let sending = place.send(&through);
    let said = format!("{through:?} {sending:?}");
    assert!(said.contains("407") && !said.contains("canary"), "{said}");
    place.clock.set(place.delivery().next_at.unwrap());
    assert_eq!(place.send(&through).weeks[0].delivery.outcome, DeliveryOutcome::Sent);
    let seen = serving.join().unwrap();
    for connect in &seen[..2] {
        assert_eq!(connect.line, "CONNECT receiver.invalid:80 HTTP/1.1");
        assert_eq!(connect.header("proxy-authorization"), Some("Basic bWU6Y2FuYXJ5"));
    }
    assert_eq!(seen[2].body, place.history()[0].document.as_bytes());
    assert_eq!(seen[2].header("proxy-authorization"), None);
}
