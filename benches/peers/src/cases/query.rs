//! How fast are unique metrics answered over 28 days, and one over longer?

use headcount::{Evaluate, Query, Sketch, Store};
use redis::Connection;
use tempfile::TempDir;

use crate::clock::timed;
use crate::figure::{Better, Report};
use crate::history::{Cell, DENSE_USERS, History, event};
use crate::rivals::hyperloglog::Blobs;
use crate::rivals::redis::Server;
use crate::{Done, Scale, check};

const DAYS: usize = 28;
const YEAR: u32 = 365;
/// Different dense sets; a metric's days are all different ones.
const DENSE_SETS: usize = 64;
const TIME: &str = "time";
const OURS: &str = "headcount, all metrics at once";
const OURS_SINGLY: &str = "headcount, one by one";
const HYPERLOGLOG: &str = "hyperloglogplus from SQLite";
const REDIS: &str = "Redis, PFCOUNT in one pipeline";

#[derive(Debug, Clone, Copy)]
enum Shape {
    Dense,
    Skewed,
}

pub(crate) fn run(scale: Scale) -> Done<Vec<Report>> {
    let metrics = scale.pick(1_000, 20);
    let mut reports = Vec::new();
    for (shape, name) in [(Shape::Dense, "all dense"), (Shape::Skewed, "skewed")] {
        let title = format!("{metrics} unique metrics over 28 days, {name}");
        let mut report = Report { title, ..Report::default() };
        let contest = Contest::new(metrics, shape)?;
        for _ in 0..scale.rounds {
            contest.round(&mut report)?;
        }
        contest.check()?;
        for to in [HYPERLOGLOG, REDIS] {
            report.compare(TIME, OURS, to);
            report.compare(TIME, OURS_SINGLY, to);
        }
        report.note("From stored bytes, the files in the system's cache. Skewed: the metric of rank n has the n-th part of 20,000");
        report.note(format!(
            "users a day. Redis {}; from 8.0 on it unites dense sketches with SIMD.",
            contest.server.version
        ));
        reports.push(report);
    }
    reports.push(single(scale)?);
    Ok(reports)
}

/// The same sets with each contestant.
struct Contest {
    metrics: usize,
    ours: Store,
    blobs: Blobs,
    redis: std::cell::RefCell<Connection>,
    server: Server,
    /// Estimates of what the first and the last metric must answer, from our sketches alone.
    expected: Vec<(usize, f64)>,
    _folder: TempDir,
}

