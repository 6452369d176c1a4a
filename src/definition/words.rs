//! The closed sets of words that metric definitions use.

/// Declares an enum whose variants are the words of one field of a definition.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every word of the field.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word that definitions use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            pub(in crate::definition) const WORDS: &[&str] = &[$($word,)+];

            pub(crate) fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Whether a metric is still reported.
    ///
    /// ```
    /// assert_eq!(headcount::MetricStatus::Active.as_str(), "active");
    /// ```
    MetricStatus {
        /// It is reported.
        Active = "active",
        /// It is reported, but its value is known to be wrong.
        Broken = "broken",
        /// It is reported no more; the definition stays for older reports.
        Removed = "removed",
    }
}

words! {
    /// Where the value of a metric comes from.
    ///
    /// ```
    /// assert!(headcount::DataSource::InternalEvents.counts_events());
    /// assert!(!headcount::DataSource::System.counts_events());
    /// ```
    DataSource {
        /// The events that this store counts.
        InternalEvents = "internal_events",
        /// Older GitLab: totals of events.
        Redis = "redis",
        /// Older GitLab: distinct users of events.
        RedisHll = "redis_hll",
        /// A query on the host program's database.
        Database = "database",
        /// The host program itself: settings, versions.
        System = "system",
        /// The licence of the host program.
        License = "license",
        /// A Prometheus server.
        Prometheus = "prometheus",
    }
}

impl DataSource {
    /// Whether the value is computed from tracked events; the others are supplied by the host program.
    #[must_use]
    pub fn counts_events(self) -> bool {
        matches!(self, Self::InternalEvents | Self::Redis | Self::RedisHll)
    }
}

words! {
    /// Why a metric is collected, which decides whether it may leave the installation.
    ///
    /// ```
    /// assert_eq!(headcount::DataCategory::Optional.as_str(), "optional");
    /// ```
    DataCategory {
        /// Needed to operate the product for the customer.
        Operational = "operational",
        /// Sent only with consent; also what a metric without a category is.
        Optional = "optional",
        /// Needed for the subscription.
        Subscription = "subscription",
        /// Identifies the installation.
        Standard = "standard",
    }
}

words! {
    /// The JSON type of a metric's value.
    ///
    /// ```
    /// assert_eq!(headcount::ValueType::Object.as_str(), "object");
    /// ```
    ValueType {
        /// A number, as every count, sum and unique is.
        Number = "number",
        /// A text.
        String = "string",
        /// True or false.
        Boolean = "boolean",
        /// An object, as counts per value are.
        Object = "object",
    }
}

/// Stores a word as the text that definitions use, so that the stored shape does not depend on the names in this crate.
macro_rules! stored_as_word {
    ($($name:ident),+) => {
        $(
            impl serde::Serialize for Stored<$name> {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.0.as_str())
                }
            }

            impl<'de> serde::Deserialize<'de> for Stored<$name> {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let word = String::deserialize(deserializer)?;
                    $name::from_word(&word)
                        .map(Self)
                        .ok_or_else(|| serde::de::Error::unknown_variant(&word, $name::WORDS))
                }
            }
        )+
    };
}

/// A word in the stored shape: private, so that serde is not part of the public types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::definition) struct Stored<T>(pub(in crate::definition) T);

stored_as_word!(MetricStatus, DataSource, DataCategory, ValueType);
