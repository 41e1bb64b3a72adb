//! The answer of a claim, by position.

use redis::Value;

/// What the script of a claim answers: see [`super::scripts::CLAIM`].
pub(super) struct ClaimAnswer(pub(super) Vec<Value>);

impl ClaimAnswer {
    pub(super) fn number(&self, index: usize) -> u64 {
        match self.0.get(index) {
            Some(Value::Int(number)) => u64::try_from(*number).unwrap_or(0),
            _ => 0,
        }
    }

    /// How many claims just before this one were never released.
    pub(super) fn deaths(&self) -> u32 {
        u32::try_from(self.number(4).saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// The workers that took the user since the last save.
    pub(super) fn workers(&self) -> Vec<String> {
        let names = String::from_utf8_lossy(self.bytes(6));
        names.lines().map(str::to_owned).collect()
    }

    pub(super) fn bytes(&self, index: usize) -> &[u8] {
        match self.0.get(index) {
            Some(Value::BulkString(bytes)) => bytes,
            _ => &[],
        }
    }
}
