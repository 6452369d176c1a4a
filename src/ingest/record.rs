//! Records: what crosses from the caller's thread to the aggregator, as a few 64-bit words an event.
//!
//! A record is `[event | hour << 32] [mask of matching rules]... [hash of each input]... [value?] [interned value]...`; its
//! length follows from the event alone. Raw identifiers never cross.

use crate::definition::filter::FilterValue;
use crate::error::TrackError;
use crate::event::id::Scalar;
use crate::event::{Extra, Facts, MAX_EXTRAS, MAX_TEXT_BYTES};
use crate::hash::IdHash;
use crate::ingest::intern::ValueNames;
use crate::plan::{
    EventIndex, EventMeasure, EventPlan, EventRule, PlainEvent, PlainUnique, Plan, RULES_PER_WORD, RuleIndex,
    Source,
};
use crate::time::bucket::Hour;

/// The records of one buffer at the most.
pub(crate) const RECORDS_PER_BUFFER: usize = 1_024;
/// The words of one buffer: enough for the longest record that a plan allows, and for 1,024 of the usual ones.
pub(crate) const WORDS_PER_BUFFER: usize = 8_192;

/// A piece of work for the aggregator: records, and what the callers noted beside them.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// [`WORDS_PER_BUFFER`], or none at all.
    words: Box<[u64]>,
    /// The words that records take.
    used: usize,
    count: usize,
    pub(crate) notes: Notes,
}

/// What was dropped or skipped while the events counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Undeclared `label`, `property` or `value` that were dropped.
    pub(crate) undeclared: u64,
    /// Unique and per-value rules that were skipped since the event lacked the identifier or property.
    pub(crate) absent: u64,
}

impl Records {
    pub(crate) fn with_capacity() -> Self {
        Self { words: vec![0; WORDS_PER_BUFFER].into_boxed_slice(), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 && self.notes == Notes::default()
    }

    /// Whether a record of this event still fits.
    #[inline]
    pub(crate) fn has_room_for(&self, event: &EventPlan) -> bool {
        self.has_room(event.record_words)
    }

    /// Whether a record of so many words still fits.
    #[inline]
    pub(crate) fn has_room(&self, words: usize) -> bool {
        self.count < RECORDS_PER_BUFFER && self.used + words <= self.words.len()
    }

    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
        self.notes = Notes::default();
    }

    /// What [`Records::push`] does, for an event of which only identifiers are known.
    #[inline]
    pub(crate) fn push_plain(
        &mut self,
        index: EventIndex,
        event: &PlainEvent,
        facts: &Facts<'_>,
        hour: Hour,
    ) -> Result<(), TrackError> {
        let end = self.used + event.words();
        let Some(record) = self.words.get_mut(self.used..end) else { return Err(TrackError::QueueFull) };
        let (user, no_user) = put_hash(record, &event.user, &facts.user.0)?;
        let (project, no_project) = put_hash(record, &event.project, &facts.project.0)?;
        let (namespace, no_namespace) = put_hash(record, &event.namespace, &facts.namespace.0)?;
        if let [head, mask, ..] = record {
            *head = head_of(index, hour);
            *mask = u64::from(1 | user | project | namespace);
        }
        self.notes.absent += u64::from(no_user) + u64::from(no_project) + u64::from(no_namespace);
        self.used = end;
        self.count += 1;
        Ok(())
    }

    /// Validates the facts and appends a record of them; the caller has looked for room. A refused event leaves no trace.
    pub(crate) fn push(
        &mut self,
        index: EventIndex,
        event: &EventPlan,
        facts: &Facts<'_>,
        hour: Hour,
        names: &ValueNames,
    ) -> Result<(), TrackError> {
        let undeclared = validate(event, facts)?;
        let Some(record) = self.words.get_mut(self.used..).and_then(|free| Parts::of(free, event)) else {
            return Err(TrackError::QueueFull);
        };
        *record.head = head_of(index, hour);
        for (mask, always) in record.masks.iter_mut().zip(&event.always) {
            *mask = *always;
        }
        let (mut absent, mut present) = (0, 0_u128);
        for (place, (input, hash)) in event.inputs.iter().zip(record.hashes).enumerate() {
            let scalar = source(event, facts, &input.source).present();
            match scalar {
                Some(scalar) => {
                    *hash = scalar.hash().bits();
                    present |= 1 << place;
                    if let Some(place) = input.alone {
                        place.set(record.masks);
                    }
                }
                None => absent += u64::from(input.alone.is_some()),
            }
        }
        if let [value] = record.value {
            *value = facts.value.filter(|_| event.value).unwrap_or(0.0).to_bits();
        }
        for rule in &event.tested {
            if !rule.filter.iter().all(|(property, wanted)| holds(source(event, facts, property), wanted)) {
                continue;
            }
            let applies = match rule.measure {
                EventMeasure::Count => true,
                EventMeasure::Sum => event.value && facts.value.is_some(),
                EventMeasure::Unique { input } => present >> input & 1 == 1,
                EventMeasure::PerValue { interned } => {
                    intern(event, facts, names, usize::from(interned), record.interned)
                }
            };
            if applies {
                rule.place.set(record.masks);
            } else if rule.measure != EventMeasure::Sum {
                absent += 1;
            }
        }
        self.used += event.record_words;
        self.count += 1;
        self.notes.undeclared += undeclared;
        self.notes.absent += absent;
        Ok(())
    }

