//! How many lines of NDJSON a second are imported, plain and compressed?

use std::fmt::Write as _;
use std::io::{Cursor, Read, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use headcount::{Query, Timestamp};

use crate::clock::timed;
use crate::figure::{Better, Report};
use crate::ours::{self, NOW_UNIX_SECONDS, standing_clock};
use crate::workload::Workload;
use crate::{Done, Scale, check};

const RATE: &str = "rate";
const PLAIN: &str = "plain";
const COMPRESSED: &str = ".gz";
const DAYS: u64 = 28;

pub(crate) fn run(scale: Scale) -> Done<Report> {
    let workload = Workload::new(scale.pick(1_000_000, 50_000));
    let log = lines(&workload)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(log.as_bytes())?;
    let compressed = encoder.finish()?;
    let mut report = Report::default();
    for _ in 0..scale.rounds {
        for (case, input) in [
            (PLAIN, &mut Cursor::new(log.as_bytes()) as &mut dyn Read),
            (COMPRESSED, &mut MultiGzDecoder::new(Cursor::new(&compressed))),
        ] {
            report.add(case, RATE, "lines/s", Better::More, import(&workload, input)?);
        }
    }
    report.note(
        "Event, time, user and project in each line, over 28 days; from memory, until all are durable.",
    );
    Ok(report)
}

/// Lines a second.
fn import(workload: &Workload, input: &mut dyn Read) -> Done<f64> {
    let folder = tempfile::tempdir()?;
    let store = ours::open(&folder.path().join("usage.db"), &workload.names, standing_clock())?;
    let (seconds, imported) = timed(|| store.import("log", input));
    let lines = workload.events.len() as u64;
    check::same("accepted lines", lines, imported?.accepted)?;
    for (name, tracked) in workload.names.iter().zip(workload.counts(0, lines)) {
        check::same(name, Some(tracked), store.value(&Query::total(name))?.count())?;
    }
    Ok(lines as f64 / seconds)
}

fn lines(workload: &Workload) -> Done<String> {
    let mut log = String::new();
    let seconds_per_day = 86_400;
    let length = workload.events.len() as u64;
    for (place, event) in (0_u64..).zip(&workload.events) {
        let ago = DAYS * seconds_per_day * (length - place) / length;
        let time = Timestamp::from_unix_seconds(NOW_UNIX_SECONDS).plus_seconds(-i64::try_from(ago)?);
        let name = &workload.names[usize::from(event.kind)];
        writeln!(
            log,
            "{{\"event\":\"{name}\",\"time\":\"{time}\",\"user\":{},\"project\":{}}}",
            event.user, event.project
        )?;
    }
    Ok(log)
}
