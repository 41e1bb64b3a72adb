//! The tenant's API as the steps need it, in the words of off-boarding: what is read of a user, and the few writes that
//! off-board one.
//!
//! An adapter owns paths, bodies, credentials and pacing, and repeats writes that conflict. It returns a [`Failure`] that
//! says who is at fault. A read may be repeated at any time. A write that was accepted is true only once a read shows it.
//! Calls that prove something are added to `calls`, also if a later call fails.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

#[cfg(any(test, fuzzing))]
use super::page::Page;
use super::page::{ConversationSink, PageRequest};
use super::survey::Observation;
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::{Call, Residual};
use crate::manifest::Possession;
use crate::profile::TenantProfile;

/// An answer, and the call that proves it.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub value: T,
    pub call: Call,
}

/// Keeps the call as evidence, and returns what the API answered.
pub(crate) fn keep<T>(calls: &mut Vec<Call>, answered: Answered<T>) -> T {
    calls.push(answered.call);
    answered.value
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
    /// Whether the user may sign in; `None` where the server does not show it.
    pub active: Option<bool>,
    /// The name that people know the user by.
    pub user_name: Option<String>,
}

/// What the whole API says of an account.
#[derive(Debug)]
pub(crate) struct AccountRead {
    /// `None` only where no part of the API knows the user.
    pub account: Option<Account>,
    pub calls: Vec<Call>,
}

/// What the writes of a deactivation came to. Whether the account is inactive, only a read shows, or a write that returns
/// the account as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deactivation {
    /// A write was accepted.
    Written,
    /// A write was accepted, and its answer is the account as it is stored now, inactive. That is a read.
    Shown,
    /// The account is inactive already, does not show whether it is, or does not exist: as the read says.
    NotNeeded { active: Option<bool> },
}

/// What the writes came to that take a user out of routing. Whether nothing routes work to the user any more, only
/// reads show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RoutingWrites {
    /// All are accepted. `released` names objects that only this run knows to have named the user; a checkpoint keeps
    /// them for [`Tenant::left_over`].
    Accepted { released: Vec<String> },
    /// Nothing routes work to the user, as the last answer showed: that of a read, or of a write that returned the new
    /// state.
    Shown,
    /// The user does not exist, and nothing was written: only where [`Tenant::clearing_shows_missing`].
    NotFound,
    /// The user does not exist any more.
    UserGone,
    /// What routes work to the user cannot be found out; a person has to look.
    Unknown(Residual),
}

/// The kind of a [`Residual`] that says: what routes work to the user is unknown.
pub(crate) const UNKNOWN_ROUTING: &str = "routing_profile";

/// What became of something that is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GivenBack {
    /// Written, and a read shows it.
    Given,
    /// A read shows it, and nothing was written.
    ThereAlready,
    /// It stays away, for people.
    Not(String),
}

impl GivenBack {
    /// Of something that a read shows, and that this run wrote, or did not.
    pub(crate) const fn shown(written: bool) -> Self {
        if written {
            Self::Given
        } else {
            Self::ThereAlready
        }
    }
}

/// What a conversation says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConversationFacts {
    pub id: Option<String>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
}

/// Calls by the class of their quota
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Calls)]
pub(crate) struct CallCounts {
    pub routing: u64,
    pub scim: u64,
    pub analytics: u64,
}

impl CallCounts {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            routing: self.routing + other.routing,
            scim: self.scim + other.scim,
            analytics: self.analytics + other.analytics,
        }
    }

    pub(crate) const fn times(self, count: u64) -> Self {
        Self {
            routing: self.routing * count,
            scim: self.scim * count,
            analytics: self.analytics * count,
        }
    }
}

/// The calls of each step for one user, without conflicts and retries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StepCalls {
    pub clear_queues: CallCounts,
    pub deactivate: CallCounts,
    /// For each page of conversations.
    pub page: CallCounts,
    pub delete: CallCounts,
    /// One read of the account, which the protected list needs for a pattern.
    pub account: CallCounts,
}

/// A kind of read that can be made for a user ID that no user has, so that it shows whether this part of the API
/// works without touching a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TenantRead {
    User,
    Routing,
    /// Whether the user may sign in.
    Account,
    Conversations,
}

impl TenantRead {
    pub(crate) const ALL: [Self; 4] = [
        Self::User,
        Self::Routing,
        Self::Account,
        Self::Conversations,
    ];
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
    fn profile(&self) -> TenantProfile;

    /// Whether the user exists, by one read. `false` proves nothing: a gateway that restarts answers 404, too.
    async fn user_exists(&self, user_id: UserId) -> Result<Answered<bool>, Failure>;

    /// Whether a read shows that our own DELETE took effect. An API that shows deleted users has to show this one as deleted.
    async fn shows_deletion(&self, user_id: UserId) -> Result<Answered<bool>, Failure> {
        let exists = self.user_exists(user_id).await?;
        Ok(Answered {
            value: !exists.value,
            call: exists.call,
        })
    }

