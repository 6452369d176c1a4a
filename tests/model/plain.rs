//! The plain model: maps of counts, and sets of identifiers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Debug;
use std::path::Path;

use headcount::{ErrorKind, Query, Reader, Rule, RuleKind, Sketch, TimeRange, Timestamp, Value};

use crate::common::{Cell, Contents, contents, ledger};
use crate::facts::{DAY, Fact, rules};
use crate::hyperloglog::{of_redis, registers};

const HOUR: i64 = 3_600;

/// What the store holds, durably.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plain {
    /// Contents but for sketches, with the keys that the file has.
    contents: Cells,
    pub(crate) ledger: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Default)]
struct Cells {
    counts: BTreeMap<Cell, u64>,
    sums: BTreeMap<Cell, f64>,
    per_value: BTreeMap<(i64, String, String), u64>,
    users: BTreeMap<Cell, HashSet<String>>,
}

/// What retention has left, as the store tells: the first days whose hours, and that themselves, are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) hours_from: i64,
    pub(crate) days_from: i64,
}

impl Kept {
    pub(crate) fn of(reader: &Reader) -> Self {
        let retained = reader.retention().unwrap();
        let day = |at: Option<Timestamp>| at.map_or(0, |at| at.unix_seconds() / DAY);
        Self { hours_from: day(retained.hours_from), days_from: day(retained.days_from) }
    }

    /// Whether a bucket must be there. What goes goes in pieces, so that others may be there or not.
    fn has(self, bucket: i64) -> bool {
        let index = bucket & 0xff_ffff_ffff;
        match bucket >> 40 {
            1 => index / 24 >= self.hours_from,
            2 => index >= self.days_from,
            _ => true,
        }
    }
}

fn hour(at: i64) -> i64 {
    1 << 40 | at.div_euclid(HOUR)
}

fn day(at: i64) -> i64 {
    2 << 40 | at.div_euclid(DAY)
}

/// Names the first thing that two maps do not have alike.
fn assert_same<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
) {
    let differs = |key: &&K| found.get(*key) != expected.get(*key);
    if let Some(key) = found.keys().chain(expected.keys()).find(differs) {
        panic!("{what}: {key:?} is {:?}, expected {:?}", found.get(key), expected.get(key));
    }
}

