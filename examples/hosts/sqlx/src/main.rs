//! A program that keeps its own data through sqlx, and its usage in a headcount store, in one process.

use std::error::Error;
use std::path::Path;

use headcount::{Definitions, Event, EventDefinition, Query, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("headcount-host-sqlx-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let outcome = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&folder));
    std::fs::remove_dir_all(&folder)?;
    outcome
}

async fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    let own = SqliteConnectOptions::new().filename(folder.join("issues.db")).create_if_missing(true);
    let pool = SqlitePool::connect_with(own).await?;
    sqlx::query("CREATE TABLE issues (title TEXT NOT NULL, author INTEGER NOT NULL)").execute(&pool).await?;

    let definitions = Definitions::new().event(EventDefinition::new("issue_created").identifier("user"))?;
    let path = folder.join("usage.db");
    // Opening does I/O: an async program leaves it to a thread that may block.
    let store =
        tokio::task::spawn_blocking(move || Store::builder(path).definitions(definitions).open()).await??;

    for author in [7_i64, 7, 8] {
        sqlx::query("INSERT INTO issues VALUES ('crash', ?)").bind(author).execute(&pool).await?;
        store.tracker().track(Event::new("issue_created").user(author));
    }
    let issues: i64 = sqlx::query_scalar("SELECT count(*) FROM issues").fetch_one(&pool).await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&pool).await?;
    let tracked = tokio::task::spawn_blocking(move || {
        store.close()?;
        store.value(&Query::total("issue_created"))
    })
    .await??;
    assert_eq!((issues, tracked.count()), (3, Some(3)));
    println!("sqlx and headcount share SQLite {version}: 3 issues written, 3 events counted");
    pool.close().await;
    Ok(())
}
