//! Bringing a Redis to what a store holds: by differences, each counted once.
//!
//! What was brought of a key stands in a mark in the same slot, and is changed in the same script as the key: a script that is tried
//! again after a lost answer finds that it was done. So nothing needs to be known of earlier flushes, and others may count in the same
//! keys meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind};
use crate::hash::IdHash;
use crate::redis::holdings::{Held, Holdings, redis_string};
use crate::redis::link::{Reply, Words};
use crate::redis::mark::Marks;
use crate::redis::names::SLOTS;
use crate::redis::patience::Patient;
use crate::report::evaluate::Amount;
use crate::sketch::Sketch;
use crate::time::timestamp::Timestamp;

/// Keys that are written together.
const PAGE: usize = 100;
/// What a message lists.
const MOST_SHOWN: usize = 3;

/// `KEYS`: key, mark. `ARGV`: what was brought, by how much it grows, what it becomes, when it ends, whether to overwrite, the command.
const BRING_NUMBER: &str = "
local there = redis.call('EXISTS', KEYS[1]) == 1
if there and ARGV[5] == '1' then redis.call('DEL', KEYS[1]) there = false end
local was = redis.call('HGET', KEYS[2], KEYS[1])
if there and not was then return 2 end
if there and was ~= ARGV[1] then return 1 end
local by = ARGV[2]
if not there then by = ARGV[3] end
redis.call(ARGV[6], KEYS[1], by)
redis.call('HSET', KEYS[2], KEYS[1], ARGV[3])
if ARGV[4] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[4]) end
return 0";

/// `KEYS`: key, mark. `ARGV`: when it ends, whether to overwrite, then for every field its name, what was brought, by how much it grows,
/// what it becomes.
const BRING_FIELDS: &str = "
local there = redis.call('EXISTS', KEYS[1]) == 1
if there and ARGV[2] == '1' then redis.call('DEL', KEYS[1]) there = false end
if there and not redis.call('HGET', KEYS[2], KEYS[1]) then return 2 end
if there then
  for i = 3, #ARGV, 4 do
    local was = redis.call('HGET', KEYS[2], KEYS[1] .. '\\n' .. ARGV[i]) or ''
    if was ~= ARGV[i + 1] then return 1 end
  end
end
for i = 3, #ARGV, 4 do
  local by = ARGV[i + 2]
  if not there then by = ARGV[i + 3] end
  if by ~= '0' then redis.call('HINCRBY', KEYS[1], ARGV[i], by) end
  redis.call('HSET', KEYS[2], KEYS[1] .. '\\n' .. ARGV[i], ARGV[i + 3])
end
redis.call('HSET', KEYS[2], KEYS[1], 'fields')
if ARGV[1] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[1]) end
return 0";

/// `KEYS`: key, mark, a place beside. `ARGV`: the sketch, when it ends, whether to overwrite, what the mark says of it. A sketch that is as
/// it was left (but for the number that Redis keeps in it) is replaced; one that others have added to is united.
const BRING_SKETCH: &str = "
local function digest(string) return redis.sha1hex(string.sub(string, 1, 8) .. string.sub(string, 17)) end
local there = redis.call('EXISTS', KEYS[1]) == 1
if there and ARGV[3] == '1' then redis.call('DEL', KEYS[1]) there = false end
local was = redis.call('HGET', KEYS[2], KEYS[1])
if there and not was then return 2 end
local left = '-'
if there and string.match(was, '%S+$') ~= digest(redis.call('GET', KEYS[1])) then
  redis.call('SET', KEYS[3], ARGV[1])
  redis.call('PFMERGE', KEYS[1], KEYS[3])
  redis.call('DEL', KEYS[3])
else
  redis.call('SET', KEYS[1], ARGV[1])
  left = digest(ARGV[1])
end
redis.call('HSET', KEYS[2], KEYS[1], ARGV[4] .. ' ' .. left)
if ARGV[2] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[2]) end
return 0";

/// How closely a Redis is looked at before something is brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// At what is known of this connection.
    AtMarks,
    /// At every key: whether it is still there.
    AtKeys,
}

const DONE: i64 = 0;
/// Somebody else has brought it further.
const MOVED: i64 = 1;
/// The key was there before, and is not from this store.
const FOREIGN: i64 = 2;

