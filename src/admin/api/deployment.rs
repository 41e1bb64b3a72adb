use serde::Serialize;
use utoipa::ToSchema;

use crate::address::RunbookUrl;
use crate::operations::series::ClassRates;

/// What the settings say about the deployment.
pub(crate) struct Deployment {
    /// `OFFBOARDER_ADMIN_NAME`.
    pub environment: Option<String>,
    /// The quota of each class.
    pub rates: ClassRates,
    /// All of them, with secrets masked.
    pub settings: Vec<ShownSetting>,
    /// The deployment's copy of the runbook.
    pub runbook: Option<RunbookUrl>,
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
