//! The ways in which companies give an AWS program its credentials.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::aws::{Aws, TOKEN};
use crate::support::world::World;
use crate::support::{list, trial};

/// A world without keys in the environment, and the access key and secret of its S3.
fn world(place: usize) -> (World, String, String) {
    let mut world = World::new(place, Vec::new());
    let [key, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| {
        let value = world.setting(name).to_owned();
        world.unset(name);
        value
    });
    (world, key, secret)
}

/// What `doctor` says of the archive store: whether it is well, and why.
fn archive_store(world: &World) -> (bool, String) {
    let report = world.run(&["doctor", "--output", "json"]).json();
    let mut findings = list(&report["findings"]).iter();
    let is_meant = |finding: &&Value| finding["check"] == "archive store";
    let found = findings.find(is_meant).expect("the row");
    (found["ok"] == true, found["detail"].to_string())
}

trial!(
    "a profile of AWS gets its credentials by a process or by SSO, and a session that is over is named",
    profiles
);

fn profiles(place: usize) {
    let (mut world, key, secret) = world(place);
    let credentials = json!({ "Version": 1, "AccessKeyId": key, "SecretAccessKey": secret });
    let credentials = world.write("credentials.json", &credentials.to_string());
    let config = format!(
        "[profile process]\ncredential_process = cat {credentials}\n\
         [profile sso]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n\
         [sso-session s]\nsso_region = us-east-1\nsso_start_url = https://nobody.awsapps.com/start\n"
    );
    let config = world.write("config", &config);
    world.set("AWS_CONFIG_FILE", &config);

    world.set("AWS_PROFILE", "process");
    let (ok, detail) = archive_store(&world);
    assert!(ok && detail.contains(&key), "{detail}");

    world.set("AWS_PROFILE", "sso");
    let home = world.directory.path().to_owned();
    world.set("HOME", home.to_str().expect("UTF-8"));
    let (ok, detail) = archive_store(&world);
    for says in [
        "no credentials (failed to load the cached SSO token)",
        "aws sso login",
    ] {
        assert!(!ok && detail.contains(says), "{detail}");
    }

    // What `aws sso login` leaves, under the SHA-1 of the session's name.
    let cache = home.join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).expect("a directory");
    let token = json!({ "accessToken": TOKEN, "expiresAt": "2099-01-01T00:00:00Z" });
    let file = cache.join("a0f1490a20d0211c997b44bc357e1972deab8ae3.json");
    std::fs::write(file, token.to_string()).expect("a file");
    let aws = Aws::giving(&key, &secret);
    world.set("AWS_ENDPOINT_URL_SSO", &aws.origin);
    let (ok, detail) = archive_store(&world);
    assert!(ok && detail.contains(&key), "{detail}");
}

trial!(
    "a web identity gets its credentials from STS, and an STS that cannot be reached is named",
    web_identity
);

fn web_identity(place: usize) {
    let (mut world, key, secret) = world(place);
    let token = world.write("token", TOKEN);
    world.set("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    world.set("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/offboarder");
    let aws = Aws::giving(&key, &secret);
    world.set("AWS_ENDPOINT_URL_STS", &aws.origin);
    let (ok, detail) = archive_store(&world);
    assert!(ok && detail.contains(&key), "{detail}");

    // Nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nowhere = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    world.set("AWS_ENDPOINT_URL_STS", &nowhere);
    let (ok, detail) = archive_store(&world);
    let says = "AWS cannot be reached for credentials";
    assert!(!ok && detail.contains(says), "{detail}");
}
