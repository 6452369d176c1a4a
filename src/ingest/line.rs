//! Events as lines of JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::event::id::{Id, PropertyValue, Scalar};
use crate::event::{Extra, Facts, MAX_EXTRAS};
use crate::time::timestamp::Timestamp;

/// An identifier of GitLab's that is a list, and which no rule counts.
const LIST_IDENTIFIER: &str = "feature_enabled_by_namespace_ids";
/// The most keys of one object: those that every event may have, and the extras. Duplicates are searched pairwise.
const MAX_KEYS: usize = MAX_EXTRAS + 16;

/// Why a line is no event, besides the reasons of [`TrackError`](crate::error::TrackError).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadShape {
    NotJson,
    NoEvent,
    BadTime,
    BadId,
    WrongType,
    DuplicateKey,
    TooMany,
}

impl BadShape {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NoEvent => "no_event",
            Self::BadTime => "bad_time",
            Self::BadId => "bad_id",
            Self::WrongType => "wrong_type",
            Self::DuplicateKey => "duplicate_key",
            Self::TooMany => "too_many",
        }
    }
}

/// A line, parsed but not yet held against the definition of its event.
#[derive(Debug, Default)]
pub(crate) struct Line<'a> {
    pub(crate) event: Cow<'a, str>,
    time: Option<Timestamp>,
    user: Json<'a>,
    project: Json<'a>,
    namespace: Json<'a>,
    label: Option<Cow<'a, str>>,
    property: Option<Cow<'a, str>>,
    value: Option<f64>,
    identifiers: Vec<(Cow<'a, str>, Json<'a>)>,
    customs: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// Parses one line. Allocates only for texts with escapes, for further identifiers and for additional properties.
///
/// A line that is no JSON is that and nothing else; of several faults the first one counts.
pub(crate) fn parse(line: &[u8]) -> Result<Line<'_>, BadShape> {
    let text = std::str::from_utf8(line).map_err(|_| BadShape::NotJson)?;
    let Top(parsed) = serde_json::from_str(text).map_err(|_| BadShape::NotJson)?;
    parsed
}

/// What a key at the top of a line says; each of the first ones may stand once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Event,
    Time,
    User,
    Project,
    Namespace,
    Label,
    Property,
    Value,
    AdditionalProperties,
    ListIdentifier,
    Identifier,
}

