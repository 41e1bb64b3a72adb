//! The flags of `offboarder simulator`. The simulator itself knows nothing about a command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::profile::TenantProfile;
use crate::simulator::{CursorStyle, EtagStyle, Options, RetryAfterStyle};

/// How links to further pages are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cursor {
    /// Scheme, host and all; the host is the one that the request named.
    Absolute,
    /// A path with a query.
    Relative,
    /// Only a query.
    Query,
}

/// What an `ETag` looks like.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Etag {
    /// One that matches itself.
    Strong,
    /// One that never matches (RFC 9110 section 13.1.1).
    Weak,
}

/// How a 429 says when to retry.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RetryAfter {
    /// Seconds.
    Seconds,
    /// An HTTP date.
    Date,
    /// Nothing.
    None,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Flags {
    /// Which API to serve: `tutorial`, `cxone` (NICE's published API) or `genesys` (Genesys Cloud)
    #[arg(long, default_value_t, value_name = "PROFILE")]
    profile: TenantProfile,
    /// Switch for what no public source says of the API; `list` prints all of them with their values, the default first
    #[arg(long, value_name = "NAME=VALUE")]
    unknown: Vec<String>,
    /// Address, on loopback; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8098")]
    listen: SocketAddr,
    /// Number of users to invent
    #[arg(long, default_value_t = 12)]
    users: usize,
    /// The same seed gives the same users
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Conversations of each user
    #[arg(long, default_value_t = 40)]
    conversations: u64,
    /// Approximate size of a conversation, in bytes
    #[arg(long, default_value_t = 900)]
    conversation_bytes: usize,
    /// Queues (cxone: skills) that each user is in
    #[arg(long, default_value_t = 3)]
    queues: usize,
    /// ID of the OAuth client that is accepted (invented, like everything here)
    #[arg(long, default_value = "offboarder")]
    client_id: String,
    /// Its secret (invented)
    #[arg(long, default_value = "simulator-secret")]
    client_secret: String,
    /// cxone: ID of the access key that is accepted (invented)
    #[arg(long, default_value = "simulator-key")]
    access_key_id: String,
    /// cxone: its secret (invented)
    #[arg(long, default_value = "simulator-key-secret")]
    access_key_secret: String,
    /// Time that every answer takes
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s")]
    latency: Duration,
    /// Time that answers with conversations take
    #[arg(long, value_parser = humantime::parse_duration)]
    latency_analytics: Option<Duration>,
    /// Calls a second before 429, routing and IAM (cxone, genesys: all calls); 0 lifts it
    #[arg(long, default_value_t = 0)]
    quota_routing: u32,
    /// Calls a second before 429, SCIM; 0 lifts it
    #[arg(long, default_value_t = 0)]
    quota_scim: u32,
    /// Calls a second before 429, conversations; 0 lifts it
    #[arg(long, default_value_t = 0)]
    quota_analytics: u32,
    /// How a 429 says when to retry
    #[arg(long, value_enum, default_value_t = RetryAfter::Seconds)]
    retry_after: RetryAfter,
    /// Life of a token
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1h")]
    token_lifetime: Duration,
    /// Send `expires_in` as a string
    #[arg(long)]
    expires_in_string: bool,
    /// Scopes or rights of the tokens, separated by spaces; all, unless they are given
    #[arg(long)]
    scopes: Option<String>,
    /// How links to further pages are written
    #[arg(long, value_enum, default_value_t = Cursor::Absolute)]
    cursor_style: Cursor,
    /// Life of such a link
    #[arg(long, value_parser = humantime::parse_duration)]
    cursor_lifetime: Option<Duration>,
    /// Longest interval of a query; a longer one is answered 400
    #[arg(long, value_parser = humantime::parse_duration)]
    max_interval: Option<Duration>,
    /// Also return conversations that began before the interval and continued into it
    #[arg(long)]
    overlapping: bool,
    /// Length of a conversation
    #[arg(long, value_parser = humantime::parse_duration, default_value = "4m")]
    conversation_length: Duration,
    /// Send no `ETag`
    #[arg(long)]
    no_etags: bool,
    /// What an `ETag` looks like
    #[arg(long, value_enum, default_value_t = Etag::Strong)]
    etag_style: Etag,
    /// Time that a deletion takes that was accepted with 202
    #[arg(long, value_parser = humantime::parse_duration, default_value = "500ms")]
    delete_delay: Duration,
    /// Users to add: a JSON list
    #[arg(long, value_name = "FILE")]
    population: Option<PathBuf>,
    /// Rules of what goes wrong: a JSON list
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

impl From<Cursor> for CursorStyle {
    fn from(flag: Cursor) -> Self {
        match flag {
            Cursor::Absolute => Self::Absolute,
            Cursor::Relative => Self::Relative,
            Cursor::Query => Self::Query,
        }
    }
}

impl From<Etag> for EtagStyle {
    fn from(flag: Etag) -> Self {
        match flag {
            Etag::Strong => Self::Strong,
            Etag::Weak => Self::Weak,
        }
    }
}

impl From<RetryAfter> for RetryAfterStyle {
    fn from(flag: RetryAfter) -> Self {
        match flag {
            RetryAfter::Seconds => Self::Seconds,
            RetryAfter::Date => Self::Date,
            RetryAfter::None => Self::None,
        }
    }
}

impl From<Flags> for Options {
    fn from(flags: Flags) -> Self {
        Self {
            profile: flags.profile,
            unknowns: flags.unknown,
            listen: flags.listen,
            users: flags.users,
            seed: flags.seed,
            conversations: flags.conversations,
            conversation_bytes: flags.conversation_bytes,
            queues: flags.queues,
            client_id: flags.client_id,
            client_secret: flags.client_secret,
            access_key_id: flags.access_key_id,
            access_key_secret: flags.access_key_secret,
            latency: flags.latency,
            latency_analytics: flags.latency_analytics,
            quota_routing: flags.quota_routing,
            quota_scim: flags.quota_scim,
            quota_analytics: flags.quota_analytics,
            retry_after: flags.retry_after.into(),
            token_lifetime: flags.token_lifetime,
            expires_in_string: flags.expires_in_string,
            scopes: flags.scopes,
            cursor_style: flags.cursor_style.into(),
            cursor_lifetime: flags.cursor_lifetime,
            max_interval: flags.max_interval,
            overlapping: flags.overlapping,
            conversation_length: flags.conversation_length,
            no_etags: flags.no_etags,
            etag_style: flags.etag_style.into(),
            delete_delay: flags.delete_delay,
            population: flags.population,
            faults: flags.faults,
        }
    }
}
