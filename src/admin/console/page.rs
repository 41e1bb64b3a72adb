//! A page of the console before it is put into its frame.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::parts;
use crate::admin::problem::Problem;

/// The page that is shown when no other is asked for.
pub(super) const FIRST: &str = "/";

/// The pages that the menu has, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Menu {
    Now,
    Access,
    Batches,
    DeadLetters,
    Operations,
    Plans,
    Holds,
    Workers,
    Evidence,
    AuditLog,
    Help,
}

impl Menu {
    pub(super) const ALL: [Self; 11] = [
        Self::Now,
        Self::Access,
        Self::Batches,
        Self::DeadLetters,
        Self::Operations,
        Self::Plans,
        Self::Holds,
        Self::Workers,
        Self::Evidence,
        Self::AuditLog,
        Self::Help,
    ];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Now => "/",
            Self::Access => "/access",
            Self::Batches => "/batches",
            Self::DeadLetters => "/dead-letters",
            Self::Operations => "/operations",
            Self::Plans => "/plans",
            Self::Holds => "/holds",
            Self::Workers => "/workers",
            Self::Evidence => "/evidence",
            Self::AuditLog => "/audit-log",
            Self::Help => "/help",
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Now => "Now",
            Self::Access => "Access",
            Self::Batches => "Batches",
            Self::DeadLetters => "Dead letters",
            Self::Operations => "Operations",
            Self::Plans => "Plans",
            Self::Holds => "Holds",
            Self::Workers => "Workers",
            Self::Evidence => "Evidence",
            Self::AuditLog => "Audit log",
            Self::Help => "Help",
        }
    }
}

/// What a handler answers; the guard puts it into the frame.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    pub(super) menu: Option<Menu>,
    /// Whether the script keeps it current.
    pub(super) is_live: bool,
    /// Whether what it shows changes each second.
    pub(super) is_fast: bool,
    /// Whether what it is to show is still being read.
    pub(super) is_unfinished: bool,
    /// When what it shows was read; `None`: when it was asked for.
    pub(super) as_of: Option<Timestamp>,
    /// With the heading.
    pub(super) body: Markup,
}

impl Page {
    pub(super) fn new(title: impl Into<String>, menu: Menu, body: Markup) -> Self {
        Self {
            status: StatusCode::OK,
            title: title.into(),
            menu: Some(menu),
            is_live: false,
            is_fast: false,
            is_unfinished: false,
            as_of: None,
            body,
        }
    }

    pub(super) fn live(self) -> Self {
        Self {
            is_live: true,
            ..self
        }
    }

    pub(super) fn read_at(self, as_of: Timestamp) -> Self {
        Self {
            as_of: Some(as_of),
            ..self
        }
    }

    /// How often the script asks for it again.
    pub(super) const fn period_seconds(&self) -> u8 {
        match (self.is_unfinished, self.is_fast) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 5,
        }
    }

    /// A request that failed.
    pub(super) fn of_problem(problem: &Problem) -> Self {
        let title = problem.title();
        let body = html! {
            h1 { (title) }
            p.answer { (problem.detail()) " " (parts::code(problem.code())) }
            p { (parts::what_to_do(problem.code())) }
        };
        Self {
            status: problem.status(),
            title: title.to_owned(),
            menu: None,
            is_live: false,
            is_fast: false,
            is_unfinished: false,
            as_of: None,
            body,
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
