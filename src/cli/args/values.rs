//! The values of options, read and checked.

use crate::{FilterValue, IsoWeek, Timestamp};

/// The largest `--last`: more days than the calendar of the store has.
const MAX_LAST_DAYS: u32 = 3_000_000;

/// What a window is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Earlier {
    Previous,
    Mark(String),
}

#[expect(clippy::unnecessary_wraps, reason = "the parser of the command line takes functions that may fail")]
pub(super) fn parse_earlier(text: &str) -> Result<Earlier, String> {
    Ok(if text == "previous" { Earlier::Previous } else { Earlier::Mark(text.to_owned()) })
}

pub(super) fn parse_week(text: &str) -> Result<IsoWeek, String> {
    IsoWeek::parse(text).map_err(|error| error.to_string())
}

pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

pub(super) fn parse_days(text: &str) -> Result<u32, String> {
    text.strip_suffix('d')
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|days| (1..=MAX_LAST_DAYS).contains(days))
        .ok_or_else(|| "write whole days, at least one, as 28d".to_owned())
}

/// `value` is numeric, `label` and `property` are texts; another property's value is a number if it reads as one.
pub(super) fn parse_filter(text: &str) -> Result<(String, FilterValue), String> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| "write the property and its value as label=web".to_owned())?;
    let (key, value) = match key.strip_suffix(':') {
        Some(key) => (key, FilterValue::text(value)),
        None => (key, value_of(key, value)?),
    };
    if key.is_empty() {
        return Err("the property has no name; write it before the `=`, as label=web".to_owned());
    }
    Ok((key.to_owned(), value))
}

fn value_of(key: &str, value: &str) -> Result<FilterValue, String> {
    let number = value.parse().ok().and_then(FilterValue::number);
    match (key, number) {
        ("label" | "property", _) => Ok(FilterValue::text(value)),
        ("value", None) => Err(format!("`value` is a number, which `{value}` is not")),
        (_, Some(number)) => Ok(number),
        (_, None) => Ok(FilterValue::text(value)),
    }
}
