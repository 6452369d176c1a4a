//! Removing what retention keeps no longer, in pieces, and giving the space back.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::error::{Error, ErrorKind};
use crate::storage::Pass;
use crate::storage::retention::{Leap, Retained, Retention, Trust};
use crate::storage::sqlite::failure::{During, damaged};
use crate::storage::sqlite::{migrate, sketches};
use crate::time::bucket::{Bucket, Day, Granularity, Hour};
use crate::time::timestamp::Timestamp;

/// Free pages beyond this are given back to the file system; fewer are soon used again.
const FREE_PAGES_KEPT: i64 = 256;
/// The `auto_vacuum` of files that can shrink piece by piece.
const INCREMENTAL: i64 = 2;
/// What the log may take of the size that a store is given.
const LOG_ALLOWANCE_BYTES: u64 = 6 * 1024 * 1024;
/// The share of the pages that the file may have, in percent, above which the oldest buckets go.
const FULL_PERCENT: i64 = 85;
/// A pass may add so many where it must: SQLite writes a sketch that is united anew before it gives up the old one.
const SPARE_PAGES: i64 = 32;
/// What `max_page_count` is where there is no limit: the largest that SQLite takes.
const NO_LIMIT_PAGES: i64 = 4_294_967_294;

const SELECT_SETTINGS: &str =
    "SELECT hours_kept, days_kept, bytes_kept, trusted, leap, leap_confirmed FROM retention";
/// The newest batch was stamped by a clock that was believed when it was committed.
const SET: &str = "UPDATE retention SET hours_kept = ?1, days_kept = ?2, bytes_kept = ?3,
     trusted = coalesce(trusted, (SELECT committed FROM store), ?4)
     WHERE (hours_kept, days_kept, bytes_kept) IS NOT (?1, ?2, ?3)";
const KEEP_TRUST: &str = "UPDATE retention SET trusted = ?1, leap = ?2, leap_confirmed = ?3
     WHERE (trusted, leap, leap_confirmed) IS NOT (?1, ?2, ?3)";
const SELECT_KEPT_FROM: &str = "SELECT hours_from, days_from FROM store";
const MOVE_KEPT_FROM: &str = "UPDATE store SET hours_from = ?1, days_from = ?2";
const FIRST_BUCKET: &str = "SELECT min(bucket) FROM counts WHERE bucket >= ?1 AND bucket < ?2";

/// How much one pass does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// It removes buckets until it has removed so many rows.
    rows: usize,
    /// So many day sketches are united with those of all time, so that days can go.
    unite: usize,
    /// So many free pages are given back.
    pages: i64,
}

impl Piece {
    /// Some milliseconds, which a flush may have to wait.
    pub(super) const ORDINARY: Self = Self { rows: 4_096, unite: 1_024, pages: 512 };
    /// Its log fits into the reserve: a sketch takes up to 9 KiB of it.
    const SMALL: Self = Self { rows: 1_024, unite: 64, pages: 64 };
}

/// A table with buckets, and which of them it has.
struct Table {
    has_hours: bool,
    next: &'static str,
    remove: &'static str,
}

const TABLES: [Table; 4] = [
    Table { has_hours: true, next: FIRST_BUCKET, remove: "DELETE FROM counts WHERE bucket = ?1" },
    Table {
        has_hours: true,
        next: "SELECT min(bucket) FROM sums WHERE bucket >= ?1 AND bucket < ?2",
        remove: "DELETE FROM sums WHERE bucket = ?1",
    },
    Table {
        has_hours: false,
        next: "SELECT min(bucket) FROM sketches WHERE bucket >= ?1 AND bucket < ?2",
        remove: "DELETE FROM sketches WHERE bucket = ?1",
    },
    Table {
        has_hours: false,
        next: "SELECT min(bucket) FROM per_value WHERE bucket >= ?1 AND bucket < ?2",
        remove: "DELETE FROM per_value WHERE bucket = ?1",
    },
];

