//! Sound definitions, and random changes that make unsound ones of them.

use serde_json::{Value, json};

use crate::common::Chance;

/// Definitions in which the schemas find nothing.
pub(crate) fn sound() -> Vec<Value> {
    let event = json!({
        "description": "d", "internal_events": true, "action": "a_1", "identifiers": ["user", "project"],
        "additional_properties": {"label": {"description": "x"}, "property": {"description": "y"}, "custom": {"description": "z"}},
        "extra_properties": {"a": 1}, "product_group": "ours", "product_categories": ["b"], "milestone": "17.2",
        "introduced_by_url": "https://example.com/1", "status": "active", "tiers": ["free"], "classification": "duo",
        "extra_tracking_classes": ["Tracking"], "iglu_schema_url": null
    });
    let removed = json!({
        "description": "d", "category": "c", "action": "a", "product_group": "ours", "milestone": "<13.9", "introduced_by_url": null,
        "status": "removed", "removed_by_url": "https://example.com/2", "milestone_removed": "17.3", "tiers": ["premium", "ultimate"]
    });
    let metric = |source: &str, time_frame: Value, more: Value| {
        let mut metric = json!({
            "key_path": "counts.x", "description": "d", "product_group": "ours", "product_categories": ["b"],
            "value_type": "number", "status": "active", "milestone": "17.2", "introduced_by_url": "https://example.com/1",
            "time_frame": time_frame, "data_source": source, "data_category": "optional", "tiers": ["free", "premium"],
            "performance_indicator_type": ["gmau"], "name": "n", "value_json_schema": "s.json"
        });
        metric.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        metric
    };
    let unique = json!({"events": [
        {"name": "a", "unique": "user.id", "filter": {"label": "x", "value": 3, "custom": "y"}},
        {"name": "b", "unique": "user.id"}
    ]});
    let per_value = json!({"value_type": "object", "events": [{"name": "a", "unique": "label"}]});
    let gone = json!({
        "status": "removed", "removed_by_url": "https://example.com/4", "milestone_removed": "17.4", "events": [{"name": "a"}]
    });
    let sum = json!({"events": [{"name": "a", "operator": "sum(value)"}]});
    let hll = json!({"instrumentation_class": "RedisHLLMetric", "options": {"events": ["a", "b"]}});
    let redis = json!({
        "instrumentation_class": "RedisMetric",
        "options": {"event": "a", "prefix": null, "include_usage_prefix": false}
    });
    let broken = json!({
        "status": "broken", "repair_issue_url": "https://example.com/3", "instrumentation_class": "Gitlab::CountMetric",
        "options": {"a": 1}
    });
    vec![
        event,
        removed,
        metric("internal_events", json!(["7d", "28d"]), unique),
        metric("internal_events", json!("all"), sum),
        metric("internal_events", json!(["7d"]), per_value),
        metric("internal_events", json!("28d"), gone),
        metric("redis_hll", json!("7d"), hll),
        metric("redis", json!("all"), redis),
        metric("database", json!("none"), broken),
    ]
}

const KEYS: [&str; 36] = [
    "action",
    "key_path",
    "description",
    "internal_events",
    "category",
    "identifiers",
    "additional_properties",
    "extra_properties",
    "product_group",
    "product_categories",
    "milestone",
    "introduced_by_url",
    "status",
    "milestone_removed",
    "removed_by_url",
    "tiers",
    "classification",
    "extra_trackers",
    "iglu_schema_url",
    "name",
    "value_type",
    "repair_issue_url",
    "time_frame",
    "data_source",
    "instrumentation_class",
    "options",
    "events",
    "value_json_schema",
    "x-own",
    "colour",
    "label",
    "value",
    "custom",
    "unique",
    "operator",
    "filter",
];
const WORDS: [&str; 40] = [
    "",
    "active",
    "removed",
    "broken",
    "data_available",
    "7d",
    "28d",
    "all",
    "none",
    "weekly",
    "internal_events",
    "redis",
    "redis_hll",
    "database",
    "system",
    "free",
    "gold",
    "total",
    "sum(value)",
    "user.id",
    "user",
    "device",
    "label",
    "value",
    "17.2",
    "<13.9",
    "soon",
    "17",
    "https://example.com/1",
    "https://example.com/a b",
    "not a url",
    "mailto:a@b",
    "RedisMetric",
    "RedisHLLMetric",
    "Gitlab::CountMetric",
    "HTTPGitlab::Count",
    "object",
    "number",
    "optional",
    "Upper Case",
];

