//! How single values look: a state, an age, a time, a text from outside.

use crate::args::Cli;
use std::io::IsTerminal;

/// How text may look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Style {
    /// Glyphs and lines.
    pub(crate) drawn: bool,
    /// Colour.
    pub(crate) colour: bool,
}

impl Style {
    /// Neither lines nor colour.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self {
        drawn: false,
        colour: false,
    };

    /// What the output can show and the person wants.
    pub(crate) fn of(cli: &Cli) -> Self {
        Self::new(cli.plain)
    }

    pub(crate) fn new(plain: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let drawn = !plain && !dumb && std::io::stdout().is_terminal();
        Self {
            drawn,
            colour: drawn && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// A mark for a thing done.
    pub(crate) fn done(self) -> String {
        if self.drawn {
            self.paint("32", "✔")
        } else {
            "done:".to_string()
        }
    }

    pub(super) fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// Less loud.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// A state: its glyph where drawn, always its word.
    pub(crate) fn state(self, state: &str) -> String {
        let word = state_words(state);
        let text = if self.drawn {
            format!("{} {word}", glyph(state))
        } else {
            word
        };
        self.paint(state_colour(state), &text)
    }
}

/// `agent_lost` → `AGENT LOST`
pub(crate) fn state_words(state: &str) -> String {
    state.replace('_', " ").to_uppercase()
}

/// True for states that are an incident: the exit code 3 of `status` and `tree`.
pub(crate) fn is_ill(state: &str) -> bool {
    matches!(state, "agent_lost" | "unreachable" | "down" | "given_up" | "unhealthy")
}

fn glyph(state: &str) -> char {
    match state {
        "ok" => '●',
        "finished" => '✓',
        "stopped" => '■',
        "starting" | "unwatched" => '◌',
        "repairing" => '↻',
        "degraded" | "suspect" => '▲',
        "unhealthy" | "agent_lost" | "unreachable" | "down" | "given_up" => '✖',
        _ => '?',
    }
}

fn state_colour(state: &str) -> &'static str {
    match state {
        "ok" | "finished" => "32",
        "stopped" | "unwatched" | "unknown" => "2",
        "starting" | "repairing" => "36",
        "degraded" | "suspect" => "33",
        _ => "31",
    }
}

/// `1.2 s`, `35 s`, `12 min`, `3 h 20 min`, `5 d`
pub(crate) fn age(ms: u64) -> String {
    let secs = ms / 1000;
    match secs {
        0..10 => format!("{}.{} s", secs, ms % 1000 / 100),
        10..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        7200..172_800 => format!("{} h {} min", secs / 3600, secs / 60 % 60),
        _ => format!("{} d", secs / 86_400),
    }
}

/// A wall-clock label in UTC: `2026-11-22 21:04:05Z`
pub(crate) fn wall(ms: u64) -> String {
    let stamp = i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(
        || "?".to_string(),
        |stamp| stamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

/// One line: control characters of what came from outside cannot move the cursor or paint the screen.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let cases = [
            (0, "0.0 s"),
            (1234, "1.2 s"),
            (35_000, "35 s"),
            (119_999, "119 s"),
            (720_000, "12 min"),
            (12_000_000, "3 h 20 min"),
            (500_000_000, "5 d"),
        ];
        for (ms, words) in cases {
            assert_eq!(age(ms), words);
        }
    }

    #[test]
    fn colour_is_never_alone_and_can_be_off() {
        let drawn = Style {
            drawn: true,
            colour: false,
        };
        assert_eq!(drawn.state("agent_lost"), "✖ AGENT LOST");
        assert_eq!(
            Style {
                drawn: true,
                colour: true
            }
            .state("ok"),
            "\x1b[32m● OK\x1b[0m"
        );
        assert_eq!(Style::PLAIN.state("given_up"), "GIVEN UP");
        assert_eq!(Style::PLAIN.state("a_new_word"), "A NEW WORD");
    }

    #[test]
    fn what_comes_from_outside_cannot_paint_the_screen() {
        assert_eq!(clean("a\x1b[31mb\nc"), "a [31mb c");
    }

    #[test]
    fn wall_times_are_utc() {
        assert_eq!(wall(1_795_381_445_000), "2026-11-22 21:04:05Z");
    }
}
