use super::super::compose_documents;
use super::finding::Finding;
use crate::config::Settings;

const CHECK: &str = "protected list";

/// Checks whether the protected list can be read, and counts its entries.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    if settings.guard.protected.is_none() {
        return Vec::new();
    }
    vec![match compose_documents::protected(settings).await {
        Ok(source) => match source.load().await {
            Ok(list) => Finding::good(CHECK, list.counts()),
            Err(failure) => Finding::failed(CHECK, failure),
        },
        Err(error) => Finding::bad(CHECK, error.to_string(), "fix the setting"),
    }]
}
