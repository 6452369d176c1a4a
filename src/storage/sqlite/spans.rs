//! When each series was recorded: spans of time that neither overlap nor touch.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, params};

use crate::definition::rule::{Rule, RuleKind};
use crate::error::Error;
use crate::storage::Span;
use crate::storage::batch::SeriesId;
use crate::storage::sqlite::failure::During;
use crate::time::timestamp::Timestamp;

const SELECT: &str = "SELECT since, until FROM recorded WHERE series = ?1 ORDER BY since";
const DELETE: &str = "DELETE FROM recorded WHERE series = ?1 AND since = ?2";
const INSERT: &str = "INSERT INTO recorded (series, since, until) VALUES (?1, ?2, ?3)";
const SELECT_OPEN: &str =
    "SELECT series.id, series.key FROM recorded JOIN series ON series.id = recorded.series
     WHERE recorded.until IS NULL";
/// A clock that was set back must not end a span before it begins.
const END: &str = "UPDATE recorded SET until = max(since, ?2) WHERE series = ?1 AND until IS NULL";

/// The spans of a series, in the order of time.
fn of(connection: &Connection, series: SeriesId) -> Result<Vec<Span>, Error> {
    let mut select = connection.prepare_cached(SELECT).during("reading what was recorded")?;
    let spans = select
        .query_map(params![series.0], |row| {
            Ok(Span {
                since: Timestamp::from_unix_seconds(row.get(0)?),
                until: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_unix_seconds),
            })
        })
        .during("reading what was recorded")?;
    spans.collect::<rusqlite::Result<_>>().during("reading what was recorded")
}

/// Adds a span, united with those that it overlaps or touches; without an end it goes on.
pub(crate) fn add(
    transaction: &Transaction<'_>,
    series: SeriesId,
    since: Timestamp,
    until: Option<Timestamp>,
) -> Result<(), Error> {
    let mut united = Span { since, until };
    for span in of(transaction, series)? {
        if !touches(span, united) {
            continue;
        }
        united = Span { since: span.since.min(united.since), until: later(span.until, united.until) };
        if united == span {
            return Ok(());
        }
        transaction
            .prepare_cached(DELETE)
            .and_then(|mut delete| delete.execute(params![series.0, span.since.unix_seconds()]))
            .during("uniting what was recorded")?;
    }
    transaction
        .prepare_cached(INSERT)
        .and_then(|mut insert| {
            let until = united.until.map(Timestamp::unix_seconds);
            insert.execute(params![series.0, united.since.unix_seconds(), until])
        })
        .during("noting what is recorded")?;
    Ok(())
}

/// Ends the spans of series that the rules leave out although they declare the event: from now on such events are tracked without
/// being counted there. Series of other events are left alone: nobody with these rules can track those.
pub(crate) fn end_others(
    transaction: &Transaction<'_>,
    rules: &[Rule],
    ids: &[SeriesId],
    now: Timestamp,
) -> Result<(), Error> {
    let declared: BTreeSet<String> = rules
        .iter()
        .filter(|rule| rule.kind() == RuleKind::Count)
        .map(|rule| Rule::count(rule.event()).key())
        .collect();
    let mut select = transaction.prepare_cached(SELECT_OPEN).during("reading what is recorded")?;
    let open = select
        .query_map([], |row| Ok((SeriesId(row.get(0)?), row.get::<_, String>(1)?)))
        .during("reading what is recorded")?
        .collect::<rusqlite::Result<Vec<_>>>()
        .during("reading what is recorded")?;
    let ids: BTreeSet<_> = ids.iter().collect();
    for (series, key) in open {
        // In keys every `-` of a name is escaped, so that the event ends at the first one.
        let event = key.split_once('-').map_or(key.as_str(), |(event, _)| event);
        if declared.contains(event) && !ids.contains(&series) {
            transaction
                .execute(END, params![series.0, now.unix_seconds()])
                .during("ending what is recorded")?;
        }
    }
    Ok(())
}

fn touches(a: Span, b: Span) -> bool {
    a.until.is_none_or(|until| until >= b.since) && b.until.is_none_or(|until| until >= a.since)
}

fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.zip(b).map(|(a, b)| a.max(b))
}
