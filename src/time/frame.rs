//! The time frame of a metric.

use serde::{Deserialize, Serialize};

/// Over which time a metric counts.
///
/// ```
/// use headcount::TimeFrame;
///
/// assert_eq!("28d".parse(), Ok(TimeFrame::TwentyEightDays));
/// assert_eq!(TimeFrame::SevenDays.suffix(), "_weekly");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TimeFrame {
    /// `7d`: the last complete ISO week.
    #[serde(rename = "7d")]
    SevenDays,
    /// `28d`: the last four complete ISO weeks.
    #[serde(rename = "28d")]
    TwentyEightDays,
    /// `all`: everything that was recorded.
    #[serde(rename = "all")]
    All,
    /// `none`: a value without time, as a setting.
    #[serde(rename = "none")]
    None,
}

impl TimeFrame {
    /// Every time frame.
    pub const ALL: [Self; 4] = [Self::SevenDays, Self::TwentyEightDays, Self::All, Self::None];

    /// The word that definitions use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SevenDays => "7d",
            Self::TwentyEightDays => "28d",
            Self::All => "all",
            Self::None => "none",
        }
    }

    /// What a definition with a list of time frames appends to its key path for this one.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::SevenDays => "_weekly",
            Self::TwentyEightDays => "_monthly",
            Self::All | Self::None => "",
        }
    }
}

impl std::str::FromStr for TimeFrame {
    type Err = UnknownTimeFrame;

    fn from_str(text: &str) -> Result<Self, UnknownTimeFrame> {
        Self::ALL.into_iter().find(|frame| frame.as_str() == text).ok_or(UnknownTimeFrame)
    }
}

impl std::fmt::Display for TimeFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no time frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownTimeFrame;

impl std::fmt::Display for UnknownTimeFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a time frame is one of 7d, 28d, all, none")
    }
}

impl std::error::Error for UnknownTimeFrame {}
