//! Reading ahead: the buckets of many series in a scan a day, instead of a search for each series and day.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use crate::definition::rule::RuleKind;
use crate::error::{Error, ErrorKind};
use crate::report::known::Known;
use crate::sketch::union::Union;
use crate::storage::batch::SeriesId;
use crate::storage::sum::Sum;
use crate::time::bucket::{Bucket, Day};

/// A scan passes this many rows in the time of a search, or fewer.
const ROWS_A_SEARCH: usize = 8;
/// Windows that make more pieces than this have too little in common.
const MAX_PIECES: usize = 8;
/// The most bytes of unions that grow side by side: those of [`crate::report::many`]'s groups take a tenth, unless sets of a few
/// thousand differ from day to day for years.
const MAX_UNION_BYTES: usize = 16 << 20;

/// What one question asks of each of its series.
pub(crate) struct Wanted {
    pub(crate) kind: RuleKind,
    pub(crate) series: Vec<SeriesId>,
    /// The days; `None` is all time.
    pub(crate) days: Option<Range<u32>>,
}

/// What was read ahead. What is missing, or could not be read, answers read themselves, and find there what is wrong with it.
#[derive(Default)]
pub(crate) struct Ahead {
    pub(crate) counts: Pieces<u64>,
    /// In the order of days: doubles are added in the same order, however they were read.
    pub(crate) sums: Pieces<Vec<Sum>>,
    pub(crate) unions: Pieces<Union>,
}

impl Ahead {
    /// Adds the counts of a series in these days; returns whether it had them.
    pub(crate) fn add_counts(&self, total: &mut u64, series: SeriesId, days: Option<&Range<u32>>) -> bool {
        let Some(counts) = self.counts.find(series, days) else { return false };
        *total = counts.into_iter().fold(*total, |total, count| total.saturating_add(*count));
        true
    }

    /// Adds the sums of a series in these days; returns whether it had them.
    pub(crate) fn add_sums(&self, total: &mut Sum, series: SeriesId, days: Option<&Range<u32>>) -> bool {
        let Some(sums) = self.sums.find(series, days) else { return false };
        sums.into_iter().flatten().for_each(|sum| total.unite(*sum));
        true
    }

    /// Adds the sketches of a series in these days; returns whether it had them.
    pub(crate) fn unite<'a>(
        &'a self,
        total: &mut Cow<'a, Union>,
        series: SeriesId,
        days: Option<&Range<u32>>,
    ) -> bool {
        let Some(unions) = self.unions.find(series, days) else { return false };
        for union in unions {
            if total.is_empty() {
                *total = Cow::Borrowed(union);
            } else {
                total.to_mut().unite(union);
            }
        }
        true
    }

    /// Reads the counts and sums that many questions want.
    pub(crate) fn numbers<'w>(known: &Known<'_>, wanted: impl Iterator<Item = &'w Wanted> + Clone) -> Self {
        let of_kind = |kind| wanted.clone().filter(move |wanted| wanted.kind == kind);
        let counts = Pieces::read(known, of_kind(RuleKind::Count), 0_u64, |buckets, cells| {
            known.snapshot.counts(buckets, &mut |series, count| {
                cells.change(series, |sum| Some(sum.saturating_add(u64::try_from(count).ok()?)));
            })
        });
        let sums = Pieces::read(known, of_kind(RuleKind::Sum), Vec::new(), |buckets, cells| {
            known.snapshot.sums(buckets, &mut |series, sum| {
                cells.change(series, |mut sums: Vec<Sum>| {
                    sums.push(sum?);
                    Some(sums)
                });
            })
        });
        Self { counts, sums, unions: Pieces::default() }
    }

    /// Reads the uniques that some questions want, whose unions grow side by side.
    pub(crate) fn read_unions<'w>(
        &mut self,
        known: &Known<'_>,
        wanted: impl Iterator<Item = &'w Wanted> + Clone,
    ) {
        self.unions = Pieces::cut(wanted, &Union::new());
        let ids = known.ids(RuleKind::Unique);
        let mut bytes = 0;
        for Piece { days, cells } in &mut self.unions.0 {
            let read = runs(cells, ids).try_for_each(|run| match days {
                Some(days) => known.snapshot.day_sketches(run, days.clone(), &mut |series, _, blob| {
                    cells.unite(series, blob, &mut bytes)
                }),
                None => known
                    .snapshot
                    .all_time_sketches(run, &mut |series, blob| cells.unite(series, blob, &mut bytes)),
            });
            if read.is_err() {
                self.unions = Pieces::default();
                return;
            }
        }
    }
}

/// Windows, cut at each other's edges.
pub(crate) struct Pieces<T>(Vec<Piece<T>>);

struct Piece<T> {
    /// `None` is all time.
    days: Option<Range<u32>>,
    cells: Cells<T>,
}

