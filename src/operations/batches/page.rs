//! The list of batches, page by page.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::read::Reading;
use super::{BatchSource, BatchState, ListedProgress, Overview, ShortProgress};
use crate::failure::Failure;
use crate::job::BatchId;
use crate::operations::stops::Stops;
use crate::ports::batches::{BatchPlace, Listed};
use crate::registers::BatchPause;

/// The number of users that a page of batches reads at most, unless its first batch has more.
const READ_AT_MOST: u64 = 20_000;
/// With a filter by name, most batches are only compared: this is how many are listed at a time, and by one page at most.
const LISTED_AT_ONCE: usize = 1000;
const COMPARED_AT_MOST: usize = 4000;
/// The number of batches that are read for those under way.
const UNDER_WAY_OF: usize = 100;

/// Which batches are meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct BatchFilter {
    pub state: Option<BatchState>,
    /// What the name begins with.
    pub begins: Option<String>,
}

/// A page of batches
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchPage {
    /// Newest first.
    pub batches: Vec<ListedProgress>,
    /// Where the next page begins; null after the last one.
    pub next_cursor: Option<String>,
    /// The archive store cannot be read, so it is unknown which batches are paused. No batch counts as `stuck` then.
    pub pause_unknown: bool,
}

/// A page of at most `limit` batches. `None` if no page gave this cursor.
pub(crate) async fn page(
    source: &BatchSource<'_>,
    stops: &Stops,
    filter: &BatchFilter,
    cursor: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> Result<Option<BatchPage>, Failure> {
    let mut after = cursor.and_then(place);
    if cursor.is_some() && after.is_none() {
        return Ok(None);
    }
    let mut page = BatchPage {
        pause_unknown: stops.is_unknown(),
        ..BatchPage::default()
    };
    let batches = &**source.store;
    let step = filter.step(limit);
    let mut read = 0;
    let mut compared = 0;
    loop {
        let listed = batches.listed(after.as_ref(), step).await?;
        for batch in listed.0 {
            if !filter.admits_name(&batch.batch_id) {
                continue;
            }
            let place = BatchPlace {
                begun_at: batch.begun_at,
                batch_id: batch.batch_id.clone(),
            };
            read += batch.users;
            // A page with a filter ends here, since it is not known whether the filter admits the batch.
            let is_too_much = read > READ_AT_MOST && read > batch.users;
            if filter.state.is_some() && is_too_much {
                page.next_cursor = after.as_ref().map(text);
                return Ok(Some(page));
            }
            let progress = if is_too_much {
                None
            } else {
                progress(source, stops, &batch.batch_id, now).await?
            };
            if filter.admits(progress.as_ref()) {
                page.batches.push(ListedProgress {
                    requested_by: source
                        .readings
                        .requested_by(batches, &batch.batch_id)
                        .await?,
                    pause: stops.paused(&batch.batch_id, now).cloned(),
                    batch,
                    progress,
                });
            }
            after = Some(place);
            if page.batches.len() >= limit {
                page.next_cursor = after.as_ref().map(text);
                return Ok(Some(page));
            }
        }
        compared += step;
        let Some(next) = listed.1 else {
            return Ok(Some(page));
        };
        if filter.begins.is_some() && compared >= COMPARED_AT_MOST {
            page.next_cursor = Some(text(&next));
            return Ok(Some(page));
        }
        after = Some(next);
    }
}

/// `None`: the batch is still being read, or there is none of that name.
async fn progress(
    source: &BatchSource<'_>,
    stops: &Stops,
    batch: &BatchId,
    now: Timestamp,
) -> Result<Option<ShortProgress>, Failure> {
    let reading = source.read(batch, now).await?.unwrap_or_default();
    let may_be_paused = stops.may_pause(batch, now);
    let progress = |read: &Reading| ShortProgress::of(&read.overview, may_be_paused);
    Ok(Option::as_ref(&reading).map(progress))
}

impl BatchFilter {
    /// How many batches are listed at a time for a page of this length.
    const fn step(&self, limit: usize) -> usize {
        if self.begins.is_some() {
            LISTED_AT_ONCE
        } else {
            limit
        }
    }

    fn admits_name(&self, batch: &BatchId) -> bool {
        let begins = self.begins.as_deref();
        begins.is_none_or(|begins| batch.to_string().starts_with(begins))
    }

    fn admits(&self, progress: Option<&ShortProgress>) -> bool {
        self.state
            .is_none_or(|wanted| progress.is_some_and(|progress| wanted.includes(progress.state)))
    }
}

fn text(place: &BatchPlace) -> String {
    format!("{}_{}", place.begun_at.as_millisecond(), place.batch_id)
}

fn place(cursor: &str) -> Option<BatchPlace> {
    let parts = cursor.split_once('_')?;
    Some(BatchPlace {
        begun_at: Timestamp::from_millisecond(parts.0.parse().ok()?).ok()?,
        batch_id: parts.1.parse().ok()?,
    })
}

/// A batch that is not finished
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnderWay {
    #[serde(flatten)]
    pub batch: Listed,
    #[serde(flatten)]
    pub progress: ShortProgress,
    /// Users finished per minute, in the last 15 minutes.
    pub finished_per_minute: Option<f64>,
    /// The estimated time until all users are finished; null if it cannot be estimated, or if the batch or the fleet is
    /// stopped.
    pub time_left_seconds: Option<u64>,
    /// The pause of the batch; null if it is not paused, or if that is unknown (`pauseUnknown`).
    pub pause: Option<BatchPause>,
}

/// The batches that are not finished
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnderWayBatches {
    /// Newest first.
    pub batches: Vec<UnderWay>,
    /// How many of the newest 100 batches were not read, since they have very many users, or are still being read: they may be
    /// under way.
    pub not_read: u64,
    /// Whether there are older batches, which were not read.
    pub older: bool,
    /// The archive store cannot be read, so it is unknown which batches are paused. No batch counts as `stuck` then.
    pub pause_unknown: bool,
}

/// Those of the newest batches that are not finished.
pub(crate) async fn under_way(
    source: &BatchSource<'_>,
    stops: &Stops,
    now: Timestamp,
) -> Result<UnderWayBatches, Failure> {
    let page = source.store.listed(None, UNDER_WAY_OF).await?;
    let mut found = UnderWayBatches {
        batches: Vec::new(),
        not_read: 0,
        older: page.1.is_some(),
        pause_unknown: stops.is_unknown(),
    };
    let mut read = 0;
    for batch in page.0 {
        read += batch.users;
        if read > READ_AT_MOST && read > batch.users {
            found.not_read += 1;
            continue;
        }
        let Some(reading) = source.read(&batch.batch_id, now).await? else {
            found.not_read += 1;
            continue;
        };
        if let Some(Reading { overview, .. }) = reading.as_ref()
            && BatchState::of(overview) != BatchState::Finished
        {
            let under_way = UnderWay::of(batch, overview, stops, now);
            found.batches.push(under_way);
        }
    }
    Ok(found)
}

impl UnderWay {
    fn of(batch: Listed, overview: &Overview, stops: &Stops, now: Timestamp) -> Self {
        let may_be_paused = stops.may_pause(&batch.batch_id, now);
        let time_left = overview.time_left_seconds;
        Self {
            progress: ShortProgress::of(overview, may_be_paused),
            finished_per_minute: overview.finished_per_minute,
            time_left_seconds: time_left.filter(|_| !may_be_paused),
            pause: stops.paused(&batch.batch_id, now).cloned(),
            batch,
        }
    }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
