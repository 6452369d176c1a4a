//! A mark: an instant with a name.

use crate::error::{Error, ErrorKind};
use crate::time::timestamp::Timestamp;

/// The longest name of a mark, in bytes.
const MAX_MARK_BYTES: usize = 128;
/// What stands for the time before, where a mark could stand.
const RESERVED: [&str; 1] = ["previous"];

/// An instant that has a name, such as a release or the beginning of an experiment, to compare the time before and after it.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let mark = store.mark("v1.4.0")?;
/// assert_eq!(store.reader().marks()?, [mark]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// Its name: 1 to 128 bytes without control characters.
    pub name: String,
    /// The instant.
    pub at: Timestamp,
}

impl Mark {
    /// Refuses names that could not be told apart, or not be written, on a command line.
    pub(crate) fn new(name: &str, at: Timestamp) -> Result<Self, Error> {
        let fault = if name.is_empty() || name.len() > MAX_MARK_BYTES {
            format!("must have 1 to {MAX_MARK_BYTES} bytes, this one has {}", name.len())
        } else if name.chars().any(is_unseen) || name.trim() != name || name.starts_with('-') {
            "must have no control characters, no spaces around it, and no hyphen first".to_owned()
        } else if RESERVED.contains(&name) {
            format!("cannot be `{name}`, which stands for the time before; choose another")
        } else {
            return Ok(Self { name: name.to_owned(), at });
        };
        Err(Error::new(ErrorKind::Usage, format!("the name of a mark {fault}")))
    }
}

/// Characters that nobody sees, so that two names would look the same.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