/// Sets how long buckets are kept.
pub(super) fn set(connection: &mut Connection, retention: Retention, now: Timestamp) -> Result<(), Error> {
    let transaction = begin(connection)?;
    let bytes = retention.bytes().map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    transaction
        .execute(SET, params![retention.hours(), retention.days(), bytes, now.unix_seconds()])
        .during("setting the retention")?;
    transaction.commit().during("setting the retention")
}

/// What the store says of its retention; stores before version 2 have none.
pub(super) fn read(connection: &Connection) -> Result<Retained, Error> {
    if migrate::version(connection)? < 2 {
        return Ok(Retained::default());
    }
    let (retention, trust) = settings(connection)?;
    let (hours, days) = kept_from(connection)?;
    let start = |day: Day| (day.index() > 0).then(|| day.start());
    Ok(Retained {
        retention,
        hours_from: start(hours),
        days_from: start(days),
        leap: trust.leap.map(|leap| leap.at),
    })
}

/// The first day whose hours are kept, and the first day that is kept.
pub(super) fn kept_from(connection: &Connection) -> Result<(Day, Day), Error> {
    let (hours, days) = connection
        .prepare_cached(SELECT_KEPT_FROM)
        .and_then(|mut select| select.query_row([], |row| Ok((row.get::<_, u32>(0)?, row.get(1)?))))
        .during("reading what is kept")?;
    Ok((Hour::from_index(hours).day(), Day::from_index(days)))
}

/// Looks at the clock and removes a piece of what is to go, in one transaction, then gives a piece of the space back.
pub(super) fn pass(connection: &mut Connection, now: Timestamp, piece: Piece) -> Result<Pass, Error> {
    let (retention, _) = settings(connection)?;
    limit_pages(connection, retention, 0)?;
    if retention == Retention::everything() {
        return Ok(Pass::DONE);
    }
    let mut passed = remove_piece(connection, now, piece);
    if passed.as_ref().is_err_and(|error| error.kind() == ErrorKind::StoreFull) {
        limit_pages(connection, retention, SPARE_PAGES)?;
        passed = remove_piece(connection, now, piece);
        limit_pages(connection, retention, 0)?;
    }
    passed
}

fn remove_piece(connection: &mut Connection, now: Timestamp, piece: Piece) -> Result<Pass, Error> {
    let united = unite(connection, now, piece);
    if let Err(error) = &united
        && error.kind() != ErrorKind::StoreFull
    {
        return united.map(|_| Pass::DONE);
    }
    let transaction = begin(connection)?;
    let (retention, mut trust) = settings(&transaction)?;
    let believed = trust.look(now);
    keep_trust(&transaction, trust)?;
    let (mut kept, mut removed_rows) = (kept_from(&transaction)?, 0);
    let is_last = loop {
        let wanted = wanted_from(&transaction, retention, believed, kept)?;
        if wanted != kept {
            transaction
                .execute(MOVE_KEPT_FROM, params![wanted.0.first_hour().index(), wanted.1.index()])
                .during("moving what is kept")?;
        }
        removed_rows += remove_before(&transaction, wanted, piece.rows.saturating_sub(removed_rows))?;
        let is_last = wanted == kept;
        if is_last || removed_rows >= piece.rows {
            break is_last;
        }
        kept = wanted;
    };
    transaction.commit().during("removing what is kept no longer")?;
    let is_united = match united {
        // What was removed makes room for it.
        Err(_) if removed_rows > 0 => false,
        united => united?,
    };
    let is_compact = give_back(connection, piece)?;
    Ok(Pass { removed_rows, is_done: is_united && removed_rows < piece.rows && is_last && is_compact })
}

/// Unites a piece of what has ended with all time, in a transaction of its own: it takes room, which removing hours makes.
fn unite(connection: &mut Connection, now: Timestamp, piece: Piece) -> Result<bool, Error> {
    let transaction = begin(connection)?;
    let kept = kept_from(&transaction)?;
    let is_united = sketches::unite_ended(&transaction, now, kept.1, piece.unite)?;
    transaction.commit().during("uniting what has ended")?;
    Ok(is_united)
}

