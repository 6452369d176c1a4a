#!/usr/bin/env bash
# What headcount adds to a program: seconds of a cold release build (default profile) and the size of the binary, as a table.
# Wall time depends on what else the machine does; the seconds of CPU (user and system, all cores) hardly do.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CARGO_INCREMENTAL=0
unset CARGO_TARGET_DIR RUSTFLAGS
TIMEFORMAT='%R %U %S'

own='println!("{}", serde_json::json!({ "hello": "world" }));'
sqlite='let own = rusqlite::Connection::open("own.db")?;
    println!("{}", own.query_row("SELECT sqlite_version()", [], |row| row.get::<_, String>(0))?);'
usage='let definitions = headcount::Definitions::load("definitions")?;
    let store = headcount::Store::builder("usage.db").definitions(definitions).open()?;
    store.tracker().track(headcount::Event::new("issue_created").user(42));
    store.close()?;
    println!("{:?}", store.value(&headcount::Query::unique("issue_created", "user").last_days(28))?.count());'
mounted='if std::env::args().nth(1).as_deref() == Some("usage") {
        return Ok(headcount::cli::run(std::env::args_os().skip(1), headcount::cli::Defaults::new()));
    }'

# A title, the dependencies and the code of a program; prints its row.
price() {
    local title=$1 dependencies=$2 code=$3 host crates wall user system built stripped
    host=$scratch/$(tr -dc 'a-z' <<<"$title")
    mkdir -p "$host/src"
    printf '[package]\nname = "host"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\nserde_json = "1"\n%b' \
        "$dependencies" >"$host/Cargo.toml"
    printf 'fn main() -> Result<std::process::ExitCode, Box<dyn std::error::Error>> {\n    %s\n    Ok(std::process::ExitCode::SUCCESS)\n}\n' \
        "$code" >"$host/src/main.rs"
    cd "$host"
    cargo fetch --quiet
    # The program itself is no dependency.
    crates=$(($(cargo tree --offline -e normal --prefix none --no-dedupe | sort -u | wc -l) - 1))
    read -r wall user system < <({ time cargo build --quiet --offline --release --jobs 2; } 2>&1)
    built=$(stat -c %s target/release/host)
    strip -o host.stripped target/release/host
    stripped=$(stat -c %s host.stripped)
    awk -v title="$title" -v crates="$crates" -v wall="$wall" -v cpu="$user $system" -v built="$built" -v stripped="$stripped" 'BEGIN {
        split(cpu, seconds, " ")
        printf "| %s | %d | %.0f | %.0f | %.0f | %.0f |\n", title, crates, seconds[1] + seconds[2], wall, built / 1024, stripped / 1024
    }'
}

headcount="headcount = { path = \"$root\" }\n"
with_cli="headcount = { path = \"$root\", features = [\"cli\"] }\n"
rusqlite='rusqlite = { version = "0.42", default-features = false, features = ["bundled", "cache"] }\n'

uname -srm
printf '%s, load %s\n\n' "$(rustc --version)" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
echo '| program | crates | CPU seconds | wall seconds | KiB | KiB stripped |'
echo '|---|---|---|---|---|---|'
price 'serde_json alone' '' "$own"
price 'and headcount' "$headcount" "$own $usage"
price 'and headcount with `cli`' "$with_cli" "$mounted $own $usage"
price 'serde_json and rusqlite, bundled' "$rusqlite" "$own $sqlite"
price 'rusqlite and headcount' "$rusqlite$headcount" "$own $sqlite $usage"
printf '\nload %s\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
