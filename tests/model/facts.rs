//! Random events, told to a tracker, to an import and to the model.

use std::fmt::Write;

use headcount::{Definitions, Event, EventDefinition, Rule, Timestamp, TrackError, Tracker};

use crate::common::Chance;

pub(crate) const DAY: i64 = 86_400;
const MAX_AGE: i64 = 8 * DAY;
const MAX_AHEAD: i64 = 300;
const EVENTS: [&str; 3] = ["built", "viewed", "undefined"];

pub(crate) fn definitions() -> Definitions {
    let built = EventDefinition::new("built").identifier("user").identifier("device").label().value();
    let viewed = EventDefinition::new("viewed").identifier("user");
    Definitions::new().event(built.custom("platform")).and_then(|all| all.event(viewed)).unwrap()
}

/// What is recorded besides the total of each event.
pub(crate) fn rules() -> Vec<Rule> {
    vec![
        Rule::unique("built", "user"),
        Rule::unique("built", "device"),
        Rule::unique("built", "user").filter("platform", "linux"),
        Rule::unique("viewed", "user"),
        Rule::count("built").filter("label", "a"),
        Rule::sum("built"),
        Rule::sum("built").filter("label", "b"),
        Rule::per_value("built", "label"),
    ]
}

/// One event, as it is offered.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) event: &'static str,
    /// Without one it happens when it is tracked.
    pub(crate) at: Option<i64>,
    pub(crate) user: String,
    pub(crate) device: Option<u64>,
    pub(crate) label: &'static str,
    /// In eighths.
    pub(crate) value: Option<i32>,
    pub(crate) platform: &'static str,
}

impl Fact {
    /// An event near a moment, at most so far from it.
    pub(crate) fn random(chance: &mut Chance, now: i64, back: i64, ahead: i64) -> Self {
        let event = if chance.below(40) == 0 { EVENTS[2] } else { chance.one_of(&EVENTS[..2]) };
        let is_built = event == "built";
        let span = u64::try_from(back + ahead + 1).unwrap();
        let at = now - back + i64::try_from(chance.below(span)).unwrap();
        let user = match chance.below(4) {
            0 => String::new(),
            1 => chance.below(30).to_string(),
            2 => format!("u-{}", chance.below(200)),
            _ => chance.below(5_000).to_string(),
        };
        Self {
            event,
            at: (chance.below(3) > 0).then_some(at),
            user,
            device: (is_built && chance.below(2) == 0).then(|| chance.below(60)),
            label: if is_built { chance.one_of(&["", "a", "b", "c"]) } else { "" },
            value: (is_built && chance.below(2) == 0)
                .then(|| i32::try_from(chance.below(2_000)).unwrap() - 1_000),
            platform: if is_built { chance.one_of(&["", "linux", "macos"]) } else { "" },
        }
    }

    pub(crate) fn sum(&self) -> Option<f64> {
        self.value.map(|eighths| f64::from(eighths) * 0.125)
    }

    /// Offers it, and says what becomes of it.
    pub(crate) fn track(&self, tracker: &Tracker) -> Result<(), TrackError> {
        let mut event = Event::new(self.event).label(self.label);
        // The same identifier as a number and as its text.
        event = match self.user.parse::<u64>() {
            Ok(number) if number % 2 == 0 => event.user(number),
            _ => event.user(self.user.as_str()),
        };
        if let Some(device) = self.device {
            event = event.identifier("device", device);
        }
        if let Some(value) = self.sum() {
            event = event.value(value);
        }
        if !self.platform.is_empty() {
            event = event.custom("platform", self.platform);
        }
        if let Some(at) = self.at {
            event = event.at(Timestamp::from_unix_seconds(at));
        }
        tracker.try_track(event)
    }

    /// What must become of it when it is tracked at this moment.
    pub(crate) fn judged(&self, now: i64) -> Result<i64, TrackError> {
        let at = self.at.unwrap_or(now);
        match () {
            () if self.event == EVENTS[2] => Err(TrackError::UnknownEvent),
            () if at < now - MAX_AGE => Err(TrackError::TooLate),
            () if at > now + MAX_AHEAD => Err(TrackError::TooFuture),
            () => Ok(at),
        }
    }

    /// What must become of its line when it is imported at this moment.
    pub(crate) fn judged_as_line(&self, now: i64) -> Result<i64, TrackError> {
        match self.judged(now) {
            Err(TrackError::TooLate) => Ok(self.at.unwrap_or(now)),
            judged => judged,
        }
    }

    pub(crate) fn line(&self) -> String {
        let mut line = format!("{{\"event\":\"{}\",\"user\":\"{}\"", self.event, self.user);
        if let Some(at) = self.at {
            write!(line, ",\"time\":\"{}\"", Timestamp::from_unix_seconds(at)).unwrap();
        }
        if let Some(device) = self.device {
            write!(line, ",\"device\":{device}").unwrap();
        }
        if let Some(value) = self.sum() {
            write!(line, ",\"value\":{value}").unwrap();
        }
        for (name, text) in [("label", self.label), ("platform", self.platform)] {
            match text {
                "" => {}
                _ if name == "label" => write!(line, ",\"label\":\"{text}\"").unwrap(),
                _ => write!(line, ",\"additional_properties\":{{\"{name}\":\"{text}\"}}").unwrap(),
            }
        }
        line + "}\n"
    }
}
