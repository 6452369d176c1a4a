//! `headcount demo`: the main job on real data, in a second.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::answer::{Figures, bar_width, instant, per_value_table};
use super::look::{Look, Paint};
use super::output::{Failure, Form, Output};
use super::table::{Align, Table};
use super::window::{self, Moment};
use super::{Context, chart, import, text};
use crate::{
    Answer, Contents, Definitions, Error, Evaluate, IsoWeek, MetricValue, Mode, Query, Reader, Store,
    TimeRange, Timestamp, Unit, Value,
};

/// Every commit of the Redis project from 2009 to 2024, authors as keyed hashes.
const HISTORY: &[u8] = include_bytes!("sample/redis-history.ndjson.gz");
const SOURCE: &str = "redis-history";
const DEFINITIONS: [(&str, &str); 7] = [
    ("events/commit_authored.yml", include_str!("sample/definitions/events/commit_authored.yml")),
    ("events/file_touched.yml", include_str!("sample/definitions/events/file_touched.yml")),
    ("metrics/commits.yml", include_str!("sample/definitions/metrics/commits.yml")),
    ("metrics/commits_by_folder.yml", include_str!("sample/definitions/metrics/commits_by_folder.yml")),
    ("metrics/contributors.yml", include_str!("sample/definitions/metrics/contributors.yml")),
    ("metrics/lines_added.yml", include_str!("sample/definitions/metrics/lines_added.yml")),
    ("metrics/source_contributors.yml", include_str!("sample/definitions/metrics/source_contributors.yml")),
];
/// The day after the last commit.
const AS_OF: &str = "2024-10-19";
const FIRST_YEAR: u16 = 2009;
const LAST_YEAR: u16 = 2024;
const WEEKS: u32 = 26;
const CHART_HEIGHT: u32 = 5;
const MAX_FOLDERS: usize = 6;

/// Everything that the demo shows.
struct Findings {
    store: PathBuf,
    lines: u64,
    accepted: u64,
    took: Duration,
    contents: Contents,
    as_of: Timestamp,
    metrics: Vec<MetricValue>,
    /// Everybody who ever authored a commit, and who changed the sources.
    contributors: Answer,
    source_contributors: Answer,
    years: Vec<Year>,
    weeks: Vec<Answer>,
}

struct Year {
    commits: Answer,
    contributors: Answer,
}

#[derive(Serialize)]
struct Document<'a> {
    store: String,
    lines: u64,
    accepted: u64,
    seconds: f64,
    bytes: u64,
    series: u64,
    sketches: u64,
    #[serde(serialize_with = "instant")]
    as_of: Timestamp,
    metrics: Vec<MetricDocument<'a>>,
    contributors: Figures<'a>,
    source_contributors: Figures<'a>,
    years: Vec<YearDocument<'a>>,
    weeks: Vec<WeekDocument<'a>>,
}

#[derive(Serialize)]
struct MetricDocument<'a> {
    key_path: &'a str,
    #[serde(flatten)]
    figures: Option<Figures<'a>>,
}

#[derive(Serialize)]
struct YearDocument<'a> {
    year: String,
    commits: Figures<'a>,
    contributors: Figures<'a>,
}

#[derive(Serialize)]
struct WeekDocument<'a> {
    week: String,
    contributors: Figures<'a>,
}

impl<'a> MetricDocument<'a> {
    fn of(metric: &'a MetricValue) -> Self {
        Self { key_path: &metric.key_path, figures: metric.outcome.as_ref().ok().map(Figures::of) }
    }
}

impl<'a> YearDocument<'a> {
    fn of(Year { commits, contributors }: &'a Year) -> Self {
        Self {
            year: year_of(commits),
            commits: Figures::of(commits),
            contributors: Figures::of(contributors),
        }
    }
}

impl<'a> WeekDocument<'a> {
    fn of(week: &'a Answer) -> Self {
        Self { week: IsoWeek::of(week.window.from()).to_string(), contributors: Figures::of(week) }
    }
}

pub(super) fn run(context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    // A store that the environment names is one of real data.
    let store = if context.store_is_explicit { unused(&context.store)? } else { temporary()? };
    let findings = find(store)?;
    match output.form() {
        Form::Json => output.document(&document(&findings)),
        Form::Text => print(&findings, context, output),
    }
    Ok(())
}

/// The path, if nothing stands there: the demo adds to nobody's store.
fn unused(path: &Path) -> Result<PathBuf, Failure> {
    if path.symlink_metadata().is_ok() {
        let message =
            format!("{}: the demo makes a new store, but this exists; name another", path.display());
        return Err(Failure::usage(message));
    }
    Ok(path.to_owned())
}

