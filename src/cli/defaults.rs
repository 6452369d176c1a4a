//! What a host program changes when it mounts the command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Definitions, Ping};

/// The names and places that the command line starts from; a host program that mounts it sets its own.
///
/// ```
/// use headcount::Definitions;
/// use headcount::cli::Defaults;
///
/// # fn main() -> Result<(), headcount::Error> {
/// // `acme usage query ...`, with ACME_USAGE_STORE, and definitions that the program carries.
/// let defaults = Defaults::new()
///     .program("acme usage")
///     .env_prefix("ACME_USAGE")
///     .store("/var/lib/acme/usage.db")
///     .definitions(Definitions::embedded(&[("events/a.yml", "action: issue_created\n")])?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
#[must_use = "defaults do nothing until the command line runs with them"]
pub struct Defaults {
    program: String,
    env_prefix: String,
    store: PathBuf,
    definitions: Option<Definitions>,
    ping: Option<Arc<ExtendPing>>,
}

type ExtendPing = dyn Fn(Ping) -> Ping + Send + Sync;

impl fmt::Debug for Defaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Defaults")
            .field("program", &self.program)
            .field("env_prefix", &self.env_prefix)
            .field("store", &self.store)
            .field("definitions", &self.definitions)
            .finish_non_exhaustive()
    }
}

impl Defaults {
    /// Those of the `headcount` binary: its name, `HEADCOUNT_STORE` and `HEADCOUNT_DEFINITIONS`, the store `headcount.db`, and no
    /// definitions.
    pub fn new() -> Self {
        Self {
            program: "headcount".to_owned(),
            env_prefix: "HEADCOUNT".to_owned(),
            store: PathBuf::from("headcount.db"),
            definitions: None,
            ping: None,
        }
    }

    /// What people type to get here, as help and hints show it. Default: `headcount`.
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// What the names of the environment variables begin with, before `_STORE` and `_DEFINITIONS`. Default: `HEADCOUNT`.
    pub fn env_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.env_prefix = prefix.into();
        self
    }

    /// The store when neither `--store` nor the environment names one. Default: `headcount.db`.
    pub fn store(mut self, path: impl AsRef<Path>) -> Self {
        self.store = path.as_ref().to_owned();
        self
    }

    /// The definitions when neither `--definitions` nor the environment names some. Default: those kept in the store.
    pub fn definitions(mut self, definitions: Definitions) -> Self {
        self.definitions = Some(definitions);
        self
    }

    /// What the program adds to its pings: sources, its version, how it was installed. Default: nothing.
    ///
    /// ```
    /// use headcount::Sources;
    /// use headcount::cli::Defaults;
    ///
    /// let sources = Sources::new().class("CountUsersMetric", |_| Ok(17.into()));
    /// let defaults = Defaults::new().ping(move |ping| ping.sources(sources.clone()).version("1.4.0"));
    /// # let _ = defaults;
    /// ```
    pub fn ping(mut self, extend: impl Fn(Ping) -> Ping + Send + Sync + 'static) -> Self {
        self.ping = Some(Arc::new(extend));
        self
    }

    pub(super) fn extend_ping(&self, ping: Ping) -> Ping {
        match &self.ping {
            Some(extend) => extend(ping),
            None => ping,
        }
    }

    pub(super) fn program_name(&self) -> &str {
        &self.program
    }

    pub(super) fn variable(&self, name: &str) -> String {
        format!("{}_{name}", self.env_prefix)
    }

    pub(super) fn store_path(&self) -> &Path {
        &self.store
    }

    pub(super) fn into_definitions(self) -> Option<Definitions> {
        self.definitions
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self::new()
    }
}
