//! Answers that all readers of a moment share: fifty open pages cost as much as one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::Instrument as _;

/// An answer is shared for this long, or for four times as long as it took, but never for longer than the maximum.
const LASTS: Duration = Duration::from_secs(2);
const TIMES_ITS_COST: u32 = 4;
const LASTS_AT_MOST: Duration = Duration::from_secs(10);
/// Who can do with an older answer waits so long for a new one.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);
/// An answer that was begun longer ago is no substitute for a new one.
const OLD_AT_MOST: Duration = Duration::from_secs(20);
/// How many answers are kept.
const KEPT: usize = 64;

/// Answers by their name.
pub(crate) struct SharedAnswers<T, E> {
    places: Mutex<HashMap<String, Arc<Place<T, E>>>>,
    /// How often something was changed here, after which an answer that was begun before is old.
    changes: AtomicU64,
}

struct Place<T, E> {
    /// Who computes an answer has it.
    turn: tokio::sync::Mutex<()>,
    kept: Mutex<Option<Kept<T, E>>>,
}

impl<T, E> Default for Place<T, E> {
    fn default() -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            kept: Mutex::default(),
        }
    }
}

impl<T, E: Clone> Place<T, E> {
    /// The answer that is shared now.
    fn kept_until(&self, now: Instant, changes: u64) -> Option<Result<Arc<T>, E>> {
        let kept = self.kept.lock();
        let kept = kept.as_ref()?;
        (now < kept.until && kept.changes == changes).then(|| kept.answer.clone())
    }

    fn last(&self) -> Option<Arc<T>> {
        let kept = self.kept.lock();
        kept.as_ref().and_then(|kept| kept.answer.clone().ok())
    }

    /// The last answer, if it was begun less than this long ago, and nothing was changed since.
    fn last_within(&self, age: Duration, changes: u64) -> Option<Arc<T>> {
        let kept = self.kept.lock();
        let kept = kept.as_ref()?;
        let counts = kept.begun.elapsed() < age && kept.changes == changes;
        kept.answer.clone().ok().filter(|_| counts)
    }
}

struct Kept<T, E> {
    answer: Result<Arc<T>, E>,
    begun: Instant,
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
        let _turn = place.turn.lock().await;
        let begun = Instant::now();
        let changes = self.changes.load(Ordering::Relaxed);
        if let Some(answer) = place.kept_until(begun, changes) {
            return answer;
        }
        let last = place.last();

        let answer = compute(last).await.map(Arc::new);
        let lasts = (begun.elapsed() * TIMES_ITS_COST).clamp(LASTS, LASTS_AT_MOST);
        *place.kept.lock() = Some(Kept {
            answer: answer.clone(),
            begun,
            until: Instant::now() + lasts,
            changes,
        });
        answer
    }

    /// The same; but at `until`, the last answer if it was begun less than 20 seconds ago. `None`: there is none, and it is still
    /// being computed, to its end.
    pub(crate) async fn get_by<F>(
        self: &Arc<Self>,
        name: &str,
        until: Instant,
        compute: impl FnOnce(Option<Arc<T>>) -> F + Send + 'static,
    ) -> Option<Result<Arc<T>, E>>
    where
        F: Future<Output = Result<T, E>> + Send,
        T: Send + Sync + 'static,
        E: Send + 'static,
    {
        let place = self.place(name);
        let changes = self.changes.load(Ordering::Relaxed);
        let kept = place.kept_until(Instant::now(), changes);
        if kept.is_some() {
            return kept;
        }
        let answers = Arc::clone(self);
        let owned = name.to_owned();
        let computing = async move { answers.get(&owned, compute).await };
        let computing = tokio::spawn(computing.in_current_span());
        match tokio::time::timeout_at(until, computing).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(ended)) => std::panic::resume_unwind(ended.into_panic()),
            Err(_elapsed) => place.last_within(OLD_AT_MOST, changes).map(Ok),
        }
    }

    /// Who changed something sees it: what was read before is not handed out again.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn place(&self, name: &str) -> Arc<Place<T, E>> {
        let mut places = self.places.lock();
        if places.len() >= KEPT && !places.contains_key(name) {
            let now = Instant::now();
            // What is being computed is locked, and stays.
            let is_over = |place: &Place<T, E>| {
                let kept = place.kept.lock();
                place.turn.try_lock().is_ok() && kept.as_ref().is_none_or(|kept| kept.until <= now)
            };
            places.retain(|_name, place| !is_over(place));
        }
        if places.len() >= KEPT && !places.contains_key(name) {
            return Arc::default();
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
    async fn an_answer_that_takes_long_is_replaced_by_the_last_one_unless_that_is_old_or_was_changed()
     {
        let answers = Arc::new(SharedAnswers::<u64, String>::default());
        let ask = async |answer: u64, takes_ms: u64| {
            let begun = Instant::now();
            let asked = answers.get_by("a", begun + PATIENCE, move |_last| async move {
                tokio::time::sleep(Duration::from_millis(takes_ms)).await;
                Ok(answer)
            });
            let answer = asked.await.map(|answer| *answer.unwrap());
            (answer, begun.elapsed().as_millis())
        };
        let wait = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        assert_eq!(ask(1, 1000).await, (None, 200), "there is no other");
        wait(1).await;
        assert_eq!(ask(2, 1000).await, (Some(1), 0), "it was computed");
        wait(4).await;
        assert_eq!(ask(3, 1000).await, (Some(1), 200));
        wait(1).await;
        assert_eq!(ask(4, 1000).await, (Some(3), 0));
        answers.changed();
        assert_eq!(ask(5, 1000).await, (None, 200));
        wait(6).await;
        assert_eq!(ask(6, 150).await, (Some(6), 150), "it comes soon");
        wait(20).await;
        assert_eq!(ask(7, 1000).await, (None, 200), "the last one is too old");
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
