//! A backup takes the place of a store: of one that is gone, of one in use whose log is not empty, and of one that is damaged, whose
//! log cannot be emptied.
//!
//! The links, the renames and the sync of the folder, which the store makes itself, come by the bench as SQLite's calls do; removing
//! a name does not.

use std::fs;
use std::path::{Path, PathBuf};

use headcount::{Existing, Upkeep};

use crate::model::Model;
use crate::oracle;
use crate::run::{Session, scratch, store_in};
use crate::workload::{Outcome, State, Workload, flush};

const BACKUP: &str = "backup.db";
/// The batch that the backup does not have.
const LOST: usize = 1;
/// What a damaged store and its log have instead of pages.
const DAMAGED: [(&str, u8, usize); 2] = [("", 0x5a, 20_000), ("-wal", 0xa5, 9_000)];

pub(super) const RESTORE: Workload = Workload {
    name: "restore",
    steps: 3,
    prepare: |folder| {
        make_backup(folder)?;
        // Of a store that somebody has removed.
        fs::write(beside_store(folder, "-wal"), [0xa5; 9_000])?;
        Ok(())
    },
    step: |session, step| match step {
        // The store stays open, so that its log has the batch.
        1 => flush::step_on(session, LOST, &Model::tracked(2)),
        _ => restore(session),
    },
    state: |steps| match steps {
        0 => State::Absent,
        2 => State::Holds(Model::tracked(2)),
        _ => State::Holds(Model::tracked(1)),
    },
    beside: |folder, steps| {
        is_backup(&folder.join(BACKUP))?;
        let stores = set_aside(folder).into_iter().chain([store_in(folder)]);
        let mut is_found = steps < 2;
        for store in stores {
            let Some(tables) = oracle::sound_tables(&store)? else { continue };
            is_found |= tables == Model::tracked(2).tables();
            if tables != Model::tracked(1).tables() && tables != Model::tracked(2).tables() {
                return Err(format!(
                    "{} is neither the backup nor the store that was there",
                    store.display()
                ));
            }
        }
        if is_found { Ok(()) } else { Err("the store that was there is nowhere".to_owned()) }
    },
    leaves: |name| is_set_aside(name) || name == BACKUP || is_orphan(name),
    has_threads: false,
};

pub(super) const OVER_DAMAGE: Workload = Workload {
    name: "restore over damage",
    steps: 1,
    prepare: |folder| {
        make_backup(folder)?;
        for (suffix, byte, bytes) in DAMAGED {
            fs::write(beside_store(folder, suffix), vec![byte; bytes])?;
        }
        Ok(())
    },
    step: |session, _| restore(session),
    state: |steps| if steps == 0 { State::Unreadable } else { State::Holds(Model::tracked(1)) },
    beside: |folder, steps| {
        is_backup(&folder.join(BACKUP))?;
        let places = set_aside(folder).into_iter().chain((steps == 0).then(|| store_in(folder)));
        let mut damaged = places.filter(|store| is_damaged_one(store));
        let Some(store) = damaged.next() else {
            return Err("the damaged store is nowhere with its log".to_owned());
        };
        if steps > 0 || store == store_in(folder) || store_in(folder).exists() {
            return Ok(());
        }
        // Between two renames nothing has the place: then the restored one stands beside it, whole.
        let is_restored = |path: &PathBuf| matches!(oracle::sound_tables(path), Ok(Some(tables)) if tables == Model::tracked(1).tables());
        let is_there = files(folder, |name| name.ends_with(".new")).iter().any(is_restored);
        if is_there {
            Ok(())
        } else {
            Err("neither the damaged store nor the restored one is there".to_owned())
        }
    },
    leaves: |name| is_set_aside(name) || name == BACKUP || is_orphan(name) || name.ends_with(".new"),
    ..RESTORE
};

fn make_backup(folder: &Path) -> Outcome {
    let before = scratch()?;
    let mut session = Session::new(before.path(), None, 0);
    session.track(0)?;
    session.store()?.flush()?;
    session.store()?.reader().backup(folder.join(BACKUP))?;
    session.close()
}

fn restore(session: &mut Session<'_>) -> Outcome {
    let (backup, store) = (session.folder().join(BACKUP), store_in(session.folder()));
    Upkeep::restore(backup, store, Existing::SetAside)?;
    session.leave();
    Ok(())
}

fn beside_store(folder: &Path, suffix: &str) -> PathBuf {
    let mut path = store_in(folder).into_os_string();
    path.push(suffix);
    PathBuf::from(path)
}

fn files(folder: &Path, is_one: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter(|file| file.file_name().to_str().is_some_and(&is_one)).map(|file| file.path()).collect()
}

/// The stores that were set aside, without their logs.
fn set_aside(folder: &Path) -> Vec<PathBuf> {
    files(folder, |name| is_set_aside(name) && !name.ends_with("-wal") && !name.ends_with("-shm"))
}

fn is_set_aside(name: &str) -> bool {
    name.starts_with("store.db.replaced-")
}

/// What was left of a store that is gone.
fn is_orphan(name: &str) -> bool {
    name.ends_with(".new-wal") || name.ends_with(".new-shm")
}

fn is_backup(path: &Path) -> Result<(), String> {
    let tables = oracle::plain(path).and_then(|backup| oracle::tables(&backup));
    if tables.is_ok_and(|tables| tables == Model::tracked(1).tables()) {
        return Ok(());
    }
    Err("the backup is not what it was".to_owned())
}

fn is_damaged_one(store: &Path) -> bool {
    DAMAGED.into_iter().all(|(suffix, byte, bytes)| {
        let mut path = store.as_os_str().to_owned();
        path.push(suffix);
        fs::read(path).is_ok_and(|found| found == vec![byte; bytes])
    })
}
