//! Files of TLS, for each service that has them.

use std::path::PathBuf;

use super::reader::Reader;
use super::setting::Setting;
use crate::address::{ClientFiles, PemFile, TlsFiles};

/// The settings that name the files of one service.
pub(super) struct TlsSettings {
    pub(super) ca: &'static Setting,
    /// Certificate and key of the client.
    pub(super) client: Option<(&'static Setting, &'static Setting)>,
}

impl TlsSettings {
    /// Reads no file. With `tls_by` unset the connection uses TLS; otherwise it says what would make it so, and files
    /// are refused: an operator who names one expects that the connection is encrypted.
    pub(super) fn read(&self, reader: &mut Reader<'_>, tls_by: Option<&str>) -> TlsFiles {
        self.read_for(reader, tls_by, tls_by)
    }

    /// The same, where another connection may use the CA.
    pub(super) fn read_for(
        &self,
        reader: &mut Reader<'_>,
        ca_by: Option<&str>,
        client_by: Option<&str>,
    ) -> TlsFiles {
        let ca = file(reader, self.ca);
        let client = self.client.and_then(|(certificate, key)| {
            let files = (file(reader, certificate), file(reader, key));
            match files {
                (Some(certificate), Some(key)) => Some(ClientFiles { certificate, key }),
                (Some(_), None) => {
                    let needs = format!("needs {} as well; set it", key.variable());
                    reader.refuse(certificate, &needs);
                    None
                }
                (None, Some(_)) => {
                    let needs = format!("needs {} as well; set it", certificate.variable());
                    reader.refuse(key, &needs);
                    None
                }
                (None, None) => None,
            }
        });

        let client_settings = self.client.map(|(certificate, key)| [certificate, key]);
        let client_settings = client_settings.into_iter().flatten();
        let each = client_settings.map(|setting| (setting, client_by));
        for (setting, tls_by) in [(self.ca, ca_by)].into_iter().chain(each) {
            if let Some(tls_by) = tls_by {
                let useless = format!("is of no use without TLS; {tls_by}, or remove this");
                reader.refuse(setting, &useless);
            }
        }
        TlsFiles { ca, client }
    }
}

fn file(reader: &mut Reader<'_>, setting: &Setting) -> Option<PemFile> {
    reader.get(setting, |path| {
        Ok(PemFile {
            setting: setting.variable(),
            path: PathBuf::from(path),
        })
    })
}
