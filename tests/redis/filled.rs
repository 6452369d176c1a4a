//! A Redis that was filled and is read by GitLab's rules, as this file knows them: strings and weeks of its own.

use std::collections::BTreeMap;

use headcount::{
    Definitions, Evaluate, EventDefinition, ManualClock, MetricDefinition, RedisImport, Rule, Store,
    TimeFrame, Timestamp,
};

use crate::common::Chance;
use crate::server::{Cluster, Redis};

/// Monday of the running week; all is counted by days from it.
const MONDAY: &str = "2024-12-30";
/// The ISO weeks of the eight weeks before it, and its own.
const WEEKS: [&str; 9] =
    ["2024-45", "2024-46", "2024-47", "2024-48", "2024-49", "2024-50", "2024-51", "2024-52", "2025-01"];
const LABELS: [&str; 3] = ["web", "api", "npm.js/x"];

/// What takes a command.
trait Server {
    fn send(&mut self, words: &[&str]);
    fn text(&mut self, key: &str) -> Option<String>;
    fn pfcount(&mut self, keys: &[String]) -> u64;
    fn hash(&mut self, key: &str) -> BTreeMap<String, String>;
    fn url(&self) -> String;
}

impl Server for Redis {
    fn send(&mut self, words: &[&str]) {
        self.ok(words);
    }
    fn text(&mut self, key: &str) -> Option<String> {
        Redis::text(self, key)
    }
    fn pfcount(&mut self, keys: &[String]) -> u64 {
        self.count(&keys.iter().map(String::as_str).collect::<Vec<_>>())
    }
    fn hash(&mut self, key: &str) -> BTreeMap<String, String> {
        Redis::hash(self, key)
    }
    fn url(&self) -> String {
        Redis::url(self)
    }
}

impl Server for Cluster {
    fn send(&mut self, words: &[&str]) {
        self.node(words[1]).ok(words);
    }
    fn text(&mut self, key: &str) -> Option<String> {
        self.node(key).text(key)
    }
    fn pfcount(&mut self, keys: &[String]) -> u64 {
        Server::pfcount(self.node(&keys[0]), keys)
    }
    fn hash(&mut self, key: &str) -> BTreeMap<String, String> {
        self.node(key).hash(key)
    }
    fn url(&self) -> String {
        Redis::url(&self.nodes[1])
    }
}

/// What the events of eight weeks and some days do, command by command.
fn fill(server: &mut impl Server, seed: u64) {
    let mut chance = Chance::new(seed);
    let bump = |server: &mut dyn FnMut(&[&str]), base: &str, week: &str, command: &[&str]| {
        for key in [base.to_owned(), format!("{base}-{week}")] {
            let words: Vec<&str> =
                [command[0], &key].into_iter().chain(command[1..].iter().copied()).collect();
            server(&words);
        }
    };
    for _ in 0..6_000 {
        let week = WEEKS[usize::try_from(chance.below(9)).unwrap()];
        let label = LABELS[usize::try_from(chance.below(3)).unwrap()];
        let user = chance.below(400).to_string();
        let value =
            format!("{}.{}", chance.below(50), [0, 25, 5, 75][usize::try_from(chance.below(4)).unwrap()]);
        let send = &mut |words: &[&str]| server.send(words);
        if chance.below(3) == 0 {
            bump(send, "{event_counters}_closed", week, &["INCR"]);
            send(&["PFADD", &format!("{{hll_counters}}_closed-user-{week}"), &user]);
            continue;
        }
        bump(send, "{event_counters}_opened", week, &["INCR"]);
        bump(send, &format!("{{event_counters}}_opened-filter:[label:{label}]"), week, &["INCR"]);
        bump(send, "{event_sums}_opened-operator:sum(value)", week, &["INCRBYFLOAT", &value]);
        bump(send, "{hll_counters}_opened-operator:total-label", week, &["HINCRBY", label, "1"]);
        for key in [
            format!("{{hll_counters}}_opened-user-{week}"),
            format!("{{hll_counters}}_opened-filter:[label:{label}]-user-{week}"),
        ] {
            send(&["PFADD", &key, &user]);
        }
    }
}

fn definitions() -> Definitions {
    let metric = |definitions: Definitions, name: &str, rules: &[Rule], frames: &[TimeFrame]| {
        frames.iter().fold(definitions, |definitions, frame| {
            let metric = MetricDefinition::new(format!("{name}{}", frame.suffix()), *frame);
            definitions.metric(rules.iter().cloned().fold(metric, MetricDefinition::rule)).unwrap()
        })
    };
    let events = Definitions::new()
        .event(EventDefinition::new("opened").identifier("user").label().value())
        .unwrap()
        .event(EventDefinition::new("closed").identifier("user"))
        .unwrap()
        .event(EventDefinition::new("never").identifier("user"))
        .unwrap();
    let all = [TimeFrame::SevenDays, TimeFrame::TwentyEightDays, TimeFrame::All];
    let weeks = &all[..2];
    let counts = metric(events, "opened", &[Rule::count("opened")], &all);
    let both = metric(counts, "both", &[Rule::count("opened"), Rule::count("closed")], &all);
    let web = metric(both, "web", &[Rule::count("opened").filter("label", "web")], &all);
    let npm = metric(web, "npm", &[Rule::unique("opened", "user").filter("label", "npm.js/x")], weeks);
    let sum = metric(npm, "sum", &[Rule::sum("opened")], &all);
    let users =
        metric(sum, "users", &[Rule::unique("opened", "user"), Rule::unique("closed", "user")], weeks);
    let never = metric(users, "never", &[Rule::count("never")], &all);
    let none = metric(never, "none", &[Rule::unique("never", "user"), Rule::unique("closed", "user")], weeks);
    metric(none, "labels", &[Rule::per_value("opened", "label")], &all)
}

