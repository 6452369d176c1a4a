//! Every command that the documents show, run as it stands there, with exactly the output that stands there.
//!
//! After a wanted change of the output, `HEADCOUNT_BLESS=1 cargo test --all-features --test console` writes it into the documents.

#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod document;
mod json;
mod sample;
mod shell;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use document::Document;
use shell::Shell;

fn holds(path: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(&path).unwrap();
    let mut document = Document::read(&text);
    assert!(document.commands().count() > 0, "{}: no command to run", path.display());
    let shell = Shell::with_history();
    for command in document.commands_mut() {
        command.printed = shell.run(command);
    }
    if std::env::var_os("HEADCOUNT_BLESS").is_some() {
        return fs::write(&path, document.blessed()).unwrap();
    }
    let differences: Vec<String> = document.commands().filter_map(document::Command::difference).collect();
    assert!(differences.is_empty(), "{}:\n{}", path.display(), differences.join("\n"));
}

#[test]
fn the_front_page_shows_what_is_printed() {
    holds("README.md");
}

#[test]
fn the_document_of_json_shows_what_is_printed() {
    holds("src/cli/json.md");
}

#[test]
fn every_command_prints_for_people_what_its_snapshot_shows() {
    holds("tests/console/commands.md");
}

/// The sample is a file, so that readers can repeat what they see; `HEADCOUNT_BLESS=1` makes it anew.
#[test]
fn the_sample_is_what_its_generator_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/events.ndjson.gz");
    if std::env::var_os("HEADCOUNT_BLESS").is_some() {
        let mut file = GzEncoder::new(fs::File::create(&path).unwrap(), Compression::best());
        file.write_all(sample::events().as_bytes()).unwrap();
        file.finish().unwrap();
    }
    let mut events = String::new();
    GzDecoder::new(fs::File::open(&path).unwrap()).read_to_string(&mut events).unwrap();
    assert!(events == sample::events(), "{} is another sample", path.display());
}

/// The commands that help lists, each with its own below it.
fn subcommands(shell: &Shell, words: &str) -> Vec<String> {
    let help = shell.output(&format!("headcount {words} --help"));
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return vec![words.trim().to_owned()] };
    let list = list.split("\n\n").next().unwrap();
    // What help says of a command may go on in lines of their own.
    let is_named = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names = list.lines().filter(is_named).filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| *name != "help");
    names.flat_map(|name| subcommands(shell, format!("{words} {name}").trim())).collect()
}

#[test]
fn every_command_has_a_snapshot_for_people_and_one_for_programs() {
    let shell = Shell::with_sample();
    let commands = subcommands(&shell, "");
    assert!(commands.len() > 10, "{commands:?}");
    for (document, form) in
        [(include_str!("commands.md"), "people"), (include_str!("../../src/cli/json.md"), "programs")]
    {
        for command in &commands {
            let is_shown = document.contains(&format!("headcount {command}"));
            assert!(is_shown, "no snapshot of `{command}` for {form}");
        }
    }
}
