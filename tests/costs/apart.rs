//! A test that starts itself again as a process of its own, with no other test beside it.

use std::process::Command;

/// The variable that makes a test the inner one.
const INNER: &str = "HEADCOUNT_TEST_APART";

/// Whether this is the process of its own.
pub(crate) fn is_inner() -> bool {
    std::env::var_os(INNER).is_some()
}

/// Runs a test of this file, named with its module, as a process of its own, and behind a command such as a tracer.
pub(crate) fn run(test: &str, behind: &[&str]) -> String {
    let this = std::env::current_exe().unwrap();
    let mut command = match behind {
        [] => Command::new(&this),
        [tool, arguments @ ..] => {
            let mut command = Command::new(tool);
            command.args(arguments).arg(&this);
            command
        }
    };
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(INNER, "1");
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "there is no test {test}\n{stdout}");
    stdout.into_owned()
}
