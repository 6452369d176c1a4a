//! A folder with the sample in it, in which commands run.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use tempfile::TempDir;

use crate::document::Command;
use crate::sample;

/// The Sunday on which all documents play.
const NOW: &str = "2026-11-22T10:00:00Z";

pub(crate) struct Shell(TempDir);

impl Shell {
    pub(crate) fn with_sample() -> Self {
        let shell = Self(tempfile::tempdir().unwrap());
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/config");
        for kind in ["events", "metrics"] {
            fs::create_dir_all(shell.0.path().join("config").join(kind)).unwrap();
            for file in fs::read_dir(config.join(kind)).unwrap() {
                let file = file.unwrap();
                let to = shell.0.path().join("config").join(kind).join(file.file_name());
                fs::copy(file.path(), to).unwrap();
            }
        }
        fs::write(shell.0.path().join("events.ndjson"), sample::events()).unwrap();
        shell
    }

    fn process(&self, script: &str) -> Process {
        let binary = Path::new(env!("CARGO_BIN_EXE_headcount"));
        let path = std::env::var("PATH").unwrap();
        let mut process = Process::new("sh");
        process
            .args(["-c", script])
            .current_dir(self.0.path())
            .env("PATH", format!("{}:{path}", binary.parent().unwrap().display()))
            .env("HEADCOUNT_NOW", NOW)
            .env("TMPDIR", self.0.path())
            .env("COLUMNS", "100")
            .env_remove("HEADCOUNT_STORE")
            .env_remove("HEADCOUNT_DEFINITIONS")
            .stdin(Stdio::null());
        process
    }

    /// What a command prints, as a terminal would show it; the folder's own name never stands in it.
    pub(crate) fn run(&self, command: &Command) -> String {
        let script =
            if command.is_json { command.script.clone() } else { format!("{{ {}\n}} 2>&1", command.script) };
        let output = self.process(&script).output().unwrap();
        let mut printed = String::from_utf8(output.stdout).unwrap();
        let folder = self.0.path().canonicalize().unwrap();
        printed = printed.replace(folder.to_str().unwrap(), "/srv/acme");
        if command.is_json {
            let notes = String::from_utf8(output.stderr).unwrap();
            let is_error = !notes.is_empty() && printed.is_empty();
            return if is_error { notes.replace(folder.to_str().unwrap(), "/srv/acme") } else { printed };
        }
        match output.status.code() {
            Some(0) => printed,
            code => format!("{printed}? {}\n", code.unwrap()),
        }
    }

    pub(crate) fn output(&self, script: &str) -> String {
        String::from_utf8(self.process(script).output().unwrap().stdout).unwrap()
    }
}
