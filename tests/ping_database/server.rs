//! A PostgreSQL of a test's own, on a private socket; it ends with the test.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use headcount::PostgresSource;
use postgres::{Client, NoTls};

pub(crate) struct Server {
    folder: tempfile::TempDir,
    process: Child,
    owner: Option<(u32, u32)>,
}

/// A pooler in front of it, in transaction mode, with one session for everybody; it ends with the test.
pub(crate) struct Pooler {
    parameters: String,
    process: Child,
}

impl Server {
    /// `None`, and a line that says so, unless servers are asked for.
    pub(crate) fn start() -> Option<Self> {
        if std::env::var_os("HEADCOUNT_TEST_SERVERS").is_none_or(|value| value != "1") {
            eprintln!("skipped: HEADCOUNT_TEST_SERVERS=1 starts a PostgreSQL for this test");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let cluster = folder.path().join("cluster");
        // The server refuses root, so that root hands the folder to the package's user.
        let owner = is_root().then(|| {
            let id = |option: &str| -> u32 {
                let told = output(Command::new("id").args([option, "postgres"]));
                String::from_utf8(told.stdout).unwrap().trim().parse().unwrap()
            };
            let owner = (id("-u"), id("-g"));
            chown(folder.path(), Some(owner.0), Some(owner.1)).unwrap();
            owner
        });
        let mut initdb = command("initdb", owner);
        initdb.args([
            "--username=tests",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "-D",
        ]);
        output(initdb.arg(&cluster));
        let mut server = command("postgres", owner);
        server.arg("-D").arg(&cluster).arg("-k").arg(folder.path()).args(["-c", "listen_addresses="]);
        for setting in [
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "max_wal_size=4GB",
            "autovacuum=off",
        ] {
            server.args(["-c", setting]);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres is installed");
        let mut server = Self { folder, process, owner };
        wait(&server.parameters(), &mut server.process, &server.folder.path().join("log"));
        Some(server)
    }

    pub(crate) fn pooler(&self) -> Pooler {
        let folder = self.folder.path();
        let (settings, log) = (folder.join("pooler.ini"), folder.join("pooler.log"));
        let place = folder.display();
        let text = format!(
            "[databases]\npostgres = host={place} user=tests\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {place}\n\
             listen_port = 6432\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 1\n"
        );
        std::fs::write(&settings, text).unwrap();
        let mut pooler = command("pgbouncer", self.owner);
        pooler.arg(settings).stdin(Stdio::null()).stdout(Stdio::null());
        pooler.stderr(std::fs::File::create(&log).unwrap());
        let process = pooler.spawn().expect("pgbouncer is installed");
        let mut pooler = Pooler { parameters: format!("{} port=6432", self.parameters()), process };
        wait(&pooler.parameters, &mut pooler.process, &log);
        pooler
    }

    pub(crate) fn parameters(&self) -> String {
        format!("host={} user=tests dbname=postgres", self.folder.path().display())
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.parameters(), NoTls).unwrap()
    }

    pub(crate) fn source(&self) -> PostgresSource {
        PostgresSource::new(&self.parameters()).unwrap()
    }

    pub(crate) fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        let id = self.process.id().to_string();
        move || drop(output(Command::new("kill").args(["-QUIT", &id])))
    }
}

impl Pooler {
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.parameters, NoTls).unwrap()
    }

    pub(crate) fn source(&self) -> PostgresSource {
        PostgresSource::new(&self.parameters).unwrap()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

fn wait(parameters: &str, process: &mut Child, log: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = Client::connect(parameters, NoTls) {
        let log = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(Instant::now() < deadline, "no answer in 60 s: {error}: {}", log());
        assert!(process.try_wait().unwrap().is_none(), "it ended at once: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Server {
    /// At once, but so that its processes end too.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// What plain SQL says.
pub(crate) fn number(client: &mut Client, sql: &str) -> Option<f64> {
    let cast = format!("SELECT value::float8 FROM ({sql}) AS answer(value)");
    client.query_one(&cast, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).stdout == b"0\n"
}

fn command(tool: &str, owner: Option<(u32, u32)>) -> Command {
    let mut command = match owner {
        None => Command::new(found(tool)),
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
            command.arg(found(tool));
            command
        }
    };
    command.current_dir("/");
    command
}

/// Debian keeps the server's commands out of the path.
fn found(tool: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = folders
        .chain(std::env::split_paths(&path))
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(tool))
        .find(|tool| tool.exists());
    found.unwrap_or_else(|| panic!("{tool} must be installed for HEADCOUNT_TEST_SERVERS=1"))
}

fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
