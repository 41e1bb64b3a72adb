//! The style sheet and the script. Their names have a hash of what is in them, so that browsers may keep them forever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

pub(super) const ROUTE: &str = "/assets/{name}";

/// A file of the console.
pub(super) struct Asset {
    /// What a page names.
    pub(super) path: String,
    kind: &'static str,
    text: &'static str,
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css", include_str!("console.css")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript", include_str!("console.js")));

impl Asset {
    fn new(ending: &str, kind: &'static str, text: &'static str) -> Self {
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        let short = digest.get(..16).unwrap_or(&digest);
        Self {
            path: format!("/assets/console-{short}.{ending}"),
            kind,
            text,
        }
    }

    fn is(&self, name: &str) -> bool {
        self.path.strip_prefix("/assets/") == Some(name)
    }
}

pub(super) async fn show(Path(name): Path<String>) -> Response {
    let Some(asset) = [&*STYLE, &*SCRIPT]
        .into_iter()
        .find(|asset| asset.is(&name))
    else {
        // A page of another release may name what this one does not have.
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = asset.text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_may_be_kept_forever_and_one_of_another_release_does_not_exist() {
        let name = STYLE.path.strip_prefix("/assets/").unwrap();
        let found = show(Path(name.to_owned())).await;
        let kept = found.headers().get(header::CACHE_CONTROL).unwrap();
        assert_eq!(kept, "public, max-age=31536000, immutable");
        let other = show(Path("console-0000.css".to_owned())).await;
        assert_eq!(other.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_script_is_short_and_nothing_needs_an_unsafe_policy() {
        assert!(SCRIPT.text.lines().count() <= 200);
        for forbidden in ["eval(", "new Function", "innerHTML", ".style", "http"] {
            assert!(!SCRIPT.text.contains(forbidden), "{forbidden}");
        }
        assert!(!STYLE.text.contains("url(") && !STYLE.text.contains("@import"));
    }
}
