//! Comparing a Redis with what a store holds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::redis::export::PATIENCE;
use crate::redis::holdings::{Held, holdings};
use crate::redis::keys::{self, Place};
use crate::redis::mark::is_mark;
use crate::redis::names::{Places, RedisNames};
use crate::redis::patience::Patient;
use crate::redis::value::{Raw, shown, shown_key};
use crate::report::evaluate::Amount;
use crate::report::reader::Reader;
use crate::sketch::Sketch;
use crate::storage::arrival::{Arrived, Frame};
use crate::time::week::IsoWeek;

/// Redis adds up in steps, in numbers longer than doubles, and writes 17 digits behind the point.
const SUM_TOLERANCE: f64 = 1e-9;

/// Compares a Redis with a store, key by key: counts, values and registers must be equal, sums to nine digits.
///
/// It looks at the keys of all time and of the last six weeks. While somebody counts, the newest events are on one side first.
///
/// ```no_run
/// use headcount::{Reader, RedisVerify};
///
/// for difference in RedisVerify::new().server(&Reader::open("usage.db")?, "redis://localhost/0")?.differences {
///     println!("{}: here {}, in Redis {}", difference.key, difference.here, difference.in_redis);
/// }
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it compares nothing until it is given a store"]
pub struct RedisVerify {
    names: RedisNames,
}

/// What a comparison has found.
///
/// ```
/// assert!(headcount::RedisVerified::default().differences.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedisVerified {
    /// Keys that are the same on both sides.
    pub equal: u64,
    /// Keys that are not, in order.
    pub differences: Vec<RedisDifference>,
    /// Keys with GitLab's prefixes that no definition explains, in order; they are not compared.
    pub unknown: Vec<String>,
    /// Keys whose amounts the store cannot tell, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// A key that is not the same on both sides.
///
/// ```no_run
/// # let verified = headcount::RedisVerified::default();
/// println!("{}", verified.differences[0].key);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisDifference {
    /// The key.
    pub key: String,
    /// What the store has, for people.
    pub here: String,
    /// What Redis has, for people.
    pub in_redis: String,
}

impl RedisVerify {
    /// A comparison by GitLab's names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keys are named so.
    pub fn names(mut self, names: RedisNames) -> Self {
        self.names = names;
        self
    }

    /// Compares a server, or a cluster.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable); [`ErrorKind::Definitions`](crate::ErrorKind::Definitions); the errors
    /// of reading the store. A key whose value cannot be read is a difference.
    pub fn server(&self, reader: &Reader, url: &str) -> Result<RedisVerified, Error> {
        let now = reader.clock_now();
        let mut server = Patient::connect(url, PATIENCE)?;
        let holdings = holdings(reader, &self.names, now)?;
        let names = self.names.clone().of(&*reader.definitions()?);
        let places = Places::of(&names, &holdings.rules);
        let found = keys::find(&mut server, &places, &holdings.rules, Duration::ZERO, &mut |_| {})?;
        let unknown = found.unknown.iter().filter(|key| !is_mark(key));
        let mut verified = RedisVerified {
            unknown: unknown.map(|key| shown_key(key)).collect(),
            left_out: holdings.left_out,
            ..RedisVerified::default()
        };
        let mut here: BTreeMap<&str, &Held> =
            holdings.held.iter().map(|held| (held.key.as_str(), held)).collect();
        let is_unsure: Vec<&str> = verified.left_out.iter().map(|(key, _)| key.as_str()).collect();
        // Weeks that GitLab's keys outlive only by their last write are compared no more.
        let first = IsoWeek::of(now).minus(super::holdings::WEEKS_KEPT - 1);
        let is_compared = |place: &&Place| match place.frame {
            Frame::Week(week) => week >= first && !is_unsure.contains(&place.key.as_str()),
            Frame::AllTime => !is_unsure.contains(&place.key.as_str()),
        };
        let known: Vec<Place> = found.known.iter().filter(is_compared).cloned().collect();
        let (mut equal, mut differences) = (0, Vec::new());
        keys::read(&mut server, &known, Duration::ZERO, &mut |place, raw| {
            match compare(place, here.remove(place.key.as_str()), &raw) {
                None => equal += 1,
                Some(difference) => differences.push(difference),
            }
            Ok(())
        })?;
        differences.extend(here.into_values().map(|held| RedisDifference {
            key: held.key.clone(),
            here: describe(&held.amount),
            in_redis: "nothing".to_owned(),
        }));
        differences.sort_by(|a, b| a.key.cmp(&b.key));
        (verified.equal, verified.differences) = (equal, differences);
        Ok(verified)
    }
}

fn compare(place: &Place, held: Option<&Held>, raw: &Raw) -> Option<RedisDifference> {
    let different = |in_redis: String| {
        let here = held.map_or_else(|| "nothing".to_owned(), |held| describe(&held.amount));
        Some(RedisDifference { key: place.key.clone(), here, in_redis })
    };
    let amount = match raw.read(&place.key, place.kind).and_then(amount) {
        Ok(amount) => amount,
        Err(_) => return different(unreadable(raw)),
    };
    let nothing = match place.kind {
        RuleKind::Count => Amount::Count(0),
        RuleKind::Sum => Amount::Sum(0.0),
        RuleKind::Unique => Amount::Unique(Box::default()),
        RuleKind::PerValue => Amount::PerValue(BTreeMap::new()),
    };
    let here = held.map_or(&nothing, |held| &held.amount);
    if is_equal(here, &amount) { None } else { different(describe(&amount)) }
}

fn unreadable(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) => format!("{}, which cannot be read", shown(text)),
        Raw::Hash(fields) => format!("a hash of {} fields that cannot be read", fields.len()),
        Raw::Other(name) => format!("a {name}"),
    }
}

fn amount(arrived: Arrived) -> Result<Amount, Error> {
    Ok(match arrived {
        Arrived::Count(count) => Amount::Count(count),
        Arrived::Sum(sum) => Amount::Sum(sum),
        Arrived::Unique(string) => Amount::Unique(Box::new(Sketch::from_redis(&string)?)),
        Arrived::PerValue(values) => Amount::PerValue(values.into_iter().collect()),
    })
}

fn is_equal(here: &Amount, there: &Amount) -> bool {
    match (here, there) {
        (Amount::Sum(here), Amount::Sum(there)) => {
            (here - there).abs() <= SUM_TOLERANCE * here.abs().max(there.abs()).max(1.0)
        }
        (Amount::Unique(here), Amount::Unique(there)) => here.to_redis() == there.to_redis(),
        (Amount::PerValue(here), Amount::PerValue(there)) => {
            let counted = |values: &BTreeMap<String, u64>| -> Vec<(String, u64)> {
                values
                    .iter()
                    .filter(|(_, count)| **count > 0)
                    .map(|(value, count)| (value.clone(), *count))
                    .collect()
            };
            counted(here) == counted(there)
        }
        _ => here == there,
    }
}

fn describe(amount: &Amount) -> String {
    match amount {
        Amount::Count(count) => count.to_string(),
        Amount::Sum(sum) => sum.to_string(),
        Amount::Unique(sketch) => format!("{} distinct", sketch.estimate().rounded()),
        Amount::PerValue(values) => {
            let total: u64 = values.values().fold(0, |total, count| total.saturating_add(*count));
            format!("{total} over {} values", values.values().filter(|count| **count > 0).count())
        }
    }
}