const RULE_KEYS: [&str; 5] = ["name", "unique", "operator", "filter", "colour"];

/// One change at a random place.
pub(crate) fn change(root: &mut Value, chance: &mut Chance) {
    let depth = chance.below(5);
    change_below(root, depth, chance);
}

fn change_below(node: &mut Value, depth: u64, chance: &mut Chance) {
    let inner = match node {
        Value::Object(map) => map.len(),
        Value::Array(list) => list.len(),
        _ => 0,
    };
    if depth == 0 || inner == 0 {
        return change_here(node, chance);
    }
    let children: Vec<&mut Value> = match node {
        Value::Object(map) => map.values_mut().collect(),
        Value::Array(list) => list.iter_mut().collect(),
        _ => Vec::new(),
    };
    // Most values are leaves, and most rules of the schemas are about what is deeper.
    let (deep, leaves): (Vec<_>, Vec<_>) =
        children.into_iter().partition(|child| child.is_object() || child.is_array());
    let of = if leaves.is_empty() || !deep.is_empty() && chance.below(2) == 0 { deep } else { leaves };
    let at = usize::try_from(chance.below(of.len() as u64)).unwrap();
    change_below(of.into_iter().nth(at).unwrap(), depth - 1, chance);
}

fn change_here(node: &mut Value, chance: &mut Chance) {
    match node {
        Value::Object(map) => {
            let is_rule = map.contains_key("name") && map.len() < 5;
            let key = chance.one_of(if is_rule { &RULE_KEYS[..] } else { &KEYS }).to_owned();
            let own = map.keys().nth(usize::try_from(chance.below(map.len().max(1) as u64)).unwrap());
            match (chance.below(4), own.cloned()) {
                (0, Some(own)) => drop(map.remove(&own)),
                (1, Some(own)) => drop(map.insert(own, any(chance))),
                _ => {
                    let value = fitting(&key, chance).unwrap_or_else(|| any(chance));
                    drop(map.insert(key, value));
                }
            }
        }
        Value::Array(list) => match (chance.below(4), list.first().cloned()) {
            (0, _) => list.clear(),
            (1, Some(first)) => list.push(first),
            _ => list.push(any(chance)),
        },
        Value::String(text) if chance.below(3) == 0 => {
            let added = chance.one_of(&[" x", "é", "#", "%2", "1", "_", "::"]);
            text.push_str(added);
        }
        leaf => *leaf = any(chance),
    }
}

/// A value that the key takes somewhere, for rules that rest on several keys.
fn fitting(key: &str, chance: &mut Chance) -> Option<Value> {
    let words: &[&str] = match key {
        "status" => &["active", "removed", "broken"],
        "data_source" => &["internal_events", "redis", "redis_hll", "system"],
        "time_frame" => &["7d", "all", "none"],
        "operator" => &["total", "sum(value)"],
        "unique" => &["user.id", "label", "device"],
        "instrumentation_class" => &["RedisMetric", "RedisHLLMetric"],
        _ => return None,
    };
    (chance.below(4) > 0).then(|| Value::from(chance.one_of(words)))
}

fn any(chance: &mut Chance) -> Value {
    let word = |chance: &mut Chance| Value::from(chance.one_of(&WORDS));
    match chance.below(12) {
        0 => Value::Null,
        1 => Value::from(chance.below(2) == 0),
        2 => Value::from(chance.below(100)),
        3 => Value::from(17.2),
        4 => json!([]),
        5 => json!({}),
        6 => json!([word(chance)]),
        7 => json!([word(chance), word(chance)]),
        8 => json!({ chance.one_of(&KEYS): word(chance) }),
        _ => word(chance),
    }
}
