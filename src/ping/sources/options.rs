//! Reading what a metric asks a database from the `options` of its definition.

use serde_json::{Map, Value};

use crate::definition::nearest::hint;
use crate::ping::source::SourceError;
use crate::ping::sources::database::{ColumnIs, Condition, DatabaseMetric, DatabaseOperation, invalid};
use crate::ping::value::PingValue;

const KEYS: [&str; 6] = ["relation", "operation", "column", "where", "timestamp_column", "batch_column"];
const SIGNS: [&str; 7] = ["eq", "not", "lt", "lte", "gt", "gte", "in"];
const OPERATIONS: [(&str, DatabaseOperation); 5] = [
    ("count", DatabaseOperation::Count),
    ("distinct_count", DatabaseOperation::DistinctCount),
    // GitLab's estimate of the same.
    ("estimate_batch_distinct_count", DatabaseOperation::DistinctCount),
    ("sum", DatabaseOperation::Sum),
    ("average", DatabaseOperation::Average),
];

/// What the options declare, checked; nothing if they have no `relation`.
pub(crate) fn read(options: &Value) -> Result<Option<DatabaseMetric>, SourceError> {
    let Some(options) = options.as_object().filter(|options| options.contains_key("relation")) else {
        return Ok(None);
    };
    if let Some(key) = options.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let key = shown(key);
        return Err(invalid(format!("`options.{key}` means nothing{}", hint(&key, KEYS))));
    }
    let text = |key: &str| match options.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("`options.{key}` must be a text"))),
    };
    let relation = text("relation")?.unwrap_or_default();
    let operation = match text("operation")? {
        None => DatabaseOperation::Count,
        Some(word) => {
            OPERATIONS.iter().find(|(name, _)| *name == word).map(|found| found.1).ok_or_else(|| {
                let word = shown(&word);
                let near = hint(&word, OPERATIONS.map(|(name, _)| name));
                invalid(format!(
                    "`options.operation: {word}` is none of count, distinct_count, sum, average{near}"
                ))
            })?
        }
    };
    let mut metric = DatabaseMetric::of(relation, operation, text("column")?);
    metric.timestamp_column = text("timestamp_column")?;
    metric.batch_column = text("batch_column")?;
    metric.conditions = match options.get("where") {
        None => Vec::new(),
        Some(Value::Object(conditions)) => {
            let mut read = Vec::new();
            for (column, meant) in conditions {
                comparisons(column, meant, &mut read)?;
            }
            read
        }
        Some(_) => return Err(invalid("`options.where` must map columns to values")),
    };
    metric.check().map_err(|error| invalid(format!("`options`: {}", error.message())))?;
    Ok(Some(metric))
}

fn comparisons(column: &str, meant: &Value, read: &mut Vec<Condition>) -> Result<(), SourceError> {
    let mut push = |is| read.push(Condition { column: column.to_owned(), is });
    match meant {
        Value::Null => push(ColumnIs::Null),
        Value::Array(values) => push(listed(column, values)?),
        Value::Object(signs) => signed(column, signs, &mut push)?,
        value => push(ColumnIs::Equal(single(column, value)?)),
    }
    Ok(())
}

fn signed(
    column: &str,
    signs: &Map<String, Value>,
    push: &mut dyn FnMut(ColumnIs),
) -> Result<(), SourceError> {
    if signs.is_empty() {
        return Err(invalid(format!("`options.where.{}` is empty", shown(column))));
    }
    for (sign, value) in signs {
        let comparison: fn(PingValue) -> ColumnIs = match (sign.as_str(), value) {
            ("eq", Value::Null) => {
                push(ColumnIs::Null);
                continue;
            }
            ("not", Value::Null) => {
                push(ColumnIs::NotNull);
                continue;
            }
            ("in", Value::Array(values)) => {
                push(listed(column, values)?);
                continue;
            }
            ("in", _) => {
                return Err(invalid(format!("`options.where.{}.in` must be a list", shown(column))));
            }
            ("eq", _) => ColumnIs::Equal,
            ("not", _) => ColumnIs::NotEqual,
            ("lt", _) => ColumnIs::Less,
            ("lte", _) => ColumnIs::AtMost,
            ("gt", _) => ColumnIs::Greater,
            ("gte", _) => ColumnIs::AtLeast,
            (other, _) => {
                let (column, other) = (shown(column), shown(other));
                let near = hint(&other, SIGNS);
                return Err(invalid(format!("`options.where.{column}.{other}` is no comparison{near}")));
            }
        };
        push(comparison(single(column, value)?));
    }
    Ok(())
}