/// What each series has in a piece, sorted; `None` if it could not be read.
struct Cells<T>(Vec<(SeriesId, Option<T>)>);

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Pieces<T> {
    /// The pieces of what is wanted, with nothing in them.
    fn cut<'w>(wanted: impl Iterator<Item = &'w Wanted> + Clone, nothing: &T) -> Self {
        let windows = || wanted.clone().filter_map(|wanted| wanted.days.as_ref());
        let mut edges: Vec<u32> = windows().flat_map(|days| [days.start, days.end]).collect();
        edges.sort_unstable();
        edges.dedup();
        if edges.len() > MAX_PIECES {
            return Self::default();
        }
        let between = edges.iter().zip(edges.iter().skip(1)).map(|(from, to)| Some(*from..*to));
        let pieces = between.chain([None]).map(|days| {
            let mut series: Vec<SeriesId> = wanted
                .clone()
                .filter(|wanted| is_within(days.as_ref(), wanted.days.as_ref()))
                .flat_map(|wanted| wanted.series.iter().copied())
                .collect();
            series.sort_unstable();
            series.dedup();
            Piece { days, cells: Cells(series.into_iter().map(|id| (id, Some(nothing.clone()))).collect()) }
        });
        Self(pieces.filter(|piece| !piece.cells.0.is_empty()).collect())
    }

    /// Reads each piece that has enough of all series.
    fn read<'w>(
        known: &Known<'_>,
        wanted: impl Iterator<Item = &'w Wanted> + Clone,
        nothing: T,
        mut read: impl FnMut(Range<Bucket>, &mut Cells<T>) -> Result<(), Error>,
    ) -> Self {
        let Some(kind) = wanted.clone().next().map(|wanted| wanted.kind) else { return Self::default() };
        let mut pieces = Self::cut(wanted, &nothing);
        let enough = known.ids(kind).len() / ROWS_A_SEARCH;
        pieces.0.retain_mut(|Piece { days, cells }| {
            let day = |index: u32| Bucket::day(Day::from_index(index));
            let buckets = match days {
                Some(days) => day(days.start)..day(days.end),
                None => Bucket::ALL_TIME..Bucket::ALL_TIME.next(),
            };
            cells.0.len() >= enough && read(buckets, cells).is_ok()
        });
        pieces
    }
}

impl<T> Pieces<T> {
    /// What a series has in the pieces of a window; `None` unless each of them was read.
    fn find(&self, series: SeriesId, days: Option<&Range<u32>>) -> Option<Vec<&T>> {
        let within = self.0.iter().filter(|piece| is_within(piece.days.as_ref(), days));
        let mut read_to = days.map(|days| days.start);
        let mut found = Vec::new();
        for piece in within {
            if piece.days.as_ref().map(|days| days.start) != read_to {
                return None;
            }
            found.push(piece.cells.find(series)?);
            read_to = piece.days.as_ref().map(|days| days.end);
        }
        let is_whole = read_to == days.map(|days| days.end) && (days.is_some() || !found.is_empty());
        is_whole.then_some(found)
    }
}

impl<T> Cells<T> {
    fn find(&self, series: SeriesId) -> Option<&T> {
        let at = self.0.binary_search_by_key(&series, |(id, _)| *id).ok()?;
        self.0.get(at)?.1.as_ref()
    }

    fn find_mut(&mut self, series: SeriesId) -> Option<&mut Option<T>> {
        let at = self.0.binary_search_by_key(&series, |(id, _)| *id).ok()?;
        self.0.get_mut(at).map(|(_, cell)| cell)
    }

    /// Changes what a series has, if it is wanted; `None` takes it from what was read.
    fn change(&mut self, series: SeriesId, change: impl FnOnce(T) -> Option<T>) {
        if let Some(cell) = self.find_mut(series) {
            *cell = cell.take().and_then(change);
        }
    }
}

impl Cells<Union> {
    /// Adds a sketch, and to `bytes` what the union grows by. One that is damaged ends the union, not the others.
    fn unite(&mut self, series: SeriesId, blob: &[u8], bytes: &mut usize) -> Result<(), Error> {
        let Some(cell) = self.find_mut(series) else { return Ok(()) };
        let Some(union) = cell else { return Ok(()) };
        let before = union.heap_bytes();
        if union.unite_blob(blob).is_err() {
            *cell = None;
            return Ok(());
        }
        *bytes += union.heap_bytes().saturating_sub(before);
        if *bytes > MAX_UNION_BYTES {
            return Err(Error::new(ErrorKind::Internal, "the unions take too much memory side by side"));
        }
        Ok(())
    }
}

/// Whether a piece is of a window.
fn is_within(piece: Option<&Range<u32>>, window: Option<&Range<u32>>) -> bool {
    match (piece, window) {
        (None, None) => true,
        (Some(piece), Some(window)) => window.start <= piece.start && piece.end <= window.end,
        _ => false,
    }
}

/// The stretches of cells between which there is no other series: their scans read nothing in vain.
fn runs<T>(cells: &Cells<T>, ids: &[SeriesId]) -> impl Iterator<Item = RangeInclusive<SeriesId>> + use<T> {
    let mut runs: Vec<RangeInclusive<SeriesId>> = Vec::new();
    let mut next = None;
    for (series, _) in &cells.0 {
        match runs.last_mut() {
            Some(run) if next == Some(series) => *run = *run.start()..=*series,
            _ => runs.push(*series..=*series),
        }
        let at = ids.partition_point(|id| id <= series);
        next = ids.get(at);
    }
    runs.into_iter()
}
