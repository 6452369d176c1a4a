//! A program with commands of its own, `acme`, that mounts the whole command line of headcount as `acme usage`.
//!
//! ```sh
//! cargo run --features cli --example mounted                          # a short tour
//! cargo run --features cli --example mounted open 7 web               # user 7 opens an issue
//! cargo run --features cli --example mounted usage query issue_created --unique user
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks")]

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use headcount::cli::Defaults;
use headcount::{Definitions, Error, Event, Store};

const HELP: &str = "\
Usage: acme COMMAND

  open USER WHERE     opens an issue
  usage ...           what is done with acme, counted on this machine only; `acme usage --help`
";
/// The program reads it to write, and `acme usage` to answer: one place for both.
const STORE_VARIABLE: &str = "ACME_USAGE_STORE";
/// A program that is installed has a folder for its state, such as /var/lib/acme; this one has the folder that it is run in.
const DEFAULT_STORE: &str = "acme-usage.db";
const USAGE_EXIT_CODE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    let store = std::env::var_os(STORE_VARIABLE).map_or_else(|| PathBuf::from(DEFAULT_STORE), PathBuf::from);
    let outcome = match words.as_slice() {
        [] => tour(),
        [command, rest @ ..] if *command == "usage" => usage(rest),
        [command, user, place] if *command == "open" => {
            open(&store, &user.to_string_lossy(), &place.to_string_lossy()).map(|()| ExitCode::SUCCESS)
        }
        [command] if *command == "--help" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("{HELP}");
            Ok(ExitCode::from(USAGE_EXIT_CODE))
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("acme: {error}");
        ExitCode::FAILURE
    })
}

fn definitions() -> Result<Definitions, Error> {
    Definitions::embedded(&[
        ("issue_created.yml", include_str!("definitions/issue_created.yml")),
        ("issues_from_web.yml", include_str!("definitions/issues_from_web.yml")),
        ("people_who_open_issues.yml", include_str!("definitions/people_who_open_issues.yml")),
    ])
}

/// The program's work. Were it to go on after a store that cannot be opened, `acme` would do so here: usage is no reason to stop.
fn open(store: &Path, user: &str, place: &str) -> Result<(), Error> {
    let store = Store::builder(store).definitions(definitions()?).open()?;
    store.tracker().track(Event::new("issue_created").user(user).label(place));
    // A command ends at once, so that it closes by itself, and hears of errors, instead of leaving it to `Drop`.
    store.close()?;
    Ok(())
}

/// Everything behind `acme usage`. In help, hints and messages stands what people type here; the exit code goes out as it is.
fn usage<A: AsRef<OsStr>>(args: &[A]) -> Result<ExitCode, Error> {
    let program = "acme usage";
    let defaults = Defaults::new()
        .program(program)
        .env_prefix("ACME_USAGE")
        .store(DEFAULT_STORE)
        .definitions(definitions()?);
    let args = args.iter().map(|arg| arg.as_ref().to_owned());
    Ok(headcount::cli::run([OsString::from(program)].into_iter().chain(args), defaults))
}

fn tour() -> Result<ExitCode, Error> {
    let folder = std::env::temp_dir().join(format!("acme-tour-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir(&folder) {
        eprintln!("acme: {}: {error}", folder.display());
        return Ok(ExitCode::FAILURE);
    }
    let store = folder.join("usage.db");
    let outcome = [("7", "web"), ("7", "api"), ("8", "web")]
        .into_iter()
        .try_for_each(|(user, place)| open(&store, user, place))
        .and_then(|()| {
            println!("$ acme usage query issue_created --unique user");
            usage(&[
                OsStr::new("query"),
                OsStr::new("issue_created"),
                OsStr::new("--unique"),
                OsStr::new("user"),
                OsStr::new("--store"),
                store.as_os_str(),
            ])
        });
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        eprintln!("acme: {}: {error}", folder.display());
    }
    outcome
}
