//! Checking a store: its structure, its checksums, and the laws that its numbers obey.

mod all_time;
mod arrived;
mod days;
mod parts;
mod series;

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::report::check::days::Checking;
use crate::report::reader::Reader;
use crate::storage::Snapshot;

/// So many findings are kept; the others are counted.
const MAX_FINDINGS: usize = 1_000;

/// How much of a store is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Depth {
    /// Structure, checksums, and the laws.
    #[default]
    Plain,
    /// The estimate of each sketch too, beside that of another implementation (the crate `hyperloglogplus`): 0.3 to 1.5 ms each.
    Deep,
}

/// What a check looked at, and what it found.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, Depth, Event, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// store.tracker().track(Event::new("page_viewed"));
/// store.flush()?;
/// let check = store.reader().check(Depth::Deep)?;
/// assert!(check.is_sound());
/// assert_eq!(check.rows, 3); // the hour, the day, all time
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Check {
    /// What is wrong, the first 1,000.
    pub findings: Vec<Finding>,
    /// How many more things are wrong.
    pub more: u64,
    /// What is known to be lost, the first 1,000: sketches that were set aside, and what was lost when the store was salvaged. It is
    /// no new damage: answers that would need it fail, all others are whole, and a backup of the store has the same.
    pub losses: Vec<String>,
    /// How many more things are known to be lost.
    pub more_losses: u64,
    /// Rows of counts, sums, values and sketches that were looked at.
    pub rows: u64,
    /// Sketches among them.
    pub sketches: u64,
    /// Sketches with a second opinion.
    pub second_opinions: u64,
    /// The largest difference between the two estimates of one sketch, in parts of the estimate.
    pub largest_difference: f64,
    /// Whether something could not be read, so that rows behind it were not looked at.
    pub ended_early: bool,
}

/// One thing that is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What does not hold.
    pub law: Law,
    /// Where, and how it differs from what should be.
    pub message: String,
}

/// What holds in a sound store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Law {
    /// Pages, rows and indexes fit together.
    Structure,
    /// Every sketch carries the checksum of its bytes, and every ping has its digest.
    Checksum,
    /// Hours add up to days, days to all time, and the totals of events to what the ledger says is stored.
    Conservation,
    /// Every row belongs to a series, a value and a time that exist; no more distinct ones than events.
    Consistency,
    /// Two independent estimates of one sketch agree.
    SecondOpinion,
}

impl Check {
    /// Whether nothing is wrong, but for losses that are known.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, law: Law, message: impl fmt::Display) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { law, message: message.to_string() });
        } else {
            self.more += 1;
        }
    }

    fn note(&mut self, loss: impl fmt::Display) {
        if self.losses.len() < MAX_FINDINGS {
            self.losses.push(loss.to_string());
        } else {
            self.more_losses += 1;
        }
    }
}

impl Law {
    /// As one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Checksum => "checksum",
            Self::Conservation => "conservation",
            Self::Consistency => "consistency",
            Self::SecondOpinion => "second_opinion",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reader {
    /// Checks the whole store as of one moment, while others write it. Reads every page once and every row twice; memory grows with
    /// the number of series and values, not with history. Sums are compared to 12 digits of the sizes of their parts.
    ///
    /// Some damage leaves numbers that could all be true, and is not found:
    ///
    /// - the same change to the hour, the day and all time of a series at once; for totals of events the ledger would have to
    ///   change too, for parts of them the total is the limit;
    /// - sound sketches of one series exchanged between two days, where both days had enough events; and a sketch that is gone
    ///   from a day that has not yet been united with all time;
    /// - what stands once only: refusals and losses in the ledger, marks, offsets of sources, what the operator has chosen about pings, times of recording that do not
    ///   overlap or are gone (their rules are then refused as not recorded), definitions that can be read, the text of a name;
    /// - bits in pages that nothing uses.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] and the like when the file cannot be read at all; what is wrong with it is in [`Check::findings`].
    pub fn check(&self, depth: Depth) -> Result<Check, Error> {
        self.read(|snapshot| {
            let mut check = Check::default();
            match snapshot.faults() {
                Ok(faults) => faults.into_iter().for_each(|fault| check.find(Law::Structure, fault)),
                Err(error) if error.kind() == ErrorKind::StoreDamaged => check.find(Law::Structure, error),
                Err(error) => return Err(error),
            }
            check_pings(snapshot, &mut check)?;
            let mut checking = Checking::new(snapshot, depth, check);
            match checking.run() {
                Ok(()) => {}
                // Pages that cannot be read end the walk, but what was found until then stands.
                Err(error) if matches!(error.kind(), ErrorKind::StoreDamaged | ErrorKind::Io) => {
                    checking.check.find(Law::Structure, error);
                    checking.check.ended_early = true;
                }
                Err(error) => return Err(error),
            }
            Ok(checking.check)
        })
    }
}

/// Every ping has the digest that it was kept with. One document is in memory at a time.
fn check_pings(snapshot: &dyn Snapshot, check: &mut Check) -> Result<(), Error> {
    let checked = snapshot.consent().and_then(|_| {
        for kept in snapshot.ping_weeks()? {
            for ping in snapshot.pings(kept.week, kept.week)?.iter().filter(|ping| !ping.is_intact()) {
                let what = format!(
                    "the ping of {0} differs from its digest; restore a backup, or have it forgotten (`ping forget {0}`)",
                    ping.week
                );
                check.find(Law::Checksum, what);
            }
        }
        Ok(())
    });
    match checked {
        Err(error) if error.kind() == ErrorKind::StoreDamaged => {
            check.find(Law::Structure, error);
            Ok(())
        }
        checked => checked,
    }
}
