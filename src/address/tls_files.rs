//! The files that a connection with TLS uses.

use std::path::PathBuf;

/// A PEM file that a setting names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PemFile {
    /// The setting's variable, for errors.
    pub setting: String,
    pub path: PathBuf,
}

/// What a connection trusts besides the system's CAs (for Redis, in place of them), and how it says who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// Of a private CA.
    pub ca: Option<PemFile>,
    pub client: Option<ClientFiles>,
}

/// A certificate of ours with its chain, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFiles {
    pub certificate: PemFile,
    pub key: PemFile,
}
