//! What a sketch holds: codes up to a limit, then registers.

use crate::error::Error;
use crate::hash::IdHash;
use crate::sketch::CODES_LIMIT;
use crate::sketch::blob::Body;
use crate::sketch::code::Code;
use crate::sketch::code_set::CodeSet;
use crate::sketch::estimate::Estimate;
use crate::sketch::registers::Registers;

/// Codes are looked for so many at once.
const CODES_AT_ONCE: usize = 64;

/// At most [`CODES_LIMIT`] codes, or registers.
///
/// Which of the two depends on the set alone: more than [`CODES_LIMIT`] codes, or registers among what was united, make registers. The
/// number of codes never falls when a set grows, so the order of inserts and unions cannot show. (The length of the encoded
/// codes would not do as the limit: a code whose tail rises can shorten it.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Codes(CodeSet),
    Registers(Box<Registers>),
}

impl State {
    pub(super) fn new() -> Self {
        Self::Codes(CodeSet::new())
    }

    /// Adds a hash; returns whether the state changed.
    #[inline]
    pub(super) fn insert(&mut self, hash: IdHash) -> bool {
        match self {
            Self::Registers(registers) => registers.insert(hash),
            Self::Codes(codes) => {
                let changed = codes.insert(Code::of(hash));
                if codes.len() > CODES_LIMIT {
                    self.with_registers(|_| ());
                }
                changed
            }
        }
    }

    /// Adds many codes; returns whether the state changed.
    pub(super) fn insert_all(&mut self, added: &[Code]) -> bool {
        let mut changed = false;
        if let Self::Codes(codes) = self {
            for (number, piece) in added.chunks(CODES_AT_ONCE).enumerate() {
                let mut others = codes.not_at_home(piece);
                while let Some(code) = piece.get(others.trailing_zeros() as usize) {
                    changed |= codes.insert(*code);
                    others &= others - 1;
                    if codes.len() > CODES_LIMIT {
                        self.with_registers(|_| ());
                        return self.insert_all(added.get(number * CODES_AT_ONCE..).unwrap_or_default())
                            | changed;
                    }
                }
            }
        } else if let Self::Registers(registers) = self {
            for code in added {
                changed |= registers.raise_rarely(code.register(), code.rank());
            }
        }
        changed
    }

    /// Adds all that another state stands for; returns whether this one changed.
    pub(super) fn unite(&mut self, other: &Self) -> bool {
        match other {
            Self::Codes(codes) => self.unite_codes(codes.len(), || codes.ascending()),
            Self::Registers(registers) => self.unite_registers(registers),
        }
    }

    /// Adds what a blob stands for; returns whether the state changed. An error leaves the state as it was.
    pub(super) fn unite_blob(&mut self, blob: &[u8]) -> Result<bool, Error> {
        Ok(match Body::parse(blob, |_| ())? {
            Body::Codes(codes) => self.unite_codes(codes.len(), || codes.iter()),
            Body::Registers(registers) => {
                let switches = matches!(self, Self::Codes(_));
                self.with_registers(|mine| registers.raise(mine)) | switches
            }
        })
    }

    pub(super) fn estimate(&self) -> Estimate {
        match self {
            Self::Codes(codes) => Estimate::of_codes(codes.len()),
            Self::Registers(registers) => Estimate::of_registers(registers),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Codes(codes) => codes.heap_bytes(),
            Self::Registers(_) => size_of::<Registers>(),
        }
    }

    fn unite_registers(&mut self, registers: &Registers) -> bool {
        let switches = matches!(self, Self::Codes(_));
        self.with_registers(|mine| mine.unite(registers)) | switches
    }

    /// Adds `len` codes, given in ascending order as often as they are asked for.
    fn unite_codes<I: Iterator<Item = Code>>(&mut self, len: usize, codes: impl Fn() -> I) -> bool {
        let mut changed = false;
        if let Self::Codes(mine) = self {
            // One code above the limit makes registers; more than that never enter.
            let room = (CODES_LIMIT + 1).saturating_sub(mine.len());
            mine.reserve(len.min(room));
            if mine.len() == 0 && len < room {
                mine.fill(codes());
                return len > 0;
            }
            for code in codes() {
                changed |= mine.insert(code);
                if mine.len() > CODES_LIMIT {
                    break;
                }
            }
            if mine.len() <= CODES_LIMIT {
                return changed;
            }
        }
        self.with_registers(|registers| {
            codes().fold(changed, |changed, code| registers.raise(code.register(), code.rank()) | changed)
        })
    }

    /// Does something to the registers; codes are turned into them first.
    fn with_registers<T>(&mut self, change: impl FnOnce(&mut Registers) -> T) -> T {
        let mut registers = match std::mem::replace(self, Self::new()) {
            Self::Codes(codes) => registers_of(codes.iter()),
            Self::Registers(registers) => registers,
        };
        let result = change(&mut registers);
        *self = Self::Registers(registers);
        result
    }
}

/// The registers that these codes give.
#[inline(never)]
pub(super) fn registers_of(codes: impl Iterator<Item = Code>) -> Box<Registers> {
    let mut registers = Registers::new();
    for code in codes {
        registers.raise(code.register(), code.rank());
    }
    registers
}
