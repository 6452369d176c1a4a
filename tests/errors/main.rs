//! What goes wrong, and what is said about it: the exact message, exit code and kind of error for each of many mistakes.
//!
//! Each document is a table of one subject: a command, what it prints on stdout behind `| `, what it says on stderr, and behind `? `
//! its exit code and the kind of error that `--json` names. `HEADCOUNT_BLESS=1 cargo test --all-features --test errors` writes what is
//! said now into the documents.

#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod bench;
#[path = "../console/document.rs"]
mod document;
#[path = "../console/json.rs"]
mod json;
mod stores;

use std::fs;
use std::path::Path;

use bench::Bench;
use document::Document;

fn holds(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors").join(name);
    let mut document = Document::read(&fs::read_to_string(&path).unwrap());
    assert!(document.commands().count() > 0, "{name}: no command to run");
    let bench = Bench::new();
    stores::make(&bench);
    for command in document.commands_mut() {
        command.printed = bench.row(&command.script);
    }
    if std::env::var_os("HEADCOUNT_BLESS").is_some() {
        fs::write(&path, document.blessed()).unwrap();
    }
    for command in document.commands() {
        assert!(!command.printed.contains(bench::ODD), "{name}: $ {}\n{}", command.script, command.printed);
    }
    if std::env::var_os("HEADCOUNT_BLESS").is_some() {
        return;
    }
    let differences: Vec<String> = document.commands().filter_map(document::Command::difference).collect();
    assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
}

#[test]
fn wrong_lines_are_refused_with_a_reason() {
    holds("lines.md");
}

#[test]
fn wrong_definitions_are_shown_where_they_are_wrong() {
    holds("definitions.md");
}

#[test]
fn wrong_arguments_are_explained() {
    holds("arguments.md");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    holds("files.md");
}

#[test]
fn stores_that_cannot_be_used_are_named() {
    holds("stores.md");
}

#[test]
fn what_has_no_answer_says_why() {
    holds("answers.md");
}
