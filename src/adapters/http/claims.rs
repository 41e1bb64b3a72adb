//! What a token says of whom it was issued to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The claims of a JWT (RFC 7519 section 3), unverified: the token is our own, from the endpoint that we trust. `None` for
/// a token of another form.
pub(super) fn claims_of(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let [_header, payload, _signature] = [parts.next()?, parts.next()?, parts.next()?];
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload)
        .ok()
        .filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_of_a_token_are_read_where_it_is_a_jwt() {
        let token = |payload: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload));
        let claims = claims_of(&token(r#"{"icAgentId":"17"}"#)).unwrap();
        assert_eq!(claims.get("icAgentId").and_then(Value::as_str), Some("17"));
        for other in ["", "opaque", "a.b", "a.%%.c"] {
            assert_eq!(claims_of(other), None, "{other}");
        }
        assert_eq!(claims_of(&token("[]")), None);
    }
}
