//! AWS' services that give credentials, as far as the SDK asks them: STS for a web identity, and SSO.

use std::net::Ipv4Addr;

use axum::extract::Form;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::runtime::{block_on, runtime};

/// What a client has to show.
pub(crate) const TOKEN: &str = "the-token-of-the-client";
/// Long after any test.
const EXPIRES: &str = "2099-01-01T00:00:00Z";
const EXPIRES_MS: u64 = 4_070_908_800_000;

/// Gives one access key. Ends with its owner.
pub(crate) struct Aws {
    pub(crate) origin: String,
    serving: JoinHandle<()>,
}

impl Aws {
    pub(crate) fn giving(key: &str, secret: &str) -> Self {
        let listener = block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let of_sts = web_identity(key, secret);
        let of_sso = json!({ "roleCredentials": {
            "accessKeyId": key, "secretAccessKey": secret, "sessionToken": "", "expiration": EXPIRES_MS,
        } });
        let sts = async move |Form(asked): Form<BTreeMap<String, String>>| {
            assert_eq!(asked["Action"], "AssumeRoleWithWebIdentity");
            assert_eq!(asked["WebIdentityToken"], TOKEN);
            of_sts
        };
        let sso = async move |headers: HeaderMap| -> Json<Value> {
            assert_eq!(headers["x-amz-sso_bearer_token"], TOKEN);
            Json(of_sso)
        };
        let routes = Router::new()
            .route("/", post(sts))
            .route("/federation/credentials", get(sso));
        let serving = runtime().spawn(async move {
            axum::serve(listener, routes).await.expect("it serves");
        });
        Self {
            origin: format!("http://{address}"),
            serving,
        }
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn web_identity(key: &str, secret: &str) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken></SessionToken>\
         <Expiration>{EXPIRES}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>"
    )
}
