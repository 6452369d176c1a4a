//! Receivers that hang, names that lead nowhere, and pings that are damaged: each fails within its limit, and says so.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use headcount::{Acceptance, DeliveryOutcome, ErrorKind, SendFault, UploadLimits, Uploader};

use crate::place::{Place, uploader, week};
use crate::receiver::{Reaction, Receiver, status};

/// Far above what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(20);

fn hasty() -> Uploader {
    let short = Duration::from_millis(300);
    uploader().limits(UploadLimits { connect: short, send: short, response: short, whole: 3 * short })
}

fn fault_of(place: &Place, uploader: &Uploader) -> Option<SendFault> {
    let begun = Instant::now();
    let sending = place.send(uploader);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    sending.weeks[0].failure.as_ref().map(|failure| failure.fault())
}

#[test]
fn a_receiver_that_says_nothing_is_left_within_the_limit() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n".to_vec();
    for reaction in [Reaction::Stall(Vec::new()), Reaction::Stall(head.clone()), Reaction::Drip(head, 60)] {
        let receiver = Receiver::start(vec![reaction]);
        let place = Place::new(1, &receiver.url());
        assert_eq!(fault_of(&place, &hasty()), Some(SendFault::Timeout));
        let delivery = place.delivery();
        assert_eq!((delivery.outcome, delivery.status), (DeliveryOutcome::Waiting, None));
        assert!(delivery.response.unwrap().contains("took too long"));
    }
}

/// A machine that takes connections and does not even read.
#[test]
fn a_receiver_that_does_not_read_is_left_within_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new(1, &format!("http://{}/", listener.local_addr().unwrap()));
    assert_eq!(fault_of(&place, &hasty()), Some(SendFault::Timeout));
}

/// The status says that the ping arrived; to send it again would make two of it.
#[test]
fn a_body_that_stalls_behind_a_good_status_does_not_make_the_ping_go_twice() {
    let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"conv_index\"".to_vec();
    for reaction in [Reaction::Stall(begun.clone()), Reaction::Send(begun.clone()), Reaction::Drip(begun, 1)]
    {
        let receiver = Receiver::start(vec![reaction.clone()]);
        let place = Place::new(1, &receiver.url());
        assert_eq!(fault_of(&place, &hasty()), None);
        assert_eq!(place.delivery().response.as_deref(), Some("{\"conv_index\""));
        let receiver = Receiver::start(vec![reaction]);
        let place = Place::new(1, &receiver.url());
        let fault = fault_of(&place, &hasty().accept(Acceptance::Gitlab));
        assert_eq!(fault, Some(SendFault::Unconfirmed));
    }
}

#[test]
fn nobody_there_is_a_passing_failure_that_names_the_place() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new(2, &format!("http://{address}/secret-path?key=1"));
    let sending = place.send(&uploader());
    // The other week would fare no better.
    assert_eq!(sending.weeks.len(), 1);
    let error = sending.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    println!("{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    let unknown = Place::new(1, "http://no-such-host.invalid/");
    // A machine without a resolver may only find out that it takes too long.
    let fault = fault_of(&unknown, &uploader());
    assert!(matches!(fault, Some(SendFault::Unreachable | SendFault::Timeout)), "{fault:?}");
}

/// The clock was years ahead when an attempt failed, and was set right since.
#[test]
fn a_clock_that_was_wrong_does_not_hold_up_a_ping_for_years() {
    let receiver = Receiver::start(vec![status("503 Unavailable"), status("200 OK")]);
    let place = Place::new(1, &receiver.url());
    let now = place.now();
    place.clock.set(now.plus_seconds(20 * 366 * 86_400));
    assert_eq!(fault_of(&place, &uploader()), Some(SendFault::Unavailable));
    place.clock.set(now);
    assert_eq!(fault_of(&place, &uploader()), None);
}