    /// The records from the one that begins at word `at` on, in the order in which they were pushed.
    pub(crate) fn read<'a>(&'a self, plan: &'a Plan, at: usize) -> RecordReader<'a> {
        RecordReader { words: self.words.get(at..self.used).unwrap_or_default(), at, plan }
    }
}

/// Writes the hash of an identifier; gives the bit of its rule in the mask, and whether the rule has to do without it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "three calls an event, a third of whose cost would be the calls")]
fn put_hash(record: &mut [u64], unique: &PlainUnique, scalar: &Scalar<'_>) -> Result<(u8, bool), TrackError> {
    let hash = match scalar {
        Scalar::Absent => return Ok((0, unique.bit != 0)),
        Scalar::Text(text) if text.len() > MAX_TEXT_BYTES => return Err(TrackError::TooLong),
        Scalar::Text("") => return Ok((0, unique.bit != 0)),
        _ if unique.bit == 0 => return Ok((0, false)),
        scalar => scalar.hash(),
    };
    if let Some(word) = record.get_mut(usize::from(unique.word)) {
        *word = hash.bits();
    }
    Ok((unique.bit, false))
}

#[inline]
fn head_of(index: EventIndex, hour: Hour) -> u64 {
    u64::from(index.0) | u64::from(hour.index()) << 32
}

/// The parts of a free record.
struct Parts<'a> {
    head: &'a mut u64,
    masks: &'a mut [u64],
    hashes: &'a mut [u64],
    /// One word or none.
    value: &'a mut [u64],
    interned: &'a mut [u64],
}

impl<'a> Parts<'a> {
    #[inline]
    fn of(free: &'a mut [u64], event: &EventPlan) -> Option<Self> {
        let (head, rest) = free.split_first_mut()?;
        let (masks, rest) = rest.split_at_mut_checked(event.always.len())?;
        let (hashes, rest) = rest.split_at_mut_checked(event.inputs.len())?;
        let (value, rest) = rest.split_at_mut_checked(usize::from(event.sums))?;
        let (interned, _) = rest.split_at_mut_checked(event.interned.len())?;
        Some(Self { head, masks, hashes, value, interned })
    }
}

/// Writes the number of a per-value rule's value, if the event has one.
fn intern(
    event: &EventPlan,
    facts: &Facts<'_>,
    names: &ValueNames,
    position: usize,
    words: &mut [u64],
) -> bool {
    let Some(((property, index), word)) = event.interned.get(position).zip(words.get_mut(position)) else {
        return false;
    };
    let Some(scalar) = source(event, facts, property).present() else { return false };
    *word = scalar.with_bytes(|text| names.number(*index, text)).into();
    true
}

/// The undeclared properties that are dropped.
#[inline]
fn validate(event: &EventPlan, facts: &Facts<'_>) -> Result<u64, TrackError> {
    let longest = facts.user.0.text_len().max(facts.project.0.text_len()).max(facts.namespace.0.text_len());
    if longest.max(facts.label.len()).max(facts.property.len()) > MAX_TEXT_BYTES {
        return Err(TrackError::TooLong);
    }
    if facts.value.is_some_and(|value| !value.is_finite()) {
        return Err(TrackError::NotFinite);
    }
    if facts.extra_count() > 0 {
        validate_extras(event, facts)?;
    }
    Ok(u64::from(!event.label && !facts.label.is_empty())
        + u64::from(!event.property && !facts.property.is_empty())
        + u64::from(!event.value && facts.value.is_some()))
}

fn validate_extras(event: &EventPlan, facts: &Facts<'_>) -> Result<(), TrackError> {
    if facts.extra_count() > MAX_EXTRAS {
        return Err(TrackError::TooMany);
    }
    for extra in facts.extras() {
        let scalar = match extra {
            Extra::Nothing => continue,
            Extra::Identifier(name, id) => {
                if !event.identifiers.iter().any(|known| **known == **name) {
                    return Err(TrackError::UndeclaredIdentifier);
                }
                id.0
            }
            Extra::Custom("label" | "property" | "value", _) => return Err(TrackError::WrongType),
            Extra::Custom(name, value) => {
                if !event.customs.iter().any(|known| **known == **name) {
                    return Err(TrackError::UndeclaredProperty);
                }
                value.0
            }
        };
        if scalar.text_len() > MAX_TEXT_BYTES {
            return Err(TrackError::TooLong);
        }
        if matches!(scalar, Scalar::Float(number) if !number.is_finite()) {
            return Err(TrackError::NotFinite);
        }
    }
    Ok(())
}

