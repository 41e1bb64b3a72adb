//! A Redis and an S3 for this test process, each started by `deploy/local/servers.sh` at its first
//! use.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::address::RedisUrl;

static REDIS: LazyLock<Server> = LazyLock::new(|| Server::start("redis"));
static S3: LazyLock<Server> = LazyLock::new(|| Server::start("s3"));

/// Redis has 256 databases; each test takes one of its own.
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(0);

struct Server {
    settings: BTreeMap<String, String>,
    _script: Child,
    /// The script stops its server when this closes: at the end of this process, however it ends.
    _lifeline: ChildStdin,
}

fn script(command: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/local/servers.sh");
    let mut bash = Command::new(path);
    bash.arg(command).stdin(Stdio::null());
    bash
}

impl Server {
    fn start(name: &str) -> Self {
        let process = std::process::id();
        let state = std::env::temp_dir().join(format!("offboarder-conformance-{process}-{name}"));
        let mut child = script("run")
            .arg(&state)
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("deploy/local/servers.sh runs");
        let lifeline = child.stdin.take().expect("a pipe");

        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line from servers.sh");
        assert_eq!(
            line.trim(),
            "READY",
            "{name} did not start: see above; deploy/local/install.sh installs what is missing"
        );

        let printed = script("env").arg(&state).output().expect("it prints");
        let printed = String::from_utf8(printed.stdout).expect("text");
        let settings = printed.lines().filter_map(|line| {
            let setting = line.strip_prefix("export ")?.split_once('=')?;
            Some((
                setting.0.to_owned(),
                setting.1.trim_matches('\'').to_owned(),
            ))
        });
        Self {
            settings: settings.collect(),
            _script: child,
            _lifeline: lifeline,
        }
    }

    fn setting(&self, name: &str) -> &str {
        &self.settings[name]
    }
}

/// The URL of an empty database that no other test uses.
pub(super) fn redis_url() -> RedisUrl {
    let database = NEXT_DATABASE.fetch_add(1, Ordering::Relaxed);
    let url = REDIS.setting("OFFBOARDER_CHECKPOINTS_URL");
    let server = url.strip_suffix("/0").expect("a URL of database 0");
    RedisUrl::parse(&format!("{server}/{database}")).expect("a Redis URL")
}

pub(super) struct S3Server {
    pub(super) endpoint: String,
    pub(super) bucket: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

/// The S3 and its bucket, which has versions and Object Lock.
pub(super) fn s3() -> S3Server {
    let archive = S3.setting("OFFBOARDER_ARCHIVE_URL");
    let bucket = archive.trim_start_matches("s3://").split('/').next();
    S3Server {
        endpoint: S3.setting("AWS_ENDPOINT_URL_S3").to_owned(),
        bucket: bucket.expect("a bucket").to_owned(),
        access_key: S3.setting("AWS_ACCESS_KEY_ID").to_owned(),
        secret_key: S3.setting("AWS_SECRET_ACCESS_KEY").to_owned(),
    }
}
