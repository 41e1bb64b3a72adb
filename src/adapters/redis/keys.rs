//! The keys of Redis. The keys of one user share a hash tag, so that a cluster keeps them in one
//! slot and a script may use them together.

use super::hash_slots;
use crate::job::{BatchId, UserId};
use crate::ports::operations::{OperationId, OperationLine};
use crate::ports::{QuotaClass, Requester};

/// A sorted set of all batches, by the time when they were first seen.
pub(super) const BATCHES: &str = "offboarder:batches";
/// A sorted set of deletions, for the deletion rate limit.
pub(super) const DELETIONS: &str = "offboarder:deletions";
/// A sorted set of users whom messages named without an order, for their limit.
pub(super) const REQUESTS: &str = "offboarder:requests";
/// A sorted set of the users who still have access, where one script may use keys of all slots.
pub(super) const ACCESS: &str = "offboarder:access";
/// Written by a probe; expires at once.
pub(super) const PROBE: &str = "offboarder:process:probe";
/// A sorted set of the processes that reserved quota in the last seconds.
pub(super) const QUOTA_WORKERS: &str = "offboarder:{quota}:workers";
/// A sorted set of the open operations by time.
pub(super) const OPERATIONS_OPEN: &str = "offboarder:{operations}:open";
/// A sorted set of workers by the time of their last heartbeat.
pub(super) const WORKERS_SEEN: &str = "offboarder:{workers}:seen";
/// A hash of releases, and when an operator lifted their surges.
pub(super) const SURGES_LIFTED: &str = "offboarder:{surge}:lifted";
/// A hash of the last heartbeat of each worker.
pub(super) const WORKERS_SAID: &str = "offboarder:{workers}:said";

pub(super) fn checkpoint(user_id: UserId) -> String {
    format!("offboarder:{{{user_id}}}:checkpoint")
}

/// The pattern of all [`checkpoint`]s.
pub(super) const CHECKPOINTS: &str = "offboarder:{*}:checkpoint";

/// The user of a key of [`checkpoint`].
pub(super) fn user_of(key: &[u8]) -> Option<UserId> {
    let key = std::str::from_utf8(key).ok()?;
    let id = key
        .strip_prefix("offboarder:{")?
        .strip_suffix("}:checkpoint")?;
    id.parse().ok()
}

/// The users of one slot of a cluster who still have access.
pub(super) fn access_in(slot: u16) -> String {
    format!("offboarder:{{{}}}:access", hash_slots::tag(slot))
}

pub(super) fn lease(user_id: UserId) -> String {
    format!("offboarder:{{{user_id}}}:lease")
}

/// Is there while a process lives; see [`super::presence`].
pub(super) fn presence(name: &str) -> String {
    format!("offboarder:process:{name}")
}

pub(super) fn holds(user_id: UserId) -> String {
    format!("offboarder:{{{user_id}}}:holds")
}

pub(super) fn replay(dead_letter: &str) -> String {
    format!("offboarder:replay:{dead_letter}")
}

pub(super) fn group_replay(fingerprint: &str) -> String {
    format!("offboarder:replay-of:{fingerprint}")
}

/// Who works on an operation of this line.
pub(super) fn operation_lease(line: OperationLine) -> String {
    format!("offboarder:{{operations}}:lease:{}", line.as_str())
}

pub(super) fn operation(id: OperationId) -> String {
    format!("offboarder:{{operations}}:of:{id}")
}

pub(super) fn operation_results(id: OperationId) -> String {
    format!("offboarder:{{operations}}:results:{id}")
}

/// Before when no call of this class is sent.
pub(super) fn quota(class: QuotaClass) -> String {
    format!("offboarder:{{quota}}:{}", class.as_str())
}

/// `slots`, `pace` or `refused`.
pub(super) fn quota_part(class: QuotaClass, part: &str) -> String {
    format!("offboarder:{{quota}}:{}:{part}", class.as_str())
}

/// The users whom a release was about to give up with one fault; `passed` instead of a fingerprint: who got through.
pub(super) fn surge(release: &str, step: &str, fingerprint: &str) -> String {
    format!("offboarder:{{surge}}:{release}:{step}:{fingerprint}")
}

/// A sorted set of the deletions without an approval that this person asked for.
pub(super) fn unapproved(requester: Requester) -> String {
    format!("offboarder:unapproved:{requester}")
}

/// A session of the console, by the SHA-256 of its secret.
pub(super) fn session(digest: &str) -> String {
    format!("offboarder:session:{digest}")
}

/// A hash of the saved views of somebody, by the SHA-256 of who it is.
pub(super) fn views(owner: &str) -> String {
    format!("offboarder:views:{owner}")
}

/// What the workers did in a minute since 1970.
pub(super) fn minute(minute: i64) -> String {
    format!("offboarder:{{series}}:{minute}")
}

pub(super) fn batch_users(batch: &BatchId) -> String {
    format!("offboarder:batch:{batch}:users")
}

/// A sorted set of the users of a batch who have nothing left to do, by the time of their end, and two
/// members `changes` and `announced`.
pub(super) fn batch_settled(batch: &BatchId) -> String {
    format!("offboarder:settled:{{{}}}", batch_users(batch))
}

/// The summaries of users whose checkpoints expire. The tag is the whole key of the batch's users,
/// so that a cluster keeps both in one slot.
pub(super) fn batch_ended(batch: &BatchId) -> String {
    format!("offboarder:ended:{{{}}}", batch_users(batch))
}

/// The columns of the input file, in the same slot.
pub(super) fn batch_columns(batch: &BatchId) -> String {
    format!("offboarder:columns:{{{}}}", batch_users(batch))
}
