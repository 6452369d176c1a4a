//! The ping: every metric in one document, built from its sources, kept for each week, and carried out on request.

pub(crate) mod beside;
pub(crate) mod build;
pub(crate) mod bundle;
pub(crate) mod difference;
pub(crate) mod environment;
pub(crate) mod history;
pub(crate) mod schedule;
pub(crate) mod source;
pub(crate) mod sources;
pub(crate) mod thread;
#[cfg(feature = "upload")]
pub(crate) mod upload;
pub(crate) mod value;
pub(crate) mod weekly;

mod asking;
mod document;
mod found;
mod numbers;
mod system;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::ping::beside::{Beside, MetricReport};
use crate::ping::build::{Building, Built, Failures, PingLimits};
use crate::ping::schedule::PingSchedule;
use crate::ping::source::Sources;
use crate::ping::system::Program;
use crate::ping::value::PingValue;
use crate::report::reader::Reader;
use crate::storage::Commit;
use crate::storage::ping::{Agreement, Consent, Delivery, KeptPing, PingDigest, PingStep};
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// Writes what is kept of pings.
pub(crate) trait PingKeeper: Send + Sync {
    fn commit(&self, step: PingStep) -> Result<Commit, Error>;
}

/// The ping of a store: builds the document of all active metrics, keeps one for each week, and says what became of it.
///
/// Values come from the events of the store, from [`Sources`], and from what the crate knows itself: uuid, host name, versions. A
/// metric that nothing here can answer for is left out and listed; it is never 0. A metric that fails, or takes longer than its
/// limit, holds up no other.
///
/// Building blocks, for as long as the sources take; do it on a thread that may. Nothing of this opens a connection to anywhere but what
/// sources open themselves; sending is apart.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{DataSource, Definitions, EventDefinition, MetricDefinition, Rule, Sources, Store, TimeFrame, ValueType};
///
/// let definitions = Definitions::new()
///     .event(EventDefinition::new("issue_created"))?
///     .metric(MetricDefinition::new("counts.issues", TimeFrame::All).rule(Rule::count("issue_created")))?
///     .metric(
///         MetricDefinition::new("settings.theme", TimeFrame::None).source(DataSource::System).value(ValueType::String),
///     )?;
/// let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let ping = store.ping().sources(Sources::new().key_path("settings.theme", |_| Ok("dark".into())));
/// let report = ping.build()?;
/// assert!(report.document.contains(r#""theme": "dark""#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ping {
    reader: Reader,
    keeper: Option<Arc<dyn PingKeeper>>,
    sources: Sources,
    program: Program,
    facts: BTreeMap<String, PingValue>,
    limits: PingLimits,
    failures: Failures,
}

/// A ping that was built: the document, and what stands beside it.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let report = store.ping().build()?;
/// assert!(report.document.starts_with('{') && !report.is_partial);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PingReport {
    /// When the values were begun to be computed.
    pub recorded_at: Timestamp,
    /// The document, byte for byte as it would leave.
    pub document: String,
    /// Every metric that is not removed, and each removed one that keeps out what would stand there without it, by key path.
    pub metrics: Vec<MetricReport>,
    /// Whether a metric that has a source is without its value.
    pub is_partial: bool,
    /// The time that the metrics of events took, which are read together; nothing if there are none.
    pub events_duration: Option<Duration>,
    beside: String,
}

