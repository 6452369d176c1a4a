//! An event as the caller describes it: name, time, identifiers and additional properties, all borrowed.

pub(crate) mod id;

use crate::event::id::{Id, PropertyValue, Scalar};
use crate::time::timestamp::Timestamp;

/// The longest identifier or text of an event, in bytes.
pub const MAX_TEXT_BYTES: usize = 256;
/// The most further identifiers and custom properties that one event may carry.
pub const MAX_EXTRAS: usize = 64;
/// So many further identifiers and custom properties fit without an allocation.
const INLINE_EXTRAS: usize = 4;

/// A record that something happened: a name, who or what it happened to, and additional properties.
///
/// Everything is borrowed and nothing is allocated for up to four custom properties. An event is only a description: it
/// counts when a [`Tracker`](crate::Tracker) takes it.
///
/// ```
/// use headcount::Event;
///
/// let current_user: Option<u64> = None;
/// let event = Event::new("issue_created")
///     .user(current_user)        // no user: counted, but not as a unique user
///     .project("headcount")
///     .label("web")
///     .value(3.5)
///     .custom("platform", "linux");
/// assert_eq!(event.name(), "issue_created");
/// ```
#[derive(Debug, Clone)]
#[must_use = "an event counts only when a tracker takes it"]
pub struct Event<'a> {
    name: &'a str,
    pub(crate) facts: Facts<'a>,
}

impl<'a> Event<'a> {
    /// An event of this name, without time, identifiers or properties.
    #[inline]
    pub fn new(name: &'a str) -> Self {
        Self { name, facts: Facts::default() }
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }
}

/// The methods that set the facts of an event; [`Event`] and the events of a handle have the same.
macro_rules! fact_setters {
    () => {
        /// When it happened; without it, when it is tracked. Live tracking takes 8 days back to 5 minutes ahead.
        #[inline]
        pub fn at(mut self, time: $crate::time::timestamp::Timestamp) -> Self {
            self.facts.time = Some(time);
            self
        }

        /// The user it happened to: text, an integer, or an `Option` of one. Absent or empty means no user.
        #[inline]
        pub fn user(mut self, id: impl Into<$crate::event::id::Id<'a>>) -> Self {
            self.facts.user = id.into();
            self
        }

        /// The project it happened in.
        #[inline]
        pub fn project(mut self, id: impl Into<$crate::event::id::Id<'a>>) -> Self {
            self.facts.project = id.into();
            self
        }

        /// The namespace it happened in.
        #[inline]
        pub fn namespace(mut self, id: impl Into<$crate::event::id::Id<'a>>) -> Self {
            self.facts.namespace = id.into();
            self
        }

        /// Another identifier that the event's definition declares.
        #[inline]
        pub fn identifier(mut self, name: &'a str, id: impl Into<$crate::event::id::Id<'a>>) -> Self {
            self.facts.set_identifier(name, id.into());
            self
        }

        /// The additional property `label`.
        #[inline]
        pub fn label(mut self, label: &'a str) -> Self {
            self.facts.label = label;
            self
        }

        /// The additional property `property`.
        #[inline]
        pub fn property(mut self, property: &'a str) -> Self {
            self.facts.property = property;
            self
        }

        /// The additional property `value`, a finite number.
        #[inline]
        pub fn value(mut self, value: impl Into<f64>) -> Self {
            self.facts.value = Some(value.into());
            self
        }

        /// A custom property that the event's definition declares: text or a finite number.
        #[inline]
        pub fn custom(
            mut self,
            name: &'a str,
            value: impl Into<$crate::event::id::PropertyValue<'a>>,
        ) -> Self {
            self.facts.set_custom(name, value.into());
            self
        }
    };
}
pub(crate) use fact_setters;

impl<'a> Event<'a> {
    fact_setters!();
}

/// What is known of one event besides its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts<'a> {
    pub(crate) time: Option<Timestamp>,
    pub(crate) user: Id<'a>,
    pub(crate) project: Id<'a>,
    pub(crate) namespace: Id<'a>,
    /// Empty means absent.
    pub(crate) label: &'a str,
    /// Empty means absent.
    pub(crate) property: &'a str,
    pub(crate) value: Option<f64>,
    inline: [Extra<'a>; INLINE_EXTRAS],
    /// Those after the first four; empty, and so without an allocation, for most events.
    spilled: Vec<Extra<'a>>,
    extras: usize,
}

/// A further identifier or a custom property.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Extra<'a> {
    #[default]
    Nothing,
    Identifier(&'a str, Id<'a>),
    Custom(&'a str, PropertyValue<'a>),
}

impl<'a> Facts<'a> {
    #[inline]
    pub(crate) fn push(&mut self, extra: Extra<'a>) {
        match self.inline.get_mut(self.extras) {
            Some(place) => *place = extra,
            // One more than allowed is kept, so that the tracker sees and refuses it.
            None if self.extras <= MAX_EXTRAS => self.spilled.push(extra),
            None => return,
        }
        self.extras += 1;
    }

    /// Sets an identifier by its name, whichever it is.
    #[inline]
    pub(crate) fn set_identifier(&mut self, name: &'a str, id: Id<'a>) {
        match name {
            "user" => self.user = id,
            "project" => self.project = id,
            "namespace" => self.namespace = id,
            name => self.push(Extra::Identifier(name, id)),
        }
    }

    /// Sets a property by its name, whichever it is. One of the wrong type is kept, so that the tracker sees and refuses it.
    #[inline]
    pub(crate) fn set_custom(&mut self, name: &'a str, value: PropertyValue<'a>) {
        match (name, value.0, value.0.number()) {
            ("label", Scalar::Text(text), _) => self.label = text,
            ("property", Scalar::Text(text), _) => self.property = text,
            ("value", _, Some(number)) => self.value = Some(number),
            ("label" | "property" | "value", Scalar::Absent, _) => {}
            (name, ..) => self.push(Extra::Custom(name, value)),
        }
    }

    #[inline]
    pub(crate) fn extras(&self) -> impl Iterator<Item = &Extra<'a>> {
        self.inline.iter().take(self.extras).chain(&self.spilled)
    }

    #[inline]
    pub(crate) fn extra_count(&self) -> usize {
        self.extras
    }

    /// Whether nothing is known besides user, project and namespace.
    #[inline]
    pub(crate) fn has_identifiers_only(&self) -> bool {
        self.time.is_none()
            & self.label.is_empty()
            & self.property.is_empty()
            & self.value.is_none()
            & (self.extras == 0)
    }

    /// The scalar of `value`, absent when there is none.
    #[inline]
    pub(crate) fn value_scalar(&self) -> Scalar<'a> {
        self.value.map_or(Scalar::Absent, Scalar::Float)
    }
}
