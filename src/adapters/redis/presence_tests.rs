//! Under paused time, over keys in memory that expire by it.

use std::collections::HashMap;

use tokio::time::{advance, sleep, timeout};

use super::*;
use crate::failure::{Class, Code};

/// A Redis that may hang.
#[derive(Clone, Default)]
struct Keys(Arc<parking_lot::Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    until: HashMap<String, Instant>,
    hangs: bool,
    asked: u32,
}

#[async_trait]
impl PresenceKeys for Keys {
    async fn set(&self, name: &str, if_it: IfIt, within: Duration) -> Result<bool, Failure> {
        self.0.lock().asked += 1;
        if self.0.lock().hangs {
            sleep(within).await;
            let code = Code::CheckpointsUnreachable;
            return Err(Failure::new(Class::Systemic, code, "no answer"));
        }
        let fits = self.is_there(name) == (if_it == IfIt::IsThere);
        if fits {
            let until = Instant::now() + KEPT;
            self.0.lock().until.insert(name.to_owned(), until);
        }
        Ok(fits)
    }
}

impl Keys {
    fn is_there(&self, name: &str) -> bool {
        let until = self.0.lock().until.get(name).copied();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn hang(&self, hangs: bool) {
        self.0.lock().hangs = hangs;
    }
}

fn name(owner: &str) -> &str {
    owner.split_once('/').unwrap().0
}

fn presence() -> (Presence, Keys, Clock) {
    let keys = Keys::default();
    let clock = Clock::starting_at(Timestamp::from_second(1_000_000).unwrap());
    let presence = Presence::new(Box::new(keys.clone()), clock.clone());
    (presence, keys, clock)
}

#[tokio::test(start_paused = true)]
async fn a_process_is_unsure_a_second_before_others_see_that_it_is_gone() {
    let (presence, keys, _clock) = presence();
    let owner = presence.owner().await.unwrap();
    assert!(timeout(SURE / 2, presence.unsure(&owner)).await.is_err());

    let begun = Instant::now();
    assert_eq!(presence.unsure(&owner).await, None);
    assert!(begun.elapsed() <= SURE / 2 + Duration::from_millis(1));
    assert!(keys.is_there(name(&owner)));
    sleep(Duration::from_millis(900)).await;
    assert!(keys.is_there(name(&owner)), "nobody takes over yet");
    sleep(Duration::from_millis(200)).await;
    assert!(!keys.is_there(name(&owner)));
}

#[tokio::test(start_paused = true)]
async fn one_refresh_that_fails_is_made_good_by_the_next() {
    let (presence, keys, _clock) = presence();
    let owner = presence.owner().await.unwrap();
    let _keeping = presence.keep();
    sleep(Duration::from_mins(1)).await;
    assert!(presence.is_sure(&owner));

    keys.hang(true);
    sleep(REFRESHED_WITHIN).await;
    keys.hang(false);
    let unsure = timeout(Duration::from_mins(1), presence.unsure(&owner));
    assert!(unsure.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_paused_notices_before_anything_else_and_never_has_the_old_name_again() {
    let (presence, keys, _clock) = presence();
    // An outage of before is not the cause.
    let first = presence.owner().await.unwrap();
    keys.hang(true);
    let keeping = presence.keep();
    assert!(presence.unsure(&first).await.is_some());
    drop(keeping);
    keys.hang(false);
    let owner = presence.owner().await.unwrap();
    let mut run = std::pin::pin!(presence.unsure(&owner));
    assert!(futures_util::poll!(run.as_mut()).is_pending());

    // No timer fires, since nothing else is polled in between.
    advance(SURE).await;
    assert_eq!(futures_util::poll!(run.as_mut()), Poll::Ready(None));
    let next = presence.owner().await.unwrap();
    assert_ne!(name(&next), name(&owner));
    assert_eq!(presence.unsure(&owner).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumped_ahead_is_a_pause() {
    let (presence, _keys, clock) = presence();
    let owner = presence.owner().await.unwrap();
    let mut run = std::pin::pin!(presence.unsure(&owner));
    clock.jump(SignedDuration::from_secs(-3600));
    clock.jump(SignedDuration::from_secs(3601));
    assert!(futures_util::poll!(run.as_mut()).is_pending());

    clock.jump(SignedDuration::from_secs(2));
    assert_eq!(futures_util::poll!(run), Poll::Ready(None));
}

#[tokio::test(start_paused = true)]
async fn runs_that_end_since_redis_hangs_say_so_and_claims_do_not_wait_for_each_other() {
    let (presence, keys, _clock) = presence();
    let owner = presence.owner().await.unwrap();
    let _keeping = presence.keep();
    sleep(EVERY / 2).await;
    keys.hang(true);
    let cause = presence.unsure(&owner).await.unwrap();
    assert_eq!(cause.code, Code::CheckpointsUnreachable);

    let begun = Instant::now();
    let claims = (0..64).map(|_| presence.owner());
    let failed = futures_util::future::join_all(claims).await;
    assert!(failed.iter().all(Result::is_err));
    let one_after_another = BEGUN_WITHIN * 2 + REFRESHED_WITHIN;
    assert!(
        begun.elapsed() <= one_after_another,
        "{:?}",
        begun.elapsed()
    );

    keys.hang(false);
    sleep(BEGUN_WITHIN + EVERY).await;
    let asked = keys.0.lock().asked;
    presence.owner().await.unwrap();
    assert_eq!(
        keys.0.lock().asked,
        asked,
        "the heartbeat began another one"
    );
}