impl Contest {
    fn new(metrics: usize, shape: Shape) -> Done<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::start()?;
        let mut redis = server.connect()?;
        let blobs = Blobs::create(&folder.path().join("rival.db"))?;
        let history = History::create(folder.path(), metrics)?;
        let dense = match shape {
            Shape::Dense => {
                (0..DENSE_SETS).map(|set| Cell::new(DENSE_USERS, set as u64)).collect::<Done<Vec<_>>>()?
            }
            Shape::Skewed => Vec::new(),
        };
        let mut expected: Vec<_> = [0, metrics - 1].map(|metric| (metric, Sketch::new())).into();
        // Day by day, as a store is written; the crate's blobs of a metric lie side by side all the same.
        for day in 0..DAYS {
            for metric in 0..metrics {
                let made;
                let cell = match shape {
                    Shape::Dense => &dense[(metric * 7 + day) % DENSE_SETS],
                    Shape::Skewed => {
                        made = Cell::new(DENSE_USERS / (metric as u64 + 1), (metric * DAYS + day) as u64)?;
                        &made
                    }
                };
                history.put(metric, DAYS - day, &cell.ours)?;
                blobs.put(metric, day, &cell.hyperloglog)?;
                redis::cmd("SET").arg(key(metric, day)).arg(&cell.redis[..]).exec(&mut redis)?;
                for (_, union) in expected.iter_mut().filter(|(of, _)| *of == metric) {
                    union.unite_blob(&cell.ours)?;
                }
            }
        }
        let expected = expected.into_iter().map(|(metric, union)| (metric, union.estimate().value)).collect();
        blobs.commit()?;
        let ours = history.finish()?;
        Ok(Self { metrics, ours, blobs, redis: redis.into(), server, expected, _folder: folder })
    }

    fn round(&self, report: &mut Report) -> Done {
        let mut add = |case, answer: &dyn Fn() -> Done<Vec<f64>>| -> Done {
            let (seconds, answers) = timed(answer);
            check::same("answers", self.metrics, answers?.len())?;
            report.add(case, TIME, "ms", Better::Less, seconds * 1e3);
            Ok(())
        };
        add(OURS, &|| self.all_at_once())?;
        add(OURS_SINGLY, &|| (0..self.metrics).map(|metric| self.singly(metric)).collect())?;
        add(HYPERLOGLOG, &|| (0..self.metrics).map(|metric| self.blobs.count(metric)).collect())?;
        add(REDIS, &|| self.pfcount())
    }

    fn all_at_once(&self) -> Done<Vec<f64>> {
        let values = self.ours.metrics(Evaluate::default())?;
        values.into_iter().map(|metric| Ok(metric.outcome?.value.number().unwrap_or(f64::NAN))).collect()
    }

    fn singly(&self, metric: usize) -> Done<f64> {
        let answer = self.ours.metric(&format!("unique.{}", event(metric)))?;
        Ok(answer.outcome?.value.number().unwrap_or(f64::NAN))
    }

    fn pfcount(&self) -> Done<Vec<f64>> {
        let mut pipeline = redis::pipe();
        for metric in 0..self.metrics {
            pipeline.cmd("PFCOUNT").arg((0..DAYS).map(|day| key(metric, day)).collect::<Vec<_>>());
        }
        Ok(pipeline.query(&mut *self.redis.borrow_mut())?)
    }

    /// All three answer what the union of the metric's sketches says, each within its error.
    fn check(&self) -> Done {
        let (all, redis) = (self.all_at_once()?, self.pfcount()?);
        for (metric, answer) in all.iter().enumerate() {
            check::same("headcount's answers of both ways", self.singly(metric)?, *answer)?;
        }
        for (metric, expected) in &self.expected {
            check::near("headcount's answer", expected.round() as u64, all[*metric])?;
            check::near("Redis's answer", expected.round() as u64, redis[*metric])?;
            check::near("hyperloglogplus's answer", expected.round() as u64, self.blobs.count(*metric)?)?;
        }
        Ok(())
    }
}

fn key(metric: usize, day: usize) -> String {
    format!("{}:user:{day}", event(metric))
}

/// One dense metric beside nine others, over growing times.
fn single(scale: Scale) -> Done<Report> {
    const METRICS: usize = 10;
    let folder = tempfile::tempdir()?;
    let history = History::create(folder.path(), METRICS)?;
    let cells = (0..DENSE_SETS).map(|set| Cell::new(DENSE_USERS, set as u64)).collect::<Done<Vec<_>>>()?;
    let mut unions = vec![Sketch::new(); METRICS];
    for day in (1..=YEAR as usize).rev() {
        for (metric, union) in unions.iter_mut().enumerate() {
            let cell = &cells[(metric * 7 + day) % DENSE_SETS];
            history.put(metric, day, &cell.ours)?;
            union.unite_blob(&cell.ours)?;
        }
    }
    for (metric, union) in unions.iter().enumerate() {
        history.put_all_time(metric, &union.encode())?;
    }
    let store = history.finish()?;
    let mut report = Report { title: "One dense unique metric".into(), ..Report::default() };
    let query = || Query::unique(event(3), "user");
    for _ in 0..scale.rounds * scale.pick(20, 2) {
        for (case, query) in
            [("28 days", query().last_days(28)), ("a year", query().last_days(YEAR)), ("all time", query())]
        {
            let (seconds, answer) = timed(|| store.value(&query));
            answer?;
            report.add(case, TIME, "us", Better::Less, seconds * 1e6);
        }
    }
    Ok(report)
}
