//! The batches of users who have no checkpoint that names one.

use std::collections::BTreeSet;

use super::ListedUser;
use super::page::UserSources;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};

/// The number of batches, the latest ones, in which a user is looked for who has not begun.
const BATCHES: usize = 20;

/// Says of users who have not begun in which batch they were submitted: they have no checkpoint that names it.
pub(super) async fn name_batches(
    sources: &UserSources<'_>,
    listed: Option<&BatchId>,
    users: &mut [ListedUser],
) -> Result<(), Failure> {
    let nameless = |user: &ListedUser| user.state.is_none() && user.batch_id.is_none();
    let wanted = users.iter().filter(|user| nameless(user));
    let wanted: Vec<UserId> = wanted.map(|user| user.user_id).collect();
    let Some(batches) = sources.batches.filter(|_| !wanted.is_empty()) else {
        return Ok(());
    };

    let candidates = if let Some(batch) = listed {
        vec![batch.clone()]
    } else {
        let latest = batches.listed(None, BATCHES).await?;
        latest.0.into_iter().map(|batch| batch.batch_id).collect()
    };
    for batch in candidates {
        let in_it: BTreeSet<UserId> = batches
            .users_in(&batch, &wanted)
            .await?
            .into_iter()
            .collect();
        for user in users.iter_mut().filter(|user| nameless(user)) {
            if in_it.contains(&user.user_id) {
                user.batch_id = Some(batch.clone());
            }
        }
    }
    Ok(())
}
