//! The saved views of the console: one hash for each owner, with the names as fields.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::connection::{RedisConnection, millis};
use super::keys;
use crate::failure::Failure;
use crate::ports::views::{SavedView, VIEWS_AT_MOST, Views};

/// Who does not open the console for so long has left.
const KEPT: Duration = Duration::from_hours(24 * 365);

/// `KEYS[1]` is the hash. `ARGV`: name, path, how many there may be, ms until it expires. What another program wrote is dropped.
const SAVE: &str = r"
local found = redis.call('TYPE', KEYS[1]).ok
if found ~= 'hash' and found ~= 'none' then redis.call('DEL', KEYS[1]) end
local is_new = not redis.call('HGET', KEYS[1], ARGV[1])
if is_new and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
";

pub(crate) struct RedisViews {
    connection: Arc<RedisConnection>,
    save: Script,
}

impl RedisViews {
    pub(crate) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            save: Script::new(SAVE),
        }
    }
}

#[async_trait]
impl Views for RedisViews {
    async fn list(&self, owner: &str) -> Result<Vec<SavedView>, Failure> {
        let key = keys::views(owner);
        let mut command = redis::cmd("HGETALL");
        command.arg(&key);
        let stored: BTreeMap<String, String> = self.connection.ask(&command).await?;
        if !stored.is_empty() {
            let mut command = redis::cmd("PEXPIRE");
            command.arg(&key).arg(millis(KEPT));
            let _is_there: u64 = self.connection.ask(&command).await?;
        }
        let views = stored.into_iter();
        Ok(views.map(|(name, path)| SavedView { name, path }).collect())
    }

    async fn save(&self, owner: &str, view: &SavedView) -> Result<bool, Failure> {
        let mut script = self.save.prepare_invoke();
        script
            .key(keys::views(owner))
            .arg(&view.name)
            .arg(&view.path)
            .arg(VIEWS_AT_MOST)
            .arg(millis(KEPT));
        let saved: u64 = self.connection.run(&script).await?;
        Ok(saved == 1)
    }

    async fn remove(&self, owner: &str, name: &str) -> Result<(), Failure> {
        let mut command = redis::cmd("HDEL");
        command.arg(keys::views(owner)).arg(name);
        let _was_there: u64 = self.connection.ask(&command).await?;
        Ok(())
    }
}
