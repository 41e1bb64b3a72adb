use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

/// How links to further pages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CursorStyle {
    /// Scheme, host and all; the host is the one that the request named.
    Absolute,
    /// A path with a query.
    Relative,
    /// A query alone.
    Query,
}

/// What an `ETag` looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EtagStyle {
    /// One that matches itself.
    Strong,
    /// One that never matches (RFC 9110 section 13.1.1).
    Weak,
}

/// What a 429 says of when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RetryAfterStyle {
    /// Seconds.
    Seconds,
    /// An HTTP date.
    Date,
    /// Nothing.
    None,
}

/// What the simulator is to be like.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Address, on loopback; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8098")]
    pub listen: SocketAddr,
    /// How many users to make up
    #[arg(long, default_value_t = 12)]
    pub users: usize,
    /// The same seed makes the same users
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
    /// Conversations of each user
    #[arg(long, default_value_t = 40)]
    pub conversations: u64,
    /// About how many bytes a conversation has
    #[arg(long, default_value_t = 900)]
    pub conversation_bytes: usize,
    /// Queues that each user is in
    #[arg(long, default_value_t = 3)]
    pub queues: usize,
    /// OAuth client that is let in (made up, like everything here)
    #[arg(long, default_value = "offboarder")]
    pub client_id: String,
    /// Its secret (made up)
    #[arg(long, default_value = "simulator-secret")]
    pub client_secret: String,
    /// Every answer takes that long
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s")]
    pub latency: Duration,
    /// Answers with conversations take that long
    #[arg(long, value_parser = humantime::parse_duration)]
    pub latency_analytics: Option<Duration>,
    /// Calls a second before 429, routing and IAM; 0 lifts it
    #[arg(long, default_value_t = 0)]
    pub quota_routing: u32,
    /// Calls a second before 429, SCIM; 0 lifts it
    #[arg(long, default_value_t = 0)]
    pub quota_scim: u32,
    /// Calls a second before 429, conversations; 0 lifts it
    #[arg(long, default_value_t = 0)]
    pub quota_analytics: u32,
    /// What a 429 says of when to come back
    #[arg(long, value_enum, default_value_t = RetryAfterStyle::Seconds)]
    pub retry_after: RetryAfterStyle,
    /// How long a token is good
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1h")]
    pub token_lifetime: Duration,
    /// Send `expires_in` as a string
    #[arg(long)]
    pub expires_in_string: bool,
    /// What tokens are issued with, separated by spaces
    #[arg(
        long,
        default_value = "user:read iam:write routing:read routing:write scim:read scim:write conversations:read analytics:read"
    )]
    pub scopes: String,
    /// How links to further pages are written
    #[arg(long, value_enum, default_value_t = CursorStyle::Absolute)]
    pub cursor_style: CursorStyle,
    /// How long such a link is good
    #[arg(long, value_parser = humantime::parse_duration)]
    pub cursor_lifetime: Option<Duration>,
    /// Answer 400 to a query over a longer interval
    #[arg(long, value_parser = humantime::parse_duration)]
    pub max_interval: Option<Duration>,
    /// Give conversations that were still going on when the interval began, too
    #[arg(long)]
    pub overlapping: bool,
    /// How long a conversation lasts
    #[arg(long, value_parser = humantime::parse_duration, default_value = "4m")]
    pub conversation_length: Duration,
    /// Offer no `ETag`
    #[arg(long)]
    pub no_etags: bool,
    /// What an `ETag` looks like
    #[arg(long, value_enum, default_value_t = EtagStyle::Strong)]
    pub etag_style: EtagStyle,
    /// How long a deletion takes that was accepted with 202
    #[arg(long, value_parser = humantime::parse_duration, default_value = "500ms")]
    pub delete_delay: Duration,
    /// Users to add, a JSON list
    #[arg(long, value_name = "FILE")]
    pub population: Option<PathBuf>,
    /// Rules of what goes wrong, a JSON list
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

impl Default for Options {
    /// The flags' defaults, and a free port.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            users: 12,
            seed: 1,
            conversations: 40,
            conversation_bytes: 900,
            queues: 3,
            client_id: "offboarder".to_owned(),
            client_secret: "simulator-secret".to_owned(),
            latency: Duration::ZERO,
            latency_analytics: None,
            quota_routing: 0,
            quota_scim: 0,
            quota_analytics: 0,
            retry_after: RetryAfterStyle::Seconds,
            token_lifetime: Duration::from_hours(1),
            expires_in_string: false,
            scopes: "user:read iam:write routing:read routing:write scim:read scim:write conversations:read analytics:read"
                .to_owned(),
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
