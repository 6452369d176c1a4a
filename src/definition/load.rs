//! Loading definitions: a folder, a file, or texts inside the program; with the checks across files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::definition::Definitions;
use crate::definition::check::{RulePart, undeclared};
use crate::definition::nearest::hint;
use crate::definition::problems::{Place, Position, Problems};
use crate::definition::read::metric::ReadMetric;
use crate::definition::read::rule::RulePlaces;
use crate::definition::read::{Read, read};
use crate::definition::rule::Rule;
use crate::definition::words::MetricStatus;
use crate::definition::yaml::MAX_FILE_BYTES;
use crate::error::{Error, ErrorKind, Problem};

/// Most definition files below one folder.
const MAX_FILES: usize = 10_000;
/// Most entries of all kinds below one folder: a mistyped path must not read a whole disk.
const MAX_ENTRIES: usize = 250_000;
/// Deepest folder below the one that was named.
const MAX_FOLDER_DEPTH: usize = 32;
/// Most bytes of all files together.
const MAX_TOTAL_BYTES: usize = 128 << 20;
/// Most unknown event names for which the nearest known one is sought.
const MAX_HINTS: usize = 200;

/// What [`Definitions::check`] found.
///
/// ```no_run
/// let checked = headcount::Definitions::check("config")?;
/// for problem in checked.problems() {
///     eprintln!("{problem}");
/// }
/// assert!(checked.definitions().is_some(), "the definitions have errors");
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Checked {
    problems: Vec<Problem>,
    definitions: Option<Definitions>,
}

impl Checked {
    /// Every problem, errors and warnings, sorted by file and place.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The definitions, if no problem is an error.
    #[must_use]
    pub fn definitions(&self) -> Option<&Definitions> {
        self.definitions.as_ref()
    }

    /// The definitions, if no problem is an error.
    #[must_use]
    pub fn into_definitions(self) -> Option<Definitions> {
        self.definitions
    }
}

impl Definitions {
    /// Loads every `*.yml` and `*.yaml` below a folder, or one file.
    ///
    /// A file is an event if it has `action`, and a metric if it has `key_path`. Names that begin with a dot are skipped, links are
    /// followed, each folder is read once. A file has at most 1 MiB, a folder at most 10,000 files. What differs from GitLab's schema
    /// without being wrong is in [`Definitions::warnings`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] if there is nothing at the path or a definition cannot mean anything; [`Error::problems`] lists
    /// all errors of all files, each with its place.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let mut loading = Loading::default();
        loading.path(path.as_ref())?;
        let (definitions, problems) = loading.finish();
        let warnings = problems.into_warnings()?;
        Ok(Self { warnings, ..definitions })
    }

    /// Loads definitions that the program carries: pairs of a file name, for messages, and the YAML.
    ///
    /// ```
    /// let definitions = headcount::Definitions::embedded(&[(
    ///     "events/issue_created.yml",
    ///     "action: issue_created\nidentifiers: [user]\n", // or include_str!(..)
    /// )])?;
    /// assert!(definitions.find_event("issue_created").is_some());
    /// # Ok::<(), headcount::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Definitions::load`].
    pub fn embedded(files: &[(&str, &str)]) -> Result<Self, Error> {
        let mut loading = Loading::default();
        for (name, text) in files {
            loading.text(&Arc::from(*name), text.as_bytes());
        }
        let (definitions, problems) = loading.finish();
        let warnings = problems.into_warnings()?;
        Ok(Self { warnings, ..definitions })
    }

    /// Finds everything that is wrong with the definitions at a path, and everything that differs from GitLab's schema.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] if there is nothing to check at the path. Wrong definitions are no error of this function.
    pub fn check(path: impl AsRef<Path>) -> Result<Checked, Error> {
        let mut loading = Loading::default();
        loading.path(path.as_ref())?;
        let (definitions, problems) = loading.finish();
        let sound = !problems.has_errors();
        let problems = problems.into_sorted();
        let definitions = sound.then(|| Self { warnings: problems.clone(), ..definitions });
        Ok(Checked { problems, definitions })
    }
}

