//! The names that keys had before there were rules, and the files that say which have kept them.

use headcount::{
    Definitions, ErrorKind, ManualClock, Mode, Query, RedisExport, RedisImport, RedisNames, RedisVerify,
    Store, Timestamp,
};

use crate::server::Redis;

const EVENTS: &str = "action: i_quickactions_assign\nidentifiers: [user]\n";
const USERS: &str = "key_path: users_weekly\ndata_source: redis_hll\ntime_frame: 7d\noptions:\n  events: [i_quickactions_assign]\n";
const TOTAL: &str = "key_path: assigned\ndata_source: redis\ntime_frame: all\noptions:\n  prefix: i_quickactions\n  event: assign\n";
const NEW: &str =
    "key_path: pushed\ndata_source: internal_events\ntime_frame: [7d, all]\nevents:\n- name: pushed\n";
const PUSHED: &str = "action: pushed\nidentifiers: [user]\n";
const PUSHERS: &str = "key_path: pushers_weekly\ndata_source: internal_events\ntime_frame: 7d\nevents:\n- name: pushed\n  unique: user.id\n";

fn store(folder: &tempfile::TempDir) -> Store {
    for (name, text) in
        [("e1", EVENTS), ("m1", USERS), ("m2", TOTAL), ("m3", NEW), ("e2", PUSHED), ("m4", PUSHERS)]
    {
        std::fs::write(folder.path().join(format!("{name}.yml")), text).unwrap();
    }
    Store::builder_in_memory()
        .definitions(Definitions::load(folder.path()).unwrap())
        .clock(ManualClock::new(Timestamp::parse("2026-11-23T10:00:00Z").unwrap()))
        .mode(Mode::Inline)
        .for_imports()
        .open()
        .unwrap()
}

fn overrides(folder: &tempfile::TempDir) -> RedisNames {
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("hll.yaml"), "---\npushed-user: p_pushed_by\n").unwrap();
    std::fs::write(path("totals.yaml"), "\"{event_counters}_pushed\": USAGE_PUSHES\n").unwrap();
    RedisNames::new().overrides_from(path("hll.yaml")).unwrap().overrides_from(path("totals.yaml")).unwrap()
}

#[test]
fn older_names_are_read_and_written() {
    let Some(mut redis) = Redis::start() else { return };
    let Some(mut to) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let names = overrides(&folder);
    redis.ok(&["SET", "USAGE_I_QUICKACTIONS_ASSIGN", "40"]);
    redis.add("{hll_counters}_i_quickactions_assign-2026-47", (0..90).map(|id: u32| id.to_string()));
    redis.ok(&["SET", "USAGE_PUSHES", "11"]);
    redis.ok(&["SET", "{event_counters}_pushed-2026-47", "5"]);
    redis.add("{hll_counters}_p_pushed_by-2026-47", (0..7).map(|id: u32| id.to_string()));
    // What GitLab does not read since the name is another.
    redis.ok(&["SET", "{event_counters}_pushed", "1000"]);
    redis.add("{hll_counters}_pushed-user-2026-47", (0..50).map(|id: u32| id.to_string()));
    let imported =
        RedisImport::new().names(names.clone()).from_server(&store, &redis.url(), &mut |_| {}).unwrap();
    assert_eq!(imported.unknown, ["{event_counters}_pushed", "{hll_counters}_pushed-user-2026-47"]);
    let metric = |key_path: &str| store.metric(key_path).unwrap().outcome.unwrap().count();
    assert_eq!(metric("assigned"), Some(40));
    assert_eq!(metric("users_weekly"), Some(redis.count(&["{hll_counters}_i_quickactions_assign-2026-47"])));
    assert_eq!(metric("pushed"), Some(11));
    assert_eq!(metric("pushed_weekly"), Some(5));
    assert_eq!(metric("pushers_weekly"), Some(7));
    assert_eq!(store.value(&Query::total("pushed")).unwrap().count(), Some(11));
    // Out again: keys of weeks end by the real clock, but those of all time stay.
    RedisExport::new().names(names.clone()).to_server(store.reader(), &to.url()).unwrap();
    for (key, count) in [("USAGE_I_QUICKACTIONS_ASSIGN", "40"), ("USAGE_PUSHES", "11")] {
        assert_eq!(to.text(key).as_deref(), Some(count), "{key}");
        assert_eq!(to.ok(&["TTL", key]), crate::server::Reply::Line("-1".into()));
    }
    let verified = RedisVerify::new().names(names).server(store.reader(), &to.url()).unwrap();
    assert!(
        !verified.differences.iter().any(|each| each.key.starts_with("USAGE_")),
        "{:?}",
        verified.differences
    );
}

#[test]
fn files_of_names_that_are_none_say_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.yaml");
    for (text, says) in [
        ("- a\n- b\n", "one mapping"),
        ("a:\n  b: c\n", ":1:1: `a` must have a name"),
        ("x: y\na: 4\n", ":2:1: `a` must have a name"),
        ("a: [\n", ":"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = RedisNames::new().overrides_from(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Definitions);
        assert!(error.to_string().contains("names.yaml") && error.to_string().contains(says), "{error}");
    }
    std::fs::write(&path, "# nothing\n").unwrap();
    assert_eq!(RedisNames::new().overrides_from(&path).unwrap(), RedisNames::new());
    assert_eq!(
        RedisNames::new().overrides_from(folder.path().join("none")).unwrap_err().kind(),
        ErrorKind::Io
    );
}
