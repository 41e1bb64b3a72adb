use std::process::Command;

use super::*;

#[test]
fn the_texts_of_the_libraries_become_plain_words() {
    for (text, says, untrusted) in [
        (
            "io error: received corrupt message of type InvalidContentType",
            "speaks no TLS",
            false,
        ),
        (
            "invalid peer certificate: UnknownIssuer",
            "no known CA",
            true,
        ),
        (
            "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
            "self-signed",
            true,
        ),
        (
            "invalid peer certificate: NotValidForName",
            "another host name",
            false,
        ),
        ("invalid peer certificate: Expired", "has expired", false),
        (
            "received fatal alert: UnknownCA",
            "does not accept the certificate of this client",
            false,
        ),
        (
            "received fatal alert: CertificateExpired",
            "does not accept the certificate of this client",
            false,
        ),
        (
            "received fatal alert: CertificateRequired",
            "wants a client certificate",
            false,
        ),
    ] {
        let cause = cause(text).unwrap();
        assert!(cause.contains(says), "{text}: {cause}");
        assert_eq!(is_untrusted(text), untrusted, "{text}");
    }
    assert_eq!(cause("connection refused"), None);
}

/// A CA, a certificate of it with its key, and another key, in a directory.
fn made() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        let answer = command
            .args(arguments.split(' '))
            .current_dir(&directory)
            .output();
        let answer = answer.expect("openssl runs; deploy/local/install.sh brings it");
        assert!(answer.status.success(), "{arguments}: {answer:?}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout key.pem -out certificate.pem -subj /CN=worker -days 2"
    ));
    openssl("genpkey -algorithm ec -pkeyopt ec_paramgen_curve:prime256v1 -out other.pem");
    directory
}

#[test]
fn a_file_of_certificates_or_a_key_is_refused_with_the_reason_unless_it_can_be_used() {
    let directory = made();
    let path = |name: &str| directory.path().join(name);
    let file = |setting: &str, name: &str| PemFile {
        setting: setting.to_owned(),
        path: path(name),
    };
    std::fs::write(path("script"), "#!/bin/sh\n").unwrap();
    std::fs::write(
        path("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    std::fs::write(path("cut.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();

    let alone = read_ca(&file("CA", "certificate.pem")).unwrap();
    assert!(alone.contains("BEGIN CERTIFICATE"), "{alone}");
    let bundle = [
        b"# Autoridade de Certifica\xe7\xe3o\n".to_vec(),
        std::fs::read(path("broken.pem")).unwrap(),
        std::fs::read(path("certificate.pem")).unwrap(),
    ];
    std::fs::write(path("bundle.pem"), bundle.concat()).unwrap();
    let usable = read_ca(&file("CA", "bundle.pem")).unwrap();
    assert_eq!(usable, alone, "what can be used of a bundle is used");
    for (name, says) in [
        ("nowhere", "cannot be read"),
        ("script", "holds no certificate"),
        ("key.pem", "holds no certificate"),
        ("broken.pem", "no certificate that can be used"),
        ("cut.pem", "broken PEM"),
    ] {
        let why = read_ca(&file("CA", name)).unwrap_err().to_string();
        assert!(
            why.starts_with("CA: ") && why.contains(says),
            "{name}: {why}"
        );
    }

    let identity = |certificate, key| {
        read_identity(&ClientFiles {
            certificate: file("CERT", certificate),
            key: file("KEY", key),
        })
    };
    assert!(identity("certificate.pem", "key.pem").is_ok());
    for (certificate, key, says) in [
        ("script", "key.pem", "CERT: "),
        ("certificate.pem", "script", "holds no private key"),
        (
            "certificate.pem",
            "other.pem",
            "is not the key of the certificate",
        ),
    ] {
        let why = identity(certificate, key).err().unwrap().to_string();
        assert!(why.contains(says), "{certificate} {key}: {why}");
    }
}
