//! Settings made into the small files that people edit: the protected list and the people file. An object of a bucket is
//! read with the same credentials as the archive. And into the witnesses of the evidence log.

use std::sync::Arc;

use super::exit::CliError;
use crate::adapters::directory::FileDocument;
use crate::adapters::http::{KeySetUrl, WitnessUrl};
use crate::adapters::s3::{S3Document, S3Options, S3Store};
use crate::address::{DocumentLocation, KeySetLocation};
use crate::clock::Clock;
use crate::config::{Archive, Evidence, Jwt, Settings};
use crate::evidence_log::Cosigner;
use crate::limits::ApprovalRule;
use crate::ports::{ArchiveStore, Document, KeySet, ObjectKey};
use crate::registers::{PeopleRegister, Place, ProtectedSource, rule_in_force as rule_in_force_in};

pub(super) fn witnesses(evidence: &Evidence) -> Result<Vec<Cosigner>, CliError> {
    let witnesses = evidence.witnesses.iter().map(|(key, url)| {
        let witness = WitnessUrl::new(url.clone()).map_err(CliError::bad)?;
        Ok(Cosigner::new(key.clone(), Arc::new(witness)))
    });
    witnesses.collect()
}

pub(super) async fn protected(settings: &Settings) -> Result<ProtectedSource, CliError> {
    Ok(match &settings.guard.protected {
        None => ProtectedSource::nobody(),
        Some(location) => ProtectedSource::at(place(settings, location).await?),
    })
}

/// `None` where people are not set.
pub(super) async fn people(settings: &Settings) -> Result<Option<PeopleRegister>, CliError> {
    Ok(match &settings.admin.people {
        None => None,
        Some(location) => Some(PeopleRegister::at(place(settings, location).await?)),
    })
}

/// The people file, to be changed.
pub(super) async fn people_document(
    settings: &Settings,
) -> Result<Option<Box<dyn Document>>, CliError> {
    Ok(match &settings.admin.people {
        None => None,
        Some(DocumentLocation::File(path)) => Some(Box::new(FileDocument::new(path.clone()))),
        Some(DocumentLocation::S3 { bucket, key }) => {
            let store = S3Store::connect(s3_reader(&settings.archive, bucket)).await?;
            let key = ObjectKey(key.clone());
            Some(Box::new(S3Document::new(store, key)))
        }
    })
}

/// The rule of approvals in force: the settings' own, or a stricter one that the archive store has.
pub(super) async fn rule_in_force(
    settings: &Settings,
    store: &Arc<dyn ArchiveStore>,
) -> Result<ApprovalRule, CliError> {
    let in_force = rule_in_force_in(&**store, settings.guard.approval).await?;
    Ok(in_force.rule)
}

/// The keys of a proxy that signs people in.
pub(super) fn key_set(jwt: &Jwt) -> Result<Box<dyn KeySet>, CliError> {
    Ok(match &jwt.keys {
        KeySetLocation::File(path) => Box::new(FileDocument::new(path.clone())),
        KeySetLocation::Url(url) => Box::new(KeySetUrl::new(url.clone())?),
    })
}

async fn place(settings: &Settings, location: &DocumentLocation) -> Result<Place, CliError> {
    Ok(match location {
        DocumentLocation::File(path) => Place::File(path.clone()),
        DocumentLocation::S3 { bucket, key } => Place::Object {
            store: Arc::new(S3Store::connect(s3_reader(&settings.archive, bucket)).await?),
            key: ObjectKey(key.clone()),
        },
    })
}

/// How to read a bucket of that S3.
pub(super) fn s3_reader<'a>(settings: &'a Archive, bucket: &'a str) -> S3Options<'a> {
    S3Options {
        bucket,
        prefix: "",
        force_path_style: settings.force_path_style,
        ca: settings.ca.as_ref(),
        retention: None,
        kms_key: None,
        clock: Clock::system(),
    }
}