impl Field {
    fn of(key: &str) -> Self {
        match key {
            "event" => Self::Event,
            "time" => Self::Time,
            "user" => Self::User,
            "project" => Self::Project,
            "namespace" => Self::Namespace,
            "label" => Self::Label,
            "property" => Self::Property,
            "value" => Self::Value,
            "additional_properties" => Self::AdditionalProperties,
            LIST_IDENTIFIER => Self::ListIdentifier,
            _ => Self::Identifier,
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl<'a> Line<'a> {
    fn set(&mut self, field: Field, key: Cow<'a, str>, value: Json<'a>) -> Result<(), BadShape> {
        match field {
            Field::Event => self.event = value.text(BadShape::NoEvent)?.ok_or(BadShape::NoEvent)?,
            Field::Time => self.time = value.time()?,
            Field::User => self.user = value.id()?,
            Field::Project => self.project = value.id()?,
            Field::Namespace => self.namespace = value.id()?,
            Field::Label => set(&mut self.label, value.text(BadShape::WrongType)?)?,
            Field::Property => set(&mut self.property, value.text(BadShape::WrongType)?)?,
            Field::Value => set(&mut self.value, value.number()?)?,
            Field::AdditionalProperties => self.add_properties(value)?,
            Field::ListIdentifier if matches!(value, Json::List | Json::Null) => {}
            Field::ListIdentifier | Field::Identifier => self.identifiers.push((key, value.id()?)),
        }
        Ok(())
    }

    fn add_properties(&mut self, properties: Json<'a>) -> Result<(), BadShape> {
        let entries = match properties {
            Json::Null => return Ok(()),
            Json::Object(entries) if entries.len() > MAX_KEYS => return Err(BadShape::TooMany),
            Json::Object(entries) => entries,
            _ => return Err(BadShape::WrongType),
        };
        for (position, (key, value)) in entries.iter().enumerate() {
            if entries.iter().take(position).any(|(earlier, _)| earlier == key) {
                return Err(BadShape::DuplicateKey);
            }
            match &**key {
                "label" => set(&mut self.label, value.clone().text(BadShape::WrongType)?)?,
                "property" => set(&mut self.property, value.clone().text(BadShape::WrongType)?)?,
                "value" => set(&mut self.value, value.number()?)?,
                _ => match value {
                    Json::Null => {}
                    Json::Text(_) | Json::Signed(_) | Json::Unsigned(_) | Json::Float(_) => {
                        self.customs.push((key.clone(), value.clone()));
                    }
                    Json::Bool | Json::List | Json::Object(_) => return Err(BadShape::WrongType),
                },
            }
        }
        Ok(())
    }

    /// When it happened, if the line says so.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// The line as the facts of an event.
    pub(crate) fn facts(&self) -> Facts<'_> {
        let mut facts = Facts::default();
        facts.time = self.time;
        facts.user = Id(self.user.scalar());
        facts.project = Id(self.project.scalar());
        facts.namespace = Id(self.namespace.scalar());
        facts.label = self.label.as_deref().unwrap_or_default();
        facts.property = self.property.as_deref().unwrap_or_default();
        facts.value = self.value;
        for (name, id) in &self.identifiers {
            facts.push(Extra::Identifier(name, Id(id.scalar())));
        }
        for (name, value) in &self.customs {
            facts.push(Extra::Custom(name, PropertyValue(value.scalar())));
        }
        facts
    }
}

/// A property may stand at the top or below `additional_properties`, not at both.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), BadShape> {
    if place.is_some() && value.is_some() {
        return Err(BadShape::DuplicateKey);
    }
    *place = place.take().or(value);
    Ok(())
}

/// A JSON value, as far as events can hold it.
#[derive(Debug, Clone, Default)]
enum Json<'a> {
    #[default]
    Null,
    Bool,
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(Cow<'a, str>),
    List,
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    fn text(self, otherwise: BadShape) -> Result<Option<Cow<'a, str>>, BadShape> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            _ => Err(otherwise),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "`value` is a double, as JSON's numbers are")]
    fn number(&self) -> Result<Option<f64>, BadShape> {
        match self {
            Self::Null => Ok(None),
            Self::Signed(number) => Ok(Some(*number as f64)),
            Self::Unsigned(number) => Ok(Some(*number as f64)),
            Self::Float(number) => Ok(Some(*number)),
            _ => Err(BadShape::WrongType),
        }
    }

    /// Texts and integers are identifiers; `42.0`, booleans, lists and objects are none.
    fn id(self) -> Result<Self, BadShape> {
        match self {
            Self::Null | Self::Text(_) | Self::Signed(_) | Self::Unsigned(_) => Ok(self),
            _ => Err(BadShape::BadId),
        }
    }

    fn time(&self) -> Result<Option<Timestamp>, BadShape> {
        let time = match self {
            Self::Null => return Ok(None),
            // A bare date would be midnight by accident; a line says when something happened.
            Self::Text(text) if text.len() > "2026-11-22".len() => Timestamp::parse(text).ok(),
            Self::Signed(number) => Timestamp::from_number(*number),
            Self::Unsigned(number) => i64::try_from(*number).ok().and_then(Timestamp::from_number),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float as integer saturates, and ends are refused"
            )]
            Self::Float(number) => Timestamp::from_number(number.floor() as i64),
            _ => None,
        };
        time.map(Some).ok_or(BadShape::BadTime)
    }

    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Signed(number) => Scalar::Signed(*number),
            Self::Unsigned(number) => Scalar::Unsigned(*number),
            Self::Float(number) => Scalar::Float(*number),
            Self::Text(text) => Scalar::Text(text),
            Self::Null | Self::Bool | Self::List | Self::Object(_) => Scalar::Absent,
        }
    }
}

/// The top of a line: an object.
struct Top<'a>(Result<Line<'a>, BadShape>);

impl<'de> Deserialize<'de> for Top<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopVisitor)
    }
}

struct TopVisitor;

