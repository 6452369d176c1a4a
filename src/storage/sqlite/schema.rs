//! The tables of a store.

use crate::definition::rule::RuleKind;

/// `hdct`, in the header of every store file.
pub(crate) const APPLICATION_ID: i32 = 0x6864_6374;
/// The version of the tables below; a store of a newer one is refused before anything is written.
pub(crate) const USER_VERSION: i32 = 3;
/// The oldest version that is still read, and brought to the current one when it is opened for writing.
pub(crate) const OLDEST_VERSION: i32 = 1;

/// Minimum, maximum, histogram and gauge.
const RESERVED_KINDS: std::ops::RangeInclusive<i64> = 5..=8;

/// Bucket first in every key: a flush touches neighbouring rows, however long the history is.
///
/// `sketches` has rowids, unlike other tables of buckets: in a tree of keys with large rows each comparison of a search reads a
/// whole row, with its overflow pages; the index apart has short ones.
pub(crate) const CREATE: &str = "
CREATE TABLE store (
    one           INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    uuid          BLOB    NOT NULL,
    created       INTEGER NOT NULL,
    committed     INTEGER,
    united_bucket INTEGER NOT NULL,
    united_series INTEGER NOT NULL DEFAULT 0,
    hours_from    INTEGER NOT NULL DEFAULT 0,
    days_from     INTEGER NOT NULL DEFAULT 0,
    definitions   TEXT,
    recorded      TEXT
) STRICT;
CREATE TABLE series (
    id   INTEGER NOT NULL PRIMARY KEY,
    key  TEXT    NOT NULL,
    kind INTEGER NOT NULL,
    UNIQUE (key, kind)
) STRICT;
CREATE TABLE recorded (
    series INTEGER NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER,
    PRIMARY KEY (series, since)
) STRICT, WITHOUT ROWID;
CREATE TABLE counts (
    bucket INTEGER NOT NULL,
    series INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (bucket, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE sums (
    bucket    INTEGER NOT NULL,
    series    INTEGER NOT NULL,
    sum       REAL    NOT NULL,
    carry     REAL    NOT NULL,
    saturated INTEGER NOT NULL,
    PRIMARY KEY (bucket, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE sketches (
    bucket INTEGER NOT NULL,
    series INTEGER NOT NULL,
    blob   BLOB    NOT NULL,
    PRIMARY KEY (bucket, series)
) STRICT;
CREATE TABLE per_value (
    bucket INTEGER NOT NULL,
    series INTEGER NOT NULL,
    value  INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (bucket, series, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE value_names (
    series INTEGER NOT NULL,
    text   TEXT    NOT NULL,
    value  INTEGER NOT NULL,
    PRIMARY KEY (series, text),
    UNIQUE (series, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE producers (
    id       BLOB    NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL,
    seen     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sources (
    name     TEXT    NOT NULL PRIMARY KEY,
    offset   INTEGER NOT NULL,
    digest   BLOB    NOT NULL,
    lines    INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    latest   INTEGER,
    seen     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE marks (
    name TEXT    NOT NULL PRIMARY KEY,
    at   INTEGER NOT NULL,
    made INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger (
    entry  TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (entry, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE damaged (
    series INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    found  INTEGER NOT NULL,
    united INTEGER NOT NULL,
    blob   BLOB    NOT NULL
) STRICT;
CREATE INDEX damaged_series ON damaged (series, bucket);
";

/// What version 2 has more. `retention`: how long buckets are kept, in days; how large the file may be; and the time up to which the
/// clock is believed. `pings`: a document for each ISO week; `consent`: what may leave, and who works at pings.
pub(crate) const CREATE_SINCE_2: &str = "
CREATE TABLE retention (
    one            INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    hours_kept     INTEGER,
    days_kept      INTEGER,
    bytes_kept     INTEGER,
    trusted        INTEGER,
    leap           INTEGER,
    leap_confirmed INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO retention (one) VALUES (1);
CREATE TABLE pings (
    week     INTEGER NOT NULL PRIMARY KEY,
    recorded INTEGER NOT NULL,
    document TEXT    NOT NULL,
    beside   TEXT    NOT NULL,
    digest   BLOB    NOT NULL,
    partial  INTEGER NOT NULL,
    outcome  TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    tried    INTEGER,
    next     INTEGER,
    status   INTEGER,
    response TEXT
) STRICT;
CREATE TABLE consent (
    one            INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    sending        INTEGER NOT NULL DEFAULT 0,
    url            TEXT,
    categories     TEXT    NOT NULL DEFAULT 'operational optional subscription standard',
    suppress_below INTEGER NOT NULL DEFAULT 0,
    weeks_kept     INTEGER NOT NULL DEFAULT 104,
    since          INTEGER NOT NULL DEFAULT 0,
    worker         BLOB,
    until          INTEGER
) STRICT;
INSERT INTO consent (one) VALUES (1);
";

/// What version 3 has more. `arrived`: what came from another store as whole weeks and all time, less what was counted here of the same
/// time. A row has a count, a sum or a sketch, as its series asks; `value` is empty but for counts by value. `agreement`: the number of
/// what the operator agreed to, and of each ping that under which it was made; one under another number goes only by name. No time says
/// that, since clocks may be wrong.
pub(crate) const CREATE_SINCE_3: &str = "
CREATE TABLE arrived (
    series INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    value  TEXT    NOT NULL,
    count  INTEGER,
    sum    REAL,
    blob   BLOB,
    PRIMARY KEY (series, bucket, value)
) STRICT;
CREATE INDEX arrived_bucket ON arrived (bucket);
ALTER TABLE pings ADD COLUMN agreement INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consent ADD COLUMN agreement INTEGER NOT NULL DEFAULT 1;
UPDATE pings SET agreement = recorded > (SELECT since FROM consent);
ALTER TABLE consent DROP COLUMN since;
";

/// The code that the file has for a kind of series.
pub(crate) fn kind_code(kind: RuleKind) -> i64 {
    match kind {
        RuleKind::Count => 1,
        RuleKind::Sum => 2,
        RuleKind::Unique => 3,
        RuleKind::PerValue => 4,
    }
}

/// The kind of a series; `None` for the reserved ones and all others.
pub(crate) fn kind_of(code: i64) -> Option<RuleKind> {
    [RuleKind::Count, RuleKind::Sum, RuleKind::Unique, RuleKind::PerValue]
        .into_iter()
        .find(|kind| kind_code(*kind) == code)
}

/// Whether a kind is reserved for later versions.
pub(crate) fn is_reserved_kind(code: i64) -> bool {
    RESERVED_KINDS.contains(&code)
}
