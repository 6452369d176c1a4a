//! Loading definitions: a folder, a file, or texts inside the program; with the checks across files.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use crate::definition::Definitions;
use crate::definition::check::{RulePart, undeclared};
use crate::definition::nearest::hint;
use crate::definition::problems::{Place, Position, Problems};
use crate::definition::read::metric::ReadMetric;
use crate::definition::read::rule::RulePlaces;
use crate::definition::read::{Level, Read, read};
use crate::definition::rule::Rule;
use crate::definition::walk::Walk;
use crate::definition::words::MetricStatus;
use crate::definition::yaml::MAX_FILE_BYTES;
use crate::error::{Error, ErrorKind, Problem, plain};

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
    files: usize,
}

impl Checked {
    /// Every problem, errors and warnings, sorted by file and place.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many files were found, those that cannot be read included.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files
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
        Self::check_at(path.as_ref(), Level::Usual)
    }

    /// [`Definitions::check`], with a warning also for everything that GitLab's JSON schemas refuse and that works here.
    ///
    /// Among it are keys that begin with `x-`, keys without a value, other identifiers than GitLab's, `operator: total`, and URLs
    /// that are none. Not compared are the names of groups and categories: those lists are GitLab's own. Key paths that GitLab
    /// exempts from a rule of its schemas are held to it.
    ///
    /// # Errors
    ///
    /// As [`Definitions::check`].
    pub fn check_strict(path: impl AsRef<Path>) -> Result<Checked, Error> {
        Self::check_at(path.as_ref(), Level::Strict)
    }

    fn check_at(path: &Path, level: Level) -> Result<Checked, Error> {
        let mut loading = Loading { level, ..Loading::default() };
        loading.path(path)?;
        let files = loading.files;
        let (definitions, problems) = loading.finish();
        let sound = !problems.has_errors();
        let problems = problems.into_sorted();
        let definitions = sound.then(|| Self { warnings: problems.clone(), ..definitions });
        Ok(Checked { problems, definitions, files })
    }
}

#[derive(Default)]
struct Loading {
    definitions: Definitions,
    problems: Problems,
    metrics: Vec<ReadMetric>,
    /// Events whose definition has errors, so that what they declare is not known.
    unsound: BTreeSet<String>,
    level: Level,
    files: usize,
    total_bytes: usize,
    hints: usize,
}

impl Loading {
    fn path(&mut self, path: &Path) -> Result<(), Error> {
        let missing = |source: io::Error| {
            let message = match source.kind() {
                io::ErrorKind::NotFound => {
                    format!("there is nothing at {}; name the folder of the definitions", path.display())
                }
                _ => format!("no definitions can be read at {}: {source}", path.display()),
            };
            Error::new(ErrorKind::Definitions, message).with_source(source)
        };
        let kind = fs::metadata(path).map_err(missing)?;
        if !kind.is_dir() {
            self.file(path);
            return Ok(());
        }
        let files = Walk::new(&mut self.problems).files(path)?;
        if files.is_empty() && !self.problems.has_errors() {
            let message = format!(
                "there is no *.yml or *.yaml below {}; name the folder of the definitions",
                path.display()
            );
            return Err(Error::new(ErrorKind::Definitions, message));
        }
        for file in files {
            self.file(&file);
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) {
        self.files += 1;
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
        if let Some(reason) = not_text(bytes) {
            return self.whole_file(name, reason.to_owned());
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
        match read(name, text, self.level, &mut self.problems) {
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
    let unreadable = |error: io::Error| format!("the file cannot be read: {}", plain(&error));
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("this is not a regular file; remove it".to_owned());
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Why bytes are no text at all, if so. YAML forbids NUL.
fn not_text(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some("the file is UTF-16; save it as UTF-8");
    }
    bytes.contains(&0).then_some("the file is binary, not YAML; remove it, or name another file")
}

/// The place behind a valid beginning of a file.
fn end_of(bytes: &[u8]) -> Position {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let last = text.rsplit('\n').next().unwrap_or_default();
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position {
        line: narrow(text.split('\n').count()),
        column: narrow(last.chars().count().saturating_add(1)),
        width: 0,
    }
}
