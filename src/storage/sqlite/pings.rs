//! Pings: the documents that are kept, the lease of who works at them, and what may leave.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Transaction, params};

use crate::definition::words::DataCategory;
use crate::error::{Error, ErrorKind};
use crate::storage::ping::{
    Agreement, Consent, DEFAULT_WEEKS_KEPT, Delivery, DeliveryOutcome, Identity, KeptPing, KeptWeek,
    PingDigest, PingStep, PingWorker,
};
use crate::storage::sqlite::failure::{During, damaged};
use crate::storage::sqlite::migrate;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// The first version that keeps pings.
const SINCE_VERSION: i32 = 2;
/// The first version that knows by number what was agreed to.
const AGREEMENT_SINCE_VERSION: i32 = 3;
/// A lease that ends later than this was taken by a clock that was wrong, and counts as ended.
const MAX_LEASE_SECONDS: i64 = 24 * 3_600;

const DOING: &str = "keeping pings";
const READING: &str = "reading the pings";

const SELECT_IDENTITY: &str = "SELECT uuid, created FROM store";
const SELECT_ALL: &str = "SELECT week, recorded, document, beside, digest, partial, outcome, attempts, tried, next, status, response, agreement
     FROM pings WHERE week BETWEEN ?1 AND ?2 AND outcome != 'forgotten' ORDER BY week";
/// `octet_length` is in the head of a row, where `length` would read the text.
const SELECT_WEEKS: &str =
    "SELECT week, recorded, octet_length(document), digest, partial, outcome, attempts, tried, next, status, agreement
     FROM pings ORDER BY week";
/// What stands for the column in stores of version 2, which say when the operator agreed.
const AGREEMENT_OF_2: &str = "recorded > (SELECT since FROM consent)";
const SELECT_CONSENT: &str = "SELECT sending, url, categories, suppress_below, weeks_kept FROM consent";
const SELECT_LEASE: &str = "SELECT worker, until FROM consent";
const TAKE_LEASE: &str = "UPDATE consent SET worker = ?1, until = ?2";
const END_LEASE: &str = "UPDATE consent SET worker = NULL, until = NULL WHERE worker = ?1";
const KEEP: &str =
    "INSERT INTO pings (week, recorded, document, beside, digest, partial, outcome, attempts, agreement)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8) ON CONFLICT (week) DO NOTHING";
/// All but the newest; the newest up to this week, whatever weeks a clock that was wrong has made; and what is still to be sent of more.
const FORGET: &str = "DELETE FROM pings
     WHERE week NOT IN (SELECT week FROM pings ORDER BY week DESC LIMIT max(?1, 1))
       AND week NOT IN (SELECT week FROM pings WHERE week <= ?2 ORDER BY week DESC LIMIT max(?1, 1))
       AND NOT (outcome IN ('kept', 'waiting')
           AND EXISTS (SELECT 1 FROM consent WHERE sending AND consent.agreement = pings.agreement)
           AND week IN (SELECT week FROM pings ORDER BY week DESC LIMIT max(?1, ?3)))";
const DELIVER: &str =
    "UPDATE pings SET outcome = ?2, attempts = ?3, tried = ?4, next = ?5, status = ?6, response = ?7
     WHERE week = ?1 AND outcome NOT IN ('sent', 'forgotten')";
const CARRY: &str = "UPDATE pings SET outcome = 'carried', tried = ?2, next = NULL
     WHERE week = ?1 AND outcome NOT IN ('sent', 'forgotten')";
/// The row stays, so that nobody makes the week again, and is whole: its digest is that of the empty text.
const FORGET_WEEK: &str = "UPDATE pings SET document = '', beside = '', digest = ?3, partial = 0, outcome = 'forgotten', tried = ?2,
         next = NULL, status = NULL, response = NULL
     WHERE week = ?1 AND outcome != 'forgotten'";
const CHOOSE: &str =
    "UPDATE consent SET sending = ?1, url = ?2, categories = ?3, suppress_below = ?4, weeks_kept = ?5";

pub(super) const AGREE: &str = "UPDATE consent SET agreement = ?1";
const SELECT_AGREEMENT: &str = "SELECT agreement FROM consent";

/// Notes what became of sending the ping of a week; says how many rows have it.
pub(super) fn deliver(
    connection: &Connection,
    week: IsoWeek,
    delivery: &Delivery,
) -> rusqlite::Result<usize> {
    connection.execute(
        DELIVER,
        params![
            week.index(),
            delivery.outcome.as_str(),
            delivery.attempts,
            delivery.tried_at.map(Timestamp::unix_seconds),
            delivery.next_at.map(Timestamp::unix_seconds),
            delivery.status,
            delivery.response
        ],
    )
}

