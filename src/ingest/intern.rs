//! The values of per-value rules as numbers, so that a text crosses to the aggregator once and not with every event.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::hash::NameHash;
use crate::plan::RuleIndex;
use crate::storage::batch::ValueName;
use crate::storage::{MAX_VALUES_PER_SERIES, OVERFLOW_VALUE};

/// The number that stands for every value beyond the limit.
const OVERFLOW: u32 = 0;

/// The interned values of every per-value rule. Bounded: a rule takes at most [`MAX_VALUES_PER_SERIES`] values.
#[derive(Debug, Default)]
pub(crate) struct ValueNames {
    /// By rule; as long as the last per-value rule asks for.
    rules: Vec<Option<RwLock<RuleNames>>>,
}

#[derive(Debug, Default)]
struct RuleNames {
    numbers: HashMap<Arc<str>, u32, NameHash>,
    /// The text of number `n` at `n - 1`.
    texts: Vec<Arc<str>>,
}

impl ValueNames {
    /// Makes room for a rule, with the values that its series already has: these must never count as overflow.
    pub(crate) fn add_rule(&mut self, rule: RuleIndex, known: Vec<String>) {
        let mut names = RuleNames::default();
        known.into_iter().for_each(|text| {
            names.number(&text);
        });
        let place = usize::try_from(rule.0).unwrap_or(usize::MAX);
        self.rules.resize_with(self.rules.len().max(place.saturating_add(1)), || None);
        if let Some(slot) = self.rules.get_mut(place) {
            *slot = Some(RwLock::new(names));
        }
    }

    #[inline]
    fn of(&self, rule: RuleIndex) -> Option<&RwLock<RuleNames>> {
        self.rules.get(usize::try_from(rule.0).ok()?)?.as_ref()
    }

    /// The number of a value, a new one while there is room.
    pub(crate) fn number(&self, rule: RuleIndex, text: &str) -> u32 {
        let Some(names) = self.of(rule) else { return OVERFLOW };
        if let Some(number) = names.read().numbers.get(text) {
            return *number;
        }
        names.write().number(text)
    }

    /// The value of a number.
    pub(crate) fn name(&self, rule: RuleIndex, number: u32) -> ValueName {
        let position = usize::try_from(number).unwrap_or(usize::MAX).checked_sub(1);
        self.of(rule)
            .zip(position)
            .and_then(|(names, position)| names.read().texts.get(position).cloned())
            .map_or(ValueName::Overflow, ValueName::Text)
    }
}

impl RuleNames {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        if self.texts.len() >= MAX_VALUES_PER_SERIES || text == OVERFLOW_VALUE {
            return OVERFLOW;
        }
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        let number = u32::try_from(self.texts.len()).unwrap_or(OVERFLOW);
        self.numbers.insert(text, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_limit_share_the_overflow_and_known_ones_stay() {
        let rule = RuleIndex(3);
        let mut names = ValueNames::default();
        names.add_rule(rule, vec!["stored".to_owned()]);
        for n in 0..MAX_VALUES_PER_SERIES + 10 {
            names.number(rule, &n.to_string());
        }
        let stored = names.number(rule, "stored");
        assert_eq!(names.name(rule, stored), ValueName::Text("stored".into()));
        let last = names.number(rule, &(MAX_VALUES_PER_SERIES + 9).to_string());
        assert_eq!(names.name(rule, last), ValueName::Overflow);
        assert_eq!(names.name(rule, names.number(rule, OVERFLOW_VALUE)), ValueName::Overflow);
        assert_eq!(names.name(RuleIndex(9), 1), ValueName::Overflow);
    }
}
