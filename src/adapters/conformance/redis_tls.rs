//! Redis over TLS with a private CA, where each side has to show a certificate: one server, a server that a sentinel with a
//! password names, and a node of a cluster.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::setup::user;
use crate::adapters::redis::{RedisCheckpoints, RedisConnection};
use crate::address::{ClientFiles, PemFile, RedisUrl, TlsFiles};
use crate::failure::{Code, Failure};
use crate::integrity::Integrity;
use crate::ports::{Checkpoints as _, Claim};
use crate::secret::Secret;

/// Ends with the servers when standard input closes: at the end of this process, however it ends.
const SCRIPT: &str = r#"
cd "$1" || exit 1
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
{
  openssl req -x509 $key -keyout ca.key -out ca.pem -subj /CN=nobody-knows -days 2
  openssl req $key -keyout key.pem -out request.pem -subj /CN=redis
  echo 'subjectAltName=IP:127.0.0.1' >names
  openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem
} 2>openssl.log || exit 1
tls='--tls-cert-file cert.pem --tls-key-file key.pem --tls-ca-cert-file ca.pem --tls-replication yes --tls-cluster yes'
common="--bind 127.0.0.1 --port 0 $tls --daemonize no"
redis-server $common --tls-port $2 --save '' --requirepass secret >single.log &
{
  echo "port 0"; echo "bind 127.0.0.1"; echo "tls-port $3"; echo "tls-replication yes"
  echo "tls-cert-file cert.pem"; echo "tls-key-file key.pem"; echo "tls-ca-cert-file ca.pem"
  echo "requirepass of-sentinels"
  echo "sentinel monitor main 127.0.0.1 $2 1"; echo "sentinel auth-pass main secret"
} >sentinel.conf
redis-server sentinel.conf --sentinel >sentinel.log &
redis-server $common --tls-port $4 --cluster-port $5 --cluster-enabled yes --cluster-config-file nodes --save '' >cluster.log &
redis-server --bind 127.0.0.1 --port $6 --save '' >plain.log &
cli="redis-cli --tls --cacert ca.pem --cert cert.pem --key key.pem"
until [ "$($cli -p $4 cluster addslotsrange 0 16383 2>&1)" = OK ]; do sleep 0.05; done
until $cli -p $4 cluster info | grep -q cluster_state:ok; do sleep 0.05; done
until $cli -p $3 -a of-sentinels sentinel masters 2>/dev/null | grep -A1 flags | grep -qx master; do sleep 0.05; done
until redis-cli -p $6 ping | grep -q PONG; do sleep 0.05; done
touch ready
cat
kill %2 %3 %4 %1
wait
"#;

const STARTS_WITHIN: Duration = Duration::from_secs(30);

struct Servers {
    single: u16,
    sentinel: u16,
    cluster: u16,
    plain: u16,
    directory: TempDir,
    _lifeline: ChildStdin,
    _script: Child,
}

impl Servers {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ports = [(); 5].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let ports = ports.map(|port| port.local_addr().unwrap().port());
        let mut script = Command::new("bash")
            .args(["-mc", SCRIPT, "bash"])
            .arg(directory.path())
            .args(ports.map(|port| port.to_string()))
            .stdin(Stdio::piped())
            .spawn()
            .expect("bash");
        let lifeline = script.stdin.take().expect("a pipe");

