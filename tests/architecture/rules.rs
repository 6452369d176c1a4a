//! The rules, as data and as functions over tokens.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Kind, Token, tokens};

/// From the ground up. What stands on one floor does not know its neighbours.
pub(crate) const FLOORS: &[&[&str]] = &[
    &["error"],
    &["hash", "sync", "time"],
    &["event", "sketch"],
    &["definition"],
    &["plan"],
    &["storage"],
    &["ingest", "report"],
    &["ping"],
    &["store", "upkeep"],
    &["redis"],
    &["cli"],
];

/// The only places that may name a dependency.
pub(crate) const DOORS: &[(&str, &[&str])] = &[
    ("annotate_snippets", &["src/cli/"]),
    ("anstream", &["src/cli/"]),
    ("anstyle", &["src/cli/"]),
    ("chrono", &["src/time/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("crc", &["src/redis/rdb/input.rs"]),
    ("crc32c", &["src/sketch/"]),
    ("crossbeam_channel", &["src/sync.rs"]),
    ("flate2", &["src/cli/"]),
    ("getrandom", &["src/storage/sqlite/"]),
    ("granit_parser", &["src/definition/"]),
    ("hyperloglogplus", &["src/sketch/"]),
    ("indicatif", &["src/cli/progress.rs"]),
    ("postgres", &["src/ping/sources/postgres/"]),
    ("redis", &["src/redis/link.rs"]),
    ("rusqlite", &["src/storage/sqlite/", "src/ping/sources/sqlite.rs"]),
    ("rustix", &["src/time/", "src/cli/interrupt.rs", "src/ping/system.rs"]),
    ("sha2", &["src/ingest/source.rs", "src/ping/", "src/storage/ping.rs"]),
    ("signal_hook", &["src/cli/interrupt.rs"]),
    ("terminal_size", &["src/cli/"]),
    ("unicode_width", &["src/cli/"]),
    ("ureq", &["src/ping/upload/line.rs", "src/ping/upload/trust.rs"]),
];

/// Dependencies that every floor may name.
pub(crate) const EVERYWHERE: &[&str] = &["parking_lot", "serde", "serde_json", "tracing"];

pub(crate) const MAX_LINES: usize = 450;

/// What a statement of SQL begins with.
const SQL_WORDS: &[&str] = &[
    "ALTER ",
    "ATTACH ",
    "BEGIN",
    "CREATE ",
    "DELETE FROM",
    "DROP ",
    "INSERT ",
    "PRAGMA ",
    "REPLACE INTO",
    "SAVEPOINT ",
    "SELECT ",
    "UPDATE ",
    "VACUUM",
    "WITH ",
];

/// Macros that build a text out of parts.
const TEXT_BUILDERS: &[&str] = &["format", "format_args", "write", "writeln"];

/// What is wrong with a file, one line each. `is_test` holds for a file that only tests see.
pub(crate) fn faults(path: &str, text: &str, roof: &BTreeSet<&str>, is_test: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push(format!("{path}:1: the first line says what the file is for, `//! ...`"));
    }
    let all = tokens(text);
    for token in all.iter().filter(|token| token.kind == Kind::Word("unsafe")) {
        faults.push(format!("{path}:{}: unsafe code is forbidden", token.line));
    }
    if is_test {
        return faults;
    }
    let (code, test_lines) = without_tests(all);
    let lines = text.lines().count() - test_lines;
    if lines > MAX_LINES {
        faults.push(format!("{path}: {lines} lines of code, more than {MAX_LINES}; split it by duty"));
    }
    for (line, first) in crate_paths(&code) {
        if let Some(fault) = path_fault(path, first, roof) {
            faults.push(format!("{path}:{line}: {fault}"));
        }
    }
    for line in escapes(path, &code) {
        faults.push(format!(
            "{path}:{line}: leaves its module: `super`; import by `crate::` and the defining module"
        ));
    }
    for (line, name) in foreign_names(&code) {
        faults.push(format!("{path}:{line}: the dependency: `{name}` is named outside its door"));
    }
    faults.retain(|fault| !is_open_door(path, fault));
    for (line, name) in unscheduled(path, &code) {
        faults.push(format!(
            "{path}:{line}: `{name}` does not come through `crate::sync`; no schedule would decide it"
        ));
    }
    for line in built_sql(&code) {
        faults.push(format!("{path}:{line}: SQL is a constant with parameters, not a text built of parts"));
    }
    faults
}

/// What a path that begins with `crate::first` breaks.
fn path_fault(path: &str, first: &str, roof: &BTreeSet<&str>) -> Option<String> {
    let own = module(path);
    match own {
        "lib" => return None,
        "cli" | "main" => {
            let is_own = own == "cli" && first == "cli";
            return (!is_own && !roof.contains(first)).then(|| {
                format!("not public: `crate::{first}`; the command line uses the public API alone")
            });
        }
        _ => {}
    }
    let Some(theirs) = floor(first) else {
        return Some(format!("roof name: `crate::{first}`; import it from the module that defines it"));
    };
    let mine = floor(own)?;
    if first == own || theirs < mine {
        return None;
    }
    let way = if theirs == mine { "sideways" } else { "upward" };
    Some(format!("{way}: `crate::{first}` from `{own}`"))
}

pub(crate) fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The module below the crate's root in which a file stands.
fn module(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap();
    inside.split_once('/').map_or_else(|| inside.strip_suffix(".rs").unwrap(), |(folder, _)| folder)
}

/// How deep below the crate's root the module of a file is.
fn depth(path: &str) -> usize {
    let folders = path.matches('/').count() - 1;
    match path.rsplit('/').next().unwrap() {
        "mod.rs" => folders,
        "lib.rs" | "main.rs" => 0,
        _ => folders + 1,
    }
}

/// The first names of all paths below `crate::`, with their lines; a group of imports has several.
fn crate_paths<'t>(code: &[Token<'t>]) -> Vec<(usize, &'t str)> {
    let mut found = Vec::new();
    for at in 0..code.len() {
        if code[at].kind != Kind::Word("crate") || !is_path_separator(code, at + 1) {
            continue;
        }
        match code.get(at + 3).map(|token| token.kind) {
            Some(Kind::Word(name)) => found.push((code[at].line, name)),
            Some(Kind::Mark('{')) => group(&code[at + 3..], &mut found),
            Some(Kind::Mark('*')) => found.push((code[at].line, "*")),
            _ => {}
        }
    }
    found
}

