//! What must never leave: anything without consent, and the token anywhere but to the receiver.

use std::io::ErrorKind::WouldBlock;
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use headcount::{
    Consent, DataCategory, DataSource, Definitions, DeliveryOutcome, EventDefinition, MetricDefinition, Ping,
    Reader, SendingStopped, Sources, Store, TimeFrame, Timestamp, Upkeep, Uploader, ValueType,
};
use rusqlite::Connection;

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
    for narrower in [on.clone().without(DataCategory::Optional), on.clone().suppress_below(5)] {
        let place = Place::new(2, &receiver.url());
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
        consents.iter().for_each(|consent| place.store.ping().set_consent(consent).unwrap());
        assert_eq!(place.send(&uploader()).weeks.len(), sent);
    }
}

/// What was agreed to holds for what is begun after it, whatever the clock said then.
#[test]
fn no_clock_makes_a_ping_go_or_stay_that_nobody_agreed_to() {
    let receiver = Receiver::start(vec![status("200 OK")]);
    let on = Consent::default().send_to(receiver.url());
    for agreed_at in ["2020-01-01T00:00:00Z", "2026-11-23T08:00:00Z", "2031-01-01T00:00:00Z"] {
        let place = Place::new(1, &receiver.url());
        let (ping, now) = (place.store.ping(), place.now());
        ping.set_consent(&Consent::default()).unwrap();
        place.clock.set(now.plus_seconds(7 * 86_400));
        ping.generate().unwrap();
        let sent = || place.send(&uploader()).weeks.iter().map(|sent| sent.week).collect::<Vec<_>>();
        place.clock.set(Timestamp::parse(agreed_at).unwrap());
        ping.set_consent(&on).unwrap();
        ping.set_consent(&on).unwrap();
        assert_eq!(sent(), []);
        place.clock.set(now.plus_seconds(14 * 86_400));
        assert_eq!(sent(), [], "{agreed_at}");
        let made = ping.generate().unwrap();
        assert_eq!(sent(), [made.week], "{agreed_at}");
        let named = ping.resend(&[week("2026-W48"), week("2026-W49")], &uploader()).unwrap();
        assert_eq!(named.weeks.len(), 2, "{agreed_at}");
    }
}

/// Version 2 noted when it was agreed; a salvaged store of it sends nothing that it finds.
#[test]
fn a_migrated_or_salvaged_store_sends_what_was_agreed_to_and_no_more() {
    let receiver = Receiver::start(vec![status("200 OK")]);
    for (version, from_migrated, from_salvaged) in [(3, 2, 2), (2, 1, 0)] {
        let place = Place::new(2, &receiver.url());
        place.store.flush().unwrap();
        let Place { folder, clock, store } = place;
        drop(store);
        let (old, new) = (folder.path().join("usage.db"), folder.path().join("salvaged.db"));
        if version == 2 {
            let old = Connection::open(&old).unwrap();
            old.execute_batch(
                "DROP TABLE arrived; ALTER TABLE pings DROP COLUMN agreement; ALTER TABLE consent DROP COLUMN agreement;
                 ALTER TABLE consent ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
                 UPDATE consent SET since = (SELECT min(recorded) FROM pings); PRAGMA user_version = 2",
            )
            .unwrap();
        }
        assert_eq!(Ping::of(&Reader::open(&old).unwrap()).weeks().unwrap().len(), 2);
        assert_eq!(Upkeep::salvage(&old, &new).unwrap().losses, []);
        for (path, sent) in [(old, from_migrated), (new, from_salvaged)] {
            let definitions = Definitions::new().event(EventDefinition::new("opened")).unwrap();
            let store = Store::builder(&path).definitions(definitions).clock(clock.clone()).open().unwrap();
            let sending = store.ping().send(&uploader()).unwrap();
            assert_eq!((sending.weeks.len(), sending.stopped), (sent, None), "{version} {}", path.display());
        }
    }
}

/// Its document was begun when more was permitted.
#[test]
fn a_ping_in_the_making_when_something_is_taken_back_stays_here() {
    let (listener, url) = quiet();
    let theme = MetricDefinition::new("settings.theme", TimeFrame::None).source(DataSource::System);
    let definitions = Definitions::new().metric(theme.value(ValueType::String)).unwrap();
    let store = Store::builder_in_memory().definitions(definitions).open().unwrap();
    let (ping, on) = (store.ping(), Consent::default().send_to(&url));
    ping.set_consent(&on).unwrap();
    let chooser = ping.clone();
    let sources = Sources::new().key_path("settings.theme", move |_| {
        chooser.set_consent(&on.clone().without(DataCategory::Optional)).unwrap();
        Ok("dark".into())
    });
    ping.clone().sources(sources).generate().unwrap();
    let sending = ping.send(&uploader()).unwrap();
    assert_eq!((sending.weeks, sending.stopped), (vec![], None));
    nobody_came(&listener);
}

/// The first ping's receiver turns sending off: the second one must not leave.
#[test]
fn consent_is_asked_before_each_connection() {
    let store = Arc::new(Mutex::new(None::<Ping>));
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
