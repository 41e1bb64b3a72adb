//! Objects that a person had removed for good are not missing.

use std::collections::BTreeSet;

use super::finding::{Kind, Verdict};
use super::user::Verifier;
use crate::failure::Failure;
use crate::registers::erasures;

impl Verifier {
    /// Takes the findings out that an erasure explains. It is read only where something is missing.
    pub(super) async fn excuse_erased(&self, verdict: &mut Verdict) -> Result<(), Failure> {
        const MISSING: [Kind; 5] = [
            Kind::NothingStored,
            Kind::Deleted,
            Kind::ManifestMissing,
            Kind::SealMissing,
            Kind::ArchiveMissing,
        ];
        let is_missing = |kind| MISSING.contains(&kind);
        if !verdict.findings.iter().any(|one| is_missing(one.kind)) {
            return Ok(());
        }
        let erasures = erasures(&*self.store, Some(verdict.user_id)).await?;
        let objects = erasures
            .values()
            .flatten()
            .flat_map(|(_record, erasure)| &erasure.objects);
        let erased: BTreeSet<String> = objects.map(|key| self.store.full_key(key)).collect();
        verdict
            .findings
            .retain(|one| !(is_missing(one.kind) && erased.contains(&one.object)));
        verdict.ok = verdict.findings.is_empty();
        Ok(())
    }
}
