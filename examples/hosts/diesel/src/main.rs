//! A program that keeps its own data through Diesel, and its usage in a headcount store, in one process.

use std::error::Error;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use headcount::{Definitions, Event, EventDefinition, Query, Store};

diesel::table! {
    issues {
        id -> Integer,
        author -> BigInt,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("headcount-host-diesel-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let outcome = run(&folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut own = SqliteConnection::establish(&folder.join("issues.db").display().to_string())?;
    own.batch_execute("CREATE TABLE issues (id INTEGER PRIMARY KEY, author BIGINT NOT NULL)")?;

    let definitions = Definitions::new().event(EventDefinition::new("issue_created").identifier("user"))?;
    let store = Store::builder(folder.join("usage.db")).definitions(definitions).open()?;

    for author in [7_i64, 7, 8] {
        diesel::insert_into(issues::table).values(issues::author.eq(author)).execute(&mut own)?;
        store.tracker().track(Event::new("issue_created").user(author));
    }
    let written: i64 = issues::table.count().get_result(&mut own)?;
    let version: String =
        diesel::select(diesel::dsl::sql::<Text>("sqlite_version()")).get_result(&mut own)?;
    store.close()?;
    let tracked = store.value(&Query::total("issue_created"))?;
    assert_eq!((written, tracked.count()), (3, Some(3)));
    println!("Diesel and headcount share SQLite {version}: 3 issues written, 3 events counted");
    Ok(())
}
