//! What help says after the options of a command.

pub(super) const DEMO_HELP: &str = "\
The store is made in a new temporary folder, or at --store PATH where nothing may stand yet.

Example:
  {program} demo";

pub(super) const IMPORT_HELP: &str = "\
A line: {\"event\":\"issue_created\",\"time\":\"2026-11-22T10:00:00Z\",\"user\":42,\"label\":\"web\"}
Only `event` is required. A line that is no valid event is refused and counted; the rest goes on.

The store remembers how far it has read each source: the same file twice counts once, an interrupted import \
continues, a log that has grown continues where it ended. Standard input without --source is a new source each \
time, so all its lines count.

Examples:
  {program} import --definitions config events.ndjson
  {program} import access.log access.log.1 access.log.2.gz";

pub(super) const QUERY_HELP: &str = "\
Distinct ones are estimates: `1,204 ±9` has a standard error of 9, without ± it rounds to 0. Dates are UTC, and \
--to is the first day that does not count.

--compare shows both windows and the difference, and whether chance explains it: counting noise, the spread from day to day, \
and standard errors exceed what it says in 1 of 20 cases. A window that is not over is compared with as much of the other.

Examples:
  {program} query issue_created --last 28d
  {program} query page_viewed --last 7d --compare previous
  {program} query page_viewed --unique user --last 7d --compare v1.4.0
  {program} query issue_created epic_created --unique user --from 2026-01-01 --by month
  {program} query issue_created --per-value label";

pub(super) const METRIC_LIST_HELP: &str = "\
Examples:
  {program} metric list
  {program} metric list --definitions config --json";

pub(super) const METRIC_GET_HELP: &str = "\
A metric without a value says why; it is never 0. `1,204 ±9` has a standard error of 9.

Examples:
  {program} metric get counts.issues_weekly counts.issues_monthly
  {program} metric get counts.issues_weekly --as-of 2026-11-22 --window rolling";

pub(super) const DEFINITIONS_CHECK_HELP: &str = "\
Exits with 3 if there is an error; with --strict also if there is a warning. --strict warns of all that GitLab's \
JSON schemas refuse and that works here, but for the names of groups and categories, which are GitLab's own.

Examples:
  {program} definitions check config
  {program} definitions check --strict config/events/issue_created.yml";

pub(super) const STATS_HELP: &str = "\
Every event that was ever offered is either stored, refused or lost, the latter two with a reason. With --definitions it also \
says what differs from those that the store keeps.

Examples:
  {program} stats --store usage.db
  {program} stats --all --json";

pub(super) const PROGRAM_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 definitions invalid or missing, 4 store busy, 5 store damaged or newer, \
6 refused by the other side, 7 other side unreachable, 130 interrupted.";

pub(super) const MARK_HELP: &str = "\
A deployment that names each release can be repeated: the first time counts, unless --at says another one.

Examples:
  {program} mark v1.4.0
  {program} mark campaign --at 2026-11-10T14:00:00Z
  {program} query page_viewed --last 7d --compare v1.4.0";

pub(super) const METRIC_SHOW_HELP: &str = "\
What no event counts is asked for as a ping made now would ask for it.

Examples:
  {program} metric show counts.issues_weekly
  {program} metric show counts.accounts_weekly --sqlite app.db";

pub(super) const PING_PREVIEW_HELP: &str = "\
What stands on stdout is to the byte what a ping made now would be; of a week that has one, that one leaves (`ping show`). A metric that nothing here can answer for is left out, and never 0; one \
that fails has GitLab's -1.

Examples:
  {program} ping preview
  {program} ping preview --diff
  {program} ping preview --as-of 2026-11-22 --json";

pub(super) const PING_GENERATE_HELP: &str = "\
Of each ISO week one ping is kept, and it never changes: in a week that has one this shows which.

Example:
  {program} ping generate";