/// What became of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Brought {
    pub(super) written: u64,
    pub(super) unchanged: u64,
    /// Keys that others made.
    pub(super) foreign: Vec<String>,
}

/// A Redis, and what of the store is in it.
pub(super) struct Bringer {
    pub(super) server: Patient,
    marks: Marks,
    /// By key, or key, line feed and field: what was brought.
    brought: BTreeMap<String, String>,
    /// The connection by which that is known.
    known_by: u64,
}

impl Bringer {
    pub(super) fn new(server: Patient, marks: Marks) -> Self {
        Self { server, marks, brought: BTreeMap::new(), known_by: 0 }
    }

    /// Reads anew what was brought: after a connection broke off nobody knows what had been done.
    fn know(&mut self, held: &[Held]) -> Result<(), Error> {
        if self.known_by == self.server.connections {
            return Ok(());
        }
        let tagged = SLOTS.iter().map(|slot| self.marks.of_key(slot));
        let names: BTreeSet<String> =
            tagged.chain(held.iter().map(|held| self.marks.of_key(&held.key))).collect();
        let mut brought = BTreeMap::new();
        for name in names {
            let pairs = self.server.call(|link| link.call(&vec![b"HGETALL", name.as_bytes()]))?;
            let Reply::List(parts) = pairs else { return Err(self.strange(&name)) };
            for pair in parts.chunks_exact(2) {
                let [Reply::Bytes(field), Reply::Bytes(value)] = pair else {
                    return Err(self.strange(&name));
                };
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
                let pair = text(field).zip(text(value)).ok_or_else(|| self.strange(&name))?;
                brought.insert(pair.0, pair.1);
            }
        }
        (self.brought, self.known_by) = (brought, self.server.connections);
        Ok(())
    }

    /// Fails where keys stand that this store did not write.
    pub(super) fn refuse_foreign(&mut self, held: &[Held]) -> Result<(), Error> {
        self.know(held)?;
        let new: Vec<&Held> = held.iter().filter(|held| !self.brought.contains_key(&held.key)).collect();
        let mut foreign = Vec::new();
        for page in new.chunks(PAGE) {
            let asks: Vec<Words<'_>> =
                page.iter().map(|held| vec![b"EXISTS".as_slice(), held.key.as_bytes()]).collect();
            let there = self.server.call(|link| link.call_all(&asks))?;
            let there = page.iter().zip(there).filter(|(_, there)| *there == Reply::Number(1));
            foreign.extend(there.map(|(held, _)| held.key.clone()));
        }
        if foreign.is_empty() { Ok(()) } else { Err(self.refuse(&foreign)) }
    }

    pub(super) fn refuse(&self, foreign: &[String]) -> Error {
        let shown: Vec<&str> = foreign.iter().take(MOST_SHOWN).map(String::as_str).collect();
        let more = if foreign.len() > MOST_SHOWN { " and others" } else { "" };
        Error::new(
            ErrorKind::Redis,
            format!(
                "{} has {} keys that are not from this store ({}{more}): what they count would be mixed with it; overwrite them, or export to an empty database",
                self.server.address(),
                foreign.len(),
                shown.join(", ")
            ),
        )
    }

    /// Brings the keys to what the store holds. With [`Look::AtKeys`] it also sees keys that are gone from Redis.
    pub(super) fn bring(
        &mut self,
        holdings: &Holdings,
        look: Look,
        overwrite: bool,
        now: Timestamp,
    ) -> Result<Brought, Error> {
        if look == Look::AtKeys {
            self.known_by = 0;
            self.know(&holdings.held)?;
            self.look()?;
        }
        self.know(&holdings.held)?;
        // What the store had, as before it was restored, it has no more.
        let gone = self.brought.iter().filter(|(key, was)| !key.contains('\n') && *was != "0");
        let gone: Vec<Held> = gone.filter_map(|(key, _)| holdings.nothing_of(key, now)).collect();
        let held: Vec<Held> =
            holdings.held.iter().cloned().chain(gone).map(|held| self.with_all_fields(held)).collect();
        self.bring_all(&held, overwrite)
    }

