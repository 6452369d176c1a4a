//! Bundles: pings in one file that a person carries out of an installation without a network, and that anyone can verify.

mod canonical;
mod form;
mod lines;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::definition::Definitions;
use crate::error::{Error, ErrorKind, plain};
use crate::ping::Ping;
use crate::ping::beside::{self, MetricReport};
use crate::ping::bundle::canonical::canonical;
use crate::ping::bundle::form::{Claim, Content, Entry};
use crate::ping::history::all_kept;
use crate::report::backup::Unfinished;
use crate::storage::ping::{DeliveryOutcome, KeptPing, KeptWeek, PingDigest};
use crate::storage::sqlite;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// The largest bundle that is written or read, in bytes.
pub const MAX_BUNDLE_BYTES: u64 = 256 * 1024 * 1024;

/// Which of the kept pings are carried out.
///
/// ```
/// use headcount::{IsoWeek, PingWeeks};
///
/// let weeks = PingWeeks::These(vec![IsoWeek::parse("2026-W46")?, IsoWeek::parse("2026-W47")?]);
/// assert_ne!(weeks, PingWeeks::Unsent);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PingWeeks {
    /// All that were neither sent nor carried out before.
    #[default]
    Unsent,
    /// Those of these weeks, whatever became of them.
    These(Vec<IsoWeek>),
}

/// Pings of one installation in one readable JSON file, which says by SHA-256 what it must hold.
///
/// A bundle has, for each week, the document exactly as it was kept and what is known of each metric; then the definitions that the
/// store keeps; then a manifest with the size and the digest of each part, and the digest of every line before its own. There are no
/// sketches in it. Digests find damage; they do not prove who wrote a bundle, since whoever changes it can make them anew.
///
/// The digest of a part is that of its JSON written with keys in their order, two spaces a level, numbers as they stand, and a newline
/// at the end.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{Bundle, Definitions, EventDefinition, PingWeeks, Store};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("pings.json");
/// let definitions = Definitions::new().event(EventDefinition::new("issue_created"))?;
/// let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let kept = store.ping().generate()?;
/// store.ping().export(&PingWeeks::Unsent, &path)?;
///
/// // On another machine, without a store:
/// let bundle = Bundle::read(&path)?;
/// assert_eq!(bundle.pings[0].document, kept.document);
/// assert_eq!(bundle.pings[0].digest, kept.digest);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bundle {
    /// When it was made, by the clock of the store.
    pub made_at: Timestamp,
    /// The uuid of the installation.
    pub uuid: String,
    /// The pings, by week; at least one.
    pub pings: Vec<BundledPing>,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of every line before the one that has it.
    pub digest: PingDigest,
    definitions: String,
}

/// A ping as a bundle has it.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, PingWeeks, Store};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("pings.json");
/// # let definitions = Definitions::new().event(EventDefinition::new("issue_created"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// # store.ping().generate()?;
/// for ping in store.ping().export(&PingWeeks::Unsent, &path)?.pings {
///     println!("{}: {} bytes, SHA-256 {}", ping.week, ping.document.len(), ping.digest);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BundledPing {
    /// The week in which it was due, or made.
    pub week: IsoWeek,
    /// The document, byte for byte as it was kept.
    pub document: String,
    /// SHA-256 of the document.
    pub digest: PingDigest,
    /// What is known of each metric, as JSON; without messages, unless they were asked for.
    pub beside: String,
}

impl BundledPing {
    /// What became of each metric.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Bundle`] when what is beside the document is of another shape.
    pub fn metrics(&self) -> Result<Vec<MetricReport>, Error> {
        beside::metrics(&self.beside)
            .map_err(|error| Error::new(ErrorKind::Bundle, format!("the ping of {}: {error}", self.week)))
    }
}

