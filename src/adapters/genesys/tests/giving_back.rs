//! What is read before the first write, to be given back.

use super::*;
use crate::manifest::Possession;
use crate::ports::{GivenBack, Tenant as _};

#[tokio::test]
async fn a_list_that_the_api_does_not_have_is_unknown_and_not_empty() {
    let server = serve(|asked| {
        if asked.line.contains("/queues") {
            not_found()
        } else if asked.line.contains("/routingskills") {
            whole(&json!([]))
        } else {
            user("active", 6)
        }
    })
    .await;

    let read = server.client.possessions(user_id()).await.unwrap().unwrap();
    let kinds: Vec<&str> = read.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["queue_member", Possession::ACCOUNT]);

    let calls = &mut Vec::new();
    let given = server.client.give_back(user_id(), &read[0], calls).await;
    let expected = "the API did not show which the user had".to_owned();
    assert_eq!(given.unwrap(), GivenBack::Not(expected));
    assert_eq!(server.count("POST") + server.count("PATCH"), 0);
}
