//! How text may look where it goes: colours, and the width of a line.

use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// Narrower terminals are treated as if they had so many columns.
const NARROWEST_TERMINAL: usize = 40;

/// What a stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) has_colour: bool,
    /// The columns of a line; `None` where no one needs lines to be short.
    pub(super) width: Option<usize>,
}

/// What a part of a text is, which a colour may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// The names of columns and sections.
    Head,
    /// The number that was asked for.
    Number,
    /// What stands beside it.
    Aside,
    /// What a reader must not overlook.
    Warning,
    Error,
    Bar,
}

impl Look {
    /// Text as it is: files, pipes, tests.
    pub(super) const PLAIN: Self = Self { has_colour: false, width: None };

    /// Colours on terminals, unless NO_COLOR, CLICOLOR or TERM say otherwise; CLICOLOR_FORCE wants them everywhere.
    pub(super) fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let width = stdout.is_terminal().then(terminal_size::terminal_size).flatten();
        Self {
            has_colour: AutoStream::choice(&stdout) != ColorChoice::Never,
            width: width.map(|(width, _)| usize::from(width.0).max(NARROWEST_TERMINAL)),
        }
    }

    pub(super) fn of_stderr() -> Self {
        let stderr = std::io::stderr();
        let width = stderr.is_terminal().then(|| terminal_size::terminal_size_of(&stderr)).flatten();
        Self {
            has_colour: AutoStream::choice(&stderr) != ColorChoice::Never,
            width: width.map(|(width, _)| usize::from(width.0).max(NARROWEST_TERMINAL)),
        }
    }

    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.has_colour {
            return text.to_owned();
        }
        let style = paint.style();
        format!("{style}{text}{style:#}")
    }
}

impl Paint {
    fn style(self) -> Style {
        match self {
            Self::Head | Self::Number => Style::new().bold(),
            Self::Aside => Style::new().dimmed(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Error => AnsiColor::Red.on_default().bold(),
            Self::Bar => AnsiColor::Cyan.on_default(),
        }
    }
}
