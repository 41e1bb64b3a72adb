//! Pages of completed contacts.

use jiff::Timestamp;
use serde_json::json;

use super::server::{
    ACD_404, AGENT, CONTACTS, DELETED, NO_AGENT, NO_CONTACTS, NOT_FOUND, SPRING_403, Server, USER,
    ann, serve,
};
use crate::failure::{Class, Code, Failure, Reason};
use crate::ports::{Page, PageRequest, Tenant};

async fn page(server: &Server, link: Option<&str>) -> Result<Page, Failure> {
    let request = PageRequest {
        from: Timestamp::constant(0, 0),
        to: Timestamp::constant(86_400, 0),
        link,
        agent: None,
    };
    server.client.page(ann(), request).await
}

fn contacts(total: u64, ids: &[u64]) -> String {
    let rows: Vec<_> = ids
        .iter()
        .map(|id| json!({ "contactId": id, "agentId": 17 }))
        .collect();
    json!({ "totalRecords": total, "completedContacts": rows }).to_string()
}

#[tokio::test]
async fn a_window_is_asked_for_in_milliseconds_and_its_end_is_inclusive() {
    let server = serve().await;
    page(&server, None).await.unwrap();
    page(&server, Some("seen=2&total=3&agent=17&last=&ids="))
        .await
        .unwrap_err();
    let queries: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.what == CONTACTS)
        .map(|seen| seen.query)
        .collect();
    let query = |skip: u64| {
        format!(
            "startDate=1970-01-01T00%3A00%3A00.000Z&endDate=1970-01-01T23%3A59%3A59.999Z&agentId=17&\
             orderBy=contactStartDate+asc&skip={skip}&top=2"
        )
    };
    assert_eq!(queries, [query(0), query(2)]);
}

#[tokio::test]
async fn contacts_are_the_bytes_received_and_the_counts_are_in_the_link() {
    let server = serve().await;
    let first = "{\"completedContacts\" : [ {\"contactId\":1 ,\"agentId\":17, \"x\":1.10},\n{\"contactId\":2}],\"totalRecords\":3,\"_links\":{\"next\":\"https://evil.example/\"}}";
    let last = contacts(3, &[3]);
    server.answer(CONTACTS, &[(200, first), (200, &last)]);
    let one = page(&server, None).await.unwrap();
    let rows: Vec<&[u8]> = one.conversations().collect();
    assert_eq!(
        rows,
        [
            &b"{\"contactId\":1 ,\"agentId\":17, \"x\":1.10}"[..],
            b"{\"contactId\":2}"
        ]
    );
    let link = "seen=2&total=3&agent=17&last=&ids=6b86b273ff34fce1,d4735e3a265e16ee";
    assert_eq!(one.next(), Some(link));

    let two = page(&server, one.next()).await.unwrap();
    assert_eq!((two.conversations().count(), two.next()), (1, None));
    assert_eq!(server.count(AGENT), 1, "the number is read once");
}

#[tokio::test]
async fn a_window_without_contacts_is_empty() {
    let server = serve().await;
    for empty in [(204, ""), NO_CONTACTS, (200, r#"{"totalRecords":0}"#)] {
        server.answer(CONTACTS, &[empty]);
        let read = page(&server, None).await.unwrap();
        assert_eq!((read.conversations().count(), read.next()), (0, None));
    }
}

#[tokio::test]
async fn a_total_that_moves_or_is_not_reached_begins_the_archive_again() {
    let server = serve().await;
    let link = Some("seen=2&total=3&agent=17&last=&ids=");
    for (link, status, body) in [
        (link, 200, contacts(4, &[3])),
        (link, 200, contacts(2, &[])),
        (link, 200, contacts(3, &[])),
        (link, 200, contacts(3, &[3, 4])),
        (link, 204, String::new()),
        (None, 200, contacts(1, &[1, 2])),
        (None, 200, contacts(1, &[])),
        // Of another agent, e.g. in a forged checkpoint.
        (
            Some("seen=2&total=3&agent=18&last=&ids="),
            200,
            contacts(3, &[3]),
        ),
    ] {
        server.answer(CONTACTS, &[(status, &body)]);
        let error = page(&server, link).await.unwrap_err();
        let expected = (Class::Transient, Code::CxoneCursorLost);
        assert_eq!((error.class, error.code), expected, "{link:?} {body}");
    }
    server.forget();
    let error = page(&server, Some("https://evil.example/"))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::CxoneBadNextPage);
    assert!(server.calls().is_empty());
}

