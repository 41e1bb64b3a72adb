//! The HTTP client of the AWS SDK: its CAs, and which requests go through a proxy.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared as _;
use url::Url;

use crate::adapters::{proxy, tls};
use crate::address::PemFile;

/// Trusts the CA as well as the system's. As elsewhere, a bundle is trusted instead of those. The error names the setting of a
/// file that cannot be used.
pub(super) fn http_client(
    bundle: Option<&PemFile>,
    ca: Option<&PemFile>,
) -> Result<SharedHttpClient, String> {
    let mut trusted = TrustStore::empty().with_native_roots(bundle.is_none());

    for file in bundle.into_iter().chain(ca) {
        // The SDK does not check a file, and would panic at the first connection.
        let pem = tls::read_ca(file).map_err(|error| error.to_string())?;
        trusted = trusted.with_pem_certificate(pem.into_bytes());
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| error.to_string())?;

    let proxied = with_proxy(context.clone(), ProxyConfig::from_env());
    let direct = with_proxy(context, ProxyConfig::disabled());
    Ok(ByHost { proxied, direct }.into_shared())
}

fn with_proxy(context: TlsContext, proxy: ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::rustls(CryptoMode::AwsLc))
            .tls_context(context.clone())
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }

        connector.build()
    })
}

/// The SDK sends everything that is plain HTTP through `HTTP_PROXY`, credentials of a pod as well.
#[derive(Debug)]
struct ByHost<T> {
    proxied: T,
    direct: T,
}

impl HttpClient for ByHost<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(ByHost {
            proxied: self.proxied.http_connector(settings, components),
            direct: self.direct.http_connector(settings, components),
        })
    }
}

impl HttpConnector for ByHost<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_direct = Url::parse(request.uri()).is_ok_and(|url| proxy::is_passed_by(&url));
        let connector = if is_direct {
            &self.direct
        } else {
            &self.proxied
        };
        connector.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                (Some(file("AWS_CA_BUNDLE")), None),
                (None, Some(file("OFFBOARDER_ARCHIVE_CA_FILE"))),
            ] {
                let text = http_client(bundle.as_ref(), ca.as_ref()).unwrap_err();
                let setting = bundle.or(ca).unwrap().setting;
                assert!(
                    text.starts_with(&format!("{setting}: ")) && text.contains("ca.pem"),
                    "{text}"
                );
            }
        }
    }
}
