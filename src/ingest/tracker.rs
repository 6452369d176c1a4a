//! Tracking: from the caller's event to a record in the caller's buffer.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, TrackError};
use crate::event::id::{Id, PropertyValue};
use crate::event::{Event, Facts, fact_setters};
use crate::ingest::buffer::Buffer;
use crate::ingest::engine::Inline;
use crate::ingest::pipeline::Shared;
use crate::ingest::record::{NoRoom, PlainIds};
use crate::ingest::settings::{LONGEST_WAIT, Mistake, Overflow};
use crate::plan::{EventIndex, PLAIN_RECORD_WORDS, PlainEvent};
use crate::sync::{Instant, Mutex, MutexGuard, Ordering};
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
    plain: PlainEvent,
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
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as what it calls")]
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
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        clippy::needless_pass_by_value,
        reason = "an event is described where it is tracked, and used once"
    )]
    pub fn try_track(&self, event: Event<'_>) -> Result<(), TrackError> {
        let Some(index) = self.shared.target.plan.find_index(event.name()) else {
            return Err(self.shared.refuse(TrackError::UnknownEvent));
        };
        let plain = self.shared.target.plan.plain(index).unwrap_or(&PlainEvent::NONE);
        self.shared.record(index, plain, &event.facts)
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
                let (event, plain) = (EventIndex(u32::MAX), PlainEvent::NONE);
                Ok(EventTracker { shared: Arc::clone(&self.shared), event, plain })
            }
            Some((event, plan)) if !plan.removed => {
                let plain = plan.plain.unwrap_or(PlainEvent::NONE);
                Ok(EventTracker { shared: Arc::clone(&self.shared), event, plain })
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
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as what it calls")]
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
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as what it calls")]
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
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as what it calls")]
    pub fn try_track(self) -> Result<(), TrackError> {
        let EventTracker { shared, event, plain } = self.tracker;
        shared.record(*event, plain, &self.facts)
    }
}

impl Shared {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as what it calls")]
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

    /// Takes an event. Where it is described is mostly known what it has; so the compiler decides there which way it goes, and of the
    /// usual one nothing is written to memory but its record.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "else each event is written to memory first, and read again")]
    fn record(&self, index: EventIndex, plain: &PlainEvent, facts: &Facts<'_>) -> Result<(), TrackError> {
        let outcome = if !facts.has_identifiers_only() {
            self.record_any(index, facts)
        } else if plain.is_plain() {
            PlainIds::of(plain, facts).and_then(|ids| self.record_plain(index, ids))
        } else {
            self.record_identified(index, facts.user, facts.project, facts.namespace)
        };
        outcome.map_err(|error| self.refuse(error))
    }

    #[inline(never)]
    fn record_plain(&self, index: EventIndex, ids: PlainIds) -> Result<(), TrackError> {
        let hour = Hour::of(self.settings.clock.now());
        // Closing takes every buffer after setting the flag, so what is pushed with the flag unset is taken.
        if let Some(mut buffer) = self.buffers.mine().and_then(Mutex::try_lock)
            && !self.closed.load(Ordering::Relaxed)
            && buffer.records.push_plain(index, hour, ids).is_ok()
        {
            buffer.accepted += 1;
            return Ok(());
        }
        self.record_with_room(index, hour, ids)
    }

    /// What [`Shared::record_plain`] does when the buffer is not at hand, or full.
    #[cold]
    #[inline(never)]
    fn record_with_room(&self, index: EventIndex, hour: Hour, ids: PlainIds) -> Result<(), TrackError> {
        let mut buffer = self.room_for(PLAIN_RECORD_WORDS)?;
        buffer.records.push_plain(index, hour, ids).map_err(|NoRoom| TrackError::QueueFull)?;
        buffer.accepted += 1;
        Ok(())
    }

    /// Takes an event of which nothing is known but these.
    #[inline(never)]
    fn record_identified(
        &self,
        index: EventIndex,
        user: Id<'_>,
        project: Id<'_>,
        namespace: Id<'_>,
    ) -> Result<(), TrackError> {
        let mut facts = Facts::default();
        (facts.user, facts.project, facts.namespace) = (user, project, namespace);
        self.record_any(index, &facts)
    }

    #[inline(never)]
    fn record_any(&self, index: EventIndex, facts: &Facts<'_>) -> Result<(), TrackError> {
        let event = self.target.plan.event(index).ok_or(TrackError::UnknownEvent)?;
        if event.removed {
            return Err(TrackError::RemovedEvent);
        }
        let now = self.settings.clock.now();
        let time = match facts.time {
            None => now,
            Some(time) => checked_age(time, now)?,
        };
        let mut buffer = self.room_for(event.record_words)?;
        buffer.records.push(index, event, facts, Hour::of(time), &self.target.names)?;
        buffer.accepted += 1;
        Ok(())
    }

    /// The locked buffer of the calling thread, with room for a record of so many words.
    #[inline]
    fn room_for(&self, words: usize) -> Result<MutexGuard<'_, Buffer>, TrackError> {
        let mine = match self.buffers.mine() {
            Some(mine) => mine,
            None if self.is_fork() => return Err(TrackError::Forked),
            None => self.buffers.make_mine().ok_or(TrackError::Closed)?,
        };
        let buffer = match mine.try_lock() {
            Some(buffer) => buffer,
            None => self.lock_contended(mine)?,
        };
        if self.closed.load(Ordering::Relaxed) {
            return Err(TrackError::Closed);
        }
        if buffer.records.has_room(words) { Ok(buffer) } else { self.hand_over(mine, buffer, words) }
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
