//! What a plain YAML scalar means.

use crate::definition::yaml::Value;

/// Resolves a plain scalar by the core schema of YAML 1.2.
pub(in crate::definition) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    match number(text) {
        Some(number) => Value::Number(number, text.to_owned()),
        None => Value::Text(text.to_owned()),
    }
}

fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let digits = digits.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(digits)?;
            return u32::from_str_radix(digits, radix).ok().map(f64::from);
        }
    }
    // What is left of Rust's syntax for floats is YAML's, but for the words `inf`, `infinity` and `nan`.
    let decimal = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if decimal { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        match resolve(text) {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => format!("bool {value}"),
            Value::Number(number, _) => format!("number {number}"),
            _ => "text".to_owned(),
        }
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, expected) in [
            ("~", "null"),
            ("True", "bool true"),
            ("yes", "text"),
            ("on", "text"),
            ("0", "number 0"),
            ("-12", "number -12"),
            ("+3", "number 3"),
            ("16.10", "number 16.1"),
            (".5", "number 0.5"),
            ("1e3", "number 1000"),
            ("0x1F", "number 31"),
            ("0o17", "number 15"),
            ("-.inf", "number -inf"),
            (".NaN", "number NaN"),
            ("nan", "text"),
            ("inf", "text"),
            ("7d", "text"),
            ("1_000", "text"),
            ("1.2.3", "text"),
            (".", "text"),
            ("-", "text"),
            ("0x", "text"),
            ("0x+1", "text"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
