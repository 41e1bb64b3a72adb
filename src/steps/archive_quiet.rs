//! Whether a user had no conversations in an interval.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use super::archive_pages::page;
use super::{Services, Stopped};
use crate::job::UserId;
use crate::machine::{ArchiveInProgress, Cursor};

/// A user without access has at most a few conversations, which continued for a while.
const MAX_PAGES: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow, default)]
    conversation_start: Option<Cow<'a, str>>,
}

/// Whether the API has no conversation of this user that began in `[from, to)`. Some APIs also return conversations that
/// began before `from` and continued; those are in the archive that ends at `from`.
pub(super) async fn quiet(
    services: &Services,
    user_id: UserId,
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
    let mut cursor = Cursor::Window { from };
    for _ in 0..MAX_PAGES {
        let (page, following) = page(&*services.tenant, user_id, &asked, &cursor).await?;
        if page.conversations().any(|one| !began_before(one, from)) {
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
fn began_before(conversation: &[u8], limit: Timestamp) -> bool {
    let wire = serde_json::from_slice::<Wire<'_>>(conversation).ok();
    let start = wire.and_then(|wire| wire.conversation_start?.parse::<Timestamp>().ok());
    start.is_some_and(|start| start < limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_conversation_that_names_an_earlier_start_is_not_new() {
        let limit = Timestamp::constant(1_000, 0);
        for (text, before) in [
            (r#"{"conversationStart":"1970-01-01T00:16:39Z"}"#, true),
            (r#"{"conversationStart":"1970-01-01T00:16:40Z"}"#, false),
            (r#"{"conversationStart":"soon"}"#, false),
            (r#"{"conversationStart":7}"#, false),
            (r#"{"id":"x"}"#, false),
        ] {
            assert_eq!(began_before(text.as_bytes(), limit), before, "{text}");
        }
    }
}