#[derive(Default)]
struct Loading {
    definitions: Definitions,
    problems: Problems,
    metrics: Vec<ReadMetric>,
    /// Events whose definition has errors, so that what they declare is not known.
    unsound: BTreeSet<String>,
    total_bytes: usize,
    hints: usize,
}

impl Loading {
    fn path(&mut self, path: &Path) -> Result<(), Error> {
        let missing = |source: std::io::Error| {
            let message = format!("no definitions can be read at {}: {source}", path.display());
            Error::new(ErrorKind::Definitions, message).with_source(source)
        };
        let kind = fs::metadata(path).map_err(missing)?;
        if !kind.is_dir() {
            self.file(path);
            return Ok(());
        }
        let files = Walk::new(&mut self.problems).files(path)?;
        if files.is_empty() && !self.problems.has_errors() {
            let message = format!("there is no *.yml or *.yaml below {}", path.display());
            return Err(Error::new(ErrorKind::Definitions, message));
        }
        for file in files {
            self.file(&file);
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) {
        let name: Arc<str> = Arc::from(path.to_string_lossy());
        match bytes_of(path) {
            Ok(bytes) => self.text(&name, &bytes),
            Err(reason) => self.whole_file(&name, reason),
        }
    }

    fn whole_file(&mut self, name: &Arc<str>, reason: String) {
        let place = Place { file: Arc::clone(name), at: Position::default() };
        self.problems.error(&place, reason);
    }

    fn text(&mut self, name: &Arc<str>, bytes: &[u8]) {
        self.total_bytes = self.total_bytes.saturating_add(bytes.len());
        if bytes.len() > MAX_FILE_BYTES {
            return self.whole_file(name, format!("the file has more than {MAX_FILE_BYTES} bytes; split it"));
        }
        if self.total_bytes > MAX_TOTAL_BYTES {
            let message = format!("the files up to this one have more than {MAX_TOTAL_BYTES} bytes together");
            return self.whole_file(name, message);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = end_of(bytes.get(..error.valid_up_to()).unwrap_or_default());
                let place = Place { file: Arc::clone(name), at };
                self.problems
                    .error(&place, "the file is not UTF-8 from here on; save it as UTF-8".to_owned());
                return;
            }
        };
        match read(name, text, &mut self.problems) {
            Some(Read::Event { event, place, sound }) => {
                if !sound {
                    self.unsound.insert(event.action().to_owned());
                }
                self.definitions.insert_event(*event, place, &mut self.problems);
            }
            Some(Read::Metric(metric)) => {
                for definition in &metric.metrics {
                    let place = metric.place.clone();
                    self.definitions.insert_metric(definition.clone(), place, &mut self.problems);
                }
                self.metrics.push(*metric);
            }
            None => {}
        }
    }

    /// Checks the files against each other.
    fn finish(mut self) -> (Definitions, Problems) {
        for metric in std::mem::take(&mut self.metrics) {
            let Some(definition) = metric.metrics.first() else { continue };
            if definition.status() == MetricStatus::Removed {
                continue;
            }
            for (rule, places) in definition.rules().iter().zip(&metric.rule_places) {
                self.check_rule(rule, places, &metric);
            }
        }
        self.check_nesting();
        (self.definitions, self.problems)
    }

    fn check_rule(&mut self, rule: &Rule, places: &RulePlaces, metric: &ReadMetric) {
        let place = |at: Position| Place { file: Arc::clone(&metric.place.file), at };
        let Some(event) = self.definitions.find_event(rule.event()) else {
            self.hints += 1;
            let hint = match self.hints {
                ..=MAX_HINTS => hint(rule.event(), self.definitions.events().map(|event| event.action())),
                _ => String::new(),
            };
            let message = format!("no definition here declares the event `{}`{hint}", rule.event());
            return self.problems.warning(&place(places.name), message);
        };
        if event.is_removed() {
            let message = format!("the event `{}` is removed, but this metric is not", rule.event());
            self.problems.warning(&place(places.name), message);
        }
        if self.unsound.contains(event.action()) {
            return;
        }
        for (part, message) in undeclared(rule, event) {
            let at = match part {
                RulePart::Unique => places.unique,
                RulePart::Operator => places.operator,
                RulePart::Filter(key) => {
                    places.filters.iter().find(|(known, _)| known == key).map_or(places.name, |(_, at)| *at)
                }
            };
            if metric.is_legacy {
                self.problems.warning(&place(at), message);
            } else {
                self.problems.error(&place(at), message);
            }
        }
    }

