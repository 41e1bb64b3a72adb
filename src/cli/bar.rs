//! The progress bar of commands that work on many users. It is on standard error, and only on a terminal.

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A bar over `total` users. The rate is that of the whole time: a quota or an alarm stops the command for seconds, and
/// the rate of the last moments would promise too much.
pub(super) fn bar(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template =
        format!("{{bar:30}} {{pos}}/{{len}} {what}{{msg}}, {{rate}} per second, {{left}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        let style = style
            .with_key(
                "rate",
                |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    write!(out, "{:.1}", per_second(state)).ok();
                },
            )
            .with_key(
                "left",
                |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    out.write_str(&left(state)).ok();
                },
            );
        bar.set_style(style);
    }
    // Shown before the first user is done, since that may take long.
    bar.tick();
    bar
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn per_second(state: &ProgressState) -> f64 {
    state.pos() as f64 / state.elapsed().as_secs_f64().max(0.001)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn left(state: &ProgressState) -> String {
    let rest = state.len().unwrap_or_default().saturating_sub(state.pos());
    match state.pos() {
        0 => "unknown time".to_owned(),
        _ => about(rest as f64 / per_second(state)),
    }
}

/// A duration for people, in at most two units, rounded.
pub(super) fn about(seconds: f64) -> String {
    const LONGEST: f64 = 1e9;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1e9"
    )]
    let whole = seconds.clamp(0.0, LONGEST).round() as u64;
    let days = whole / 86_400;
    let hours = whole / 3600 % 24;
    let minutes = whole / 60 % 60;
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, 1..10) if !whole.is_multiple_of(60) => format!("{minutes} min {} s", whole % 60),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_the_units_of_people() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.4, "0 s"),
            (59.4, "59 s"),
            (100.0, "1 min 40 s"),
            (120.0, "2 min"),
            (252.0, "4 min 12 s"),
            (1230.0, "20 min"),
            (3600.0, "1 h"),
            (5400.0, "1 h 30 min"),
            (86_400.0, "1 d"),
            (100_000.0, "1 d 3 h"),
            (f64::INFINITY, "11574 d 1 h"),
            (f64::NAN, "0 s"),
        ] {
            assert_eq!(about(seconds), text, "{seconds}");
        }
    }
}
