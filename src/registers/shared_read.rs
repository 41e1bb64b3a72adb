//! One read for all who ask while another one is under way.

use std::time::Instant;

use tokio::sync::Mutex;

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
    /// The answer of a read that began after this call: `reading`, or that of another caller. Those who ask while a read is
    /// under way wait for its end, and share the next one.
    pub(crate) async fn read(
        &self,
        reading: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((begun, answer)) = &*last
            && *begun > asked
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
            shared.read(async {
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

    #[tokio::test]
    async fn a_failure_is_shared_and_the_next_who_asks_tries_again() {
        let shared = SharedRead::default();
        let begun = AtomicU32::new(0);
        let ask = || {
            shared.read(async {
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