pub(super) const PING_RUN_HELP: &str = "\
A ping is due once a week, at a minute that follows from the installation's uuid. Call this as often as you like, from as many \
processes as share the store: each week's ping is made once. One that was missed is made at the next call. Exits with 0 also when \
nothing is due.

Examples:
  {program} ping run
  */15 * * * * {program} ping run --store /var/lib/app/usage.db";

pub(super) const PING_QUESTIONS_HELP: &str = "\
For a program that asks with the connections it has: the questions as JSON, and the answers back in a file, \
{\"day\": \"2026-11-23\", \"answers\": [{\"key_path\": \"counts.issues\", \"value\": 42}]}, or an \"error\" instead of a value. Ranges are \
of whole days, so answers serve on the `day` of the questions, and are refused on another.

Examples:
  {program} ping questions --json > questions.json
  {program} ping run --answers answers.json";

#[cfg(feature = "upload")]
pub(super) const PING_SEND_HELP: &str = "\
The bytes are those that are kept, at every attempt. What fails is tried again by `ping run` and the program itself: after 5 minutes, \
then after longer and longer. This command waits only for a receiver that is busy: once the network, the URL, the token or the \
proxy is mended it sends all that wait. A wrong token or URL (401, 403, 404, a redirect) costs no ping; what the other side \
does not want of a ping itself (400, 409, 413, 422) is not tried again, unless its week is named. Exits with 6 if the other side does \
not want a ping or does not let it in, with 7 if it cannot be reached.

Examples:
  {program} ping send --token-file /run/secrets/ping-token
  {program} ping send 2026-W47";

pub(super) const PING_EXPORT_HELP: &str = "\
One readable JSON file: the documents, the definitions, a manifest with SHA-256, and of each metric what a ping that is sent leaves \
here: the time that it took, its window, and in one word why it has no value. There are no sketches in it, and what a source said in its \
own words only with --with-messages. With --mark-carried the pings count as delivered, so that turning sending on later sends them no \
second time; `ping send WEEK` and `ping export FILE WEEK` take them all the same.

Examples:
  {program} ping export pings.json
  {program} ping export pings.json --mark-carried
  {program} ping export november.json 2026-W45 2026-W46 2026-W47";

pub(super) const PING_VERIFY_HELP: &str = "\
Examples:
  {program} ping verify pings.json
  {program} ping verify pings.json --document 2026-W47 > ping.json";

pub(super) const PING_STATUS_HELP: &str = "\
DO_NOT_TRACK=1 and HEADCOUNT_TELEMETRY=off win over whatever was chosen.

Example:
  {program} ping status";

pub(super) const PING_CONSENT_HELP: &str = "\
Nothing is sent before somebody turns it on here; pings are made and kept all the same. DO_NOT_TRACK=1 and HEADCOUNT_TELEMETRY=off \
win over whatever was chosen.

Examples:
  {program} ping consent
  {program} ping consent --send-to https://usage.example.com/pings --without optional
  {program} ping consent --off";

pub(super) const PING_HISTORY_HELP: &str = "\
Example:
  {program} ping history";

pub(super) const PING_SHOW_HELP: &str = "\
Examples:
  {program} ping show
  {program} ping show 2026-W47 --metrics";

pub(super) const PING_FORGET_HELP: &str = "\
What `check` and `ping send` say of a ping whose bytes changed on the disk ends with this, if there is no backup. Its document, what stands \
beside it and the answer of the other side are gone; `ping history` goes on to have the week, and no other ping is made for \
it, since somebody may have the first. Exits with 1 if no ping of that week is kept.

Example:
  {program} ping forget 2026-W47";

pub(super) const PING_DIFF_HELP: &str = "\
Examples:
  {program} ping diff
  {program} ping diff 2026-W40 2026-W47";

pub(super) const CHECK_HELP: &str = "\
Hours must add up to days, days to all time, the totals of all events to what the ledger says is stored; sketches of days must \
be in those of all time. Exits with 5 if something is wrong. A store that is not sound is replaced by a backup (`restore`), or by \
what can be read of it (`salvage`).