/// Makes room where there is none: what the log has is moved into the file, so that the log begins anew in the space that it has, and a
/// small piece of what is to go is removed.
pub(super) fn make_room(connection: &mut Connection, now: Timestamp) -> Result<Pass, Error> {
    // It waits for nobody. On a full disk it may move a part only.
    let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    let pass = pass(connection, now, Piece::SMALL);
    let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    pass
}

/// The number of pages that the file may have; the connection that adds rows must know it. `spare` ones may be added to what it has.
fn limit_pages(connection: &Connection, retention: Retention, spare: i64) -> Result<(), Error> {
    let pages = match page_limit(connection, retention)? {
        None => NO_LIMIT_PAGES,
        Some(limit) if spare == 0 => limit,
        Some(limit) => limit.max(pragma(connection, "page_count")?).saturating_add(spare),
    };
    connection
        .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        .during("limiting the size of the store")
}

fn page_limit(connection: &Connection, retention: Retention) -> Result<Option<i64>, Error> {
    let Some(bytes) = retention.bytes() else { return Ok(None) };
    let page_bytes = pragma(connection, "page_size")?.max(1);
    let bytes = i64::try_from(bytes.saturating_sub(LOG_ALLOWANCE_BYTES)).unwrap_or(i64::MAX);
    Ok(Some((bytes / page_bytes).max(1)))
}

/// The first days whose hours, and that themselves, are to be kept from now on. They never go back, since what is gone is gone.
fn wanted_from(
    transaction: &Transaction<'_>,
    retention: Retention,
    now: Timestamp,
    kept: (Day, Day),
) -> Result<(Day, Day), Error> {
    let by_age = retention.kept_from(now);
    let (mut hours, mut days) = (by_age.0.max(kept.0), by_age.1.max(kept.1));
    if is_full(transaction, retention, kept != (hours, days))? {
        let floor = Retention::everything()
            .hours_for_days(Retention::SHORTEST_HOURS)
            .days_for_days(Retention::SHORTEST_DAYS)
            .kept_from(now);
        let oldest = |granularity: Granularity| first_day(transaction, granularity);
        // A day at a time: then it is looked again at what is left.
        match (oldest(Granularity::Hour)?, oldest(Granularity::Day)?) {
            (Some(first), _) if first < floor.0 => hours = hours.max(first.next()),
            (_, Some(first)) if first < floor.1 => days = days.max(first.next()),
            _ => {}
        }
    }
    // What is not united with all time yet would be lost to it.
    if let Some(first) = sketches::first_apart(transaction)? {
        days = days.min(first.max(kept.1));
    }
    Ok((hours.max(days), days))
}

/// Whether the oldest buckets have to go for their size; what is going for its age already may be enough.
fn is_full(connection: &Connection, retention: Retention, is_going: bool) -> Result<bool, Error> {
    let Some(limit) = page_limit(connection, retention)? else { return Ok(false) };
    let used = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(!is_going && used > limit.saturating_mul(FULL_PERCENT) / 100)
}

fn first_day(connection: &Connection, granularity: Granularity) -> Result<Option<Day>, Error> {
    let (first, end) = (granularity.first().number(), granularity.end().number());
    let bucket: Option<i64> = connection
        .prepare_cached(FIRST_BUCKET)
        .and_then(|mut select| select.query_row(params![first, end], |row| row.get(0)))
        .during("reading the oldest bucket")?;
    let Some(bucket) = bucket else { return Ok(None) };
    let index = u32::try_from(bucket - first).map_err(|_| damaged(format_args!("the bucket {bucket}")))?;
    Ok(Some(match granularity {
        Granularity::Hour => Hour::from_index(index).day(),
        Granularity::Day | Granularity::AllTime | Granularity::Week => Day::from_index(index),
    }))
}

