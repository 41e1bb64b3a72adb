//! Users whom messages name without an order, when too many come.

use jiff::Timestamp;

use super::*;
use crate::limits::RateLimit;
use crate::machine::Pause;
use crate::operations::pause::let_waiting_on;
use crate::registers::audit_log::Operator;
use crate::steps::RequestLimit;

async fn bench(users: usize, count: u32) -> Bench {
    let mut bench = Bench::new(users).await;
    bench.services.requests = Some(limit(count));
    bench
}

fn limit(count: u32) -> RequestLimit {
    RequestLimit::new(RateLimit {
        count,
        per: Duration::from_hours(1),
    })
}

#[track_caller]
fn waits(outcome: Outcome) {
    let Outcome::Delay {
        why, code: None, ..
    } = outcome
    else {
        panic!("does not wait: {outcome:?}");
    };
    assert_eq!(why, Pause::RequestLimit.to_string());
}

impl Bench {
    /// A message that a worker received at this time.
    async fn come(&self, number: usize, received: Timestamp) -> Outcome {
        let request = Request {
            received_at: Some(received),
            ..Request::default()
        };
        self.ask(number, request).await
    }

    fn writes(&self) -> usize {
        self.count("patch_routing_profile")
            + self.count("put_scim_user")
            + self.count("delete_user")
    }

    fn records(&self) -> usize {
        let archive = std::fs::read_dir(self.directory.path().join("archive")).unwrap();
        let names = archive.map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("_requests_"))
            .count()
    }
}

#[tokio::test]
async fn users_above_the_limit_wait_untouched_spend_no_attempt_and_are_let_on_by_a_person() {
    let mut bench = bench(4, 2).await;
    let received = bench.services.clock.now();
    for user in 0..2 {
        assert_eq!(state(&bench.off_board(user).await), StateName::Deleted);
    }
    let writes = bench.writes();
    for _ in 0..10 {
        waits(bench.come(2, received).await);
    }
    assert_eq!(bench.writes(), writes);
    let checkpoint = bench.services.checkpoints.read(bench.user(2)).await;
    let checkpoint = checkpoint.unwrap().unwrap();
    assert_eq!(checkpoint.attempts, 0);
    assert_eq!(checkpoint.state.name(), StateName::Received);
    // A user who was let through before does not count twice.
    assert_eq!(state(&bench.off_board(0).await), StateName::Deleted);

    let operator = Operator {
        who: "ada".to_owned(),
        why: Some("HR confirms the list".to_owned()),
    };
    let store = &bench.services.archive_store;
    let clock = &bench.services.clock;
    let_waiting_on(store, clock, &operator, Some(1))
        .await
        .unwrap();
    // As another worker, which has not read the records yet.
    bench.services.requests = Some(limit(2));
    assert_eq!(state(&bench.come(2, received).await), StateName::Deleted);
    waits(bench.come(3, bench.services.clock.now()).await);
}

#[tokio::test]
async fn a_store_that_lost_the_count_lets_nobody_more_through() {
    let mut bench = bench(3, 2).await;
    for user in 0..2 {
        assert_eq!(state(&bench.off_board(user).await), StateName::Deleted);
    }
    assert_eq!(bench.records(), 2);
    let empty = tempfile::tempdir().unwrap();
    let store = EmbeddedCheckpoints::open(empty.path(), Clock::system());
    bench.services.checkpoints = Arc::new(store.unwrap());
    bench.services.requests = Some(limit(2));
    waits(bench.run(2).await);
}

#[tokio::test]
async fn most_users_cost_no_record() {
    let bench = bench(4, 400).await;
    for user in 0..4 {
        assert_eq!(state(&bench.off_board(user).await), StateName::Deleted);
    }
    assert_eq!(bench.records(), 1);
}
