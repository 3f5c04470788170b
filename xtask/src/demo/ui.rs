//! What the reader sees while the demo runs: plain lines, with colour and times on a terminal. It does not know the scenes.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Instant;

/// Prints one line at a time, from any thread.
pub(crate) struct Ui {
    start: Instant,
    colour: bool,
    line: Mutex<()>,
}

/// How a line is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tone {
    /// What happens.
    Plain,
    /// Damage done by the demo.
    Fault,
    /// What the product did about it.
    Good,
    /// What it did not do, and should have.
    Bad,
}

impl Ui {
    pub(crate) fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            start: Instant::now(),
            colour,
            line: Mutex::new(()),
        }
    }

    /// One line with its time since the start.
    pub(crate) fn say(&self, tone: Tone, text: &str) {
        // A thread that panicked while printing has left nothing half done that matters here.
        let _one_at_a_time = self.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        outln!(
            "{:>6.1} s  {}",
            self.start.elapsed().as_secs_f64(),
            self.paint(tone, text)
        );
    }

    /// A heading.
    pub(crate) fn heading(&self, text: &str) {
        if self.colour {
            outln!("\n\u{1b}[1m{text}\u{1b}[0m");
        } else {
            outln!("\n{text}");
        }
    }

    /// The text in its colour, or as it is.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Fault => "33",
            Tone::Good => "32",
            Tone::Bad => "1;31",
        };
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
