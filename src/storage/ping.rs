//! What a store keeps of its pings: each week's document, what became of it, and what may leave the installation.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::definition::words::DataCategory;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// Weeks of documents that are kept unless told otherwise: two years.
pub(crate) const DEFAULT_WEEKS_KEPT: u32 = 104;

/// A document that the store keeps: one for each ISO week, and never changed.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let made = store.ping().generate()?;
/// let again = store.ping().generate()?;
/// assert_eq!(made.document, again.document);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptPing {
    /// The week in which it was due, or made.
    pub week: IsoWeek,
    /// When the values were begun to be computed.
    pub recorded_at: Timestamp,
    /// The document, byte for byte as it leaves.
    pub document: String,
    /// What is known of each metric, as JSON; it never leaves by itself.
    pub beside: String,
    /// SHA-256 of the document.
    pub digest: PingDigest,
    /// Whether a limit in time, or a source that failed, left something out.
    pub is_partial: bool,
    /// What became of it.
    pub delivery: Delivery,
    pub(crate) agreement: Agreement,
}

impl KeptPing {
    /// Whether the document still has the digest that it was kept with.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        PingDigest::of(self.document.as_bytes()) == self.digest
    }
}

/// How the ping of a week stands, without its document.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let made = store.ping().generate()?;
/// for week in store.ping().weeks()? {
///     println!("{}: {} bytes, {}", week.week, week.bytes, week.delivery.outcome.as_str());
/// }
/// assert_eq!(store.ping().weeks()?[0].digest, made.digest);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptWeek {
    /// The week in which it was due, or made.
    pub week: IsoWeek,
    /// When the values were begun to be computed.
    pub recorded_at: Timestamp,
    /// The size of the document; 0 when it was forgotten.
    pub bytes: u64,
    /// SHA-256 of the document, as it was kept.
    pub digest: PingDigest,
    /// Whether a limit in time, or a source that failed, left something out.
    pub is_partial: bool,
    /// What became of it; without the response, which [`KeptPing`] has.
    pub delivery: Delivery,
    pub(crate) agreement: Agreement,
}

/// SHA-256 of a document; written as 64 hexadecimal digits.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// assert_eq!(store.ping().generate()?.digest.to_string().len(), 64);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PingDigest(pub(crate) [u8; 32]);

impl PingDigest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads a digest as it is written, in small letters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut digest = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(Self(digest)).filter(|digest| digest.to_string() == text)
    }
}

impl fmt::Display for PingDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What became of a document.
///
/// ```
/// use headcount::Delivery;
///
/// assert_eq!(Delivery::default().attempts, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Delivery {
    /// How it stands.
    pub outcome: DeliveryOutcome,
    /// How often it was tried to send it.
    pub attempts: u32,
    /// When that was tried last; or when it was carried out, or forgotten.
    pub tried_at: Option<Timestamp>,
    /// Before this it is not tried again.
    pub next_at: Option<Timestamp>,
    /// The status of the last response of HTTP.
    pub status: Option<u16>,
    /// What the last response, or failure, said, cut to 64 KiB.
    pub response: Option<String>,
}

/// How the sending of a document stands.
///
/// ```
/// assert_eq!(headcount::DeliveryOutcome::default().as_str(), "kept");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// It is kept here; nobody has tried to send it.
    #[default]
    Kept,
    /// It could not be sent, and will be tried again.
    Waiting,
    /// The other side has it.
    Sent,
    /// The other side does not want it; it is not tried again by itself.
    Refused,
    /// Somebody has carried it out by hand ([`Ping::mark_carried`](crate::Ping::mark_carried)); it is not sent by itself.
    Carried,
    /// Somebody had it forgotten ([`Ping::forget`](crate::Ping::forget)): its document is gone, and its week gets no other.
    Forgotten,
}

impl DeliveryOutcome {
    /// Every outcome.
    pub const ALL: &[Self] =
        &[Self::Kept, Self::Waiting, Self::Sent, Self::Refused, Self::Carried, Self::Forgotten];

    /// The word that documents use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Carried => "carried",
            Self::Forgotten => "forgotten",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|outcome| outcome.as_str() == word)
    }
}

/// What the operator has chosen: whether documents are sent and where to, and what stands in them.
///
/// By default nothing is sent, every category stands in the document, no value is suppressed, and the documents of 104 weeks are
/// kept.
///
/// ```
/// use headcount::{Consent, DataCategory};
///
/// let consent = Consent::default().without(DataCategory::Optional).suppress_below(5);
/// assert!(!consent.sends());
/// assert!(!consent.permits(DataCategory::Optional));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub(crate) sending: bool,
    pub(crate) url: Option<String>,
    pub(crate) categories: Vec<DataCategory>,
    pub(crate) suppress_below: u32,
    pub(crate) weeks_kept: u32,
}

