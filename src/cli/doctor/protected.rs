use super::super::compose;
use super::finding::Finding;
use crate::config::{Cxone, Settings};

const CHECK: &str = "protected list";

/// Whether the protected list can be understood, and what is in it.
pub(super) async fn look(settings: &Settings<Cxone>) -> Vec<Finding> {
    if settings.guard.protected.is_none() {
        return Vec::new();
    }
    vec![match compose::protected(settings).await {
        Ok(source) => match source.load().await {
            Ok(list) => Finding::well(CHECK, list.counts()),
            Err(failure) => Finding::failed(CHECK, failure),
        },
        Err(error) => Finding::bad(CHECK, error.to_string(), "fix the setting"),
    }]
}
