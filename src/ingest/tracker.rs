//! Tracking: from the caller's event to a record in the caller's buffer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use crate::error::{Error, ErrorKind, TrackError};
use crate::event::id::{Id, PropertyValue};
use crate::event::{Event, Facts, fact_setters};
use crate::ingest::buffer::Buffer;
use crate::ingest::engine::Inline;
use crate::ingest::pipeline::Shared;
use crate::ingest::settings::{LONGEST_WAIT, Mistake, Overflow};
use crate::plan::EventIndex;
use crate::time::bucket::Hour;
use crate::time::timestamp::Timestamp;

/// Live tracking takes events that happened so many seconds ago at the most: 8 days.
pub const MAX_AGE_SECONDS: i64 = 8 * 86_400;
/// Events may lie so many seconds ahead of the store's clock: 5 minutes, for clocks that differ.
pub const MAX_AHEAD_SECONDS: i64 = 5 * 60;

/// Takes events. Cheap to clone, and usable from every thread; one tracker for all threads is as fast as one each.
///
/// The event becomes a small record in a buffer of the calling thread. It is durable after the next flush, by default within a
/// second; [`Store::flush`](crate::Store::flush) says when.
///
/// Whether a call waits is for the [`Builder`](crate::Builder) to say. By default it never does I/O and never waits for the disk:
/// with [`Overflow::Refuse`] it holds locks for moments only, also when the queue is full. With [`Overflow::Wait`] it sleeps while the
/// queue is full, up to the limit. In [`Mode::Inline`](crate::Mode::Inline) a call that finds 1,024 events in its buffer waits for a
/// flush that another thread has begun, adds them up, and commits when memory is full.
///
/// A tracker does not keep its store open: once that is closed or dropped, events are refused.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{Definitions, Event, EventDefinition, Query, Store};
///
/// let definitions = Definitions::new().event(EventDefinition::new("issue_created").identifier("user"))?;
/// let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let tracker = store.tracker();
/// std::thread::scope(|scope| {
///     for user in 0..4 {
///         let tracker = tracker.clone();
///         scope.spawn(move || tracker.track(Event::new("issue_created").user(user)));
///     }
/// });
/// store.flush()?;
/// assert_eq!(store.value(&Query::total("issue_created"))?.count(), Some(4));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Tracker {
    shared: Arc<Shared>,
}

/// One event's tracker: its name is resolved once. Cheap to clone, and usable from every thread. It waits when a [`Tracker`] does.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("issue_created").identifier("user").value())?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let issue_created = store.tracker().event("issue_created")?;
/// issue_created.user(42).value(3.0).track();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct EventTracker {
    shared: Arc<Shared>,
    event: EventIndex,
}

/// An event that is being described through an [`EventTracker`].
#[derive(Debug, Clone)]
#[must_use = "an event counts only when it is tracked"]
pub struct EventDraft<'a> {
    tracker: &'a EventTracker,
    facts: Facts<'a>,
}

impl Tracker {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Tracks an event. What is wrong with it is counted and never fails the caller. [`Tracker`] says when a call may wait.
    ///
    /// # Panics
    ///
    /// Only with [`Mistake::Panic`], and only when the call itself is wrong, as with a misspelt event.
    #[inline]
    pub fn track(&self, event: Event<'_>) {
        let outcome = self.try_track(event);
        self.shared.never_fail(outcome);
    }

    /// Tracks an event and says why it was not taken. [`Tracker`] says when a call may wait.
    ///
    /// # Errors
    ///
    /// A [`TrackError`], which is also counted in the store. Undeclared `label`, `property` and `value` are dropped and counted
    /// without an error; identifiers that are absent only skip the rules that need them.
    #[inline]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an event is described where it is tracked, and used once"
    )]
    pub fn try_track(&self, event: Event<'_>) -> Result<(), TrackError> {
        let Some(index) = self.shared.target.plan.find_index(event.name()) else {
            return Err(self.shared.refuse(TrackError::UnknownEvent));
        };
        self.shared.record(index, &event.facts)
    }

    /// Resolves an event's name once, for callers that track it often. Where the store is disabled every name will do.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownEvent`] when no definition declares the event, or it was removed.
    pub fn event(&self, name: &str) -> Result<EventTracker, Error> {
        match self.shared.target.plan.find(name) {
            // Without its file a store may not know its definitions, and takes no event anyway.
            None if self.shared.disabled.is_some() => {
                Ok(EventTracker { shared: Arc::clone(&self.shared), event: EventIndex(u32::MAX) })
            }
            Some((event, plan)) if !plan.removed => {
                Ok(EventTracker { shared: Arc::clone(&self.shared), event })
            }
            Some(_) => Err(Error::new(
                ErrorKind::UnknownEvent,
                format!("the event `{name}` was removed, as its definition says; track its successor"),
            )),
            None => Err(Error::new(
                ErrorKind::UnknownEvent,
                format!("no definition declares the event `{name}`; add its YAML or correct the name"),
            )),
        }
    }
}

