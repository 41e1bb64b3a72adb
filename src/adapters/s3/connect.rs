//! The client of the AWS SDK, with our timeouts.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, SharedCredentialsProvider, StalledStreamProtectionConfig,
};

use super::error::S3Error;
use super::http_client::http_client;
use super::trace::Spans;
use crate::address::PemFile;

/// The AWS command line and the SDKs for other languages read this variable; the SDK for Rust does
/// not.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Credentials, region and endpoint come from the usual AWS sources (`AWS_*`, profile, role).
pub(super) async fn connect(
    force_path_style: bool,
    ca: Option<&PemFile>,
) -> Result<(Client, Option<SharedCredentialsProvider>), S3Error> {
    let bundle = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty());
    let bundle = bundle.map(|path| PemFile {
        setting: CA_BUNDLE.to_owned(),
        path: PathBuf::from(path),
    });
    let http_client = http_client(bundle.as_ref(), ca)?;
    // The SDK itself sets only the first of these. A part of some MiB on a slow link may take
    // minutes; the read timeout ends a connection that is stuck.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_mins(1))
        .operation_attempt_timeout(Duration::from_mins(5))
        .operation_timeout(Duration::from_mins(10))
        .build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .timeout_config(timeouts)
        // Short faults are retried at once; the state machine waits for longer ones.
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        // It would treat the pauses between our parts as a stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let shared = loader.load().await;
    let config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(force_path_style)
        // Each write sends a checksum of ours; some stores refuse those that the SDK adds as
        // trailers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .interceptor(Spans)
        .build();

    Ok((Client::from_conf(config), shared.credentials_provider()))
}
