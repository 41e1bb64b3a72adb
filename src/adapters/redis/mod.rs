//! Checkpoints, quotas, batches and heartbeats in Redis. One script, and so one round trip, for
//! each operation; all adapters of a process may share one [`RedisConnection`].

mod batch_begun;
mod batch_columns;
mod batch_list;
mod batches;
mod certificates;
mod checkpoints;
mod claim_answer;
mod connection;
mod counts;
mod error;
mod finished_batches;
mod hash_slots;
mod health;
mod holders;
mod keys;
mod leases;
mod link;
mod nodes;
mod noted_holds;
mod operation_scripts;
mod operations;
mod owed;
mod plain_port;
mod presence;
mod quota_scripts;
mod quotas;
mod replay_notes;
mod scan;
mod scripts;
mod sentinels;
mod surges;
mod usage;
mod users;
mod workers;

pub(crate) use batches::RedisBatches;
pub(crate) use checkpoints::RedisCheckpoints;
pub(crate) use connection::RedisConnection;
pub(crate) use health::RedisHealth;
pub(crate) use operations::RedisOperations;
pub(crate) use quotas::RedisQuotas;
pub(crate) use surges::RedisSurges;
pub(crate) use usage::RedisUsage;
pub(crate) use users::RedisUsers;
pub(crate) use workers::RedisWorkers;
