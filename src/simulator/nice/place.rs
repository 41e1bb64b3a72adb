//! Paths, and the operations of the document behind them.

use axum::http::Method;

/// Which of NICE's services answers; each has errors of its own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Auth,
    Acd,
    UserHub,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) service: Service,
    pub(super) operation: &'static str,
    /// Of ACD, e.g. 34.
    pub(super) version: u8,
    /// The ID of the user or agent.
    pub(super) id: String,
    /// The ID of the skill or group.
    pub(super) other: String,
}

const ACD_ROOT: &str = "/incontactapi/services/v";

/// Paths of ACD, and only they, may be written in upper and lower case.
fn below_acd(path: &str) -> Option<String> {
    let path = path.to_lowercase();
    path.strip_prefix(ACD_ROOT).map(str::to_owned)
}

pub(super) fn service(path: &str) -> Service {
    if below_acd(path).is_some() {
        Service::Acd
    } else if path.starts_with("/auth/") || path.starts_with("/.well-known/") {
        Service::Auth
    } else {
        Service::UserHub
    }
}

pub(super) fn place(method: &Method, path: &str) -> Option<Place> {
    match below_acd(path) {
        Some(path) => acd(method, &path),
        None => elsewhere(method, path),
    }
}

fn acd(method: &Method, path: &str) -> Option<Place> {
    let segments: Vec<&str> = path.split('/').collect();
    let version = segments.first()?.strip_suffix(".0")?;
    if version.len() != 2 {
        return None;
    }
    let version = version.parse().ok()?;
    let rest = segments.get(1..)?;
    let (operation, id, other) = match (method.as_str(), rest) {
        ("GET", ["apiversion"]) => ("get_api_version", "", ""),
        ("GET", ["permissions", id]) => ("list_permissions", *id, ""),
        ("GET", ["agents", id]) => ("get_agent", *id, ""),
        ("GET", ["agents", id, "skills"]) => ("list_skills", *id, ""),
        ("POST", ["agents", id, "skills"]) => ("add_skills", *id, ""),
        ("POST", ["groups", group, "agents"]) => ("add_to_group", "", *group),
        ("DELETE", ["skills", skill, "agents", id]) => ("remove_skill", *id, *skill),
        ("GET", ["agents", id, "groups"]) => ("list_groups", *id, ""),
        ("DELETE", ["groups", group, "agents"]) => ("remove_from_group", "", *group),
        ("POST", ["agents", id, "logout"]) => ("log_out_agent", *id, ""),
        ("GET", ["contacts", "completed"]) => ("list_completed_contacts", "", ""),
        _ => return None,
    };
    Some(Place {
        service: Service::Acd,
        operation,
        version,
        id: id.to_owned(),
        other: other.to_owned(),
    })
}

fn elsewhere(method: &Method, path: &str) -> Option<Place> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (operation, id) = match (method.as_str(), segments.as_slice()) {
        ("GET", [".well-known", "cxone-configuration"]) => ("discover_tenant", ""),
        ("GET", [".well-known", "openid-configuration"]) => ("discover_issuer", ""),
        ("POST", ["auth", "token"]) => ("get_token", ""),
        ("GET", ["user-management", "v3", "users", id]) => ("get_user", *id),
        ("POST", ["user-management", "v4", "teams", "search"]) => ("search_teams", ""),
        ("POST", ["user-management", "v1", "users", "deactivate"]) => ("deactivate_users", ""),
        ("POST", ["user-management", "v1", "users", id, "revive"]) => ("revive_user", *id),
        ("GET", ["access-key-management", "v1", "access-keys"]) => ("list_access_keys", ""),
        ("PATCH", ["access-key-management", "v1", "access-keys"]) => ("disable_access_key", ""),
        _ => return None,
    };
    Some(Place {
        service: service(path),
        operation,
        version: 0,
        id: id.to_owned(),
        other: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: &Method, path: &str) -> Option<&'static str> {
        place(method, path).map(|place| place.operation)
    }

    #[test]
    fn acd_takes_upper_and_lower_case_and_two_digits_of_version() {
        let found = place(
            &Method::DELETE,
            "/inContactAPI/Services/v34.0/Skills/7/agents/9",
        );
        let found = found.unwrap();
        assert_eq!(found.operation, "remove_skill");
        assert_eq!(found.version, 34);
        assert_eq!(found.id, "9");
        assert_eq!(found.other, "7");
        for path in [
            "v3.0/agents/9",
            "v34/agents/9",
            "v34.1/agents/9",
            "v34.0/agent/9",
        ] {
            let path = format!("/incontactapi/services/{path}");
            assert_eq!(operation(&Method::GET, &path), None, "{path}");
        }
    }

    #[test]
    fn user_hub_is_exact() {
        let path = "/user-management/v3/users/u";
        assert_eq!(operation(&Method::GET, path), Some("get_user"));
        assert_eq!(operation(&Method::DELETE, path), None);
        assert_eq!(operation(&Method::GET, "/User-management/v3/users/u"), None);
        assert_eq!(
            operation(&Method::GET, "/user-management/v3/users/u/"),
            None
        );
    }
}
