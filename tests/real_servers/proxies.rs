//! Certificates of a private CA, and a proxy between us and the services.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use crate::support::certificates::Authority;
use crate::support::connect_proxy::{ConnectProxy, PASSWORD};
use crate::support::population::deletable;
use crate::support::process::{Process, command};
use crate::support::servers::Servers;
use crate::support::world::World;
use crate::support::{eventually, list, promises, repository, servers, trial};

const ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";
const ARCHIVE_CA: &str = "OFFBOARDER_ARCHIVE_CA_FILE";
const CXONE_CA: &str = "OFFBOARDER_CXONE_CA_FILE";
/// A name that the proxy alone knows.
const CORPORATE: &str = "s3.corp.example";
const BASE_URI: &str = "OFFBOARDER_CXONE_BASE_URI";

trial!(
    "S3 over https with a private CA works through a proxy, which loopback never passes, and what is wrong is named",
    private_ca_and_proxy
);

fn private_ca_and_proxy(place: usize) {
    let mut world = World::new(place, deletable(place, 2, 4));
    let authority = Authority::new();
    authority.certify("s3", &format!("localhost,{CORPORATE}"));
    let secure = SecureS3::start(&servers::shared(), &authority, world.directory.path());
    let plain = world.setting(ENDPOINT).to_owned();
    world.set(ENDPOINT, &secure.origin());

    says(&world, &["unknown issuer", ARCHIVE_CA]);
    world.set(ARCHIVE_CA, &authority.file("localhost.key"));
    says(&world, &[ARCHIVE_CA, "holds no certificate"]);
    world.set(ARCHIVE_CA, &authority.file("ca.pem"));
    world.set(ENDPOINT, &secure.origin().replace("https", "http"));
    says(&world, &["write https://"]);
    world.set(ENDPOINT, &plain.replace("http:", "https:"));
    says(&world, &["speaks no TLS"]);

    let proxy = ConnectProxy::to((Ipv4Addr::LOCALHOST, secure.port).into());
    let corporate = secure.origin().replace("localhost", CORPORATE);
    for variable in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        world.set(variable, &proxy.url());
    }
    world.set(ENDPOINT, &secure.origin());
    assert!(archive_store(&world).is_empty());
    assert_eq!(proxy.asked(), Vec::<String>::new(), "S3 on this machine");
    world.set(ENDPOINT, &corporate);
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    world.run(&[&["run"], &ids[..]].concat()).expect(0);
    promises::assert_manifests(&world, &servers::shared());
    let asked = proxy.asked();
    let to_s3 = format!("CONNECT {CORPORATE}:{} HTTP/1.1", secure.port);
    assert!(
        !asked.is_empty() && asked.iter().all(|line| *line == to_s3),
        "the calls of the simulator stay on this machine: {asked:#?}"
    );

    // A bundle for every AWS program takes the same way.
    world.unset(ARCHIVE_CA);
    world.set("AWS_CA_BUNDLE", &authority.file("ca.pem"));
    assert!(archive_store(&world).is_empty());
    assert!(proxy.asked().len() > asked.len(), "through the proxy");
    let away = format!("http://user:{PASSWORD}@127.0.0.1:9");
    world.set("HTTPS_PROXY", &away);
    says(&world, &["through the proxy http://127.0.0.1:9)"]);

    the_tenants_api(&mut world, &authority, &secure, &proxy);
}

fn the_tenants_api(
    world: &mut World,
    authority: &Authority,
    secure: &SecureS3,
    proxy: &ConnectProxy,
) {
    let credentials = |world: &World| failing(world, "CXone credentials");
    world.set("HTTPS_PROXY", &proxy.url());
    world.set(BASE_URI, &secure.origin());
    let found = credentials(world);
    assert!(
        found.contains("unknown issuer") && found.contains(CXONE_CA),
        "{found}"
    );
    world.set(CXONE_CA, &authority.file("ca.pem"));
    let found = credentials(world);
    // S3 is no token endpoint, and it was reached.
    assert!(found.contains("no token endpoint"), "{found}");

    world.set(BASE_URI, "https://api.nowhere.example");
    let found = credentials(world);
    let through = format!("through the proxy http://{}", proxy.address());
    assert!(
        found.contains(&through) && found.contains("not valid for name"),
        "{found}"
    );
    let wanted = "CONNECT api.nowhere.example:443 HTTP/1.1";
    assert!(proxy.asked().iter().any(|line| line == wanted));
}

/// What `doctor` says of the archive store; nothing if it is well.
fn archive_store(world: &World) -> String {
    failing(world, "archive store")
}

/// What `doctor` says of a check that fails. The password of the proxy is nowhere.
fn failing(world: &World, check: &str) -> String {
    let ended = world.run(&["doctor", "--output", "json"]);
    assert!(!ended.output.contains(PASSWORD), "{}", ended.output);
    assert!(!ended.errors.contains(PASSWORD), "{}", ended.errors);
    let report = ended.json();
    let is_meant =
        |finding: &&serde_json::Value| finding["check"] == check && finding["ok"] == false;
    let found = list(&report["findings"]).iter().filter(is_meant);
    let details: Vec<String> = found.map(|finding| finding["detail"].to_string()).collect();
    details.join("\n")
}

#[track_caller]
fn says(world: &World, texts: &[&str]) {
    let found = archive_store(world);
    for text in texts {
        assert!(found.contains(text), "{text} in: {found}");
    }
}

/// The S3 of the trials, also over https, by another process of SeaweedFS.
struct SecureS3 {
    port: u16,
    _process: Process,
}

impl SecureS3 {
    fn start(servers: &Servers, authority: &Authority, directory: &Path) -> Self {
        let [port, grpc] = [(); 2].map(|()| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            listener.local_addr().expect("an address").port()
        });
        let filer = servers.port("filer_port");
        let filer_grpc = servers.port("filer_grpc_port");
        let mut weed = command(&repository(".venv/bin/weed"));
        weed.current_dir(directory)
            .args(["-logtostderr=true", "s3", "-ip.bind=127.0.0.1"])
            .arg(format!("-filer=127.0.0.1:{filer}.{filer_grpc}"))
            .arg(format!("-port={port}"))
            .arg(format!("-port.grpc={grpc}"))
            .args(["-port.iceberg=0", "-port.lance=0", "-localSocket=s3.sock"])
            .arg("-config")
            .arg(servers.file("s3/identities.json"))
            .args(["-cert.file", &authority.file("s3.pem")])
            .args(["-key.file", &authority.file("s3.key")]);
        let mut process = Process::start(weed, directory, "weed");
        eventually(Duration::from_mins(1), || {
            let answered = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
            answered.map(drop).map_err(|error| {
                let ended = process.ended();
                format!("{error}; {ended:?}: {}", process.errors())
            })
        });
        Self {
            port,
            _process: process,
        }
    }

    fn origin(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}
