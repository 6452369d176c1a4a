//! The house's floors and doors, held against the sources.
//!
//! A module imports from the floors below its own, always from the defining module; a dependency is named behind its door
//! alone. The rules read tokens, so comments and documentation may say what they like, and code under `#[cfg(test)]` may use
//! any oracle.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops where it is wrong")]

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/tokens.rs"]
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rules::{DOORS, EVERYWHERE, MAX_LINES, faults, floor, roof, test_files};
use tokens::{Kind, tokens};

#[test]
fn the_sources_keep_the_rules_of_the_house() {
    let sources = sources();
    let roof = roof(&sources["src/lib.rs"]);
    let tests = test_files(&sources);
    let faults: Vec<String> = sources
        .iter()
        .flat_map(|(path, text)| faults(path, text, &roof, tests.iter().any(|test| path.starts_with(test))))
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_dependency_has_a_door() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, after) = manifest.split_once("\n[dependencies]\n").unwrap();
    let named: BTreeSet<String> = after
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .collect();
    let known: BTreeSet<String> =
        DOORS.iter().map(|(name, _)| *name).chain(EVERYWHERE.iter().copied()).map(str::to_owned).collect();
    assert!(named.len() > 5, "the dependencies were not found in Cargo.toml");
    let without: Vec<_> = named.difference(&known).collect();
    assert!(without.is_empty(), "give {without:?} a door in DOORS, or name them in EVERYWHERE");
}

#[test]
fn every_module_of_the_crate_has_a_floor() {
    let sources = sources();
    let lib = tokens(&sources["src/lib.rs"]);
    let modules: Vec<&str> = lib
        .windows(2)
        .filter_map(|pair| match (&pair[0].kind, &pair[1].kind) {
            (Kind::Word("mod"), Kind::Word(name)) => Some(*name),
            _ => None,
        })
        .collect();
    assert!(modules.len() > 5, "the modules were not found in lib.rs");
    for module in modules {
        assert!(floor(module).is_some(), "give the module `{module}` a floor in FLOORS");
    }
}