/// A store in a new folder that only this user may enter.
fn temporary() -> Result<PathBuf, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("headcount-demo-{}-{}", now.as_secs(), std::process::id());
    let folder = std::env::temp_dir().join(name);
    DirBuilder::new().mode(0o700).create(&folder).map_err(|error| {
        let message = format!("{}: the folder cannot be made: {error}; use --store PATH", folder.display());
        Failure::io(message)
    })?;
    Ok(folder.join("redis.db"))
}

fn find(path: PathBuf) -> Result<Findings, Error> {
    let started = Instant::now();
    let store = Store::builder(&path)
        .definitions(Definitions::embedded(&DEFINITIONS)?)
        .mode(Mode::Inline)
        .for_imports()
        .open()?;
    let report = import::bundled(&store, SOURCE, HISTORY)?;
    store.close()?;
    let took = started.elapsed();

    let as_of = Timestamp::parse(AS_OF)?;
    let reader = Reader::open(&path)?;
    let contributors = Query::unique("commit_authored", "user");
    let sources = Query::unique("file_touched", "user").filter("label", "src");
    let weeks = TimeRange::complete_weeks(as_of, WEEKS);
    Ok(Findings {
        store: path,
        lines: report.lines,
        accepted: report.accepted,
        took,
        contents: reader.contents()?,
        as_of,
        metrics: reader.metrics(Evaluate { as_of: Some(as_of), ..Evaluate::default() })?,
        contributors: reader.value(&contributors)?,
        source_contributors: reader.value(&sources)?,
        years: (FIRST_YEAR..=LAST_YEAR).map(|year| of_year(&reader, year)).collect::<Result<_, Error>>()?,
        weeks: reader.series(&contributors.range(weeks), Unit::Week)?,
    })
}

fn of_year(reader: &Reader, year: u16) -> Result<Year, Error> {
    let first = |year: u16| Timestamp::parse(&format!("{year}-01-01"));
    let range = TimeRange::new(first(year)?, first(year + 1)?)?;
    Ok(Year {
        commits: reader.value(&Query::total("commit_authored").range(range))?,
        contributors: reader.value(&Query::unique("commit_authored", "user").range(range))?,
    })
}

fn year_of(answer: &Answer) -> String {
    window::date(answer.window.from()).chars().take(4).collect()
}

fn document(findings: &Findings) -> Document<'_> {
    let Contents { bytes, series, sketches, .. } = findings.contents;
    Document {
        store: findings.store.display().to_string(),
        lines: findings.lines,
        accepted: findings.accepted,
        seconds: findings.took.as_secs_f64(),
        bytes,
        series,
        sketches,
        as_of: findings.as_of,
        metrics: findings.metrics.iter().map(MetricDocument::of).collect(),
        contributors: Figures::of(&findings.contributors),
        source_contributors: Figures::of(&findings.source_contributors),
        years: findings.years.iter().map(YearDocument::of).collect(),
        weeks: findings.weeks.iter().map(WeekDocument::of).collect(),
    }
}

fn print(findings: &Findings, context: &Context, output: &mut Output<'_>) {
    output.line("The history of the Redis project, 2009-03-22 until 2024-10-19, as events\n");
    print_import(findings, output);
    output.line(format_args!("Metrics, as of {AS_OF}\n"));
    let moment = context.moment(Some(findings.as_of));
    output.line(metrics_table(findings, moment, output.look()));
    if let Some(values) = folders(findings) {
        output.line("git.commits_by_folder\n");
        output.line(per_value_table(values, MAX_FOLDERS, output.look()));
    }
    output.line("Distinct contributors, all time\n");
    let mut people = Table::new(&[Align::Right, Align::Left]).painting(0, Paint::Number);
    people.row([text::value(&findings.contributors), "authored a commit".to_owned()]);
    people.row([text::value(&findings.source_contributors), "changed files below src".to_owned()]);
    output.line(people.render("  ", output.look()));
    output.line("Year by year\n");
    output.line(years_table(&findings.years, output.look()));
    if let (Some(first), Some(last)) = (findings.weeks.first(), findings.weeks.last()) {
        output.line(format_args!(
            "Contributors a week, {} to {}\n",
            IsoWeek::of(first.window.from()),
            IsoWeek::of(last.window.from())
        ));
    }
    output.line(weeks_chart(&findings.weeks));
    output.line(
        "Contributors are estimates whose standard errors here round to 0.\n\
         Totals and sums are exact.\n",
    );
    print_next_steps(findings, context, output);
}

