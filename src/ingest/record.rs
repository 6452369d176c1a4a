//! Records: what crosses from the caller's thread to the aggregator, as a few 32-bit words an event.
//!
//! The record of a plain event is `[event | PLAIN] [hour] [code of user] [of project] [of namespace]`, whatever it has of them: no
//! code is 0, which stands for one that is absent. Of any other it is `[event] [hour] [mask of matching rules]... [code of each input]...
//! [value as two words?] [interned value]...`; its length follows from the event alone. Raw identifiers never cross, nor do whole hashes.

use crate::definition::filter::FilterValue;
use crate::error::TrackError;
use crate::event::id::Scalar;
use crate::event::{Extra, Facts, MAX_EXTRAS, MAX_TEXT_BYTES};
use crate::ingest::intern::ValueNames;
use crate::plan::{
    EventIndex, EventMeasure, EventPlan, EventRule, PLAIN_RECORD_WORDS, PlainEvent, Plan, RULES_PER_WORD,
    RuleIndex, Source,
};
use crate::sketch::code::Code;
use crate::time::bucket::Hour;

/// The records of one buffer at the most: none is shorter than a plain one.
pub(crate) const RECORDS_PER_BUFFER: usize = if cfg!(headcount_schedules) { 3 } else { 1_024 };
/// The words of one buffer: enough for the longest record that a plan allows, and for 1,024 of the usual ones.
pub(crate) const WORDS_PER_BUFFER: usize = PLAIN_RECORD_WORDS * RECORDS_PER_BUFFER;
/// In the first word of a record: the event is plain, and so is its record. Plans have fewer events.
const PLAIN: u32 = 1 << 31;
/// The word of an identifier that an event does not have.
const ABSENT: u32 = 0;

/// A piece of work for the aggregator: records, and what the callers noted beside them.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// [`WORDS_PER_BUFFER`], or none at all.
    words: Box<[u32]>,
    /// The words that records take.
    used: usize,
    count: usize,
    pub(crate) notes: Notes,
}

/// A record did not fit into a buffer.
#[derive(Debug)]
pub(crate) struct NoRoom;

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
        self.used + words <= self.words.len()
    }

    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
        self.notes = Notes::default();
    }

    /// Appends the record of a plain event if there is room for it.
    #[inline]
    pub(crate) fn push_plain(&mut self, index: EventIndex, hour: Hour, ids: PlainIds) -> Result<(), NoRoom> {
        let free = self.words.get_mut(self.used..).and_then(<[u32]>::first_chunk_mut);
        let [user, project, namespace] = ids.0;
        let record: &mut [u32; PLAIN_RECORD_WORDS] = free.ok_or(NoRoom)?;
        *record = [index.0 | PLAIN, hour.index(), user, project, namespace];
        self.used += PLAIN_RECORD_WORDS;
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
        if let Some(plain) = &event.plain {
            self.push_plain(index, hour, PlainIds::of(plain, facts)?)
                .map_err(|NoRoom| TrackError::QueueFull)?;
            self.notes.undeclared += undeclared;
            return Ok(());
        }
        let Some(record) = self.words.get_mut(self.used..).and_then(|free| Parts::of(free, event)) else {
            return Err(TrackError::QueueFull);
        };
        *record.head = [index.0, hour.index()];
        for (mask, always) in record.masks.iter_mut().zip(&event.always) {
            *mask = *always;
        }
        let (mut absent, mut present) = (0, 0_u128);
        for (place, (input, code)) in event.inputs.iter().zip(record.codes).enumerate() {
            let scalar = source(event, facts, &input.source).present();
            match scalar {
                Some(scalar) => {
                    *code = Code::of(scalar.hash()).bits();
                    present |= 1 << place;
                    if let Some(place) = input.alone {
                        place.set(record.masks);
                    }
                }
                None => absent += u64::from(input.alone.is_some()),
            }
        }
        if let [low, high] = record.value {
            let bits = facts.value.filter(|_| event.value).unwrap_or(0.0).to_bits();
            (*low, *high) = (low_half(bits), low_half(bits >> 32));
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

/// What a plain event happened to: the codes of its user, project and namespace, 0 for what is absent or not asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainIds([u32; 3]);

impl PlainIds {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "where it is called is known what kinds of identifiers there are"
    )]
    pub(crate) fn of(event: &PlainEvent, facts: &Facts<'_>) -> Result<Self, TrackError> {
        let [user, project, namespace] = &event.uniques;
        Ok(Self([
            plain_id(*user, facts.user.0)?,
            plain_id(*project, facts.project.0)?,
            plain_id(*namespace, facts.namespace.0)?,
        ]))
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "as its only caller")]
fn plain_id(unique: RuleIndex, id: Scalar<'_>) -> Result<u32, TrackError> {
    match id {
        Scalar::Absent => Ok(ABSENT),
        Scalar::Text(text) if text.len() > MAX_TEXT_BYTES => Err(TrackError::TooLong),
        Scalar::Text("") => Ok(ABSENT),
        _ if unique == RuleIndex::NONE => Ok(ABSENT),
        id => Ok(Code::of(id.hash()).bits()),
    }
}

