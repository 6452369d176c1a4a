//! What receivers answer, and what becomes of the ping.

use headcount::{Acceptance, Consent, DeliveryOutcome, ErrorKind, SendFault, SendingStopped, UploadLimits};

use crate::place::{Place, uploader, week};
use crate::receiver::{Reaction, Receiver, answer, status};

#[test]
fn a_ping_is_posted_as_it_was_kept_and_once() {
    let receiver = Receiver::start(vec![answer("201 Created", "", "{\"id\": 7}")]);
    let place = Place::new(1, &receiver.url());
    let sending = place.send(&uploader());
    assert_eq!((sending.weeks.len(), sending.error().is_none(), &sending.stopped), (1, true, &None));
    let arrived = &receiver.arrived()[0];
    let kept = place.history().pop().unwrap();
    assert_eq!(arrived.line, "POST /usage_data HTTP/1.1");
    assert_eq!(arrived.body, kept.document.as_bytes());
    assert_eq!(arrived.header("content-type"), Some("application/json"));
    let agent = concat!("headcount/", env!("CARGO_PKG_VERSION"));
    assert_eq!(arrived.header("user-agent"), Some(agent));
    let key = kept.digest.to_string();
    assert_eq!(arrived.header("idempotency-key"), Some(key.as_str()));
    assert_eq!(arrived.header("authorization"), None);
    let delivery = kept.delivery;
    assert_eq!((delivery.outcome, delivery.attempts), (DeliveryOutcome::Sent, 1));
    assert_eq!((delivery.status, delivery.response.as_deref()), (Some(201), Some("{\"id\": 7}")));
    assert_eq!((delivery.tried_at, delivery.next_at), (Some(place.now()), None));
    for _ in 0..3 {
        assert!(place.send(&uploader()).weeks.is_empty());
        assert!(place.store.ping().resend(&[week("2026-W48")], &uploader()).unwrap().weeks.is_empty());
    }
    assert_eq!(receiver.count(), 1);
}

#[test]
fn what_passes_is_tried_again_with_the_same_bytes_until_it_is_sent() {
    let cut = || Reaction::Send(Vec::new());
    let half = || Reaction::Send(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec());
    let script = vec![
        status("500 Internal Server Error"),
        answer("429 Too Many Requests", "retry-after: 40000\r\n", "slow down"),
        status("408 Request Timeout"),
        cut(),
        status("425 Too Early"),
        half(),
        answer("503 Service Unavailable", "retry-after: 1\r\n", ""),
        Reaction::Send(b"this is no HTTP\r\n\r\n".to_vec()),
        status("200 OK"),
    ];
    let failures = script.len() - 1;
    let receiver = Receiver::start(script);
    let place = Place::new(1, &receiver.url());
    for attempt in 1..=failures {
        let sending = place.send(&uploader());
        assert_eq!(sending.error().unwrap().kind(), ErrorKind::Unreachable, "{sending:?}");
        let delivery = place.delivery();
        assert_eq!((delivery.outcome, delivery.attempts as usize), (DeliveryOutcome::Waiting, attempt));
        let next_at = delivery.next_at.unwrap();
        let pause = next_at.since(place.now()).as_secs();
        let most = (300 << (attempt - 1)).min(21_600);
        match attempt {
            2 => assert_eq!(pause, 40_000),
            _ => assert!((most / 2..=most).contains(&pause), "{pause} s after attempt {attempt}"),
        }
        // Not a second earlier.
        place.clock.set(next_at.plus_seconds(-1));
        assert!(place.send(&uploader()).weeks.is_empty());
        assert_eq!(receiver.count(), attempt);
        place.clock.set(next_at);
    }
    assert_eq!(place.send(&uploader()).error().map(|error| error.to_string()), None);
    assert_eq!(place.delivery().outcome, DeliveryOutcome::Sent);
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), failures + 1);
    let key = |at: usize| arrived[at].header("idempotency-key");
    assert!((0..arrived.len()).all(|at| arrived[at].body == arrived[0].body && key(at) == key(0)));
    assert_eq!(arrived[0].body, place.history()[0].document.as_bytes());
    println!("{} attempts, one success", arrived.len());
}

