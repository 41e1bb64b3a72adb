//! CRC-32C as S3 writes it: base64 of four bytes, the highest first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum, checksum_combine};

use super::Part;

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

pub(crate) fn crc32c(body: &[u8]) -> String {
    encode(checksum(ALGORITHM, body))
}

/// The checksums that a store may return for an object of these parts: the checksum of the
/// checksums, with the number of parts (`COMPOSITE`, the default of S3 for CRC-32C), or that of all
/// bytes (`FULL_OBJECT`). Both depend on every byte, since the checksums of the parts do. See
/// "Checking object integrity in Amazon S3", section "Full object and composite checksum types for
/// multipart uploads", in the S3 user guide. Empty where a part has no checksum.
pub(crate) fn crc32c_of_parts(parts: &[Part]) -> Vec<String> {
    let decoded: Option<Vec<[u8; 4]>> = parts
        .iter()
        .map(|part| STANDARD.decode(&part.crc32c).ok()?.try_into().ok())
        .collect();
    let Some(decoded) = decoded else {
        return Vec::new();
    };
    let composite = format!("{}-{}", crc32c(&decoded.concat()), parts.len());
    let whole = parts.iter().zip(&decoded).fold(0, |before, (part, crc)| {
        checksum_combine(
            ALGORITHM,
            before,
            u64::from(u32::from_be_bytes(*crc)),
            part.bytes,
        )
    });

    vec![composite, encode(whole)]
}

fn encode(crc: u64) -> String {
    STANDARD.encode(u32::try_from(crc).unwrap_or_default().to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_written_as_s3_writes_it() {
        // The check value of CRC-32C (Castagnoli) for "123456789" is e3069283.
        assert_eq!(
            crc32c(b"123456789"),
            STANDARD.encode([0xe3, 0x06, 0x92, 0x83])
        );
    }

    #[test]
    fn parts_have_the_checksum_of_their_checksums_or_of_all_bytes() {
        let part = |number, body: &[u8]| Part {
            number,
            bytes: body.len() as u64,
            etag: String::new(),
            crc32c: crc32c(body),
        };
        let parts = [part(1, b"1234"), part(2, b"56789")];
        let both = [
            STANDARD.decode(crc32c(b"1234")).unwrap(),
            STANDARD.decode(crc32c(b"56789")).unwrap(),
        ];
        let composite = format!("{}-2", crc32c(&both.concat()));
        assert_eq!(crc32c_of_parts(&parts), [composite, crc32c(b"123456789")]);
        let unknown = Part {
            crc32c: String::new(),
            ..part(2, b"56789")
        };
        assert!(
            crc32c_of_parts(&[part(1, b"1234"), unknown]).is_empty(),
            "a directory has no checksums"
        );
    }
}