/// GitLab's reading: the keys of one, or four, complete weeks, or the one without a week.
struct Reading<'a, S>(&'a mut S);

impl<S: Server> Reading<'_, S> {
    fn keys(bases: &[&str], frame: TimeFrame) -> Vec<String> {
        let weeks = match frame {
            TimeFrame::SevenDays => &WEEKS[7..8],
            TimeFrame::TwentyEightDays => &WEEKS[4..8],
            _ => return bases.iter().map(|base| (*base).to_owned()).collect(),
        };
        bases.iter().flat_map(|base| weeks.iter().map(move |week| format!("{base}-{week}"))).collect()
    }

    fn add_up(&mut self, bases: &[&str], frame: TimeFrame) -> f64 {
        let keys = Self::keys(bases, frame);
        keys.iter().map(|key| self.0.text(key).map_or(0.0, |text| text.parse::<f64>().unwrap())).sum()
    }

    fn distinct(&mut self, bases: &[&str], frame: TimeFrame) -> f64 {
        self.0.pfcount(&Self::keys(bases, frame)) as f64
    }

    fn per_value(&mut self, base: &str, frame: TimeFrame) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for key in Self::keys(&[base], frame) {
            for (value, count) in self.0.hash(&key) {
                *all.entry(value).or_default() += count.parse::<u64>().unwrap();
            }
        }
        all
    }
}

fn every_metric_equals_gitlabs_reading(server: &mut impl Server) {
    fill(server, 20_241_230);
    let now = Timestamp::parse(&format!("{MONDAY}T00:00:00Z")).unwrap();
    // Wednesday of the running week.
    let clock = ManualClock::new(Timestamp::parse("2025-01-01T11:30:00Z").unwrap());
    assert!(now < clock.now());
    let store =
        Store::builder_in_memory().definitions(definitions()).clock(clock).for_imports().open().unwrap();
    for time in 0..2 {
        let imported = RedisImport::new().from_server(&store, &server.url(), &mut |_| {}).unwrap();
        // No metric asks for two of the labels in totals, nor for two in distinct ones.
        assert_eq!(imported.unknown.len(), 2 * 10 + 2 * 9);
        assert!(
            imported.unknown.contains(&"{hll_counters}_opened-filter:[label:api]-user-2024-45".to_owned())
        );
        // Two events and a label for nine weeks and all time.
        assert_eq!(imported.counts, 3 * 10, "{time}");
        assert_eq!((imported.sums, imported.per_value, imported.uniques), (10, 10, 3 * 9));
        let mut reading = Reading(server);
        let mut looked_at = 0;
        for metric in store.metrics(Evaluate::default()).unwrap() {
            let answer = metric.outcome.unwrap();
            let (name, frame) = match metric.key_path.rsplit_once('_') {
                Some((name, "weekly")) => (name, TimeFrame::SevenDays),
                Some((name, _)) => (name, TimeFrame::TwentyEightDays),
                None => (metric.key_path.as_str(), TimeFrame::All),
            };
            let web = "{event_counters}_opened-filter:[label:web]";
            let expected = match name {
                "opened" => reading.add_up(&["{event_counters}_opened"], frame),
                "both" => reading.add_up(&["{event_counters}_opened", "{event_counters}_closed"], frame),
                "web" => reading.add_up(&[web], frame),
                "sum" => reading.add_up(&["{event_sums}_opened-operator:sum(value)"], frame),
                "npm" => reading.distinct(&["{hll_counters}_opened-filter:[label:npm.js/x]-user"], frame),
                "users" => {
                    reading.distinct(&["{hll_counters}_opened-user", "{hll_counters}_closed-user"], frame)
                }
                // Nobody ever counted it: GitLab reads a key that is not there as 0.
                "never" => reading.add_up(&["{event_counters}_never"], frame),
                "none" => {
                    reading.distinct(&["{hll_counters}_never-user", "{hll_counters}_closed-user"], frame)
                }
                "labels" => {
                    let expected = reading.per_value("{hll_counters}_opened-operator:total-label", frame);
                    assert_eq!(answer.value.per_value().unwrap(), &expected, "{}", metric.key_path);
                    looked_at += 1;
                    continue;
                }
                other => panic!("{other}"),
            };
            assert!(expected > 0.0 || name == "never", "{}", metric.key_path);
            let found = answer.count().map_or_else(|| answer.value.number(), |count| Some(count as f64));
            assert_eq!(found, Some(expected), "{}", metric.key_path);
            assert!(!answer.partial, "{}: {answer:?}", metric.key_path);
            looked_at += 1;
        }
        assert_eq!(looked_at, 6 * 3 + 3 * 2);
    }
    assert!(store.reader().check(headcount::Depth::Deep).unwrap().is_sound());
}

#[test]
fn every_metric_of_a_filled_redis_equals_gitlabs_reading() {
    let Some(mut redis) = Redis::start() else { return };
    every_metric_equals_gitlabs_reading(&mut redis);
}

#[test]
fn every_metric_of_a_filled_cluster_equals_gitlabs_reading() {
    let Some(mut cluster) = Cluster::start() else { return };
    // Names without a slot of their own, and of nobody: each on some node.
    let older: Vec<String> = (0..9).map(|number| format!("USAGE_OLD_{number}")).collect();
    older.iter().for_each(|key| cluster.send(&["SET", key, "5"]));
    let store = Store::builder_in_memory().definitions(definitions()).for_imports().open().unwrap();
    let url = Server::url(&cluster);
    assert_eq!(RedisImport::new().from_server(&store, &url, &mut |_| {}).unwrap().unknown, older);
    for key in &older {
        cluster.send(&["DEL", key]);
    }
    every_metric_equals_gitlabs_reading(&mut cluster);
}
