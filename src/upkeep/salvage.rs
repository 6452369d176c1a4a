//! Salvaging: what is readable of a damaged store becomes a new one.

use std::fs;
use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::report::backup::Unfinished;
use crate::report::check::{Check, Depth};
use crate::report::reader::Reader;
use crate::storage::salvaged::Salvage;
pub use crate::storage::salvaged::{Loss, SalvagedTable};
use crate::storage::sqlite;
use crate::time::clock::Clock;
use crate::time::timestamp::Timestamp;
use crate::upkeep::Upkeep;

/// What became of a damaged store.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, Event, EventDefinition, Store};
/// use headcount::{Query, Reader, Upkeep};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let (damaged, new) = (folder.path().join("damaged.db"), folder.path().join("usage.db"));
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder(&damaged).definitions(definitions).open()?;
/// # store.tracker().track(Event::new("page_viewed"));
/// # store.close()?;
/// # drop(store);
/// let salvaged = Upkeep::salvage(&damaged, &new)?;
/// assert!(salvaged.losses.is_empty() && salvaged.check.is_sound());
/// assert_eq!(Reader::open(&new)?.value(&Query::total("page_viewed"))?.count(), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Salvaged {
    /// The size of the new store.
    pub bytes: u64,
    /// What was read, table by table.
    pub tables: Vec<SalvagedTable>,
    /// What was lost, the first 1,000; nothing where all could be read or follows from what could.
    pub losses: Vec<Loss>,
    /// How many more things were lost.
    pub more: u64,
    /// The check of the new store: what is noted as lost is among its `losses`. Where it finds more, numbers contradict each other and
    /// nothing says which is wrong; then `losses` above has that too.
    pub check: Check,
}

impl Upkeep {
    /// Writes what can be read of a damaged store into a new one. The damaged file and its log stay as they are, to the byte: they are
    /// copied beside the new store first, for which their size must be free. No program may have the store open, this process least of
    /// all: that it closed the copied file would take the locks from its own connections.
    ///
    /// Each table is read from both ends up to the damage, and again from between, so that a page costs its own rows. Hours, days
    /// and all time are held against each other: what was lost of one is made again from the others where they say what it was. A
    /// sketch whose checksum does not hold costs the uniques of its day. What is lost for good is listed, and noted in the new store:
    /// answers that would need it fail with [`ErrorKind::StoreDamaged`], others are whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::StoreMissing`] and [`ErrorKind::Usage`] when there is nothing at `damaged`, or something at `new`;
    /// [`ErrorKind::StoreDamaged`] when no table can be found in the file; [`ErrorKind::StoreBusy`] when a program writes to it
    /// meanwhile, or this process has it open; [`ErrorKind::StoreNewer`], [`ErrorKind::StoreFull`], [`ErrorKind::ReadOnly`] and [`ErrorKind::Io`].
    pub fn salvage(damaged: impl AsRef<Path>, new: impl AsRef<Path>) -> Result<Salvaged, Error> {
        Self::salvage_at(damaged.as_ref(), new.as_ref(), Clock::system().now())
    }

    pub(crate) fn salvage_at(damaged: &Path, new: &Path, now: Timestamp) -> Result<Salvaged, Error> {
        if !fs::metadata(damaged).is_ok_and(|file| file.is_file()) {
            return Err(Error::new(
                ErrorKind::StoreMissing,
                format!("{}: there is no store file; name the damaged one", damaged.display()),
            ));
        }
        let (unfinished, copy) = (Unfinished::beside(new)?, Unfinished::beside(new)?);
        let mut salvage = sqlite::salvage::salvage(damaged, copy.path(), unfinished.path(), now)?;
        drop(copy);
        let check = Reader::open(unfinished.path())?.check(Depth::Plain)?;
        let bytes = unfinished.path().metadata().map_err(|error| {
            Error::new(ErrorKind::Io, format!("{}: looking at the new store: {error}", new.display()))
        })?;
        sqlite::put(unfinished.path(), new, now)?;
        for finding in &check.findings {
            salvage.lose(
                "store",
                None,
                None,
                format!("contradictory, so that answers may be wrong: {}", finding.message),
            );
        }
        let Salvage { tables, losses, more } = salvage;
        Ok(Salvaged { bytes: bytes.len(), tables, losses, more, check })
    }
}
