//! The plain model of a store: what all events that it holds amount to.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use headcount::{Depth, ManualClock, Query, Reader, Rule, Sketch};

use crate::common::{Cell, Contents, connect, contents, counted, day_bucket, ledger};
use crate::stream::{EVENTS, Fact, Stream, noon};

#[derive(Debug, Default)]
pub(crate) struct Expected {
    contents: Contents,
    users: BTreeMap<Cell, (HashSet<u64>, Sketch)>,
    events: u64,
}

impl Expected {
    pub(crate) fn add(&mut self, fact: Fact) {
        let (name, unix) = (fact.event, fact.at.unix_seconds());
        let (day, hour) = (day_bucket(unix), 1 << 40 | unix.div_euclid(3_600));
        for bucket in [0, hour, day] {
            *self.contents.counts.entry((bucket, name.to_owned())).or_default() += 1;
            *self.contents.sums.entry((bucket, Rule::sum(name).key())).or_default() += fact.value();
        }
        for bucket in [0, day] {
            let key = Rule::per_value(name, "label").key();
            *self.contents.per_value.entry((bucket, key, fact.label())).or_default() += 1;
            let cell = (bucket, Rule::unique(name, "user").key());
            let (users, sketch) = self.users.entry(cell).or_insert_with(|| (HashSet::new(), Sketch::new()));
            if users.insert(fact.user) {
                sketch.add(fact.user.to_string().as_bytes());
            }
        }
        self.events += 1;
    }

    /// Takes over what the file has of a stream whose process is gone: all that was acknowledged, at most one batch more, and,
    /// where only flushes cut them, whole batches.
    pub(crate) fn settle(
        &mut self,
        path: &Path,
        stream: Stream,
        acknowledged: u64,
        is_whole: bool,
    ) -> Result<(), String> {
        let before = self.contents.counts.get(&(0, stream.event.to_owned())).copied().unwrap_or(0);
        let new =
            total(path, stream.event).checked_sub(before).ok_or("there are fewer events than before")?;
        let (least, most) = (stream.events_in(acknowledged), stream.events_in(acknowledged + 1));
        let life = stream.life;
        if new < least {
            return Err(format!("life {life}: {least} events were acknowledged, {new} are stored"));
        }
        if new > most {
            return Err(format!("life {life}: {most} events were offered, {new} are stored"));
        }
        if is_whole && new != least && new != most {
            return Err(format!("life {life}: {new} events are no whole batch, {least} or {most} would be"));
        }
        stream.facts().take(usize::try_from(new).unwrap()).for_each(|fact| self.add(fact));
        Ok(())
    }

    /// Hours, days and all time, and the ledger, say the same. Only while nobody writes.
    pub(crate) fn conserves(&self, path: &Path) -> Result<(), String> {
        let connection = connect(path);
        let of = |granularity: i64| -> u64 {
            let sql = "SELECT coalesce(sum(count), 0) FROM counts JOIN series ON series.id = series
                       WHERE kind = 1 AND bucket >> 40 = ?1";
            let sum: i64 = connection.query_row(sql, [granularity], |row| row.get(0)).unwrap();
            u64::try_from(sum).unwrap()
        };
        let stored = ledger(path).get("stored").copied().unwrap_or(0);
        let (all, hours, days) = (counted(&connection), of(1), of(2));
        if [stored, hours, days, all] == [self.events; 4] {
            return Ok(());
        }
        let expected = self.events;
        Err(format!(
            "{expected} events: ledger {stored}, hours {hours}, days {days}, all time {all}; last {}",
            of(0)
        ))
    }

    /// Every row is as the model has it, and the deep check finds nothing. Only while nobody writes.
    pub(crate) fn compare(&self, path: &Path) -> Result<(), String> {
        self.conserves(path)?;
        let found = contents(path);
        if found.counts != self.contents.counts {
            return Err("counts differ".to_owned());
        }
        if found.sums != self.contents.sums {
            return Err("sums differ".to_owned());
        }
        if found.per_value != self.contents.per_value {
            return Err("counts per value differ".to_owned());
        }
        let reader = Reader::open(path).unwrap().with_clock(ManualClock::new(noon()));
        for ((bucket, key), (users, sketch)) in &self.users {
            if *bucket != 0 {
                let stored = found.sketches.get(&(*bucket, key.clone()));
                if stored != Some(&sketch.encode()) {
                    return Err(format!("the users of {key} in bucket {bucket} differ"));
                }
                continue;
            }
            let name = EVENTS.into_iter().find(|name| Rule::unique(*name, "user").key() == *key).unwrap();
            let answer = reader.value(&Query::unique(name, "user")).unwrap();
            let off = (answer.value.number().unwrap() - f64::from(u32::try_from(users.len()).unwrap())).abs();
            if off > 4.0 * answer.standard_error {
                return Err(format!("{} users of {name}, answered {answer}", users.len()));
            }
        }
        let check = reader.check(Depth::Deep).unwrap();
        if check.is_sound() { Ok(()) } else { Err(format!("{:?}", check.findings)) }
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}

/// How often an event is counted in the file.
pub(crate) fn total(path: &Path, event: &str) -> u64 {
    let sql = "SELECT coalesce(sum(count), 0) FROM counts JOIN series ON series.id = series
               WHERE bucket = 0 AND kind = 1 AND key = ?1";
    let count: i64 = connect(path).query_row(sql, [event], |row| row.get(0)).unwrap();
    u64::try_from(count).unwrap()
}
