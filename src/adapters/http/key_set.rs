//! A JSON Web Key Set at a URL.

use async_trait::async_trait;
use reqwest::header::ACCEPT;
use url::Url;

use super::body::read_capped;
use super::connection::connect;
use super::error::ApiError;
use crate::ports::KeySet;

pub(crate) struct KeySetUrl {
    url: Url,
    client: reqwest::Client,
}

impl KeySetUrl {
    /// The certificate is checked by the CAs of the system.
    pub(crate) fn new(url: Url) -> Result<Self, ApiError> {
        let client = connect(&url, None)?;
        Ok(Self { url, client })
    }
}

#[async_trait]
impl KeySet for KeySetUrl {
    fn place(&self) -> String {
        self.url.to_string()
    }

    async fn read(&self, max_bytes: usize) -> Result<Vec<u8>, String> {
        let request = self.client.get(self.url.clone());
        let request = request.header(ACCEPT, "application/json");
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("it answers {status}"));
        }
        let body = read_capped(answer, max_bytes, "read the key set").await;
        body.map(Vec::from).map_err(|error| error.to_string())
    }
}
