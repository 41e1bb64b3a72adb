//! Stores the order before its messages are sent, so that each of them can name it.

use std::io;

use uuid::Uuid;

use super::{Message, unreadable};
use crate::failure::Failure;
use crate::job::{OrderName, Request, UserId};
use crate::ports::ArchiveStore;
use crate::registers::{Order, PartRequests, USERS_IN_PART, store_part};

/// An order that is stored.
#[derive(Debug)]
pub(crate) struct PlacedOrder {
    pub(crate) id: Uuid,
    parts: Vec<OrderName>,
}

impl PlacedOrder {
    /// Stores the order of all users whom `messages` name.
    pub(crate) async fn place(
        store: &dyn ArchiveStore,
        order: &Order,
        messages: impl Iterator<Item = io::Result<Message>>,
    ) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        let mut users: Vec<UserId> = Vec::new();
        let mut requests: Vec<Request> = Vec::new();
        let mut messages = messages.peekable();
        while let Some(message) = messages.next() {
            let message = message.map_err(|error| unreadable(&error))?;
            users.push(message.user_id);
            requests.push(message.request);
            if users.len() == USERS_IN_PART || messages.peek().is_none() {
                let part = parts.len() + 1;
                let users = std::mem::take(&mut users);
                let requests =
                    PartRequests::new(std::mem::take(&mut requests), order.why.as_deref());
                parts.push(store_part(store, order, part, users, requests).await?);
            }
        }
        Ok(Self {
            id: order.id,
            parts,
        })
    }

    /// The same messages, each with the part that names its user.
    pub(crate) fn claim(
        &self,
        messages: impl Iterator<Item = io::Result<Message>>,
    ) -> impl Iterator<Item = io::Result<Message>> {
        messages.enumerate().map(|(number, message)| {
            message.map(|mut message| {
                message.request.order = self.parts.get(number / USERS_IN_PART).cloned();
                message
            })
        })
    }
}
