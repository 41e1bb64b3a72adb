use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, SharedCredentialsProvider, StalledStreamProtectionConfig,
};

use super::trace::Spans;

/// How strict Object Lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionMode {
    /// May be lifted with a special right.
    Governance,
    /// May be lifted by nobody.
    Compliance,
}

/// Object Lock retention for everything that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How strict.
    pub mode: RetentionMode,
    /// From the moment of writing.
    pub period: Duration,
}

/// Credentials, region and endpoint come from where they always come from (`AWS_*`, profile, role).
pub(super) async fn connect(force_path_style: bool) -> (Client, Option<SharedCredentialsProvider>) {
    // The SDK sets none of these by itself but the first. A part of some MiB on a slow link may take
    // minutes; what is stuck is found by the read timeout.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_mins(1))
        .operation_attempt_timeout(Duration::from_mins(5))
        .operation_timeout(Duration::from_mins(10))
        .build();
    let shared = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(timeouts)
        // Short faults are tried again at once; what lasts is the state machine's to wait for.
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        // It takes the pauses between our parts for a stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await;
    let config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(force_path_style)
        // Each write brings a checksum of ours; some stores refuse those that the SDK adds as trailers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .interceptor(Spans)
        .build();
    (Client::from_conf(config), shared.credentials_provider())
}