    /// A value cannot stand where another metric needs an object around its own.
    fn check_nesting(&mut self) {
        let metrics = &self.definitions.metrics;
        for (key_path, entry) in metrics {
            let inner = format!("{key_path}.");
            let below = metrics.range(inner.clone()..).next().filter(|(other, _)| other.starts_with(&inner));
            if let Some((other, _)) = below {
                let message = format!(
                    "`{key_path}` is a value and also the beginning of the key path `{other}`; one report cannot hold both"
                );
                self.problems.warning(&entry.place, message);
            }
        }
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("the file cannot be read: {error}");
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("this is not a regular file; remove it".to_owned());
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The place behind a valid beginning of a file.
fn end_of(bytes: &[u8]) -> Position {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let last = text.rsplit('\n').next().unwrap_or_default();
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position {
        line: narrow(text.split('\n').count()),
        column: narrow(last.chars().count().saturating_add(1)),
    }
}

/// The definition files below a folder.
struct Walk<'a> {
    problems: &'a mut Problems,
    files: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    entries: usize,
}

impl<'a> Walk<'a> {
    fn new(problems: &'a mut Problems) -> Self {
        Self { problems, files: Vec::new(), seen: BTreeSet::new(), entries: 0 }
    }

    /// The files in the order of their paths.
    fn files(mut self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        self.folder(folder, 0)?;
        self.files.sort();
        Ok(self.files)
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), Error> {
        if depth > MAX_FOLDER_DEPTH {
            self.unreadable(folder, format!("folders are nested deeper than {MAX_FOLDER_DEPTH}"));
            return Ok(());
        }
        let entries = fs::canonicalize(folder)
            .map(|real| self.seen.insert(real))
            .and_then(|is_new| if is_new { fs::read_dir(folder).map(Some) } else { Ok(None) });
        let entries = match entries {
            Ok(Some(entries)) => entries,
            // A link to a folder that is read already, perhaps one that this folder is in.
            Ok(None) => return Ok(()),
            Err(error) => {
                self.unreadable(folder, format!("the folder cannot be read: {error}"));
                return Ok(());
            }
        };
        // Sorted, so that of two ways to one folder the same one is always taken.
        let mut paths = BTreeMap::new();
        for entry in entries {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(too_many(folder, format!("more than {MAX_ENTRIES} files and folders")));
            }
            match entry {
                Ok(entry) => drop(paths.insert(entry.file_name(), entry.path())),
                Err(error) => self.unreadable(folder, format!("the folder cannot be read: {error}")),
            }
        }
        for (name, path) in paths {
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let extension = path.extension().map(std::ffi::OsStr::as_encoded_bytes);
            let is_yaml = matches!(extension, Some(b"yml" | b"yaml"));
            match fs::metadata(&path) {
                Ok(kind) if kind.is_dir() => self.folder(&path, depth + 1)?,
                Ok(_) if is_yaml => {
                    if self.files.len() == MAX_FILES {
                        return Err(too_many(folder, format!("more than {MAX_FILES} definition files")));
                    }
                    self.files.push(path);
                }
                Err(error) if is_yaml => self.unreadable(&path, format!("the file cannot be read: {error}")),
                _ => {}
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, path: &Path, reason: String) {
        let place = Place { file: Arc::from(path.to_string_lossy()), at: Position::default() };
        self.problems.error(&place, reason);
    }
}

fn too_many(folder: &Path, what: String) -> Error {
    let message = format!("{what}, counted up to {}; name the folder of the definitions", folder.display());
    Error::new(ErrorKind::Definitions, message)
}
