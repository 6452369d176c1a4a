//! Walking a relation in batches, each a statement of its own, so that no snapshot and no lock is held for long.

use std::thread;
use std::time::{Duration, Instant};

use crate::ping::source::{Asked, SourceError, SourceFault};
use crate::ping::sources::database::{DatabaseMetric, DatabaseOperation, invalid};
use crate::ping::sources::engine::{Engine, Folding, Halt};
use crate::ping::sources::inquiry::{Inquiry, Span};
use crate::ping::sources::statement::{Cell, CellRef};
use crate::ping::sources::totals::Totals;
use crate::ping::value::PingValue;
use crate::time::range::TimeRange;

/// Rows of a batch that is counted.
const COUNT_ROWS: u32 = 100_000;
/// Rows of a batch whose values are looked at.
const VALUE_ROWS: u32 = 50_000;
/// Rows of the smallest batch; when it passes its limit too, the metric fails.
const LEAST_ROWS: u32 = 1_250;
/// How long a batch should take: a slower one halves the next, one that takes less than a quarter of it doubles it up to the first.
const GOAL: Duration = Duration::from_millis(500);
/// Between two batches the database has as long for others as the last one took, and no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// A statement is not begun with less time than this left.
const LEAST_LIMIT: Duration = Duration::from_millis(5);
/// The longest that one statement may take by default.
pub(crate) const QUERY_LIMIT: Duration = Duration::from_secs(5);

/// Asks a metric of a database, and says beside the value what it is about.
pub(crate) fn ask(
    engine: &mut dyn Engine,
    metric: &DatabaseMetric,
    asked: &Asked,
    query_limit: Duration,
) -> Result<PingValue, SourceError> {
    metric.check()?;
    let range = metric.tell(asked)?;
    let limits = Limits { asked, query_limit, relation: &metric.relation };
    let mut is_renewed = false;
    let (inquiry, folding) = loop {
        match prepare(engine, metric, range, &limits) {
            Ok(prepared) => break prepared,
            Err(halt) => limits.settle(engine, halt, &mut is_renewed)?,
        }
    };
    let mut walk = Walk {
        inquiry: &inquiry,
        limits,
        totals: Totals::new(metric.operation, folding),
        rows: first_rows(metric.operation),
        passed: 0,
        is_renewed,
    };
    walk.run(engine)?;
    let (value, standard_error) = walk.totals.finish();
    asked.estimated(standard_error);
    Ok(value)
}

fn first_rows(operation: DatabaseOperation) -> u32 {
    match operation {
        DatabaseOperation::Count => COUNT_ROWS,
        DatabaseOperation::DistinctCount | DatabaseOperation::Sum | DatabaseOperation::Average => VALUE_ROWS,
    }
}

fn prepare(
    engine: &mut dyn Engine,
    metric: &DatabaseMetric,
    range: Option<TimeRange>,
    limits: &Limits<'_>,
) -> Result<(Inquiry, Folding), Halt> {
    let relation = engine.relation(&metric.relation, limits.of_query()?)?;
    let inquiry = Inquiry::new(metric, relation, range)?;
    let folding = match (&inquiry.column, metric.operation) {
        (Some(column), DatabaseOperation::DistinctCount) => {
            engine.folding(&inquiry.relation, column, limits.of_query()?)?
        }
        _ => Folding::Bytes,
    };
    Ok((inquiry, folding))
}

/// How long a metric and its statements may take.
struct Limits<'a> {
    asked: &'a Asked,
    query_limit: Duration,
    relation: &'a str,
}

impl Limits<'_> {
    /// A statement may take half of what is left, so that there is time for a smaller one.
    fn of_query(&self) -> Result<Duration, SourceError> {
        let limit = self.query_limit.min(self.asked.remaining() / 2);
        if limit < LEAST_LIMIT {
            return Err(self.timeout("the metric's limit in time passed"));
        }
        Ok(limit)
    }

    fn timeout(&self, what: &str) -> SourceError {
        SourceError::new(SourceFault::Timeout, format!("{what}, asking about `{}`", self.relation))
    }

    /// Makes good what can be made good before a walk begins.
    fn settle(&self, engine: &mut dyn Engine, halt: Halt, is_renewed: &mut bool) -> Result<(), SourceError> {
        match halt {
            Halt::Broken(_) if !*is_renewed => {
                *is_renewed = true;
                engine.renew(self.of_query()?)
            }
            Halt::TimedOut => Err(self.timeout("a statement's limit in time passed before the first row")),
            Halt::Broken(error) | Halt::Fault(error) => Err(error),
        }
    }
}

/// A relation on its way.
struct Walk<'a> {
    inquiry: &'a Inquiry,
    limits: Limits<'a>,
    totals: Totals,
    rows: u32,
    /// Rows whose batches are done, at least.
    passed: u64,
    is_renewed: bool,
}