/// Removes rows before these days until a pass has removed enough; gives how many.
fn remove_before(
    transaction: &Transaction<'_>,
    (hours, days): (Day, Day),
    most: usize,
) -> Result<usize, Error> {
    let of_hours = Granularity::Hour.first()..Bucket::hour(hours.first_hour());
    let of_days = Granularity::Day.first()..Bucket::day(days);
    let mut removed = 0;
    for range in [of_hours, of_days] {
        let is_hours = range.start == Granularity::Hour.first();
        for table in TABLES.iter().filter(|table| table.has_hours || !is_hours) {
            let mut next = transaction.prepare_cached(table.next).during("removing buckets")?;
            let mut remove = transaction.prepare_cached(table.remove).during("removing buckets")?;
            while removed < most {
                let bucket: Option<i64> = next
                    .query_row(params![range.start.number(), range.end.number()], |row| row.get(0))
                    .optional()
                    .during("removing buckets")?
                    .flatten();
                let Some(bucket) = bucket else { break };
                removed += remove.execute(params![bucket]).during("removing a bucket")?;
            }
        }
    }
    Ok(removed)
}

/// Gives free pages back to the file system; says whether few enough are left. A file that was made without the means to do so keeps them
/// for new rows.
fn give_back(connection: &Connection, piece: Piece) -> Result<bool, Error> {
    let free = pragma(connection, "freelist_count")?;
    if free <= FREE_PAGES_KEPT || pragma(connection, "auto_vacuum")? != INCREMENTAL {
        return Ok(true);
    }
    let pages = (free - FREE_PAGES_KEPT).min(piece.pages);
    vacuum(connection, pages)?;
    Ok(free - pages <= FREE_PAGES_KEPT)
}

/// Gives so many free pages back. Each step of the statement gives one.
fn vacuum(connection: &Connection, pages: i64) -> Result<(), Error> {
    if pages == 0 {
        return Ok(());
    }
    connection.pragma(None, "incremental_vacuum", pages, |_| Ok(())).during("giving space back")
}

/// Makes the file as short as it can be: gives all free pages back, and empties the log into the file. What somebody reads
/// meanwhile stays. A file that was made without the means to shrink is written anew once.
pub(super) fn shorten(connection: &Connection) -> Result<(), Error> {
    if pragma(connection, "auto_vacuum")? != INCREMENTAL {
        connection
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .during("making the file able to shrink")?;
        connection.execute_batch("VACUUM").during("writing the file anew")?;
    }
    vacuum(connection, pragma(connection, "freelist_count")?)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).during("emptying the log")
}

fn settings(connection: &Connection) -> Result<(Retention, Trust), Error> {
    let row = connection
        .prepare_cached(SELECT_SETTINGS)
        .and_then(|mut select| {
            select.query_row([], |row| {
                let kept: (Option<u32>, Option<u32>, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let trust: (Option<i64>, Option<i64>, u8) = (row.get(3)?, row.get(4)?, row.get(5)?);
                Ok((kept, trust))
            })
        })
        .during("reading the retention")?;
    let ((hours, days, bytes), (trusted, leap, confirmations)) = row;
    let mut retention = Retention::everything();
    if let Some(hours) = hours {
        retention = retention.hours_for_days(hours);
    }
    if let Some(days) = days {
        retention = retention.days_for_days(days);
    }
    if let Some(bytes) = bytes {
        let bytes = u64::try_from(bytes).map_err(|_| damaged(format_args!("its size limit is {bytes}")))?;
        retention = retention.at_most_bytes(bytes);
    }
    retention.check().map_err(|error| damaged(format_args!("its retention: {error}")))?;
    let leap = leap.map(|at| Leap { at: Timestamp::from_unix_seconds(at), confirmations });
    Ok((retention, Trust { until: trusted.map(Timestamp::from_unix_seconds), leap }))
}

fn keep_trust(transaction: &Transaction<'_>, trust: Trust) -> Result<(), Error> {
    let leap = trust.leap;
    transaction
        .prepare_cached(KEEP_TRUST)
        .and_then(|mut keep| {
            keep.execute(params![
                trust.until.map(Timestamp::unix_seconds),
                leap.map(|leap| leap.at.unix_seconds()),
                leap.map_or(0, |leap| leap.confirmations)
            ])
        })
        .during("noting the clock")
        .map(drop)
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Error> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .during("beginning to remove what is kept no longer")?;
    // A newer program may have migrated the store beneath this one.
    migrate::refuse_newer(migrate::version(&transaction)?)?;
    Ok(transaction)
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, Error> {
    connection.pragma_query_value(None, name, |row| row.get(0)).during("reading the size of the store")
}