/// Contacts 1 and 2 fill a page; then the second of two that begin at the same time is passed over for the first.
#[tokio::test]
async fn a_contact_that_comes_twice_does_not_stand_for_another_one() {
    let server = serve().await;
    let at = |id: u64, second: u64| {
        json!({ "contactId": id, "agentId": 17,
            "contactStartDate": format!("1970-01-01T00:00:0{second}.000Z") })
    };
    let read = |rows: &[serde_json::Value]| {
        json!({ "totalRecords": 3, "completedContacts": rows }).to_string()
    };
    let first = read(&[at(1, 1), at(2, 2)]);
    for (second, is_whole) in [
        (at(3, 2), true),
        (at(3, 3), true),
        (at(2, 2), false),
        (at(3, 1), false),
    ] {
        server.answer(
            CONTACTS,
            &[(200, &first), (200, &read(std::slice::from_ref(&second)))],
        );
        let one = page(&server, None).await.unwrap();
        let two = page(&server, one.next()).await;
        assert_eq!(two.is_ok(), is_whole, "{second}");
        if let Err(error) = two {
            assert_eq!(error.code, Code::CxoneCursorLost, "{error}");
        }
    }

    let twice = read(&[at(1, 1), at(1, 1), at(2, 2)]);
    let back = read(&[at(1, 2), at(2, 1), at(3, 3)]);
    let nameless = read(&[at(1, 1), at(2, 1), json!({ "agentId": 17 })]);
    for (body, code) in [
        (twice, Code::CxoneCursorLost),
        (back, Code::CxoneUnreadable),
        (nameless, Code::CxoneUnreadable),
    ] {
        server.answer(CONTACTS, &[(200, &body)]);
        assert_eq!(page(&server, None).await.unwrap_err().code, code, "{body}");
    }
}

#[tokio::test]
async fn an_agent_of_before_is_not_an_empty_history_now() {
    let server = serve().await;
    let of = |agent: Option<u64>| PageRequest {
        from: Timestamp::constant(0, 0),
        to: Timestamp::constant(86_400, 0),
        link: None,
        agent,
    };
    assert_eq!(
        server
            .client
            .agent_of(ann(), &mut Vec::new())
            .await
            .unwrap(),
        Some(17)
    );
    server.client.page(ann(), of(Some(17))).await.unwrap();

    // Another process, to which no part names the agent.
    let later = serve().await;
    later.answer(AGENT, &[ACD_404]).answer(USER, &[NO_AGENT]);
    later.client.page(ann(), of(None)).await.unwrap();
    for gone in [NO_AGENT, NOT_FOUND] {
        later.answer(USER, &[gone]);
        let error = later.client.page(ann(), of(Some(17))).await.unwrap_err();
        assert_eq!(error.class, Class::Permanent(Reason::ApiRejected));
        assert!(error.text.contains("was agent 17"), "{error}");

        let ended = later
            .client
            .end_access(ann(), Some(17), &mut Vec::new())
            .await;
        assert_eq!(ended.unwrap_err().code, Code::CxoneRejected);
    }
    assert_eq!(later.count(CONTACTS), 0);

    let other = serve().await;
    let error = other.client.page(ann(), of(Some(18))).await.unwrap_err();
    assert!(error.text.contains("it is agent 17"), "{error}");
}

#[tokio::test]
async fn what_is_not_a_page_is_an_error_and_never_an_empty_page() {
    let server = serve().await;
    for (answer, code) in [
        ((200, ""), Code::CxoneUnreadable),
        ((200, "{}"), Code::CxoneUnreadable),
        ((200, "<html>"), Code::CxoneUnreadable),
        ((200, r#"{"completedContacts":[]}"#), Code::CxoneUnreadable),
        ((200, r#"{"totalRecords":1}"#), Code::CxoneUnreadable),
        (
            (200, r#"{"totalRecords":"0","completedContacts":[]}"#),
            Code::CxoneUnreadable,
        ),
        (
            (200, r#"{"totalRecords":1,"completedContacts":[7]}"#),
            Code::CxoneUnreadable,
        ),
        (
            (
                200,
                r#"{"totalRecords":1,"completedContacts":[{"agentId":18}]}"#,
            ),
            Code::CxoneUnreadable,
        ),
        (
            (
                200,
                r#"{"totalRecords":0,"completedContacts":[],"hiddenAgents":1}"#,
            ),
            Code::CxoneMissingScope,
        ),
        (ACD_404, Code::CxoneRejected),
        (SPRING_403, Code::CxoneRejected),
        ((404, ""), Code::CxoneForeignAnswer),
        ((500, ""), Code::CxoneServerError),
    ] {
        server.answer(CONTACTS, &[answer]);
        let error = page(&server, None).await.unwrap_err();
        assert_eq!(error.code, code, "{answer:?}");
    }
}

#[tokio::test]
async fn no_agent_in_both_parts_has_an_empty_history_and_no_other_has() {
    let server = serve().await;
    server.answer(AGENT, &[(204, "")]).answer(USER, &[NO_AGENT]);
    let read = page(&server, None).await.unwrap();
    assert_eq!((read.conversations().count(), read.next()), (0, None));
    page(&server, None).await.unwrap();
    assert_eq!(server.calls(), [AGENT, USER], "read once for all windows");
    let error = page(&server, Some("seen=2&total=3&agent=17&last=&ids="))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::CxoneCursorLost);

    for user in [DELETED, NOT_FOUND] {
        let server = serve().await;
        server.answer(AGENT, &[(204, "")]).answer(USER, &[user]);
        let error = page(&server, None).await.unwrap_err();
        assert_eq!(
            error.class,
            Class::Permanent(Reason::ApiRejected),
            "{user:?}"
        );
        assert_eq!(server.count(CONTACTS), 0);
    }
}
