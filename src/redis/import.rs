//! Taking over what a Redis has counted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::definition::rule::RuleKind;
use crate::error::{Error, ErrorKind};
use crate::redis::dump;
use crate::redis::keys::{self, Found, Place};
use crate::redis::mark::{Marks, is_mark};
use crate::redis::names::{Places, RedisNames};
use crate::redis::patience::Patient;
use crate::redis::value::{Raw, shown_key};
use crate::storage::arrival::{Arrival, Arrived, ArrivedCell, Frame};
use crate::store::Store;
use crate::time::bucket::{Hour, SECONDS_PER_HOUR};
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// What an import holds in memory before it puts it into the store.
const MAX_HELD_BYTES: usize = 512 << 20;
/// How many keys are asked for in a second, unless it is said otherwise.
const KEYS_PER_SECOND: u32 = 20_000;
/// So many keys are asked for at once.
const KEYS_AT_ONCE: u32 = 500;
/// For how long an outage is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes over what GitLab's keys in a Redis have counted: totals, sums, distinct ones and counts by value, of weeks and of all time.
///
/// Counts come exact and sketches register by register. A week arrives as a whole: answers have it where all of it lies within their time,
/// and are partial where they cut it. All is put into the store in one transaction, or nothing is, so that an import that was
/// interrupted is made again. What is imported takes the place of what was imported before; sketches unite with it.
///
/// Both stores may have counted in one week, or Redis may go on while the store counts too. [`RedisImport::until`] then says until when
/// Redis counted: of the time before, what the store has counted itself is in what Redis has, and is taken off; of the time from
/// then on the store alone knows. Without it an import refuses to take what the store has counted too.
///
/// Reading costs a Redis one `SCAN` for each of GitLab's three prefixes, and for each key `TYPE`, its length and its value; keys are not
/// changed.
///
/// ```no_run
/// use headcount::{Definitions, RedisImport, Store};
///
/// let store = Store::builder("usage.db").definitions(Definitions::load("config")?).for_imports().open()?;
/// let imported = RedisImport::new().from_server(&store, "redis://localhost/0", &mut |_| {})?;
/// println!("{} counts, {} sketches", imported.counts, imported.uniques);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it imports nothing until it is given a server or a file"]
pub struct RedisImport {
    names: RedisNames,
    until: Option<Until>,
    pause: Duration,
    database: u64,
}

/// Until when Redis counted.
#[derive(Debug, Clone, Copy)]
enum Until {
    Now,
    At(Timestamp),
}

/// What an import has found and taken.
///
/// ```
/// assert_eq!(headcount::RedisImported::default().counts, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedisImported {
    /// Keys with totals.
    pub counts: u64,
    /// Keys with sums.
    pub sums: u64,
    /// Keys with distinct ones.
    pub uniques: u64,
    /// Keys with counts by value.
    pub per_value: u64,
    /// The first and the last week of which something came.
    pub weeks: Option<(IsoWeek, IsoWeek)>,
    /// Keys with GitLab's prefixes that no definition explains, in order; nothing was taken of them.
    pub unknown: Vec<String>,
    /// How often the connection broke off and was taken up again.
    pub reconnections: u64,
    /// Why something may be missing: a dump without a checksum, or that others continue; events that were counted meanwhile.
    pub doubts: Vec<String>,
}

impl Default for RedisImport {
    fn default() -> Self {
        Self::new()
    }
}

impl RedisImport {
    /// An import by GitLab's names.
    pub fn new() -> Self {
        Self { names: RedisNames::new(), until: None, pause: pause(KEYS_PER_SECOND), database: 0 }
    }

    /// Keys are named so.
    pub fn names(mut self, names: RedisNames) -> Self {
        self.names = names;
        self
    }

    /// Until when Redis counted: a full hour of UTC.
    pub fn until(mut self, instant: Timestamp) -> Self {
        self.until = Some(Until::At(instant));
        self
    }

    /// Redis counts until now: what the store has counted itself is in there too.
    pub fn until_now(mut self) -> Self {
        self.until = Some(Until::Now);
        self
    }

    /// Asks for so many keys a second at the most; 20,000 unless it is said otherwise.
    pub fn keys_per_second(mut self, keys: u32) -> Self {
        self.pause = pause(keys.max(1));
        self
    }

    /// Of a dump, takes this database; 0 unless it is said otherwise. A server's database stands in its URL.
    pub fn database(mut self, number: u64) -> Self {
        self.database = number;
        self
    }

    /// Imports from a dump, as `SAVE` and `BGSAVE` write it: of Redis 2 to 7.4 and of Valkey to 8. It is read once, and taken only if
    /// all of it is whole, its checksum included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]; [`ErrorKind::Redis`] for a file that is damaged or no dump; and as [`RedisImport::from_server`].
    pub fn from_dump(&self, store: &Store, path: impl AsRef<Path>) -> Result<RedisImported, Error> {
        let mut collecting = Collecting::begin(self, store)?;
        let (rules, _) = store.rules();
        let (places, now) = (&collecting.places, collecting.now);
        let dumped = dump::read(path.as_ref(), self.database, places, rules, now, MAX_HELD_BYTES)?;
        collecting.take_found(&dumped.found)?;
        collecting.imported.doubts = dumped.doubts;
        for (place, raw) in &dumped.values {
            collecting.take(place, raw)?;
        }
        collecting.finish()
    }

