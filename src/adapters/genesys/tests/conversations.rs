//! Pages of conversations: what is asked for, and what shows that a window is whole.

use super::*;
use crate::failure::{Class, Code, Failure, Reason};
use crate::ports::{Page, PageRequest, Tenant as _};

const LINE: &str = "POST /analytics/conversations/details/query";

fn row(number: u64) -> Value {
    json!({
        "conversationId": format!("44444444-0000-4000-8000-{number:012}"),
        "conversationStart": format!("2026-06-0{}T10:00:00.{:03}Z", 1 + number / 1000, number % 1000),
        "participants": [{ "userId": ID }],
    })
}

fn rows(numbers: impl IntoIterator<Item = u64>, hits: u64) -> Answer {
    let conversations: Vec<Value> = numbers.into_iter().map(row).collect();
    let body = json!({ "conversations": conversations, "totalHits": hits });
    answer(200, body)
}

async fn page(server: &Server, link: Option<&str>) -> Result<Page, Failure> {
    let request = PageRequest {
        from: "2026-06-01T08:30:00Z".parse().unwrap(),
        to: "2026-06-08T00:00:00Z".parse().unwrap(),
        link,
        agent: None,
    };
    server.client.page(user_id(), request).await
}

/// All pages of a window: how many conversations, and how many pages.
async fn window(server: &Server) -> Result<(usize, usize), Failure> {
    let mut link: Option<String> = None;
    let mut read = (0, 0);
    loop {
        let page = page(server, link.as_deref()).await?;
        read.0 += page.conversations().count();
        read.1 += 1;
        match page.next() {
            Some(next) => link = Some(next.to_owned()),
            None => return Ok(read),
        }
    }
}

fn number_of(asked: &Asked) -> u64 {
    asked.body["paging"]["pageNumber"].as_u64().unwrap()
}

#[tokio::test]
async fn the_query_asks_for_whole_days_of_one_user_in_the_order_of_their_start() {
    let server = serve(|asked| {
        assert_eq!(asked.line, LINE);
        let query = json!({
            "interval": "2026-06-01T00:00:00.000Z/2026-06-08T00:00:00.000Z",
            "order": "asc",
            "orderBy": "conversationStart",
            "segmentFilters": [{ "type": "and", "predicates": [{
                "type": "dimension", "dimension": "userId", "operator": "matches", "value": ID,
            }]}],
            "paging": { "pageSize": 100, "pageNumber": 1 },
        });
        assert_eq!(asked.body, query);
        rows([1], 1)
    })
    .await;
    let page = page(&server, None).await.unwrap();
    assert!(page.next().is_none());
    let bytes: Vec<&[u8]> = page.conversations().collect();
    assert_eq!(bytes, [row(1).to_string().as_bytes()]);

    let facts = server.client.facts_of(bytes[0]);
    assert!(facts.id.is_some() && facts.start.is_some());
    assert_eq!(facts.end, None, "it lasts");
}

#[tokio::test]
async fn a_window_is_whole_when_as_many_were_read_as_it_counts() {
    let server = serve(|asked| match number_of(asked) {
        1 => rows(0..100, 250),
        2 => rows(100..200, 250),
        3 => rows(200..250, 250),
        other => panic!("{other}"),
    })
    .await;
    assert_eq!(window(&server).await.unwrap(), (250, 3));

    // A page may be short.
    let server = serve(|asked| match number_of(asked) {
        1 => rows(0..60, 101),
        _ => rows(100..141, 101),
    })
    .await;
    assert_eq!(window(&server).await.unwrap(), (101, 2));
}

