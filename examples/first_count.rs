//! The program of the README: two events, one answer.

#![expect(clippy::print_stdout, reason = "an example shows its numbers")]

use headcount::{Definitions, Event, EventDefinition, Query, Rule, Store};

fn main() -> Result<(), headcount::Error> {
    let definitions = Definitions::new().event(EventDefinition::new("issue_created").identifier("user"))?;
    let openers = Rule::unique("issue_created", "user");
    let store = Store::builder("usage.db").definitions(definitions).record(openers).open()?;
    let tracker = store.tracker(); // Clone + Send + Sync
    tracker.track(Event::new("issue_created").user(42)); // never fails, never waits for the disk
    tracker.track(Event::new("issue_created").user("u-43"));
    store.flush()?; // now it is on the disk
    println!("{} issues", store.value(&Query::total("issue_created"))?);
    println!("{} people", store.value(&Query::unique("issue_created", "user").last_days(28))?);
    Ok(())
}
