//! From a YAML tree to the time frames of a metric.

use crate::definition::nearest::hint;
use crate::definition::problems::Position;
use crate::definition::read::{Fields, Report, describe};
use crate::definition::words::DataSource;
use crate::definition::yaml::{Node, Value};
use crate::time::frame::TimeFrame;

/// Over which times a metric counts.
pub(in crate::definition::read) struct TimeFrames {
    pub(in crate::definition::read) frames: Vec<TimeFrame>,
    /// A list gives key paths with suffixes, a single time frame does not.
    pub(in crate::definition::read) is_list: bool,
    pub(in crate::definition::read) at: Position,
}

pub(in crate::definition::read) fn read_time_frames(
    fields: Fields<'_>,
    source: DataSource,
    report: &mut Report<'_>,
) -> TimeFrames {
    let Some(entry) = fields.find("time_frame") else {
        let message = "`time_frame` is missing; add one of 7d, 28d, all, none or a list such as [7d, 28d]";
        if source.counts_events() || fields.find("events").is_some() {
            report.error(fields.at, message.to_owned());
        } else {
            report.warning(fields.at, message.to_owned());
        }
        return TimeFrames { frames: vec![TimeFrame::None], is_list: false, at: Position::default() };
    };
    let mut frames: Vec<TimeFrame> = Vec::new();
    let (items, is_list) = match &entry.value.value {
        Value::List(items) => (items.as_slice(), true),
        _ => (std::slice::from_ref(&entry.value), false),
    };
    if items.is_empty() {
        let message = "`time_frame` is an empty list; name at least one of 7d, 28d, all";
        report.error(entry.value.at, message.to_owned());
    }
    for item in items {
        match read_time_frame(item, is_list) {
            Err(message) => report.error(item.at, message),
            Ok(frame) if frames.contains(&frame) => {
                report.error(item.at, format!("the time frame {frame} is listed twice; remove one"));
            }
            Ok(frame) => frames.push(frame),
        }
    }
    TimeFrames { frames, is_list, at: entry.value.at }
}

fn read_time_frame(node: &Node, in_list: bool) -> Result<TimeFrame, String> {
    if let Value::Text(text) = &node.value {
        match text.parse() {
            Ok(TimeFrame::None) if in_list => {
                return Err("`time_frame: none` stands alone; a list holds 7d, 28d and all".to_owned());
            }
            Ok(frame) => return Ok(frame),
            Err(_) => {}
        }
    }
    let found = describe(&node.value);
    let hint = time_frame_hint(&node.value);
    Err(if in_list {
        format!("a list of time frames holds 7d, 28d and all, found {found}{hint}")
    } else {
        format!(
            "`time_frame` must be one of 7d, 28d, all, none or a list such as [7d, 28d], found {found}{hint}"
        )
    })
}

/// The time frame that was meant, where another word for it was used.
fn time_frame_hint(value: &Value) -> String {
    let (Value::Text(text) | Value::Number(_, text)) = value else { return String::new() };
    let meant = match text.to_ascii_lowercase().as_str() {
        "week" | "weekly" | "1w" | "7days" => Some("7d"),
        "month" | "monthly" | "4w" | "28days" | "30d" => Some("28d"),
        "total" | "forever" | "all_time" | "alltime" => Some("all"),
        _ => None,
    };
    match meant {
        Some(meant) => format!("; did you mean `{meant}`?"),
        None => hint(text, ["7d", "28d", "all", "none"]),
    }
}
