//! A Redis server of our own, on a socket in a folder of its own, without persistence.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, Connection, ConnectionLike, Pipeline};
use tempfile::TempDir;

use crate::workload::{Happening, Workload};
use crate::{Done, check};

const LONGEST_START: Duration = Duration::from_secs(10);
const DAY: &str = "2026-11-22";
/// Identifiers that one command adds while keys are filled before the first round.
const IDS_PER_COMMAND: usize = 1_000;

/// A running server; it ends with this value.
pub(crate) struct Server {
    process: Child,
    socket: PathBuf,
    pub(crate) version: String,
    _folder: TempDir,
}

/// The keys of one event.
struct Keys {
    day: String,
    total: String,
    users: String,
    projects: String,
}

/// A connection that counts events: four commands each.
pub(crate) struct Counter {
    connection: Connection,
    keys: Vec<Keys>,
    pipeline: Pipeline,
    packed: Vec<u8>,
}

/// Who writes the commands of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// The client's own pipeline, as programs use it.
    Client,
    /// Bytes of the protocol in a buffer that is kept: the least that a client can do.
    Bytes,
}

impl Server {
    pub(crate) fn start() -> Done<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("redis.sock");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    "redis-server is not in the path; install it: the package is `redis-server` on Debian and \
                     Ubuntu, `redis` on Fedora, Arch and Homebrew"
                        .to_owned()
                }
                _ => format!("redis-server does not start: {error}"),
            })?;
        let mut server = Self { process, socket, version: String::new(), _folder: folder };
        server.version = server.wait()?;
        Ok(server)
    }

    /// Waits until the server answers with its version.
    fn wait(&mut self) -> Done<String> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("redis-server ended at once: {status}").into());
            }
            match version_at(&self.socket) {
                Ok(version) => return Ok(version),
                Err(error) if start.elapsed() > LONGEST_START => {
                    return Err(format!("redis-server does not answer: {error}").into());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    pub(crate) fn connect(&self) -> Done<Connection> {
        Ok(connect(&self.socket)?)
    }

    pub(crate) fn counter(&self, workload: &Workload) -> Done<Counter> {
        Ok(Counter {
            connection: self.connect()?,
            keys: workload.names.iter().map(|name| Keys::of(name)).collect(),
            pipeline: redis::pipe(),
            packed: Vec::new(),
        })
    }

    /// Seconds of CPU that the server's main thread has taken, where the system says so.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let path = format!("/proc/{}/schedstat", self.process.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let nanoseconds = text.split(' ').next().and_then(|first| first.parse::<f64>().ok());
        nanoseconds.unwrap_or(f64::NAN) / 1e9
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Keys {
    fn of(name: &str) -> Self {
        Self {
            day: format!("{name}:{DAY}"),
            total: format!("{name}:total"),
            users: format!("{name}:user:{DAY}"),
            projects: format!("{name}:project:{DAY}"),
        }
    }
}

impl Counter {
    /// Counts events in one round trip.
    pub(crate) fn count(&mut self, events: &[Happening], packing: Packing) -> Done {
        match packing {
            Packing::Client => self.count_by_client(events),
            Packing::Bytes => self.count_by_bytes(events),
        }
    }

    fn count_by_client(&mut self, events: &[Happening]) -> Done {
        self.pipeline.clear();
        for event in events {
            let keys = &self.keys[usize::from(event.kind)];
            self.pipeline.cmd("INCR").arg(&keys.day).ignore().cmd("INCR").arg(&keys.total).ignore();
            self.pipeline.cmd("PFADD").arg(&keys.users).arg(event.user).ignore();
            self.pipeline.cmd("PFADD").arg(&keys.projects).arg(event.project).ignore();
        }
        self.pipeline.query::<()>(&mut self.connection)?;
        Ok(())
    }

    fn count_by_bytes(&mut self, events: &[Happening]) -> Done {
        self.packed.clear();
        for event in events {
            let keys = &self.keys[usize::from(event.kind)];
            pack(&mut self.packed, &[b"INCR", keys.day.as_bytes()]);
            pack(&mut self.packed, &[b"INCR", keys.total.as_bytes()]);
            pack(&mut self.packed, &[b"PFADD", keys.users.as_bytes(), &six_digits(event.user)]);
            pack(&mut self.packed, &[b"PFADD", keys.projects.as_bytes(), &six_digits(event.project)]);
        }
        let replies = self.connection.req_packed_commands(&self.packed, 0, 4 * events.len())?;
        check::same("Redis's answers", 4 * events.len(), replies.len())
    }

    /// Adds all identifiers of a workload, so that no round pays for keys that grow.
    pub(crate) fn warm(&mut self, workload: &Workload) -> Done {
        let mut by_kind = vec![(Vec::new(), Vec::new()); self.keys.len()];
        for event in &workload.events {
            let (users, projects) = &mut by_kind[usize::from(event.kind)];
            users.push(event.user);
            projects.push(event.project);
        }
        for (keys, (users, projects)) in self.keys.iter().zip(&by_kind) {
            for (key, ids) in [(&keys.users, users), (&keys.projects, projects)] {
                for ids in ids.chunks(IDS_PER_COMMAND) {
                    redis::cmd("PFADD").arg(key).arg(ids).exec(&mut self.connection)?;
                }
            }
        }
        Ok(())
    }

    /// The totals, and that the days say the same.
    pub(crate) fn totals(&mut self) -> Done<Vec<u64>> {
        let mut read = |key: fn(&Keys) -> &String| -> Done<Vec<u64>> {
            let keys: Vec<_> = self.keys.iter().map(key).collect();
            let counts: Vec<Option<u64>> = redis::cmd("MGET").arg(keys).query(&mut self.connection)?;
            Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
        };
        let totals = read(|keys| &keys.total)?;
        check::same("Redis's days", totals.clone(), read(|keys| &keys.day)?)?;
        Ok(totals)
    }

    pub(crate) fn check_users(&mut self, workload: &Workload) -> Done {
        let users: u64 = redis::cmd("PFCOUNT").arg(&self.keys[0].users).query(&mut self.connection)?;
        check::near("Redis's users", workload.users(0), users as f64)
    }
}

fn connect(socket: &Path) -> redis::RedisResult<Connection> {
    Client::open(format!("redis+unix://{}", socket.display()))?.get_connection()
}

fn version_at(socket: &Path) -> Done<String> {
    let info: String = redis::cmd("INFO").arg("server").query(&mut connect(socket)?)?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.ok_or("redis-server does not say its version")?.to_owned())
}

/// Appends a command in Redis's protocol; no word and no list here is longer than 99.
fn pack(packed: &mut Vec<u8>, words: &[&[u8]]) {
    let header = |packed: &mut Vec<u8>, mark: u8, number: usize| {
        packed.push(mark);
        if number > 9 {
            packed.push(digit(number / 10));
        }
        packed.extend_from_slice(&[digit(number), b'\r', b'\n']);
    };
    header(packed, b'*', words.len());
    for word in words {
        header(packed, b'$', word.len());
        packed.extend_from_slice(word);
        packed.extend_from_slice(b"\r\n");
    }
}

fn six_digits(id: u32) -> [u8; 6] {
    let mut rest = id as usize;
    let mut digits = [0; 6];
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest /= 10;
    }
    digits
}

fn digit(number: usize) -> u8 {
    b"0123456789"[number % 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_commands_are_those_of_the_protocol() {
        let mut packed = Vec::new();
        pack(&mut packed, &[b"PFADD", b"event_00001:user", &six_digits(123_456)]);
        assert_eq!(packed, b"*3\r\n$5\r\nPFADD\r\n$16\r\nevent_00001:user\r\n$6\r\n123456\r\n");
    }
}
