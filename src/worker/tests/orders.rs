//! Messages that claim an order of `submit`.

use super::*;
use crate::registers::{Order, PartRequests, store_part};

impl Bench {
    /// Asks with a message that claims an order of these users.
    async fn claim(&self, number: usize, ordered: &[usize]) -> Outcome {
        let ordered: Vec<UserId> = ordered.iter().map(|number| self.user(*number)).collect();
        let store = &*self.services.archive_store;
        let name = store_part(
            store,
            &Order::sample(1),
            1,
            ordered,
            PartRequests::default(),
        )
        .await
        .unwrap();
        let request = Request {
            action_named: true,
            order: Some(name),
            message_sha256: Some("another".to_owned()),
            ..Request::default()
        };
        self.ask(number, request).await
    }
}

#[tokio::test]
async fn a_user_whom_the_order_names_is_off_boarded_and_the_manifest_names_the_order() {
    let bench = Bench::new(2).await;
    assert_eq!(state(&bench.claim(0, &[1, 0]).await), StateName::Deleted);
    let order = bench.manifest(0)["request"]["order"].clone();
    assert_eq!(order.as_str().unwrap().len(), 64);
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn a_message_that_claims_an_order_it_is_not_in_touches_nobody_and_says_nothing_of_the_user() {
    let mut bench = Bench::new(2).await;
    let (reason, code, _, text) = dead_letter(bench.claim(0, &[1]).await);
    assert_eq!((reason, code), (Reason::ProtectedUser, Code::NotInOrder));
    assert!(text.contains("does not name this user"), "{text}");
    assert!(bench.simulator.ledger().is_empty(), "no call at all");
    let checkpoint = bench.services.checkpoints.read(bench.user(0)).await;
    assert_eq!(checkpoint.unwrap(), None);

    // Nor does it ask again for a deletion that was not offered.
    bench.action = Action::Deactivate;
    assert_eq!(state(&bench.off_board(0).await), StateName::DeactivatedOnly);
    let calls = bench.simulator.ledger().len();
    let (_, code, state, _) = dead_letter(bench.claim(0, &[1]).await);
    assert_eq!(
        (code, state),
        (Code::NotInOrder, StateName::DeactivatedOnly)
    );
    assert_eq!(bench.simulator.ledger().len(), calls);
    let checkpoint = bench.services.checkpoints.read(bench.user(0)).await;
    assert!(checkpoint.unwrap().unwrap().dead_letter.is_none());
}
