//! A store in memory of two events: a usual one, and one whose rules ask for all that a rule can ask for.

use headcount::{Builder, Definitions, EventDefinition, Mode, Rule, Store};

/// The builder of the store; `page_viewed` has its total and two uniques, `command_used` filters, a sum and counts per value.
pub(crate) fn two_events(mode: Mode) -> Builder {
    let used = ["platform", "version", "retries", "seconds"].into_iter().fold(
        EventDefinition::new("command_used").identifier("user").label().value(),
        EventDefinition::custom,
    );
    let definitions = Definitions::new()
        .event(EventDefinition::new("page_viewed").identifier("user").identifier("project"))
        .and_then(|all| all.event(used))
        .unwrap();
    let rules = [
        Rule::unique("page_viewed", "user"),
        Rule::unique("page_viewed", "project"),
        Rule::unique("command_used", "user").filter("platform", "linux"),
        Rule::count("command_used").filter("version", "17.4.1").filter("retries", 3.0),
        Rule::sum("command_used"),
        Rule::per_value("command_used", "label"),
    ];
    let builder = Store::builder_in_memory().definitions(definitions).mode(mode);
    rules.into_iter().fold(builder, Builder::record)
}
