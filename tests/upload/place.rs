//! A store with pings that wait to be sent, in this process or in another one.

use std::path::{Path, PathBuf};

use headcount::{
    Consent, Definitions, Delivery, EventDefinition, IsoWeek, KeptPing, ManualClock, PingSending, Store,
    Timestamp, Uploader, sending_forbidden_by,
};
use rusqlite::Connection;

use crate::common::child::say;

const NOW: &str = "2026-11-23T08:00:00Z";
const WEEK_SECONDS: i64 = 7 * 86_400;
const STORE: &str = "HEADCOUNT_TEST_STORE";
const AT: &str = "HEADCOUNT_TEST_NOW";

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) store: Store,
}

impl Place {
    /// The pings of so many weeks, the last that of [`NOW`]; sending is on, to `url`.
    pub(crate) fn new(weeks: i64, url: &str) -> Self {
        assert_eq!(sending_forbidden_by(), None, "the environment of the tests forbids sending");
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::parse(NOW).unwrap();
        let clock = ManualClock::new(now.plus_seconds(-(weeks - 1) * WEEK_SECONDS));
        let store = open(&folder.path().join("usage.db"), &clock);
        store.ping().set_consent(&Consent::default().send_to(url)).unwrap();
        for week in 0..weeks {
            clock.set(now.plus_seconds((week + 1 - weeks) * WEEK_SECONDS));
            store.ping().generate().unwrap();
        }
        Self { folder, clock, store }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("usage.db")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn send(&self, uploader: &Uploader) -> PingSending {
        self.store.ping().send(uploader).unwrap()
    }

    pub(crate) fn history(&self) -> Vec<KeptPing> {
        self.store.ping().history().unwrap()
    }

    /// How the last week stands.
    pub(crate) fn delivery(&self) -> Delivery {
        self.history().pop().unwrap().delivery
    }

    pub(crate) fn change(&self, sql: &str) {
        assert!(Connection::open(self.path()).unwrap().execute(sql, []).unwrap() > 0);
    }

    /// What [`send_as_child`] needs to know.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [(STORE, self.path().display().to_string()), (AT, self.now().to_string())]
    }
}

fn open(path: &Path, clock: &ManualClock) -> Store {
    let definitions = Definitions::new().event(EventDefinition::new("opened")).unwrap();
    Store::builder(path).definitions(definitions).clock(clock.clone()).open().unwrap()
}

/// Builds a ping, sends what is due, and says what came of it.
pub(crate) fn send_as_child() {
    let variable = |name| std::env::var(name).unwrap();
    let clock = ManualClock::new(Timestamp::parse(&variable(AT)).unwrap());
    let store = open(Path::new(&variable(STORE)), &clock);
    store.ping().generate().unwrap();
    let sending = store.ping().send(&uploader()).unwrap();
    let outcomes: Vec<&str> = sending.weeks.iter().map(|week| week.delivery.outcome.as_str()).collect();
    say(format_args!("sent {outcomes:?} {:?}", sending.stopped));
    store.close().unwrap();
}

/// Straight to the receiver, whatever proxy the machine has.
pub(crate) fn uploader() -> Uploader {
    Uploader::new().without_proxy()
}

pub(crate) fn week(text: &str) -> IsoWeek {
    IsoWeek::parse(text).unwrap()
}
