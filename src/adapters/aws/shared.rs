//! Settings that come from the usual AWS sources (`AWS_*`, profile, role).

use std::path::PathBuf;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::{TimeoutConfig, TimeoutConfigBuilder};
use aws_config::{BehaviorVersion, SdkConfig};

use super::http_client::http_client;
use crate::address::PemFile;

/// The AWS command line and the SDKs for other languages read this variable; the SDK for Rust does
/// not.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Credentials, region, endpoint and proxy. `ca` is trusted as well; the error names a file of CAs that cannot be used.
/// `set` adds to a timeout of 5 s for a connection.
pub(in crate::adapters) async fn load(
    ca: Option<&PemFile>,
    set: impl FnOnce(TimeoutConfigBuilder) -> TimeoutConfigBuilder,
) -> Result<SdkConfig, String> {
    let bundle = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty());
    let bundle = bundle.map(|path| PemFile {
        setting: CA_BUNDLE.to_owned(),
        path: PathBuf::from(path),
    });
    let http_client = http_client(bundle.as_ref(), ca)?;
    let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(5));
    let timeouts = set(timeouts).build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .timeout_config(timeouts)
        // Short faults are retried at once; who calls waits for longer ones.
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        // It would treat the pauses between parts of an upload as a stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Ok(loader.load().await)
}