impl Walk<'_> {
    fn run(&mut self, engine: &mut dyn Engine) -> Result<(), SourceError> {
        if self.inquiry.key.is_nullable {
            while !self.attempt(engine, |walk, engine| walk.gather(engine, &Span::Keyless))?.is_done() {}
        }
        let mut after: Option<Cell> = None;
        loop {
            let began = Instant::now();
            let batch = self.attempt(engine, |walk, engine| {
                let up_to = walk.boundary(engine, after.as_ref())?;
                walk.gather(engine, &Span::Keys { after: after.as_ref(), up_to: up_to.as_ref() })?;
                Ok(up_to)
            })?;
            let took = began.elapsed();
            match batch {
                Attempt::Again => continue,
                Attempt::Done(None) => return Ok(()),
                Attempt::Done(up_to) => after = up_to,
            }
            self.passed += u64::from(self.rows);
            self.keep_pace(took);
            thread::sleep(LONGEST_PAUSE.min(took).min(self.limits.asked.remaining()));
        }
    }

    /// Does a batch, or leaves everything as it was before it.
    fn attempt<T>(
        &mut self,
        engine: &mut dyn Engine,
        batch: impl FnOnce(&mut Self, &mut dyn Engine) -> Result<T, Halt>,
    ) -> Result<Attempt<T>, SourceError> {
        let checkpoint = self.totals.checkpoint();
        let halt = match batch(self, engine) {
            Ok(done) => return Ok(Attempt::Done(done)),
            Err(halt) => halt,
        };
        self.totals.take_back(checkpoint);
        match halt {
            Halt::TimedOut => {
                self.rows /= 2;
                if self.rows < LEAST_ROWS {
                    let what = format!(
                        "after {} rows a batch of {} passed its limit in time",
                        self.passed,
                        self.rows.saturating_mul(2)
                    );
                    return Err(self.limits.timeout(&what));
                }
            }
            halt => self.limits.settle(engine, halt, &mut self.is_renewed)?,
        }
        Ok(Attempt::Again)
    }

    fn boundary(&self, engine: &mut dyn Engine, after: Option<&Cell>) -> Result<Option<Cell>, Halt> {
        let statement = self.inquiry.boundary(engine, after, self.rows);
        let mut found = None;
        engine.rows(&statement, self.limits.of_query()?, &mut |row| {
            found = match row {
                [key] => key_of(*key)?,
                _ => None,
            };
            Ok(())
        })?;
        Ok(found)
    }

    fn gather(&mut self, engine: &mut dyn Engine, span: &Span<'_>) -> Result<(), Halt> {
        let statement = self.inquiry.batch(engine, span)?;
        let totals = &mut self.totals;
        engine.rows(&statement, self.limits.of_query()?, &mut |row| totals.take(row))?;
        self.check_times(engine, span)
    }

    /// Rows whose times are not of a form that the range was compared with would be left out of it unseen.
    fn check_times(&self, engine: &mut dyn Engine, span: &Span<'_>) -> Result<(), Halt> {
        let Some((column, statement)) = self.inquiry.fault_of_time(engine, span) else { return Ok(()) };
        let mut fault = None;
        engine.rows(&statement, self.limits.of_query()?, &mut |row| {
            if let [CellRef::Text(what)] = row {
                fault = Some(String::from_utf8_lossy(what).into_owned());
            }
            Ok(())
        })?;
        fault.map_or(Ok(()), |what| {
            Err(Halt::Fault(invalid(format!(
                "`{}` of `{}` holds {what}; texts as 2026-11-22T10:00:00Z and whole seconds since 1970 are times",
                column.name,
                self.limits.relation
            ))))
        })
    }

    fn keep_pace(&mut self, took: Duration) {
        if took > GOAL {
            self.rows = (self.rows / 2).max(LEAST_ROWS);
        } else if took < GOAL / 4 {
            self.rows = self.rows.saturating_mul(2).min(first_rows(self.inquiry.operation));
        }
    }
}

enum Attempt<T> {
    Done(T),
    Again,
}

impl<T> Attempt<T> {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

fn key_of(key: CellRef<'_>) -> Result<Option<Cell>, SourceError> {
    Ok(match key {
        CellRef::Null => None,
        CellRef::Integer(number) => Some(Cell::Integer(number)),
        CellRef::Number(number) => Some(Cell::Number(number)),
        CellRef::Bytes(bytes) => Some(Cell::Bytes(bytes.to_vec())),
        CellRef::Text(text) => {
            let text = std::str::from_utf8(text)
                .map_err(|_| SourceError::failed("a key of the relation is no text of UTF-8"))?;
            Some(Cell::Text(text.to_owned()))
        }
    })
}