/// The first names of the members of a group that begins with `{`.
fn group<'t>(code: &[Token<'t>], found: &mut Vec<(usize, &'t str)>) {
    let mut depth = 0;
    let mut begins = true;
    for token in code {
        match token.kind {
            Kind::Mark('{') => depth += 1,
            Kind::Mark('}') if depth == 1 => return,
            Kind::Mark('}') => depth -= 1,
            Kind::Mark(',') if depth == 1 => begins = true,
            Kind::Word(name) if begins => {
                found.push((token.line, name));
                begins = false;
            }
            _ => {}
        }
    }
}

/// The lines where `super::` climbs to the crate's root.
fn escapes(path: &str, code: &[Token<'_>]) -> Vec<usize> {
    let mut found = Vec::new();
    // The depth of braces at which each inline module that is open began.
    let mut modules: Vec<usize> = Vec::new();
    let mut braces = 0;
    for (at, token) in code.iter().enumerate() {
        match token.kind {
            Kind::Mark('{') => {
                if at >= 2 && code[at - 2].kind == Kind::Word("mod") {
                    modules.push(braces);
                }
                braces += 1;
            }
            Kind::Mark('}') => {
                braces -= 1;
                modules.pop_if(|begun| *begun == braces);
            }
            Kind::Word("super") if !ends_path(code, at) => {
                let climbs = (at..)
                    .step_by(3)
                    .take_while(|at| code.get(*at).is_some_and(|token| token.kind == Kind::Word("super")))
                    .count();
                if climbs >= depth(path) + modules.len() && !stays(path, code, at + 3 * climbs) {
                    found.push(token.line);
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether a path that climbed to the root goes back into the module it came from.
fn stays(path: &str, code: &[Token<'_>], next: usize) -> bool {
    code.get(next).is_some_and(|token| token.kind == Kind::Word(module(path)))
}

/// Names of dependencies where they begin a path or are imported.
fn foreign_names<'t>(code: &[Token<'t>]) -> Vec<(usize, &'t str)> {
    let mut known: BTreeSet<&str> = DOORS.iter().map(|(name, _)| *name).collect();
    // A module of this name stands in front of the dependency, in the file that declares it.
    for pair in code.windows(2) {
        if let (Kind::Word("mod"), Kind::Word(name)) = (&pair[0].kind, &pair[1].kind) {
            known.remove(name);
        }
    }
    (0..code.len())
        .filter_map(|at| match code[at].kind {
            Kind::Word(name) if known.contains(name) => Some((at, name)),
            _ => None,
        })
        .filter(|(at, _)| {
            let imported = *at > 0 && matches!(code[at - 1].kind, Kind::Word("use" | "crate"));
            imported || is_path_separator(code, at + 1) && !ends_path(code, *at)
        })
        .map(|(at, name)| (code[at].line, name))
        .collect()
}

fn is_open_door(path: &str, fault: &str) -> bool {
    DOORS.iter().any(|(name, doors)| {
        fault.contains(&format!("dependency: `{name}`")) && doors.iter().any(|door| path.starts_with(door))
    })
}

/// What the threads of the ingest wing share and does not come through `crate::sync`, with its lines. An import's own threads, and the
/// names of values, which are locked for moments in which nothing else is, are no matter of schedules.
fn unscheduled<'t>(path: &str, code: &[Token<'t>]) -> Vec<(usize, &'t str)> {
    const SHARED: [&str; 8] =
        ["parking_lot", "thread", "mpsc", "atomic", "Instant", "Mutex", "OnceLock", "Condvar"];
    let is_concerned = path.starts_with("src/ingest/")
        && !path.starts_with("src/ingest/import/")
        && !["src/ingest/intern.rs", "src/ingest/source.rs"].contains(&path);
    let mut found = Vec::new();
    let mut is_foreign = false;
    for (at, token) in code.iter().enumerate().filter(|_| is_concerned) {
        match token.kind {
            Kind::Word("parking_lot" | "std") if !ends_path(code, at) => is_foreign = true,
            Kind::Word("crate") | Kind::Mark(';' | '(' | ')') => is_foreign = false,
            _ => {}
        }
        if let Kind::Word(name) = token.kind
            && is_foreign
            && SHARED.contains(&name)
        {
            found.push((token.line, name));
            is_foreign = false;
        }
    }
    found
}

/// The lines where a text-building macro is given SQL.
fn built_sql(code: &[Token<'_>]) -> Vec<usize> {
    let is_builder = |at: usize| matches!(code[at].kind, Kind::Word(name) if TEXT_BUILDERS.contains(&name));
    let mut found = Vec::new();
    for at in 0..code.len().saturating_sub(2) {
        if !is_builder(at) || code[at + 1].kind != Kind::Mark('!') {
            continue;
        }
        let template = code[at + 2..].iter().find_map(|token| match token.kind {
            Kind::Text(text) => Some(Some(text)),
            Kind::Mark(';') => Some(None),
            _ => None,
        });
        if let Some(Some(text)) = template
            && is_sql(text)
        {
            found.push(code[at].line);
        }
    }
    found
}

/// In upper case as the house writes it, or in lower case at the beginning of a statement that also ends as one would.
fn is_sql(text: &str) -> bool {
    let text = text.replace("\\n", " ");
    let text = text.trim_start();
    let upper = text.to_ascii_uppercase();
    let shouts = SQL_WORDS.iter().any(|word| text.starts_with(word));
    let whispers = SQL_WORDS.iter().any(|word| upper.starts_with(word))
        && [" FROM ", " INTO ", " SET ", " TABLE ", " INDEX "].iter().any(|word| upper.contains(word))
        && [" from ", " into ", " set ", " table ", " index "].iter().any(|word| text.contains(word));
    shouts || whispers
}

fn is_path_separator(code: &[Token<'_>], at: usize) -> bool {
    let colon = |at: usize| code.get(at).is_some_and(|token| token.kind == Kind::Mark(':'));
    colon(at) && colon(at + 1)
}

/// Whether the word follows `name::` or a dot, so that it does not begin a path.
fn ends_path(code: &[Token<'_>], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|at| code[at].kind);
    match (before(1), before(2), before(3)) {
        (Some(Kind::Mark('.')), ..) => true,
        (Some(Kind::Mark(':')), Some(Kind::Mark(':')), Some(Kind::Word(word))) => word != "use",
        _ => false,
    }
}

/// The tokens without those of items under `#[cfg(test)]`, and how many lines those items take.
fn without_tests(all: Vec<Token<'_>>) -> (Vec<Token<'_>>, usize) {
    let mut code = Vec::new();
    let mut lines = 0;
    let mut at = 0;
    while at < all.len() {
        if is_test_attribute(&all[at..]) {
            let end = at + item_length(&all[at..]);
            lines += all[end - 1].line - all[at].line + 1;
            at = end;
        } else {
            code.push(all[at]);
            at += 1;
        }
    }
    (code, lines)
}

const TEST_ATTRIBUTE: [Kind<'static>; 7] = [
    Kind::Mark('#'),
    Kind::Mark('['),
    Kind::Word("cfg"),
    Kind::Mark('('),
    Kind::Word("test"),
    Kind::Mark(')'),
    Kind::Mark(']'),
];

fn is_test_attribute(code: &[Token<'_>]) -> bool {
    code.len() > TEST_ATTRIBUTE.len()
        && code.iter().zip(TEST_ATTRIBUTE).all(|(token, expected)| token.kind == expected)
}

/// The number of tokens to the end of the item: its semicolon, or the brace that closes its body.
fn item_length(code: &[Token<'_>]) -> usize {
    let mut depth = 0;
    let is_import =
        code.iter().skip(TEST_ATTRIBUTE.len()).take(6).any(|token| token.kind == Kind::Word("use"));
    for (at, token) in code.iter().enumerate() {
        match token.kind {
            Kind::Mark('{' | '(' | '[') => depth += 1,
            Kind::Mark('}' | ')' | ']') => depth -= 1,
            _ => {}
        }
        let ends = token.kind == Kind::Mark(';') || token.kind == Kind::Mark('}') && !is_import;
        if ends && depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The paths of files and folders that are modules under `#[cfg(test)]`.
pub(crate) fn test_files(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources {
        let folder = path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix("/lib.rs"));
        let folder = folder.unwrap_or_else(|| path.strip_suffix(".rs").unwrap());
        let code = tokens(text);
        for at in 0..code.len() {
            if !is_test_attribute(&code[at..]) {
                continue;
            }
            let item = &code[at..at + item_length(&code[at..])];
            if let [.., Token { kind: Kind::Word("mod"), .. }, Token { kind: Kind::Word(name), .. }, _] = item
            {
                found.extend([format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]);
            }
        }
    }
    found
}

/// The names that lib.rs makes public.
pub(crate) fn roof(lib: &str) -> BTreeSet<&str> {
    let code = tokens(lib);
    let mut names = BTreeSet::new();
    let mut at = 0;
    while at + 1 < code.len() {
        if code[at].kind != Kind::Word("pub") || !matches!(code[at + 1].kind, Kind::Word("use" | "mod")) {
            at += 1;
            continue;
        }
        // A name is public where its path ends: before a comma, a closing brace or the semicolon.
        while code[at].kind != Kind::Mark(';') {
            if let Kind::Word(name) = code[at].kind
                && matches!(code[at + 1].kind, Kind::Mark(',' | '}' | ';'))
            {
                names.insert(name);
            }
            at += 1;
        }
    }
    names
}
