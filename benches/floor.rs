//! The floor of `make bench-floor`: off-boards the users whose IDs come on standard input with the seven calls and two PUTs
//! that cannot be saved, 16 users at once, without queue, checkpoint, check or retry. Prints users a second and its own CPU.
//!
//! The tenant, its client and the archive store come from the settings of a worker; any fault ends it.

use std::error::Error;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Instant;

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client as S3;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

type Fault = Box<dyn Error + Send + Sync>;

/// A worker's default.
const AT_ONCE: usize = 16;
/// Of `/proc/self/stat`: user and system time, in ticks of 10 ms.
const CPU_FIELDS: [usize; 2] = [11, 12];

struct Floor {
    http: Client,
    s3: S3,
    base: String,
    bucket: String,
    token: String,
}

impl Floor {
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Result<String, Fault> {
        let mut request = self
            .http
            .request(method, format!("{}/api/v2/{path}", self.base))
            .bearer_auth(&self.token)
            .header("accept", "*/*");
        if let Some((media_type, body)) = body {
            request = request.header("content-type", media_type).body(body);
        }
        let response = request.send().await.and_then(Response::error_for_status)?;
        Ok(response.text().await?)
    }

    async fn put(&self, name: String, body: String) -> Result<(), Fault> {
        let put = self.s3.put_object().bucket(&self.bucket).key(name);
        put.if_none_match("*")
            .body(ByteStream::from(body.into_bytes()))
            .send()
            .await?;
        Ok(())
    }

    async fn off_board(&self, user: &str) -> Result<(), Fault> {
        const JSON: &str = "application/json";
        let account = format!("iam/users/{user}");
        let routing = format!("routing/users/{user}/routingprofile");
        let scim = format!("scim/v2/Users/{user}");
        self.call(Method::GET, &account, None).await?;

        let mut profile: Value =
            serde_json::from_str(&self.call(Method::GET, &routing, None).await?)?;
        set(&mut profile, "queues", json!([]));
        let body = Some((JSON, profile.to_string()));
        self.call(Method::PATCH, &routing, body).await?;

        let mut person: Value = serde_json::from_str(&self.call(Method::GET, &scim, None).await?)?;
        set(&mut person, "active", json!(false));
        let body = Some(("application/scim+json", person.to_string()));
        self.call(Method::PUT, &scim, body).await?;

        let query = json!({ "dateFrom": "2020-01-01T00:00:00Z", "dateTo": "2100-01-01T00:00:00Z", "pageSize": 500,
            "filter": { "participantId": user } });
        let query = Some((JSON, query.to_string()));
        let archive = self
            .call(Method::POST, "conversations/details/query", query)
            .await?;
        self.put(format!("floor/{user}.json"), archive).await?;

        self.call(Method::DELETE, &account, None).await?;
        let manifest = json!({ "userId": user, "status": "DELETED" }).to_string();
        self.put(format!("floor/{user}_audit.json"), manifest).await
    }
}

fn set(document: &mut Value, member: &str, value: Value) {
    if let Some(document) = document.as_object_mut() {
        document.insert(member.to_owned(), value);
    }
}

fn setting(name: &str) -> Result<String, Fault> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

async fn floor() -> Result<Floor, Fault> {
    let base = setting("OFFBOARDER_CXONE_BASE_URI")?;
    let archive = setting("OFFBOARDER_ARCHIVE_URL")?;
    let bucket = archive.trim_start_matches("s3://").split('/').next();
    let http = Client::new();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        setting("OFFBOARDER_CXONE_CLIENT_ID")?,
        setting("OFFBOARDER_CXONE_CLIENT_SECRET")?
    );
    let answer = http
        .post(format!("{base}/api/v2/oauth/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await?;
    let token: Value = serde_json::from_str(&answer.error_for_status()?.text().await?)?;
    let shared = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let s3 = S3::from_conf(Builder::from(&shared).force_path_style(true).build());

    Ok(Floor {
        http,
        s3,
        base,
        bucket: bucket.unwrap_or_default().to_owned(),
        token: token
            .pointer("/access_token")
            .and_then(Value::as_str)
            .ok_or("the tenant gave no token")?
            .to_owned(),
    })
}

/// Seconds of CPU that this process has used.
fn cpu() -> Result<f64, Fault> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = CPU_FIELDS.map(|place| fields.get(place).and_then(|text| text.parse::<f64>().ok()));
    Ok(ticks.into_iter().flatten().sum::<f64>() / 100.0)
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let mut ids = String::new();
    std::io::stdin().read_to_string(&mut ids)?;
    let ids: Vec<String> = ids.split_whitespace().map(str::to_owned).collect();
    let users = u32::try_from(ids.len())?;
    let floor = Arc::new(floor().await?);

    let (begun, before) = (Instant::now(), cpu()?);
    stream::iter(ids)
        .map(|user| {
            let floor = Arc::clone(&floor);
            // On all cores, as a worker's users.
            tokio::spawn(async move { floor.off_board(&user).await })
        })
        .buffer_unordered(AT_ONCE)
        .map(|ended| ended?)
        .try_collect::<Vec<()>>()
        .await?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu()? - before);
    let users = f64::from(users);
    let said = json!({ "usersASecond": users / seconds, "cpuMs": 1000.0 * cpu / users });
    std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{said}\n"))?;
    Ok(())
}