    /// Forgets what was brought of keys that are there no more: they are written whole, or their weeks have ended.
    fn look(&mut self) -> Result<(), Error> {
        let keys: Vec<String> = self.brought.keys().filter(|key| !key.contains('\n')).cloned().collect();
        let mut missing = Vec::new();
        for page in keys.chunks(PAGE) {
            let asks: Vec<Words<'_>> =
                page.iter().map(|key| vec![b"EXISTS".as_slice(), key.as_bytes()]).collect();
            let there = self.server.call(|link| link.call_all(&asks))?;
            missing.extend(
                page.iter()
                    .zip(there)
                    .filter(|(_, there)| *there == Reply::Number(0))
                    .map(|(key, _)| key.clone()),
            );
        }
        for key in missing {
            let entries: Vec<String> =
                self.fields_of(&key).map(|value| field(&key, value)).chain([key.clone()]).collect();
            let mark = self.marks.of_key(&key);
            let words: Words<'_> = [b"HDEL".as_slice(), mark.as_bytes()]
                .into_iter()
                .chain(entries.iter().map(String::as_bytes))
                .collect();
            self.server.call(|link| link.call(&words))?;
            for entry in &entries {
                self.brought.remove(entry);
            }
        }
        Ok(())
    }

    /// The fields of a hash that were brought.
    fn fields_of(&self, key: &str) -> impl Iterator<Item = &str> {
        let begin = field(key, "");
        let length = begin.len();
        let after = self.brought.range(begin.clone()..);
        after.map_while(move |(entry, _)| entry.starts_with(&begin).then(|| entry.get(length..)).flatten())
    }

    /// A hash with the fields that were brought and are none any more.
    fn with_all_fields(&self, mut held: Held) -> Held {
        if let Amount::PerValue(values) = &mut held.amount {
            for value in self.fields_of(&held.key) {
                values.entry(value.to_owned()).or_insert(0);
            }
        }
        held
    }

    fn bring_all(&mut self, held: &[Held], overwrite: bool) -> Result<Brought, Error> {
        let mut all = Brought::default();
        let mut open: Vec<&Held> = held.iter().filter(|held| overwrite || self.is_behind(held)).collect();
        all.unchanged = (held.len() - open.len()) as u64;
        // What another one has brought meanwhile is looked at again.
        for _ in 0..3 {
            let mut moved = Vec::new();
            for page in open.chunks(PAGE) {
                self.know(held)?;
                for (held, code) in page.iter().zip(self.send(page, overwrite)?) {
                    match code {
                        DONE => {
                            self.note(held);
                            all.written += 1;
                        }
                        MOVED => moved.push(*held),
                        FOREIGN => all.foreign.push(held.key.clone()),
                        _ => return Err(self.strange(&held.key)),
                    }
                }
            }
            if moved.is_empty() {
                return Ok(all);
            }
            self.known_by = 0;
            open = moved;
        }
        Err(Error::new(
            ErrorKind::Redis,
            format!(
                "another export or mirror of this store writes to {} at the same time; end one of them",
                self.server.address()
            ),
        ))
    }

    fn was(&self, key: &str) -> &str {
        self.brought.get(key).map_or("", String::as_str)
    }

    fn is_behind(&self, held: &Held) -> bool {
        match &held.amount {
            Amount::Count(count) => self.was(&held.key) != count.to_string(),
            Amount::Sum(sum) => self.was(&held.key) != sum.to_string(),
            Amount::Unique(sketch) => !self.was(&held.key).starts_with(&mark_of(sketch)),
            Amount::PerValue(values) => {
                values.iter().any(|(value, count)| self.was(&field(&held.key, value)) != count.to_string())
            }
        }
    }

    fn note(&mut self, held: &Held) {
        let key = &held.key;
        match &held.amount {
            Amount::Count(count) => drop(self.brought.insert(key.clone(), count.to_string())),
            Amount::Sum(sum) => drop(self.brought.insert(key.clone(), sum.to_string())),
            Amount::Unique(sketch) => drop(self.brought.insert(key.clone(), mark_of(sketch))),
            Amount::PerValue(values) => {
                self.brought.insert(key.clone(), "fields".to_owned());
                for (value, count) in values {
                    self.brought.insert(field(key, value), count.to_string());
                }
            }
        }
    }

