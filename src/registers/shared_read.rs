//! One read for all who ask while another one is under way, or soon after it.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::failure::Failure;

/// A read that the runs of a worker share, so that many deletions at once cost few listings.
pub(crate) struct SharedRead<T> {
    /// When the last read began, and its answer.
    last: Mutex<Option<(Instant, Result<T, Failure>)>>,
}

impl<T> Default for SharedRead<T> {
    fn default() -> Self {
        Self {
            last: Mutex::new(None),
        }
    }
}

impl<T: Clone> SharedRead<T> {
    /// The answer of a read that began at most `age` before this call, or after it: `reading`, or that of another caller.
    /// Those who ask while a read is under way that began too early for them wait for its end, and share the next one. A failure is
    /// shared only by those who asked before its read began.
    pub(crate) async fn read(
        &self,
        age: Duration,
        reading: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((begun, answer)) = &*last
            && (*begun > asked || answer.is_ok() && *begun + age > asked)
        {
            return answer.clone();
        }

        let begun = Instant::now();
        let answer = reading.await;
        *last = Some((begun, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;
    use crate::failure::{Class, Code};

    #[tokio::test]
    async fn those_who_ask_during_a_read_share_the_next_one_and_never_the_one_before() {
        let shared = SharedRead::default();
        let begun = AtomicU32::new(0);
        let ask = || {
            shared.read(Duration::ZERO, async {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(number)
            })
        };
        let asked_together: Vec<u32> = join_all((0..5).map(|_| ask()))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(asked_together, [0, 1, 1, 1, 1]);
        assert_eq!(ask().await.unwrap(), 2, "asked after all of them");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_until_its_read_began_too_long_ago_and_a_failure_does_not() {
        const AGE: Duration = Duration::from_millis(250);
        let shared = SharedRead::default();
        let begun = AtomicU32::new(0);
        let ask = || {
            shared.read(AGE, async {
                // What a read takes. Time is virtual here, so the sleeps of this test are exact and take none.
                tokio::time::sleep(Duration::from_millis(100)).await;
                match begun.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(Failure::new(Class::Transient, Code::Internal, "away")),
                    number => Ok(number),
                }
            })
        };
        assert!(ask().await.is_err());
        assert_eq!(ask().await.unwrap(), 1);
        tokio::time::sleep(Duration::from_millis(149)).await;
        assert_eq!(ask().await.unwrap(), 1, "249 ms after it began");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(ask().await.unwrap(), 2, "250 ms after it began");

        let unshared = shared.read(Duration::ZERO, async { Ok(9) });
        assert_eq!(unshared.await.unwrap(), 9);
    }

    #[tokio::test]
    async fn a_failure_is_shared_and_the_next_who_asks_tries_again() {
        let shared = SharedRead::default();
        let begun = AtomicU32::new(0);
        let ask = || {
            shared.read(Duration::ZERO, async {
                tokio::task::yield_now().await;
                match begun.fetch_add(1, Ordering::Relaxed) {
                    0..2 => Err(Failure::new(Class::Transient, Code::Internal, "away")),
                    number => Ok(number),
                }
            })
        };
        let answers = join_all((0..3).map(|_| ask())).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(ask().await.unwrap(), 2);
    }
}
