//! JSON laid out for people, in the order in which it came.

/// What is shorter stands on one line.
const WIDTH: usize = 118;

/// Lays out one document; what is no JSON stays as it is.
pub(crate) fn lay_out(json: &str) -> String {
    match serde_json::from_str::<serde::de::IgnoredAny>(json) {
        Ok(_) => format!("{}\n", value(json.trim(), 0)),
        Err(_) => json.to_owned(),
    }
}

fn value(json: &str, indent: usize) -> String {
    let spaced = spaced(json);
    let is_open = json.starts_with(['{', '[']);
    if !is_open || indent + spaced.chars().count() <= WIDTH && (indent > 0 || spaced.len() < 60) {
        return spaced;
    }
    let (open, close) = (&json[..1], &json[json.len() - 1..]);
    let inner = indent + 2;
    let members: Vec<String> = members(&json[1..json.len() - 1])
        .into_iter()
        .map(|member| match split_key(member).filter(|_| open == "{") {
            Some((key, below)) => format!("{:inner$}{key}: {}", "", value(below, inner)),
            None => format!("{:inner$}{}", "", value(member, inner)),
        })
        .collect();
    format!("{open}\n{}\n{:indent$}{close}", members.join(",\n"), "")
}

/// The members of an object or an array.
fn members(json: &str) -> Vec<&str> {
    let mut members = Vec::new();
    let mut begin = 0;
    for (at, character, depth) in outside_of_strings(json) {
        if character == ',' && depth == 0 {
            members.push(&json[begin..at]);
            begin = at + 1;
        }
    }
    members.push(&json[begin..]);
    members
}

fn split_key(member: &str) -> Option<(&str, &str)> {
    let (at, ..) = outside_of_strings(member).into_iter().find(|(_, character, _)| *character == ':')?;
    Some((&member[..at], &member[at + 1..]))
}

/// Characters that are no part of a string, with the depth around them.
fn outside_of_strings(json: &str) -> Vec<(usize, char, usize)> {
    let (mut found, mut depth, mut in_string, mut escaped) = (Vec::new(), 0, false, false);
    for (at, character) in json.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => found.push((at, character, depth)),
        }
    }
    found
}

/// On one line, with a space behind `:` and `,`.
fn spaced(json: &str) -> String {
    let mut text = String::new();
    let mut from = 0;
    for (at, character, _) in outside_of_strings(json) {
        if matches!(character, ',' | ':') {
            text.push_str(&json[from..=at]);
            text.push(' ');
            from = at + 1;
        }
    }
    text.push_str(&json[from..]);
    text
}
