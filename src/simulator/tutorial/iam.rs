//! Users of the IAM API.

use std::time::Instant;

use super::Ask;
use crate::simulator::reply::Reply;

pub(super) fn unknown_user() -> Reply {
    Reply::error(404, "not_found", "no such user")
}

pub(super) fn get(ask: &Ask<'_>) -> Reply {
    let people = ask.people();
    match people
        .users
        .get(&ask.call.id.to_lowercase())
        .filter(|user| user.exists())
    {
        Some(user) => Reply::json(200, user.iam.as_bytes()),
        None => unknown_user(),
    }
}

pub(super) fn delete(ask: &Ask<'_>) -> Reply {
    let mut people = ask.people();
    let Some(user) = people
        .users
        .get_mut(&ask.call.id.to_lowercase())
        .filter(|user| user.exists())
    else {
        return unknown_user();
    };
    let (status, code) = match &user.record.deletion {
        Some(answer) => (answer.status, answer.code.clone()),
        None => (204, None),
    };

    match status {
        204 => {
            user.gone_at = Some(Instant::now());
            Reply::empty(204).applied()
        }
        202 => {
            let first = user.gone_at.is_none();
            user.gone_at
                .get_or_insert(Instant::now() + ask.world.options.delete_delay);
            let reply = Reply::empty(202);
            if first { reply.applied() } else { reply }
        }
        405 => {
            let mut reply = Reply::error(405, "method_not_allowed", "deletion is not offered");
            reply.header("allow", "GET");
            reply
        }
        status => {
            let code = code.unwrap_or_else(|| "compliance_hold".to_owned());
            Reply::error(status, &code, "this user may not be deleted")
        }
    }
}
