//! The options of `headcount retention`.

use clap::Args;

use super::values::parse_days;

/// The words that take a limit away.
const FOR_EVER: &str = "forever";
const NO_LIMIT: &str = "none";
/// The units of sizes, the longest first; powers of ten and of two.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// A limit that is given, or taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Limit<T> {
    Of(T),
    None,
}

impl<T> Limit<T> {
    pub(in crate::cli) fn given(self) -> Option<T> {
        match self {
            Self::Of(limit) => Some(limit),
            Self::None => None,
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RetentionArgs {
    /// Keep hours for so many days, at least 9d, or `forever`; older ones are known for the whole day
    #[arg(long, value_name = "DAYS", value_parser = parse_kept)]
    pub(in crate::cli) hours: Option<Limit<u32>>,
    /// Keep days for so many days, at least 35d, or `forever`; older ones are in all time only
    #[arg(long, value_name = "DAYS", value_parser = parse_kept)]
    pub(in crate::cli) days: Option<Limit<u32>>,
    /// Let the file and its log take so much, at least 16MiB, or `none` for no limit
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(in crate::cli) size: Option<Limit<u64>>,
    /// Remove now what is kept no longer, instead of piece by piece with the next events, and shrink the file
    #[arg(long)]
    pub(in crate::cli) now: bool,
}

fn parse_kept(text: &str) -> Result<Limit<u32>, String> {
    if text == FOR_EVER {
        return Ok(Limit::None);
    }
    let days = parse_days(text).map_err(|error| format!("{error}, or `{FOR_EVER}`"))?;
    Ok(Limit::Of(days))
}

fn parse_size(text: &str) -> Result<Limit<u64>, String> {
    if text == NO_LIMIT {
        return Ok(Limit::None);
    }
    let split = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?.trim_end(), *bytes)));
    let (digits, unit) = split.unwrap_or((text, 1));
    let number =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .map(Limit::Of)
        .ok_or_else(|| format!("write a size as 500MB or 2GiB, or `{NO_LIMIT}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_both_kinds_of_units() {
        for (text, bytes) in
            [("16777216", 16_777_216), ("500MB", 500_000_000), ("2GiB", 2 << 30), ("1 TB", 1_000_000_000_000)]
        {
            assert_eq!(parse_size(text), Ok(Limit::Of(bytes)), "{text}");
        }
        assert_eq!(parse_size("none"), Ok(Limit::None));
        for text in ["", "MB", "-1", "1.5GB", "1 PB", "99999999999TB", "forever"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
