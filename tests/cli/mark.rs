//! `headcount mark`.

use serde_json::json;

use crate::bench::{Bench, NOW};

#[test]
fn marks_are_made_moved_listed_and_forgotten() {
    let bench = Bench::with_events();
    assert_eq!(bench.json(&["mark"]), json!({"marks": []}));
    assert_eq!(bench.json(&["mark", "v1"]), json!({"name": "v1", "at": NOW}));
    let later = "2026-11-01T08:00:00Z";
    assert_eq!(bench.json(&["mark", "v0", "--at", later]), json!({"name": "v0", "at": later}));
    assert_eq!(bench.json(&["mark", "v1"]), json!({"name": "v1", "at": NOW}));
    assert_eq!(
        bench.json(&["mark"]),
        json!({"marks": [{"name": "v0", "at": later}, {"name": "v1", "at": NOW}]})
    );
    assert_eq!(bench.json(&["mark", "v0", "--remove"]), json!({"name": "v0", "at": later}));
    let ran = bench.run(&["mark", "v0", "--remove", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (1, "unknown_mark"));
    for args in [&["mark", "previous"][..], &["mark", ""], &["mark", "--remove"], &["mark", "a\tb"]] {
        let ran = bench.run(&[args, &["--json"]].concat());
        assert_eq!((ran.code, ran.error().0.as_str()), (2, "usage"), "{args:?}");
    }
    let ran = bench.run(&["mark", "v1", "--store", "none.db", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (1, "store_missing"));
    assert!(!bench.path("none.db").exists());
}