/// The parts of a free record.
struct Parts<'a> {
    head: &'a mut [u32; 2],
    masks: &'a mut [u32],
    codes: &'a mut [u32],
    /// Two words or none.
    value: &'a mut [u32],
    interned: &'a mut [u32],
}

impl<'a> Parts<'a> {
    #[inline]
    fn of(free: &'a mut [u32], event: &EventPlan) -> Option<Self> {
        let (head, rest) = free.split_first_chunk_mut()?;
        let (masks, rest) = rest.split_at_mut_checked(event.always.len())?;
        let (codes, rest) = rest.split_at_mut_checked(event.inputs.len())?;
        let (value, rest) = rest.split_at_mut_checked(2 * usize::from(event.sums))?;
        let (interned, _) = rest.split_at_mut_checked(event.interned.len())?;
        Some(Self { head, masks, codes, value, interned })
    }
}

/// Writes the number of a per-value rule's value, if the event has one.
fn intern(
    event: &EventPlan,
    facts: &Facts<'_>,
    names: &ValueNames,
    position: usize,
    words: &mut [u32],
) -> bool {
    let Some(((property, index), word)) = event.interned.get(position).zip(words.get_mut(position)) else {
        return false;
    };
    let Some(scalar) = source(event, facts, property).present() else { return false };
    *word = scalar.with_bytes(|text| names.number(*index, text));
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
    words: &'a [u32],
    at: usize,
    plan: &'a Plan,
}

/// The record of a plain event.
pub(crate) struct PlainRecord<'a> {
    pub(crate) event: &'a PlainEvent,
    pub(crate) hour: Hour,
    pub(crate) user: Option<Code>,
    pub(crate) project: Option<Code>,
    pub(crate) namespace: Option<Code>,
}

pub(crate) struct AnyRecord<'a> {
    event: &'a EventPlan,
    pub(crate) hour: Hour,
    masks: &'a [u32],
    pub(crate) codes: &'a [u32],
    pub(crate) value: f64,
    pub(crate) interned: &'a [u32],
}

impl<'a> RecordReader<'a> {
    /// The word at which the next record begins.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next record, if it is a plain one.
    #[inline]
    pub(crate) fn next_plain(&mut self) -> Option<PlainRecord<'a>> {
        let (&[head, hour, user, project, namespace], rest) = self.words.split_first_chunk()?;
        if head & PLAIN == 0 {
            return None;
        }
        let event = self.plan.plain(EventIndex(head & !PLAIN))?;
        self.words = rest;
        self.at += PLAIN_RECORD_WORDS;
        Some(PlainRecord {
            event,
            hour: Hour::from_index(hour),
            user: plain_code(user),
            project: plain_code(project),
            namespace: plain_code(namespace),
        })
    }

    /// The next record, if it is not a plain one.
    pub(crate) fn next_any(&mut self) -> Option<AnyRecord<'a>> {
        let ([index, hour], _) = self.words.split_first_chunk()?;
        let event = self.plan.event(EventIndex(*index))?;
        let (record, rest) = self.words.split_at_checked(event.record_words)?;
        self.words = rest;
        self.at += event.record_words;
        let (masks, rest) = record.get(2..)?.split_at_checked(event.always.len())?;
        let (codes, rest) = rest.split_at_checked(event.inputs.len())?;
        let (value, interned) = rest.split_at_checked(2 * usize::from(event.sums))?;
        let value = match value {
            [low, high] => f64::from_bits(u64::from(*low) | u64::from(*high) << 32),
            _ => 0.0,
        };
        Some(AnyRecord { event, hour: Hour::from_index(*hour), masks, codes, value, interned })
    }
}

/// The code of an identifier of a plain event, if it has it.
#[inline]
fn plain_code(word: u32) -> Option<Code> {
    (word != ABSENT).then(|| Code::from_bits(word))
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
fn low_half(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
