//! A test's own program, started again as another process: what it says, and signals to it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The variable that makes the test `a_child` of a file do its part.
pub(crate) const ROLE: &str = "HEADCOUNT_TEST_ROLE";
/// What no child takes in earnest, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);
const ACKNOWLEDGES: &str = "acked ";

/// The part that this process was started for, if it is a child.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Says a line to the parent, in one write.
pub(crate) fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Says that so many are done and durable.
pub(crate) fn acknowledge(count: u64) {
    say(format_args!("{ACKNOWLEDGES}{count}"));
}

pub(crate) struct Child {
    process: std::process::Child,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    listener: Option<JoinHandle<()>>,
    /// Lines that were waited for.
    taken: usize,
}

#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    ended: bool,
}

impl Child {
    /// Starts the test `a_child` of the running test program.
    pub(crate) fn start(role: &str, variables: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(std::env::current_exe().unwrap()), role, variables)
    }

    /// The same as another user, from a copy of the program that this user may read. Needs root.
    pub(crate) fn start_as(user: u32, program: &Path, role: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("setpriv");
        let user = user.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]).arg(program);
        Self::spawn(command, role, variables)
    }

    fn spawn(mut command: Command, role: &str, variables: &[(&str, &str)]) -> Self {
        command.args(["--exact", "a_child", "--nocapture"]).env(ROLE, role).envs(variables.iter().copied());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let shared = Arc::clone(&heard);
        let listener = std::thread::spawn(move || {
            let (heard, changed) = &*shared;
            let mut line = String::new();
            // What a killed child has not ended is no line.
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
                heard.lock().unwrap().lines.push(std::mem::take(&mut line));
                changed.notify_all();
            }
            heard.lock().unwrap().ended = true;
            changed.notify_all();
        });
        Self { process, heard, listener: Some(listener), taken: 0 }
    }

    /// Says a line to the child.
    pub(crate) fn tell(&mut self, line: &str) {
        self.process.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The rest of the next line with `begin` in it; the harness writes the name of the test before the first one.
    pub(crate) fn wait_for(&mut self, begin: &str) -> String {
        let line = self.next(begin);
        assert!(line.is_some(), "a child ended before it said `{begin}`");
        line.unwrap_or_default()
    }

    /// As [`Child::wait_for`], or nothing when the child ended before.
    pub(crate) fn next(&mut self, begin: &str) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        let (heard, changed) = &*self.heard;
        let mut heard = heard.lock().unwrap();
        loop {
            while let Some(line) = heard.lines.get(self.taken) {
                self.taken += 1;
                if let Some(at) = line.find(begin) {
                    return line.get(at + begin.len()..).map(|rest| rest.trim().to_owned());
                }
            }
            if heard.ended {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "a child did not say `{begin}` within {PATIENCE:?}");
            heard = changed.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// The number that it acknowledged last.
    pub(crate) fn acknowledged(&self) -> u64 {
        let heard = self.heard.0.lock().unwrap();
        let said = |line: &String| line.split_once(ACKNOWLEDGES)?.1.trim().parse().ok();
        heard.lines.iter().rev().find_map(said).unwrap_or(0)
    }

    /// Waits for an acknowledgement that comes after this call.
    pub(crate) fn goes_on(&mut self) {
        self.taken = self.heard.0.lock().unwrap().lines.len();
        self.wait_for(ACKNOWLEDGES);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Halts it where it is.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets a halted one run again.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Kills it and hears what it had still said; fails if it had ended by itself, unless with success.
    pub(crate) fn kill(mut self) -> Self {
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        self.listener.take().unwrap().join().unwrap();
        assert!(status.signal() == Some(9) || status.success(), "a child ended by itself: {status}");
        self
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn succeeds(mut self) -> Self {
        drop(self.process.stdin.take());
        let status = self.process.wait().unwrap();
        self.listener.take().unwrap().join().unwrap();
        assert!(status.success(), "a child ended with {status}");
        self
    }
}

impl Drop for Child {
    /// A test that fails leaves no process behind.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