/// Each snippet breaks one rule; without these, a rule that sees nothing would pass for one that is kept.
#[test]
fn each_rule_catches_what_breaks_it() {
    let long = "fn f() {}\n".repeat(MAX_LINES + 1);
    let bad: &[(&str, &str, &str)] = &[
        ("src/time/week.rs", "use crate::event::Event;", "upward: `crate::event`"),
        ("src/hash.rs", "use crate::time::bucket::Hour;", "sideways: `crate::time`"),
        ("src/ingest/engine.rs", "use crate::report::query::Query;", "sideways: `crate::report`"),
        ("src/report/reader.rs", "fn f() { crate::ingest::stats::zero() }", "sideways: `crate::ingest`"),
        ("src/sketch/mod.rs", "use crate::{error::Error, storage::Batch};", "upward: `crate::storage`"),
        (
            "src/sketch/mod.rs",
            "use crate::{error::{Error, ErrorKind}, plan::{self}};",
            "upward: `crate::plan`",
        ),
        ("src/event/mod.rs", "macro_rules! m { () => { $crate::store::Store } }", "upward: `crate::store`"),
        ("src/storage/mod.rs", "use crate::cli::run;", "upward: `crate::cli`"),
        ("src/plan.rs", "use crate::Definitions;", "roof name: `crate::Definitions`"),
        (
            "src/plan.rs",
            "use crate::{Definitions as D, time::bucket::Hour};",
            "roof name: `crate::Definitions`",
        ),
        ("src/plan.rs", "use crate::*;", "roof name: `crate::*`"),
        ("src/time/week.rs", "use super::super::event::Event;", "leaves its module: `super`"),
        ("src/plan.rs", "use super::store::Store;", "leaves its module: `super`"),
        ("src/plan.rs", "mod inner { use super::super::store::Store; }", "leaves its module: `super`"),
        ("src/cli/query.rs", "use crate::report::query::Query;", "not public: `crate::report`"),
        ("src/cli/query.rs", "use crate::{Query, Hidden};", "not public: `crate::Hidden`"),
        ("src/cli/query.rs", "use super::super::store::Inner;", "leaves its module: `super`"),
        ("src/main.rs", "use crate::store::Store;", "not public: `crate::store`"),
        ("src/plan.rs", "use rusqlite::Connection;", "dependency: `rusqlite`"),
        ("src/storage/batch.rs", "use rusqlite as sql;", "dependency: `rusqlite`"),
        ("src/storage/mod.rs", "fn f(c: &rusqlite::Connection) {}", "dependency: `rusqlite`"),
        (
            "src/ingest/pipeline.rs",
            "use {std::fmt, crossbeam_channel::Sender};",
            "dependency: `crossbeam_channel`",
        ),
        ("src/report/query.rs", "extern crate chrono;", "dependency: `chrono`"),
        ("src/store.rs", "use ::sha2::Digest;", "dependency: `sha2`"),
        ("src/ingest/line.rs", "use flate2::read::GzDecoder;", "dependency: `flate2`"),
        ("src/ingest/queue.rs", "use std::sync::{Arc, mpsc};", "`mpsc` does not come through"),
        ("src/ingest/queue.rs", "use parking_lot::Mutex;", "`parking_lot` does not come through"),
        ("src/ingest/threads.rs", "fn f() { std::thread::yield_now() }", "`thread` does not come through"),
        ("src/ingest/threads.rs", "use std::time::{Duration, Instant};", "`Instant` does not come through"),
        ("src/plan.rs", "fn f() { unsafe { g() } }", "unsafe"),
        ("src/plan.rs", "#[cfg(test)] mod tests { unsafe fn f() {} }", "unsafe"),
        ("src/storage/sqlite/a.rs", r#"fn f(t: &str) -> String { format!("SELECT a FROM {t}") }"#, "SQL"),
        ("src/storage/sqlite/a.rs", r##"fn f() { write!(sql, r#" UPDATE t SET a = {x}"#); }"##, "SQL"),
        ("src/storage/sqlite/a.rs", "fn f() { write!(sql, \"\\n  delete from t WHERE {x}\"); }", "SQL"),
        ("src/plan.rs", &long, "lines of code"),
        ("src/plan.rs", "\n", "first line"),
    ];
    let roof = BTreeSet::from(["Query"]);
    for (path, snippet, expected) in bad {
        let text = if *expected == "first line" { (*snippet).to_owned() } else { headed(snippet) };
        let found = faults(path, &text, &roof, false);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "in {path} expected one fault `{expected}`, found {found:?} in\n{snippet:.200}"
        );
    }
}

#[test]
fn sound_code_and_prose_pass() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}\n}}", "fn f() {}\n".repeat(2 * MAX_LINES));
    let good: &[(&str, &str)] = &[
        (
            "src/plan.rs",
            "use crate::time::bucket::Hour;\npub(in crate::plan) fn f() -> crate::error::Error {}",
        ),
        (
            "src/plan.rs",
            "//! use crate::Store;\n/// ```\n/// use crate::{Store, rusqlite::X};\n/// ```\nfn f() {}",
        ),
        (
            "src/plan.rs",
            "/* use crate::Store; /* unsafe */ rusqlite:: */ // unsafe crate::store::Store\nfn f() {}",
        ),
        (
            "src/plan.rs",
            r##"const A: &str = "use crate::Store; unsafe"; const B: &str = r#"rusqlite::"X"#;"##,
        ),
        (
            "src/plan.rs",
            "fn f<'a>(a: &'a str) -> char { '\"' } // \" unsafe \" in a comment, after an odd quote",
        ),
        ("src/plan.rs", "fn f() { let c = b'\\''; let d = '\\u{7f}'; }\n// use crate::Store;"),
        (
            "src/plan.rs",
            "#[cfg(test)]\nmod tests { use super::*; use crate::store::Store; use rusqlite::Connection; }",
        ),
        ("src/plan.rs", "#[cfg(test)] use crate::{store::Store, report::query::Query};\nfn f() {}"),
        ("src/plan.rs", "mod inner { use super::f; }"),
        ("src/plan.rs", &tests),
        ("src/definition/read/mod.rs", "use super::super::definition::rule::Rule;\nuse super::check;"),
        (
            "src/storage/sqlite/a.rs",
            "use rusqlite::Connection; const SQL: &str = \"SELECT 1\"; use super::batch::B;",
        ),
        ("src/storage/sqlite/a.rs", r#"fn f() { format!("Selecting is not SQL: {x}"); }"#),
        (
            "src/cli/query.rs",
            "use crate::Query; use crate::cli::format::Table; use super::Common; use clap::Parser;",
        ),
        ("src/main.rs", "fn main() -> ExitCode { headcount::cli::run() }"),
        (
            "src/ingest/engine.rs",
            "use std::sync::Arc; use std::time::Duration; use crate::sync::{Instant, Mutex, thread};",
        ),
        ("src/ingest/import/lane.rs", "use std::thread::Builder;"),
        ("src/store.rs", "fn f() { self.chrono(); crate::time::chrono::now(); }"),
    ];
    let roof = BTreeSet::from(["Query"]);
    for (path, snippet) in good {
        let found = faults(path, &headed(snippet), &roof, false);
        assert!(found.is_empty(), "{found:?} in {path}\n{snippet:.200}");
    }
}

#[test]
fn test_modules_in_files_of_their_own_are_recognised() {
    let sources = BTreeMap::from([
        ("src/sketch/mod.rs".to_owned(), "mod blob;\n#[cfg(test)]\nmod tests;\nmod union;".to_owned()),
        ("src/plan.rs".to_owned(), "#[cfg(test)] pub(crate) mod oracle;".to_owned()),
    ]);
    assert_eq!(
        test_files(&sources),
        ["src/plan/oracle.rs", "src/plan/oracle/", "src/sketch/tests.rs", "src/sketch/tests/"]
    );
}

fn headed(snippet: &str) -> String {
    format!("//! A file.\n{snippet}")
}

#[test]
fn the_roof_is_what_lib_makes_public() {
    let lib = "mod a; pub mod cli; pub use a::{B, c::{D, E as F}, G,};\npub use h::I; pub(crate) use j::K; use l::M;";
    assert_eq!(roof(lib), BTreeSet::from(["B", "D", "F", "G", "I", "cli"]));
}

/// The text of every source, by its path below the crate's folder.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
