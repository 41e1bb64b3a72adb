//! The users of a batch whom filters mean, all at once: what an act on them freezes.

use std::collections::BTreeSet;

use super::Api;
use super::batch_report::Wanted;
use super::users::no_list;
use crate::admin::problem::Problem;
use crate::job::{BatchId, UserId};
use crate::operations::users::{self, UserFilter, UserSources};

/// The number of users that are read for one page.
const PAGE: usize = 1000;
/// An act is of so few that it ends within the time limit of a change, and that a form can carry them.
pub(crate) const MATCHING_AT_MOST: usize = 5000;

/// Those who match now. `None` if they are more than [`MATCHING_AT_MOST`].
pub(crate) async fn matching(
    Api(api): &Api,
    batch: &BatchId,
    wanted: Wanted,
    dead_letter: bool,
) -> Result<Option<BTreeSet<UserId>>, Problem> {
    let _slot = api.costly()?;
    let sources = UserSources {
        users: &*api.stores.users,
        batches: Some(&*api.stores.batches),
    };
    let filter = UserFilter {
        dead_letter,
        ..wanted.filter(batch)
    };
    let now = api.services.clock.now();
    let mut found = BTreeSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = users::list(&sources, &filter, cursor.as_deref(), PAGE, now).await;
        let page = page.map_err(no_list)?;
        found.extend(page.users.into_iter().map(|user| user.user_id));
        if found.len() > MATCHING_AT_MOST {
            return Ok(None);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(Some(found));
        }
    }
}