        let begun = Instant::now();
        while !directory.path().join("ready").exists() {
            assert!(begun.elapsed() < STARTS_WITHIN, "they did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let [single, sentinel, cluster, _bus, plain] = ports;
        Self {
            single,
            sentinel,
            cluster,
            plain,
            directory,
            _lifeline: lifeline,
            _script: script,
        }
    }

    fn pem(&self, kind: &str, name: &str) -> PemFile {
        PemFile {
            setting: format!("OFFBOARDER_CHECKPOINTS_{kind}_FILE"),
            path: self.directory.path().join(name),
        }
    }

    /// A URL with everything that its servers want.
    fn url(&self, text: &str) -> RedisUrl {
        let mut url = RedisUrl::parse(text).unwrap();
        url.beside.tls = TlsFiles {
            ca: Some(self.pem("CA", "ca.pem")),
            client: Some(ClientFiles {
                certificate: self.pem("CLIENT_CERT", "cert.pem"),
                key: self.pem("CLIENT_KEY", "key.pem"),
            }),
        };
        if text.contains("sentinel") {
            url.beside.sentinel_password = Some(Secret::new("of-sentinels"));
        }
        url
    }

    fn urls(&self) -> [RedisUrl; 3] {
        [
            self.url(&format!("rediss://:secret@127.0.0.1:{}/0", self.single)),
            self.url(&format!(
                "rediss+sentinel://:secret@127.0.0.1:{}/main/3",
                self.sentinel
            )),
            self.url(&format!("rediss+cluster://127.0.0.1:{}", self.cluster)),
        ]
    }
}

async fn claimed(url: &RedisUrl) -> Result<Claim, Failure> {
    let connection = RedisConnection::new(url).into();
    let lease = Duration::from_secs(30);
    RedisCheckpoints::new(connection, lease, None, Integrity::default())
        .claim(user())
        .await
}

/// The failure of a claim, which says this and shows no password.
async fn fails(url: &RedisUrl, says: &[&str]) {
    let failure = claimed(url).await.unwrap_err();
    let text = failure.to_string();
    assert!(says.iter().all(|word| text.contains(word)), "{url}: {text}");
    assert!(
        !text.contains("secret") && !text.contains("of-sentinels"),
        "{text}"
    );
    let codes = [Code::CheckpointsUnreachable, Code::CheckpointsRefused];
    assert!(codes.contains(&failure.code), "{failure:?}");
}

#[tokio::test]
async fn every_arrangement_of_redis_is_reached_over_tls_and_every_mistake_is_named() {
    let servers = Servers::start().await;
    for url in servers.urls() {
        let claim = claimed(&url).await;
        assert!(
            matches!(claim, Ok(Claim::Granted { .. })),
            "{url}: {claim:?}"
        );

        let mut nobody = url.clone();
        nobody.beside.tls.client = None;
        fails(&nobody, &["wants a client certificate", "CLIENT_CERT_FILE"]).await;
        let mut unknown = url.clone();
        unknown.beside.tls.ca = None;
        fails(
            &unknown,
            &["unknown issuer", "OFFBOARDER_CHECKPOINTS_CA_FILE"],
        )
        .await;

        let plain = url
            .to_string()
            .replace("rediss", "redis")
            .replace("***", "secret");
        fails(
            &RedisUrl::parse(&plain).unwrap(),
            &["this port wants TLS", "rediss"],
        )
        .await;
    }

    for scheme in ["rediss://", "rediss+cluster://"] {
        let url = servers.url(&format!("{scheme}127.0.0.1:{}", servers.plain));
        fails(&url, &["speaks no TLS", "redis"]).await;
    }
    let [single, sentinels, _cluster] = servers.urls();
    let mut wrong = sentinels.clone();
    wrong.beside.sentinel_password = Some(Secret::new("wrong-secret"));
    fails(&wrong, &["OFFBOARDER_CHECKPOINTS_SENTINEL_PASSWORD"]).await;
    let mut none = sentinels;
    none.beside.sentinel_password = None;
    fails(&none, &["OFFBOARDER_CHECKPOINTS_SENTINEL_PASSWORD"]).await;
    let of_cluster = servers.url(&format!("rediss://127.0.0.1:{}/5", servers.cluster));
    fails(&of_cluster, &["node of a cluster", "redis+cluster://"]).await;

    let mut empty = single.clone();
    empty.beside.tls.ca = Some(servers.pem("CA", "names"));
    fails(
        &empty,
        &["OFFBOARDER_CHECKPOINTS_CA_FILE", "holds no certificate"],
    )
    .await;
    let mut absent = single;
    absent.beside.tls.client = Some(ClientFiles {
        certificate: servers.pem("CLIENT_CERT", "absent.pem"),
        key: servers.pem("CLIENT_KEY", "key.pem"),
    });
    fails(
        &absent,
        &["OFFBOARDER_CHECKPOINTS_CLIENT_CERT_FILE", "cannot be read"],
    )
    .await;
}