impl EventTracker {
    /// Begins to describe an event.
    #[inline]
    pub fn describe(&self) -> EventDraft<'_> {
        EventDraft { tracker: self, facts: Facts::default() }
    }

    /// Tracks the event without identifiers or properties.
    #[inline]
    pub fn track(&self) {
        self.describe().track();
    }
}

/// Every setter of an event, as the beginning of its description.
macro_rules! describe_with {
    ($($(#[$doc:meta])* $setter:ident($($argument:ident: $kind:ty),+);)+) => {
        impl EventTracker {
            $(
                $(#[$doc])*
                #[inline]
                pub fn $setter<'a>(&'a self, $($argument: $kind),+) -> EventDraft<'a> {
                    self.describe().$setter($($argument),+)
                }
            )+
        }
    };
}

describe_with! {
    /// Begins to describe an event with its time.
    at(time: Timestamp);
    /// Begins to describe an event with its user.
    user(id: impl Into<Id<'a>>);
    /// Begins to describe an event with its project.
    project(id: impl Into<Id<'a>>);
    /// Begins to describe an event with its namespace.
    namespace(id: impl Into<Id<'a>>);
    /// Begins to describe an event with another identifier that its definition declares.
    identifier(name: &'a str, id: impl Into<Id<'a>>);
    /// Begins to describe an event with its `label`.
    label(label: &'a str);
    /// Begins to describe an event with its `property`.
    property(property: &'a str);
    /// Begins to describe an event with its `value`.
    value(value: impl Into<f64>);
    /// Begins to describe an event with a custom property that its definition declares.
    custom(name: &'a str, value: impl Into<PropertyValue<'a>>);
}

impl<'a> EventDraft<'a> {
    fact_setters!();

    /// Tracks the event. What is wrong with it is counted and never fails the caller.
    ///
    /// # Panics
    ///
    /// Only with [`Mistake::Panic`], and only when the call itself is wrong, as with an undeclared property.
    #[inline]
    pub fn track(self) {
        let shared = &self.tracker.shared;
        let outcome = self.try_track();
        shared.never_fail(outcome);
    }

    /// Tracks the event and says why it was not taken.
    ///
    /// # Errors
    ///
    /// As [`Tracker::try_track`].
    #[inline]
    pub fn try_track(self) -> Result<(), TrackError> {
        let EventTracker { shared, event } = self.tracker;
        shared.record(*event, &self.facts)
    }
}

impl Shared {
    #[inline]
    fn never_fail(&self, outcome: Result<(), TrackError>) {
        if let Err(error) = outcome {
            self.ignore(error);
        }
    }

    #[cold]
    #[expect(clippy::panic, reason = "the host's tests ask for it with Mistake::Panic")]
    fn ignore(&self, error: TrackError) {
        if self.settings.mistake == Mistake::Panic && error.is_mistake() {
            panic!("an event was not taken: {error}");
        }
    }

    /// Counts a refusal. A store that could not be opened has one reason only, as far as it looks at events at all.
    #[cold]
    fn refuse(&self, reason: TrackError) -> TrackError {
        self.tallies.refuse(if self.disabled.is_some() { TrackError::Disabled } else { reason })
    }

    #[inline]
    fn record(&self, index: EventIndex, facts: &Facts<'_>) -> Result<(), TrackError> {
        self.try_record(index, facts).map_err(|error| self.refuse(error))
    }

    #[inline]
    fn try_record(&self, index: EventIndex, facts: &Facts<'_>) -> Result<(), TrackError> {
        let plan = &self.target.plan;
        match plan.plain(index) {
            Some(event) if facts.has_identifiers_only() => {
                let (mut buffer, hour) = self.room_for(event.words(), facts)?;
                buffer.records.push_plain(index, event, facts, hour)?;
                buffer.accepted += 1;
                Ok(())
            }
            _ => self.record_any(index, facts),
        }
    }

    #[inline(never)]
    fn record_any(&self, index: EventIndex, facts: &Facts<'_>) -> Result<(), TrackError> {
        let event = self.target.plan.event(index).ok_or(TrackError::UnknownEvent)?;
        if event.removed {
            return Err(TrackError::RemovedEvent);
        }
        let (mut buffer, hour) = self.room_for(event.record_words, facts)?;
        buffer.records.push(index, event, facts, hour, &self.target.names)?;
        buffer.accepted += 1;
        Ok(())
    }

    /// The locked buffer of the calling thread, with room for a record of so many words, and the hour of the event.
    #[inline]
    fn room_for(
        &self,
        words: usize,
        facts: &Facts<'_>,
    ) -> Result<(MutexGuard<'_, Buffer>, Hour), TrackError> {
        let now = self.settings.clock.now();
        let time = match facts.time {
            None => now,
            Some(time) => checked_age(time, now)?,
        };
        let mine = match self.buffers.mine() {
            Some(mine) => mine,
            None if self.is_fork() => return Err(TrackError::Forked),
            None => self.buffers.make_mine().ok_or(TrackError::Closed)?,
        };
        let mut buffer = match mine.try_lock() {
            Some(buffer) => buffer,
            None => self.lock_contended(mine)?,
        };
        // Closing takes every buffer after setting the flag, so what is pushed with the flag unset is taken.
        if self.closed.load(Ordering::Relaxed) {
            return Err(TrackError::Closed);
        }
        if !buffer.records.has_room(words) {
            buffer = self.hand_over(mine, buffer, words)?;
        }
        Ok((buffer, Hour::of(time)))
    }

    /// In a forked child the lock may be held by a thread that only the parent has.
    #[cold]
    fn lock_contended<'a>(&self, mine: &'a Mutex<Buffer>) -> Result<MutexGuard<'a, Buffer>, TrackError> {
        if self.is_fork() {
            return Err(TrackError::Forked);
        }
        Ok(mine.lock())
    }

    /// Sends the full buffer on its way and leaves an empty one in its place.
    #[cold]
    fn hand_over<'a>(
        &self,
        mine: &'a Mutex<Buffer>,
        mut buffer: MutexGuard<'a, Buffer>,
        words: usize,
    ) -> Result<MutexGuard<'a, Buffer>, TrackError> {
        if self.is_fork() {
            return Err(TrackError::Forked);
        }
        if let Some(inline) = &self.inline {
            return self.absorb_inline(inline, mine, buffer);
        }
        let mut deadline = None;
        loop {
            match self.queue.try_send(std::mem::take(&mut buffer.records)) {
                Ok(()) => {
                    buffer.records = self.queue.empty_buffer();
                    if self.queue.is_pressing() && self.asleep.swap(false, Ordering::SeqCst) {
                        self.wake_aggregator();
                    }
                    return Ok(buffer);
                }
                Err(full) => buffer.records = full,
            }
            let Overflow::Wait(limit) = self.settings.overflow else { return Err(TrackError::QueueFull) };
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + limit.min(LONGEST_WAIT));
            drop(buffer);
            self.wake_aggregator();
            let in_time = self.queue.wait_for_room(deadline);
            buffer = mine.lock();
            if self.closed.load(Ordering::Relaxed) {
                return Err(TrackError::Closed);
            }
            // Meanwhile the aggregator may have taken the buffer as it stood.
            if buffer.records.has_room(words) {
                return Ok(buffer);
            }
            if !in_time {
                return Err(TrackError::QueueFull);
            }
        }
    }

    /// Without threads the caller adds its full buffer up itself. A flush locks first the pipeline and then each buffer, so
    /// the buffer is let go before the pipeline is locked; and it stays locked until the buffer is added up, so that no
    /// flush misses what is between the two.
    fn absorb_inline<'a>(
        &self,
        inline: &Mutex<Inline>,
        mine: &'a Mutex<Buffer>,
        buffer: MutexGuard<'a, Buffer>,
    ) -> Result<MutexGuard<'a, Buffer>, TrackError> {
        drop(buffer);
        let mut inline = inline.lock();
        inline.make_room(self).map_err(|_| TrackError::QueueFull)?;
        let mut buffer = mine.lock();
        // Closing has taken the buffers meanwhile, and takes none again.
        if self.closed.load(Ordering::Relaxed) {
            return Err(TrackError::Closed);
        }
        let full = std::mem::replace(&mut buffer.records, self.queue.empty_buffer());
        inline.absorb(self, full);
        Ok(buffer)
    }
}

#[inline]
fn checked_age(time: Timestamp, now: Timestamp) -> Result<Timestamp, TrackError> {
    if time < now.plus_seconds(-MAX_AGE_SECONDS) { Err(TrackError::TooLate) } else { check_ahead(time, now) }
}

/// Refuses what lies further ahead than clocks may differ.
#[inline]
pub(crate) fn check_ahead(time: Timestamp, now: Timestamp) -> Result<Timestamp, TrackError> {
    if time > now.plus_seconds(MAX_AHEAD_SECONDS) {
        return Err(TrackError::TooFuture);
    }
    Ok(time)
}
