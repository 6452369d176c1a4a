//! How far an import, or a ping, has come, on a terminal.

use std::cell::{Cell, RefCell};
use std::io::{Read, Result as IoResult};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Form;
use super::text;

/// Short imports show nothing, and long ones do not flicker.
const SHOWN_AFTER: Duration = Duration::from_millis(500);
const SHOWN_EVERY: Duration = Duration::from_millis(250);
const MAX_NAME_CHARS: usize = 40;
const ASKING: &str = "{pos} of {len} metrics, {elapsed}: {msg}";
const WAITING: &str = "{msg}: {elapsed}";
const WITH_TOTAL: &str = "{prefix}: {decimal_bytes} of {decimal_total_bytes}, {msg} lines/s, {eta} left";
const WITHOUT_TOTAL: &str = "{prefix}: {decimal_bytes}, {msg} lines/s";

/// Says how much of a file is read, how fast, and how long it takes still. Nothing where stderr is no terminal, or one that
/// cannot move its cursor; and nothing is left of it in the end.
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
    shown_at: Cell<Option<Instant>>,
    bytes: Cell<u64>,
    lines: Cell<u64>,
    /// Taken when it is first shown.
    target: RefCell<Option<ProgressDrawTarget>>,
}

impl Progress {
    /// Of an input of `total` bytes, as they lie in the file, if that is known.
    pub(super) fn of(name: &str, total: Option<u64>, form: Form) -> Self {
        Self::on(name, total, (form == Form::Text).then(ProgressDrawTarget::stderr))
    }

    fn on(name: &str, total: Option<u64>, target: Option<ProgressDrawTarget>) -> Self {
        let name = text::name(name);
        let surplus = name.chars().count().saturating_sub(MAX_NAME_CHARS);
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = if total.is_some() { WITH_TOTAL } else { WITHOUT_TOTAL };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(name.chars().skip(surplus).collect::<String>());
        Self {
            bar,
            began: Instant::now(),
            shown_at: Cell::default(),
            bytes: Cell::default(),
            lines: Cell::default(),
            target: RefCell::new(target.filter(|target| !target.is_hidden())),
        }
    }

    /// Counts the bytes of the file, packed as they are.
    pub(super) fn bytes<R: Read>(&self, input: R) -> impl Read + use<'_, R> {
        Counted { input, count: |read: &[u8]| self.passed(read.len() as u64) }
    }

    /// Counts the lines of what is in the file.
    pub(super) fn lines<R: Read>(&self, input: R) -> impl Read + use<'_, R> {
        let is_shown = self.target.borrow().is_some();
        Counted {
            input,
            count: move |read: &[u8]| {
                if is_shown {
                    let lines = read.iter().filter(|byte| **byte == b'\n').count();
                    self.lines.set(self.lines.get() + lines as u64);
                }
            },
        }
    }

    fn passed(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
        let waits = match self.shown_at.get() {
            None => self.began.elapsed() < SHOWN_AFTER,
            Some(at) => at.elapsed() < SHOWN_EVERY,
        };
        if waits {
            return;
        }
        self.shown_at.set(Some(Instant::now()));
        if let Some(target) = self.target.borrow_mut().take() {
            self.bar.set_draw_target(target);
        }
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.bar.set_message(text::count(self.lines.get().saturating_mul(1000) / milliseconds.max(1)));
        self.bar.set_position(self.bytes.get());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Says what is being done, and for how long, while work goes on that cannot say how far it is.
pub(super) fn during<T>(doing: &str, form: Form, work: impl FnOnce() -> T) -> T {
    let target = ProgressDrawTarget::stderr();
    if form != Form::Text || target.is_hidden() {
        return work();
    }
    let (working, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let goes_on = |longer: Duration| ended.recv_timeout(longer) == Err(RecvTimeoutError::Timeout);
            if !goes_on(SHOWN_AFTER) {
                return;
            }
            let bar = ProgressBar::with_draw_target(None, target).with_message(doing.to_owned());
            if let Ok(style) = ProgressStyle::with_template(WAITING) {
                bar.set_style(style);
            }
            bar.tick();
            while goes_on(SHOWN_EVERY) {
                bar.tick();
            }
            bar.finish_and_clear();
        });
        let done = work();
        drop(working);
        done
    })
}

/// Says how many metrics of a ping were asked for, and which one is being waited for.
pub(super) struct Asking {
    bar: ProgressBar,
    began: Instant,
    target: RefCell<Option<ProgressDrawTarget>>,
}

impl Asking {
    pub(super) fn new(form: Form) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(ASKING) {
            bar.set_style(style);
        }
        let target =
            (form == Form::Text).then(ProgressDrawTarget::stderr).filter(|target| !target.is_hidden());
        Self { bar, began: Instant::now(), target: RefCell::new(target) }
    }

    pub(super) fn tell(&self, done: usize, all: usize, key_path: &str) {
        if self.began.elapsed() >= SHOWN_AFTER
            && let Some(target) = self.target.borrow_mut().take()
        {
            self.bar.set_draw_target(target);
            self.bar.enable_steady_tick(SHOWN_EVERY);
        }
        self.bar.set_length(all as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(text::cut(&text::name(key_path), MAX_NAME_CHARS));
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Passes an input on, and tells what was read.
struct Counted<R, F> {
    input: R,
    count: F,
}

impl<R: Read, F: FnMut(&[u8])> Read for Counted<R, F> {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        let read = self.input.read(into)?;
        (self.count)(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}