/// Applies a step; `false` when somebody else was first.
pub(super) fn apply(transaction: &Transaction<'_>, step: &PingStep, now: Timestamp) -> Result<bool, Error> {
    let rows = match step {
        PingStep::Lease { worker, until } => {
            if is_leased_to_another(transaction, *worker, now)? {
                return Ok(false);
            }
            transaction.execute(TAKE_LEASE, params![worker.0.as_slice(), until.unix_seconds()])
        }
        PingStep::Release { worker } => transaction.execute(END_LEASE, params![worker.0.as_slice()]),
        PingStep::Keep { ping, weeks_kept } => {
            let kept = transaction.execute(
                KEEP,
                params![
                    ping.week.index(),
                    ping.recorded_at.unix_seconds(),
                    ping.document,
                    ping.beside,
                    ping.digest.0.as_slice(),
                    ping.is_partial,
                    ping.delivery.outcome.as_str(),
                    ping.agreement.0
                ],
            );
            // By number and not by age, so that a clock that was wrong once costs few.
            let this_week = IsoWeek::of(now).max(ping.week).index();
            transaction.execute(FORGET, params![weeks_kept, this_week, DEFAULT_WEEKS_KEPT]).during(DOING)?;
            kept
        }
        PingStep::Deliver { week, delivery } => deliver(transaction, *week, delivery),
        PingStep::Carry { week } => transaction.execute(CARRY, params![week.index(), now.unix_seconds()]),
        PingStep::Forget { week } => {
            let empty = PingDigest::of(b"");
            transaction.execute(FORGET_WEEK, params![week.index(), now.unix_seconds(), empty.0.as_slice()])
        }
        PingStep::Choose(consent) => {
            let before = self::consent(transaction)?;
            // Another URL is where they go from now on; that they go was agreed to before.
            let is_wider = consent.sending && !before.sending;
            let is_narrower = before.categories.iter().any(|category| !consent.permits(*category))
                || consent.suppress_below > before.suppress_below;
            if is_wider || is_narrower {
                transaction.execute(AGREE, [agreement(transaction)?.next().0]).during(DOING)?;
            }
            choose(transaction, consent)
        }
    };
    Ok(rows.during(DOING)? == 1)
}

pub(super) fn choose(connection: &Connection, consent: &Consent) -> rusqlite::Result<usize> {
    let Consent { sending, url, categories, suppress_below, weeks_kept } = consent;
    let categories: Vec<&str> = categories.iter().map(|category| category.as_str()).collect();
    connection.execute(CHOOSE, params![sending, url, categories.join(" "), suppress_below, weeks_kept])
}

fn is_leased_to_another(
    transaction: &Transaction<'_>,
    worker: PingWorker,
    now: Timestamp,
) -> Result<bool, Error> {
    let (owner, until): (Option<Vec<u8>>, Option<i64>) =
        transaction.query_row(SELECT_LEASE, [], |row| Ok((row.get(0)?, row.get(1)?))).during(DOING)?;
    let left = until.map_or(0, |until| until.saturating_sub(now.unix_seconds()));
    Ok(owner.is_some_and(|owner| owner != worker.0) && (1..=MAX_LEASE_SECONDS).contains(&left))
}

fn prepared<'c>(connection: &'c Connection, select: &str) -> Result<CachedStatement<'c>, Error> {
    let is_old = migrate::version(connection)? < AGREEMENT_SINCE_VERSION;
    let select = if is_old { select.replace("agreement", AGREEMENT_OF_2) } else { select.to_owned() };
    connection.prepare_cached(&select).during(READING)
}

/// The documents of these weeks, by week, but for those that were forgotten.
pub(super) fn of_weeks(
    connection: &Connection,
    first: IsoWeek,
    last: IsoWeek,
) -> Result<Vec<KeptPing>, Error> {
    if migrate::version(connection)? < SINCE_VERSION {
        return Ok(Vec::new());
    }
    let mut select = prepared(connection, SELECT_ALL)?;
    let mut rows = select.query(params![first.index(), last.index()]).during(READING)?;
    let mut pings = Vec::new();
    while let Some(row) = rows.next().during(READING)? {
        pings.push(kept(row)?);
    }
    Ok(pings)
}