#[test]
fn a_refusal_is_final_unless_somebody_asks_again() {
    for refusal in ["400 Bad Request", "409 Conflict", "413 Too Large", "422 Unprocessable"] {
        let receiver = Receiver::start(vec![answer(refusal, "", "no thank you"), status("204 No Content")]);
        let place = Place::new(1, &receiver.url());
        let sending = place.send(&uploader());
        let error = sending.error().unwrap();
        assert_eq!(error.kind(), ErrorKind::Refused);
        for part in ["2026-W48", "no thank you", &receiver.address.to_string(), &refusal[..3]] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let delivery = place.delivery();
        assert_eq!((delivery.outcome, delivery.next_at), (DeliveryOutcome::Refused, None));
        assert_eq!(delivery.response.as_deref(), Some("no thank you"));
        place.clock.set(place.now().plus_seconds(3_600 * 24 * 30));
        assert!(place.send(&uploader()).weeks.is_empty());
        assert_eq!(receiver.count(), 1);
        let again = place.store.ping().resend(&[week("2026-W48")], &uploader()).unwrap();
        assert_eq!(again.weeks[0].delivery.outcome, DeliveryOutcome::Sent);
        assert_eq!(receiver.arrived()[0].body, receiver.arrived()[1].body);
    }
    let place = Place::new(1, "http://127.0.0.1:9");
    let missing = place.store.ping().resend(&[week("2026-W40")], &uploader()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotKept);
}

/// Else a backlog is gone, a ping an attempt, before anybody has looked.
#[test]
fn what_is_set_wrong_here_costs_no_ping_and_holds_all_until_it_is_mended() {
    let answers = [
        ("401 Unauthorized", SendFault::Denied, "name a token"),
        ("403 Forbidden", SendFault::Denied, "name a token"),
        ("407 Proxy Authentication Required", SendFault::Denied, "proxy"),
        ("404 Not Found", SendFault::NoReceiver, "correct the URL of the consent"),
        ("405 Method Not Allowed", SendFault::NoReceiver, "correct the URL of the consent"),
        ("410 Gone", SendFault::NoReceiver, "correct the URL of the consent"),
        ("415 Unsupported Media Type", SendFault::NoReceiver, "correct the URL of the consent"),
        ("308 Permanent Redirect", SendFault::Redirected, "correct the URL of the consent"),
    ];
    for (answer, fault, remedy) in answers {
        let wrong = (0..4).map(|_| status(answer));
        let receiver = Receiver::start(wrong.chain([status("200 OK")]).collect());
        let place = Place::new(6, &receiver.url());
        for attempt in 1..=3 {
            let sending = place.send(&uploader());
            let failure = sending.weeks[0].failure.as_ref().unwrap();
            assert_eq!((sending.weeks.len(), failure.fault()), (1, fault), "{answer}");
            assert!(failure.message().contains(remedy), "{failure}");
            assert_eq!(sending.error().unwrap().kind(), ErrorKind::Refused);
            let first = place.history()[0].delivery.clone();
            assert_eq!((first.outcome, first.attempts), (DeliveryOutcome::Waiting, attempt));
            // Nothing leaves before its time, by however many runs.
            let until = first.next_at.unwrap();
            for now in [place.now(), until.plus_seconds(-1)] {
                place.clock.set(now);
                let sending = place.send(&uploader());
                assert_eq!(
                    (sending.weeks.len(), sending.stopped),
                    (0, Some(SendingStopped::Unmended { until }))
                );
            }
            assert_eq!(u32::try_from(receiver.count()), Ok(attempt));
            place.clock.set(until);
        }
        let outcomes = |place: &Place| {
            place.history().iter().map(|ping| ping.delivery.outcome.as_str()).collect::<Vec<_>>()
        };
        place.send(&uploader());
        assert_eq!(outcomes(&place), ["waiting", "kept", "kept", "kept", "kept", "kept"]);
        // Somebody mends it, and asks once.
        let sending = place.store.ping().send_at_once(&uploader()).unwrap();
        assert_eq!(
            (sending.weeks.len(), sending.error().is_none(), sending.stopped),
            (6, true, None),
            "{answer}"
        );
        assert_eq!(outcomes(&place), ["sent"; 6]);
    }
}