Examples:
  {program} check
  {program} check --deep --json";

pub(super) const BACKUP_HELP: &str = "\
The copy is of one moment, compact and complete in itself; other programs may go on writing. `restore` puts it in the place of \
the store.

Example:
  {program} backup /backups/usage-2026-11-22.db";

pub(super) const RETENTION_HELP: &str = "\
What was counted stays in the totals, sums and distinct ones of all time, whatever is removed. Programs that have the store open \
heed a change within a minute. A clock that leaps ahead by more than 36 hours is not believed before it was seen three times \
in two hours.

Examples:
  {program} retention
  {program} retention --hours 100d --days 1200d
  {program} retention --size 2GB --now";

pub(super) const RESTORE_HELP: &str = "\
The backup is copied beside the place of the store, and the copy is checked, before anything else happens. A store that is there \
stays, unless --replace sets it aside, with its log; nothing is deleted. Stop the programs that use it first, or restart them \
afterwards: until then they say that their store was replaced.

A backup turns on nothing that was turned off since: pings are sent only if the store that was there sends to the same URL, and have \
only what both permit. Where no store was, sending is off; `{program} ping consent --send-to URL` turns it on.

Examples:
  {program} restore /backups/usage-2026-11-22.db
  {program} restore /backups/usage-2026-11-22.db --replace --store usage.db";

pub(super) const SALVAGE_HELP: &str = "\
Stop the programs that use the store first. The damaged file and its log stay as they are. What was lost of hours, days or all \
time is made again from the others where they say what it was; a damaged sketch costs the uniques of its day. What is lost for \
good is listed, and answers that would need it say so.

Examples:
  {program} salvage usage.db salvaged.db
  {program} restore salvaged.db --replace --store usage.db";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  {program} completions bash > ~/.local/share/bash-completion/completions/{program}
  {program} completions zsh > ~/.zfunc/_{program}
  {program} completions fish > ~/.config/fish/completions/{program}.fish";

#[cfg(feature = "redis")]
pub(super) const REDIS_IMPORT_HELP: &str = "\
Counts come exact, distinct ones register by register. Keys are read with SCAN, and stay as they are. All of it is imported or nothing; \
the same import again changes nothing. Keys that no definition explains are listed, and nothing is taken of them. Values of weeks \
stand for the whole week: an answer that cuts such a week lacks it, and is partial.

Where the store has counted the same week itself, --until says when Redis ended: what the store counted before it is the same events, and \
counts once.

Examples:
  {program} redis import --definitions config --url redis://localhost:6379/0
  {program} redis import --definitions config --rdb /var/lib/redis/dump.rdb
  {program} redis import --url-env REDIS_URL --until now";

#[cfg(feature = "redis")]
pub(super) const REDIS_EXPORT_HELP: &str = "\
Keys of all time, and of the last six weeks with the expiry that GitLab gives them. Few distinct ones are exact in the store, and come \
out with the error of registers, 0.81 %. An export can be repeated: it brings the difference. Nothing is written where keys \
stand that are not from this store.

Examples:
  {program} redis export --url redis://localhost:6379/0
  {program} redis export --resp usage.resp && redis-cli --pipe < usage.resp";

#[cfg(feature = "redis")]
pub(super) const REDIS_VERIFY_HELP: &str = "\
Counts, values and registers must be equal, sums to nine digits. Exits with 1 if something differs.

Example:
  {program} redis verify --url redis://localhost:6379/0";

#[cfg(feature = "redis")]
pub(super) const REDIS_MIRROR_HELP: &str = "\
Brings what each flush adds, until SIGINT or SIGTERM, and then once more. Programs do not wait for it: when Redis is away it waits, and \
brings the difference afterwards. To move: mirror, verify for some weeks, let programs count in Redis, and end the mirror.

Example:
  {program} redis mirror --url redis://localhost:6379/0";
