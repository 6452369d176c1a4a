//! What salvaging does with damage of known places.

use headcount::{
    Depth, ErrorKind, Existing, ManualClock, Mode, Query, Reader, Retention, Store, TimeRange, Upkeep,
};
use rusqlite::Connection;

use crate::common::dump;
use crate::stores::{NOW, answers, at, known};
use crate::{write, wrong};

/// What is changed, and which tables lose something for it.
const CHANGES: &[(&str, &[&str])] = &[
    ("DELETE FROM counts WHERE bucket = 0", &[]),
    ("DELETE FROM ledger", &[]),
    ("UPDATE counts SET count = count + 1 WHERE bucket = 0", &[]),
    ("UPDATE counts SET count = count + 9 WHERE bucket = (2 << 40) + 20737", &[]),
    ("DELETE FROM counts WHERE bucket = (2 << 40) + 20737", &[]),
    ("DELETE FROM sums WHERE bucket = 0 OR bucket = (2 << 40) + 20737", &[]),
    ("DELETE FROM sketches WHERE bucket = 0", &[]),
    ("UPDATE counts SET count = count + 1 WHERE bucket = (1 << 40) + 20737 * 24 + 3", &["counts"]),
    ("UPDATE per_value SET count = count + 1 WHERE bucket = (2 << 40) + 20737 AND value = 3", &["per_value"]),
    ("DELETE FROM per_value WHERE bucket = (2 << 40) + 20737 AND value = 3", &["per_value"]),
    ("UPDATE sketches SET blob = x'00' WHERE bucket = (2 << 40) + 20737", &["sketches"]),
];

#[test]
fn what_is_said_twice_is_made_again_and_what_is_not_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = known(folder.path(), 11, false);
    for (sql, losing) in CHANGES {
        let path = write(folder.path(), &store.file, None);
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        let new = folder.path().join("new.db");
        let salvaged = Upkeep::salvage(&path, &new).unwrap();
        let lost: Vec<&str> = salvaged.losses.iter().map(|loss| loss.table).collect();
        assert!(lost.iter().all(|table| losing.contains(table)), "{sql}: {:?}", salvaged.losses);
        assert_eq!(lost.is_empty(), losing.is_empty(), "{sql}");
        assert!(salvaged.check.is_sound(), "{sql}: {:?}", salvaged.check.findings);
        assert_eq!(salvaged.check.losses.is_empty(), losing.is_empty(), "{sql}");
        let mut refused = std::collections::BTreeSet::new();
        let answers = answers(&Reader::open(&new).unwrap(), Some(&mut refused)).unwrap();
        assert_eq!(wrong(&answers, &store.truth), [""; 0], "{sql}");
        assert_eq!(refused.is_empty(), losing.is_empty(), "{sql}");
        std::fs::remove_file(&new).unwrap();
    }
}

#[test]
fn a_damaged_page_costs_its_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let store = known(folder.path(), 13, false);
    let path = write(folder.path(), &store.file, None);
    let page: i64 = Connection::open(&path)
        .unwrap()
        .query_row(
            "SELECT pageno FROM dbstat WHERE name = 'counts' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 3",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let mut bytes = store.file.clone();
    let at_byte = usize::try_from(page - 1).unwrap() * 4_096;
    bytes[at_byte..at_byte + 4_096].fill(0);
    let path = write(folder.path(), &bytes, None);
    assert!(!Reader::open(&path).unwrap().check(Depth::Plain).unwrap().is_sound());
    let new = folder.path().join("new.db");
    let salvaged = Upkeep::salvage(&path, &new).unwrap();
    let mut refused = std::collections::BTreeSet::new();
    let reader = Reader::open(&new).unwrap();
    let answers = answers(&reader, Some(&mut refused)).unwrap();
    assert_eq!(wrong(&answers, &store.truth), [""; 0]);
    assert!(answers.len() > store.truth.len() * 8 / 10, "{} of {}", answers.len(), store.truth.len());
    assert!(salvaged.losses.iter().all(|loss| loss.table == "counts"), "{:?}", salvaged.losses);
    let all = TimeRange::new(at("2026-09-20T00:00:00Z"), at("2026-09-20T01:00:00Z")).unwrap();
    if let Err(error) = reader.value(&Query::total("viewed").range(all)) {
        assert_eq!(error.kind(), ErrorKind::StoreDamaged);
    }
}

