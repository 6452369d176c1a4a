//! Measuring in processes of their own: this program, started again.

use std::process::{Child, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Done, Fault};

/// A started child that will print one line of JSON.
pub(crate) struct Running(Child);

/// Starts this program again with arguments of its hidden subcommand `child`.
pub(crate) fn start(arguments: &[String]) -> Done<Running> {
    let program = std::env::current_exe()?;
    let child = Command::new(program).arg("child").args(arguments).stdout(Stdio::piped()).spawn()?;
    Ok(Running(child))
}

impl Running {
    /// What the child says when it ends.
    pub(crate) fn answer<T: DeserializeOwned>(self) -> Done<T> {
        let output = self.0.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("a measuring process ended with {}", output.status).into());
        }
        let text = String::from_utf8(output.stdout)?;
        serde_json::from_str(&text).map_err(|error| -> Fault { format!("{error} in {text:?}").into() })
    }
}

/// What the child says.
pub(crate) fn say(answer: &impl Serialize) -> Done {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}

/// Bytes of memory that this process holds, where the system says so.
pub(crate) fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0)
}