#[test]
fn a_wrong_url_is_mended_by_another_one_and_a_wrong_token_is_named() {
    let wrong = Receiver::start(vec![status("404 Not Found")]);
    let right = Receiver::start(vec![status("401 Unauthorized"), status("200 OK")]);
    let place = Place::new(3, &wrong.url());
    place.send(&uploader());
    place.clock.set(place.now().plus_seconds(60));
    place.store.ping().set_consent(&Consent::default().send_to(right.url())).unwrap();
    let file = place.folder.path().join("token");
    std::fs::write(&file, "old").unwrap();
    let uploader = uploader().token_from_file(&file);
    let error = place.store.ping().send_at_once(&uploader).unwrap().error().unwrap();
    assert!(error.to_string().contains(&format!("renew the token in {}", file.display())), "{error}");
    std::fs::write(&file, "new").unwrap();
    assert_eq!(place.store.ping().send_at_once(&uploader).unwrap().weeks.len(), 3);
    assert_eq!((wrong.count(), right.count()), (1, 4));
}

#[test]
fn who_asks_for_all_waits_only_for_a_receiver_that_is_busy() {
    let busy = Receiver::start(vec![status("503 Unavailable"), status("200 OK")]);
    let place = Place::new(1, &busy.url());
    place.send(&uploader());
    assert!(place.store.ping().send_at_once(&uploader()).unwrap().weeks.is_empty());
    // Nobody there: the network may be mended.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new(1, &format!("http://{address}/"));
    for attempts in 1..=3 {
        place.store.ping().send_at_once(&uploader()).unwrap();
        assert_eq!(place.delivery().attempts, attempts);
    }
    assert!(place.send(&uploader()).weeks.is_empty());
}

#[test]
fn redirects_are_never_followed() {
    for code in [301, 302, 303, 307, 308] {
        let elsewhere = Receiver::start(vec![status("200 OK")]);
        let location = format!("location: {}\r\n", elsewhere.url());
        let receiver = Receiver::start(vec![answer(&format!("{code} Moved"), &location, "")]);
        let place = Place::new(1, &receiver.url());
        let sending = place.send(&uploader());
        let failure = sending.weeks[0].failure.clone().unwrap();
        assert_eq!(failure.fault(), SendFault::Redirected);
        assert!(failure.message().contains("redirects to 127.0.0.1"), "{failure}");
        assert_eq!(sending.error().unwrap().kind(), ErrorKind::Refused);
        assert_eq!((receiver.count(), elsewhere.count()), (1, 0));
    }
}

#[test]
fn gitlab_must_confirm_when_that_is_asked_for() {
    let receiver = Receiver::start(vec![
        answer("200 OK", "", "{}"),
        answer("201 Created", "", "{\"conv_index\": {\"usage_data_id\": 4711}}"),
    ]);
    let place = Place::new(1, &receiver.url());
    let gitlab = uploader().accept(Acceptance::Gitlab);
    let failure = place.send(&gitlab).weeks[0].failure.clone().unwrap();
    assert_eq!(failure.fault(), SendFault::Unconfirmed);
    assert_eq!(place.delivery().outcome, DeliveryOutcome::Waiting);
    place.clock.set(place.delivery().next_at.unwrap());
    assert_eq!(place.send(&gitlab).weeks[0].delivery.outcome, DeliveryOutcome::Sent);
}

