//! What the thread of a program says of a ping that could not be made, and of one that could not be sent.

use std::fmt::{Debug, Write};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::place::{Place, uploader};
use crate::receiver::{Receiver, status};

/// Far above what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What this program has logged, of all tests.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
static MORE: Condvar = Condvar::new();

struct Listener;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        SAID.lock().unwrap().push(line.0);
        MORE.notify_all();
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The lines about one thing, when there are so many.
fn lines_about(what: &str, count: usize) -> Vec<String> {
    let about = |said: &[String]| -> Vec<String> {
        said.iter().filter(|line| line.contains(what)).cloned().collect()
    };
    let said = SAID.lock().unwrap();
    let (said, waited) = MORE.wait_timeout_while(said, PATIENCE, |said| about(said).len() < count).unwrap();
    assert!(!waited.timed_out(), "{said:?}");
    about(&said)
}

#[test]
fn what_cannot_be_made_and_what_cannot_be_sent_are_told_apart() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    let receiver = Receiver::start(vec![status("503 Unavailable")]);
    let place = Place::new(1, &receiver.url());
    let running = place.store.ping().start_sending(uploader()).unwrap();
    let said = lines_about(&receiver.address.to_string(), 1);
    assert!(said[0].contains("kept pings could not be sent"), "{said:?}");
    assert!(!said[0].contains("made"), "{said:?}");
    drop(running);
    // Another week is due, which has no place for this fact; what is kept goes all the same.
    place.clock.set(place.store.ping().schedule().unwrap().next(place.now()).plus_seconds(7 * 86_400));
    let running = place.store.ping().fact("uuid.canary", 1_i64).start_sending(uploader()).unwrap();
    let made = lines_about("canary", 1);
    assert!(made[0].contains("the weekly ping could not be made") && !made[0].contains("sent"), "{made:?}");
    assert!(lines_about(&receiver.address.to_string(), 2)[1].contains("could not be sent"));
    drop(running);
}