impl Ping {
    /// Writes kept pings into one new file that can be carried out by hand, and reads it back. What is kept of them does not change:
    /// nobody here knows whether they arrive; [`Ping::mark_carried`] is for who does.
    ///
    /// Of a metric without a value it says why in one word. The words of the sources, which may name paths, servers and values, stay in the store:
    /// see [`Ping::export_with_messages`].
    ///
    /// The file is readable by its owner only; it is synced before it gets its name, and where anything fails there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotKept`] for weeks of which no ping is kept, and when there is none to carry out; [`ErrorKind::StoreDamaged`] for a
    /// document that is not what its digest says; [`ErrorKind::Usage`] when there is something at `path` already, and for more than
    /// [`MAX_BUNDLE_BYTES`]; [`ErrorKind::ReadOnly`], [`ErrorKind::StoreFull`] and [`ErrorKind::Io`].
    pub fn export(&self, weeks: &PingWeeks, path: impl AsRef<Path>) -> Result<Bundle, Error> {
        self.export_beside(weeks, path.as_ref(), beside::without_messages)
    }

    /// As [`Ping::export`], with what sources said in their own words where they failed.
    ///
    /// # Errors
    ///
    /// As [`Ping::export`].
    pub fn export_with_messages(&self, weeks: &PingWeeks, path: impl AsRef<Path>) -> Result<Bundle, Error> {
        self.export_beside(weeks, path.as_ref(), |beside| Ok(beside.to_owned()))
    }

    fn export_beside(
        &self,
        weeks: &PingWeeks,
        path: &Path,
        beside: impl Fn(&str) -> Result<String, Error>,
    ) -> Result<Bundle, Error> {
        let unfinished = Unfinished::beside(path)?;
        let content = self.content(self.chosen(weeks)?, beside)?;
        let mut text = String::new();
        content.write(&content.manifest(), &mut |piece| text.push_str(piece));
        let limit = usize::try_from(MAX_BUNDLE_BYTES).unwrap_or(usize::MAX);
        if text.len() > limit {
            let what = format!(
                "{}: these pings take {} bytes, and a bundle has at most {MAX_BUNDLE_BYTES}; export fewer weeks",
                path.display(),
                text.len()
            );
            return Err(Error::new(ErrorKind::Usage, what));
        }
        let bundle = Bundle::of_text(&text).map_err(|fault| damaged(path, fault))?;
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished.path());
        written
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(|error| sqlite::io("writing the bundle", path, &error))?;
        sqlite::link_into_place(unfinished.path(), path)?;
        Ok(bundle)
    }

    fn chosen(&self, weeks: &PingWeeks) -> Result<Vec<KeptPing>, Error> {
        let kept = self.weeks()?;
        let chosen: Vec<IsoWeek> = match weeks {
            PingWeeks::Unsent => {
                use DeliveryOutcome::{Kept, Refused, Waiting};
                let is_unsent = |kept: &&KeptWeek| matches!(kept.delivery.outcome, Kept | Waiting | Refused);
                kept.iter().filter(is_unsent).map(|kept| kept.week).collect()
            }
            PingWeeks::These(weeks) => {
                all_kept(weeks, &kept)?;
                kept.iter().map(|kept| kept.week).filter(|week| weeks.contains(week)).collect()
            }
        };
        let pings = chosen.into_iter().filter_map(|week| self.kept(week).transpose());
        let pings = pings.collect::<Result<Vec<_>, _>>()?;
        if pings.is_empty() {
            let what = "no ping is waiting to be carried out; make one, or name the weeks";
            return Err(Error::new(ErrorKind::NotKept, what));
        }
        Ok(pings)
    }

    fn content(
        &self,
        pings: Vec<KeptPing>,
        beside: impl Fn(&str) -> Result<String, Error>,
    ) -> Result<Content, Error> {
        let entry = |ping: KeptPing| {
            let damaged = |fault: String| {
                let what = format!(
                    "the ping of {0} is damaged: {fault}; restore a backup, or have it forgotten (`ping forget {0}`)",
                    ping.week
                );
                Error::new(ErrorKind::StoreDamaged, what)
            };
            if !ping.is_intact() {
                return Err(damaged("its document has not the digest that it was kept with".to_owned()));
            }
            // What a receiver gets who reads the bundle with any reader of JSON and writes the document in its form.
            if canonical(&ping.document).map_err(damaged)? != ping.document {
                return Err(damaged("its document is not in its own form".to_owned()));
            }
            let beside = beside(&ping.beside).map_err(|error| error.context(ping.week))?;
            let beside = canonical(&beside).map_err(damaged)?;
            Ok(Entry { week: ping.week, document: ping.document, beside })
        };
        let kept = self.reader.read(|snapshot| snapshot.definitions())?;
        let definitions = kept.map_or_else(|| "{}".to_owned(), |(definitions, _)| definitions);
        let definitions = canonical(&definitions).map_err(|fault| {
            let what = format!("the definitions in the store are damaged: {fault}; restore a backup");
            Error::new(ErrorKind::StoreDamaged, what)
        })?;
        Ok(Content {
            made_at: self.reader.clock_now(),
            uuid: self.uuid()?,
            pings: pings.into_iter().map(entry).collect::<Result<_, _>>()?,
            definitions,
        })
    }
}

