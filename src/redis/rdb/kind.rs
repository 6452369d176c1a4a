//! The types of values, and how each is laid out.

/// The one type that cannot be passed over: its bytes mean something to its module alone.
pub(super) const FIRST_MODULE: u8 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Hash(HashForm),
    /// Never handed over; with the name that `TYPE` returns, but for modules.
    Other(&'static str, Layout),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashForm {
    /// A count of pairs of strings.
    Table,
    Zipmap,
    Ziplist,
    Listpack,
    /// A count of an expiry and two strings each.
    ExpiringTable(Times),
    /// A listpack with an expiry behind each pair.
    ExpiringListpack(Times),
}

/// Whether the earliest expiry of all fields stands before them, as it does since the release of Redis 7.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Alone,
    BehindEarliest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One string, which is packed.
    Packed,
    /// A count of strings.
    Strings,
    /// A count of a number and a string each.
    NumberedStrings,
    /// A count of a string and a number in decimals each.
    DecimalScores,
    /// A count of a string and a number of eight bytes each.
    BinaryScores,
    Module,
    Stream(StreamForm),
}

/// Ordered: each form has what the one before has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StreamForm {
    /// Redis 5.
    First,
    /// Redis 7.0.
    Second,
    /// Redis 7.2.
    Third,
}

impl Kind {
    pub(super) fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Text,
            1 => Self::Other("list", Layout::Strings),
            2 => Self::Other("set", Layout::Strings),
            3 => Self::Other("zset", Layout::DecimalScores),
            4 => Self::Hash(HashForm::Table),
            5 => Self::Other("zset", Layout::BinaryScores),
            7 => Self::Other("module", Layout::Module),
            9 => Self::Hash(HashForm::Zipmap),
            10 => Self::Other("list", Layout::Packed),
            11 => Self::Other("set", Layout::Packed),
            12 => Self::Other("zset", Layout::Packed),
            13 => Self::Hash(HashForm::Ziplist),
            14 => Self::Other("list", Layout::Strings),
            15 => Self::Other("stream", Layout::Stream(StreamForm::First)),
            16 => Self::Hash(HashForm::Listpack),
            17 => Self::Other("zset", Layout::Packed),
            18 => Self::Other("list", Layout::NumberedStrings),
            19 => Self::Other("stream", Layout::Stream(StreamForm::Second)),
            20 => Self::Other("set", Layout::Packed),
            21 => Self::Other("stream", Layout::Stream(StreamForm::Third)),
            22 => Self::Hash(HashForm::ExpiringTable(Times::Alone)),
            23 => Self::Hash(HashForm::ExpiringListpack(Times::Alone)),
            24 => Self::Hash(HashForm::ExpiringTable(Times::BehindEarliest)),
            25 => Self::Hash(HashForm::ExpiringListpack(Times::BehindEarliest)),
            _ => return None,
        })
    }
}
