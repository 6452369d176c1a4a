//! How many bytes does a unique metric take for a day?

use crate::figure::{Better, Report};
use crate::history::{Cell, DENSE_USERS, History};
use crate::rivals::redis::Server;
use crate::{Done, Scale};

const SIZES: [(u64, &str); 4] =
    [(10, "10 users"), (100, "100 users"), (1_000, "1,000 users"), (DENSE_USERS, "20,000 users, dense")];
const METRICS: usize = 10;

pub(crate) fn run(scale: Scale) -> Done<Report> {
    let server = Server::start()?;
    let mut redis = server.connect()?;
    let mut report = Report::default();
    for (size, case) in SIZES {
        let folder = tempfile::tempdir()?;
        let history = History::create(folder.path(), METRICS)?;
        let path = history.path.clone();
        let mut cells = Vec::new();
        for metric in 0..METRICS {
            let cell = Cell::new(size, metric as u64)?;
            history.put(metric, 1, &cell.ours)?;
            cells.push(cell);
        }
        drop(history.finish()?);
        let file = rusqlite::Connection::open(path)?;
        let mut select = file.prepare(
            "SELECT length(blob) FROM sketches WHERE bucket = (SELECT max(bucket) - 1 FROM sketches) ORDER BY series",
        )?;
        let ours = select.query_map([], |row| row.get::<_, i64>(0).map(|bytes| bytes as f64))?;
        for (metric, (ours, cell)) in ours.zip(&cells).enumerate().take(scale.pick(METRICS, 2)) {
            let key = format!("{size}:{metric}");
            redis::cmd("SET").arg(&key).arg(&cell.redis[..]).exec(&mut redis)?;
            let memory: f64 = redis::cmd("MEMORY").arg("USAGE").arg(&key).query(&mut redis)?;
            let string: f64 = redis::cmd("STRLEN").arg(&key).query(&mut redis)?;
            for (name, bytes) in [
                ("headcount", ours?),
                ("hyperloglogplus, serde", cell.hyperloglog.len() as f64),
                ("Redis, string", string),
                ("Redis, memory", memory),
            ] {
                report.add(case, name, "bytes", Better::Less, bytes);
            }
        }
    }
    report.note(format!("hyperloglogplus as postcard writes it; Redis {}.", server.version));
    Ok(report)
}
