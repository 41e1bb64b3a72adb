//! The progress bar of commands that work on many users. It is on standard error, and only on a terminal.

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::operations::times;

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
        _ => times::about(rest as f64 / per_second(state)),
    }
}
