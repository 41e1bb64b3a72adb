//! Whether a user had no conversations in an interval.

use jiff::Timestamp;

use super::archive_pages::page;
use super::{Services, Stopped};
use crate::machine::{ArchiveInProgress, Checkpoint, Cursor};
use crate::ports::{ConversationFacts, Each};

/// A user without access has at most a few conversations, which continued for a while.
const MAX_PAGES: usize = 100;

/// Whether the API has no conversation of this user that began in `[from, to)`. Some APIs also return conversations that
/// began before `from` and continued; those are in the archive that ends at `from`.
pub(super) async fn quiet(
    services: &Services,
    checkpoint: &Checkpoint,
    from: Timestamp,
    to: Timestamp,
) -> Result<bool, Stopped> {
    // Milliseconds, as in an archive.
    let to = Timestamp::from_millisecond(to.as_millisecond()).unwrap_or(to);
    if to <= from {
        return Ok(true);
    }

    let asked = ArchiveInProgress {
        date_from: from,
        date_to: to,
        window_days: services.window_days,
        upload: None,
    };
    let user_id = checkpoint.user_id;
    let agent = checkpoint.state.agent();
    let mut cursor = Cursor::Window { from };
    for _ in 0..MAX_PAGES {
        let tenant = &*services.tenant;
        let mut is_quiet = true;
        let mut look = Each(|one: &[u8]| is_quiet &= began_before(&tenant.facts_of(one), from));
        let following = page(tenant, user_id, agent, &asked, &cursor, &mut look).await?;
        if !is_quiet {
            return Ok(false);
        }
        if following == Cursor::End {
            return Ok(true);
        }
        cursor = following;
    }
    Ok(false)
}

/// A conversation that does not name its start may be a new one.
fn began_before(conversation: &ConversationFacts, limit: Timestamp) -> bool {
    conversation.start.is_some_and(|start| start < limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_conversation_that_names_an_earlier_start_is_not_new() {
        let limit = Timestamp::constant(1_000, 0);
        for (start, before) in [(Some(999), true), (Some(1_000), false), (None, false)] {
            let facts = ConversationFacts {
                start: start.map(|second| Timestamp::constant(second, 0)),
                ..ConversationFacts::default()
            };
            assert_eq!(began_before(&facts, limit), before, "{start:?}");
        }
    }
}
