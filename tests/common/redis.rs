//! A real Redis on a private place, and a client that knows nothing of ours.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where it is wrong, says when it is skipped, and uses its own part"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server of its own; it ends with the test.
pub(crate) struct Redis {
    connection: BufReader<TcpStream>,
    server: Server,
}

struct Server {
    process: Child,
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
    _own: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the tests may start servers.
pub(crate) fn may_start() -> bool {
    let may = std::env::var_os("HEADCOUNT_TEST_SERVERS").is_some_and(|value| value == "1");
    if !may {
        println!("skipped: HEADCOUNT_TEST_SERVERS=1 starts a redis-server for this test");
    }
    may
}

/// Three nodes that share the slots.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Redis>,
}

impl Cluster {
    pub(crate) fn start() -> Option<Self> {
        let mut nodes: Vec<Redis> = Vec::new();
        for node in 0..3 {
            // The bus has the port 10,000 above, which must be a port.
            let started = (0..50).find_map(|_| {
                let port = free_port();
                (port < 50_000).then(|| Redis::start_with(port, &["--cluster-enabled", "yes"]))?
            });
            let mut started = started?;
            let (from, to) = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)][node];
            started.ok(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]);
            nodes.push(started);
        }
        let ports: Vec<String> = nodes.iter().map(|node| node.server.port.to_string()).collect();
        for port in &ports[1..] {
            nodes[0].ok(&["CLUSTER", "MEET", "127.0.0.1", port]);
        }
        let deadline = Instant::now() + PATIENCE;
        for node in &mut nodes {
            loop {
                let about = String::from_utf8(node.bytes(&["CLUSTER", "INFO"])).unwrap();
                if about.contains("cluster_state:ok") && about.contains("cluster_known_nodes:3") {
                    break;
                }
                assert!(Instant::now() < deadline, "the cluster does not come up: {about}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Some(Self { nodes })
    }

    /// The node that has a key.
    pub(crate) fn node(&mut self, key: &str) -> &mut Redis {
        let Reply::Line(slot) = self.nodes[0].command(&[b"CLUSTER", b"KEYSLOT", key.as_bytes()]) else {
            panic!()
        };
        let slot: usize = slot.parse().unwrap();
        let place = if slot <= 5_460 {
            0
        } else if slot <= 10_922 {
            1
        } else {
            2
        };
        &mut self.nodes[place]
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

impl Redis {
    /// `None`, and a line that says so, unless servers are asked for.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(free_port(), &[])
    }

    fn start_with(port: u16, options: &[&str]) -> Option<Self> {
        if !may_start() {
            return None;
        }
        let own = tempfile::tempdir().unwrap();
        let folder = own.path().to_owned();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = spawn(&folder, port, &options);
        let mut server = Server { process, folder, port, options, _own: Some(own) };
        let connection = BufReader::new(connect(port, &mut server.process));
        Some(Self { connection, server })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.server.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.server.folder
    }

    /// Ends the process; what it had is on disk if `saved`.
    pub(crate) fn stop(&mut self, saved: bool) {
        if saved {
            self.ok(&["SAVE"]);
        }
        self.server.process.kill().unwrap();
        self.server.process.wait().unwrap();
    }

    /// Starts it again at the same place, with what is on disk.
    pub(crate) fn start_again(&mut self) {
        self.server.process = spawn(&self.server.folder, self.server.port, &self.server.options);
        self.connection = BufReader::new(connect(self.server.port, &mut self.server.process));
    }

    pub(crate) fn add(&mut self, key: &str, ids: impl Iterator<Item = String>) {
        // `PFADD` without identifiers makes an empty key.
        self.command(&[b"PFADD", key.as_bytes()]);
        let ids: Vec<_> = ids.collect();
        for some in ids.chunks(1_000) {
            let mut command: Vec<&[u8]> = vec![b"PFADD", key.as_bytes()];
            command.extend(some.iter().map(|id| id.as_bytes()));
            self.command(&command);
        }
    }

    pub(crate) fn set(&mut self, key: &str, string: &[u8]) {
        assert_eq!(self.command(&[b"SET", key.as_bytes(), string]), Reply::Line("OK".into()));
    }

    pub(crate) fn get(&mut self, key: &str) -> Vec<u8> {
        self.bytes(&["GET", key])
    }

    /// The text of a key, if there is one.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        match self.command(&[b"GET", key.as_bytes()]) {
            Reply::Bytes(bytes) => Some(String::from_utf8(bytes).unwrap()),
            Reply::Nothing => None,
            reply => panic!("GET {key}: {reply:?}"),
        }
    }

    pub(crate) fn count(&mut self, keys: &[&str]) -> u64 {
        let mut command: Vec<&[u8]> = vec![b"PFCOUNT"];
        command.extend(keys.iter().map(|key| key.as_bytes()));
        self.number(&command)
    }

    pub(crate) fn number(&mut self, command: &[&[u8]]) -> u64 {
        match self.command(command) {
            Reply::Line(number) => number.parse().unwrap(),
            reply => panic!("{reply:?}"),
        }
    }

    pub(crate) fn bytes(&mut self, command: &[&str]) -> Vec<u8> {
        match self.command(&command.iter().map(|part| part.as_bytes()).collect::<Vec<_>>()) {
            Reply::Bytes(bytes) => bytes,
            reply => panic!("{command:?}: {reply:?}"),
        }
    }

    /// A hash, by field.
    pub(crate) fn hash(&mut self, key: &str) -> std::collections::BTreeMap<String, String> {
        let Reply::List(parts) = self.command(&[b"HGETALL", key.as_bytes()]) else { panic!("{key}") };
        let text = |reply: &Reply| match reply {
            Reply::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            reply => panic!("{reply:?}"),
        };
        parts.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
    }

    /// Every key, in order.
    pub(crate) fn keys(&mut self) -> Vec<String> {
        let Reply::List(keys) = self.command(&[b"KEYS", b"*"]) else { panic!() };
        let mut keys: Vec<String> = keys
            .into_iter()
            .map(|key| match key {
                Reply::Bytes(key) => String::from_utf8(key).unwrap(),
                reply => panic!("{reply:?}"),
            })
            .collect();
        keys.sort();
        keys
    }

    /// A command that must not be refused.
    pub(crate) fn ok(&mut self, command: &[&str]) -> Reply {
        let reply = self.command(&command.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
        assert!(!matches!(reply, Reply::Refusal(_)), "{command:?}: {reply:?}");
        reply
    }

    /// One command and its answer, in RESP.
    pub(crate) fn command(&mut self, parts: &[&[u8]]) -> Reply {
        let mut request = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            request.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            request.extend_from_slice(part);
            request.extend_from_slice(b"\r\n");
        }
        self.connection.get_mut().write_all(&request).unwrap();
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        let mut line = String::new();
        self.connection.read_line(&mut line).unwrap();
        let line = line.trim_end();
        match line.split_at_checked(1) {
            Some(("+" | ":", text)) => Reply::Line(text.into()),
            Some(("-", text)) => Reply::Refusal(text.into()),
            Some(("$" | "*", "-1")) => Reply::Nothing,
            Some(("$", length)) => {
                let length: usize = length.parse().unwrap();
                let mut bytes = vec![0; length + 2];
                self.connection.read_exact(&mut bytes).unwrap();
                bytes.truncate(length);
                Reply::Bytes(bytes)
            }
            Some(("*", length)) => {
                let length: usize = length.parse().unwrap();
                Reply::List((0..length).map(|_| self.reply()).collect())
            }
            _ => panic!("redis (process {}) answered {line:?}", self.server.process.id()),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    Line(String),
    Bytes(Vec<u8>),
    List(Vec<Reply>),
    Refusal(String),
    Nothing,
}

fn spawn(folder: &Path, port: u16, options: &[String]) -> Child {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
        ])
        .arg(folder)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server must be installed for HEADCOUNT_TEST_SERVERS=1")
}

fn connect(port: u16, process: &mut Child) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                stream.set_nodelay(true).unwrap();
                return stream;
            }
            Err(error) => {
                assert!(Instant::now() < deadline, "redis-server does not listen: {error}");
                assert!(process.try_wait().unwrap().is_none(), "redis-server ended at once");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
