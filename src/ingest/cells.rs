//! What a rule has gathered for one hour or day, found in constant time and usually without a look-up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::plan::RuleIndex;

/// Values by rule and bucket index. Events mostly come in the order of time, so each rule remembers its last cell.
#[derive(Debug)]
pub(crate) struct Cells<V> {
    /// For each rule the position of the cell that it used last, or [`NOWHERE`].
    last: Vec<u32>,
    index: HashMap<u64, u32, BuildHasherDefault<CellHasher>>,
    cells: Vec<Cell<V>>,
}

#[derive(Debug)]
pub(crate) struct Cell<V> {
    pub(crate) rule: RuleIndex,
    /// The index of an hour or a day.
    pub(crate) bucket: u32,
    pub(crate) value: V,
}

/// No cell: a position that is never reached, since batches are cut long before.
const NOWHERE: u32 = u32::MAX;

impl<V: Default> Cells<V> {
    pub(crate) fn new(rules: usize) -> Self {
        Self { last: vec![NOWHERE; rules], index: HashMap::default(), cells: Vec::new() }
    }

    /// The cell of a rule and a bucket, a fresh one where there is none.
    #[inline]
    pub(crate) fn cell(&mut self, rule: RuleIndex, bucket: u32) -> Option<&mut V> {
        let last = usize::try_from(*self.last.get(usize::try_from(rule.0).ok()?)?).ok()?;
        let is_same = |cell: &Cell<V>| cell.bucket == bucket;
        let position =
            if self.cells.get(last).is_some_and(is_same) { last } else { self.find(rule, bucket)? };
        self.cells.get_mut(position).map(|cell| &mut cell.value)
    }

    #[cold]
    #[inline(never)]
    fn find(&mut self, rule: RuleIndex, bucket: u32) -> Option<usize> {
        let position = *self.index.entry(u64::from(rule.0) << 32 | u64::from(bucket)).or_insert_with(|| {
            let position = u32::try_from(self.cells.len()).unwrap_or(NOWHERE);
            self.cells.push(Cell { rule, bucket, value: V::default() });
            position
        });
        *self.last.get_mut(usize::try_from(rule.0).ok()?)? = position;
        usize::try_from(position).ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Cell<V>> {
        self.cells.iter_mut()
    }

    /// Takes every cell out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Cell<V>> {
        self.forget_places();
        self.cells.drain(..)
    }

    /// Keeps only the cells that `keep` wants.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Cell<V>) -> bool) {
        self.forget_places();
        self.cells.retain(keep);
        for (position, cell) in self.cells.iter().enumerate() {
            let position = u32::try_from(position).unwrap_or(NOWHERE);
            self.index.insert(u64::from(cell.rule.0) << 32 | u64::from(cell.bucket), position);
        }
    }

    fn forget_places(&mut self) {
        self.index.clear();
        self.last.fill(NOWHERE);
    }
}

/// Spreads the bits of a cell's 64-bit key (the finalizer of MurmurHash3).
#[derive(Debug, Default)]
pub(crate) struct CellHasher(u64);

impl Hasher for CellHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((self.0 << 8) ^ u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, key: u64) {
        let key = (key ^ (key >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let key = (key ^ (key >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        self.0 = key ^ (key >> 33);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_again_after_others_and_after_cells_were_dropped() {
        let mut cells = Cells::<u64>::new(3);
        for round in 0..4 {
            for rule in 0..3 {
                for bucket in [7, 0, 7, 9] {
                    *cells.cell(RuleIndex(rule), bucket).unwrap() += 1;
                }
            }
            if round == 1 {
                cells.retain(|cell| cell.bucket != 0);
            }
        }
        assert!(cells.cell(RuleIndex(3), 0).is_none());
        assert_eq!(cells.len(), 9);
        let mut found: Vec<_> = cells.drain().map(|cell| (cell.rule.0, cell.bucket, cell.value)).collect();
        found.sort_unstable();
        let expected: Vec<_> = (0..3).flat_map(|rule| [(rule, 0, 2), (rule, 7, 8), (rule, 9, 4)]).collect();
        assert_eq!(found, expected);
    }
}