fn only<K: Ord + Clone, V: Clone>(cells: &BTreeMap<K, V>, keep: impl Fn(&K) -> bool) -> BTreeMap<K, V> {
    cells.iter().filter(|(key, _)| keep(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Every rule, the totals among them.
fn all_rules() -> Vec<Rule> {
    let mut all = rules();
    all.extend(["built", "viewed"].map(Rule::count));
    all
}

impl Plain {
    pub(crate) fn add(&mut self, fact: &Fact, at: i64) {
        for rule in all_rules() {
            let wanted = |(name, value): (&str, &headcount::FilterValue)| {
                let has = if name == "label" { fact.label } else { fact.platform };
                value.as_text() == Some(has)
            };
            if rule.event() != fact.event || !rule.filters().all(wanted) {
                continue;
            }
            let (key, all) = (rule.key(), &mut self.contents);
            match rule.kind() {
                RuleKind::Count => {
                    for bucket in [0, hour(at), day(at)] {
                        *all.counts.entry((bucket, key.clone())).or_default() += 1;
                    }
                }
                RuleKind::Sum => {
                    let Some(value) = fact.sum() else { continue };
                    for bucket in [0, hour(at), day(at)] {
                        *all.sums.entry((bucket, key.clone())).or_default() += value;
                    }
                }
                RuleKind::Unique => {
                    let id = match rule.identifier() {
                        Some("device") => fact.device.map(|device| device.to_string()).unwrap_or_default(),
                        _ => fact.user.clone(),
                    };
                    if !id.is_empty() {
                        all.users.entry((day(at), key)).or_default().insert(id);
                    }
                }
                _ => {
                    for bucket in [0, day(at)] {
                        if !fact.label.is_empty() {
                            let cell = (bucket, key.clone(), fact.label.to_owned());
                            *all.per_value.entry(cell).or_default() += 1;
                        }
                    }
                }
            }
        }
        self.note("stored", 1);
    }

    pub(crate) fn note(&mut self, entry: &str, count: u64) {
        *self.ledger.entry(entry.to_owned()).or_default() += count;
    }

    /// Adds what another model has.
    pub(crate) fn unite(&mut self, other: Self) {
        let Cells { counts, sums, per_value, users } = other.contents;
        for (cell, count) in counts {
            *self.contents.counts.entry(cell).or_default() += count;
        }
        for (cell, sum) in sums {
            *self.contents.sums.entry(cell).or_default() += sum;
        }
        for (cell, count) in per_value {
            *self.contents.per_value.entry(cell).or_default() += count;
        }
        for (cell, ids) in users {
            self.contents.users.entry(cell).or_default().extend(ids);
        }
        for (entry, count) in other.ledger {
            self.note(&entry, count);
        }
    }

    pub(crate) fn stored(&self) -> u64 {
        self.ledger.get("stored").copied().unwrap_or(0)
    }

    /// Every row of the file that is kept, but for what is in sketches.
    pub(crate) fn assert_rows(&self, path: &Path, kept: Kept) -> Contents {
        let found = contents(path);
        let cells = |cell: &Cell| kept.has(cell.0);
        let values = |cell: &(i64, String, String)| kept.has(cell.0);
        assert_same("counts", &only(&found.counts, cells), &only(&self.contents.counts, cells));
        assert_same("sums", &only(&found.sums, cells), &only(&self.contents.sums, cells));
        let expected = only(&self.contents.per_value, values);
        assert_same("counts per value", &only(&found.per_value, values), &expected);
        let days = |cell: &&Cell| cell.0 >> 40 == 2 && kept.has(cell.0);
        let stored: BTreeSet<_> = found.sketches.keys().filter(days).collect();
        assert_eq!(
            stored,
            self.contents.users.keys().filter(days).collect::<BTreeSet<_>>(),
            "days of sketches"
        );
        let noted = ledger(path).into_iter().filter(|(entry, _)| !entry.starts_with("noted")).collect();
        assert_same("ledger", &noted, &self.ledger);
        found
    }

    /// Every register of every day that is kept too.
    pub(crate) fn assert_file(&self, path: &Path, kept: Kept) {
        let found = self.assert_rows(path, kept);
        for (cell, ids) in self.contents.users.iter().filter(|(cell, _)| kept.has(cell.0)) {
            let sketch = Sketch::decode(&found.sketches[cell]).unwrap();
            assert!(of_redis(&sketch.to_redis()) == registers(ids), "the registers of {cell:?}");
        }
    }

    /// The answer to one question over whole days, or hours for totals and sums: the truth, also where some of it is known in longer
    /// buckets only, or that it is not kept, which must be so.
    pub(crate) fn assert_answer(&self, reader: &Reader, rule: &Rule, range: Option<TimeRange>) {
        let mut query = Query::of_rule(rule.clone());
        if let Some(range) = range {
            query = query.range(range);
        }
        let answer = match reader.value(&query) {
            Err(error) if error.kind() == ErrorKind::NotKept => {
                let kept = Kept::of(reader);
                let from = range.unwrap().from().unix_seconds() / DAY;
                assert!(from < kept.hours_from.max(kept.days_from), "{range:?}: {error}, with {kept:?}");
                return;
            }
            answer => answer.unwrap(),
        };
        let key = rule.key();
        let by_hour = matches!(rule.kind(), RuleKind::Count | RuleKind::Sum);
        let (first, step) = if by_hour { (hour(0), HOUR) } else { (day(0), DAY) };
        let edge = |at: Timestamp| first + at.unix_seconds() / step;
        let buckets = range.map_or(first..first + (1 << 39), |range| edge(range.from())..edge(range.to()));
        let has = |cell: &Cell| cell.1 == key && buckets.contains(&cell.0);
        let what = format!("{key} over {range:?}");
        match answer.value {
            Value::Count(count) => {
                let counts = self.contents.counts.iter().filter(|(cell, _)| has(cell));
                assert_eq!(count, counts.map(|(_, count)| count).sum::<u64>(), "{what}");
            }
            Value::Sum { sum, saturated } => {
                let sums = self.contents.sums.iter().filter(|(cell, _)| has(cell));
                assert_eq!((sum, saturated), (sums.map(|(_, sum)| sum).sum::<f64>() + 0.0, false), "{what}");
            }
            Value::Unique(estimate) => {
                let days = self.contents.users.iter().filter(|(cell, _)| has(cell));
                let ids: HashSet<_> = days.flat_map(|(_, ids)| ids).collect();
                let off = (estimate - f64::from(u32::try_from(ids.len()).unwrap())).abs();
                assert!(off <= 4.0 * answer.standard_error, "{what}: {} are {answer}", ids.len());
            }
            Value::PerValue(_) => {
                let mut expected = BTreeMap::<String, u64>::new();
                for ((bucket, series, text), count) in &self.contents.per_value {
                    if *series == key && buckets.contains(bucket) {
                        *expected.entry(text.clone()).or_default() += count;
                    }
                }
                assert_eq!(answer.value.per_value(), Some(&expected), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }

    /// The rules to ask for.
    pub(crate) fn rules() -> Vec<Rule> {
        all_rules()
    }
}
