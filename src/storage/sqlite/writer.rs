//! Committing batches: one transaction each, all or nothing.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::definition::rule::Rule;
use crate::error::{Error, ErrorKind};
use crate::storage::batch::{Batch, LedgerEntry, SeriesId, ValueName};
use crate::storage::retention::Retention;
use crate::storage::sqlite::SharedConnection;
use crate::storage::sqlite::failure::{During, damaged};
use crate::storage::sqlite::identity::Identity;
use crate::storage::sqlite::replace::leave_log;
use crate::storage::sqlite::reserve::Reserve;
use crate::storage::sqlite::retention::Piece;
use crate::storage::sqlite::schema::kind_code;
use crate::storage::sqlite::{arrivals, marks, migrate, pings, retention, sketches, sources, spans};
use crate::storage::sum::Sum;
use crate::storage::{Commit, MAX_VALUES_PER_SERIES, OVERFLOW_VALUE, Pass, Recording, Writer};
use crate::time::bucket::{Bucket, Day, Hour};
use crate::time::timestamp::Timestamp;

/// Producers that have not committed for this long have ended; their numbers are no longer needed.
const PRODUCER_KEPT_SECONDS: i64 = 400 * 86_400;
/// What does not fit is tried again after so many small passes of retention at the most, some hundreds of milliseconds.
const PASSES_FOR_ROOM: usize = 64;
/// The number of the reserved value that counts what comes after the limit of a per-value series.
const OVERFLOW: i64 = 0;

/// The writing side of a SQLite store.
pub(crate) struct SqliteWriter {
    connection: SharedConnection,
    /// Not in memory.
    file: Option<OpenFile>,
}

/// What a writer knows of the file that it has open.
struct OpenFile {
    identity: Identity,
    reserve: Reserve,
}

impl SqliteWriter {
    pub(crate) fn new(connection: SharedConnection) -> Result<Self, Error> {
        let file = Identity::of(&connection.lock())?.map(|identity| {
            let reserve = Reserve::beside(identity.path());
            OpenFile { identity, reserve }
        });
        Ok(Self { connection, file })
    }

    /// Makes the file as short as it can be.
    pub(crate) fn shorten(&mut self, now: Timestamp) -> Result<(), Error> {
        self.write(now, |connection| retention::shorten(connection))
    }

    /// Does what writes: never into a file that has lost its name, and with the reserve where the disk is full.
    fn write<T>(
        &mut self,
        now: Timestamp,
        mut work: impl FnMut(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = self.connection.lock();
        let Some(OpenFile { identity, reserve }) = &mut self.file else { return work(&mut connection) };
        identity.check()?;
        let mut outcome = work(&mut connection);
        if is_full(&outcome) {
            reserve.give_up(now);
            for _ in 0..PASSES_FOR_ROOM {
                // It may be full since it may not be larger, and then room is made of what is old; or that has been changed by now.
                let pass = retention::make_room(&mut connection, now);
                outcome = work(&mut connection);
                if !is_full(&outcome) || pass.map_or(true, |pass| pass.is_done) {
                    break;
                }
            }
        }
        let done = outcome.map_err(|error| error.context(identity.path().display()))?;
        // It may have lost it meanwhile, and what was written would not be found.
        identity.check()?;
        Ok(done)
    }
}

impl Drop for SqliteWriter {
    fn drop(&mut self) {
        if self.file.as_ref().is_some_and(|file| file.identity.check().is_err()) {
            leave_log(&self.connection.lock());
        }
    }
}

impl Writer for SqliteWriter {
    fn register(
        &mut self,
        rules: &[Rule],
        recording: Recording,
        now: Timestamp,
    ) -> Result<Vec<SeriesId>, Error> {
        self.write(now, |connection| register(connection, rules, recording, now))
    }

    fn value_names(&mut self, series: SeriesId) -> Result<Vec<String>, Error> {
        let connection = self.connection.lock();
        let mut select = connection.prepare_cached(SELECT_VALUE_NAMES).during("reading the values")?;
        let names = select.query_map(params![series.0], |row| row.get(0)).during("reading the values")?;
        names.collect::<rusqlite::Result<_>>().during("reading the values")
    }

