//! What the gate asks of the API that is served.

use axum::http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::gate::Call;
use super::population::Record;
use super::reply::Reply;
use super::unknowns::Switch;
use super::world::World;
use super::{genesys, nice, tutorial};
use crate::profile::TenantProfile;

/// A call that the API's document does not have.
pub(super) const UNKNOWN: &str = "unknown";

/// One vendor's API, with the users that it serves.
pub(super) trait Api: Send + Sync {
    /// The operation of the document in `snake_case` (or [`UNKNOWN`]), and the ID in its path.
    fn operation(&self, method: &Method, path: &str) -> (&'static str, String);

    /// The user that a call is about.
    fn user_id(&self, call: &Call) -> Option<String>;

    /// Whether an operation answers with conversations, which may take longer.
    fn serves_conversations(&self, operation: &str) -> bool;

    /// The header in which clients send the ID that the vendor's support asks for.
    fn correlation_header(&self) -> &'static str;

    /// Checks token, quota, rights and form, and does what the call asks for.
    fn answer(&self, world: &World, call: &Call) -> Reply;

    /// An error in the vendor's form.
    fn error(&self, call: &Call, status: u16, code: &str, message: &str) -> Reply;

    /// Adds what every answer carries.
    fn finish(&self, _world: &World, _call: &Call, _reply: &mut Reply) {}

    /// Adds or replaces a user.
    fn put_user(&self, world: &World, record: Record);

    fn user_ids(&self) -> Vec<String>;

    /// The current state of a user, in words that are the same for all APIs where they mean the same:
    /// `id`, `exists`, `active`, `queues`, `groups`, `owns`, `supervises`, `sessions`, `accessKeys`, `conversations`.
    fn user_now(&self, id: &str) -> Option<Value>;

    /// The conversations that a correct client archives for `[from, to)`: a JSON array of exactly the rows that are served.
    fn conversations(
        &self,
        world: &World,
        id: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<Vec<u8>>;
}

impl TenantProfile {
    /// An empty tenant.
    pub(super) fn api(self) -> Box<dyn Api> {
        match self {
            Self::Cxone => Box::new(nice::Nice::default()),
            Self::Tutorial => Box::new(tutorial::Tutorial::default()),
            Self::Genesys => Box::new(genesys::Genesys::default()),
        }
    }

    /// What no public source says, as switches.
    pub(super) const fn switches(self) -> &'static [Switch] {
        match self {
            Self::Cxone => nice::SWITCHES,
            Self::Tutorial => &[],
            Self::Genesys => genesys::SWITCHES,
        }
    }

    /// The scopes or rights of a client that may do everything, separated by spaces.
    pub(super) const fn all_rights(self) -> &'static str {
        match self {
            Self::Cxone => nice::ALL_RIGHTS,
            Self::Tutorial => tutorial::ALL_SCOPES,
            Self::Genesys => genesys::ALL_RIGHTS,
        }
    }
}
