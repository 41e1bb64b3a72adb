use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Api, Signed, to_its_end};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{Body, Line, some};
use crate::failure::Failure;
use crate::job::{Action, BatchId, PlanName, Source, UserId};
use crate::operations::submit::{
    Cancellations, Checked, Input, Memory, MemoryStores, Named, Overlay, PlacedOrder, Reading,
    Sending, Sent,
};
use crate::people::Permission;
use crate::registers;
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{HoldRecords, OnHold, StopOrders};

/// Users to off-board
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Order {
    /// At most 1000 users. A user who is named twice is sent once.
    #[serde(deserialize_with = "some::<1000, _, _>")]
    #[schema(min_items = 1, max_items = 1000)]
    users: Vec<UserId>,
    /// The batch that the users belong to. With a batch, the same request again sends only the users who are missing.
    batch_id: Option<BatchId>,
    /// What to do with each user; by default, delete.
    action: Option<Action>,
    /// Earliest time of the deletion.
    #[schema(value_type = Option<String>, format = DateTime)]
    delete_after: Option<Timestamp>,
    /// Process these users before all users who are not urgent.
    #[serde(default)]
    urgent: bool,
    /// The operator, who is the one who requests the off-boarding (the first 256 characters); a person with a key may leave
    /// it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason for the off-boarding, also for the readers of the audit log.
    why: Line,
}

/// What was sent
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submitted {
    /// The queue that the messages are in.
    queue: &'static str,
    /// The order that is stored, which the messages name.
    #[schema(value_type = String, format = "uuid")]
    order: Uuid,
    /// Messages that the broker confirmed.
    pub(crate) sent: u64,
    /// Users who were sent with the same batch before, and are not sent again.
    already_sent: u64,
    /// Users who are sent although an earlier request was cancelled.
    #[serde(rename = "submittedAgain")]
    again: u64,
    /// Users who are not sent, since they were asked for before their request was cancelled: workers would drop the message.
    dropped_as_cancelled: u64,
    /// Distinct users of the request.
    total: u64,
    /// Users of the request who are on legal hold: they lose their access, and are not deleted.
    held: Vec<OnHold>,
}

