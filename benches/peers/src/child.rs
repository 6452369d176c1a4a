//! Measuring in processes of their own: this program, started again.

use std::process::{Child, Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// All of it, the pages of the program that were touched among it.
    pub(crate) resident: f64,
    /// What the process has written: heap and stacks.
    pub(crate) anonymous: f64,
    /// The most that was ever resident.
    pub(crate) peak: f64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
            kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0)
        };
        Self { resident: bytes("VmRSS:"), anonymous: bytes("RssAnon:"), peak: bytes("VmHWM:") }
    }

    /// What was added since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            resident: self.resident - before.resident,
            anonymous: self.anonymous - before.anonymous,
            peak: self.peak - before.resident,
        }
    }
}