#[tokio::test]
async fn no_conversations_are_a_whole_window_only_if_the_api_counts_none() {
    for body in [
        json!({ "totalHits": 0 }),
        json!({ "conversations": null, "totalHits": 0 }),
        json!({ "conversations": [], "totalHits": 0 }),
    ] {
        let server = serve(move |_| answer(200, body.clone())).await;
        assert_eq!(window(&server).await.unwrap(), (0, 1));
    }
    for (body, code) in [
        ("{}", Code::CxoneUnreadable),
        ("", Code::CxoneUnreadable),
        ("<html>", Code::CxoneUnreadable),
        (r#"{"totalHits":"0"}"#, Code::CxoneUnreadable),
        (r#"{"totalHits":null}"#, Code::CxoneUnreadable),
        (
            r#"{"conversations":{},"totalHits":0}"#,
            Code::CxoneUnreadable,
        ),
        (r#"{"totalHits":3}"#, Code::CxoneCursorLost),
    ] {
        let server = serve(move |_| answer(200, body)).await;
        assert_eq!(window(&server).await.unwrap_err().code, code, "{body}");
    }
    for status in [202, 204] {
        let server = serve(move |_| answer(status, "")).await;
        let failure = window(&server).await.unwrap_err();
        assert_eq!(failure.code, Code::CxoneUnreadable);
    }
}

#[tokio::test]
async fn pages_that_do_not_belong_together_begin_the_archive_again() {
    let moved: [fn(u64) -> Answer; 6] = [
        // Another was counted while the pages were read.
        |number| match number {
            1 => rows(0..100, 150),
            _ => rows(100..151, 151),
        },
        // The last one of the page before comes again.
        |number| match number {
            1 => rows(0..100, 150),
            _ => rows(99..149, 150),
        },
        // The order changed.
        |number| match number {
            1 => rows(100..200, 150),
            _ => rows(0..50, 150),
        },
        // Fewer than were counted.
        |number| match number {
            1 => rows(0..100, 150),
            _ => rows([], 150),
        },
        // More than were counted.
        |_| rows(0..3, 2),
        // One comes twice on a page.
        |_| rows([1, 1], 2),
    ];
    for (index, given) in moved.into_iter().enumerate() {
        let server = serve(move |asked| given(number_of(asked))).await;
        let failure = window(&server).await.unwrap_err();
        assert_eq!(
            (failure.class, failure.code),
            (Class::Transient, Code::CxoneCursorLost),
            "{index}: {failure}"
        );
        assert!(failure.text.contains("begins again"), "{failure}");
    }
}

#[tokio::test]
async fn those_that_begin_in_one_millisecond_are_known_across_pages() {
    // The API sorts equal ones otherwise for the second page: the last one comes again, and another is lost.
    let same = |id: u64| {
        json!({
            "conversationId": format!("c{id}"), "conversationStart": "2026-06-01T10:00:00.000Z",
        })
    };
    let server = serve(move |asked| {
        let (rows, hits): (Vec<Value>, u64) = match number_of(asked) {
            1 => ((0..100).map(same).collect(), 102),
            _ => (vec![same(42), same(101)], 102),
        };
        answer(200, json!({ "conversations": rows, "totalHits": hits }))
    })
    .await;
    let failure = window(&server).await.unwrap_err();
    assert_eq!(failure.code, Code::CxoneCursorLost, "{failure}");
}

#[tokio::test]
async fn rows_that_prove_nothing_are_unreadable() {
    for rows in [
        json!([{ "conversationStart": "2026-06-01T10:00:00.000Z" }]),
        json!([{ "conversationId": 7 }]),
        json!([{ "conversationId": "" }]),
        json!([null]),
        json!([row(2), row(1)]),
    ] {
        let hits = rows.as_array().unwrap().len();
        let server =
            serve(move |_| answer(200, json!({ "conversations": &rows, "totalHits": hits }))).await;
        let failure = window(&server).await.unwrap_err();
        assert_eq!(failure.code, Code::CxoneUnreadable, "{failure}");
    }
    let server = serve(|_| rows(0..101, 101)).await;
    let failure = window(&server).await.unwrap_err();
    assert_eq!(failure.code, Code::CxoneUnreadable, "{failure}");
}

#[tokio::test]
async fn a_link_keeps_the_page_size_and_a_damaged_one_is_not_sent() {
    let server = serve(|asked| {
        let paging = json!({ "pageSize": 50, "pageNumber": 3 });
        assert_eq!(asked.body["paging"], paging);
        rows(100..101, 101)
    })
    .await;
    let link = "page=3&size=50&hits=101&seen=100&last=1748768400000&ids=";
    let last = page(&server, Some(link)).await.unwrap();
    assert!(last.next().is_none(), "the counts are those of the link");

    for link in [
        "",
        "page=0",
        "/api/v2/users?cursor=a",
        "https://evil.example/",
    ] {
        let failure = page(&server, Some(link)).await.unwrap_err();
        assert_eq!(failure.code, Code::CxoneBadNextPage);
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_limit_of_the_query_names_the_setting_and_the_vendors_number() {
    for (message, class, number) in [
        (
            "Interval must be one that does not exceed 7 days",
            Class::Systemic,
            "at most 7d",
        ),
        (
            "Pagination may not exceed 100000 results",
            Class::Permanent(Reason::ApiRejected),
            "at most 100000",
        ),
    ] {
        let server = serve(move |_| error(400, "bad.request", message)).await;
        let failure = page(&server, None).await.unwrap_err();
        assert_eq!((failure.class, failure.code), (class, Code::CxoneRejected));
        let text = failure.text;
        assert!(text.contains("OFFBOARDER_CXONE_WINDOW"), "{text}");
        assert!(text.contains(number), "{text}");
    }
    let server = serve(|_| error(400, "invalid.date", "no date")).await;
    let failure = page(&server, None).await.unwrap_err();
    assert!(
        !failure.text.contains("OFFBOARDER_CXONE_WINDOW"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_query_is_a_read_whose_lost_answer_loses_nothing() {
    let server = serve(|_| error(504, "request.timeout", "m")).await;
    let failure = page(&server, None).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.code),
        (Class::Transient, Code::CxoneServerError)
    );
    let server = serve(|_| forbidden()).await;
    let failure = page(&server, None).await.unwrap_err();
    assert!(failure.text.contains("analytics:conversationDetail:view"));
}
