//! The plan: definitions, compiled. For each event its rules, the filters to test and the identifiers to hash.

use std::collections::{BTreeSet, HashMap};

use crate::definition::Definitions;
use crate::definition::event::EventDefinition;
use crate::definition::filter::FilterValue;
use crate::definition::metric::MetricDefinition;
use crate::definition::rule::{Rule, RuleKind};
use crate::definition::words::MetricStatus;
use crate::error::{Error, ErrorKind};
use crate::hash::NameHash;

/// The most rules that one event may feed.
pub(crate) const MAX_RULES_PER_EVENT: usize = 512;
/// The most different identifiers and properties whose uniques one event may feed: bits of a 128-bit mask.
pub(crate) const MAX_INPUTS_PER_EVENT: usize = 128;
/// The rules of an event that one word of its mask stands for.
pub(crate) const RULES_PER_WORD: usize = 32;
/// The words of the record of a plain event: event, hour, user, project, namespace. No record is shorter.
pub(crate) const PLAIN_RECORD_WORDS: usize = 5;
/// The most events of one plan.
pub(crate) const MAX_EVENTS: usize = 100_000;

/// The plan's number of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EventIndex(pub(crate) u32);

/// The plan's dense number of a rule, in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RuleIndex(pub(crate) u32);

impl RuleIndex {
    /// No rule: a number that no plan reaches.
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// The definitions, compiled for tracking.
#[derive(Debug)]
pub(crate) struct Plan {
    events: Vec<EventPlan>,
    /// For each event, [`PlainEvent::NONE`] for those that are not plain.
    plain: Vec<PlainEvent>,
    names: HashMap<Box<str>, EventIndex, NameHash>,
    rules: Vec<Rule>,
}

/// What tracking needs to know of one event.
#[derive(Debug)]
pub(crate) struct EventPlan {
    pub(crate) removed: bool,
    pub(crate) label: bool,
    pub(crate) property: bool,
    pub(crate) value: bool,
    /// Declared identifiers besides user, project and namespace, which every event may carry.
    pub(crate) identifiers: Vec<Box<str>>,
    pub(crate) customs: Vec<Box<str>>,
    /// What is hashed for unique rules, each once.
    pub(crate) inputs: Vec<Input>,
    /// Whether some rule adds up `value`.
    pub(crate) sums: bool,
    /// The properties of per-value rules, each with the position of its names in the table of interned values.
    pub(crate) interned: Vec<(Source, RuleIndex)>,
    /// The first one counts every event.
    pub(crate) rules: Vec<EventRule>,
    /// The rules that every event feeds, as bits by their place in `rules`, 32 to a word.
    pub(crate) always: Vec<u32>,
    /// The rules to look at one by one: those with a filter, sums, and counts per value.
    pub(crate) tested: Vec<TestedRule>,
    /// The words of a record of this event.
    pub(crate) record_words: usize,
    pub(crate) plain: Option<PlainEvent>,
}

/// All that tracking needs to know of the usual event, in a third of a cache line: it has its total, uniques of user, project and
/// namespace, and no other rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainEvent {
    pub(crate) total: RuleIndex,
    /// The unique rules of user, project and namespace, or [`RuleIndex::NONE`].
    pub(crate) uniques: [RuleIndex; 3],
}

impl PlainEvent {
    pub(crate) const NONE: Self = Self { total: RuleIndex::NONE, uniques: [RuleIndex::NONE; 3] };

    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.total != RuleIndex::NONE
    }
}

/// One rule of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventRule {
    pub(crate) index: RuleIndex,
    pub(crate) measure: EventMeasure,
}

/// What a matching event adds to a rule; positions are those of [`EventPlan`]'s lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventMeasure {
    Count,
    Sum,
    Unique { input: u16 },
    PerValue { interned: u16 },
}

/// A rule that an event feeds only if it has what the rule asks for.
#[derive(Debug)]
pub(crate) struct TestedRule {
    pub(crate) place: RulePlace,
    pub(crate) measure: EventMeasure,
    pub(crate) filter: Vec<(Source, FilterValue)>,
}

/// Something that is hashed, and the rule that every event feeds which has it, if there is one: equal rules are one.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) source: Source,
    pub(crate) alone: Option<RulePlace>,
}

/// A rule of an event as a bit of its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RulePlace {
    word: u32,
    bit: u32,
}

impl RulePlace {
    fn of(place: usize) -> Self {
        let word = u32::try_from(place / RULES_PER_WORD).unwrap_or(u32::MAX);
        Self { word, bit: 1 << (place % RULES_PER_WORD) }
    }

    #[inline]
    pub(crate) fn set(self, mask: &mut [u32]) {
        if let Some(word) = usize::try_from(self.word).ok().and_then(|word| mask.get_mut(word)) {
            *word |= self.bit;
        }
    }
}

/// Where a rule finds an identifier or a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    User,
    Project,
    Namespace,
    Label,
    Property,
    Value,
    Identifier(Box<str>),
    Custom(Box<str>),
}

