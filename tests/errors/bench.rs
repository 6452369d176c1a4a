//! A folder with definitions and a small store, in which wrong commands run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The Sunday on which all documents play.
const NOW: &str = "2026-11-22T10:00:00Z";
const EVENTS: &str = r#"{"event":"issue_created","time":"2026-11-02T10:00:00Z","user":1,"label":"web","value":5}
{"event":"issue_created","time":"2026-11-12T10:00:00Z","user":2,"label":"ios","value":2.5}
{"event":"page_viewed","time":"2026-11-13T11:30:00Z","user":2}
{"event":"page_viewed","time":"2026-11-20T08:00:00Z","user":3}
"#;
/// One line, or what stands on standard input, imported into a store of its own.
const LINE: &str = r#"#!/bin/sh
rm -f line.db*
if [ $# -gt 0 ]; then printf '%s\n' "$@" | exec "$0"; exit; fi
exec headcount import - --source line --store line.db --definitions config
"#;
/// One definition, or what stands on standard input, checked.
const DEFINE: &str = r#"#!/bin/sh
rm -rf one && mkdir one
if [ $# -eq 0 ]; then cat > one/a.yml; else printf '%s\n' "$@" > one/a.yml; fi
exec headcount definitions check one
"#;
/// Permissions mean nothing to root.
const UNPRIVILEGED: &str = r#"#!/bin/sh
[ "$(id -u)" -ne 0 ] || exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
exec "$@"
"#;

/// Before what must not be.
pub(crate) const ODD: &str = "!! ";

pub(crate) struct Bench {
    folder: TempDir,
    /// Programs for the commands: `text` has `headcount` itself, `json` one that always answers in JSON.
    programs: TempDir,
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), programs: tempfile::tempdir().unwrap() };
        // Another user must get to them.
        for folder in [&bench.folder, &bench.programs] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let binary = bench.programs.path().join("text/headcount");
        fs::create_dir(binary.parent().unwrap()).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_headcount"), &binary).unwrap();
        let text = binary.parent().unwrap().display();
        let json = format!("#!/bin/sh\nPATH='{text}':$PATH\nexec headcount --json \"$@\"\n");
        bench.program("json/headcount", &json);
        for (name, script) in [("line", LINE), ("define", DEFINE), ("unprivileged", UNPRIVILEGED)] {
            bench.program(&format!("both/{name}"), script);
        }
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/config");
        copy_folder(&config, &bench.path("config"));
        fs::write(bench.path("events.ndjson"), EVENTS).unwrap();
        let imported = bench.run("headcount import events.ndjson --definitions config", "text");
        assert_eq!(imported.code, 0, "{}", imported.err);
        bench
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.programs.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// Runs a script; the folder's own name never stands in what it says.
    pub(crate) fn run(&self, script: &str, form: &str) -> Ran {
        let programs = self.programs.path().display();
        let path = std::env::var("PATH").unwrap();
        let output = Process::new("sh")
            .args(["-c", script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{programs}/{form}:{programs}/both:{path}"))
            .env("HEADCOUNT_NOW", NOW)
            .env("COLUMNS", "100")
            .env("LC_ALL", "C")
            .env_remove("HEADCOUNT_STORE")
            .env_remove("HEADCOUNT_DEFINITIONS")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let folder = self.path("");
        let folder = folder.to_str().unwrap().trim_end_matches('/');
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(folder, "/srv/acme");
        let code = output.status.code().unwrap_or_else(|| panic!("{script}: {:?}", output.status));
        Ran { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// What a command says: lines of stdout behind `| `, those of stderr, and behind `? ` how it ends: the exit code and the kinds of
    /// its errors. The same command in JSON must fail in the same way, in the same words; what differs stands behind [`ODD`].
    pub(crate) fn row(&self, script: &str) -> String {
        let text = self.run(script, "text");
        let mut printed: String =
            text.out.lines().map(|line| format!("{}\n", format!("| {line}").trim_end())).collect();
        printed.push_str(&text.err);
        if text.code != 0 {
            // What asks for JSON itself is shown as it is.
            let json = if script.contains("--json") {
                return asked(printed, &text);
            } else {
                self.run(script, "json")
            };
            let errors: Vec<(String, String)> = json.err.lines().map(error).collect();
            let kinds: Vec<&str> = errors.iter().map(|(kind, _)| kind.as_str()).collect();
            printed.push_str(format!("? {} {}", text.code, kinds.join(" ")).trim_end());
            printed.push('\n');
            printed.extend(odd(&text, &json, &errors).map(|odd| format!("{ODD}{odd}\n")));
        }
        printed
    }
}

/// A row in which the command itself asks for JSON.
fn asked(mut printed: String, ran: &Ran) -> String {
    let kinds: Vec<String> = ran.err.lines().map(|line| error(line).0).collect();
    printed.push_str(&format!("? {} {}\n", ran.code, kinds.join(" ")));
    printed
}

/// What is not the same in both forms, if something is.
fn odd(text: &Ran, json: &Ran, errors: &[(String, String)]) -> Option<String> {
    if json.code != text.code {
        return Some(format!("--json exits with {}: {}", json.code, json.err));
    }
    if !json.out.is_empty() && serde_json::from_str::<Value>(&json.out).is_err() {
        return Some(format!("--json prints more or less than one document: {}", json.out));
    }
    if text.err.contains("\nCommands:\n") {
        return None;
    }
    let said = text.err.lines().filter(|line| line.starts_with("error: ")).count();
    if said != errors.len() {
        return Some(format!("--json has {} errors: {}", errors.len(), json.err));
    }
    errors.iter().find_map(|(kind, message)| {
        let documented = include_str!("../../src/cli/json.md");
        if !documented.contains(&format!("`{kind}`")) {
            return Some(format!("the kind {kind} is not documented"));
        }
        // For people the problems of definitions are laid out with the lines that they are about.
        let first = message.lines().next().unwrap_or_default();
        let said = if first.starts_with("the definitions have ") { first } else { message };
        // People see no control characters.
        let said = said.replace('\u{1b}', "\\u{1b}");
        (!text.err.contains(&format!("error: {said}\n"))).then(|| format!("--json says: {message}"))
    })
}

/// The kind and the message of an error in JSON, with nothing beside them.
fn error(line: &str) -> (String, String) {
    let error: Value = serde_json::from_str(line).unwrap_or_default();
    let known = (error["error"]["kind"].as_str(), error["error"]["message"].as_str());
    let (Some(kind), Some(message)) = known else { return ("none".to_owned(), line.to_owned()) };
    assert_eq!(error, serde_json::json!({ "error": { "kind": kind, "message": message } }));
    (kind.to_owned(), message.to_owned())
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
