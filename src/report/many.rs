//! Many questions at one moment.

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::ahead::{Ahead, Wanted};
use crate::report::evaluate::Evaluation;
use crate::report::known::Known;
use crate::report::query::{Answer, Query};
use crate::storage::Snapshot;
use crate::storage::batch::SeriesId;
use crate::time::timestamp::Timestamp;

/// Fewer questions are answered one by one: all series are more to read than theirs.
const MANY: usize = 4;
/// The series whose unions grow side by side. More of them make fewer searches, but their registers, 16 KiB each, must stay in the
/// processor's cache between two days.
const SERIES_SIDE_BY_SIDE: usize = 16;

/// Answers each question as it would be answered alone: what keeps one from its answer is in its place, and holds up no other.
pub(crate) fn answers(
    snapshot: &dyn Snapshot,
    questions: &[Query],
    clock_now: Timestamp,
) -> Vec<Result<Answer, Error>> {
    let known = if questions.len() < MANY { None } else { Known::for_many(snapshot).ok() };
    let Some(known) = known else {
        let alone = |question: &Query| {
            Evaluation::of(&Known::for_few(snapshot)?, question, clock_now)?.value(question.span)
        };
        return questions.iter().map(alone).collect();
    };
    let mut asked: Vec<Asked<'_>> = questions
        .iter()
        .enumerate()
        .map(|(place, question)| {
            let evaluation = Evaluation::of(&known, question, clock_now);
            let wanted = evaluation.as_ref().ok().and_then(|evaluation| evaluation.wanted(question.span));
            Asked { place, question, evaluation, wanted }
        })
        .collect();
    let mut ahead = Ahead::numbers(&known, asked.iter().filter_map(|asked| asked.wanted.as_ref()));
    // Neighbours in the file become neighbours in a group.
    asked.sort_by_key(Asked::first_unique);
    let mut answers = Vec::with_capacity(asked.len());
    let mut rest = asked;
    while !rest.is_empty() {
        let later = rest.split_off(group(&rest));
        ahead.read_unions(&known, rest.iter().filter_map(Asked::unique));
        answers.extend(rest.into_iter().map(|asked| {
            let value = |evaluation: Evaluation<'_>| evaluation.value_with(asked.question.span, &ahead);
            (asked.place, asked.evaluation.and_then(value))
        }));
        rest = later;
    }
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// A question, and what is known of it before its buckets are read.
struct Asked<'a> {
    place: usize,
    question: &'a Query,
    evaluation: Result<Evaluation<'a>, Error>,
    wanted: Option<Wanted>,
}

impl Asked<'_> {
    /// What it wants of uniques. One that has more series than a group is best answered alone, one series after another.
    fn unique(&self) -> Option<&Wanted> {
        let is_unique =
            |wanted: &&Wanted| wanted.kind == RuleKind::Unique && wanted.series.len() <= SERIES_SIDE_BY_SIDE;
        self.wanted.as_ref().filter(is_unique)
    }

    fn first_unique(&self) -> Option<SeriesId> {
        self.unique()?.series.iter().min().copied()
    }
}

/// How many of the questions make the next group.
fn group(asked: &[Asked<'_>]) -> usize {
    let mut series: Vec<SeriesId> = Vec::new();
    let fits = |asked: &&Asked<'_>| {
        for id in asked.unique().into_iter().flat_map(|wanted| &wanted.series) {
            if !series.contains(id) {
                series.push(*id);
            }
        }
        series.len() <= SERIES_SIDE_BY_SIDE
    };
    asked.iter().take_while(fits).count().max(1)
}
