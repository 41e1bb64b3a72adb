//! The client of the AWS SDK, with our timeouts.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, SharedCredentialsProvider};

use super::error::S3Error;
use super::trace::Spans;
use crate::adapters::aws;
use crate::address::PemFile;

/// Credentials, region and endpoint come from the usual AWS sources (`AWS_*`, profile, role).
pub(super) async fn connect(
    force_path_style: bool,
    ca: Option<&PemFile>,
) -> Result<(Client, Option<SharedCredentialsProvider>), S3Error> {
    // The SDK itself sets none of these. A part of some MiB on a slow link may take minutes; the read timeout ends a
    // connection that is stuck.
    let shared = aws::load(ca, |timeouts| {
        timeouts
            .read_timeout(Duration::from_mins(1))
            .operation_attempt_timeout(Duration::from_mins(5))
            .operation_timeout(Duration::from_mins(10))
    });
    let shared = shared.await.map_err(S3Error::CaFile)?;
    let config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(force_path_style)
        // Each write sends a checksum of ours; some stores refuse those that the SDK adds as
        // trailers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .interceptor(Spans)
        .build();

    Ok((Client::from_conf(config), shared.credentials_provider()))
}