    /// Whether the user exists; `false` only if a second read after a pause does not find the user either.
    async fn find_user(&self, user_id: UserId) -> Result<Answered<bool>, Failure>;

    /// Proves by another part of the API that a user does not exist; fails where that part knows the user.
    async fn confirm_missing(&self, user_id: UserId) -> Result<Call, Failure>;

    /// The account, by one part of the API: `None` does not prove that the user does not exist.
    async fn peek_account(&self, user_id: UserId) -> Result<Option<Account>, Failure>;

    /// The account, by the whole API; fails where its parts contradict each other.
    async fn account(&self, user_id: UserId) -> Result<AccountRead, Failure>;

    /// Writes the account inactive, if it is active.
    async fn deactivate(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Deactivation, Failure>;

    /// Ends what an inactive account still has: sessions, tokens, keys. May be repeated; an error means that some may
    /// live, so that the user does not count as deactivated.
    ///
    /// `agent` is what [`Tenant::agent_of`] said before the account was inactive.
    async fn end_access(
        &self,
        user_id: UserId,
        agent: Option<u64>,
        calls: &mut Vec<Call>,
    ) -> Result<(), Failure>;

    /// The number of the user as an agent, where the API has one apart from the user's ID. Asked once the routing is clear,
    /// while the account is still active: later on, the number must not become none.
    async fn agent_of(
        &self,
        _user_id: UserId,
        _calls: &mut Vec<Call>,
    ) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    /// Takes the user out of all that routes work to it.
    async fn clear_routing(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<RoutingWrites, Failure>;

    /// Reads what still routes work to the user, or names the user: nothing means that routing is clear. `released` is of
    /// an earlier [`RoutingWrites::Accepted`].
    async fn left_over(
        &self,
        user_id: UserId,
        released: &[String],
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Residual>, Failure>;

    /// Reads all that a run takes from the user, in the order in which it takes it. `None`: the user does not exist.
    async fn possessions(&self, user_id: UserId) -> Result<Option<Vec<Possession>>, Failure>;

    /// Gives the user something back: reads whether it is there, writes it if not, and reads it back. May be repeated.
    async fn give_back(
        &self,
        user_id: UserId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure>;

    /// What an off-boarding takes that no call gives back, for people: the kind, and why.
    fn lost_for_good(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Reads a page; its conversations go into `sink` as they arrive, byte for byte and in order. Returns the link to the
    /// page after this one: opaque text, which a checkpoint keeps.
    async fn stream_page(
        &self,
        user_id: UserId,
        request: PageRequest<'_>,
        sink: &mut dyn ConversationSink,
    ) -> Result<Option<String>, Failure>;

    #[cfg(any(test, fuzzing))]
    async fn page(&self, user_id: UserId, request: PageRequest<'_>) -> Result<Page, Failure> {
        let mut page = Page::default();
        page.next = self.stream_page(user_id, request, &mut page).await?;
        Ok(page)
    }

    /// What a conversation of such a page says of itself.
    fn facts_of(&self, conversation: &[u8]) -> ConversationFacts;

    /// The user whose credentials this process calls with, where that is known: no run may touch it.
    async fn own_account(&self) -> Result<Option<UserId>, Failure>;

    /// Whether a run would leave this over, as far as a read shows it.
    fn would_stay(&self, _left: &Residual) -> bool {
        false
    }

    /// The calls that each step makes for a user of whom this is left over.
    fn step_calls(&self, left: &[Residual]) -> StepCalls;

    /// Whether calls that remove access wait for the quota that a deletion needs.
    fn access_waits(&self) -> bool;

    /// Whether [`Self::clear_routing`] finds out by itself, before it writes, that there is no such user, so that nobody has to
    /// ask before.
    fn clearing_shows_missing(&self) -> bool {
        false
    }

    /// Whether the answer to a DELETE distinguishes a user who did not exist from one whom it deleted, so that nobody has to ask
    /// before.
    fn deletion_shows_missing(&self) -> bool {
        false
    }

    /// Waits until a deletion may be sent.
    async fn ready_deletion(&self, user_id: UserId) -> Result<Box<dyn ReadyDeletion>, Failure>;

    /// Whether the API accepts and answers reads of this kind.
    async fn probe(&self, read: TenantRead) -> Result<(), Failure>;

    /// Makes a read of this kind for a user that does not exist, and says everything that its answer shows.
    async fn examine(&self, read: TenantRead) -> Result<ReadFacts, RefusedRead>;

    /// Reads what this API has of its own: discovery, version, rights, limits; or, of a user that is named, what
    /// only a real user shows. Reads only.
    async fn survey(&self, user_id: Option<UserId>) -> Vec<Observation>;

    /// Repeats, for a user that a rehearsal off-boarded with these calls, writes that were accepted, and reads what they
    /// left. Each write asks for what is so already.
    async fn repeat_writes(&self, user_id: UserId, calls: &[Call]) -> Vec<Observation>;

    /// The scopes of the token, separated by spaces; `None` where the token endpoint does not list them.
    async fn scopes(&self) -> Result<Option<String>, Failure>;
}
