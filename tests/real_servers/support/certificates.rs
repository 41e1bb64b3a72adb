//! A private CA, and certificates of it, made by openssl.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::erlang;
use super::servers::Servers;

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// A CA that nobody knows.
pub(crate) struct Authority {
    directory: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        authority.openssl(&format!(
            "req -x509 {KEY} -keyout ca.key -out ca.pem -subj /CN=nobody-knows -days 2"
        ));
        authority.certify("localhost", "localhost");
        authority
    }

    /// Makes `NAME.pem` and `NAME.key` for this subject, or for several with commas between them.
    pub(crate) fn certify(&self, name: &str, subject: &str) {
        self.openssl(&format!(
            "req {KEY} -keyout {name}.key -out {name}.csr -subj /CN={subject}"
        ));
        let names = subject.replace(',', ",DNS:");
        let names = format!("subjectAltName=DNS:{names}\n");
        std::fs::write(self.path("names"), names).expect("a file");
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out {name}.pem"
        ));
    }

    /// The path of one of its files.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Lets a RabbitMQ listen with a certificate for `localhost`, and with further options of Erlang's `ssl`; the port.
    pub(crate) fn listen(&self, servers: &Servers, options: &str) -> u16 {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let file = |name| format!("\"{}\"", self.file(name));
        let own = format!(
            "{{cacertfile, {}}}, {{certfile, {}}}, {{keyfile, {}}}",
            file("ca.pem"),
            file("localhost.pem"),
            file("localhost.key")
        );
        erlang::listen_with_tls(servers, port, &format!("{own}{options}"));
        port
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let answer = command
            .args(arguments.split(' '))
            .current_dir(&self.directory)
            .output();
        let answer = answer.expect("openssl runs; deploy/local/install.sh brings it");
        assert!(
            answer.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&answer.stderr)
        );
    }
}
