//! The command that an operator runs next.

use super::{DeadLetter, ReplaySafety};
use crate::failure::Reason;

/// The next command for a group.
pub(super) fn for_group(safety: ReplaySafety, reason: Reason, code: &str, group: &str) -> String {
    let group = format!("--group {group}");
    match safety {
        ReplaySafety::Answered => format!("offboarder dead-letters replay {group} --dry-run"),
        ReplaySafety::NotYet if reason == Reason::MalformedMessage => {
            format!("offboarder dead-letters show {group}")
        }
        _ => for_fault(safety, code, &group),
    }
}

/// The next command for one dead letter.
pub(super) fn for_one(safety: ReplaySafety, dead_letter: &DeadLetter) -> String {
    let id = &dead_letter.id;
    match safety {
        ReplaySafety::Answered => format!("offboarder dead-letters discard {id} --why TEXT"),
        ReplaySafety::NotYet if dead_letter.reason == Reason::MalformedMessage => {
            format!(
                "offboarder submit USER_ID; then: offboarder dead-letters discard {id} --why TEXT"
            )
        }
        _ => for_fault(safety, dead_letter.word(), id.as_str()),
    }
}

fn for_fault(safety: ReplaySafety, code: &str, picked: &str) -> String {
    let replay = format!("offboarder dead-letters replay {picked} --canary --why TEXT");
    match safety {
        ReplaySafety::LeftOver | ReplaySafety::Safe => replay,
        ReplaySafety::Unproven | ReplaySafety::CameBack => {
            format!("offboarder explain {code}; once it is fixed: {replay}")
        }
        ReplaySafety::Answered | ReplaySafety::NotYet => format!("offboarder explain {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_follows_from_the_verdict_and_names_the_group() {
        let next = |safety, reason| for_group(safety, reason, "cxone_server_error", "2d1f5436374b");
        for (safety, reason, expected) in [
            (
                ReplaySafety::Safe,
                Reason::RetriesExhausted,
                "offboarder dead-letters replay --group 2d1f5436374b --canary --why TEXT",
            ),
            (
                ReplaySafety::CameBack,
                Reason::RetriesExhausted,
                "offboarder explain cxone_server_error; once it is fixed: offboarder dead-letters \
                 replay --group 2d1f5436374b --canary --why TEXT",
            ),
            (
                ReplaySafety::NotYet,
                Reason::MalformedMessage,
                "offboarder dead-letters show --group 2d1f5436374b",
            ),
        ] {
            assert_eq!(next(safety, reason), expected);
        }
    }
}
