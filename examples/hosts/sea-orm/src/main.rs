//! A program that keeps its own data through SeaORM, and its usage in a headcount store, in one process.

use std::error::Error;
use std::path::Path;

use headcount::{Definitions, Event, EventDefinition, Query, Store};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ConnectionTrait, Database, EntityTrait, PaginatorTrait, Schema,
    Set, Statement,
};

mod issue {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "issues")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("headcount-host-sea-orm-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let outcome = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&folder));
    std::fs::remove_dir_all(&folder)?;
    outcome
}

async fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    let own = Database::connect(format!("sqlite://{}?mode=rwc", folder.join("issues.db").display())).await?;
    let backend = own.get_database_backend();
    own.execute(&Schema::new(backend).create_table_from_entity(issue::Entity)).await?;

    let definitions = Definitions::new().event(EventDefinition::new("issue_created").identifier("user"))?;
    let path = folder.join("usage.db");
    // Opening does I/O: an async program leaves it to a thread that may block.
    let store =
        tokio::task::spawn_blocking(move || Store::builder(path).definitions(definitions).open()).await??;

    for author in [7_i64, 7, 8] {
        issue::ActiveModel { id: NotSet, author: Set(author) }.insert(&own).await?;
        store.tracker().track(Event::new("issue_created").user(author));
    }
    let issues = issue::Entity::find().count(&own).await?;
    let row =
        own.query_one_raw(Statement::from_string(backend, "SELECT sqlite_version() AS version")).await?;
    let version: String = row.ok_or("SQLite tells no version")?.try_get("", "version")?;
    let tracked = tokio::task::spawn_blocking(move || {
        store.close()?;
        store.value(&Query::total("issue_created"))
    })
    .await??;
    assert_eq!((issues, tracked.count()), (3, Some(3)));
    println!("SeaORM and headcount share SQLite {version}: 3 issues written, 3 events counted");
    own.close().await?;
    Ok(())
}
