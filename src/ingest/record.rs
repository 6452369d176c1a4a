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
use crate::plan::{EventIndex, EventMeasure, EventPlan, EventRule, Plan, Source};
use crate::time::bucket::Hour;

/// The records of one buffer at the most.
pub(crate) const RECORDS_PER_BUFFER: usize = 256;
/// The words of one buffer: enough for the longest record that a plan allows, and for 256 of the usual ones.
pub(crate) const WORDS_PER_BUFFER: usize = 2_048;
const RULES_PER_WORD: usize = 64;

/// A piece of work for the aggregator: records, and what the callers noted beside them.
#[derive(Debug, Default)]
pub(crate) struct Records {
    words: Vec<u64>,
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
        Self { words: Vec::with_capacity(WORDS_PER_BUFFER), count: 0, notes: Notes::default() }
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
        self.count < RECORDS_PER_BUFFER && self.words.len() + record_words(event) <= WORDS_PER_BUFFER
    }

    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.count = 0;
        self.notes = Notes::default();
    }

    /// Validates the facts and appends a record of them. A refused event leaves no trace.
    #[inline]
    pub(crate) fn push(
        &mut self,
        index: EventIndex,
        event: &EventPlan,
        facts: &Facts<'_>,
        hour: Hour,
        names: &ValueNames,
    ) -> Result<(), TrackError> {
        let mut notes = Notes::default();
        validate(event, facts, &mut notes)?;
        let start = self.words.len();
        self.words.push(u64::from(index.0) | u64::from(hour.index()) << 32);
        let masks = self.words.len();
        self.words.resize(masks + event.rules.len().div_ceil(RULES_PER_WORD), 0);
        // Which inputs are present decides, with the filters, which rules match.
        let mut present = 0_u128;
        for (position, input) in event.inputs.iter().enumerate() {
            let hash = source(event, facts, input).present().map(Scalar::hash);
            present |= u128::from(hash.is_some()) << position;
            self.words.push(hash.map_or(0, IdHash::bits));
        }
        let value = facts.value.filter(|_| event.value);
        if event.sums {
            self.words.push(value.unwrap_or(0.0).to_bits());
        }
        let interned = self.words.len();
        self.words.resize(interned + event.interned.len(), 0);
        for (place, rule) in event.rules.iter().enumerate() {
            if !rule.filter.is_empty() && !matches(event, facts, rule) {
                continue;
            }
            let applies = match rule.measure {
                EventMeasure::Count => true,
                EventMeasure::Sum => value.is_some(),
                EventMeasure::Unique { input } => present >> input & 1 == 1,
                EventMeasure::PerValue { interned: position } => {
                    let property = event.interned.get(position);
                    let number = property.and_then(|(property, index)| {
                        let scalar = source(event, facts, property).present()?;
                        Some(scalar.with_bytes(|text| names.number(*index, text)))
                    });
                    if let (Some(number), Some(word)) = (number, self.words.get_mut(interned + position)) {
                        *word = number.into();
                    }
                    number.is_some()
                }
            };
            if applies {
                if let Some(mask) = self.words.get_mut(masks + place / RULES_PER_WORD) {
                    *mask |= 1 << (place % RULES_PER_WORD);
                }
            } else if rule.measure != EventMeasure::Sum {
                notes.absent += 1;
            }
        }
        debug_assert_eq!(self.words.len() - start, record_words(event));
        self.count += 1;
        self.notes.undeclared += notes.undeclared;
        self.notes.absent += notes.absent;
        Ok(())
    }

    /// The records from the one that begins at word `at` on, in the order in which they were pushed.
    pub(crate) fn read<'a>(&'a self, plan: &'a Plan, at: usize) -> RecordReader<'a> {
        RecordReader { words: self.words.get(at..).unwrap_or_default(), at, plan }
    }
}

/// The words of a record of this event.
#[inline]
fn record_words(event: &EventPlan) -> usize {
    1 + event.rules.len().div_ceil(RULES_PER_WORD)
        + event.inputs.len()
        + usize::from(event.sums)
        + event.interned.len()
}

#[inline]
fn validate(event: &EventPlan, facts: &Facts<'_>, notes: &mut Notes) -> Result<(), TrackError> {
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
    notes.undeclared += u64::from(!event.label && !facts.label.is_empty())
        + u64::from(!event.property && !facts.property.is_empty())
        + u64::from(!event.value && facts.value.is_some());
    Ok(())
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

#[inline]
fn matches(event: &EventPlan, facts: &Facts<'_>, rule: &EventRule) -> bool {
    rule.filter.iter().all(|(property, wanted)| holds(source(event, facts, property), wanted))
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
pub(crate) struct Record<'a> {
    pub(crate) event: &'a EventPlan,
    pub(crate) hour: Hour,
    masks: &'a [u64],
    pub(crate) hashes: &'a [u64],
    pub(crate) value: f64,
    pub(crate) interned: &'a [u64],
}

impl RecordReader<'_> {
    /// The word at which the next record begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for RecordReader<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let (head, _) = self.words.split_first()?;
        let event = self.plan.event(EventIndex(low_half(*head)))?;
        let (record, rest) = self.words.split_at_checked(record_words(event))?;
        self.words = rest;
        self.at += record.len();
        let (masks, rest) = record.get(1..)?.split_at_checked(event.rules.len().div_ceil(RULES_PER_WORD))?;
        let (hashes, rest) = rest.split_at_checked(event.inputs.len())?;
        let (value, interned) = rest.split_at_checked(usize::from(event.sums))?;
        let value = value.first().map_or(0.0, |bits| f64::from_bits(*bits));
        Some(Record { event, hour: Hour::from_index(low_half(head >> 32)), masks, hashes, value, interned })
    }
}

impl<'a> Record<'a> {
    /// The rules that match, in their order.
    #[inline]
    pub(crate) fn rules(&self) -> impl Iterator<Item = &'a EventRule> {
        let rules = &self.event.rules;
        self.masks.iter().enumerate().flat_map(move |(word, mask)| {
            let mut mask = *mask;
            std::iter::from_fn(move || {
                let place = usize::try_from(mask.trailing_zeros()).ok().filter(|_| mask != 0)?;
                mask &= mask - 1;
                rules.get(word * RULES_PER_WORD + place)
            })
        })
    }
}

#[inline]
pub(crate) fn low_half(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
