//! Answers that all readers of a moment share: fifty open pages cost as much as one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::problem::Problem;

/// An answer is shared for this long, or for four times as long as it took, but never for longer than the maximum.
const LASTS: Duration = Duration::from_secs(2);
const TIMES_ITS_COST: u32 = 4;
const LASTS_AT_MOST: Duration = Duration::from_secs(10);
/// How many answers are kept.
const KEPT: usize = 64;

/// Answers by their name.
pub(super) struct SharedAnswers<T>(Mutex<HashMap<String, Place<T>>>);

type Place<T> = Arc<tokio::sync::Mutex<Option<Kept<T>>>>;

struct Kept<T> {
    answer: Result<Arc<T>, Problem>,
    until: Instant,
}

impl<T> Default for SharedAnswers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> SharedAnswers<T> {
    /// The answer that is kept, or else one that `compute` makes of the last one. Those who ask at the same time wait for it.
    pub(super) async fn get<F>(
        &self,
        name: &str,
        compute: impl FnOnce(Option<Arc<T>>) -> F,
    ) -> Result<Arc<T>, Problem>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        let place = self.place(name);
        let mut kept = place.lock().await;
        let begun = Instant::now();
        if let Some(kept) = &*kept
            && begun < kept.until
        {
            return kept.answer.clone();
        }

        let last = kept.as_ref().and_then(|kept| kept.answer.clone().ok());
        let answer = compute(last).await.map(Arc::new);
        let lasts = (begun.elapsed() * TIMES_ITS_COST).clamp(LASTS, LASTS_AT_MOST);
        *kept = Some(Kept {
            answer: answer.clone(),
            until: Instant::now() + lasts,
        });
        answer
    }

    fn place(&self, name: &str) -> Place<T> {
        let mut places = self.0.lock();
        if places.len() >= KEPT && !places.contains_key(name) {
            let now = Instant::now();
            // What is being computed is locked, and stays.
            let is_over = |place: &Place<T>| {
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
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readers_share_an_answer_for_four_times_its_cost_and_at_most_ten_seconds() {
        let answers = SharedAnswers::<u32>::default();
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
        let answers = SharedAnswers::<u32>::default();
        let fails = || Problem::not_found("no_such_batch", "x");
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
    async fn the_number_of_answers_is_bounded() {
        let answers = SharedAnswers::<u32>::default();
        for number in 0..KEPT + 3 {
            let name = number.to_string();
            let asked = answers.get(&name, |_last| async { Ok(1) });
            asked.await.unwrap();
        }
        assert_eq!(answers.0.lock().len(), KEPT);
        tokio::time::advance(LASTS).await;
        let asked = answers.get("one more", |_last| async { Ok(1) });
        asked.await.unwrap();
        assert_eq!(answers.0.lock().len(), 1);
    }
}
