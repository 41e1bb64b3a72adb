//! A count of surges for tests without Redis.

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::ports::{SurgeCount, SurgeHit, Surges};

/// A count of surges that answers the same each time.
pub(crate) struct TestSurges {
    answer: Result<SurgeCount, Failure>,
    pub(crate) lifted: Mutex<u64>,
    /// What the worker said last that got through, by minutes.
    pub(crate) said: Mutex<Vec<(i64, u64)>>,
    pub(crate) asked: Mutex<u32>,
}

impl TestSurges {
    pub(crate) fn answering(answer: Result<SurgeCount, Failure>) -> Self {
        Self {
            answer,
            lifted: Mutex::default(),
            said: Mutex::default(),
            asked: Mutex::default(),
        }
    }
}

#[async_trait]
impl Surges for TestSurges {
    async fn count(&self, hit: &SurgeHit<'_>) -> Result<SurgeCount, Failure> {
        *self.asked.lock() += 1;
        *self.said.lock() = hit.passed.to_vec();
        let lifted = *self.lifted.lock();
        let count = self.answer.clone()?;
        Ok(SurgeCount { lifted, ..count })
    }

    async fn lifted(&self, _release: &str) -> Result<u64, Failure> {
        Ok(*self.lifted.lock())
    }

    async fn lift(&self, _release: &str) -> Result<(), Failure> {
        *self.lifted.lock() += 1;
        Ok(())
    }
}
