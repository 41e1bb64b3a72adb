//! Answers that all readers of a moment share: fifty open pages cost as much as one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// An answer is shared for this long, or for four times as long as it took, but never for longer than the maximum.
const LASTS: Duration = Duration::from_secs(2);
const TIMES_ITS_COST: u32 = 4;
const LASTS_AT_MOST: Duration = Duration::from_secs(10);
/// How many answers are kept.
const KEPT: usize = 64;

/// Answers by their name.
pub(crate) struct SharedAnswers<T, E> {
    places: Mutex<HashMap<String, Place<T, E>>>,
    /// How often something was changed here, after which an answer that was begun before is old.
    changes: AtomicU64,
}

type Place<T, E> = Arc<tokio::sync::Mutex<Option<Kept<T, E>>>>;

struct Kept<T, E> {
    answer: Result<Arc<T>, E>,
    until: Instant,
    changes: u64,
}

impl<T, E> Default for SharedAnswers<T, E> {
    fn default() -> Self {
        Self {
            places: Mutex::default(),
            changes: AtomicU64::new(0),
        }
    }
}

impl<T, E: Clone> SharedAnswers<T, E> {
    /// The answer that is kept, or else one that `compute` makes of the last one. Those who ask at the same time wait for it.
    pub(crate) async fn get<F>(
        &self,
        name: &str,
        compute: impl FnOnce(Option<Arc<T>>) -> F,
    ) -> Result<Arc<T>, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let place = self.place(name);
        let mut kept = place.lock().await;
        let begun = Instant::now();
        let changes = self.changes.load(Ordering::Relaxed);
        if let Some(kept) = &*kept
            && begun < kept.until
            && kept.changes == changes
        {
            return kept.answer.clone();
        }

        let last = kept.as_ref().and_then(|kept| kept.answer.clone().ok());
        let answer = compute(last).await.map(Arc::new);
        let lasts = (begun.elapsed() * TIMES_ITS_COST).clamp(LASTS, LASTS_AT_MOST);
        *kept = Some(Kept {
            answer: answer.clone(),
            until: Instant::now() + lasts,
            changes,
        });
        answer
    }

    /// Who changed something sees it: what was read before is not handed out again.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn place(&self, name: &str) -> Place<T, E> {
        let mut places = self.places.lock();
        if places.len() >= KEPT && !places.contains_key(name) {
            let now = Instant::now();
            // What is being computed is locked, and stays.
            let is_over = |place: &Place<T, E>| {
                let kept = place.try_lock();
                kept.is_ok_and(|kept| kept.as_ref().is_none_or(|kept| kept.until <= now))
            };
            places.retain(|_name, place| !is_over(place));
        }
        if places.len() >= KEPT && !places.contains_key(name) {
            return Place::default();
        }
        Arc::clone(places.entry(name.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readers_share_an_answer_for_four_times_its_cost_and_at_most_ten_seconds() {
        let answers = SharedAnswers::<u32, String>::default();
        let computed = AtomicU32::new(0);
        let ask = async |name: &str| {
            let cost = Duration::from_secs(if name == "slow" { 20 } else { 2 });
            let asking = answers.get(name, |_last| async {
                tokio::time::sleep(cost).await;
                Ok(computed.fetch_add(1, Ordering::Relaxed))
            });
            *asking.await.unwrap()
        };
        let both = tokio::join!(ask("a"), ask("a"));
        assert_eq!(both, (0, 0));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(ask("a").await, 0);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(ask("a").await, 1);
        assert_eq!(ask("b").await, 2);

        assert_eq!(ask("slow").await, 3);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(ask("slow").await, 3);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(ask("slow").await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_shared_and_the_last_answer_is_handed_on_only_if_it_is_one() {
        let answers = SharedAnswers::<u32, String>::default();
        let fails = || "no such batch".to_owned();
        let seen = answers.get("a", |_last| async { Err(fails()) }).await;
        assert_eq!(seen, Err(fails()));
        let seen = answers.get("a", |_last| async { Ok(1) }).await;
        assert_eq!(seen, Err(fails()), "it is kept for two seconds");
        tokio::time::advance(LASTS).await;
        let seen = answers.get("a", |last| async move {
            assert_eq!(last, None);
            Ok(2)
        });
        assert_eq!(*seen.await.unwrap(), 2);
        tokio::time::advance(LASTS).await;
        let seen = answers.get("a", |last| async move { Ok(*last.unwrap() + 1) });
        assert_eq!(*seen.await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_ends_what_was_read_before_it_even_where_the_reading_ends_later() {
        let answers = SharedAnswers::<u32, String>::default();
        let ask = async |wanted: u32| {
            let asked = answers.get("a", |last| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(last.map_or(wanted, |last| *last + wanted))
            });
            *asked.await.unwrap()
        };
        let changing = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            answers.changed();
        };
        assert_eq!(tokio::join!(ask(1), changing).0, 1);
        assert_eq!(ask(10).await, 11, "it was begun before the change");
        assert_eq!(ask(100).await, 11);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_answers_is_bounded() {
        let answers = SharedAnswers::<u32, String>::default();
        for number in 0..KEPT + 3 {
            let name = number.to_string();
            let asked = answers.get(&name, |_last| async { Ok(1) });
            asked.await.unwrap();
        }
        assert_eq!(answers.places.lock().len(), KEPT);
        tokio::time::advance(LASTS).await;
        let asked = answers.get("one more", |_last| async { Ok(1) });
        asked.await.unwrap();
        assert_eq!(answers.places.lock().len(), 1);
    }
}
