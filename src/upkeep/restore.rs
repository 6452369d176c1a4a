//! Restoring: a backup takes the place of a store.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};
use crate::report::backup::Unfinished;
use crate::report::check::{Check, Depth};
use crate::report::reader::Reader;
use crate::storage::ping::RestoredSending;
use crate::storage::sqlite;
use crate::time::clock::Clock;
use crate::time::timestamp::Timestamp;
use crate::upkeep::Upkeep;

/// What becomes of a store that stands where one is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It stays, and nothing is restored.
    #[default]
    Refuse,
    /// It gets another name, together with its log; it is never deleted.
    SetAside,
}

/// A store that was restored.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, Event, EventDefinition, Store};
/// use headcount::{Existing, Reader, Upkeep};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let (path, backup) = (folder.path().join("usage.db"), folder.path().join("backup.db"));
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder(&path).definitions(definitions).open()?;
/// # store.tracker().track(Event::new("page_viewed"));
/// # store.flush()?;
/// # store.reader().backup(&backup)?;
/// # store.close()?;
/// let restored = Upkeep::restore(&backup, &path, Existing::SetAside)?;
/// let old = restored.set_aside.ok_or("a store was there").unwrap();
/// assert_eq!(Reader::open(&path)?.ledger()?, Reader::open(&old)?.ledger()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Restored {
    /// The size of the file.
    pub bytes: u64,
    /// What the check of the copy looked at; it found nothing.
    pub check: Check,
    /// The name that the store that was there has now: the old name, `.replaced-` and the time, such as
    /// `usage.db.replaced-20261122T100000Z`; the names of its log and its index go along.
    pub set_aside: Option<PathBuf>,
    /// Whether pings are sent.
    pub sending: RestoredSending,
}

impl Upkeep {
    /// Puts a copy of a backup where a store is to be. The copy is made beside that place, synced and checked, as [`Reader::check`]
    /// does, before anything else happens; the backup stays as it is.
    ///
    /// It is the same store: its identity, its sources and its marks are those of the backup, so that what was imported after the
    /// backup can be imported again and counts once. Events that were tracked after it are in the store that was set aside alone.
    ///
    /// What may leave the machine is the exception: nobody's word is taken back by a backup that is older. Pings are sent only if the backup and the
    /// store that was there both say so, to the same URL, and have only the categories, and only counts of so many users, that both permit. Where no
    /// store is, or one that cannot be asked, sending is off, until somebody turns it on ([`Ping::set_consent`](crate::Ping::set_consent)).
    ///
    /// Nor is a ping sent or made twice: of each week that the store that was there has, the new one gets its ping as it stood there, unless it
    /// was further in the backup. What waits to be sent in the backup alone, or was there under another installation's name, goes only by
    /// [`Ping::resend`](crate::Ping::resend).
    ///
    /// Whoever is killed in it leaves the old store or the new one at the place. Where the log of the old store cannot be emptied, as of
    /// one that is damaged, there is a moment between two renames at which neither is there; both then stand beside the place.
    /// Stop programs that use the store, or have them open it again: until they do, what they flush fails with
    /// [`ErrorKind::StoreReplaced`].
    ///
    /// # Errors
    ///
    /// As [`Reader::open`] for the backup; [`ErrorKind::StoreDamaged`] with the first finding when it is not sound; [`ErrorKind::Usage`]
    /// when there is a store and it is not to be set aside; [`ErrorKind::StoreFull`], [`ErrorKind::ReadOnly`] and [`ErrorKind::Io`].
    pub fn restore(
        backup: impl AsRef<Path>,
        store: impl AsRef<Path>,
        existing: Existing,
    ) -> Result<Restored, Error> {
        Self::restore_at(backup.as_ref(), store.as_ref(), existing, Clock::system().now())
    }

    pub(crate) fn restore_at(
        backup: &Path,
        store: &Path,
        existing: Existing,
        now: Timestamp,
    ) -> Result<Restored, Error> {
        let unfinished = match existing {
            Existing::Refuse => Unfinished::beside(store).map_err(|error| match error.kind() {
                ErrorKind::Usage => Error::new(
                    ErrorKind::Usage,
                    format!(
                        "{}: there is a store already; name another place, or have it replaced",
                        store.display()
                    ),
                ),
                _ => error,
            })?,
            Existing::SetAside => Unfinished::replacing(store)?,
        };
        Reader::open(backup)?
            .copy_to(unfinished.path())
            .map_err(|error| error.context(format_args!("restoring {}", backup.display())))?;
        let check = Reader::open(unfinished.path())?.check(Depth::Plain)?;
        if let Some(first) = check.findings.first() {
            return Err(Error::new(
                ErrorKind::StoreDamaged,
                format!(
                    "{}: the backup is not sound, so that nothing was restored; restore another one, or salvage what it has; the first of {} findings: {}",
                    backup.display(),
                    check.findings.len(),
                    first.message
                ),
            ));
        }
        let was_there = is_there(store);
        let put = sqlite::restore(unfinished.path(), store, existing == Existing::SetAside, now);
        if put.is_err() && was_there && !is_there(store) {
            // Neither the old one is there nor the new one, and whoever reads the error may choose.
            unfinished.keep();
        }
        let (set_aside, sending) = put?;
        let bytes = Reader::open(store)?.contents()?.bytes;
        Ok(Restored { bytes, check, set_aside, sending })
    }
}

fn is_there(store: &Path) -> bool {
    std::fs::symlink_metadata(store).is_ok()
}
