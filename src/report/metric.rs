//! Metrics: the value of a definition at an instant.

use crate::definition::metric::MetricDefinition;
use crate::error::{Error, ErrorKind};
use crate::report::many;
use crate::report::query::{Answer, Query};
use crate::storage::Snapshot;
use crate::time::frame::TimeFrame;
use crate::time::range::{TimeRange, Window};
use crate::time::timestamp::Timestamp;

const DAYS_PER_WEEK: u32 = 7;

/// The value of one metric, or why there is none.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, MetricDefinition, Rule, Store, TimeFrame};
/// # let definitions = Definitions::new()
/// #     .event(EventDefinition::new("issue_created"))?
/// #     .metric(MetricDefinition::new("counts.issues", TimeFrame::All).rule(Rule::count("issue_created")))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let metric = store.metric("counts.issues")?;
/// assert_eq!(metric.outcome?.count(), Some(0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct MetricValue {
    /// The metric's place in the ping.
    pub key_path: String,
    /// Its value, or why there is none: [`ErrorKind::NotRecorded`], [`ErrorKind::NoSource`], [`ErrorKind::NotKept`] and the like.
    /// A metric without a value is never 0.
    pub outcome: Result<Answer, Error>,
}

/// How a metric is to be evaluated; by default now, with GitLab's complete weeks.
///
/// ```
/// use headcount::{Evaluate, Timestamp, Window};
///
/// let how = Evaluate::default().window(Window::Rolling).as_of(Timestamp::parse("2026-11-22")?);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Evaluate {
    /// Which weeks or days `7d` and `28d` mean.
    pub window: Window,
    /// The instant to evaluate at, instead of now: what happened in hours (uniques and values per property: days) that began later
    /// is left out.
    pub as_of: Option<Timestamp>,
    /// The instant before which complete weeks end, where that is not the instant of the evaluation.
    pub(crate) weeks_before: Option<Timestamp>,
}

impl Evaluate {
    /// With another window.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// At this instant instead of now.
    #[must_use]
    pub fn as_of(mut self, instant: Timestamp) -> Self {
        self.as_of = Some(instant);
        self
    }
}

/// Evaluates metrics at one moment, in their order.
pub(crate) fn evaluate<'a>(
    snapshot: &dyn Snapshot,
    metrics: impl IntoIterator<Item = &'a MetricDefinition>,
    how: Evaluate,
    clock_now: Timestamp,
) -> Vec<MetricValue> {
    let mut questions = Vec::new();
    let asked: Vec<_> = metrics
        .into_iter()
        .map(|metric| (metric, question(metric, how, clock_now).map(|question| questions.push(question))))
        .collect();
    let mut answers = many::answers(snapshot, &questions, clock_now).into_iter();
    let asked = asked.into_iter();
    asked
        .map(|(metric, question)| {
            let missing = || Err(Error::new(ErrorKind::Internal, "a metric was not evaluated"));
            let answer = question.and_then(|()| answers.next().unwrap_or_else(missing));
            let outcome = answer.map_err(|error| match error.kind() {
                ErrorKind::UnknownEvent => Error::new(ErrorKind::NotRecorded, error.to_string()),
                _ => error,
            });
            MetricValue { key_path: metric.key_path().to_owned(), outcome }
        })
        .collect()
}

/// What a metric asks of the store.
fn question(metric: &MetricDefinition, how: Evaluate, clock_now: Timestamp) -> Result<Query, Error> {
    if metric.rules().is_empty() {
        let reason = metric.without_rules().map_or_else(
            || format!("its data source `{}` is not connected", metric.data_source()),
            ToOwned::to_owned,
        );
        return Err(Error::new(ErrorKind::NoSource, reason));
    }
    let mut query = Query::of_rules(metric.rules());
    query.as_of = how.as_of;
    let instant = how.weeks_before.or(how.as_of).unwrap_or(clock_now);
    Ok(match window(metric.time_frame(), how.window, instant) {
        Some(window) => query.range(window),
        None => query,
    })
}

/// The window of a time frame; `None` is everything.
fn window(frame: TimeFrame, window: Window, now: Timestamp) -> Option<TimeRange> {
    let weeks = match frame {
        TimeFrame::SevenDays => 1,
        TimeFrame::TwentyEightDays => 4,
        TimeFrame::All | TimeFrame::None => return None,
    };
    Some(match window {
        Window::Complete => TimeRange::complete_weeks(now, weeks),
        Window::Rolling => TimeRange::last_days(now, weeks * DAYS_PER_WEEK),
        Window::Current => TimeRange::current_weeks(now, weeks),
    })
}
