//! The state of the archive's hash, as text in a checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Sha256;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

use crate::failure::{Class, Code, Failure};

pub(super) fn save(sha256: &Sha256) -> String {
    STANDARD.encode(sha256.serialize())
}

fn parse(midstate: &str) -> Option<Sha256> {
    let bytes = STANDARD.decode(midstate).ok()?;
    let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).ok()?;
    Sha256::deserialize(&state).ok()
}

/// How many bytes a saved hash state has seen; `None` for a text that is not a state. A state is the eight words, then the
/// number of whole blocks, then the bytes since, which begin with their count.
pub(crate) fn hashed_bytes(midstate: &str) -> Option<u64> {
    let state = parse(midstate)?.serialize();
    let blocks = state.get(32..40)?.try_into().ok().map(u64::from_le_bytes)?;
    let pending = state.get(40)?;
    blocks.checked_mul(64)?.checked_add(u64::from(*pending))
}

pub(super) fn restore(midstate: &str) -> Result<Sha256, Failure> {
    parse(midstate).ok_or_else(|| {
        let text =
            "the saved hash state of an archive under way is damaged; the archive begins again";
        Failure::new(Class::Transient, Code::ArchiveUploadLost, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    #[test]
    fn a_hash_state_says_how_many_bytes_it_has_seen() {
        for bytes in [0_usize, 1, 63, 64, 65, 6 * 1024 * 1024 + 7] {
            let hash = Sha256::new().chain_update(vec![b'x'; bytes]);
            assert_eq!(hashed_bytes(&save(&hash)), Some(bytes as u64), "{bytes}");
        }
        assert_eq!(hashed_bytes("bm9uZQ=="), None);
    }
}