    fn send(&mut self, page: &[&Held], overwrite: bool) -> Result<Vec<i64>, Error> {
        let scripts: Vec<Vec<Vec<u8>>> = page.iter().map(|held| self.script(held, overwrite)).collect();
        let scripts: Vec<Words<'_>> =
            scripts.iter().map(|words| words.iter().map(Vec::as_slice).collect()).collect();
        let answers = self.server.call(|link| link.call_all(&scripts))?;
        let code = |answer| match answer {
            Reply::Number(code) => Ok(code),
            _ => Err(Error::new(
                ErrorKind::Redis,
                format!("{} answered a script with something else", self.server.address()),
            )),
        };
        answers.into_iter().map(code).collect()
    }

    fn script(&self, held: &Held, overwrite: bool) -> Vec<Vec<u8>> {
        let (key, mark) = (&held.key, self.marks.of_key(&held.key));
        let expires = held.expires_at.map_or_else(|| "0".to_owned(), |at| at.unix_seconds().to_string());
        let overwrite = if overwrite { "1" } else { "0" };
        let words = |script: &str, keys: &[&str], arguments: &[&[u8]]| {
            let mut words = vec![b"EVAL".to_vec(), script.into(), keys.len().to_string().into_bytes()];
            words.extend(keys.iter().map(|key| key.as_bytes().to_vec()));
            words.extend(arguments.iter().map(|argument| argument.to_vec()));
            words
        };
        let number = |by: String, becomes: String, command: &str| {
            let arguments = [self.was(key), &by, &becomes, &expires, overwrite, command].map(str::as_bytes);
            words(BRING_NUMBER, &[key, &mark], &arguments)
        };
        match &held.amount {
            Amount::Count(count) => number(growth(self.was(key), *count), count.to_string(), "INCRBY"),
            Amount::Sum(sum) => {
                let was: f64 = self.was(key).parse().unwrap_or(0.0);
                number((sum - was).to_string(), sum.to_string(), "INCRBYFLOAT")
            }
            Amount::Unique(sketch) => {
                let string = redis_string(sketch);
                let beside = self.marks.beside(key);
                words(
                    BRING_SKETCH,
                    &[key, &mark, &beside],
                    &[&string, expires.as_bytes(), overwrite.as_bytes(), mark_of(sketch).as_bytes()],
                )
            }
            Amount::PerValue(values) => {
                let mut arguments = vec![expires.clone().into_bytes(), overwrite.into()];
                for (value, count) in values {
                    let was = self.was(&field(key, value)).to_owned();
                    let by = growth(&was, *count);
                    arguments.extend([value.clone(), was, by, count.to_string()].map(String::into_bytes));
                }
                let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
                words(BRING_FIELDS, &[key, &mark], &arguments)
            }
        }
    }

    fn strange(&self, key: &str) -> Error {
        Error::new(
            ErrorKind::Redis,
            format!("{} answered for {key} with something else", self.server.address()),
        )
    }
}

/// What stands in a mark for a field of a hash.
pub(super) fn field(key: &str, value: &str) -> String {
    format!("{key}\n{value}")
}

/// What a mark says of a sketch: the same for equal ones.
fn mark_of(sketch: &Sketch) -> String {
    format!("sketch {:016x}", IdHash::of(&sketch.encode()).bits())
}

/// By how much a count has grown since it was brought; a store that was restored may have less than it had.
fn growth(was: &str, count: u64) -> String {
    let was: u64 = was.parse().unwrap_or(0);
    (i128::from(count) - i128::from(was)).to_string()
}

/// What a mark says of each key that was brought, for a file.
pub(super) fn entries(held: &Held) -> BTreeMap<String, String> {
    let key = &held.key;
    match &held.amount {
        Amount::Count(count) => [(key.clone(), count.to_string())].into(),
        Amount::Sum(sum) => [(key.clone(), sum.to_string())].into(),
        // Nobody knows what becomes of it until the first export: it is united.
        Amount::Unique(sketch) => [(key.clone(), format!("{} -", mark_of(sketch)))].into(),
        Amount::PerValue(values) => {
            let fields = values.iter().map(|(value, count)| (field(key, value), count.to_string()));
            fields.chain([(key.clone(), "fields".to_owned())]).collect()
        }
    }
}
