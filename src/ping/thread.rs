//! The thread that makes the weekly ping inside a program.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::ping::{Ping, PingKeeper, only_reads};

/// The clock is looked at so often: a machine that slept, or a clock that was set, is noticed by then.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Makes the ping of each week at its minute, on a thread of its own, until it is dropped or the store is.
///
/// Any number of processes may do so with one store: of each week one document is made. What fails is logged and tried again a minute
/// later. It does not keep the store open.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let weekly = store.ping().version("1.4.0").start()?;
/// // ... the program runs ...
/// drop(weekly);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the thread ends when this is dropped"]
pub struct PingThread {
    /// Dropped, it wakes and ends the thread. One that is just asking a source ends when that has come back.
    _running: Sender<()>,
}

/// What the thread does besides making documents: it sends them, if it does anything.
pub(crate) type Afterwards = Box<dyn Fn(&Ping) -> Result<(), Error> + Send>;

impl Ping {
    /// Makes the ping of each week at its minute, and that of the last one if it was missed, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReadOnly`] for a ping of a reader; [`ErrorKind::Internal`] when the system gives no thread.
    pub fn start(self) -> Result<PingThread, Error> {
        self.start_with(Box::new(|_| Ok(())), LOOK_EVERY)
    }

    /// As [`Ping::start`], and sends the pings that are due to be sent, once the operator has turned it on. What cannot be sent is
    /// logged, and tried again when its time has come.
    ///
    /// # Errors
    ///
    /// As [`Ping::start`].
    #[cfg(feature = "upload")]
    pub fn start_sending(self, uploader: crate::ping::upload::Uploader) -> Result<PingThread, Error> {
        let send = move |ping: &Ping| match ping.send(&uploader)?.error() {
            Some(error) => Err(error),
            None => Ok(()),
        };
        self.start_with(Box::new(send), LOOK_EVERY)
    }

    pub(crate) fn start_with(
        mut self,
        afterwards: Afterwards,
        look_every: Duration,
    ) -> Result<PingThread, Error> {
        let keeper = self.keeper.take().ok_or_else(only_reads)?;
        let (keeper, (running, ended)) = (Arc::downgrade(&keeper), mpsc::channel());
        thread::Builder::new()
            .name("headcount-ping".to_owned())
            .spawn(move || {
                while look(&self, &keeper, &afterwards) {
                    if ended.recv_timeout(look_every) == Err(RecvTimeoutError::Disconnected) {
                        return;
                    }
                }
            })
            .map_err(|error| {
                Error::new(
                    ErrorKind::Internal,
                    format!("the thread of the ping could not be started: {error}"),
                )
            })?;
        Ok(PingThread { _running: running })
    }
}

/// Does what is due; `false` when the store is gone.
fn look(ping: &Ping, keeper: &Weak<dyn PingKeeper>, afterwards: &Afterwards) -> bool {
    let Some(keeper) = keeper.upgrade() else { return false };
    let ping = Ping { keeper: Some(keeper), ..ping.clone() };
    let (made, sent) = (ping.run(), afterwards(&ping));
    let is_gone = |error: &Error| matches!(error.kind(), ErrorKind::Closed | ErrorKind::Forked);
    let (made, sent) = (made.err(), sent.err());
    if made.iter().chain(&sent).any(is_gone) {
        return false;
    }
    if let Some(error) = made {
        tracing::warn!(%error, "the weekly ping could not be made; it is tried again in a minute");
    }
    if let Some(error) = sent {
        tracing::warn!(%error, "kept pings could not be sent; they are tried again when their time has come");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Definitions;
    use crate::definition::event::EventDefinition;
    use crate::report::reader::Reader;
    use crate::storage::Commit;
    use crate::storage::ping::PingStep;
    use crate::storage::sqlite::{self, SqliteWriter};
    use crate::storage::{Writer, batch};
    use crate::time::clock::ManualClock;
    use crate::time::timestamp::Timestamp;

    struct Kept(parking_lot::Mutex<SqliteWriter>, ManualClock);

    impl PingKeeper for Kept {
        fn commit(&self, step: PingStep) -> Result<Commit, Error> {
            let mut batch = batch::Batch::empty(batch::ProducerId(sqlite::random()?), 1, self.1.now());
            batch.ping = Some(step);
            self.0.lock().commit(&batch)
        }
    }

    #[test]
    fn weeks_pass_and_each_gets_its_document_until_the_store_is_gone() {
        let clock = ManualClock::new(Timestamp::parse("2026-01-05").unwrap());
        let (writer, storage) = sqlite::in_memory(clock.now()).unwrap();
        let definitions = Definitions::new().event(EventDefinition::new("a")).unwrap();
        let reader = Reader::new(Arc::new(storage), clock.clone().into(), Some(Arc::new(definitions)));
        let keeper: Arc<dyn PingKeeper> = Arc::new(Kept(writer.into(), clock.clone()));
        let (looked, looks) = mpsc::channel();
        let afterwards: Afterwards = Box::new(move |ping| {
            let _ = looked.send(ping.history()?.len());
            Ok(())
        });
        let ping = Ping::kept_by(&reader, Arc::clone(&keeper));
        let running = ping.clone().start_with(afterwards, Duration::from_millis(1)).unwrap();
        drop(ping);
        assert_eq!(looks.recv().unwrap(), 0);
        for weeks in 1..=5 {
            clock.advance(Duration::from_secs(7 * 86_400));
            assert!(looks.iter().any(|kept| kept == weeks));
        }
        drop(keeper);
        assert!(looks.iter().all(|kept| kept == 5), "the thread ended with the store");
        drop(running);
    }
}
