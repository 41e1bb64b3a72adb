use std::sync::{Arc, OnceLock};

use serde::Serialize;
use utoipa::ToSchema;

use crate::address::{RunbookUrl, WebOrigin};
use crate::operations::series::ClassRates;
use crate::signed_note::{KeyName, VerifierKey};

/// What the settings say about the deployment.
pub(crate) struct Deployment {
    /// `OFFBOARDER_ADMIN_NAME`.
    pub environment: Option<String>,
    /// Where browsers see the console: `OFFBOARDER_ADMIN_ORIGIN`.
    pub origin: Option<WebOrigin>,
    /// The quota of each class.
    pub rates: ClassRates,
    /// All of them, with secrets masked.
    pub settings: Vec<ShownSetting>,
    /// The evidence log, where it is on.
    pub evidence_log: Option<KnownLog>,
    /// The deployment's copy of the runbook.
    pub runbook: Option<RunbookUrl>,
}

/// What a worker knows of the evidence log.
pub(crate) struct KnownLog {
    pub origin: KeyName,
    /// Only a worker that writes the log knows them, and with a key in AWS KMS once KMS gave it.
    pub verifiers: Arc<OnceLock<Vec<VerifierKey>>>,
}

impl KnownLog {
    /// The current key comes first; none if this worker does not know them.
    pub(super) fn verifiers(&self) -> &[VerifierKey] {
        self.verifiers.get().map_or(&[], Vec::as_slice)
    }
}

/// A setting
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ShownSetting {
    /// The name of the variable.
    pub variable: String,
    /// The value in force; empty if there is none. A secret is masked.
    pub value: String,
    /// Where it comes from: a flag, `environment`, a file, `default`, or `not set`.
    pub source: String,
}