/// What the event says for a source; nothing for what its definition does not declare.
#[inline]
fn source<'a>(event: &EventPlan, facts: &Facts<'a>, source: &Source) -> Scalar<'a> {
    match source {
        Source::User => facts.user.0,
        Source::Project => facts.project.0,
        Source::Namespace => facts.namespace.0,
        Source::Label if event.label => Scalar::Text(facts.label),
        Source::Property if event.property => Scalar::Text(facts.property),
        Source::Value if event.value => facts.value_scalar(),
        Source::Label | Source::Property | Source::Value => Scalar::Absent,
        Source::Identifier(name) => last_extra(facts, |extra| match extra {
            Extra::Identifier(key, id) if **key == **name => Some(id.0),
            _ => None,
        }),
        Source::Custom(name) => last_extra(facts, |extra| match extra {
            Extra::Custom(key, value) if **key == **name => Some(value.0),
            _ => None,
        }),
    }
}

/// As with the other setters, the last of several calls for one name wins.
fn last_extra<'a>(facts: &Facts<'a>, find: impl Fn(&Extra<'a>) -> Option<Scalar<'a>>) -> Scalar<'a> {
    facts.extras().filter_map(find).last().unwrap_or(Scalar::Absent)
}

/// A number equals a number and a text a text; 60 equals 60.0 and differs from `"60"`. The empty text is nothing.
#[inline]
fn holds(scalar: Scalar<'_>, wanted: &FilterValue) -> bool {
    match (scalar, wanted.as_text()) {
        (Scalar::Text(text), Some(wanted)) => text == wanted && !text.is_empty(),
        (scalar, None) => scalar.number().is_some() && scalar.number() == wanted.as_number(),
        _ => false,
    }
}

/// Reads records back.
pub(crate) struct RecordReader<'a> {
    words: &'a [u64],
    at: usize,
    plan: &'a Plan,
}

/// One record, as the aggregator sees it.
pub(crate) enum Record<'a> {
    Plain(PlainRecord<'a>),
    Any(AnyRecord<'a>),
}

pub(crate) struct PlainRecord<'a> {
    pub(crate) event: &'a PlainEvent,
    pub(crate) hour: Hour,
    mask: u64,
    words: &'a [u64],
}

pub(crate) struct AnyRecord<'a> {
    event: &'a EventPlan,
    pub(crate) hour: Hour,
    masks: &'a [u64],
    pub(crate) hashes: &'a [u64],
    pub(crate) value: f64,
    pub(crate) interned: &'a [u64],
}

impl RecordReader<'_> {
    /// The word at which the next record begins.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for RecordReader<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let head = *self.words.first()?;
        let (index, hour) = (EventIndex(low_half(head)), Hour::from_index(low_half(head >> 32)));
        if let Some(event) = self.plan.plain(index) {
            let words = self.take(event.words())?;
            return Some(Record::Plain(PlainRecord { event, hour, mask: *words.get(1)?, words }));
        }
        let event = self.plan.event(index)?;
        let record = self.take(event.record_words)?;
        let (masks, rest) = record.get(1..)?.split_at_checked(event.always.len())?;
        let (hashes, rest) = rest.split_at_checked(event.inputs.len())?;
        let (value, interned) = rest.split_at_checked(usize::from(event.sums))?;
        let value = value.first().map_or(0.0, |bits| f64::from_bits(*bits));
        Some(Record::Any(AnyRecord { event, hour, masks, hashes, value, interned }))
    }
}

impl<'a> RecordReader<'a> {
    #[inline]
    fn take(&mut self, words: usize) -> Option<&'a [u64]> {
        let (record, rest) = self.words.split_at_checked(words)?;
        self.words = rest;
        self.at += words;
        Some(record)
    }
}

impl PlainRecord<'_> {
    /// The hashes of the identifiers that the event has, each with the rule of its unique.
    #[inline]
    pub(crate) fn for_each_unique(&self, mut visit: impl FnMut(RuleIndex, IdHash)) {
        for unique in [&self.event.user, &self.event.project, &self.event.namespace] {
            if self.mask & u64::from(unique.bit) != 0
                && let Some(bits) = self.words.get(usize::from(unique.word))
            {
                visit(unique.rule, IdHash::from_bits(*bits));
            }
        }
    }
}

impl AnyRecord<'_> {
    /// The rules that match, in their order.
    #[inline]
    pub(crate) fn for_each_rule(&self, mut visit: impl FnMut(EventRule)) {
        for (mask, rules) in self.masks.iter().zip(self.event.rules.chunks(RULES_PER_WORD)) {
            let mut mask = *mask;
            while let Some(rule) =
                usize::try_from(mask.trailing_zeros()).ok().and_then(|place| rules.get(place))
            {
                mask &= mask - 1;
                visit(*rule);
            }
        }
    }
}

#[inline]
pub(crate) fn low_half(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
