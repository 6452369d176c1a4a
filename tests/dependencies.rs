//! What a program gets with the crate: nothing that could open a connection, unless it asks for it.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::collections::BTreeSet;
use std::process::Command;

/// Crates that speak HTTP or TLS, and what they stand on.
const OF_THE_NETWORK: &[&str] = &[
    "attohttpc",
    "awc",
    "aws-lc-rs",
    "boring",
    "curl",
    "curl-sys",
    "h2",
    "h3",
    "hickory-resolver",
    "http",
    "httparse",
    "hyper",
    "hyper-util",
    "isahc",
    "mio",
    "minreq",
    "native-tls",
    "openssl",
    "openssl-sys",
    "quinn",
    "redis",
    "reqwest",
    "ring",
    "rustls",
    "rustls-webpki",
    "socket2",
    "surf",
    "tokio",
    "ureq",
    "ureq-proto",
    "webpki-roots",
];

/// The names of all that is built for the crate with these features.
fn dependencies(features: &[&str]) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    tree.args(features).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn of_the_network(features: &[&str]) -> Vec<String> {
    let tree = dependencies(features);
    assert!(tree.contains("rusqlite"), "this is not the tree: {tree:?}");
    tree.into_iter().filter(|name| OF_THE_NETWORK.contains(&name.as_str())).collect()
}

#[test]
fn without_upload_nothing_can_speak_to_a_network() {
    for features in [&[][..], &["--no-default-features"], &["--features", "cli"]] {
        assert_eq!(of_the_network(features), Vec::<String>::new(), "{features:?}");
    }
    // With it the tree shows it.
    let with = of_the_network(&["--features", "upload"]);
    assert!(["ring", "rustls", "ureq"].iter().all(|name| with.iter().any(|had| had == name)), "{with:?}");
}
