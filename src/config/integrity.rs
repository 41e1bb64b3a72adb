//! `[integrity]`: the key that authenticates our own records.

use super::reader::Reader;
use super::table;
use crate::integrity::SHORTEST_KEY;
use crate::secret::Secret;

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Secret> {
    reader.get(&table::INTEGRITY_KEY, key)
}

fn key(text: &str) -> Result<Secret, String> {
    if text.len() < SHORTEST_KEY {
        return Err(format!(
            "has {} bytes, and a key has at least {SHORTEST_KEY}; make one with `openssl rand \
             -hex 32`",
            text.len()
        ));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_is_refused_and_not_repeated() {
        let refused = key("hunter2").unwrap_err();
        assert!(
            refused.contains("32") && !refused.contains("hunter2"),
            "{refused}"
        );
        assert!(key(&"k".repeat(SHORTEST_KEY)).is_ok());
    }
}
