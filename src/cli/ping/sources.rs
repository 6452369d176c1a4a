//! Where the command line takes values from that no event counts.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::cli::args::SourceArgs;
use crate::cli::output::Failure;
use crate::cli::text;
use crate::{Answers, DataSource, Ping, SqliteSource};

/// A file of answers, or of parameters, that is larger is refused.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Adds the sources that the command line names.
pub(super) fn extend(mut ping: Ping, args: &SourceArgs) -> Result<Ping, Failure> {
    if let Some(file) = &args.sqlite {
        let source = SqliteSource::new(file);
        ping = ping.with_sources(|sources| sources.data_source_from(DataSource::Database, source));
    }
    #[cfg(feature = "postgres")]
    if let Some(file) = &args.postgres {
        let source = crate::PostgresSource::new(read(file)?.trim()).map_err(|error| of_file(file, &error))?;
        ping = ping.with_sources(|sources| sources.data_source_from(DataSource::Database, source));
    }
    if let Some(file) = &args.answers {
        let answers = Answers::from_json(&read(file)?).map_err(|error| of_file(file, &error))?;
        ping = ping.answers(answers).map_err(|error| of_file(file, &error))?;
    }
    Ok(ping)
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: &std::io::Error| Failure::io(format!("{}: {}", path.display(), text::io(error)));
    let mut content = String::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut content).map_err(|error| failed(&error))?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(Failure::usage(format!("{}: it has more than {MAX_FILE_BYTES} bytes", path.display())));
    }
    Ok(content)
}

fn of_file(path: &Path, error: &crate::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}