fn print_import(findings: &Findings, output: &mut Output<'_>) {
    let seconds = findings.took.as_secs_f64();
    let per_second = Duration::from_secs(findings.accepted).as_secs_f64() / seconds.max(1e-6);
    let Contents { bytes, series, sketches, .. } = findings.contents;
    let mut table = Table::new(&[Align::Left, Align::Left]);
    let rate = text::number((per_second / 1000.0).round() * 1000.0);
    let imported = text::plural(findings.accepted, "event", "events");
    table.row(["imported".to_owned(), format!("{imported} in {seconds:.2} s, {rate} a second")]);
    table.row(["store".to_owned(), findings.store.display().to_string()]);
    let (bytes, sketches) = (text::count(bytes), text::count(sketches));
    table.row(["holds".to_owned(), format!("{series} series, {sketches} sketches in {bytes} bytes")]);
    output.line(table.render("  ", output.look()));
}

fn metrics_table(findings: &Findings, moment: Moment, look: Look) -> String {
    let mut table =
        Table::new(&[Align::Left, Align::Right, Align::Left]).wrapping(2).painting(1, Paint::Number);
    for MetricValue { key_path, outcome, .. } in &findings.metrics {
        let Ok(answer) = outcome else { continue };
        let is_all_time = answer.window.to() == findings.as_of;
        let window =
            if is_all_time { window::all_time(answer, moment) } else { window::of_answer(answer, moment) };
        if !matches!(answer.value, Value::PerValue(_)) {
            table.row([key_path.clone(), text::value(answer), window]);
        }
    }
    table.render("  ", look)
}

fn folders(findings: &Findings) -> Option<&std::collections::BTreeMap<String, u64>> {
    findings.metrics.iter().find_map(|metric| metric.outcome.as_ref().ok()?.value.per_value())
}

fn years_table(years: &[Year], look: Look) -> String {
    let number = |year: &Year| year.contributors.value.number().unwrap_or_default();
    let max = years.iter().map(number).fold(0.0, f64::max);
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Right, Align::Left])
        .with_head()
        .painting(3, Paint::Bar);
    table.row(["year", "commits", "contributors"]);
    for year in years {
        let (commits, contributors) = (text::value(&year.commits), text::value(&year.contributors));
        table.row([
            year_of(&year.commits),
            commits,
            contributors,
            chart::bar(number(year), max, bar_width(look)),
        ]);
    }
    table.render("  ", look)
}

/// Columns over a line, with the months below it.
fn weeks_chart(weeks: &[Answer]) -> String {
    let numbers: Vec<f64> =
        weeks.iter().map(|week| week.value.number().unwrap_or_default().round()).collect();
    let max = numbers.iter().copied().fold(0.0, f64::max);
    let mut text = String::new();
    for (line, columns) in chart::columns(&numbers, max, CHART_HEIGHT).into_iter().enumerate() {
        let scale = if line == 0 { text::number(max) } else { String::new() };
        text.push_str(&format!("  {scale:>5} │ {columns}\n"));
    }
    text.push_str(&format!("  {:>5} └─{}\n", 0, "──".repeat(weeks.len())));
    text.push_str(&format!("  {:>5}   {}\n", "", months(weeks)));
    text
}

/// The name of each month below the first week that begins in it.
fn months(weeks: &[Answer]) -> String {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut line = String::new();
    let mut last = None;
    for (position, week) in weeks.iter().enumerate() {
        let month = window::date(week.window.from()).get(5..7).and_then(|month| month.parse::<usize>().ok());
        let name = month.and_then(|month| NAMES.get(month.checked_sub(1)?));
        if let Some(name) = name.filter(|_| last.replace(month) != Some(month)) {
            let width = position * 2;
            line = format!("{line:<width$}{name}");
        }
    }
    line
}

fn print_next_steps(findings: &Findings, context: &Context, output: &mut Output<'_>) {
    let (program, variable) = (&context.program, &context.store_variable);
    let store = quoted(&std::path::absolute(&findings.store).unwrap_or_else(|_| findings.store.clone()));
    output.line("Try next\n");
    for command in [
        format!("export {variable}={store}"),
        format!("{program} query commit_authored --unique user --from 2020-01-01 --to 2021-01-01 --by month"),
        format!("{program} query file_touched --unique user --filter label=src --json"),
        format!("{program} metric get git.contributors_monthly --as-of 2020-07-01"),
    ] {
        output.line(format_args!("  {command}"));
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if is_plain { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
