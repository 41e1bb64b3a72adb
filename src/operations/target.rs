//! The target of the removal of access. No setting has it: `offboarder report` takes `--sla`, and this is its default.

use std::time::Duration;

/// Access is to be removed within this time of the request.
pub(crate) const ACCESS_TARGET: Duration = Duration::from_mins(15);
/// The same, as `--sla` is written.
pub(crate) const ACCESS_TARGET_TEXT: &str = "15m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_and_the_pages_have_one_target() {
        assert_eq!(
            humantime::parse_duration(ACCESS_TARGET_TEXT),
            Ok(ACCESS_TARGET)
        );
    }
}
