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

    pub(super) fn bytes(&self, index: usize) -> &[u8] {
        match self.0.get(index) {
            Some(Value::BulkString(bytes)) => bytes,
            _ => &[],
        }
    }
}
