//! The CXone API: the only place that knows its paths, verbs and bodies (`docs/contract/cxone-openapi.yaml`).

mod client;
mod document;
mod error;
mod look;
mod page;
mod quota;
mod retry_after;
mod token;
mod transport;

pub use client::{Answered, Client, DeleteAnswer, Options, Write};
pub use document::{Queue, QueueId, RoutingProfile, ScimUser};
pub use error::CxoneError;
pub use look::{Look, Seen};
pub use page::{NextPage, Page};
pub use quota::Alone;
pub(crate) use retry_after::retry_after;
