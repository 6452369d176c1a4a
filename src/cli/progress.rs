//! How far an import has come, on a terminal.

use std::io::{IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use super::output::Form;
use super::text;

/// Short imports show nothing, and long ones do not flicker.
const SHOWN_EVERY: Duration = Duration::from_millis(300);
const MAX_NAME_CHARS: usize = 40;
const BYTES_PER_MEGABYTE: u64 = 1_000_000;

/// Passes an input on, and says how much of it was read if stderr is a terminal.
pub(super) struct Progress<R> {
    input: R,
    name: String,
    bytes: u64,
    shown_at: Instant,
    /// Characters that stand on the terminal's line.
    shown: usize,
    is_shown: bool,
}

impl<R: Read> Progress<R> {
    pub(super) fn of(input: R, name: &str, form: Form) -> Self {
        let name = text::name(name);
        let surplus = name.chars().count().saturating_sub(MAX_NAME_CHARS);
        Self {
            input,
            name: name.chars().skip(surplus).collect(),
            bytes: 0,
            shown_at: Instant::now(),
            shown: 0,
            is_shown: form == Form::Text && std::io::stderr().is_terminal(),
        }
    }
}

impl<R> Progress<R> {
    fn show(&mut self, line: &str) {
        let width = self.shown;
        // Where nobody sees it, progress is not worth an error.
        let _ = write!(std::io::stderr(), "\r{line:<width$}\r");
        self.shown = line.chars().count();
        self.shown_at = Instant::now();
    }
}

impl<R: Read> Read for Progress<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes += read as u64;
        if self.is_shown && self.shown_at.elapsed() >= SHOWN_EVERY {
            let megabytes = text::count(self.bytes / BYTES_PER_MEGABYTE);
            self.show(&format!("{}: {megabytes} MB read", self.name));
        }
        Ok(read)
    }
}

impl<R> Drop for Progress<R> {
    fn drop(&mut self) {
        if self.shown > 0 {
            self.show("");
        }
    }
}
