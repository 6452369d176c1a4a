//! A process that is killed between sending a ping and noting it: the same bytes go again under the same key, and it ends as sent.

use std::io::Write;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use headcount::DeliveryOutcome;
use rusqlite::Connection;

use crate::common::child::Child;
use crate::place::{Place, uploader};
use crate::receiver::{Arrived, Reaction, Receiver, status, until_closed};

/// Longer than a dead process can hold up another one.
const LEASE_SECONDS: i64 = 300;

fn start(place: &Place) -> Child {
    let own = place.variables();
    let variables: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Child::start("send", &variables)
}

fn ends_as_sent(place: &Place, receiver: &Receiver) {
    assert_eq!(place.delivery().outcome, DeliveryOutcome::Kept);
    place.clock.set(place.now().plus_seconds(LEASE_SECONDS));
    let sending = place.send(&uploader());
    assert_eq!((sending.weeks.len(), sending.error().is_none()), (1, true), "{sending:?}");
    assert_eq!(place.delivery().outcome, DeliveryOutcome::Sent);
    assert!(place.send(&uploader()).weeks.is_empty());
    let arrived: Vec<Arrived> = receiver.arrived();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].body, arrived[1].body);
    assert_eq!(arrived[0].body, place.history()[0].document.as_bytes());
    let key = |arrived: &Arrived| arrived.header("idempotency-key").unwrap().to_owned();
    assert_eq!(key(&arrived[0]), key(&arrived[1]));
    assert_eq!(place.history().len(), 1);
}

/// The receiver has all of it, and the process dies before an answer.
#[test]
fn killed_before_the_answer() {
    let (arrived, has_arrived) = channel();
    let arrived = Mutex::new(arrived);
    let hold = Reaction::Call(Arc::new(move |stream| {
        arrived.lock().unwrap().send(()).unwrap();
        until_closed(stream);
    }));
    let receiver = Receiver::start(vec![hold, status("200 OK")]);
    let place = Place::new(1, &receiver.url());
    let child = start(&place);
    has_arrived.recv().unwrap();
    child.kill();
    // While the dead one's lease lasts nobody else sends.
    assert!(place.send(&uploader()).weeks.is_empty());
    ends_as_sent(&place, &receiver);
}

/// The receiver has said yes and the process has read it, and dies before it can note that: another one holds the store just then.
#[test]
fn killed_after_the_answer_and_before_it_is_noted() {
    let (answered, has_answered) = channel();
    let path = Arc::new(Mutex::new(None::<std::path::PathBuf>));
    let (answered, store) = (Mutex::new(answered), Arc::clone(&path));
    let accept = Reaction::Call(Arc::new(move |stream| {
        let holder = Connection::open(store.lock().unwrap().as_ref().unwrap()).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        // It closes when it has read all.
        until_closed(stream);
        answered.lock().unwrap().send(holder).unwrap();
    }));
    let receiver = Receiver::start(vec![accept, status("200 OK")]);
    let place = Place::new(1, &receiver.url());
    *path.lock().unwrap() = Some(place.path());
    let child = start(&place);
    let holder = has_answered.recv().unwrap();
    child.kill();
    drop(holder);
    ends_as_sent(&place, &receiver);
}
