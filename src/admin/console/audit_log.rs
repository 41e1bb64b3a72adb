//! The page of what operators changed.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::asked::Asked;
use super::page::{Menu, Page};
use super::{details, list, parts};
use crate::admin::api::{Api, audit_log};
use crate::admin::problem::Problem;
use crate::admin::read::Query;
use crate::failure::Failure;
use crate::operations::audit_log::AuditPage;
use crate::printable;
use crate::registers::audit_log::AuditEntry;

/// A file of more entries is asked for in parts.
const FILE_PAGES: usize = 20;

pub(super) async fn show(State(api): State<Api>, asked: Asked) -> Result<Page, Problem> {
    let wanted = asked.read(&[])?;
    let Json(found) = audit_log::list(State(api), Query(wanted)).await?;
    Ok(Page::new("Audit log", Menu::AuditLog, body(&asked, &found)).live())
}

fn body(asked: &Asked, found: &AuditPage) -> Markup {
    html! {
        h1 { "Audit log" }
        p { "What operators changed, by a command, over HTTP, or here. An entry is written before the change. " a href=(asked.at("/audit-log.csv")) { "Download CSV" } }
        (list::filters(&html! {
            (list::text(asked, "who", "Who"))
            (list::text(asked, "what", "What"))
            (list::text(asked, "user", "User ID"))
            (list::text(asked, "since", "Since (7d, or a time)"))
            (list::text(asked, "until", "Until"))
        }))
        @if found.entries.is_empty() { (list::none(asked, found.next_cursor.is_some(), "None.")) }
        @else { (table(&found.entries)) }
        (list::next(asked, found.next_cursor.map(|cursor| cursor.to_string()).as_deref()))
    }
}

pub(super) fn table(entries: &[AuditEntry]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Entries of the audit log" {
            table {
                caption { "Newest first" }
                thead { tr {
                    th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th.number scope="col" { "How many" } th scope="col" { "Why" } th scope="col" { "With" }
                } }
                tbody {
                    @for entry in entries {
                        tr {
                            th scope="row" { (parts::time(entry.at)) }
                            td { bdi { (printable::line(&entry.who)) } }
                            td { (printable::line(&entry.what)) }
                            td.number { (parts::number(entry.count)) }
                            td { @match &entry.why { Some(why) => bdi { (printable::line(why)) }, None => span.soft { "Not given" } } }
                            td { (details::details(&entry.details)) }
                        }
                    }
                }
            }
        }
    }
}

/// All entries that match, as a file.
pub(super) async fn file(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let mut entries = Vec::new();
    let mut cursor = String::new();
    for _page in 0..FILE_PAGES {
        let wanted = asked.read(&[("limit", "1000"), ("cursor", &cursor)])?;
        let Json(found) = audit_log::list(State(api.clone()), Query(wanted)).await?;
        entries.extend(found.entries);
        let Some(next) = found.next_cursor else {
            let mut response = csv(&entries)?.into_response();
            let headers = response.headers_mut();
            let kind = HeaderValue::from_static("text/csv; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, kind);
            let name = HeaderValue::from_static("attachment; filename=\"audit-log.csv\"");
            headers.insert(header::CONTENT_DISPOSITION, name);
            return Ok(response);
        };
        cursor = next.to_string();
    }
    // Half a log must not look like a whole one.
    let detail =
        "too many entries for one file; give `since` and `until`, and download the log in parts";
    Err(Problem::new(StatusCode::CONFLICT, "too_large", detail))
}

fn csv(entries: &[AuditEntry]) -> Result<Vec<u8>, Problem> {
    let failed = |error: &dyn std::fmt::Display| {
        Problem::from(Failure::internal("cannot write the audit log", error))
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = ["at", "who", "what", "count", "why", "details", "id"];
    writer.write_record(head).map_err(|error| failed(&error))?;
    for entry in entries {
        let details = if entry.details.is_null() {
            String::new()
        } else {
            entry.details.to_string()
        };
        let row = [
            entry.at.to_string(),
            printable::cell(&entry.who),
            printable::cell(&entry.what),
            entry.count.to_string(),
            printable::cell(entry.why.as_deref().unwrap_or_default()),
            printable::cell(&details),
            entry.id.to_string(),
        ];
        writer.write_record(row).map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            id: Uuid::nil(),
            at: Timestamp::UNIX_EPOCH,
            who: "ada, by the admin API of w-1 (session)".to_owned(),
            what: "hold add".to_owned(),
            why: Some("=cmd|' /C calc'!A0 <b>".to_owned()),
            count: 3,
            details: json!({ "users": ["x"] }),
        }
    }

    #[test]
    fn an_entry_is_text_on_a_page_and_no_formula_in_a_file() {
        let text = table(&[entry()]).into_string();
        assert!(
            text.contains("&lt;b&gt;") && text.contains("hold add"),
            "{text}"
        );
        let file = String::from_utf8(csv(&[entry()]).unwrap()).unwrap();
        assert!(file.contains(",'=cmd|"), "{file}");
        assert!(
            file.starts_with("at,who,what,count,why,details,id\n1970"),
            "{file}"
        );
        let bare = AuditEntry {
            details: Value::Null,
            why: None,
            ..entry()
        };
        assert!(table(&[bare]).into_string().contains("Not given"));
    }

    #[test]
    fn no_entry_and_no_match_are_two_texts() {
        let none = AuditPage {
            entries: Vec::new(),
            next_cursor: None,
        };
        let text = |query| body(&Asked::of("/audit-log", query), &none).into_string();
        assert!(text("").contains("<p>None.</p>"));
        assert!(text("who=ada").contains("None matches."));
        assert!(text("who=ada").contains("/audit-log.csv?who=ada"));
    }
}
