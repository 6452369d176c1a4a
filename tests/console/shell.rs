//! A folder with the sample in it, in which commands run.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use tempfile::TempDir;

use crate::document::Command;

/// The Sunday on which all documents play.
const NOW: &str = "2026-11-22T10:00:00Z";

pub(crate) struct Shell(TempDir);

impl Shell {
    pub(crate) fn with_sample() -> Self {
        let shell = Self(tempfile::tempdir().unwrap());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = root.join("tests/console/config");
        for kind in ["events", "metrics"] {
            fs::create_dir_all(shell.0.path().join("config").join(kind)).unwrap();
            for file in fs::read_dir(config.join(kind)).unwrap() {
                let file = file.unwrap();
                let to = shell.0.path().join("config").join(kind).join(file.file_name());
                fs::copy(file.path(), to).unwrap();
            }
        }
        fs::copy(root.join("tests/console/events.ndjson.gz"), shell.0.path().join("events.ndjson.gz"))
            .unwrap();
        shell
    }

    /// Also a repository with three commits, as this project's folder is one.
    pub(crate) fn with_history() -> Self {
        let shell = Self::with_sample();
        let definitions = "src/cli/sample/definitions";
        let copy = format!(
            "mkdir -p {definitions} && cp -r '{}/{definitions}/.' {definitions}",
            env!("CARGO_MANIFEST_DIR")
        );
        let commit = |day: u32, author: &str| {
            format!(
                "GIT_AUTHOR_DATE='2026-11-{day}T12:00:00Z' GIT_AUTHOR_NAME={author} GIT_AUTHOR_EMAIL={author}@example.com \
                 GIT_COMMITTER_NAME={author} GIT_COMMITTER_EMAIL={author}@example.com \
                 git commit -q --allow-empty -m {day}"
            )
        };
        let commits = [commit(18, "ann"), commit(19, "bob"), commit(20, "ann")].join(" && ");
        let made = shell.process(&format!("{copy} && git init -q . && {commits}")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
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
