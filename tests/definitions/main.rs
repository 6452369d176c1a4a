//! Definitions through the public interface: what is refused and where, what GitLab's files mean, and that no input breaks the reader.

#![cfg(feature = "yaml")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests may fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod changes;
mod folders;
mod gitlab;
mod hostile;
mod meaning;
mod mistakes;
mod oracle;
mod strict;
mod warnings;

use std::path::{Path, PathBuf};

use headcount::{Definitions, Error, ErrorKind};

/// A metric whose first three lines are fine, so that what follows begins in line 4.
pub(crate) const METRIC: &str = "key_path: counts.x\ndata_source: internal_events\ntime_frame: 7d\n";

pub(crate) fn load(yaml: &str) -> Result<Definitions, Error> {
    Definitions::embedded(&[("a.yml", yaml)])
}

/// Everything wrong with one file as `line:column message`.
pub(crate) fn errors(yaml: &str) -> Vec<String> {
    let error = load(yaml).expect_err(yaml);
    assert_eq!(error.kind(), ErrorKind::Definitions);
    error.problems().iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect()
}

/// The folder of GitLab's own definitions, if the machine has it; with `HEADCOUNT_TEST_SERVERS=1` it must.
pub(crate) fn gitlab() -> Option<PathBuf> {
    let folder = std::env::var_os("HEADCOUNT_GITLAB_DEFINITIONS").map(PathBuf::from);
    if folder.is_none() {
        let required = std::env::var("HEADCOUNT_TEST_SERVERS").is_ok_and(|value| value == "1");
        assert!(!required, "HEADCOUNT_GITLAB_DEFINITIONS must name the folder of GitLab's definitions");
        skipped("HEADCOUNT_GITLAB_DEFINITIONS is not set");
    }
    folder
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

pub(crate) fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            found.push(path);
        }
    }
    found.sort();
}
