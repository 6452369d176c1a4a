//! A file of pairs of texts: what GitLab keeps the names in that some of its keys have in Redis.

use std::path::Path;

use crate::definition::problems::excerpt;
use crate::definition::yaml::{MAX_FILE_BYTES, Value, parse};
use crate::error::{Error, ErrorKind, plain};

/// Reads a YAML file that is one mapping of texts to texts.
pub(crate) fn read_pairs(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let refused = |why: String| Error::new(ErrorKind::Definitions, format!("{}{why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| {
        Error::new(ErrorKind::Io, format!("{}: {}", path.display(), plain(&error))).with_source(error)
    })?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(refused(format!(": it has {} bytes; at most {MAX_FILE_BYTES} are read", bytes.len())));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused(": it is not UTF-8".to_owned()))?;
    let (root, faults) = parse(&text);
    if let Some(fault) = faults.first() {
        return Err(refused(format!(":{}:{}: {}", fault.at.line, fault.at.column, fault.message)));
    }
    let entries = match root.map(|root| root.value) {
        Some(Value::Map(entries)) => entries,
        Some(Value::Null) | None => Vec::new(),
        Some(_) => return Err(refused(": it must be one mapping of names to names".to_owned())),
    };
    entries
        .into_iter()
        .map(|entry| match entry.value.value {
            Value::Text(text) if !text.is_empty() => Ok((entry.key, text)),
            _ => Err(refused(format!(
                ":{}:{}: `{}` must have a name as its value",
                entry.at.line,
                entry.at.column,
                excerpt(&entry.key)
            ))),
        })
        .collect()
}
