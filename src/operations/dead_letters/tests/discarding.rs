use serde_json::Value;

use super::*;
use crate::operations::Partial;

impl Scene {
    fn discard(&self) -> Discard<'_> {
        Discard {
            broker: &self.broker,
            store: &self.store,
            clock: &self.services.clock,
        }
    }

    async fn discard_all(&self) -> Partial<DiscardResult> {
        let discard = self.discard();
        let plan = discard.plan(DeadLetterFilter::default()).await.unwrap();
        self.execute_discard(plan).await
    }

    async fn execute_discard(&self, plan: DiscardPlan) -> Partial<DiscardResult> {
        let end = self.operate(discard_order(plan, Manner::default())).await;
        let OperationReport::Discard(done) = end.report else {
            panic!("no discard");
        };
        Partial {
            done,
            failure: end.error,
        }
    }

    /// How many copies of dead letters the archive store has.
    fn copies(&self) -> usize {
        let objects = self.objects().into_iter();
        objects
            .filter(|name| name.starts_with("_dead_letter_"))
            .count()
    }

    fn read(&self, object: &str) -> Value {
        let bytes = std::fs::read(self.directory.path().join(object)).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

fn discarded(result: &DiscardResult) -> Vec<UserId> {
    users_of(result.discarded.iter().map(|one| &one.dead_letter))
}

#[tokio::test(start_paused = true)]
async fn a_discard_takes_off_the_dead_letters_of_its_plan_and_no_others() {
    let scene = Scene::with(0..4).await;
    let discard = scene.discard();
    let plan = discard.plan(only(1..4)).await.unwrap();
    assert_eq!(plan.to_discard(), 3);
    scene.give_up(4).await;

    let result = scene.execute_discard(plan).await;

    assert!(result.failure.is_none());
    assert_eq!(discarded(&result.done), all_of(1..4));
    assert_eq!(users_of(&result.done.gone), []);
    assert_eq!(scene.dead(), [user(0), user(4)]);
    assert_eq!(scene.broker.in_flight(), 0);
    let of = |what: &str| (what.to_owned(), 3);
    let entries = [of("dead-letters discard"), of("dead-letters discard ended")];
    assert_eq!(scene.audit_log().await, entries);

    for one in &result.done.discarded {
        let copy = scene.read(&one.copy);
        let id = one.dead_letter.user_id.unwrap().to_string();
        assert_eq!(copy["body"], id.as_str());
        assert_eq!(copy["headers"][header::REASON], "retries_exhausted");
        assert_eq!(copy["discarded"]["who"], "ada@host");
        assert_eq!(copy["discarded"]["why"], "case 7");
    }
}

#[tokio::test(start_paused = true)]
async fn a_discard_stores_the_copy_before_it_takes_a_dead_letter_off() {
    let scene = Scene::with(0..20).await;
    let mut discarding = std::pin::pin!(scene.discard_all());
    let mut seen = Vec::new();

    // Looks whenever the discard waits, e.g. for the archive store.
    let result = std::future::poll_fn(|context| {
        let polled = discarding.as_mut().poll(context);
        let left = scene.dead().len() + scene.broker.in_flight();
        seen.push((20 - left, scene.copies()));
        polled
    })
    .await;

    assert_eq!(discarded(&result.done), all_of(0..20));
    for (taken_off, copies) in seen {
        assert!(
            taken_off <= copies,
            "{taken_off} taken off, {copies} copies"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_a_discard_writes_nothing_and_names_the_copies() {
    let scene = Scene::with(0..2).await;
    let discard = scene.discard();

    let plan = discard.plan(DeadLetterFilter::default()).await.unwrap();
    let result = discard.dry_run(plan);

    assert!(result.dry_run);
    assert_eq!(scene.dead(), all_of(0..2));
    assert_eq!(scene.objects(), Vec::<String>::new());

    let copies = |result: &DiscardResult| -> Vec<String> {
        result
            .discarded
            .iter()
            .map(|one| one.copy.clone())
            .collect()
    };
    let announced = copies(&result);
    let mut made = copies(&scene.discard_all().await.done);
    made.sort_by_key(|copy| announced.iter().position(|one| one == copy));
    assert_eq!(made, announced);
}

#[tokio::test(start_paused = true)]
async fn a_discard_reports_a_dead_letter_that_vanished() {
    let scene = Scene::with(0..2).await;
    let discard = scene.discard();
    let plan = discard.plan(DeadLetterFilter::default()).await.unwrap();
    scene.take_off(0).await;

    let result = scene.execute_discard(plan).await.done;

    assert_eq!(discarded(&result), all_of(1..2));
    assert_eq!(users_of(&result.gone), all_of(0..1));
    assert_eq!(scene.copies(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_copy_of_a_discard_that_was_cut_short_stays_as_it_is() {
    let scene = Scene::with(0..1).await;
    let discard = scene.discard();
    let plan = discard.plan(DeadLetterFilter::default()).await.unwrap();
    let copy = discard.dry_run(plan).discarded.remove(0).copy;
    std::fs::write(scene.directory.path().join(&copy), r#"{"first":true}"#).unwrap();

    let result = scene.discard_all().await;

    assert!(result.failure.is_none());
    assert_eq!(discarded(&result.done), all_of(0..1));
    assert_eq!(scene.dead(), []);
    assert_eq!(scene.read(&copy)["first"], true);
}
