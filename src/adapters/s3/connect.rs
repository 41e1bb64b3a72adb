//! The client of the AWS SDK, with our timeouts.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::error::S3Error;
use super::trace::Spans;
use crate::adapters::tls;
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
    let https = https(bundle.as_ref(), ca)?;
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

/// The client that the SDK would create, which trusts the CA as well. As elsewhere, a bundle is
/// trusted instead of the system's CAs. `None`: without either, the SDK's own will do.
fn https(
    bundle: Option<&PemFile>,
    ca: Option<&PemFile>,
) -> Result<Option<SharedHttpClient>, S3Error> {
    if bundle.is_none() && ca.is_none() {
        return Ok(None);
    }
    let mut trusted = TrustStore::empty().with_native_roots(bundle.is_none());

    for file in bundle.into_iter().chain(ca) {
        // The SDK does not check a file, and would panic at the first connection.
        let pem = tls::read_ca(file).map_err(|error| S3Error::CaFile(error.to_string()))?;
        trusted = trusted.with_pem_certificate(pem.into_bytes());
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| S3Error::CaFile(error.to_string()))?;

    Ok(Some(Builder::new().build_with_connector_fn(
        move |settings, components| {
            let mut connector = ConnectorBuilder::default()
                .tls_provider(Provider::rustls(CryptoMode::AwsLc))
                .tls_context(context.clone())
                // Only the SDK's own client follows `HTTPS_PROXY` by itself.
                .proxy_config(ProxyConfig::from_env());
            connector.set_connector_settings(settings.cloned());
            if let Some(components) = components {
                connector.set_sleep_impl(components.sleep_impl());
            }

            connector.build()
        },
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Classify as _, Code};

    #[test]
    fn a_file_that_holds_no_certificates_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in [None, Some(""), Some("no certificate\n"), Some(damaged)] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let file = |setting: &str| PemFile {
                setting: setting.to_owned(),
                path: path.clone(),
            };
            for (bundle, ca) in [
                (Some(file(CA_BUNDLE)), None),
                (None, Some(file("OFFBOARDER_ARCHIVE_CA_FILE"))),
            ] {
                let error = https(bundle.as_ref(), ca.as_ref()).unwrap_err();
                assert_eq!(error.code(), Code::SettingsUnreadable);
                let setting = bundle.or(ca).unwrap().setting;
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("{setting}: ")) && text.contains("ca.pem"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn without_a_file_the_sdk_chooses_the_cas() {
        assert!(https(None, None).unwrap().is_none());
    }
}
