//! What a restored store takes over of pings from the store whose place it takes: what was taken back, and what became of each week.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use crate::error::Error;
use crate::storage::ping::{
    Agreement, Consent, Delivery, DeliveryOutcome, Identity, KeptPing, KeptWeek, PingDigest, RestoredSending,
};
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::{migrate, pings};
use crate::time::timestamp::Timestamp;

const NARROWING: &str = "taking back what pings may say";

const PUT: &str = "INSERT OR REPLACE INTO pings
     (week, recorded, document, beside, digest, partial, outcome, attempts, tried, next, status, response, agreement)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const PUT_AGREEMENT: &str = "UPDATE pings SET agreement = ?2 WHERE week = ?1";

/// How pings stand in a store.
struct Standing {
    identity: Identity,
    consent: Consent,
    agreement: Agreement,
    weeks: Vec<KeptWeek>,
}

impl Standing {
    fn of(connection: &Connection) -> Result<Self, Error> {
        Ok(Self {
            identity: pings::identity(connection)?,
            consent: pings::consent(connection)?,
            agreement: pings::agreement(connection)?,
            weeks: pings::weeks(connection)?,
        })
    }

    fn week(&self, of: &KeptWeek) -> Option<&KeptWeek> {
        self.weeks.iter().find(|kept| kept.week == of.week)
    }
}

/// Takes back in a copy of a store what the operator has taken back since: it permits no more than both the copy and the store whose
/// place it takes. Where no store can be asked nothing is sent, since nobody knows what was said last.
///
/// Of each week the copy gets what is further in the replaced store, so that none is sent or made twice. A week that waits to be sent
/// in the copy alone may have been sent and removed: it goes only by name. The rest stays as it is.
pub(super) fn narrow(copy: &Path, replaced: Option<&Connection>) -> Result<RestoredSending, Error> {
    let copy = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE).during(NARROWING)?;
    let before = Standing::of(&copy)?;
    let replaced = replaced.and_then(|replaced| Some((replaced, Standing::of(replaced).ok()?)));
    let (mut after, mut agreement) = (before.consent.clone(), before.agreement);
    let (mut taken, mut held) = (Vec::new(), Vec::new());
    after.sending &= replaced
        .as_ref()
        .is_some_and(|(_, replaced)| replaced.consent.sending && replaced.consent.url == before.consent.url);
    if let Some((connection, replaced)) = &replaced {
        after.categories.retain(|category| replaced.consent.permits(*category));
        after.suppress_below = after.suppress_below.max(replaced.consent.suppress_below);
        agreement = agreement.max(replaced.agreement);
        let is_same = before.identity == replaced.identity;
        let is_narrower = |than: &Consent| {
            after.categories.len() < than.categories.len() || after.suppress_below > than.suppress_below
        };
        // The numbers of two installations say nothing of each other.
        let is_foreign = !is_same && !before.weeks.is_empty();
        if is_foreign || is_narrower(&before.consent) || is_narrower(&replaced.consent) {
            agreement = agreement.next();
        }
        if is_same {
            let is_further = |theirs: &&KeptWeek| {
                before.week(theirs).is_none_or(|ours| ours != *theirs && rank(ours) <= rank(theirs))
            };
            taken.extend(replaced.weeks.iter().filter(is_further).map(|theirs| (*connection, theirs)));
            let is_alone = |ours: &&KeptWeek| {
                replaced.week(ours).is_none() && is_unsent(ours) && ours.agreement != Agreement::NONE
            };
            held.extend(before.weeks.iter().filter(is_alone));
        }
    }
    let is_chosen_anew = (&after, agreement) != (&before.consent, before.agreement);
    if is_chosen_anew || !taken.is_empty() || !held.is_empty() {
        // The version before has no place for it.
        migrate::to_current(&copy)?;
        copy.execute_batch("BEGIN IMMEDIATE").during(NARROWING)?;
        copy.execute(pings::AGREE, [agreement.0]).during(NARROWING)?;
        pings::choose(&copy, &after).during(NARROWING)?;
        for (from, theirs) in taken {
            take_over(&copy, from, theirs, before.week(theirs).is_some())?;
        }
        for ours in held {
            copy.execute(PUT_AGREEMENT, [ours.week.index().into(), Agreement::NONE.0]).during(NARROWING)?;
        }
        copy.execute_batch("COMMIT").during(NARROWING)?;
    }
    copy.close().map_err(|(_, error)| error).during(NARROWING)?;
    Ok(match (before.consent.sending, after.sending) {
        (_, true) => RestoredSending::On,
        (true, false) => RestoredSending::TurnedOff,
        (false, false) => RestoredSending::Off,
    })
}

fn is_unsent(kept: &KeptWeek) -> bool {
    matches!(kept.delivery.outcome, DeliveryOutcome::Kept | DeliveryOutcome::Waiting)
}

/// How far a week is: what is further is never taken back.
fn rank(kept: &KeptWeek) -> u8 {
    match kept.delivery.outcome {
        DeliveryOutcome::Kept => 0,
        DeliveryOutcome::Waiting => 1,
        DeliveryOutcome::Refused => 2,
        DeliveryOutcome::Carried => 3,
        DeliveryOutcome::Sent => 4,
        DeliveryOutcome::Forgotten => 5,
    }
}

/// Puts a week of the replaced store into the copy. Of a document that is damaged there the copy's own stays, if it has one; else the
/// week counts as forgotten.
fn take_over(copy: &Connection, from: &Connection, theirs: &KeptWeek, is_there: bool) -> Result<(), Error> {
    let week = theirs.week;
    let kept = pings::of_weeks(from, week, week).ok().and_then(|mut kept| kept.pop());
    if let Some(ping) = kept.filter(KeptPing::is_intact) {
        return put(copy, &ping);
    }
    if is_there && theirs.delivery.outcome != DeliveryOutcome::Forgotten {
        pings::deliver(copy, week, &theirs.delivery).during(NARROWING)?;
        return copy
            .execute(PUT_AGREEMENT, params![week.index(), theirs.agreement.0])
            .map(drop)
            .during(NARROWING);
    }
    let delivery = Delivery {
        outcome: DeliveryOutcome::Forgotten,
        attempts: theirs.delivery.attempts,
        tried_at: theirs.delivery.tried_at,
        ..Delivery::default()
    };
    let (document, beside) = (String::new(), String::new());
    let digest = PingDigest::of(document.as_bytes());
    let (recorded_at, agreement) = (theirs.recorded_at, theirs.agreement);
    put(
        copy,
        &KeptPing { week, recorded_at, document, beside, digest, is_partial: false, delivery, agreement },
    )
}

fn put(copy: &Connection, ping: &KeptPing) -> Result<(), Error> {
    let row = params![
        ping.week.index(),
        ping.recorded_at.unix_seconds(),
        ping.document,
        ping.beside,
        ping.digest.0.as_slice(),
        ping.is_partial,
        ping.delivery.outcome.as_str(),
        ping.delivery.attempts,
        ping.delivery.tried_at.map(Timestamp::unix_seconds),
        ping.delivery.next_at.map(Timestamp::unix_seconds),
        ping.delivery.status,
        ping.delivery.response,
        ping.agreement.0
    ];
    copy.execute(PUT, row).map(drop).during(NARROWING)
}
