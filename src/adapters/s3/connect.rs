//! The client of the AWS SDK, with our timeouts.

use std::path::Path;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, SharedCredentialsProvider, StalledStreamProtectionConfig,
};

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::error::S3Error;
use super::trace::Spans;

/// The AWS command line and the SDKs for other languages read this variable; the SDK for Rust does
/// not.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Credentials, region and endpoint come from the usual AWS sources (`AWS_*`, profile, role).
pub(super) async fn connect(
    force_path_style: bool,
) -> Result<(Client, Option<SharedCredentialsProvider>), S3Error> {
    let bundle = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty());
    let https = bundle.map(|path| https(Path::new(&path))).transpose()?;
    // The SDK itself sets only the first of these. A part of some MiB on a slow link may take
    // minutes; the read timeout ends a connection that is stuck.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_mins(1))
        .operation_attempt_timeout(Duration::from_mins(5))
        .operation_timeout(Duration::from_mins(10))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(timeouts)
        // Short faults are retried at once; the state machine waits for longer ones.
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        // It would treat the pauses between our parts as a stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());

    if let Some(https) = https {
        loader = loader.http_client(https);
    }
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

/// The client that the SDK would create, with these CAs in the place of the system's.
fn https(bundle: &Path) -> Result<SharedHttpClient, S3Error> {
    let refused = |why: String| S3Error::CaBundle {
        path: bundle.display().to_string(),
        why,
    };
    let pem = std::fs::read(bundle).map_err(|error| refused(error.to_string()))?;
    // The SDK does not check the file, and would panic at the first connection.
    let mut roots = RootCertStore::empty();

    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    let trusted = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| refused(error.to_string()))?;
    let provider = Provider::rustls(CryptoMode::AwsLc);

    Ok(Builder::new()
        .tls_provider(provider)
        .tls_context(context)
        .build_https())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Classify as _, Code};

    #[test]
    fn a_bundle_that_holds_no_certificates_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in [None, Some(""), Some("no certificate\n"), Some(damaged)] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let error = https(&path).unwrap_err();
            assert_eq!(error.code(), Code::SettingsUnreadable);
            assert!(
                error.to_string().starts_with("AWS_CA_BUNDLE: ")
                    && error.to_string().contains("ca.pem")
            );
        }
    }
}
