//! The words of pages for what has a stable word elsewhere. A new state without words does not compile.

use maud::{Markup, html};

use super::parts;
use crate::machine::{Pause, StateName};
use crate::operations::dead_letters::{Access, GroupState, ReplaySafety};
use crate::operations::plans::PlanState;
use crate::ports::batches::Standing;

/// A state with its sign and pattern, so that its colour is never the only hint.
pub(super) fn state(state: StateName) -> Markup {
    let [sign, words] = match state {
        StateName::Received => ["R", "Waiting to begin, still has access"],
        StateName::QueuesCleared => ["Q", "Queues cleared, still has access"],
        StateName::Deactivated => ["D", "Access removed"],
        StateName::Archived => ["A", "Archived, not yet deleted"],
        StateName::Deleted => ["X", "Deleted"],
        StateName::DeactivatedOnly => ["O", "Deactivated, not deleted"],
    };
    html! { span.state data-sign=(sign) { (words) } }
}

/// The class of a state in a chart.
pub(super) const fn class(state: StateName) -> &'static str {
    match state {
        StateName::Received => "r",
        StateName::QueuesCleared => "q",
        StateName::Deactivated => "d",
        StateName::Archived => "a",
        StateName::Deleted => "x",
        StateName::DeactivatedOnly => "o",
    }
}

/// A state of somebody whom perhaps no worker has taken.
pub(super) fn state_or_none(known: Option<StateName>) -> Markup {
    html! {
        @match known {
            Some(known) => (state(known)),
            None => span.state data-sign="R" { "No worker has taken the user" },
        }
    }
}

pub(super) fn standing(standing: Standing) -> Markup {
    html! {
        @match standing {
            Standing::Finished => "Finished",
            Standing::DeadLetter => span.state data-sign="✕" { "Given up, needs a person" },
            Standing::Cancelled => span.state data-sign="C" { "Cancelled" },
            Standing::Waiting => "Waits",
            Standing::UnderWay => "Under way",
            Standing::NotBegun => "Not begun",
            Standing::Unreadable => span.fault { "Not known: a later release wrote the record" },
        }
    }
}

const fn pause(pause: Pause) -> &'static str {
    match pause {
        Pause::NotDue => "until the deletion is due",
        Pause::DeletionRateLimit => "for the deletion rate limit",
        Pause::AccessFirst => "for users who still have access",
        Pause::NotConverged => "for CXone to show the change",
        Pause::Settling => "for CXone to show the last conversations",
        Pause::DeletionPending => "for CXone to finish the deletion",
        Pause::BatchPaused => "for the batch to be resumed",
        Pause::RequestLimit => "for a person to let the request on",
        Pause::NotApproved => "for a second person",
        Pause::PlanMoved => "for a new plan: the user changed",
        Pause::PlanExpired => "for a new plan: the approval expired",
        Pause::PlanRejected => "for a new plan: it was rejected",
        Pause::PlanRevoked => "for a new plan: the approval was revoked",
        Pause::PlanWithdrawn => "for a new plan: it was withdrawn",
        Pause::PlanAltered => "for a new plan: the stored one was altered",
        Pause::PlanStale => "for a new plan: too much changed",
    }
}

const PAUSES: [Pause; 16] = [
    Pause::NotDue,
    Pause::DeletionRateLimit,
    Pause::AccessFirst,
    Pause::NotConverged,
    Pause::Settling,
    Pause::DeletionPending,
    Pause::BatchPaused,
    Pause::RequestLimit,
    Pause::NotApproved,
    Pause::PlanMoved,
    Pause::PlanExpired,
    Pause::PlanRejected,
    Pause::PlanRevoked,
    Pause::PlanWithdrawn,
    Pause::PlanAltered,
    Pause::PlanStale,
];

/// What somebody waits for: the word of a pause, or a code of the runbook.
pub(super) fn wait(word: &str) -> Markup {
    let known = PAUSES.into_iter().find(|known| known.as_str() == word);
    html! {
        @match known {
            Some(known) => { (pause(known)) " (" code { (word) } ")" }
            None => { "for the next attempt after " (parts::code(word)) }
        }
    }
}

pub(super) const fn safety(safety: ReplaySafety) -> &'static str {
    match safety {
        ReplaySafety::LeftOver => "Left over: only to be taken off the queue",
        ReplaySafety::Safe => "Safe now: what was at fault works again",
        ReplaySafety::Unproven => "Unproven: try one first",
        ReplaySafety::CameBack => "Came back after a replay: try one first",
        ReplaySafety::Answered => "No need: the user continued by another message",
        ReplaySafety::NotYet => "Not yet: it would come back",
    }
}

pub(super) fn access(access: Access) -> Markup {
    html! {
        @match access {
            Access::StillThere => span.fault { "Still has access" },
            Access::Gone => "Access removed",
            Access::Unknown => span.fault { "Not known" },
        }
    }
}

pub(super) const fn plan(state: PlanState) -> &'static str {
    match state {
        PlanState::Waiting => "Waits for an approval",
        PlanState::Approved => "Approved",
        PlanState::Expired => "Expired",
        PlanState::Rejected => "Rejected",
        PlanState::Revoked => "Revoked",
        PlanState::Withdrawn => "Withdrawn",
        PlanState::Stale => "Stopped: too many users changed since",
        PlanState::Altered => "Altered: not stored as it was written, so it permits nothing",
    }
}

pub(super) const fn group(state: GroupState) -> &'static str {
    match state {
        GroupState::Open => "Open",
        GroupState::Unknown => "Not known: the archive store does not answer",
        GroupState::Ignored => "Ignored for a time",
        GroupState::Resolved => "Resolved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_words_and_a_code_leads_to_the_runbook() {
        assert!(
            wait("brake")
                .into_string()
                .starts_with("for the deletion rate limit")
        );
        let code = wait("cxone_timeout").into_string();
        assert!(code.contains("href=\"/help#cxone_timeout\""), "{code}");
        let odd = wait("<script>").into_string();
        assert!(
            !odd.contains("<script>") && odd.contains("&lt;script&gt;"),
            "{odd}"
        );
    }

    #[test]
    fn who_is_not_deactivated_is_never_said_to_have_lost_access() {
        for still in [StateName::Received, StateName::QueuesCleared] {
            assert!(state(still).into_string().contains("still has access"));
        }
        assert!(
            !state(StateName::Deactivated)
                .into_string()
                .contains("still")
        );
    }
}