impl Default for Consent {
    fn default() -> Self {
        Self {
            sending: false,
            url: None,
            categories: DataCategory::ALL.to_vec(),
            suppress_below: 0,
            weeks_kept: DEFAULT_WEEKS_KEPT,
        }
    }
}

impl Consent {
    /// Turns sending on, to this URL.
    #[must_use]
    pub fn send_to(mut self, url: impl Into<String>) -> Self {
        (self.sending, self.url) = (true, Some(url.into()));
        self
    }

    /// Turns sending off; the URL stays known.
    #[must_use]
    pub fn without_sending(mut self) -> Self {
        self.sending = false;
        self
    }

    /// Lets metrics of this category into the document.
    #[must_use]
    pub fn with(mut self, category: DataCategory) -> Self {
        if !self.permits(category) {
            self.categories.push(category);
        }
        self
    }

    /// Leaves metrics of this category out of the document.
    #[must_use]
    pub fn without(mut self, category: DataCategory) -> Self {
        self.categories.retain(|permitted| *permitted != category);
        self
    }

    /// Leaves unique counts below `users` out, 0 excepted; 0 and 1 leave out none.
    #[must_use]
    pub fn suppress_below(mut self, users: u32) -> Self {
        self.suppress_below = users;
        self
    }

    /// Keeps the documents of so many weeks, at least one. Those that wait to be sent stay longer, up to the 104 newest weeks; and those
    /// of weeks that are yet to come, which a clock that was wrong made, take no place of others.
    #[must_use]
    pub fn keep_weeks(mut self, weeks: u32) -> Self {
        self.weeks_kept = weeks.max(1);
        self
    }

    /// Whether documents are sent, unless the environment forbids it.
    #[must_use]
    pub fn sends(&self) -> bool {
        self.sending
    }

    /// Where documents are sent to.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Whether metrics of this category stand in the document.
    #[must_use]
    pub fn permits(&self, category: DataCategory) -> bool {
        self.categories.contains(&category)
    }

    /// Unique counts below this are left out.
    #[must_use]
    pub fn least_users(&self) -> u32 {
        self.suppress_below
    }

    /// How many weeks of documents are kept.
    #[must_use]
    pub fn weeks_kept(&self) -> u32 {
        self.weeks_kept
    }
}

/// What the operator had agreed to when a ping was begun, by number: it counts up whenever sending is turned on, or something is taken
/// back. A ping goes by itself only while that is what is agreed to still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Agreement(pub(crate) i64);

impl Agreement {
    /// That of a ping that goes only by name.
    pub(crate) const NONE: Self = Self(0);
    /// That of a store in which nothing was chosen yet.
    pub(crate) const FIRST: Self = Self(1);

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What became of the sending of pings when a store was restored.
///
/// ```
/// assert_eq!(headcount::RestoredSending::TurnedOff.as_str(), "turned_off");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestoredSending {
    /// The backup had it off, and off it is.
    Off,
    /// The backup and the store that it replaced had it on, to the same URL.
    On,
    /// The backup had it on, and it is off: the store that was there had it off or to another URL, could not say, or was not there.
    TurnedOff,
}

impl RestoredSending {
    /// The word that documents use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::TurnedOff => "turned_off",
        }
    }
}

/// One that works at pings: of several processes one at a time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PingWorker(pub(crate) [u8; 16]);

/// A change of what is kept of pings. Each applies whole, or is [`Overtaken`](crate::storage::Commit::Overtaken).
#[derive(Debug, Clone)]
pub(crate) enum PingStep {
    /// Takes the lease until then, unless another has it.
    Lease { worker: PingWorker, until: Timestamp },
    /// Gives the lease back, if it is still the worker's.
    Release { worker: PingWorker },
    /// Keeps a document, unless its week has one, and removes the oldest that are more than so many and do not wait to be
    /// sent.
    Keep { ping: Box<KeptPing>, weeks_kept: u32 },
    /// Notes what became of a document that is not sent yet.
    #[cfg_attr(not(feature = "upload"), allow(dead_code, reason = "only what sends has something to note"))]
    Deliver { week: IsoWeek, delivery: Delivery },
    /// Notes that a document was carried out by hand.
    Carry { week: IsoWeek },
    /// Removes a document, and keeps its week taken.
    Forget { week: IsoWeek },
    /// Sets what the operator has chosen.
    Choose(Consent),
}

/// The store itself, as pings name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uuid: [u8; 16],
    pub(crate) created: Timestamp,
}