/// Submits users
///
/// Each message that is counted as sent was confirmed by the broker. A user on the protected list refuses the whole request; the
/// worker checks the list again.
#[utoipa::path(
    post, path = "/api/v1/submit", tag = "users", operation_id = "submitUsers",
    request_body(content = Order, example = json!({
        "users": ["3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"], "batchId": "2026-11", "who": "ada", "why": "leaves on Friday",
    })),
    responses(
        (status = 200, description = "The users are in the queue", body = Submitted),
        (status = 409, description = "`protected_user`: nothing was sent, because the protected list names a user",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn submit(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(order): Body<Order>,
) -> Result<Json<Submitted>, Problem> {
    to_its_end(async move {
        caller.demand(Permission::Submit)?;
        let who = caller.signer(order.who.as_ref().map(Line::as_str))?;
        let now = api.0.services.clock.now();
        let input = order.input(now, &who).map_err(|error| unreadable(&error))?;
        let wanted = Wanted {
            input,
            users: order.users,
            batch: order.batch_id,
            urgent: order.urgent,
            plan: None,
        };
        let signed = Signed {
            who: order.who,
            why: order.why,
        };
        let operator = api.operator(signed, &caller, Permission::Submit)?;
        api.submit(wanted, operator, caller.name).await.map(Json)
    })
    .await
}

/// Users who are to be submitted.
pub(super) struct Wanted {
    pub(super) input: Input,
    pub(super) users: Vec<UserId>,
    pub(super) batch: Option<BatchId>,
    pub(super) urgent: bool,
    /// The stored plan that names them.
    pub(super) plan: Option<PlanName>,
}

impl Order {
    /// As the command reads its arguments and options.
    fn input(&self, now: Timestamp, who: &str) -> std::io::Result<Input> {
        let overlay = Overlay {
            batch_id: self.batch_id.clone(),
            action: self.action,
            delete_after: self.delete_after,
            requested_by: Some(who.chars().take(256).collect()),
            reason: Some(self.why.as_str().to_owned()),
            requested_at: Some(now),
        };
        let users: Vec<String> = self.users.iter().map(ToString::to_string).collect();
        Input::new(&users, None, &Reading::default(), &overlay)
    }
}

impl Api {
    /// Stores the order and the entry of the audit log, and sends the messages.
    pub(super) async fn submit(
        &self,
        wanted: Wanted,
        operator: Operator,
        person: Option<String>,
    ) -> Result<Submitted, Problem> {
        let checked = self.check(&wanted.input).await?;
        let held = self.held(&wanted.users).await?;
        let source = if wanted.urgent {
            Source::UsersUrgent
        } else {
            Source::Users
        };
        let total = checked.users;
        let services = &self.0.services;
        let orders = services
            .stop_orders
            .recent(&*services.archive_store)
            .await?;
        let ordered = registers::Order {
            id: Uuid::now_v7(),
            at: services.clock.now(),
            who: operator.who.clone(),
            person,
            plan: wanted.plan,
            why: operator.why.clone(),
            batch_id: wanted.batch.clone(),
            queue: source.queue().to_owned(),
            users: total,
            ids_sha256: checked.ids_sha256.clone(),
            file_sha256: None,
        };
        let id = ordered.id;
        let batch = wanted.batch.as_ref();
        self.record(total, source, batch, &operator).await?;
        let sending = self.send(wanted.input, checked, source, ordered, orders);
        let (sent, (again, dropped)) = sending.await?;
        if let Some(failure) = sent.failure {
            let progress = format!(
                "{} of {total} users were sent before that; it is safe to send all again",
                sent.confirmed
            );
            return Err(Problem::from(failure).and(&progress));
        }

        Ok(Submitted {
            queue: source.queue(),
            order: id,
            sent: sent.confirmed,
            already_sent: sent.before.saturating_sub(dropped.total),
            again: again.total,
            dropped_as_cancelled: dropped.total,
            total,
            held,
        })
    }

    /// Checks the users against the protected list, and the texts against the schema of messages.
    async fn check(&self, input: &Input) -> Result<Checked, Problem> {
        let protected = self.0.services.protected.load().await?;
        let forbidden = |user_id| {
            let named = protected.names(user_id);
            named.then(|| "the protected list names the user".to_owned())
        };
        let checked = input.check(forbidden, &mut |_fault, _text| Ok(()));
        let checked = checked.map_err(|error| unreadable(&error))?;

        let faults = &checked.faults;
        if faults.total == 0 {
            return Ok(checked);
        }
        let (status, code) = if faults.only_forbidden() {
            (StatusCode::CONFLICT, "protected_user")
        } else {
            (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable")
        };
        Err(Problem::new(status, code, faults.text("nothing was sent")))
    }

    /// Those of the users who are on hold.
    async fn held(&self, users: &[UserId]) -> Result<Vec<OnHold>, Problem> {
        let store = &self.0.services.archive_store;
        let mut records = HoldRecords::list(&**store).await?;
        records.retain(&users.iter().copied().collect());
        let held = records.holds(store).await?.into_iter();
        Ok(held
            .map(|(user_id, hold)| OnHold::new(user_id, hold))
            .collect())
    }

    /// Writes the entry of the audit log.
    async fn record(
        &self,
        users: u64,
        source: Source,
        batch: Option<&BatchId>,
        operator: &Operator,
    ) -> Result<(), Problem> {
        let services = &self.0.services;
        let log = AuditLog::new(services.archive_store.clone(), services.clock.clone());
        let change = Change {
            what: "submit",
            count: usize::try_from(users).unwrap_or(usize::MAX),
            details: json!({ "batch": batch, "queue": source.queue() }),
        };
        log.record(operator, change).await?;
        Ok(())
    }

    /// Sends them. Also answers who was submitted again, and who was dropped as cancelled.
    async fn send(
        &self,
        input: Input,
        checked: Checked,
        source: Source,
        order: registers::Order,
        orders: Arc<StopOrders>,
    ) -> Result<(Sent, (Named, Named)), Problem> {
        let inner = &self.0;
        let clock = inner.services.clock.clone();
        let checkpoints = inner.stores.checkpoints.clone();
        let cancellations = Cancellations::new(orders, checkpoints, clock.clone());
        let stores = MemoryStores {
            batches: inner.stores.batches.clone(),
            users: inner.stores.users.clone(),
        };
        let publisher = inner.broker.publisher(Sending::CHANNELS);
        let sending = Sending {
            publisher: publisher.clone(),
            source,
            memory: Memory::new(Some(stores), clock.clone())
                .with_cancellations(Some(cancellations))
                .sending_again(order.plan.is_some()),
            clock,
        };
        // The command reads a file between two sends, so the future is not one that may move between threads.
        let runtime = Handle::current();
        let store = inner.services.archive_store.clone();
        let sent = tokio::task::spawn_blocking(move || {
            let placing = PlacedOrder::place(&*store, &order, input.messages(&checked)?);
            let placed = match runtime.block_on(placing) {
                Ok(placed) => placed,
                Err(failure) => return Ok(Err(failure)),
            };
            let messages = placed.claim(input.messages(&checked)?);
            let never = CancellationToken::new();
            let sent = runtime.block_on(sending.run(messages, &never, |_sent| ()));
            let found = sending.memory.cancellations().map(Cancellations::found);
            Ok(Ok((sent, found.unwrap_or_default())))
        });
        let sent = sent.await;
        publisher.close().await;
        match sent {
            Ok(sent) => Ok(sent.map_err(|error| unreadable(&error))??),
            Err(_panic) => Err(Problem::panicked()),
        }
    }
}

pub(super) fn unreadable(error: &std::io::Error) -> Problem {
    Failure::internal("the users of a request cannot be read again", error).into()
}