impl Plan {
    /// Compiles the definitions: the total of every event, the rules of every metric that is not removed, and `recorded`.
    /// Rules of events that are not defined, or removed, are left out: nothing can be tracked for them.
    pub(crate) fn compile(definitions: &Definitions, recorded: &[Rule]) -> Result<Self, Error> {
        if definitions.events().len() > MAX_EVENTS {
            return Err(Error::new(
                ErrorKind::Definitions,
                format!("there are {} events; at most {MAX_EVENTS} are taken", definitions.events().len()),
            ));
        }
        for rule in recorded {
            if let Some(fault) = rule.fault() {
                return Err(Error::new(ErrorKind::Definitions, fault));
            }
            if definitions.find_event(rule.event()).is_none() {
                return Err(Error::new(
                    ErrorKind::Definitions,
                    format!(
                        "the rule `{}` is to be recorded, but no definition declares its event",
                        rule.key()
                    ),
                ));
            }
        }
        let mut wanted = HashMap::<&str, BTreeSet<&Rule>>::new();
        let of_metrics = definitions
            .metrics()
            .filter(|metric| metric.status() != MetricStatus::Removed)
            .flat_map(MetricDefinition::rules);
        for rule in of_metrics.chain(recorded) {
            wanted.entry(rule.event()).or_default().insert(rule);
        }
        let mut plan =
            Self { events: Vec::new(), plain: Vec::new(), names: HashMap::default(), rules: Vec::new() };
        for definition in definitions.events() {
            let rules = wanted.remove(definition.action()).unwrap_or_default();
            plan.add_event(definition, &rules)?;
        }
        Ok(plan)
    }

    fn add_event(&mut self, definition: &EventDefinition, wanted: &BTreeSet<&Rule>) -> Result<(), Error> {
        let index = EventIndex(u32::try_from(self.events.len()).unwrap_or(u32::MAX));
        let declares = |name: &str| definition.has_property(name);
        let mut event = EventPlan {
            removed: definition.is_removed(),
            label: declares("label"),
            property: declares("property"),
            value: declares("value"),
            identifiers: definition.identifiers().iter().map(|name| name.as_str().into()).collect(),
            customs: definition
                .properties()
                .map(|(name, _)| name)
                .filter(|name| !["label", "property", "value"].contains(name))
                .map(Into::into)
                .collect(),
            inputs: Vec::new(),
            sums: false,
            interned: Vec::new(),
            rules: Vec::new(),
            always: Vec::new(),
            tested: Vec::new(),
            record_words: 0,
            plain: None,
        };
        if !event.removed {
            let total = Rule::count(definition.action());
            let others = wanted.iter().copied().filter(|rule| **rule != total);
            for rule in std::iter::once(&total).chain(others) {
                let index = RuleIndex(u32::try_from(self.rules.len()).unwrap_or(u32::MAX));
                event.add_rule(rule, index)?;
                self.rules.push(rule.clone());
            }
        }
        if event.rules.len() > MAX_RULES_PER_EVENT {
            return Err(Error::new(
                ErrorKind::Definitions,
                format!(
                    "the event `{}` feeds {} rules; at most {MAX_RULES_PER_EVENT} are taken",
                    definition.action(),
                    event.rules.len()
                ),
            ));
        }
        if event.inputs.len() > MAX_INPUTS_PER_EVENT {
            return Err(Error::new(
                ErrorKind::Definitions,
                format!(
                    "the event `{}` has uniques of {} identifiers; at most {MAX_INPUTS_PER_EVENT} are taken",
                    definition.action(),
                    event.inputs.len()
                ),
            ));
        }
        let words =
            2 + event.always.len() + event.inputs.len() + 2 * usize::from(event.sums) + event.interned.len();
        event.record_words = words.max(PLAIN_RECORD_WORDS);
        event.plain = event.plain();
        self.plain.push(event.plain.unwrap_or(PlainEvent::NONE));
        self.events.push(event);
        self.names.insert(definition.action().into(), index);
        Ok(())
    }

    /// The event of this name.
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<(EventIndex, &EventPlan)> {
        let index = self.find_index(name)?;
        Some((index, self.event(index)?))
    }

    #[inline]
    pub(crate) fn find_index(&self, name: &str) -> Option<EventIndex> {
        self.names.get(name).copied()
    }

    #[inline]
    pub(crate) fn event(&self, index: EventIndex) -> Option<&EventPlan> {
        self.events.get(usize::try_from(index.0).ok()?)
    }

    /// What there is to know of the event if it is plain, else [`PlainEvent::NONE`].
    #[inline]
    pub(crate) fn plain(&self, index: EventIndex) -> Option<&PlainEvent> {
        self.plain.get(usize::try_from(index.0).ok()?)
    }

