//! TLS of all adapters: the files that it uses, and what its errors mean in words for people. The libraries below report
//! an error only as a text, and each wraps it in another way, so all adapters read that text here.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::address::{ClientFiles, PemFile};
use crate::failure::{Class, Classify, Code};

/// A file of certificates or of a key that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{setting}: {path} {why}")]
pub(super) struct PemError {
    setting: String,
    path: String,
    why: String,
}

impl Classify for PemError {
    fn classify(&self) -> (Class, Code) {
        (Class::Systemic, Code::SettingsUnreadable)
    }
}

/// A certificate of ours with its chain, and its key, both as PEM.
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// The certificates of a file of CAs that can be used, at least one, as PEM. The libraries below would refuse the whole
/// file, or panic, where one of many cannot be used.
pub(super) fn read_ca(file: &PemFile) -> Result<String, PemError> {
    let mut roots = RootCertStore::empty();
    let mut usable = String::new();
    let mut unusable = None;

    for certificate in certificates(file, &read(file)?)? {
        match roots.add(certificate.clone()) {
            Ok(()) => usable += &as_pem(&certificate),
            Err(error) => unusable = Some(error),
        }
    }
    match unusable {
        Some(error) if usable.is_empty() => Err(fault(
            file,
            format!("holds no certificate that can be used ({error})"),
        )),
        _ => Ok(usable),
    }
}

fn as_pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// Both files of a client, if they are a certificate and its key.
pub(super) fn read_identity(files: &ClientFiles) -> Result<Identity, PemError> {
    let certificate = read(&files.certificate)?;
    let key = read(&files.key)?;

    let chain = certificates(&files.certificate, &certificate)?;
    let parsed = PrivateKeyDer::from_pem_slice(&key).map_err(|_no_key| {
        let why = "holds no private key that we can use; give one as PEM, without a passphrase";
        fault(&files.key, why)
    })?;
    CertifiedKey::from_der(chain, parsed, &aws_lc_rs::default_provider()).map_err(|error| {
        let of = files.certificate.path.display();
        fault(
            &files.key,
            format!("is not the key of the certificate in {of} ({error})"),
        )
    })?;
    Ok(Identity { certificate, key })
}

fn read(file: &PemFile) -> Result<Vec<u8>, PemError> {
    std::fs::read(&file.path).map_err(|error| fault(file, format!("cannot be read ({error})")))
}

fn certificates(file: &PemFile, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| fault(file, format!("is broken PEM ({error})")))?;
    if found.is_empty() {
        let why =
            "holds no certificate; give one as PEM, which begins with -----BEGIN CERTIFICATE-----";
        return Err(fault(file, why));
    }
    Ok(found)
}

fn fault(file: &PemFile, why: impl Into<String>) -> PemError {
    PemError {
        setting: file.setting.clone(),
        path: file.path.display().to_string(),
        why: why.into(),
    }
}

pub(super) const NO_TLS: &str = "this port speaks no TLS";

/// The cause in plain words, if the text of an error (with its sources) is one of TLS that people meet at set-up.
pub(super) fn cause(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));

    if refuses_our_certificate(text) {
        Some(
            "TLS: the server does not accept the certificate of this client: it has expired, or its CA is not trusted there",
        )
    } else if says(&["invalidcontenttype"]) {
        Some(NO_TLS)
    } else if says(&["unknownissuer", "unknown issuer"]) {
        Some("TLS: unknown issuer, no known CA signed the certificate")
    } else if says(&["causedasendentity"]) {
        Some("TLS: the certificate is self-signed")
    } else if says(&["notvalidforname"]) {
        Some("TLS: the certificate is for another host name")
    } else if says(&["certificateexpired", "peer certificate: expired"]) {
        Some("TLS: the certificate has expired, or the clock of this host is wrong")
    } else if says(&["certificaterequired"]) {
        Some("TLS: the server wants a client certificate")
    } else if says(&["alert: handshakefailure"]) {
        // TLS 1.2 has no alert of its own for a missing certificate.
        Some("TLS: the server broke off the handshake, maybe because it wants a client certificate")
    } else {
        None
    }
}

/// Whether a port answers a hello without a content, as TLS does: with an alert. To a client without TLS such a port
/// breaks off in many ways.
pub(super) async fn is_spoken_at(host: &str, port: u16) -> bool {
    const HELLO: [u8; 9] = [22, 3, 1, 0, 4, 1, 0, 0, 0];
    const ALERT: u8 = 21;

    let asking = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(&HELLO).await?;
        stream.read_u8().await
    };
    let asked = tokio::time::timeout(Duration::from_secs(3), asking).await;
    matches!(asked, Ok(Ok(ALERT)))
}

/// Whether the server refused the certificate of this client, by an alert of RFC 8446, section 6.2.
pub(super) fn refuses_our_certificate(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        "unknownca",
        "badcertificate",
        "certificateunknown",
        "certificateexpired",
        "certificaterevoked",
        "decrypterror",
    ]
    .iter()
    .any(|alert| lower.contains(&format!("fatal alert: {alert}")))
}

/// Whether a certificate of ours may make the connection work.
pub(super) fn wants_a_client_certificate(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["certificaterequired", "alert: handshakefailure"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Whether the server ended a connection that it had taken. With TLS 1.3 that may be all that is seen where it wants a
/// client certificate: its alert is lost if we were writing.
pub(super) fn was_broken_off(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        "reset by peer",
        "broken pipe",
        "unexpected eof",
        "connection aborted",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// Whether a known CA would make the connection work.
pub(super) fn is_untrusted(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["unknownissuer", "unknown issuer", "causedasendentity"]
        .iter()
        .any(|word| lower.contains(word))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