impl std::fmt::Debug for Ping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ping")
            .field("sources", &self.sources)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Ping {
    /// The ping of a store that is only read: it can be built and looked at, not kept.
    #[must_use]
    pub fn of(reader: &Reader) -> Self {
        Self {
            reader: reader.clone(),
            keeper: None,
            sources: Sources::new(),
            program: Program::default(),
            facts: BTreeMap::new(),
            limits: PingLimits::default(),
            failures: Failures::default(),
        }
    }

    pub(crate) fn kept_by(reader: &Reader, keeper: Arc<dyn PingKeeper>) -> Self {
        Self { keeper: Some(keeper), ..Self::of(reader) }
    }

    /// Takes values from these sources, and from none that were given before.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// Takes values from further sources, besides those that were given before.
    #[must_use]
    pub fn with_sources(mut self, extend: impl FnOnce(Sources) -> Sources) -> Self {
        self.sources = extend(self.sources);
        self
    }

    /// Says which version of the program this is: `version` of the document.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.program.version = Some(version.into());
        self
    }

    /// Says how the program was installed: `installation_type` of the document.
    #[must_use]
    pub fn installation_type(mut self, installation_type: impl Into<String>) -> Self {
        self.program.installation_type = Some(installation_type.into());
        self
    }

    /// Puts a value at a place where no definition has one, as `edition`; in place of what the crate would put there.
    #[must_use]
    pub fn fact(mut self, key_path: impl Into<String>, value: impl Into<PingValue>) -> Self {
        self.facts.insert(key_path.into(), value.into());
        self
    }

    /// Sets how long a metric, and all of them, may take.
    #[must_use]
    pub fn limits(mut self, limits: PingLimits) -> Self {
        self.limits = limits.held();
        self
    }

    /// Chooses what stands in the document for a metric that failed.
    #[must_use]
    pub fn failures(mut self, failures: Failures) -> Self {
        self.failures = failures;
        self
    }

    /// Builds the document as of now, and keeps nothing: a preview. Of two builds at one moment with sources that say the same the
    /// bytes are the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] when there are none; [`ErrorKind::Usage`] for a fact that has no place; the errors of reading the
    /// store. What keeps one metric from its value is in the report.
    pub fn build(&self) -> Result<PingReport, Error> {
        self.build_telling(&mut |_, _, _| {})
    }

    /// As [`Ping::build`]; `told` hears before each metric from a source how many of them are done, how many there are, and its key
    /// path.
    ///
    /// # Errors
    ///
    /// As [`Ping::build`].
    pub fn build_telling(&self, told: &mut dyn FnMut(usize, usize, &str)) -> Result<PingReport, Error> {
        self.report(self.reader.clock_now(), None, told)
    }

    /// As [`Ping::build_telling`], with the values that events had at an instant. What no event counts is as it is now.
    ///
    /// # Errors
    ///
    /// As [`Ping::build`].
    pub fn build_as_of(
        &self,
        instant: Timestamp,
        told: &mut dyn FnMut(usize, usize, &str),
    ) -> Result<PingReport, Error> {
        self.report(instant, Some(instant), told)
    }

    fn report(
        &self,
        weeks_before: Timestamp,
        as_of: Option<Timestamp>,
        told: &mut dyn FnMut(usize, usize, &str),
    ) -> Result<PingReport, Error> {
        let consent = self.consent()?;
        let built = self.building(&consent, weeks_before, as_of).build(told)?;
        let is_partial = built.is_partial();
        let Built { document, metrics, recorded_at, finished_at, duration, events_duration } = built;
        let beside =
            Beside { recorded_at, finished_at, is_partial, duration, events_duration, metrics: &metrics };
        let beside = beside.render()?;
        Ok(PingReport { recorded_at, document, metrics, is_partial, events_duration, beside })
    }

    /// The value that one metric would have in a ping now, if it has one, and what became of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownMetric`], and as [`Ping::build`].
    pub fn metric(&self, key_path: &str) -> Result<(Option<PingValue>, MetricReport), Error> {
        let consent = self.consent()?;
        self.building(&consent, self.reader.clock_now(), None).one(key_path)
    }

    fn building<'a>(
        &'a self,
        consent: &'a Consent,
        weeks_before: Timestamp,
        as_of: Option<Timestamp>,
    ) -> Building<'a> {
        Building {
            reader: &self.reader,
            sources: &self.sources,
            program: &self.program,
            facts: &self.facts,
            consent,
            limits: self.limits,
            failures: self.failures,
            weeks_before,
            as_of,
        }
    }

    /// What the operator has chosen.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn consent(&self) -> Result<Consent, Error> {
        self.reader.read(|snapshot| snapshot.consent())
    }

    /// Sets what the operator has chosen, for every process that has the store open.
    ///
    /// Whatever clocks say, a ping that is kept, or in the making, when sending is turned on, a category is left out or more users are
    /// asked for goes only by name from then on; one that is begun after it goes by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] when sending is on without a URL of `http` or `https`; [`ErrorKind::ReadOnly`] for a ping of a reader; the
    /// reason of a failed commit.
    pub fn set_consent(&self, consent: &Consent) -> Result<(), Error> {
        let is_url = |url: &str| {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
            let is_plain = !url.chars().any(|character| character.is_whitespace() || character.is_control());
            is_plain && host.is_some_and(|host| !host.is_empty() && !host.contains('@') && has_port(host))
        };
        if consent.sends() && !consent.url().is_some_and(is_url) {
            let what = "sending needs a URL such as https://host/path, without a name or password in it, and with a port of 1 to 65535 if with one; give one";
            return Err(Error::new(ErrorKind::Usage, what));
        }
        self.keep(PingStep::Choose(consent.clone())).map(drop)
    }

    /// The uuid of the installation: made once, when the store was created.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn uuid(&self) -> Result<String, Error> {
        let identity = self.reader.read(|snapshot| snapshot.identity())?;
        Ok(system::uuid_text(identity.uuid))
    }

    /// When pings of this installation are due.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn schedule(&self) -> Result<PingSchedule, Error> {
        Ok(PingSchedule::of(&self.uuid()?))
    }

    fn keep(&self, step: PingStep) -> Result<Commit, Error> {
        let keeper = self.keeper.as_ref().ok_or_else(only_reads)?;
        keeper.commit(step)
    }
}

impl KeptPing {
    fn new(week: IsoWeek, report: PingReport, agreement: Agreement) -> Self {
        let digest = PingDigest::of(report.document.as_bytes());
        let PingReport { recorded_at, document, beside, is_partial, .. } = report;
        let delivery = Delivery::default();
        Self { week, recorded_at, document, beside, digest, is_partial, delivery, agreement }
    }

    /// What became of each metric.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::StoreDamaged`] when what is kept beside the document does not read.
    pub fn metrics(&self) -> Result<Vec<MetricReport>, Error> {
        beside::metrics(&self.beside).map_err(|error| error.context(self.week))
    }

    /// The time that the metrics of events took, which are read together; nothing if there are none.
    ///
    /// # Errors
    ///
    /// As [`KeptPing::metrics`].
    pub fn events_duration(&self) -> Result<Option<Duration>, Error> {
        beside::events_duration(&self.beside).map_err(|error| error.context(self.week))
    }
}

/// Whether the port of a host, if it names one, is one. Those who connect would else take another.
pub(crate) fn has_port(host: &str) -> bool {
    let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    behind.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cold]
fn only_reads() -> Error {
    let what = "this ping is of a reader, which writes nothing; take that of a Store, or of an Upkeep";
    Error::new(ErrorKind::ReadOnly, what)
}
