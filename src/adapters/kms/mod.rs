//! A key in AWS KMS that signs the evidence log. The private half never leaves KMS.

mod error;
mod public_key;
mod signer;

pub(crate) use signer::KmsSigner;
