//! How fast dead letters are replayed.

use std::time::Duration;

use crate::limits::Rate;

/// Reads the time between two messages at a rate of `5/s`, `30/m`, or `5`, which means `5/s`.
pub(crate) fn parse_pace(text: &str) -> Result<Duration, &'static str> {
    const NOT_A_RATE: &str = "give a rate, e.g. 5/s or 30/m, that is not less than 1/m";

    let with_unit = format!("{text}/s");
    let text = if text.contains('/') { text } else { &with_unit };
    let interval = Rate::parse(text).map_err(|_reason| NOT_A_RATE)?.interval();
    if interval > Duration::from_mins(1) {
        return Err(NOT_A_RATE);
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time_and_not_too_slow() {
        assert_eq!(parse_pace("5/s"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_pace("2"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_pace("30/m"), Ok(Duration::from_secs(2)));
        for wrong in ["0/s", "-1/s", "x", "5/h", "0.5/m", "", "NaN/s"] {
            assert!(parse_pace(wrong).is_err(), "{wrong}");
        }
    }
}
