//! What a store leaves in a Redis that it writes: how much of each key it has brought there.

use crate::redis::names::SLOTS;

/// Stands behind a slot, so that the mark lies in the same slot of a cluster as the keys that it is about.
const NAME: &str = "headcount:";

/// The names of the marks of a store, one for each slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    uuid: String,
}

impl Marks {
    pub(super) fn of(uuid: &str) -> Self {
        Self { uuid: uuid.to_owned() }
    }

    /// The mark that a key belongs to: a hash that has for each key how much of it came from the store. Older names have no slot in
    /// common with anything, and a mark of their own.
    pub(super) fn of_key(&self, key: &str) -> String {
        match SLOTS.iter().find(|slot| key.starts_with(**slot)) {
            Some(slot) => format!("{slot}{NAME}{}", self.uuid),
            None => format!("{{{key}}}{NAME}{}", self.uuid),
        }
    }

    /// Where a sketch stands while it is united.
    pub(super) fn beside(&self, key: &str) -> String {
        format!("{}:beside", self.of_key(key))
    }

    /// Whether a key is a mark of this store.
    pub(super) fn is_ours(&self, key: &[u8]) -> bool {
        is_mark(key) && contains(key, self.uuid.as_bytes())
    }
}

/// Whether a key is the mark of some store.
pub(super) fn is_mark(key: &[u8]) -> bool {
    SLOTS
        .iter()
        .any(|slot| key.strip_prefix(slot.as_bytes()).is_some_and(|rest| rest.starts_with(NAME.as_bytes())))
}

fn contains(key: &[u8], part: &[u8]) -> bool {
    key.windows(part.len().max(1)).any(|window| window == part)
}