    /// Imports from a server, or a cluster by one of its nodes. An outage of up to 30 seconds is waited for, and the scan goes on where
    /// it was. `told` hears how many keys were found so far.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`]; [`ErrorKind::Redis`] for a value that is not what its key says, and for a Redis that this store
    /// itself was exported to; [`ErrorKind::Usage`] where both have counted and nothing says until when; the reason of a failed
    /// commit. Nothing is imported then.
    pub fn from_server(
        &self,
        store: &Store,
        url: &str,
        told: &mut dyn FnMut(usize),
    ) -> Result<RedisImported, Error> {
        let mut collecting = Collecting::begin(self, store)?;
        let mut server = Patient::connect(url, PATIENCE)?;
        let (rules, _) = store.rules();
        let found = keys::find(&mut server, &collecting.places, rules, self.pause, told)?;
        collecting.take_found(&found)?;
        let mut read = 0;
        keys::read(&mut server, &found.known, self.pause, &mut |place, raw| {
            read += 1;
            collecting.take(place, &raw)
        })?;
        if read < found.known.len() {
            return Err(Error::new(
                ErrorKind::Redis,
                format!(
                    "{} of the {} keys that were found in {} were gone when they were to be read: it was emptied or started again, or they ended just now; nothing was imported, import again",
                    found.known.len() - read,
                    found.known.len(),
                    server.address()
                ),
            ));
        }
        collecting.imported.reconnections = server.connections - 1;
        collecting.finish()
    }
}

fn pause(keys_per_second: u32) -> Duration {
    Duration::from_secs(1) * KEYS_AT_ONCE / keys_per_second
}

/// What has been read so far; none of it is in the store yet.
struct Collecting<'a> {
    store: &'a Store,
    until: Option<Timestamp>,
    now: Timestamp,
    places: Places,
    marks: Marks,
    cells: BTreeMap<(usize, Frame), Arrived>,
    held_bytes: usize,
    /// Events that the store had when the import began.
    stored: u64,
    imported: RedisImported,
}

impl<'a> Collecting<'a> {
    fn begin(import: &RedisImport, store: &'a Store) -> Result<Self, Error> {
        let now = store.now();
        let until = match import.until {
            None => None,
            Some(Until::Now) => Some(Hour::of(now).start().plus_seconds(SECONDS_PER_HOUR)),
            // What is still to come would be taken off again at each import.
            Some(Until::At(until)) if until.unix_seconds() % SECONDS_PER_HOUR != 0 || until > now => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "Redis cannot have counted until {until}; name a full hour that has come, or now"
                    ),
                ));
            }
            Some(Until::At(until)) => Some(until),
        };
        let definitions = store.reader().definitions()?;
        let names = import.names.clone().of(&definitions);
        let uuid = store.ping().uuid()?;
        Ok(Self {
            store,
            until,
            now,
            places: Places::of(&names, store.rules().0),
            marks: Marks::of(&uuid),
            cells: BTreeMap::new(),
            held_bytes: 0,
            stored: store.reader().ledger()?.stored,
            imported: RedisImported::default(),
        })
    }

    /// Lists what is not understood, and refuses what came from this store.
    fn take_found(&mut self, found: &Found) -> Result<(), Error> {
        if found.unknown.iter().any(|key| self.marks.is_ours(key)) {
            return Err(Error::new(
                ErrorKind::Redis,
                "this Redis has what was exported from this store, or mirrored: what the store counted itself would count twice; import into a new store, or from a Redis as it was before",
            ));
        }
        let unknown = found.unknown.iter().filter(|key| !is_mark(key));
        self.imported.unknown.extend(unknown.map(|key| shown_key(key)));
        Ok(())
    }

    fn take(&mut self, place: &Place, raw: &Raw) -> Result<(), Error> {
        if let Frame::Week(week) = place.frame {
            if week > IsoWeek::of(self.now) {
                self.imported.unknown.push(place.key.clone());
                return Ok(());
            }
            let (first, last) = self.imported.weeks.unwrap_or((week, week));
            self.imported.weeks = Some((first.min(week), last.max(week)));
        }
        let amount = raw.read(&place.key, place.kind)?;
        let counter = match place.kind {
            RuleKind::Count => &mut self.imported.counts,
            RuleKind::Sum => &mut self.imported.sums,
            RuleKind::Unique => &mut self.imported.uniques,
            RuleKind::PerValue => &mut self.imported.per_value,
        };
        *counter += 1;
        self.held_bytes += match &amount {
            Arrived::Count(_) | Arrived::Sum(_) => size_of::<ArrivedCell>(),
            Arrived::Unique(string) => string.len(),
            Arrived::PerValue(values) => {
                values.iter().map(|(value, _)| value.len() + size_of::<(String, u64)>()).sum()
            }
        };
        if self.held_bytes > MAX_HELD_BYTES {
            return Err(Error::new(
                ErrorKind::Redis,
                format!(
                    "its keys hold more than {MAX_HELD_BYTES} bytes, which this import takes at the most; this is no small install"
                ),
            ));
        }
        self.cells.insert((place.rule, place.frame), amount);
        Ok(())
    }

    /// Puts it all into the store.
    fn finish(mut self) -> Result<RedisImported, Error> {
        let (_, series) = self.store.rules();
        let cells = std::mem::take(&mut self.cells).into_iter();
        let cells = cells.filter_map(|((rule, frame), amount)| {
            series.get(rule).map(|series| ArrivedCell { series: *series, frame, amount })
        });
        let arrival = Arrival { until: self.until, cells: cells.collect(), recorded: series.to_vec() };
        self.imported.unknown.sort();
        if !arrival.cells.is_empty() {
            self.store.arrive(arrival)?;
        }
        let counted = self.store.reader().ledger()?.stored.saturating_sub(self.stored);
        if self.until.is_some() && counted > 0 {
            self.imported.doubts.push(format!("{counted} events were counted here while Redis was read, and may be missing from what came; import again while nobody counts"));
        }
        Ok(self.imported)
    }
}
