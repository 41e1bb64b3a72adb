//! What standard output can show: its width, colours, and times as people read them.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use clap::ValueEnum;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::Clock;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless `NO_COLOR` or `CLICOLOR=0` is set
    #[default]
    Auto,
    Always,
    Never,
}

static COLOUR: OnceLock<Colour> = OnceLock::new();

/// Notes what `--color` says, once.
pub(super) fn choose_colour(colour: Colour) {
    COLOUR.get_or_init(|| colour);
}

/// A terminal, or a file or pipe, which gets every column at any width, and times that programs read.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    /// `None`: no terminal.
    pub(super) width: Option<usize>,
    pub(super) colour: bool,
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
}

impl Screen {
    /// Standard output, now.
    pub(super) fn current() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let size = terminal_size::terminal_size_of(std::io::stdout());
        let width = size.map_or(80, |(width, _height)| usize::from(width.0));
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let unwanted = set("NO_COLOR").is_some() || set("CLICOLOR").as_deref() == Some("0");

        Self {
            width: is_terminal.then_some(width),
            colour: match COLOUR.get().copied().unwrap_or_default() {
                Colour::Auto => is_terminal && !unwanted && set("TERM").as_deref() != Some("dumb"),
                Colour::Always => true,
                Colour::Never => false,
            },
            now: Clock::system().now(),
            zone: TimeZone::system(),
        }
    }

    /// A time, in whole seconds: relative and local on a terminal, RFC 3339 elsewhere.
    pub(super) fn time(&self, at: Timestamp) -> String {
        if self.width.is_none() {
            return format!("{at:.0}");
        }
        let local = at.to_zoned_datetime(self.zone.clone());
        let today = self.now.to_zoned_datetime(self.zone.clone()).date() == local.date();
        let format = if today {
            "%H:%M:%S %Z"
        } else {
            "%Y-%m-%d %H:%M %Z"
        };
        format!("{}, {}", self.distance(at), local.strftime(format))
    }

    fn distance(&self, at: Timestamp) -> String {
        let seconds = self.now.duration_since(at).as_secs();
        let (count, unit) = match seconds.unsigned_abs() {
            seconds @ 0..60 => (seconds, "s"),
            seconds @ 60..3_600 => (seconds / 60, "min"),
            seconds @ 3_600..86_400 => (seconds / 3_600, "h"),
            seconds => (seconds / 86_400, "d"),
        };
        if seconds < 0 {
            format!("in {count} {unit}")
        } else {
            format!("{count} {unit} ago")
        }
    }
}

#[cfg(test)]
impl Screen {
    /// A terminal of this width, at a fixed time, without colour.
    pub(super) fn sample(width: Option<usize>) -> Self {
        Self {
            width,
            colour: false,
            now: "2026-11-28T12:00:00Z".parse().unwrap(),
            zone: TimeZone::fixed(jiff::tz::offset(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_relative_and_local_on_a_terminal_and_rfc_3339_elsewhere() {
        for (at, shown) in [
            ("2026-11-28T11:59:18.813402361Z", "41 s ago, 12:59:18 +01"),
            ("2026-11-28T11:48:00Z", "12 min ago, 12:48:00 +01"),
            ("2026-11-28T12:03:00Z", "in 3 min, 13:03:00 +01"),
            ("2026-11-27T22:30:00Z", "13 h ago, 2026-11-27 23:30 +01"),
            ("2026-11-20T09:00:00Z", "8 d ago, 2026-11-20 10:00 +01"),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(Screen::sample(Some(80)).time(at), shown);
        }
        let at: Timestamp = "2026-11-28T11:59:18.813402361Z".parse().unwrap();
        assert_eq!(Screen::sample(None).time(at), "2026-11-28T11:59:18Z");
    }
}