#[test]
fn a_huge_response_is_kept_to_64_kib() {
    let body = "\u{fc}".repeat(8 << 20);
    let receiver = Receiver::start(vec![answer("200 OK", "", &body)]);
    let place = Place::new(1, &receiver.url());
    place.send(&uploader());
    let delivery = place.delivery();
    assert_eq!(delivery.outcome, DeliveryOutcome::Sent);
    assert_eq!(delivery.response.unwrap().len(), 64 * 1024);
    // Bytes that are no text, and a head without an end.
    let noise = Reaction::Send([&b"HTTP/1.1 500 X\r\n\r\n"[..], &vec![0xff; 100_000]].concat());
    let head = Reaction::Send([&b"HTTP/1.1 200 OK\r\nx: "[..], &vec![b'a'; 10 << 20]].concat());
    let receiver = Receiver::start(vec![noise, head]);
    let place = Place::new(1, &receiver.url());
    place.send(&uploader());
    assert!(place.delivery().response.unwrap().len() <= 64 * 1024);
    place.clock.set(place.delivery().next_at.unwrap());
    place.send(&uploader());
    assert_eq!(place.delivery().outcome, DeliveryOutcome::Waiting);
}

#[test]
fn the_oldest_goes_first_and_a_ping_that_is_refused_holds_up_no_other() {
    let receiver = Receiver::start(vec![status("413 Too Large"), status("200 OK")]);
    let place = Place::new(4, &receiver.url());
    let sending = place.send(&uploader());
    let weeks: Vec<(String, &str)> =
        sending.weeks.iter().map(|week| (week.week.to_string(), week.delivery.outcome.as_str())).collect();
    let expected =
        [("2026-W45", "refused"), ("2026-W46", "sent"), ("2026-W47", "sent"), ("2026-W48", "sent")];
    assert_eq!(weeks, expected.map(|(week, outcome)| (week.to_owned(), outcome)));
    assert_eq!(sending.error().unwrap().kind(), ErrorKind::Refused);
}

#[test]
fn what_would_happen_to_all_ends_the_run_after_the_first() {
    for failure in ["500 Internal Server Error", "503 Unavailable"] {
        let receiver = Receiver::start(vec![status(failure), status("200 OK")]);
        let place = Place::new(3, &receiver.url());
        let sending = place.send(&uploader());
        assert_eq!((sending.weeks.len(), sending.stopped), (1, Some(SendingStopped::AfterFailure)));
        let outcomes = place.history().into_iter().map(|ping| ping.delivery.outcome.as_str());
        assert_eq!(outcomes.collect::<Vec<_>>(), ["waiting", "kept", "kept"]);
        // The others need not wait for it.
        assert_eq!(place.send(&uploader()).weeks.len(), 2);
    }
}

#[test]
fn what_was_carried_out_by_hand_is_not_sent_unless_it_is_named() {
    let receiver = Receiver::start(vec![status("200 OK")]);
    let place = Place::new(3, &receiver.url());
    let ping = place.store.ping();
    ping.mark_carried(&[week("2026-W46"), week("2026-W47")]).unwrap();
    assert_eq!(place.send(&uploader()).weeks.len(), 1);
    assert!(ping.send_at_once(&uploader()).unwrap().weeks.is_empty());
    ping.resend(&[week("2026-W46")], &uploader()).unwrap();
    // What was sent stays so.
    ping.mark_carried(&[week("2026-W48")]).unwrap();
    let outcomes: Vec<_> = place.history().iter().map(|ping| ping.delivery.outcome.as_str()).collect();
    assert_eq!((outcomes, receiver.count()), (vec!["sent", "carried", "sent"], 2));
}

#[test]
fn of_several_processes_one_sends() {
    let slow = Reaction::Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(), 10);
    let receiver = Receiver::start(vec![slow]);
    let place = Place::new(1, &receiver.url());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let limits = UploadLimits::default();
                let sending = place.store.ping().send(&uploader().limits(limits)).unwrap();
                let tried = sending.weeks.len();
                assert!(tried == 1 || sending.stopped == Some(SendingStopped::Elsewhere) || tried == 0);
            });
        }
    });
    assert_eq!((receiver.count(), place.delivery().attempts), (1, 1));
}
