//! What the issuer of the tokens publishes. It is asked without a token, at the origin of the token's URL only.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::ACCEPT;

use super::api::Api;
use super::body::{read_capped, send_error};
use super::error::ApiError;

const MAX_BYTES: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(8);

impl Api {
    /// Status and body of a document that the issuer publishes at `path`.
    pub(crate) async fn ask_issuer(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(u16, Bytes), ApiError> {
        let tokens = &self.transport.tokens;
        let mut url = tokens.uri.clone();
        url.set_path(path);
        url.query_pairs_mut().clear().extend_pairs(query);

        let what = format!("GET {path}");
        let request = tokens.http.get(url).header(ACCEPT, "application/json");
        let answer = request
            .timeout(TIMEOUT)
            .send()
            .await
            .map_err(|error| send_error(&error, &what, false))?;
        let status = answer.status().as_u16();
        Ok((status, read_capped(answer, MAX_BYTES, &what).await?))
    }
}
