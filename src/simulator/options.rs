//! How the simulator behaves.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::profile::TenantProfile;

/// How links to further pages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CursorStyle {
    /// Scheme, host and all; the host is the one that the request named.
    Absolute,
    /// A path with a query.
    Relative,
    /// Only a query.
    Query,
}

/// What an `ETag` looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EtagStyle {
    /// One that matches itself.
    Strong,
    /// One that never matches (RFC 9110 section 13.1.1).
    Weak,
}

/// How a 429 says when to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryAfterStyle {
    /// Seconds.
    Seconds,
    /// An HTTP date.
    Date,
    /// Nothing.
    None,
}

/// The behaviour of the simulator.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Which API to serve
    pub profile: TenantProfile,
    /// Switches for what no public source says, each as `NAME=VALUE`
    pub unknowns: Vec<String>,
    /// Address, on loopback; port 0 takes a free one
    pub listen: SocketAddr,
    /// Number of users to invent
    pub users: usize,
    /// The same seed gives the same users
    pub seed: u32,
    /// Conversations of each user
    pub conversations: u64,
    /// Approximate size of a conversation, in bytes
    pub conversation_bytes: usize,
    /// Queues (cxone: skills) that each user is in
    pub queues: usize,
    /// ID of the OAuth client that is accepted (invented, like everything here)
    pub client_id: String,
    /// Its secret (invented)
    pub client_secret: String,
    /// cxone: ID of the access key that is accepted (invented)
    pub access_key_id: String,
    /// cxone: its secret (invented)
    pub access_key_secret: String,
    /// Time that every answer takes
    pub latency: Duration,
    /// Time that answers with conversations take
    pub latency_analytics: Option<Duration>,
    /// Calls a second before 429, routing and IAM (cxone, genesys: all calls); 0 lifts it
    pub quota_routing: u32,
    /// Calls a second before 429, SCIM; 0 lifts it
    pub quota_scim: u32,
    /// Calls a second before 429, conversations; 0 lifts it
    pub quota_analytics: u32,
    /// How a 429 says when to retry
    pub retry_after: RetryAfterStyle,
    /// Life of a token
    pub token_lifetime: Duration,
    /// Send `expires_in` as a string
    pub expires_in_string: bool,
    /// Scopes or rights of the tokens, separated by spaces; all, unless they are given
    pub scopes: Option<String>,
    /// How links to further pages are written
    pub cursor_style: CursorStyle,
    /// Life of such a link
    pub cursor_lifetime: Option<Duration>,
    /// Longest interval of a query; a longer one is answered 400
    pub max_interval: Option<Duration>,
    /// Also return conversations that began before the interval and continued into it
    pub overlapping: bool,
    /// Length of a conversation
    pub conversation_length: Duration,
    /// Send no `ETag`
    pub no_etags: bool,
    /// What an `ETag` looks like
    pub etag_style: EtagStyle,
    /// Time that a deletion takes that was accepted with 202
    pub delete_delay: Duration,
    /// Users to add: a JSON list
    pub population: Option<PathBuf>,
    /// Rules of what goes wrong: a JSON list
    pub faults: Option<PathBuf>,
}

impl Default for Options {
    /// The defaults of the flags, and a free port.
    fn default() -> Self {
        Self {
            profile: TenantProfile::Tutorial,
            unknowns: Vec::new(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            users: 12,
            seed: 1,
            conversations: 40,
            conversation_bytes: 900,
            queues: 3,
            client_id: "offboarder".to_owned(),
            client_secret: "simulator-secret".to_owned(),
            access_key_id: "simulator-key".to_owned(),
            access_key_secret: "simulator-key-secret".to_owned(),
            latency: Duration::ZERO,
            latency_analytics: None,
            quota_routing: 0,
            quota_scim: 0,
            quota_analytics: 0,
            retry_after: RetryAfterStyle::Seconds,
            token_lifetime: Duration::from_hours(1),
            expires_in_string: false,
            scopes: None,
            cursor_style: CursorStyle::Absolute,
            cursor_lifetime: None,
            max_interval: None,
            overlapping: false,
            conversation_length: Duration::from_mins(4),
            no_etags: false,
            etag_style: EtagStyle::Strong,
            delete_delay: Duration::from_millis(500),
            population: None,
            faults: None,
        }
    }
}
