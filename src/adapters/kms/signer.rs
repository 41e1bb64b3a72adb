//! The client of AWS KMS, and the two calls that it makes.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::get_public_key::GetPublicKeyOutput;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};

use super::error::KmsError;
use super::public_key::ed25519;
use crate::adapters::aws;
use crate::address::PemFile;
use crate::failure::Failure;
use crate::ports::NoteSigner;
use crate::signed_note::{KeyName, VerifierKey};

/// Longest wait for one attempt of a call, which takes KMS some milliseconds.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Longest wait for all attempts.
const OPERATION: Duration = Duration::from_secs(15);

/// A key in AWS KMS. Credentials, region, endpoint and proxy are those of the usual AWS sources, as for the archive.
pub(crate) struct KmsSigner {
    client: Client,
    key: String,
    verifier: VerifierKey,
}

impl KmsSigner {
    /// Asks KMS for the public key. `key` is an ID, an ARN or an alias; `ca` is trusted as well as the system's.
    pub(crate) async fn connect(
        key: &str,
        name: KeyName,
        ca: Option<&PemFile>,
    ) -> Result<Self, KmsError> {
        let shared = aws::load(ca, |timeouts| {
            timeouts
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(OPERATION)
        });
        let client = Client::new(&shared.await.map_err(KmsError::CaFile)?);
        let what = format!("read the public key of {key}");
        let asked = client.get_public_key().key_id(key).send().await;
        let answer = asked.map_err(|error| KmsError::of(&error, what.clone()))?;
        let public = public_of(&answer).map_err(|why| KmsError::Unfit { what, why })?;
        Ok(Self {
            client,
            key: key.to_owned(),
            verifier: VerifierKey::new(name, public),
        })
    }

    fn odd(&self, said: &str) -> KmsError {
        KmsError::Rejected {
            what: self.signing(),
            said: said.to_owned(),
        }
    }

    fn signing(&self) -> String {
        format!("sign with {}", self.key)
    }
}

/// The error continues a sentence.
fn public_of(answer: &GetPublicKeyOutput) -> Result<[u8; 32], String> {
    let spec = answer.key_spec().map_or("UNKNOWN", KeySpec::as_str);
    let usage = answer.key_usage().map_or("UNKNOWN", KeyUsageType::as_str);
    if answer.key_spec() != Some(&KeySpec::EccNistEdwards25519)
        || answer.key_usage() != Some(&KeyUsageType::SignVerify)
    {
        return Err(format!("the key is {spec} for {usage}"));
    }
    let der = answer.public_key().map(Blob::as_ref).unwrap_or_default();
    ed25519(der).ok_or_else(|| "its public key is no SubjectPublicKeyInfo of Ed25519".to_owned())
}

#[async_trait]
impl NoteSigner for KmsSigner {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], Failure> {
        let call = self
            .client
            .sign()
            .key_id(&self.key)
            .message(Blob::new(message))
            .message_type(MessageType::Raw)
            .signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512);
        let answer = call.send().await;
        let answer = answer.map_err(|error| KmsError::of(&error, self.signing()))?;
        let signature = answer.signature().map(Blob::as_ref).unwrap_or_default();
        let signature = signature.try_into();
        Ok(signature.map_err(|_length| self.odd("the signature does not have 64 bytes"))?)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