#[test]
fn a_damaged_ping_is_not_sent_and_holds_up_no_other() {
    let receiver = Receiver::start(vec![status("200 OK")]);
    let place = Place::new(2, &receiver.url());
    place.change(
        "UPDATE pings SET document = replace(document, 'uuid', 'uuld') WHERE week = (SELECT min(week) FROM pings)",
    );
    let sending = place.send(&uploader());
    let failure = sending.weeks[0].failure.as_ref().unwrap();
    assert_eq!(failure.fault(), SendFault::Damaged);
    assert_eq!(sending.error().unwrap().kind(), ErrorKind::StoreDamaged);
    assert_eq!(sending.weeks[1].delivery.outcome, DeliveryOutcome::Sent);
    assert_eq!(receiver.count(), 1);
    let first = &place.history()[0].delivery;
    assert_eq!((first.outcome, first.attempts), (DeliveryOutcome::Kept, 0));
    // Each sending says so, until somebody has it forgotten.
    let again = place.send(&uploader());
    assert!(again.error().unwrap().to_string().contains("ping forget 2026-W47"), "{again:?}");
    place.store.ping().forget(week("2026-W47")).unwrap();
    assert_eq!(place.send(&uploader()), headcount::PingSending::default());
    let named = place.store.ping().resend(&[week("2026-W47")], &uploader()).unwrap_err();
    assert_eq!(named.kind(), ErrorKind::NotKept);
    assert_eq!(receiver.count(), 1);
}

#[test]
fn what_cannot_be_used_is_said_before_anything_is_sent() {
    let receiver = Receiver::start(vec![status("200 OK")]);
    let place = Place::new(1, &receiver.url());
    let file = |name: &str, text: &str| {
        let path = place.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (empty, two, odd) = (file("empty", "\n"), file("two", "a b"), file("odd", "\u{fc}"));
    let no_pem = file("no.pem", "certificates");
    let ping = place.store.ping();
    for (uploader, kind, part) in [
        (uploader().to("ftp://127.0.0.1/"), ErrorKind::Usage, "https://host/path"),
        (uploader().to("http://"), ErrorKind::Usage, "https://host/path"),
        (uploader().to("https://me:secret@127.0.0.1/"), ErrorKind::Usage, "use a token"),
        (uploader().token_from_file("/no/such/token"), ErrorKind::Io, "/no/such/token"),
        (uploader().token_from_file(&empty), ErrorKind::Usage, "empty"),
        (uploader().token_from_file(&two), ErrorKind::Usage, "visible ASCII"),
        (uploader().token_from_file(&odd), ErrorKind::Usage, "visible ASCII"),
        (uploader().token_from_variable("HEADCOUNT_NO_SUCH"), ErrorKind::Usage, "HEADCOUNT_NO_SUCH"),
        (uploader().token_from_file(file("t", "t")).to("http://192.0.2.1/"), ErrorKind::Usage, "use https"),
        (uploader().to("https://127.0.0.1:1/").ca_file("/no/such.pem"), ErrorKind::Io, "/no/such.pem"),
        (uploader().to("https://127.0.0.1:1/").ca_file(&no_pem), ErrorKind::Usage, "no.pem"),
        (uploader().to("http://127.0.0.1:1/").ca_file("/no/such.pem"), ErrorKind::Usage, "/no/such.pem"),
        (uploader().to("https://localhost:99999/"), ErrorKind::Usage, "its port is none"),
        (Uploader::new().proxy("socks5://me:secret@127.0.0.1:1"), ErrorKind::Usage, "the proxy"),
        (Uploader::new().proxy("http://me:sec ret@x"), ErrorKind::Usage, "the proxy"),
    ] {
        let error = ping.send(&uploader).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!((receiver.count(), place.delivery().attempts), (0, 0));
    let reader = headcount::Ping::of(place.store.reader());
    assert_eq!(reader.send(&uploader()).unwrap_err().kind(), ErrorKind::ReadOnly);
}