fn listed(column: &str, values: &[Value]) -> Result<ColumnIs, SourceError> {
    values.iter().map(|value| single(column, value)).collect::<Result<_, _>>().map(ColumnIs::OneOf)
}

fn single(column: &str, value: &Value) -> Result<PingValue, SourceError> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => Err(invalid(format!(
            "`options.where.{}` is compared with something that is no single value",
            shown(column)
        ))),
        value => Ok(PingValue::of_json(value)),
    }
}

/// A name of a definition, short enough for a message.
fn shown(name: &str) -> String {
    name.chars().take(60).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ping::source::SourceFault;

    #[test]
    fn options_read_as_they_are_meant() {
        let metric = read(&json!({
            "relation": "public.issues", "operation": "estimate_batch_distinct_count", "column": "author_id",
            "where": {
                "state": "opened", "kind": [1, 2], "deleted_at": null, "weight": {"gte": 1, "lt": 10},
                "closed_at": {"not": null}, "title": {"not": "x"}
            },
            "timestamp_column": "created_at", "batch_column": "id"
        }));
        let meant = DatabaseMetric::distinct_count("public.issues", "author_id")
            .filter("closed_at", ColumnIs::NotNull)
            .filter("deleted_at", ColumnIs::Null)
            .filter("kind", ColumnIs::one_of([1, 2]))
            .filter("state", "opened")
            .filter("title", ColumnIs::NotEqual("x".into()))
            .filter("weight", ColumnIs::AtLeast(1.into()))
            .filter("weight", ColumnIs::Less(10.into()))
            .timestamp("created_at")
            .batch_column("id");
        let mut metric = metric.unwrap().unwrap();
        // The order of keys depends on how other crates of a program build serde_json.
        metric.conditions.sort_by(|a, b| (&a.column, b.is.sign()).cmp(&(&b.column, a.is.sign())));
        assert_eq!(metric, meant);
        assert_eq!(read(&json!({"events": []})).unwrap(), None);
        assert_eq!(read(&json!(["relation"])).unwrap(), None);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (options, told) in [
            (json!({"relation": 3}), "`options.relation` must be a text"),
            (json!({"relation": "a", "colum": "b"}), "did you mean `column`?"),
            (json!({"relation": "a", "operation": "distinct_cout"}), "did you mean `distinct_count`?"),
            (json!({"relation": "a", "operation": "sum"}), "needs a column"),
            (json!({"relation": "a", "where": []}), "must map"),
            (json!({"relation": "a", "where": {"b": {"get": 1}}}), "`options.where.b.get` is no comparison"),
            (json!({"relation": "a", "where": {"b": {}}}), "`options.where.b` is empty"),
            (json!({"relation": "a", "where": {"b": []}}), "a list of 0 values"),
            (json!({"relation": "a", "where": {"b": [[1]]}}), "no single value"),
            (json!({"relation": "a", "where": {"b": {"in": 1}}}), "`options.where.b.in` must be a list"),
            (json!({"relation": "a\u{0}"}), "NUL"),
        ] {
            let error = read(&options).unwrap_err();
            assert_eq!(error.fault(), SourceFault::Invalid);
            assert!(error.message().contains(told), "{options}: {error}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            proptest::sample::select([&KEYS[..], &SIGNS[..]].concat()).prop_map(str::to_owned),
            ".{0,80}"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            key.clone().prop_map(Value::from),
            proptest::sample::select(OPERATIONS.map(|(name, _)| name).to_vec()).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                proptest::collection::vec((key.clone(), inner), 0..8)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_options_make_it_panic(options in any_json(), conditions in any_json()) {
            let _ = read(&options);
            if let Ok(Some(metric)) = read(&json!({"relation": "t", "where": conditions})) {
                prop_assert!(metric.check().is_ok());
            }
        }
    }
}
