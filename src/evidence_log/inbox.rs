//! The announcements that are not in the log yet.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use uuid::Uuid;

use super::announcement::{self, Announcement, time_of};
use super::group;
use crate::failure::Failure;
use crate::ports::ArchiveStore;

const READS_AT_ONCE: usize = 16;

/// Which groups a listing may show again although all of them is in the log, so that none is read each time.
#[derive(Debug, Default)]
pub(super) struct Inbox(BTreeSet<Uuid>);

impl Inbox {
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.0.len()
    }

    /// The announcements between two times that are new.
    pub(super) async fn new_ones(
        &mut self,
        store: &dyn ArchiveStore,
        from: Timestamp,
        to: Timestamp,
        is_logged: impl Fn(&Uuid) -> bool,
    ) -> Result<BTreeSet<Announcement>, Failure> {
        self.0.retain(|group| time_of(*group) >= from);
        let is_new = |one: &Announcement| one.at() >= from && !is_logged(&one.id);
        let mut found = announcement::list(store, from, to).await?;
        found.retain(|one| is_new(one) && !self.0.contains(&one.id));

        let groups: Vec<Announcement> = found
            .extract_if(.., |one| group::size(one).is_some())
            .collect();
        let reading = groups.into_iter().map(async |group| {
            let announced = group::read(store, &group).await?;
            Ok::<_, Failure>((group.id, announced))
        });
        let mut read = stream::iter(reading).buffer_unordered(READS_AT_ONCE);
        while let Some((group, mut announced)) = read.try_next().await? {
            announced.retain(is_new);
            if announced.is_empty() {
                self.0.insert(group);
            }
            found.extend(announced);
        }
        Ok(found)
    }
}