impl Bundle {
    /// Reads a bundle and verifies every byte of it: each part and the whole must have their digests, and nothing may be written in
    /// another way than [`Ping::export`] writes it. Needs no store and no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Bundle`] for anything else, with the part that is damaged; [`ErrorKind::Io`] when the file cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let unread = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("{}: it cannot be read: {}", path.display(), plain(&error)))
        };
        let file = std::fs::File::open(path).map_err(unread)?;
        if file.metadata().map_err(unread)?.len() > MAX_BUNDLE_BYTES {
            return Err(damaged(path, too_large()));
        }
        let mut bytes = Vec::new();
        // What is no plain file may have more than it says.
        file.take(MAX_BUNDLE_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
        Self::of_bytes(&bytes).map_err(|fault| damaged(path, fault))
    }

    /// As [`Bundle::read`], for the content of a file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Bundle`] for anything but a whole bundle.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::of_bytes(bytes).map_err(|fault| damaged(Path::new("the bundle"), fault))
    }

    /// The definitions that the store kept when the bundle was made.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] when there were none, and when they are of another version.
    pub fn definitions(&self) -> Result<Definitions, Error> {
        Definitions::from_json(&self.definitions)
    }

    fn of_bytes(bytes: &[u8]) -> Result<Self, String> {
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BUNDLE_BYTES) {
            return Err(too_large());
        }
        let text = std::str::from_utf8(bytes).map_err(|error| format!("it is no text: {error}"))?;
        Self::of_text(text)
    }

    fn of_text(text: &str) -> Result<Self, String> {
        let (content, claims) = lines::read(text)?;
        let manifest = content.manifest();
        hold(&manifest, &claims)?;
        for (name, part) in content.parts() {
            if canonical(part).map_err(|fault| format!("{name}: {fault}"))? != part {
                return Err(format!("{name}: it is not in the form that a bundle has it in"));
            }
        }
        let mut rest = Some(text);
        let digest =
            content.write(&manifest, &mut |piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)));
        match rest {
            Some("") => {}
            Some(_) => return Err("there is something behind its end".to_owned()),
            None => return Err("its digest of the whole, or the way it is written, is wrong".to_owned()),
        }
        let Content { made_at, uuid, pings, definitions } = content;
        let ping = |Entry { week, document, beside }| {
            let digest = PingDigest::of(document.as_bytes());
            BundledPing { week, document, digest, beside }
        };
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(Self { made_at, uuid, pings: pings.into_iter().map(ping).collect(), bytes, digest, definitions })
    }
}

/// Whether a manifest claims what the parts are.
fn hold(manifest: &[Claim], claims: &[Claim]) -> Result<(), String> {
    for (is, claimed) in manifest.iter().zip(claims) {
        if is.part != claimed.part {
            return Err(format!("the manifest has `{}` where `{}` must be", claimed.part, is.part));
        }
        if is != claimed {
            return Err(format!(
                "{}: it has {} bytes with the SHA-256 {}, and the manifest claims {} with {}",
                is.part, is.bytes, is.digest, claimed.bytes, claimed.digest
            ));
        }
    }
    match manifest.len() == claims.len() {
        true => Ok(()),
        false => Err(format!("it has {} parts, and its manifest {}", manifest.len(), claims.len())),
    }
}

#[cold]
fn too_large() -> String {
    format!("it is larger than {MAX_BUNDLE_BYTES} bytes")
}

#[cold]
fn damaged(path: &Path, fault: String) -> Error {
    let what = format!(
        "{}: this is no bundle as it was exported: {fault}; copy it again from where it was made, or export again",
        path.display()
    );
    Error::new(ErrorKind::Bundle, what)
}
