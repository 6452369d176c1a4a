//! Definitions that travel inside the program: as YAML texts, or built in code.
//!
//! ```sh
//! cargo run --example embedded
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its numbers")]

use headcount::{
    Definitions, Error, Evaluate, Event, EventDefinition, MetricDefinition, Mistake, Rule, Store, TimeFrame,
    Window,
};

/// Read when the program is compiled: one binary is shipped, and it cannot lose its definitions. The names stand in the messages
/// about mistakes.
const FILES: [(&str, &str); 3] = [
    ("issue_created.yml", include_str!("definitions/issue_created.yml")),
    ("issues_from_web.yml", include_str!("definitions/issues_from_web.yml")),
    ("people_who_open_issues.yml", include_str!("definitions/people_who_open_issues.yml")),
];

fn main() -> Result<(), Error> {
    // All problems of all texts come at once, each with its file, line and column: let a test of yours load them.
    show("embedded", Definitions::embedded(&FILES)?)?;
    show("in code", in_code()?)
}

/// The same without YAML. With `default-features = false, features = ["bundled"]` no parser is compiled in.
fn in_code() -> Result<Definitions, Error> {
    Definitions::new()
        .event(EventDefinition::new("issue_created").identifier("user").label())?
        .metric(
            MetricDefinition::new("counts.issues_from_web", TimeFrame::All)
                .rule(Rule::count("issue_created").filter("label", "web")),
        )?
        .metric(
            MetricDefinition::new("counts.people_who_open_issues", TimeFrame::TwentyEightDays)
                .rule(Rule::unique("issue_created", "user")),
        )
}

fn show(how: &str, definitions: Definitions) -> Result<(), Error> {
    // In memory and with panics on mistakes, as the tests of a host program would open it; in service it is
    // `Store::builder(path)`, and mistakes are counted.
    let store = Store::builder_in_memory().definitions(definitions).on_mistake(Mistake::Panic).open()?;
    let tracker = store.tracker();
    for (user, label) in [(7, "web"), (7, "api"), (8, "web"), (9, "web")] {
        tracker.track(Event::new("issue_created").user(user).label(label));
    }
    // Answers are about what is committed.
    store.flush()?;

    let from_web = store.metric("counts.issues_from_web")?;
    // Of itself `28d` is GitLab's last four complete weeks, in which nothing has happened yet; the rolling window has today in it.
    let people =
        store.metric_with("counts.people_who_open_issues", Evaluate::default().window(Window::Rolling))?;
    for metric in [from_web, people] {
        // A metric without a value says why, and is never 0.
        let answer = metric.outcome?;
        println!("{how}: {} = {}", metric.key_path, answer.count().unwrap_or_default());
    }
    Ok(())
}
