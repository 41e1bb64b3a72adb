//! Who sent a request, and what they may do.

use axum::http::StatusCode;

use super::problem::Problem;
use crate::people::{Permission, Person, Role};
use crate::ports::operations::OperationKind;
use crate::telemetry::metrics;

/// How a caller was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignIn {
    OperatorToken,
    ReadToken,
    /// Only this machine can reach the worker.
    Loopback,
    /// A person's key.
    Key,
    /// The JWT of a proxy that signed the person in.
    Proxy,
    /// A cookie of the console.
    Session,
    /// A cookie of the console that only this worker accepts, given while Redis was away.
    WorkerSession,
}

impl SignIn {
    /// For the audit log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::OperatorToken => "operator token",
            Self::ReadToken => "read token",
            Self::Loopback => "loopback, no token",
            Self::Key => "key",
            Self::Proxy => "proxy",
            Self::Session => "session",
            Self::WorkerSession => "session of one worker",
        }
    }
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) sign_in: SignIn,
    /// The person; `None` for those who share a token.
    pub(super) name: Option<String>,
    pub(super) role: Role,
    /// Without people, a token and this machine may do all that the API has.
    is_limited: bool,
}

impl Caller {
    pub(super) fn person(person: &Person, sign_in: SignIn) -> Self {
        Self {
            sign_in,
            name: Some(person.name.clone()),
            role: person.role,
            is_limited: true,
        }
    }

    /// The holder of a token. Where there are people, a token has the role of its name, so that it is no way around them.
    pub(super) const fn token(sign_in: SignIn, people_are_set: bool) -> Self {
        Self {
            role: match sign_in {
                SignIn::ReadToken => Role::Reader,
                SignIn::OperatorToken
                | SignIn::Loopback
                | SignIn::Key
                | SignIn::Proxy
                | SignIn::Session
                | SignIn::WorkerSession => Role::Operator,
            },
            sign_in,
            name: None,
            is_limited: people_are_set,
        }
    }

    /// The role in one word.
    pub(super) const fn role_word(&self) -> &'static str {
        match self.sign_in {
            SignIn::Loopback => "local",
            SignIn::OperatorToken
            | SignIn::ReadToken
            | SignIn::Key
            | SignIn::Proxy
            | SignIn::Session
            | SignIn::WorkerSession => self.role.as_str(),
        }
    }

    /// Whether this caller may do it.
    pub(super) fn may(&self, permission: Permission) -> bool {
        match self.sign_in {
            // Nobody can end such a session elsewhere, so it changes nothing that a resume does not undo.
            SignIn::WorkerSession => {
                matches!(
                    permission,
                    Permission::Look | Permission::LookBodies | Permission::Pause
                ) && self.role.may(permission)
            }
            _ if self.is_limited => self.role.may(permission),
            SignIn::ReadToken => matches!(permission, Permission::Look | Permission::LookBodies),
            SignIn::OperatorToken
            | SignIn::Loopback
            | SignIn::Key
            | SignIn::Proxy
            | SignIn::Session => true,
        }
    }

    /// All that this caller may do.
    pub(super) fn permissions(&self) -> Vec<Permission> {
        let all = Permission::ALL.into_iter();
        all.filter(|permission| self.may(*permission)).collect()
    }

    /// Refuses what the caller may not do; logs and counts it.
    pub(super) fn demand(&self, permission: Permission) -> Result<(), Problem> {
        if self.may(permission) {
            return Ok(());
        }
        metrics::denied(permission);
        tracing::warn!(
            who = self.name.as_deref().unwrap_or(self.sign_in.as_str()),
            signed_in_by = self.sign_in.as_str(),
            role = self.role.as_str(),
            permission = permission.as_str(),
            "somebody asked the admin API for what the role does not permit"
        );
        let detail = if self.role.may(permission) {
            "this session began while Redis did not answer, so it only reads and pauses; sign in again when Redis answers"
                .to_owned()
        } else {
            self.role.refusal(permission)
        };
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
    }

    /// Who makes a change: the person, or the name that the holder of a token gives.
    pub(super) fn signer(&self, given: Option<&str>) -> Result<String, Problem> {
        match (&self.name, given) {
            (Some(name), Some(given)) if !given.eq_ignore_ascii_case(name) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unprocessable",
                format!("`who` is not {name}, who sent this request; leave it out"),
            )),
            (Some(name), _) => Ok(name.clone()),
            (None, Some(given)) => Ok(given.to_owned()),
            // The document cannot say that `who` depends on the credentials, so it is not the body that is refused.
            (None, None) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "a token does not say who makes the change: give `who`, or use a person's key",
            )),
        }
    }
}

/// What beginning an operation needs. A verify only reads.
pub(super) const fn permission_of(kind: OperationKind) -> Permission {
    match kind {
        OperationKind::Replay => Permission::Replay,
        OperationKind::Discard => Permission::Discard,
        OperationKind::Verify => Permission::Look,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada(role: Role) -> Caller {
        let person = Person::keyless("ada", role);
        Caller::person(&person, SignIn::Key)
    }

    #[test]
    fn a_person_may_do_what_the_role_permits_and_the_refusal_names_what_is_missing() {
        for role in Role::ALL {
            for permission in Permission::ALL {
                let allowed = ada(role).demand(permission).is_ok();
                assert_eq!(allowed, role.may(permission), "{role} {permission:?}");
            }
        }
        let refused = ada(Role::Operator)
            .demand(Permission::LiftHold)
            .unwrap_err();
        let refused = serde_json::to_value(refused).unwrap();
        assert_eq!(refused["status"], 403);
        assert_eq!(refused["code"], "forbidden");
        assert_eq!(
            refused["detail"],
            "You may not lift holds: that needs the permission lift_hold; your role is operator"
        );
    }

    #[test]
    fn tokens_may_do_all_that_they_could_unless_there_are_people() {
        let operator = |people| Caller::token(SignIn::OperatorToken, people);
        let reader = |people| Caller::token(SignIn::ReadToken, people);
        assert_eq!(operator(false).permissions(), Permission::ALL);
        assert_eq!(operator(true).permissions(), Role::Operator.permissions());
        assert_eq!(
            reader(false).permissions(),
            [Permission::Look, Permission::LookBodies]
        );
        assert_eq!(reader(true).permissions(), Role::Reader.permissions());
        let local = Caller::token(SignIn::Loopback, false);
        assert_eq!(local.permissions(), Permission::ALL);
        assert_eq!(local.role_word(), "local");
    }

    #[test]
    fn a_person_signs_with_the_own_name_and_a_token_with_a_given_one() {
        let person = ada(Role::Operator);
        assert_eq!(person.signer(None).unwrap(), "ada");
        assert_eq!(person.signer(Some("ADA")).unwrap(), "ada");
        assert!(person.signer(Some("bob")).is_err());
        let token = Caller::token(SignIn::OperatorToken, true);
        assert_eq!(token.signer(Some("bob")).unwrap(), "bob");
        let nobody = token.signer(None).unwrap_err();
        assert_eq!(serde_json::to_value(nobody).unwrap()["status"], 403);
    }
}
