//! Which message is the cancelled one, and what a later one begins.

use super::*;

#[tokio::test]
async fn a_user_who_works_again_after_a_cancellation_is_read_again_when_asked_again() {
    let mut bench = Bench::new(1).await;
    bench.services.guards.delete_grace = AN_HOUR;
    assert!(matches!(
        bench.ask(0, asked(200)).await,
        Outcome::Delay { .. }
    ));
    bench.cancel(0, 100).await;
    cancelled(bench.ask(0, asked(200)).await);
    bench.works_again(0);

    bench.services.guards.delete_grace = Duration::ZERO;
    let deactivations = bench.count("put_scim_user");
    assert_eq!(state(&bench.ask(0, asked(50)).await), StateName::Deleted);
    assert!(bench.count("put_scim_user") > deactivations);
    bench.assert_whole_revision(0).await;
}

#[tokio::test]
async fn a_seal_of_a_cancelled_request_is_not_that_of_a_later_one_also_without_a_checkpoint() {
    let mut bench = sealed_and_cancelled().await;
    bench.forget_checkpoints();
    bench.works_again(0);
    assert_eq!(state(&bench.ask(0, asked(50)).await), StateName::Deleted);
    bench.assert_whole_revision(0).await;
}

#[tokio::test]
async fn a_message_from_a_clock_that_is_ahead_stays_cancelled_when_its_time_is_over() {
    let mut bench = Bench::new(1).await;
    bench.services.guards.delete_grace = AN_HOUR;
    // A worker had it before the order, and it says that it was asked for after the order.
    let request = Request {
        received_at: Some(ago(150)),
        ..asked(50)
    };
    assert!(matches!(
        bench.ask(0, request.clone()).await,
        Outcome::Delay { .. }
    ));
    bench.cancel(0, 100).await;
    bench.services.guards.delete_grace = Duration::ZERO;
    let again = Request {
        received_at: Some(ago(0)),
        ..request
    };
    cancelled(bench.ask(0, again.clone()).await);
    assert!(bench.checkpoint(0).await.cancelled.is_some());
    cancelled(bench.ask(0, again).await);
    assert_eq!(bench.count("delete_user"), 0);
}

#[tokio::test]
async fn who_is_noted_as_cancelled_stays_so_for_the_same_message_whatever_the_time_and_the_orders_say()
 {
    let mut bench = Bench::new(1).await;
    bench.services.guards.delete_grace = AN_HOUR;
    let message = asked(50);
    assert!(matches!(
        bench.ask(0, message.clone()).await,
        Outcome::Delay { .. }
    ));
    bench.services.guards.delete_grace = Duration::ZERO;
    bench.note_cancelled(0, ago(100)).await;
    // No order covers it.
    cancelled(bench.ask(0, message.clone()).await);
    bench.cancel(0, 100).await;
    cancelled(bench.ask(0, message).await);
    // An earlier duplicate does not begin again, either.
    cancelled(bench.ask(0, asked(200)).await);
    assert_eq!(bench.count("delete_user"), 0);

    assert_eq!(state(&bench.ask(0, asked(20)).await), StateName::Deleted);
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn a_cancelled_user_who_is_active_again_is_not_announced_as_without_access() {
    let mut bench = Bench::new(1).await;
    bench.services.guards.delete_grace = AN_HOUR;
    assert!(matches!(
        bench.ask(0, asked(200)).await,
        Outcome::Delay { .. }
    ));
    bench.works_again(0);
    bench.cancel(0, 100).await;
    let end = cancelled(bench.ask(0, asked(200)).await);
    assert_eq!(end.access_gone, None);
}
