//! Whose API the tenant has, and what differs between the APIs as data: defaults, bounds and words. What differs as
//! behaviour is in the adapters, one for each profile.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose API the tenant has. The words are those of `OFFBOARDER_CXONE_PROFILE`, of checkpoints, seals and manifests.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TenantProfile {
    /// `docs/contract/cxone-openapi.yaml`.
    #[default]
    Tutorial,
    /// NICE's published API: `docs/contract/cxone-published-openapi.yaml`.
    Cxone,
    /// Genesys Cloud: `docs/contract/genesys-openapi.yaml`.
    Genesys,
}

/// What differs between the APIs and is no behaviour.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Preset {
    /// The product, as its vendor calls it.
    pub vendor: &'static str,
    /// What the right to make a call is: `scope`, `permission`.
    pub right: &'static str,
    /// All calls share one quota, which is that of routing.
    pub one_budget: bool,
    /// Conversations a page.
    pub page_sizes: RangeInclusive<u16>,
    /// The API takes no query of all the history at once.
    pub needs_window: bool,
    /// Why no account is deleted, where the vendor offers no deletion.
    pub no_deletion: Option<&'static str>,
    /// Whether sessions and keys are ended besides the account.
    pub ends_sessions: bool,
    /// What is known of a user's conversations and is not in the archive.
    pub not_archived: &'static [&'static str],
}

const TUTORIAL: Preset = Preset {
    vendor: "CXone",
    right: "scope",
    one_budget: false,
    page_sizes: 1..=500,
    needs_window: false,
    no_deletion: None,
    ends_sessions: false,
    not_archived: &[],
};

const CXONE: Preset = Preset {
    vendor: "NiCE CXone",
    right: "permission",
    one_budget: true,
    page_sizes: 1..=10_000,
    needs_window: true,
    no_deletion: Some(
        "NiCE CXone deletes no employees: the account is deactivated, and its history stays with it",
    ),
    ends_sessions: true,
    not_archived: &[
        "contacts whose last agent was another one",
        "contacts that were still active",
        "transcripts, digital messages and e-mails",
        "recordings and their metadata",
    ],
};

const GENESYS: Preset = Preset {
    vendor: "Genesys Cloud",
    right: "permission",
    one_budget: true,
    page_sizes: 1..=100,
    needs_window: true,
    no_deletion: None,
    ends_sessions: true,
    not_archived: &[
        "attributes of participants",
        "recordings and their metadata",
        "transcripts",
        "evaluations",
    ],
};

impl TenantProfile {
    pub(crate) const ALL: [Self; 3] = [Self::Tutorial, Self::Cxone, Self::Genesys];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tutorial => "tutorial",
            Self::Cxone => "cxone",
            Self::Genesys => "genesys",
        }
    }

    pub(crate) const fn preset(self) -> &'static Preset {
        match self {
            Self::Tutorial => &TUTORIAL,
            Self::Cxone => &CXONE,
            Self::Genesys => &GENESYS,
        }
    }

    /// For stored forms, which do not name the profile that was the only one.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(crate) fn is_tutorial(&self) -> bool {
        *self == Self::Tutorial
    }
}

impl fmt::Display for TenantProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TenantProfile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or_else(|| "is no profile; give tutorial, cxone or genesys".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_one_word_in_settings_and_in_stored_forms() {
        for profile in TenantProfile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(profile));
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.as_str());
        }
        assert!("Genesys".parse::<TenantProfile>().is_err());
        assert!(TenantProfile::default().is_tutorial());
    }
}
