//! What can be asked, and what is answered.

use std::collections::BTreeMap;
use std::fmt;

use crate::definition::filter::FilterValue;
use crate::definition::metric::MetricDefinition;
use crate::definition::rule::Rule;
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// A question to a store: what to make of which events, over which time.
///
/// Without a range it is about everything that was recorded. Several events add up, or unite for uniques.
///
/// ```
/// use headcount::Query;
///
/// let openers = Query::unique("issue_created", "user").and_event("epic_created").last_days(28);
/// let from_the_web = Query::total("issue_created").filter("label", "web");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a query does nothing until a store or reader answers it"]
pub struct Query {
    pub(crate) rules: Vec<Rule>,
    pub(crate) span: Span,
    pub(crate) as_of: Option<Timestamp>,
}

/// The time that a query is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Span {
    AllTime,
    Range(TimeRange),
    /// Whole days, ending with the running one.
    LastDays(u32),
}

impl Query {
    /// How often the event happened.
    pub fn total(event: impl Into<String>) -> Self {
        Self::of_rule(Rule::count(event))
    }

    /// The sum of the event's `value`.
    pub fn sum(event: impl Into<String>) -> Self {
        Self::of_rule(Rule::sum(event))
    }

    /// How many distinct identifiers (`user`) or values of a property (`label`) the event happened to.
    pub fn unique(event: impl Into<String>, identifier: impl Into<String>) -> Self {
        Self::of_rule(Rule::unique(event, identifier))
    }

    /// How often the event happened for each value of a property.
    pub fn per_value(event: impl Into<String>, property: impl Into<String>) -> Self {
        Self::of_rule(Rule::per_value(event, property))
    }

    /// What a rule keeps.
    pub fn of_rule(rule: Rule) -> Self {
        Self { rules: vec![rule], span: Span::AllTime, as_of: None }
    }

    /// What a metric counts, over the time that the caller chooses.
    pub fn of_metric(metric: &MetricDefinition) -> Self {
        Self::of_rules(metric.rules())
    }

    pub(crate) fn of_rules(rules: &[Rule]) -> Self {
        let mut distinct: Vec<Rule> = Vec::with_capacity(rules.len());
        for rule in rules {
            if !distinct.contains(rule) {
                distinct.push(rule.clone());
            }
        }
        Self { rules: distinct, span: Span::AllTime, as_of: None }
    }

    /// The same of another event as well.
    pub fn and_event(mut self, event: impl Into<String>) -> Self {
        if let Some(first) = self.rules.first() {
            let rule = first.clone().on(event);
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        }
        self
    }

    /// Only events whose property `key` equals `value`; several filters must all hold.
    ///
    /// The rule with this filter must be recorded: by a metric, or by [`Builder::record`](crate::Builder::record).
    pub fn filter(mut self, key: impl Into<String>, value: impl Into<FilterValue>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.rules = self.rules.into_iter().map(|rule| rule.filter(key.clone(), value.clone())).collect();
        self
    }

    /// Over this range. Totals and sums need edges on full hours, uniques and values per property on UTC midnights.
    pub fn range(mut self, range: TimeRange) -> Self {
        self.span = Span::Range(range);
        self
    }

    /// Over the last `days` UTC days, ending with the running one.
    pub fn last_days(mut self, days: u32) -> Self {
        self.span = Span::LastDays(days);
        self
    }

    /// As it was at this instant, instead of now: what happened in hours (uniques: days) that began later is left out.
    pub fn as_of(mut self, instant: Timestamp) -> Self {
        self.as_of = Some(instant);
        self
    }

    /// The rules that answer the query.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// The answer to a [`Query`].
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, Event, EventDefinition, MetricDefinition, Query, Rule, Store, TimeFrame};
/// # let definitions = Definitions::new()
/// #     .event(EventDefinition::new("issue_created").identifier("user"))?
/// #     .metric(MetricDefinition::new("users", TimeFrame::SevenDays).rule(Rule::unique("issue_created", "user")))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// store.tracker().track(Event::new("issue_created").user(42));
/// store.flush()?;
/// let openers = store.value(&Query::unique("issue_created", "user").last_days(28))?;
/// assert_eq!(openers.count(), Some(1));
/// assert_eq!(openers.standard_error, 0.0);
/// assert!(openers.partial); // today is not over
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The number, or the numbers per value.
    pub value: Value,
    /// One standard deviation of the value's error: 0 for counts, sums and counts per value, which are exact.
    pub standard_error: f64,
    /// The time that the value is about.
    pub window: TimeRange,
    /// Since when the rules were recorded without a gap, until the end of the window; of several rules the latest. Of everything:
    /// when they were first recorded.
    pub since: Timestamp,
    /// Whether the window is not over, or the rules were not recorded during all of it.
    pub partial: bool,
    /// When the newest commit was cut that the value can contain; `None` when nothing was ever committed.
    pub freshness: Option<Timestamp>,
}

/// What a query or a metric amounts to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// How many events there were; exact.
    Count(u64),
    /// The sum of their values, and whether it stopped at the largest double.
    Sum {
        /// The sum.
        sum: f64,
        /// Whether additions passed the largest double, so that the sum is only a bound.
        saturated: bool,
    },
    /// The estimated number of distinct identifiers, not rounded.
    Unique(f64),
    /// For each property that was asked for, how many events there were for each of its values; what came after 1,000 values is
    /// counted under `(other)`.
    PerValue(BTreeMap<String, BTreeMap<String, u64>>),
}

impl Answer {
    /// A count, or a unique estimate rounded to an integer.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        self.value.count()
    }

    /// Whether the truth may differ from the value by chance.
    #[must_use]
    pub fn is_estimate(&self) -> bool {
        matches!(self.value, Value::Unique(_))
    }
}

/// The number, with its standard error where that does not round to nothing: `1204 ±9`. Counts per value as `web 2, api 1`, the
/// largest first.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Count(count) => write!(f, "{count}"),
            Value::Sum { sum, .. } => write!(f, "{sum}"),
            Value::Unique(estimate) => match self.standard_error.round() {
                error if error < 1.0 => write!(f, "{}", estimate.round()),
                error => write!(f, "{} ±{error}", estimate.round()),
            },
            Value::PerValue(properties) => {
                let mut counts: Vec<_> = properties.values().flatten().collect();
                counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
                for (position, (value, count)) in counts.into_iter().enumerate() {
                    let gap = if position == 0 { "" } else { ", " };
                    write!(f, "{gap}{value} {count}")?;
                }
                Ok(())
            }
        }
    }
}

impl Value {
    /// A count, or a unique estimate rounded to an integer.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate is finite, not negative and far below 2^63"
    )]
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Count(count) => Some(*count),
            Self::Unique(estimate) => Some(estimate.round() as u64),
            Self::Sum { .. } | Self::PerValue(_) => None,
        }
    }

    /// The counts for each value of the property that was asked for; of the first one, where a metric asks for several.
    #[must_use]
    pub fn per_value(&self) -> Option<&BTreeMap<String, u64>> {
        match self {
            Self::PerValue(properties) => properties.values().next(),
            Self::Count(_) | Self::Sum { .. } | Self::Unique(_) => None,
        }
    }

    /// The number as a double, of whatever kind it is.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts above 2^53 lose their last digits, as documented for doubles"
    )]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Sum { sum, .. } => Some(*sum),
            Self::Unique(estimate) => Some(*estimate),
            Self::PerValue(_) => None,
        }
    }
}