    fn keep_definitions(&mut self, definitions: &str, recorded: &str, now: Timestamp) -> Result<(), Error> {
        self.write(now, |connection| {
            let transaction = begin(connection)?;
            transaction
                .execute(KEEP_DEFINITIONS, params![definitions, recorded])
                .during("keeping the definitions")?;
            transaction.commit().during("keeping the definitions")
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<Commit, Error> {
        self.write(batch.cut_at, |connection| commit(connection, batch))
    }

    fn set_retention(&mut self, retention: Retention, now: Timestamp) -> Result<(), Error> {
        self.write(now, |connection| retention::set(connection, retention, now))
    }

    fn retain(&mut self, now: Timestamp) -> Result<Pass, Error> {
        let pass = self.write(now, |connection| retention::pass(connection, now, Piece::ORDINARY))?;
        if let Some(file) = &mut self.file {
            file.reserve.renew(now);
        }
        Ok(pass)
    }
}

fn is_full<T>(outcome: &Result<T, Error>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::StoreFull)
}

fn register(
    connection: &mut Connection,
    rules: &[Rule],
    recording: Recording,
    now: Timestamp,
) -> Result<Vec<SeriesId>, Error> {
    let transaction = begin(connection)?;
    let mut ids = Vec::with_capacity(rules.len());
    for rule in rules {
        let (key, kind) = (rule.key(), kind_code(rule.kind()));
        transaction
            .prepare_cached(CREATE_SERIES)
            .and_then(|mut create| create.execute(params![key, kind]))
            .during("creating a series")?;
        let id = transaction
            .prepare_cached(FIND_SERIES)
            .and_then(|mut find| find.query_row(params![key, kind], |row| row.get(0).map(SeriesId)))
            .during("reading the series")?;
        if recording == Recording::FromNow {
            spans::add(&transaction, id, now, None)?;
        }
        ids.push(id);
    }
    if recording == Recording::FromNow {
        spans::end_others(&transaction, rules, &ids, now)?;
    }
    transaction
        .execute(FORGET_PRODUCERS, params![now.unix_seconds() - PRODUCER_KEPT_SECONDS])
        .during("forgetting ended producers")?;
    transaction.commit().during("registering the series")?;
    Ok(ids)
}

fn commit(connection: &mut Connection, batch: &Batch) -> Result<Commit, Error> {
    let transaction = begin(connection)?;
    if is_repeated(&transaction, batch)? {
        return Ok(Commit::Repeated);
    }
    if let Some(continued) = &batch.continued
        && !sources::continue_under(&transaction, continued)?
    {
        return Ok(Commit::Overtaken);
    }
    if let Some(source) = &batch.source
        && source.is_kept
        && !sources::advance(&transaction, source, batch.cut_at)?
    {
        return Ok(Commit::Overtaken);
    }
    if let Some(marking) = &batch.marking
        && !marks::put(&transaction, marking, batch.cut_at)?
    {
        return Ok(Commit::Overtaken);
    }
    if let Some(step) = &batch.ping
        && !pings::apply(&transaction, step, batch.cut_at)?
    {
        return Ok(Commit::Overtaken);
    }
    if let Some(arrival) = &batch.arrival {
        arrivals::put(&transaction, arrival, batch.cut_at)?;
    }
    let kept = Kept::read(&transaction)?;
    add_counts(&transaction, batch, kept)?;
    add_sums(&transaction, batch, kept)?;
    sketches::unite(&transaction, batch, kept.days_from)?;
    add_per_value(&transaction, batch, kept)?;
    add_ledger(&transaction, &batch.ledger)?;
    for (series, since, until) in &batch.recorded {
        spans::add(&transaction, *series, *since, Some(*until))?;
    }
    // Answers are as fresh as the newest events, whatever else is written.
    if batch.marking.is_none() && batch.continued.is_none() && batch.ping.is_none() {
        transaction
            .prepare_cached(NOTE_COMMIT)
            .and_then(|mut note| note.execute(params![batch.cut_at.unix_seconds()]))
            .during("noting the commit")?;
    }
    transaction.commit().during("committing a batch")?;
    Ok(Commit::Applied)
}

/// Which buckets are kept: what belongs to others counts in the longer ones alone.
#[derive(Clone, Copy)]
struct Kept {
    hours_from: Day,
    days_from: Day,
}

impl Kept {
    fn read(transaction: &Transaction<'_>) -> Result<Self, Error> {
        let (hours_from, days_from) = retention::kept_from(transaction)?;
        Ok(Self { hours_from, days_from })
    }

    /// The buckets that an hour counts in.
    fn of_hour(self, hour: Hour) -> impl Iterator<Item = Bucket> {
        let (day, of_hour) = (hour.day(), hour.day() >= self.hours_from);
        [(Bucket::hour(hour), of_hour)].into_iter().chain(self.buckets(day)).filter_map(kept_one)
    }

    /// The buckets that a day counts in.
    fn of_day(self, day: Day) -> impl Iterator<Item = Bucket> {
        self.buckets(day).into_iter().filter_map(kept_one)
    }

    fn buckets(self, day: Day) -> [(Bucket, bool); 2] {
        [(Bucket::day(day), day >= self.days_from), (Bucket::ALL_TIME, true)]
    }
}

fn kept_one((bucket, is_kept): (Bucket, bool)) -> Option<Bucket> {
    is_kept.then_some(bucket)
}

const FIND_SERIES: &str = "SELECT id FROM series WHERE key = ?1 AND kind = ?2";
const CREATE_SERIES: &str =
    "INSERT INTO series (key, kind) VALUES (?1, ?2) ON CONFLICT (key, kind) DO NOTHING";
const FORGET_PRODUCERS: &str = "DELETE FROM producers WHERE seen < ?1";
const SELECT_VALUE_NAMES: &str = "SELECT text FROM value_names WHERE series = ?1 ORDER BY value";
const KEEP_DEFINITIONS: &str =
    "UPDATE store SET definitions = ?1, recorded = ?2 WHERE (definitions, recorded) IS NOT (?1, ?2)";
const NOTE_COMMIT: &str = "UPDATE store SET committed = ?1 WHERE committed IS NULL OR committed < ?1";

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Error> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).during("beginning to write")?;
    // A newer program may have migrated the store beneath this one.
    migrate::refuse_newer(migrate::version(&transaction)?)?;
    Ok(transaction)
}

/// Counts are u64 in memory and i64 in the file; both stop at the file's largest.
pub(super) fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

const SELECT_SEQUENCE: &str = "SELECT sequence FROM producers WHERE id = ?1";
const ADVANCE_PRODUCER: &str = "INSERT INTO producers (id, sequence, seen) VALUES (?1, ?2, ?3)
     ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, seen = excluded.seen";

fn is_repeated(transaction: &Transaction<'_>, batch: &Batch) -> Result<bool, Error> {
    let known: Option<i64> = transaction
        .prepare_cached(SELECT_SEQUENCE)
        .and_then(|mut select| {
            select.query_row(params![batch.producer.0.as_slice()], |row| row.get(0)).optional()
        })
        .during("reading the producer")?;
    let sequence = stored_count(batch.sequence);
    if known.is_some_and(|known| known >= sequence) {
        return Ok(true);
    }
    transaction
        .prepare_cached(ADVANCE_PRODUCER)
        .and_then(|mut advance| {
            advance.execute(params![batch.producer.0.as_slice(), sequence, batch.cut_at.unix_seconds()])
        })
        .during("advancing the producer")?;
    Ok(false)
}

/// An overflow would silently turn the column into a double, so the sum stops at the largest count.
const ADD_COUNT: &str = "INSERT INTO counts (bucket, series, count) VALUES (?1, ?2, ?3)
     ON CONFLICT (bucket, series) DO UPDATE SET count =
         CASE WHEN count > 9223372036854775807 - excluded.count THEN 9223372036854775807
              ELSE count + excluded.count END";

fn add_counts(transaction: &Transaction<'_>, batch: &Batch, kept: Kept) -> Result<(), Error> {
    let mut rows = BTreeMap::<(Bucket, SeriesId), u64>::new();
    for (series, hour, count) in &batch.counts {
        for bucket in kept.of_hour(*hour) {
            let total = rows.entry((bucket, *series)).or_default();
            *total = total.saturating_add(*count);
        }
    }
    let mut add = transaction.prepare_cached(ADD_COUNT).during("adding counts")?;
    for ((bucket, series), count) in rows {
        add.execute(params![bucket.number(), series.0, stored_count(count)]).during("adding a count")?;
    }
    Ok(())
}

const SELECT_SUM: &str = "SELECT sum, carry, saturated FROM sums WHERE bucket = ?1 AND series = ?2";
const PUT_SUM: &str = "INSERT INTO sums (bucket, series, sum, carry, saturated) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (bucket, series) DO UPDATE SET sum = excluded.sum, carry = excluded.carry,
         saturated = excluded.saturated";

fn add_sums(transaction: &Transaction<'_>, batch: &Batch, kept: Kept) -> Result<(), Error> {
    let mut rows = BTreeMap::<(Bucket, SeriesId), Sum>::new();
    for (series, hour, sum) in &batch.sums {
        for bucket in kept.of_hour(*hour) {
            rows.entry((bucket, *series)).or_default().unite(*sum);
        }
    }
    let mut select = transaction.prepare_cached(SELECT_SUM).during("reading sums")?;
    let mut put = transaction.prepare_cached(PUT_SUM).during("adding sums")?;
    for ((bucket, series), mut sum) in rows {
        let stored = select
            .query_row(params![bucket.number(), series.0], |row| {
                Ok(Sum::from_parts(row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()
            .during("reading a sum")?;
        if let Some(stored) = stored {
            sum.unite(stored.ok_or_else(|| {
                damaged(format_args!("the sum of series {} in bucket {}", series.0, bucket.number()))
            })?);
        }
        put.execute(params![bucket.number(), series.0, sum.head(), sum.carry(), sum.is_saturated()])
            .during("adding a sum")?;
    }
    Ok(())
}

const FIND_VALUE: &str = "SELECT value FROM value_names WHERE series = ?1 AND text = ?2";
const LAST_VALUE: &str = "SELECT coalesce(max(value), 0) FROM value_names WHERE series = ?1";
const NAME_VALUE: &str = "INSERT INTO value_names (series, text, value) VALUES (?1, ?2, ?3)";
const ADD_PER_VALUE: &str = "INSERT INTO per_value (bucket, series, value, count) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (bucket, series, value) DO UPDATE SET count =
         CASE WHEN count > 9223372036854775807 - excluded.count THEN 9223372036854775807
              ELSE count + excluded.count END";

fn add_per_value(transaction: &Transaction<'_>, batch: &Batch, kept: Kept) -> Result<(), Error> {
    let mut rows = BTreeMap::<(Bucket, SeriesId, i64), u64>::new();
    for (series, day, name, count) in &batch.per_value {
        let value = value_number(transaction, *series, name)?;
        for bucket in kept.of_day(*day) {
            let total = rows.entry((bucket, *series, value)).or_default();
            *total = total.saturating_add(*count);
        }
    }
    let mut add = transaction.prepare_cached(ADD_PER_VALUE).during("adding values")?;
    for ((bucket, series, value), count) in rows {
        add.execute(params![bucket.number(), series.0, value, stored_count(count)])
            .during("adding a value")?;
    }
    Ok(())
}

/// The number of a value within its series; a new value gets the next one while there is room.
fn value_number(transaction: &Transaction<'_>, series: SeriesId, name: &ValueName) -> Result<i64, Error> {
    let text = match name {
        ValueName::Text(text) if &**text != OVERFLOW_VALUE => text,
        _ => return Ok(OVERFLOW),
    };
    let known: Option<i64> = transaction
        .prepare_cached(FIND_VALUE)
        .and_then(|mut find| find.query_row(params![series.0, &**text], |row| row.get(0)).optional())
        .during("reading a value")?;
    if let Some(value) = known {
        return Ok(value);
    }
    let last: i64 = transaction
        .prepare_cached(LAST_VALUE)
        .and_then(|mut last| last.query_row(params![series.0], |row| row.get(0)))
        .during("reading the values")?;
    if usize::try_from(last).unwrap_or(usize::MAX) >= MAX_VALUES_PER_SERIES {
        return Ok(OVERFLOW);
    }
    transaction
        .prepare_cached(NAME_VALUE)
        .and_then(|mut create| create.execute(params![series.0, &**text, last + 1]))
        .during("naming a value")?;
    Ok(last + 1)
}

const ADD_LEDGER: &str = "INSERT INTO ledger (entry, reason, count) VALUES (?1, ?2, ?3)
     ON CONFLICT (entry, reason) DO UPDATE SET count =
         CASE WHEN count > 9223372036854775807 - excluded.count THEN 9223372036854775807
              ELSE count + excluded.count END";

fn add_ledger(transaction: &Transaction<'_>, ledger: &BTreeMap<LedgerEntry, u64>) -> Result<(), Error> {
    let mut add = transaction.prepare_cached(ADD_LEDGER).during("adding to the ledger")?;
    for (entry, count) in ledger {
        let (entry, reason) = entry.parts();
        add.execute(params![entry, reason, stored_count(*count)]).during("adding to the ledger")?;
    }
    Ok(())
}
