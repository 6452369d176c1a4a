//! The names that GitLab gives to keys in Redis, from rules to keys and back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use crate::definition::Definitions;
use crate::definition::pairs::read_pairs;
use crate::definition::rule::{Rule, RuleKind};
use crate::definition::words::DataSource;
use crate::error::Error;
use crate::storage::arrival::Frame;
use crate::time::week::IsoWeek;

/// What stands before the path of a key: as a hash tag it keeps all keys of one kind in one slot of a cluster.
pub(super) const SLOTS: [&str; 3] = ["{event_counters}_", "{event_sums}_", "{hll_counters}_"];
/// A pattern that all of them match.
pub(super) const ANY_SLOT: &str = "{*s}_";
/// What the oldest names begin with.
pub(super) const OLDER: &str = "USAGE_";
/// The form of `-2024-20`, the week at the end of a key.
const WEEK_BYTES: usize = 8;

/// How GitLab names keys in Redis, but for those that have kept an older name.
///
/// A key is `{event_counters}_`, `{event_sums}_` or `{hll_counters}_`, the path of the rule
/// (`event[-operator:op][-filter:[k:v,...]][-identifier]`), and for a week `-2024-20`, the year and number of the ISO week.
/// Nothing is escaped; numbers in filters are the shortest decimal that reads back, so that 60.0 is `60`. Metrics
/// that GitLab still defines by `data_source: redis_hll` and `redis` have `{hll_counters}_<event>-2024-20` and `USAGE_<PREFIX>_<EVENT>`.
///
/// ```
/// use headcount::{RedisNames, Rule};
///
/// let names = RedisNames::new();
/// let rule = Rule::unique("issue_created", "user").filter("label", "web");
/// assert_eq!(names.all_time(&rule), "{hll_counters}_issue_created-filter:[label:web]-user");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisNames {
    /// Paths of distinct ones that have another path.
    paths: BTreeMap<String, String>,
    /// Keys of totals, without a week, that have another name.
    totals: BTreeMap<String, String>,
    legacy: BTreeSet<Rule>,
}

impl RedisNames {
    /// GitLab's names, without exceptions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the exceptions of a file: a YAML mapping of names to the names that are used instead. GitLab keeps them in
    /// `hll_redis_key_overrides.yml`, whose names are paths, and in `total_counter_redis_key_overrides.yml`, whose names are whole
    /// keys.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) and [`ErrorKind::Definitions`](crate::ErrorKind::Definitions), with the line, when
    /// the file cannot be read.
    pub fn overrides_from(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        for (name, instead) in read_pairs(path.as_ref())? {
            if name.starts_with('{') {
                self.totals.insert(name, instead);
            } else {
                self.paths.insert(name, instead);
            }
        }
        Ok(self)
    }

    /// The key of a rule for all time.
    #[must_use]
    pub fn all_time(&self, rule: &Rule) -> String {
        self.key(rule, Frame::AllTime)
    }

    /// The key of a rule for a week.
    #[must_use]
    pub fn week(&self, rule: &Rule, week: IsoWeek) -> String {
        self.key(rule, Frame::Week(week))
    }

    /// Knows which rules have the names that GitLab gave before there were rules.
    pub(super) fn of(mut self, definitions: &Definitions) -> Self {
        let is_legacy = |source| matches!(source, DataSource::Redis | DataSource::RedisHll);
        let (legacy, other): (Vec<_>, Vec<_>) =
            definitions.metrics().partition(|metric| is_legacy(metric.data_source()));
        let named: BTreeSet<&Rule> = other.iter().flat_map(|metric| metric.rules()).collect();
        self.legacy = legacy
            .iter()
            .flat_map(|metric| metric.rules())
            .filter(|rule| !named.contains(rule))
            .cloned()
            .collect();
        self
    }

    pub(super) fn key(&self, rule: &Rule, frame: Frame) -> String {
        let mut key = self.base(rule, frame);
        if let Frame::Week(week) = frame {
            let text = week.to_string();
            let (year, week) = text.split_once("-W").unwrap_or((&text, ""));
            // Writing to a String cannot fail.
            let _ = write!(key, "-{year}-{week}");
        }
        self.totals.get(&key).cloned().unwrap_or(key)
    }

    fn base(&self, rule: &Rule, frame: Frame) -> String {
        let is_legacy = self.legacy.contains(rule);
        match rule.kind() {
            RuleKind::Count if is_legacy && frame == Frame::AllTime => {
                format!("USAGE_{}", rule.event().to_uppercase())
            }
            RuleKind::Count => format!("{{event_counters}}_{}", path(rule)),
            RuleKind::Sum => format!("{{event_sums}}_{}", path(rule)),
            RuleKind::Unique | RuleKind::PerValue => {
                let path = if is_legacy { rule.event().to_owned() } else { path(rule) };
                format!("{{hll_counters}}_{}", self.paths.get(&path).unwrap_or(&path))
            }
        }
    }
}

