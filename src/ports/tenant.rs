//! The tenant's API as the steps need it: what is read of a user, and the few writes that off-board one.
//!
//! An adapter owns paths, bodies, credentials and pacing. It returns documents that only it can change (`document`
//! fields are opaque here), and a [`Failure`] that says who is at fault. A read may be repeated at any time. A write
//! that the adapter reports as [`Write::Done`] is true only once a read shows it.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;

/// An answer, and the call that proves it.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub value: T,
    pub call: Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// Accepted; done when a read says so.
    Done,
    /// The object changed since it was read: read again.
    Conflict,
    /// The object does not exist any more.
    Gone,
}

/// How a deletion was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeleteAnswer {
    Deleted,
    /// Not done yet: the user is deleted when a read no longer finds it.
    Accepted,
    /// The user did not exist.
    Gone,
    /// Not this user.
    Refused {
        code: Option<String>,
    },
    /// No user of this tenant.
    NotOffered {
        code: Option<String>,
    },
}

/// A user's account as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub user_id: UserId,
    /// Whether the user may sign in; `None` where the server does not show it.
    pub active: Option<bool>,
    /// The name that people know the user by.
    pub user_name: Option<String>,
    /// What to send with a write, so that it fails if the account changed since.
    pub version: Option<String>,
    pub document: Bytes,
}

/// What the whole API says of an account.
#[derive(Debug)]
pub(crate) struct AccountRead {
    /// `None` only where no part of the API knows the user.
    pub account: Option<Account>,
    pub calls: Vec<Call>,
}

/// The ID of a queue; put into a URL as one percent-encoded segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct QueueId(String);

impl QueueId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checkpoints hold IDs as text, and may be forged: what would change the path of a URL is refused.
impl FromStr for QueueId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = (1..=128).contains(&text.len())
            && text != "."
            && text != ".."
            && !text.contains(char::is_control);
        if is_plain {
            Ok(Self(text.to_owned()))
        } else {
            Err("the ID cannot be used in a URL")
        }
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which queues route work to a user, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct RoutingProfile {
    pub queues: Vec<QueueId>,
    pub version: Option<String>,
    pub document: Bytes,
}

/// A queue as it was read for one user.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub id: QueueId,
    /// Whether that user owns or supervises it.
    pub names_user: bool,
    pub version: Option<String>,
    pub document: Bytes,
}

/// One page of a user's conversations in `[from, to)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest<'a> {
    pub from: Timestamp,
    pub to: Timestamp,
    /// [`Page::next`] of the page before; `None` asks for the first page.
    pub link: Option<&'a str>,
}

/// A page as it was received: the body, and where in it the conversations are.
#[derive(Debug)]
pub(crate) struct Page {
    body: Bytes,
    conversations: Vec<Range<usize>>,
    next: Option<String>,
}

impl Page {
    pub(crate) fn new(body: Bytes, conversations: Vec<Range<usize>>, next: Option<String>) -> Self {
        Self {
            body,
            conversations,
            next,
        }
    }

    /// The conversations, byte for byte and in order.
    pub(crate) fn conversations(&self) -> impl Iterator<Item = &[u8]> {
        self.conversations
            .iter()
            .filter_map(|range| self.body.get(range.clone()))
    }

    /// The link to the page after this one: opaque text, which a checkpoint keeps.
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// A kind of read that can be made for a user ID that no user has, so that it shows whether this part of the API
/// works without touching a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TenantRead {
    User,
    Routing,
    Scim,
    Conversations,
}

impl TenantRead {
    pub(crate) const ALL: [Self; 4] = [Self::User, Self::Routing, Self::Scim, Self::Conversations];
}

/// What an answer says beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadFacts {
    pub status: u16,
    /// A success with JSON, or an error in the form of the API.
    pub is_own: bool,
    /// An error in the form of SCIM.
    pub is_scim_error: bool,
    pub server_time: Option<Timestamp>,
    /// Calls that the quota still allows, and of how many.
    pub quota_left: Option<(u64, u64)>,
}

/// A read that was not answered as it should be.
#[derive(Debug, Clone)]
pub(crate) struct RefusedRead {
    pub cause: RefusalCause,
    pub failure: Failure,
}

/// Why a read was refused, for `doctor`, which has advice for each cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefusalCause {
    /// The API does not accept a token that was just issued.
    Token {
        status: u16,
    },
    MissingScope,
    Throttled,
    /// The API refused the call; `code` is empty, or begins with a space.
    Rejected {
        status: u16,
        code: String,
    },
    /// A firewall, a proxy or another server refused it; `shown` is what the answer says of itself.
    Foreign {
        status: u16,
        shown: String,
    },
    Other,
}

/// A deletion that waits for nothing any more: its place in the quota is due, and its credentials are fresh. So what
/// is checked after it was made is checked immediately before the call.
#[async_trait]
pub(crate) trait ReadyDeletion: Send + Sync {
    /// Deletes the user: one call, sent now. If the quota is used up or the token is refused, this fails instead of
    /// waiting, because the guards have to be checked again after a wait.
    async fn send(&self) -> Result<Answered<DeleteAnswer>, Failure>;
}

#[async_trait]
pub(crate) trait Tenant: Send + Sync {
    /// Whether the user exists, by one read. `false` is enough to confirm our own accepted deletion, and for nothing
    /// else: a gateway that restarts answers 404, too.
    async fn user_exists(&self, user_id: UserId) -> Result<Answered<bool>, Failure>;

    /// Whether the user exists; `false` only if a second read after a pause does not find the user either.
    async fn find_user(&self, user_id: UserId) -> Result<Answered<bool>, Failure>;

    /// Proves by another part of the API that a user does not exist; fails where that part knows the user.
    async fn confirm_missing(&self, user_id: UserId) -> Result<Call, Failure>;

    /// The account, by one part of the API: `None` does not prove that the user does not exist.
    async fn peek_account(&self, user_id: UserId) -> Result<Option<Account>, Failure>;

    /// The account, by the whole API; fails where its parts contradict each other.
    async fn account(&self, user_id: UserId) -> Result<AccountRead, Failure>;

    /// Writes the account back, inactive. With `if_match`, only if the account still has that version.
    async fn deactivate(
        &self,
        read: &Account,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, Failure>;

    async fn routing_profile(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<RoutingProfile>>, Failure>;

    /// Writes the profile back without queues.
    async fn clear_routing_profile(
        &self,
        user_id: UserId,
        read: &RoutingProfile,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, Failure>;

    async fn queue(
        &self,
        queue_id: &QueueId,
        user_id: UserId,
    ) -> Result<Answered<Option<Queue>>, Failure>;

    /// Writes the queue back without the user as owner or supervisor.
    async fn release_queue(
        &self,
        read: &Queue,
        user_id: UserId,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, Failure>;

    async fn page(&self, user_id: UserId, request: PageRequest<'_>) -> Result<Page, Failure>;

    /// Whether calls that remove access wait for the quota that a deletion needs.
    fn access_waits(&self) -> bool;

    /// Waits until a deletion may be sent.
    async fn ready_deletion(&self, user_id: UserId) -> Result<Box<dyn ReadyDeletion>, Failure>;

    /// Whether the API accepts and answers reads of this kind.
    async fn probe(&self, read: TenantRead) -> Result<(), Failure>;

    /// Makes a read of this kind for a user that does not exist, and says everything that its answer shows.
    async fn examine(&self, read: TenantRead) -> Result<ReadFacts, RefusedRead>;

    /// The scopes of the token, separated by spaces; `None` where the token endpoint does not list them.
    async fn scopes(&self) -> Result<Option<String>, Failure>;
}