#[test]
fn everything_of_a_sound_store_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = known(folder.path(), 17, false);
    let path = write(folder.path(), &store.file, None);
    let mut upkeep = Upkeep::open(&path).unwrap().with_clock(ManualClock::new(at(NOW)));
    upkeep.set_retention(Retention::everything().hours_for_days(9).days_for_days(40)).unwrap();
    assert!(upkeep.retain().unwrap().rows > 1_000);
    drop(upkeep);
    // What no program of this test writes: a sketch that was set aside, refusals, a leap of the clock.
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO damaged SELECT series, bucket, 7, 1, x'0102' FROM sketches WHERE bucket > 0 LIMIT 1;
             INSERT INTO ledger VALUES ('refused', 'clock', 3), ('lost', 'stopped', 2);
             UPDATE retention SET trusted = 1790000000, leap = 1791000000, leap_confirmed = 1;
             UPDATE recorded SET until = since + 86400 WHERE series = 1",
        )
        .unwrap();
    let new = folder.path().join("new.db");
    let salvaged = Upkeep::salvage(&path, &new).unwrap();
    assert_eq!((salvaged.losses, salvaged.more), (Vec::new(), 0));
    assert!(salvaged.tables.iter().all(|table| table.rebuilt == 0), "{:?}", salvaged.tables);
    let sorted = |path| {
        let mut rows = dump(path);
        rows.sort();
        rows
    };
    assert_eq!(sorted(&new), sorted(&path));
    let random = |path| {
        let connection = Connection::open(path).unwrap();
        let mut select = connection
            .prepare("SELECT hex(uuid) FROM store UNION ALL SELECT * FROM (SELECT hex(id) FROM producers ORDER BY id)")
            .unwrap();
        let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(random(&new), random(&path));
}

#[test]
fn what_is_known_to_be_lost_is_backed_up_and_restored_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let store = known(folder.path(), 19, false);
    let path = write(folder.path(), &store.file, None);
    let sql = "UPDATE sketches SET blob = x'00' WHERE bucket = (2 << 40) + 20737;
        UPDATE counts SET count = count + 1 WHERE bucket = (1 << 40) + 20737 * 24 + 3";
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let [new, backup, restored] = ["new.db", "backup.db", "restored.db"].map(|name| folder.path().join(name));
    let salvaged = Upkeep::salvage(&path, &new).unwrap();
    assert!(salvaged.check.is_sound() && !salvaged.check.losses.is_empty(), "{:?}", salvaged.check);
    let backed_up = Reader::open(&new).unwrap().backup(&backup).unwrap();
    assert_eq!(backed_up.check.losses, salvaged.check.losses);
    Upkeep::restore(&backup, &restored, Existing::Refuse).unwrap();
    assert_eq!(dump(&restored), dump(&new));
    // New damage is none that is known.
    let sql = "UPDATE counts SET count = count + 1 WHERE bucket = (1 << 40) + 20738 * 24 + 3";
    Connection::open(&new).unwrap().execute_batch(sql).unwrap();
    let check = Reader::open(&new).unwrap().check(Depth::Plain).unwrap();
    assert!(!check.is_sound() && check.losses == salvaged.check.losses, "{check:?}");
}

#[test]
fn a_store_that_this_process_has_open_is_refused_and_keeps_its_locks() {
    let folder = tempfile::tempdir().unwrap();
    let store = known(folder.path(), 23, false);
    let path = write(folder.path(), &store.file, None);
    let open = Store::builder(&path).clock(ManualClock::new(at(NOW))).mode(Mode::Inline).open().unwrap();
    let new = folder.path().join("new.db");
    let error = Upkeep::salvage(&path, &new).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreBusy, "{error}");
    assert!(!new.exists());
    open.close().unwrap();
    drop(open);
    Upkeep::salvage(&path, &new).unwrap();
}
