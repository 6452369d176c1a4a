//! Many processes that create one store at the same moment.

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use headcount::Reader;

use crate::common::child::{Child, say};
use crate::common::figures::figure;
use crate::{names, open, total, track};

const PROCESSES: u64 = 8;

/// Counts one event in each store that the parent names.
pub(crate) fn child() {
    say("ready");
    for path in std::io::stdin().lock().lines() {
        let store = open(Path::new(&path.unwrap())).unwrap();
        track(&store, 1);
        store.flush().unwrap();
        say("flushed");
        store.close().unwrap();
        say("done");
    }
}

#[test]
fn eight_processes_that_create_one_store_at_once_all_count_in_it() {
    let rounds = figure(50, 500);
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let mut children: Vec<_> = (0..PROCESSES).map(|_| Child::start("creates", &[])).collect();
    children.iter_mut().for_each(|child| drop(child.wait_for("ready")));
    for round in 0..rounds {
        let place = folder.path().join(round.to_string());
        std::fs::create_dir(&place).unwrap();
        let path = place.join("new.db");
        children.iter_mut().for_each(|child| child.tell(path.to_str().unwrap()));
        children.iter_mut().for_each(|child| drop(child.wait_for("flushed")));
        children.iter_mut().for_each(|child| drop(child.wait_for("done")));
        // Of those that close at the same moment none may be the last, and the log stays; nothing unfinished does.
        let beside = ["new.db", "new.db-shm", "new.db-wal"];
        assert!(names(&place).iter().all(|name| beside.contains(&name.as_str())), "round {round}");
        assert_eq!(total(&Reader::open(&path).unwrap()).unwrap(), PROCESSES, "round {round}");
    }
    children.into_iter().for_each(|child| drop(child.succeeds()));
    println!("{} opens, {:.1} s", rounds * PROCESSES, began.elapsed().as_secs_f64());
}
