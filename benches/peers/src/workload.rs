//! The events that every contestant gets: the same ones in each run, skewed as products are.

use std::collections::HashSet;

pub(crate) const KINDS: usize = 200;
const USERS: usize = 100_000;
const PROJECTS: usize = 20_000;
/// The smallest identifier, so that all have six digits.
const FIRST_ID: u32 = 100_000;
const SEED: u64 = 20_261_122;
/// Bytes of an identifier as text.
pub(crate) const TEXT_BYTES: usize = 20;

/// Something that happened: one count and two uniques.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) kind: u16,
    pub(crate) user: u32,
    pub(crate) project: u32,
}

/// Events in a fixed order, repeated as often as is asked for.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) names: Vec<String>,
    pub(crate) events: Vec<Happening>,
}

/// The identifiers of a workload's events as text, one behind the other, so that reading them costs no more than it must.
#[derive(Debug)]
pub(crate) struct Texts(String);

impl Workload {
    /// 200 kinds, 100,000 users and 20,000 projects, each by Zipf's law: the second happens half as often as the first.
    pub(crate) fn new(events: usize) -> Self {
        Self::with_kinds(KINDS, events)
    }

    pub(crate) fn with_kinds(kinds: usize, events: usize) -> Self {
        let mut random = SplitMix(SEED);
        let (kind, user, project) = (Zipf::new(kinds), Zipf::new(USERS), Zipf::new(PROJECTS));
        let events = (0..events)
            .map(|_| Happening {
                kind: u16::try_from(kind.draw(&mut random)).unwrap_or(u16::MAX),
                user: FIRST_ID + user.draw(&mut random),
                project: FIRST_ID + project.draw(&mut random),
            })
            .collect();
        Self { names: (0..kinds).map(|kind| format!("event_{kind:05}")).collect(), events }
    }

    /// `length` events from the `position`th on, where the list repeats; fewer at its end.
    pub(crate) fn chunk(&self, position: u64, length: usize) -> &[Happening] {
        let start = self.wrapped(position);
        &self.events[start..self.events.len().min(start + length)]
    }

    pub(crate) fn wrapped(&self, position: u64) -> usize {
        let length = self.events.len() as u64;
        usize::try_from(position % length).unwrap_or_default()
    }

    /// How many of the `length` events from `position` on are of each kind.
    pub(crate) fn counts(&self, position: u64, length: u64) -> Vec<u64> {
        let mut counts = vec![0; self.names.len()];
        let whole = length / self.events.len() as u64;
        let mut add = |events: &[Happening], times| {
            for event in events {
                counts[usize::from(event.kind)] += times;
            }
        };
        add(&self.events, whole);
        let (start, rest) = (self.wrapped(position), self.wrapped(length));
        let first = rest.min(self.events.len() - start);
        add(&self.events[start..start + first], 1);
        add(&self.events[..rest - first], 1);
        counts
    }

    /// The exact number of users of a kind, over all events.
    pub(crate) fn users(&self, kind: usize) -> u64 {
        let of_kind = self.events.iter().filter(|event| usize::from(event.kind) == kind);
        of_kind.map(|event| event.user).collect::<HashSet<_>>().len() as u64
    }
}

impl Texts {
    pub(crate) fn new(workload: &Workload) -> Self {
        let ids = workload.events.iter();
        Self(ids.map(|event| format!("user-{:015}project-{:012}", event.user, event.project)).collect())
    }

    /// User and project of the event at a place in the list.
    pub(crate) fn of(&self, place: usize) -> (&str, &str) {
        let start = place * 2 * TEXT_BYTES;
        let middle = start + TEXT_BYTES;
        (&self.0[start..middle], &self.0[middle..middle + TEXT_BYTES])
    }
}

/// Adds counts of each kind to others.
pub(crate) fn add(counts: &mut [u64], more: &[u64]) {
    for (count, more) in counts.iter_mut().zip(more) {
        *count += more;
    }
}

/// Draws 0 to n - 1, with chances as 1 to 1/n.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let cumulated = (1..=n).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self(cumulated.collect())
    }

    fn draw(&self, random: &mut SplitMix) -> u32 {
        let total = self.0.last().copied().unwrap_or_default();
        let point = random.fraction() * total;
        let rank = self.0.partition_point(|sum| *sum <= point).min(self.0.len() - 1);
        u32::try_from(rank).unwrap_or(u32::MAX)
    }
}

/// Chance that is the same in each run.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, and not with, 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_events_come_in_each_run() {
        let workload = Workload::new(1_000);
        assert_eq!(workload.events, Workload::new(1_000).events);
        let sum: u64 =
            workload.events.iter().map(|event| u64::from(event.user) * u64::from(event.kind)).sum();
        assert_eq!(sum, 3_782_134_425);
    }

    #[test]
    fn the_first_is_drawn_twice_as_often_as_the_second() {
        let counts = Workload::new(200_000).counts(0, 200_000);
        // 1 / (1 + 1/2 + ... + 1/200) of all.
        assert!((counts[0] as f64 / 200_000.0 - 0.1701).abs() < 0.003, "{}", counts[0]);
        assert!((counts[0] as f64 / counts[1] as f64 - 2.0).abs() < 0.1);
        assert!(counts.iter().all(|count| *count > 0));
    }

    #[test]
    fn counts_follow_the_list_around_its_end() {
        let workload = Workload::new(1_000);
        for (position, length) in [(0, 0), (0, 1_000), (990, 25), (3, 4_321), (1_999, 1)] {
            let mut expected = vec![0; KINDS];
            for place in position..position + length {
                expected[usize::from(workload.chunk(place, 1)[0].kind)] += 1;
            }
            assert_eq!(workload.counts(position, length), expected, "{length} from {position}");
        }
    }

    #[test]
    fn texts_have_twenty_bytes_each() {
        let workload = Workload::new(10);
        let texts = Texts::new(&workload);
        let (user, project) = texts.of(9);
        let last = workload.events[9];
        assert_eq!(user, format!("user-{:015}", last.user));
        assert_eq!(project, format!("project-{:012}", last.project));
    }
}