/// GitLab's path: nothing is escaped.
fn path(rule: &Rule) -> String {
    let mut path = rule.event().to_owned();
    match rule.kind() {
        RuleKind::Sum => path.push_str("-operator:sum(value)"),
        RuleKind::PerValue => path.push_str("-operator:total"),
        RuleKind::Count | RuleKind::Unique => {}
    }
    for (position, (name, value)) in rule.filters().enumerate() {
        let before = if position == 0 { "-filter:[" } else { "," };
        let _ = write!(path, "{before}{name}:{value}");
    }
    if rule.filters().len() > 0 {
        path.push(']');
    }
    if let Some(identifier) = rule.identifier() {
        path.push('-');
        path.push_str(identifier);
    }
    path
}

/// Which rule and time a key is about.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By key without a week; the place of the rule.
    of_weeks: HashMap<String, usize>,
    of_all_time: HashMap<String, usize>,
}

impl Places {
    /// The places of the keys of these rules. Where rules share a key, the first one has it.
    pub(super) fn of(names: &RedisNames, rules: &[Rule]) -> Self {
        let (mut of_weeks, mut of_all_time) = (HashMap::new(), HashMap::new());
        for (place, rule) in rules.iter().enumerate() {
            // GitLab has no distinct ones of all time.
            if rule.kind() != RuleKind::Unique {
                of_all_time.entry(names.key(rule, Frame::AllTime)).or_insert(place);
            }
            of_weeks.entry(names.base(rule, Frame::Week(IsoWeek::from_index(0)))).or_insert(place);
        }
        Self { of_weeks, of_all_time }
    }

    /// The place of the rule, and the time.
    pub(super) fn find(&self, key: &str) -> Option<(usize, Frame)> {
        if let Some(place) = self.of_all_time.get(key) {
            return Some((*place, Frame::AllTime));
        }
        let (base, week) = key.split_at_checked(key.len().checked_sub(WEEK_BYTES)?)?;
        let (year, number) = week.strip_prefix('-')?.split_once('-')?;
        let week = IsoWeek::parse(&format!("{year}-W{number}")).ok()?;
        Some((*self.of_weeks.get(base)?, Frame::Week(week)))
    }

    /// The keys that no slot leads to: older names.
    pub(super) fn untagged(&self) -> impl Iterator<Item = &str> {
        self.of_all_time
            .keys()
            .map(String::as_str)
            .filter(|key| !SLOTS.iter().any(|slot| key.starts_with(slot)))
    }
}

/// Whether a key has the form of GitLab's, of today or of old.
pub(super) fn is_named(key: &[u8]) -> bool {
    SLOTS.iter().chain([&OLDER]).any(|begin| key.starts_with(begin.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_original() {
        let names = RedisNames::new();
        let week = IsoWeek::parse("2024-W20").unwrap();
        let npm = Rule::count("push_package_to_registry").filter("label", "npm");
        for (key, expected) in [
            (
                names.all_time(&Rule::count("push_package_to_registry")),
                "{event_counters}_push_package_to_registry",
            ),
            (names.week(&npm, week), "{event_counters}_push_package_to_registry-filter:[label:npm]-2024-20"),
            (
                names.week(&Rule::unique("create_ci_build", "user"), week),
                "{hll_counters}_create_ci_build-user-2024-20",
            ),
            (
                names.all_time(&Rule::sum("x").filter("label", "failure")),
                "{event_sums}_x-operator:sum(value)-filter:[label:failure]",
            ),
            (
                names.week(
                    &Rule::per_value("gitlab_cli_command_used", "label"),
                    IsoWeek::parse("2025-W20").unwrap(),
                ),
                "{hll_counters}_gitlab_cli_command_used-operator:total-label-2025-20",
            ),
            (
                names.all_time(&Rule::count("x").filter("k", 60).filter("a", 12.4)),
                "{event_counters}_x-filter:[a:12.4,k:60]",
            ),
        ] {
            assert_eq!(key, expected);
        }
    }

    #[test]
    fn every_key_leads_back_to_its_rule_and_time() {
        let rules = [
            Rule::count("a"),
            Rule::count("a").filter("label", "b-2024-20"),
            Rule::unique("a", "user"),
            Rule::sum("a"),
            Rule::per_value("a", "label"),
        ];
        let names = RedisNames::new();
        let places = Places::of(&names, &rules);
        let weeks = ["2020-W53", "2024-W01", "2024-W20"].map(|week| IsoWeek::parse(week).unwrap());
        for (place, rule) in rules.iter().enumerate() {
            for frame in weeks.map(Frame::Week).into_iter().chain([Frame::AllTime]) {
                let is_none = rule.kind() == RuleKind::Unique && frame == Frame::AllTime;
                let expected = (!is_none).then_some((place, frame));
                assert_eq!(places.find(&names.key(rule, frame)), expected, "{rule:?}");
            }
        }
        for unknown in [
            "",
            "{event_counters}_b",
            "{event_counters}_a-2021-53",
            "{event_counters}_a-2024-2",
            "é-2024-20",
            "{event_counters}_a-0024-99",
        ] {
            assert_eq!(places.find(unknown), None, "{unknown}");
        }
    }
}