    /// Every rule, by its dense number.
    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl EventPlan {
    fn add_rule(&mut self, rule: &Rule, index: RuleIndex) -> Result<(), Error> {
        let filter = rule
            .filters()
            .map(|(name, value)| Ok((self.property_source(rule, name)?, value.clone())))
            .collect::<Result<Vec<_>, Error>>()?;
        let place = RulePlace::of(self.rules.len());
        if self.rules.len().is_multiple_of(RULES_PER_WORD) {
            self.always.push(0);
        }
        let measure = match (rule.kind(), rule.identifier()) {
            (RuleKind::Unique, Some(name)) => {
                let source = self.identifier_source(rule, name)?;
                let known = self.inputs.iter().position(|input| input.source == source);
                let input = known.unwrap_or(self.inputs.len());
                if known.is_none() {
                    self.inputs.push(Input { source, alone: None });
                }
                if let Some(input) = self.inputs.get_mut(input).filter(|_| filter.is_empty()) {
                    input.alone = Some(place);
                }
                EventMeasure::Unique { input: position(input) }
            }
            (RuleKind::PerValue, Some(name)) => {
                let source = self.property_source(rule, name)?;
                self.interned.push((source, index));
                EventMeasure::PerValue { interned: position(self.interned.len() - 1) }
            }
            (RuleKind::Sum, _) => {
                self.sums = true;
                EventMeasure::Sum
            }
            (RuleKind::Count | RuleKind::Unique | RuleKind::PerValue, _) => EventMeasure::Count,
        };
        match measure {
            EventMeasure::Count if filter.is_empty() => place.set(&mut self.always),
            EventMeasure::Unique { .. } if filter.is_empty() => (),
            measure => self.tested.push(TestedRule { place, measure, filter }),
        }
        self.rules.push(EventRule { index, measure });
        Ok(())
    }

    fn plain(&self) -> Option<PlainEvent> {
        let mut plain = PlainEvent { total: self.rules.first()?.index, uniques: [RuleIndex::NONE; 3] };
        let [user, project, namespace] = &mut plain.uniques;
        for rule in self.rules.iter().skip(1) {
            let EventMeasure::Unique { input } = rule.measure else { return None };
            let input = self.inputs.get(usize::from(input))?;
            let unique = match input.source {
                Source::User => &mut *user,
                Source::Project => &mut *project,
                Source::Namespace => &mut *namespace,
                _ => return None,
            };
            *unique = rule.index;
        }
        self.tested.is_empty().then_some(plain)
    }

    fn identifier_source(&self, rule: &Rule, name: &str) -> Result<Source, Error> {
        Ok(match name {
            "user" => Source::User,
            "project" => Source::Project,
            "namespace" => Source::Namespace,
            name if self.identifiers.iter().any(|known| **known == *name) => Source::Identifier(name.into()),
            name => self.property_source(rule, name)?,
        })
    }

    fn property_source(&self, rule: &Rule, name: &str) -> Result<Source, Error> {
        match name {
            "label" => Ok(Source::Label),
            "property" => Ok(Source::Property),
            "value" => Ok(Source::Value),
            name if self.customs.iter().any(|known| **known == *name) => Ok(Source::Custom(name.into())),
            name => Err(Error::new(
                ErrorKind::Definitions,
                format!(
                    "the rule `{}` needs `{name}`, which the event `{}` does not declare; add it to the event's \
                     `identifiers` or `additional_properties`",
                    rule.key(),
                    rule.event()
                ),
            )),
        }
    }
}

/// Beyond the limits of an event, which are held when all of its rules are known, any position will do.
fn position(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::frame::TimeFrame;

    fn definitions() -> Definitions {
        Definitions::new()
            .event(EventDefinition::new("pull_package").identifier("user").property().value())
            .and_then(|all| all.event(EventDefinition::new("gone").removed()))
            .and_then(|all| {
                all.metric(
                    MetricDefinition::new("counts.guests", TimeFrame::All)
                        .rule(Rule::count("pull_package").filter("property", "guest")),
                )
            })
            .unwrap()
    }

    #[test]
    fn each_event_has_its_total_and_equal_rules_are_shared() {
        let again = Rule::count("pull_package").filter("property", "guest");
        let plan = Plan::compile(&definitions(), &[again, Rule::unique("pull_package", "user")]).unwrap();
        let keys: Vec<_> = plan.rules().iter().map(Rule::key).collect();
        assert_eq!(keys, ["pull_package", "pull_package-user", "pull_package-filter:[property:guest]"]);
        let (_, event) = plan.find("pull_package").unwrap();
        assert_eq!(event.inputs.iter().map(|input| &input.source).collect::<Vec<_>>(), [&Source::User]);
        assert!(plan.find("gone").unwrap().1.rules.is_empty());
        assert!(plan.find("pull_packag").is_none());
    }

    #[test]
    fn a_rule_that_needs_what_no_event_declares_is_refused() {
        for rule in [
            Rule::count("nope"),
            Rule::unique("pull_package", "device"),
            Rule::per_value("pull_package", "x"),
        ] {
            let error = Plan::compile(&definitions(), std::slice::from_ref(&rule)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Definitions, "{}", rule.key());
        }
    }
}
