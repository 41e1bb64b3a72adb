//! The order that is stored before the first message is sent.

use std::sync::Arc;

use uuid::Uuid;

use crate::cli::acting::Acting;
use crate::cli::exit::CliError;
use crate::cli::guarded::Guarded;
use crate::cli::input::{InputArgs, Users, unreadable};
use crate::clock::Clock;
use crate::job::{PlanName, Source};
use crate::operations::submit::{Message, PlacedOrder};
use crate::ports::ArchiveStore;
use crate::registers::Order;

/// What the order of this command says, and where it is to be stored.
pub(super) struct Ordering {
    store: Arc<dyn ArchiveStore>,
    order: Order,
}

impl Ordering {
    /// `None` where the archive is a directory of this machine: workers could not read the order there.
    pub(super) fn of(
        acting: &Acting,
        plan: Option<&PlanName>,
        args: &InputArgs,
        users: &Users,
        source: Source,
        guards: &Guarded,
        clock: &Clock,
    ) -> Option<Self> {
        Some(Self {
            store: guards.bucket()?,
            order: Order {
                id: Uuid::now_v7(),
                at: clock.now(),
                who: acting.who.clone(),
                person: acting.person.clone(),
                plan: plan.cloned(),
                why: args.reason.clone(),
                batch_id: args.batch_id.clone(),
                queue: source.queue().to_owned(),
                users: users.checked.users,
                ids_sha256: users.checked.ids_sha256.clone(),
                file_sha256: args
                    .file
                    .file
                    .as_ref()
                    .and(users.input.file_sha256())
                    .map(str::to_owned),
            },
        })
    }

    pub(super) async fn place(&self, users: &Users) -> Result<PlacedOrder, CliError> {
        let messages = users.input.messages(&users.checked);
        let messages = messages.map_err(|error| unreadable(&error))?;
        let placed = PlacedOrder::place(&*self.store, &self.order, messages).await;
        placed.map_err(|mut failure| {
            failure.text = format!(
                "the order cannot be stored, and nothing was sent: {}",
                failure.text
            );
            failure.into()
        })
    }
}

/// The messages, with the order that names their users.
pub(super) fn claimed<'a>(
    order: Option<&'a PlacedOrder>,
    messages: impl Iterator<Item = std::io::Result<Message>> + 'a,
) -> Box<dyn Iterator<Item = std::io::Result<Message>> + 'a> {
    match order {
        Some(order) => Box::new(order.claim(messages)),
        None => Box::new(messages),
    }
}
