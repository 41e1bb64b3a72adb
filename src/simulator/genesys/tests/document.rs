//! Nothing that the document says is forgotten: its operations are served, its open questions are switches.

use axum::http::Method;
use serde_json::json;

use super::super::super::api::Api as _;
use super::super::super::population::Record;
use super::super::{Genesys, SWITCHES};
use super::{Tenant, USER};

const DOCUMENT: &str = include_str!("../../../../docs/contract/genesys-openapi.yaml");

/// Open questions that are not about the behaviour of the server, and why. There are none.
const NO_SWITCH: [(&str, &str); 0] = [];

#[derive(Default)]
struct Operation {
    method: String,
    path: String,
    name: String,
    status: String,
    unknowns: Vec<String>,
}

/// The texts of a list in quotes, on one line or, with a dash before each, on several.
fn quoted(text: &str) -> Vec<String> {
    text.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The operations, read by indentation: paths at two, methods at four, members at six, lists at eight.
fn operations() -> Vec<Operation> {
    let mut all: Vec<Operation> = Vec::new();
    let mut path = String::new();
    let mut in_unknowns = false;
    for line in DOCUMENT
        .lines()
        .skip_while(|line| *line != "paths:")
        .skip(1)
    {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        if indent == 0 {
            break;
        }
        if indent == 2 {
            text.trim_end_matches(':').clone_into(&mut path);
        }
        let method = text.trim_end_matches(':').to_uppercase();
        if indent == 4 && ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
            all.push(Operation {
                method,
                path: path.clone(),
                ..Operation::default()
            });
        }
        let Some(operation) = all.last_mut() else {
            continue;
        };
        if indent == 6 {
            in_unknowns = text.starts_with("x-unknown:");
        }
        if let Some(name) = text.strip_prefix("operationId: ") {
            name.clone_into(&mut operation.name);
        }
        if let Some(status) = text.strip_prefix("x-use: ") {
            status.clone_into(&mut operation.status);
        }
        if in_unknowns {
            operation.unknowns.extend(quoted(text));
        }
    }
    all
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, one| {
        if one.is_uppercase() {
            text.push('_');
        }
        text.push(one.to_ascii_lowercase());
        text
    })
}

#[test]
fn every_operation_that_is_used_is_served_and_no_other() {
    let all = operations();
    assert_eq!(all.len(), DOCUMENT.matches("operationId:").count());
    for operation in &all {
        let parts = operation
            .path
            .split('/')
            .map(|part| if part.starts_with('{') { USER } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        let method: Method = operation.method.parse().unwrap();
        let name = Genesys::default().operation(&method, &path).0;
        let wanted = match operation.status.as_str() {
            "main" | "doctor" | "undo" => snake_case(&operation.name),
            _ => "unknown".to_owned(),
        };
        assert_eq!(name, wanted, "{} {}", operation.method, operation.path);
    }
    assert_eq!(all.iter().filter(|one| one.status == "main").count(), 12);
}

#[test]
fn every_open_question_of_an_operation_that_is_used_is_a_switch() {
    let all = operations();
    let used: Vec<&Operation> = all.iter().filter(|one| one.status != "reserve").collect();
    let mut questions = 0;
    for operation in &used {
        for unknown in &operation.unknowns {
            questions += 1;
            let is_switch = SWITCHES
                .iter()
                .any(|switch| switch.operation == operation.name && switch.sentence == unknown);
            let is_none = NO_SWITCH.iter().any(|(sentence, _)| sentence == unknown);
            assert!(is_switch || is_none, "{}: {unknown}", operation.name);
        }
    }
    assert_eq!(questions, 12);
    for switch in SWITCHES {
        assert!(
            used.iter().any(|one| one.name == switch.operation),
            "{}",
            switch.name
        );
    }
}

#[tokio::test]
async fn what_is_in_reserve_is_answered_without_json() {
    let tenant = Tenant::with(Record::default());
    for (method, path) in [
        ("GET", "analytics/conversations/details/jobs/availability"),
        ("POST", "analytics/conversations/details/jobs"),
        ("PUT", "users/x"),
        ("GET", "scim/v2/users/x"),
    ] {
        let answer = tenant.ask(method, path, Some(json!({}))).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("content-type"), "text/html");
    }
}
