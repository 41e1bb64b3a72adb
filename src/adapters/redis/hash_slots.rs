//! Hash slots of a cluster. A script may use keys of one slot only, and the keys of a user are in the slot of the user's
//! ID. An index that changes in the same script as the checkpoint is therefore one key for each slot there.

use std::sync::LazyLock;

use crate::job::UserId;

/// How many slots a cluster has.
pub(super) const SLOTS: u16 = 16_384;

/// For each slot, the smallest number that is in it as a hash tag.
static TAGS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut tags = vec![None; usize::from(SLOTS)];
    let mut missing = tags.len();
    let mut number: u32 = 0;
    while missing > 0 {
        let slot = usize::from(slot(number.to_string().as_bytes()));
        if let Some(tag @ None) = tags.get_mut(slot) {
            *tag = Some(number);
            missing -= 1;
        }
        number += 1;
    }
    tags.into_iter().map(Option::unwrap_or_default).collect()
});

/// The slot of the keys of a user.
pub(super) fn slot_of(user_id: UserId) -> u16 {
    slot(user_id.to_string().as_bytes())
}

/// A hash tag of this slot.
pub(super) fn tag(slot: u16) -> u32 {
    TAGS.get(usize::from(slot)).copied().unwrap_or_default()
}

/// CRC16 (XMODEM), as the specification of Redis Cluster has it.
fn slot(tag: &[u8]) -> u16 {
    let mut crc: u16 = 0;
    for byte in tag {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // `CLUSTER KEYSLOT` of Redis 7 answers these.
        for (key, expected) in [("123456789", 12_739), ("foo", 12_182), ("somekey", 11_058)] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn every_slot_has_a_tag_of_its_own() {
        for of_slot in 0..SLOTS {
            let tag = tag(of_slot).to_string();
            assert_eq!(slot(tag.as_bytes()), of_slot, "{tag}");
        }
    }
}
