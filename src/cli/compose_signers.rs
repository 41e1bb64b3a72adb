//! Settings made into what signs the evidence log. Only here the command line knows AWS KMS.

use std::sync::Arc;

#[cfg(feature = "kms")]
use crate::adapters::kms::KmsSigner;
#[cfg(not(feature = "kms"))]
use crate::address::NO_KMS;
use crate::config::{Archive, LogKeys};
use crate::evidence_log::Signers;
use crate::failure::Failure;
#[cfg(not(feature = "kms"))]
use crate::failure::{Class, Code};
use crate::ports::NoteSigner;
use crate::signed_note::KeyName;

/// A key in KMS is asked for its public half.
pub(super) async fn signers(
    keys: &LogKeys,
    origin: &KeyName,
    archive: &Archive,
) -> Result<Signers, Failure> {
    Ok(match keys {
        LogKeys::Local(keys) => Signers::Local(keys.clone()),
        LogKeys::Kms(key) => Signers::Remote(kms_signer(key, origin.clone(), archive).await?),
        LogKeys::Both(keys, key) => {
            let remote = kms_signer(key, origin.clone(), archive).await?;
            Signers::Both(keys.clone(), remote)
        }
    })
}

/// A key in KMS, under the name of a log. KMS is called with the credentials, region and proxy of the archive.
#[cfg(feature = "kms")]
pub(super) async fn kms_signer(
    key: &str,
    name: KeyName,
    archive: &Archive,
) -> Result<Arc<dyn NoteSigner>, Failure> {
    Ok(Arc::new(
        KmsSigner::connect(key, name, archive.ca.as_ref()).await?,
    ))
}

/// Settings and arguments are refused before.
#[cfg(not(feature = "kms"))]
pub(super) fn kms_signer(
    key: &str,
    _name: KeyName,
    _archive: &Archive,
) -> std::future::Ready<Result<Arc<dyn NoteSigner>, Failure>> {
    let text = format!("{key} {NO_KMS}");
    let refused = Failure::new(Class::Systemic, Code::EvidenceKeyUnusable, text);
    std::future::ready(Err(refused))
}
