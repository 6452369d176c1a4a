//! A real Redis on a socket of its own, for as long as a test runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) struct Server {
    connection: BufReader<UnixStream>,
    process: Child,
    folder: tempfile::TempDir,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Line(String),
    Bytes(Vec<u8>),
    Missing,
    List(Vec<Reply>),
}

impl Server {
    /// `None`, and a line that says so, unless servers are asked for.
    #[expect(clippy::print_stderr, reason = "a test says when it is skipped")]
    pub(super) fn start(settings: &[&str]) -> Option<Self> {
        if std::env::var_os("HEADCOUNT_TEST_SERVERS").is_none_or(|value| value != "1") {
            eprintln!("skipped: HEADCOUNT_TEST_SERVERS=1 starts a redis-server for this test");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("r.sock");
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--enable-debug-command", "yes"])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .args(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be installed for HEADCOUNT_TEST_SERVERS=1");
        let connection = BufReader::new(connect(&socket, &mut process));
        Some(Self { connection, process, folder })
    }

    /// One command, given as words between blanks, which is not refused.
    pub(super) fn say(&mut self, words: &str) -> Reply {
        let parts: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        self.command(&parts)
    }

    pub(super) fn command<T: AsRef<[u8]>>(&mut self, parts: &[T]) -> Reply {
        let mut request = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            let part = part.as_ref();
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
            Some(("$" | "*", "-1")) => Reply::Missing,
            Some(("$", length)) => {
                let length: usize = length.parse().unwrap();
                let mut bytes = vec![0; length + 2];
                self.connection.read_exact(&mut bytes).unwrap();
                bytes.truncate(length);
                Reply::Bytes(bytes)
            }
            Some(("*", count)) => {
                let count: usize = count.parse().unwrap();
                Reply::List((0..count).map(|_| self.reply()).collect())
            }
            _ => panic!("redis (process {}) answered {line:?}", self.process.id()),
        }
    }

    /// A string, or the strings of a list.
    pub(super) fn bytes<T: AsRef<[u8]>>(&mut self, parts: &[T]) -> Vec<Vec<u8>> {
        let one = |reply| match reply {
            Reply::Bytes(bytes) => bytes,
            Reply::Line(line) => line.into_bytes(),
            other => panic!("{other:?}"),
        };
        match self.command(parts) {
            Reply::List(all) => all.into_iter().map(one).collect(),
            other => vec![one(other)],
        }
    }

    pub(super) fn number<T: AsRef<[u8]>>(&mut self, parts: &[T]) -> i64 {
        match self.command(parts) {
            Reply::Line(number) => number.parse().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// What `SAVE` writes.
    pub(super) fn dump(&mut self) -> Vec<u8> {
        self.say("SAVE");
        std::fs::read(self.folder.path().join("dump.rdb")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn connect(socket: &Path, process: &mut Child) -> UnixStream {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => {
                assert!(Instant::now() < deadline, "redis-server did not listen in 10 s: {error}");
                assert!(process.try_wait().unwrap().is_none(), "redis-server ended at once");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