/// How each week's ping stands, by week. Of a row no more than these columns is read, so that the size of documents is of no matter.
pub(super) fn weeks(connection: &Connection) -> Result<Vec<KeptWeek>, Error> {
    if migrate::version(connection)? < SINCE_VERSION {
        return Ok(Vec::new());
    }
    let mut select = prepared(connection, SELECT_WEEKS)?;
    let mut rows = select.query([]).during(READING)?;
    let mut weeks = Vec::new();
    while let Some(row) = rows.next().during(READING)? {
        let (week, delivery) = stands(row, [5, 6, 7, 8, 9])?;
        let column = |what: rusqlite::Result<i64>| what.during(READING);
        weeks.push(KeptWeek {
            week,
            recorded_at: Timestamp::from_unix_seconds(column(row.get(1))?),
            bytes: u64::try_from(column(row.get(2))?).unwrap_or_default(),
            digest: digest(week, &row.get::<_, Vec<u8>>(3).during(READING)?)?,
            is_partial: row.get(4).during(READING)?,
            delivery,
            agreement: Agreement(column(row.get(10))?),
        });
    }
    Ok(weeks)
}

fn kept(row: &Row<'_>) -> Result<KeptPing, Error> {
    let (week, mut delivery) = stands(row, [6, 7, 8, 9, 10])?;
    delivery.response = row.get(11).during(READING)?;
    Ok(KeptPing {
        week,
        recorded_at: Timestamp::from_unix_seconds(row.get(1).during(READING)?),
        document: row.get(2).during(READING)?,
        beside: row.get(3).during(READING)?,
        digest: digest(week, &row.get::<_, Vec<u8>>(4).during(READING)?)?,
        is_partial: row.get(5).during(READING)?,
        delivery,
        agreement: Agreement(row.get(12).during(READING)?),
    })
}

/// The week in the first column, and from these ones the outcome, the attempts, their times and the status.
fn stands(row: &Row<'_>, columns: [usize; 5]) -> Result<(IsoWeek, Delivery), Error> {
    let [outcome, attempts, tried, next, status] = columns;
    let time = |column| -> Result<_, Error> {
        Ok(row.get::<_, Option<i64>>(column).during(READING)?.map(Timestamp::from_unix_seconds))
    };
    let week = IsoWeek::from_index(row.get(0).during(READING)?);
    let word: String = row.get(outcome).during(READING)?;
    let delivery = Delivery {
        outcome: DeliveryOutcome::from_word(&word)
            .ok_or_else(|| damaged(format_args!("the ping of {week} has an outcome that is none")))?,
        attempts: row.get(attempts).during(READING)?,
        tried_at: time(tried)?,
        next_at: time(next)?,
        status: row.get(status).during(READING)?,
        response: None,
    };
    Ok((week, delivery))
}

fn digest(week: IsoWeek, bytes: &[u8]) -> Result<PingDigest, Error> {
    let digest = <[u8; 32]>::try_from(bytes);
    digest.map(PingDigest).map_err(|_| damaged(format_args!("the ping of {week} has no digest")))
}

/// What the operator has chosen.
pub(super) fn consent(connection: &Connection) -> Result<Consent, Error> {
    if migrate::version(connection)? < SINCE_VERSION {
        return Ok(Consent::default());
    }
    let (mut consent, categories) = connection
        .query_row(SELECT_CONSENT, [], |row| {
            let consent = Consent {
                sending: row.get(0)?,
                url: row.get(1)?,
                categories: Vec::new(),
                suppress_below: row.get(3)?,
                weeks_kept: row.get(4)?,
            };
            Ok((consent, row.get::<_, String>(2)?))
        })
        .during(READING)?;
    for word in categories.split_whitespace() {
        let category = DataCategory::from_word(word)
            .ok_or_else(|| damaged(format_args!("it permits the category `{word}`, which is none")))?;
        consent.categories.push(category);
    }
    Ok(consent)
}

/// Documents that were made under another one are not sent by themselves: nobody had agreed to send them, or what stands in them has
/// been withdrawn since.
pub(super) fn agreement(connection: &Connection) -> Result<Agreement, Error> {
    if migrate::version(connection)? < AGREEMENT_SINCE_VERSION {
        return Ok(Agreement::FIRST);
    }
    connection.query_row(SELECT_AGREEMENT, [], |row| row.get(0)).map(Agreement).during(READING)
}

/// Who the store is.
pub(super) fn identity(connection: &Connection) -> Result<Identity, Error> {
    let row: Option<(Vec<u8>, i64)> = connection
        .query_row(SELECT_IDENTITY, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .during(READING)?;
    let (uuid, created) = row.ok_or_else(|| damaged("it does not say who it is"))?;
    let uuid = <[u8; 16]>::try_from(uuid.as_slice()).map_err(|_| {
        Error::new(ErrorKind::StoreDamaged, "the store's uuid has not 16 bytes; restore a backup")
    })?;
    Ok(Identity { uuid, created: Timestamp::from_unix_seconds(created) })
}
