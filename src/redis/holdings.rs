//! What a store holds, as the keys that GitLab would have.

use std::collections::BTreeMap;

use crate::definition::rule::{Rule, RuleKind};
use crate::error::{Error, ErrorKind};
use crate::plan::Plan;
use crate::redis::names::{Places, RedisNames};
use crate::report::evaluate::{Amount, Evaluation};
use crate::report::known::Known;
use crate::report::query::Query;
use crate::report::reader::{Reader, stored_definitions};
use crate::sketch::{Sketch, SketchKind};
use crate::storage::arrival::Frame;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// How many weeks GitLab keeps a key of a week.
pub(super) const WEEKS_KEPT: u32 = 6;
const SECONDS_PER_WEEK: i64 = 7 * 86_400;

/// A key that the store has something for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) key: String,
    pub(super) kind: RuleKind,
    pub(super) amount: Amount,
    /// When GitLab's key would end; all time never does.
    pub(super) expires_at: Option<Timestamp>,
}

/// All of them at one moment.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    pub(super) rules: Vec<Rule>,
    pub(super) places: Places,
    /// The first week that is looked at.
    pub(super) first_week: Option<IsoWeek>,
    pub(super) held: Vec<Held>,
    /// Keys whose amounts are not known, and why.
    pub(super) left_out: Vec<(String, String)>,
}

/// Reads them: of all time, and of the weeks whose keys GitLab would still have.
pub(super) fn holdings(reader: &Reader, names: &RedisNames, now: Timestamp) -> Result<Holdings, Error> {
    let definitions = reader.definitions()?;
    let names = names.clone().of(&definitions);
    let mut recorded = reader.read(stored_definitions)?.map(|(_, recorded)| recorded).unwrap_or_default();
    recorded.retain(|rule| definitions.find_event(rule.event()).is_some());
    let rules = Plan::compile(&definitions, &recorded)?.rules().to_vec();
    let running = IsoWeek::of(now);
    let weeks = (0..WEEKS_KEPT).map(|ago| running.minus(ago)).map(Frame::Week);
    let frames: Vec<Frame> = weeks.chain([Frame::AllTime]).collect();
    let mut holdings = Holdings::default();
    reader.read(|snapshot| {
        let known = Known::for_many(snapshot)?;
        for rule in &rules {
            let evaluation = match Evaluation::of(&known, &Query::of_rule(rule.clone()), now) {
                Ok(evaluation) => evaluation,
                // Nobody has recorded it: there would be no key.
                Err(error) if matches!(error.kind(), ErrorKind::NotRecorded | ErrorKind::UnknownEvent) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            for frame in &frames {
                // GitLab has no distinct ones of all time.
                if *frame == Frame::AllTime && rule.kind() == RuleKind::Unique {
                    continue;
                }
                holdings.add(rule, names.key(rule, *frame), *frame, &evaluation, now);
            }
        }
        Ok(())
    })?;
    holdings.held.sort_by(|a, b| a.key.cmp(&b.key));
    // Rules of older metrics may share a key; the first one has it.
    holdings.held.dedup_by(|a, b| a.key == b.key);
    holdings.places = Places::of(&names, &rules);
    holdings.first_week = Some(running.minus(WEEKS_KEPT - 1));
    holdings.rules = rules;
    Ok(holdings)
}

impl Holdings {
    fn add(&mut self, rule: &Rule, key: String, frame: Frame, evaluation: &Evaluation<'_>, now: Timestamp) {
        let range = match frame {
            Frame::Week(week) => Some(week.range()),
            Frame::AllTime => None,
        };
        match evaluation.amount(range) {
            Ok(amount) if is_nothing(&amount) => {}
            Ok(amount) => {
                let kind = rule.kind();
                self.held.push(Held { key, kind, amount, expires_at: expiry(kind, frame, now) });
            }
            Err(error) => self.left_out.push((key, error.to_string())),
        }
    }

    /// What a key holds of which the store has nothing (any more); `None` for keys that are not looked at.
    pub(super) fn nothing_of(&self, key: &str, now: Timestamp) -> Option<Held> {
        let is_held = self.held.binary_search_by(|held| held.key.as_str().cmp(key)).is_ok();
        if is_held || self.left_out.iter().any(|(of, _)| of == key) {
            return None;
        }
        let (rule, frame) = self.places.find(key)?;
        if matches!(frame, Frame::Week(week) if Some(week) < self.first_week) {
            return None;
        }
        let kind = self.rules.get(rule)?.kind();
        let amount = match kind {
            RuleKind::Count => Amount::Count(0),
            RuleKind::Sum => Amount::Sum(0.0),
            RuleKind::Unique => Amount::Unique(Box::default()),
            RuleKind::PerValue => Amount::PerValue(BTreeMap::new()),
        };
        Some(Held { key: key.to_owned(), kind, amount, expires_at: expiry(kind, frame, now) })
    }

    /// How many sketches are exact here, and get the error of registers in Redis.
    pub(super) fn small_sketches(&self) -> u64 {
        let is_small = |held: &&Held| match &held.amount {
            Amount::Unique(sketch) => sketch.kind() == SketchKind::Codes,
            _ => false,
        };
        self.held.iter().filter(is_small).count() as u64
    }
}

/// Six weeks after the first write of a counter, and after the last one of distinct ones; as far as that is known.
fn expiry(kind: RuleKind, frame: Frame, now: Timestamp) -> Option<Timestamp> {
    let Frame::Week(week) = frame else { return None };
    let written = match kind {
        RuleKind::Unique => week.next().start().min(now),
        RuleKind::Count | RuleKind::Sum | RuleKind::PerValue => week.start(),
    };
    Some(written.plus_seconds(i64::from(WEEKS_KEPT) * SECONDS_PER_WEEK))
}

fn is_nothing(amount: &Amount) -> bool {
    match amount {
        Amount::Count(count) => *count == 0,
        Amount::Sum(sum) => *sum == 0.0,
        Amount::Unique(sketch) => sketch.is_empty(),
        Amount::PerValue(values) => values.values().all(|count| *count == 0),
    }
}

/// The string that Redis itself would have: sparse where it fits.
pub(super) fn redis_string(sketch: &Sketch) -> Vec<u8> {
    sketch.to_redis_sparse().unwrap_or_else(|| sketch.to_redis())
}
