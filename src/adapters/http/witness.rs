//! A witness of the evidence log (c2sp.org/tlog-witness).

use async_trait::async_trait;
use reqwest::StatusCode;
use url::Url;

use super::body::read_capped;
use super::connection::connect;
use super::error::ApiError;
use crate::ports::{Witness, WitnessAnswer};

/// More than any answer has.
const MAX_BYTES: usize = 64 * 1024;

pub(crate) struct WitnessUrl {
    /// Of `add-checkpoint`.
    url: Url,
    client: reqwest::Client,
}

impl WitnessUrl {
    /// The submission prefix of the witness. The certificate is checked by the CAs of the system.
    pub(crate) fn new(mut prefix: Url) -> Result<Self, ApiError> {
        let client = connect(&prefix, None)?;
        let path = format!("{}/add-checkpoint", prefix.path().trim_end_matches('/'));
        prefix.set_path(&path);
        Ok(Self {
            url: prefix,
            client,
        })
    }
}

#[async_trait]
impl Witness for WitnessUrl {
    async fn add_checkpoint(&self, body: String) -> Result<WitnessAnswer, String> {
        let sent = self.client.post(self.url.clone()).body(body).send().await;
        let answer = sent.map_err(|error| error.without_url().to_string())?;
        let status = answer.status();
        let body = read_capped(answer, MAX_BYTES, "read the answer of a witness").await;
        let body = body.map_err(|error| error.to_string())?;
        let text = String::from_utf8(body.into()).map_err(|_utf8| "its answer is not UTF-8")?;
        let has = || text.trim_end().parse().map(WitnessAnswer::Has);
        match status {
            StatusCode::OK => Ok(WitnessAnswer::Cosigned(text)),
            StatusCode::CONFLICT => has().map_err(|_number| "it answers 409 without a size".into()),
            StatusCode::UNPROCESSABLE_ENTITY => Ok(WitnessAnswer::Contradicts),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Err(format!(
                "it answers {status}: it does not know the log, or not its key; give its operator the verifier key"
            )),
            _ => Err(format!("it answers {status}")),
        }
    }
}