impl<'de> Visitor<'de> for TopVisitor {
    type Value = Top<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    /// Reads to the end in any case: only what is JSON as a whole has another fault.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top<'de>, A::Error> {
        let mut line = Line::default();
        let mut fault = None;
        let (mut seen, mut keys) = (0, 0);
        while let Some(Key(key)) = map.next_key()? {
            let value: Json<'_> = map.next_value()?;
            keys += 1;
            if keys > MAX_KEYS {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Top(Err(BadShape::TooMany)));
            }
            if fault.is_some() {
                continue;
            }
            let field = Field::of(&key);
            let is_again = match field {
                Field::Identifier => line.identifiers.iter().any(|(earlier, _)| *earlier == key),
                _ => seen & field.bit() != 0,
            };
            seen |= field.bit();
            fault = if is_again { Some(BadShape::DuplicateKey) } else { line.set(field, key, value).err() };
        }
        let extras = line.identifiers.len() + line.customs.len();
        Ok(Top(match fault {
            Some(fault) => Err(fault),
            None if seen & Field::Event.bit() == 0 => Err(BadShape::NoEvent),
            None if extras > MAX_EXTRAS => Err(BadShape::TooMany),
            None => Ok(line),
        }))
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Signed(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Unsigned(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut entries = Vec::with_capacity(8);
        while let Some(Key(key)) = map.next_key()? {
            entries.push((key, map.next_value()?));
            if entries.len() > MAX_KEYS {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(Json::Object(entries))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_line_is_read_without_loss() {
        let line = parse(
            br#"{"event":"issue_created","time":"2026-11-22T10:00:00Z","user":42,"project":-7,"namespace":"ac\u006de",
                "label":"web","value":3.5,"device":18446744073709551615,
                "additional_properties":{"property":"p","platform":"linux","ms":12,"none":null},
                "feature_enabled_by_namespace_ids":[1,2]}"#,
        )
        .unwrap();
        assert_eq!(line.event, "issue_created");
        let facts = line.facts();
        assert_eq!(facts.time, Some(Timestamp::parse("2026-11-22T10:00:00Z").unwrap()));
        assert_eq!(facts.user.0, Scalar::Unsigned(42));
        assert_eq!(facts.project.0, Scalar::Signed(-7));
        assert_eq!(facts.namespace.0, Scalar::Text("acme"));
        assert_eq!((facts.label, facts.property, facts.value), ("web", "p", Some(3.5)));
        assert_eq!(facts.extra_count(), 3);
    }

    #[test]
    fn lines_that_are_no_events_are_refused_with_a_reason() {
        for (line, reason) in [
            ("", BadShape::NotJson),
            ("[]", BadShape::NotJson),
            ("{\"event\":\"e\"} x", BadShape::NotJson),
            ("{\"event\":\"e\"", BadShape::NotJson),
            ("{\"event\":\"e\",\"user\":\"\\ud800\"}", BadShape::NotJson),
            ("{}", BadShape::NoEvent),
            ("{\"event\":null}", BadShape::NoEvent),
            ("{\"event\":7}", BadShape::NoEvent),
            ("{\"event\":\"e\",\"event\":\"e\"}", BadShape::DuplicateKey),
            (
                "{\"event\":\"e\",\"label\":\"a\",\"additional_properties\":{\"label\":\"b\"}}",
                BadShape::DuplicateKey,
            ),
            ("{\"event\":\"e\",\"user\":42.0}", BadShape::BadId),
            ("{\"event\":\"e\",\"user\":true}", BadShape::BadId),
            ("{\"event\":\"e\",\"user\":[1]}", BadShape::BadId),
            ("{\"event\":\"e\",\"user\":18446744073709551616}", BadShape::BadId),
            ("{\"event\":\"e\",\"device\":{}}", BadShape::BadId),
            ("{\"event\":\"e\",\"time\":\"1795341600\"}", BadShape::BadTime),
            ("{\"event\":\"e\",\"time\":\"2026-11-22\"}", BadShape::BadTime),
            ("{\"event\":\"e\",\"time\":\"2026-11-22T10:00:00\"}", BadShape::BadTime),
            ("{\"event\":\"e\",\"time\":-1}", BadShape::BadTime),
            ("{\"event\":\"e\",\"time\":1e300}", BadShape::BadTime),
            ("{\"event\":\"e\",\"time\":false}", BadShape::BadTime),
            ("{\"event\":\"e\",\"label\":1}", BadShape::WrongType),
            ("{\"event\":\"e\",\"value\":\"1\"}", BadShape::WrongType),
            ("{\"event\":\"e\",\"additional_properties\":[]}", BadShape::WrongType),
            ("{\"event\":\"e\",\"additional_properties\":{\"x\":true}}", BadShape::WrongType),
        ] {
            assert_eq!(parse(line.as_bytes()).err(), Some(reason), "{line}");
        }
        let keys = |count: usize| (0..count).map(|n| format!(",\"k{n}\":{n}")).collect::<String>();
        for (line, reason) in [
            (format!("{{\"event\":\"e\"{}}}", keys(MAX_EXTRAS + 1)), BadShape::TooMany),
            (format!("{{\"event\":\"e\"{}}}", keys(100_000)), BadShape::TooMany),
            (
                format!("{{\"event\":\"e\",\"additional_properties\":{{\"a\":1{}}}}}", keys(100_000)),
                BadShape::TooMany,
            ),
            (format!("{{\"event\":\"e\"{}", keys(100_000)), BadShape::NotJson),
        ] {
            assert_eq!(parse(line.as_bytes()).err(), Some(reason));
        }
        assert!(parse(format!("{{\"event\":\"e\"{}}}", keys(MAX_EXTRAS)).as_bytes()).is_ok());
        let deep = format!("{{\"event\":\"e\",\"x\":{}", "[".repeat(100_000));
        assert_eq!(parse(deep.as_bytes()).err(), Some(BadShape::NotJson));
    }

    #[test]
    fn numbers_as_times_are_seconds_or_milliseconds() {
        let time = |text: &str| parse(text.as_bytes()).unwrap().time().unwrap().unix_seconds();
        assert_eq!(time("{\"event\":\"e\",\"time\":1795341600}"), 1_795_341_600);
        assert_eq!(time("{\"event\":\"e\",\"time\":1795341600999}"), 1_795_341_600);
        assert_eq!(time("{\"event\":\"e\",\"time\":1795341600.75}"), 1_795_341_600);
        assert_eq!(time("{\"event\":\"e\",\"time\":\"2016-12-31T23:59:60Z\"}"), 1_483_228_800);
    }
}
