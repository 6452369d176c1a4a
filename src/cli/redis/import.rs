//! `headcount redis import`.

use serde::Serialize;

use crate::cli::args::{RedisImportArgs, Until};
use crate::cli::import::open_store;
use crate::cli::output::{Failure, Form, Output};
use crate::cli::progress::during;
use crate::cli::{Context, text};
use crate::{RedisImport, RedisImported};

#[derive(Serialize)]
struct Document<'a> {
    counts: u64,
    sums: u64,
    uniques: u64,
    per_value: u64,
    first_week: Option<String>,
    last_week: Option<String>,
    unknown: &'a [String],
    reconnections: u64,
    doubts: &'a [String],
}

pub(super) fn run(args: &RedisImportArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let import = RedisImport::new().names(super::names(&args.names)?).keys_per_second(args.keys_per_second);
    let dump = args.rdb.as_deref();
    let url = if dump.is_none() { super::url(&args.server)? } else { String::new() };
    let store = open_store(context, output)?;
    let import = match args.until {
        None => import,
        Some(Until::Now) => import.until_now(),
        Some(Until::At(instant)) => import.until(instant),
    };
    let imported = during("reading keys", output.form(), || match dump {
        Some(file) => import.database(args.database.unwrap_or(0)).from_dump(&store, file),
        None => import.from_server(&store, &url, &mut |_| {}),
    });
    let closed = store.close();
    let imported = imported.map_err(|error| advise(error.into(), args))?;
    closed?;
    match output.form() {
        Form::Json => output.document(&document(&imported)),
        Form::Text => tell(&imported, output),
    }
    Ok(())
}

/// Names the option that a message of the library asks for.
fn advise(failure: Failure, args: &RedisImportArgs) -> Failure {
    let asks = failure.is(crate::ErrorKind::Usage) && args.until.is_none();
    if asks { failure.advise(" (--until TIME, or --until now)") } else { failure }
}

fn document(imported: &RedisImported) -> Document<'_> {
    Document {
        counts: imported.counts,
        sums: imported.sums,
        uniques: imported.uniques,
        per_value: imported.per_value,
        first_week: imported.weeks.map(|(first, _)| first.to_string()),
        last_week: imported.weeks.map(|(_, last)| last.to_string()),
        unknown: &imported.unknown,
        reconnections: imported.reconnections,
        doubts: &imported.doubts,
    }
}

fn tell(imported: &RedisImported, output: &mut Output<'_>) {
    let kinds = [
        (imported.counts, "total", "totals"),
        (imported.sums, "sum", "sums"),
        (imported.uniques, "set of distinct ones", "sets of distinct ones"),
        (imported.per_value, "table of values", "tables of values"),
    ];
    let kinds = kinds.into_iter().filter(|(count, ..)| *count > 0);
    let kinds: Vec<String> = kinds.map(|(count, one, many)| text::plural(count, one, many)).collect();
    if kinds.is_empty() {
        output.line("no key was found that a definition explains; nothing was imported");
    } else {
        let weeks =
            imported.weeks.map(|(first, last)| format!(", weeks {first} to {last}")).unwrap_or_default();
        output.line(format_args!("imported {}{weeks}", kinds.join(", ")));
    }
    for doubt in &imported.doubts {
        output.note(doubt);
    }
    let unknown = imported.unknown.iter().map(String::as_str);
    super::note_keys("no definition explains these keys, and nothing was taken of them", unknown, output);
}
