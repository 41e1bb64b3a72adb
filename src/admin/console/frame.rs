//! What is around each page: the bar at the top, the menu, and whether work is paused.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest as _, Sha256};

use super::assets::{SCRIPT, STYLE};
use super::display::Display;
use super::keys;
use super::page::{Menu, Page};
use super::parts;
use super::views::OwnViews;
use crate::admin::api::Api;
use crate::admin::caller::{Caller, SignIn};
use crate::admin::problem::Problem;
use crate::operations::fleet::{Notice, NoticeKind};
use crate::operations::overview::Surroundings;

/// A page does not wait longer for what is around it. What is late is there for the next page.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// What is around the pages of a caller.
pub(super) struct Frame {
    environment: Option<String>,
    worker: String,
    who: String,
    role: &'static str,
    sign_in: SignIn,
    around: Option<Arc<Surroundings>>,
    now: Timestamp,
    display: Display,
    pub(super) views: OwnViews,
}

impl Frame {
    pub(super) async fn read(api: &Api, caller: &Caller, display: Display) -> Self {
        let sources = api.clone();
        let reading = tokio::spawn(async move { sources.surroundings().await });
        let around = tokio::time::timeout(READ_WITHIN, reading).await;
        Self {
            environment: api.environment().map(str::to_owned),
            worker: api.worker().to_owned(),
            who: caller.name.clone().unwrap_or_else(|| "local".to_owned()),
            role: caller.role_word(),
            sign_in: caller.sign_in,
            around: match around {
                Ok(Ok(around)) => around,
                _ => None,
            },
            now: api.now(),
            display,
            views: OwnViews::default(),
        }
    }

    /// What the script fetches: the page, and whether work is paused.
    pub(super) fn fragment(&self, page: &Page) -> Markup {
        let title = title(self.environment.as_deref(), &page.title);
        html! { span hidden data-title=(title) {} (self.paused()) (page.body) }
    }

    /// The whole document.
    pub(super) fn document(&self, page: &Page) -> Markup {
        let fragment = self.fragment(page);
        let tag = page.is_live.then(|| tag(&fragment));
        let every = page.is_live.then(|| page.period_seconds());
        let body = html! {
            a.skip href="#content" { "To the content" }
            (self.top())
            div.columns {
                (self.menu(page.menu))
                main #content tabindex="-1" {
                    p #stale .bar role="alert" hidden {}
                    (self.as_of(page))
                    (self.views.forms())
                    div data-live=[tag] data-every=[every] { (fragment) }
                }
            }
            div #said .hidden role="status" {}
            footer { "Answered by " (self.worker) ", release " (env!("CARGO_PKG_VERSION")) ". For programs: " a href="/api/v1/openapi.json" { "/api/v1/openapi.json" } }
        };
        let title = title(self.environment.as_deref(), &page.title);
        document(&title, self.display, &body)
    }

    /// When what the page shows was read.
    pub(super) fn time_of(&self, page: &Page) -> Timestamp {
        page.as_of.unwrap_or(self.now)
    }

    fn as_of(&self, page: &Page) -> Markup {
        let as_of = self.time_of(page);
        html! {
            p.as-of {
                @if page.is_live {
                    span { "As of " time #as-of datetime=(format!("{as_of:.0}")) { (as_of.strftime("%Y-%m-%d %H:%M:%S")) " UTC" } "." }
                    span #waiting hidden {}
                }
                button #copy type="button" hidden { "Copy the address of this page" }
            }
        }
    }

    fn top(&self) -> Markup {
        html! {
            header.top {
                span.name { "offboarder" }
                (badge(self.environment.as_deref()))
                form method="get" action="/find" role="search" {
                    label.hidden for="find" { "Find a user, a batch, a dead letter or an entry of the audit log" }
                    input #find type="search" name="q" placeholder="User, batch, dead letter …" size="26" maxlength="128";
                    button type="submit" { "Find" }
                }
                span.who { (self.who) @if self.who != self.role { " (" (self.role) ")" } }
                (self.display.form())
                @if matches!(self.sign_in, SignIn::Session | SignIn::WorkerSession) {
                    form method="post" action="/sign-out" { button type="submit" { "Sign out" } }
                }
            }
        }
    }

    fn menu(&self, here: Option<Menu>) -> Markup {
        html! {
            nav.menu aria-label="Pages" {
                details #menu open {
                    summary { "Pages" }
                    ul {
                        @for entry in Menu::ALL {
                            li {
                                a href=(entry.path()) aria-current=[(here == Some(entry)).then_some("page")] data-key=[keys::of(entry)] {
                                    (entry.label())
                                    @if let Some(count) = self.count(entry) { " " span.count { (parts::number(count)) } }
                                }
                                (self.views.under(entry))
                            }
                        }
                    }
                }
            }
        }
    }

    /// The number beside an entry of the menu; none if it is unknown now.
    fn count(&self, entry: Menu) -> Option<u64> {
        let around = self.around.as_ref()?;
        match entry {
            Menu::Access if around.access.unknown.is_none() => {
                around.access.known.as_ref().map(|access| access.users)
            }
            Menu::DeadLetters if around.dead_letter_groups.unknown.is_none() => {
                let groups = around.dead_letter_groups.known.as_ref();
                groups.map(|groups| groups.letters as u64)
            }
            Menu::Plans if around.plans.unknown.is_none() => {
                around.plans.known.as_ref().map(|plans| plans.waiting)
            }
            _ => None,
        }
    }

    /// A bar while no user is taken because somebody said so, or while that is unknown.
    fn paused(&self) -> Markup {
        html! {
            @if self.sign_in == SignIn::WorkerSession {
                p.bar { "Redis did not answer when you signed in: for 15 minutes, on this worker only, you may read and pause." }
            }
            (self.stopped())
        }
    }

    fn stopped(&self) -> Markup {
        let Some(around) = &self.around else {
            return html! { p.bar { "Not known yet: whether work is paused." } };
        };
        let shown = |notice: &&Notice| {
            matches!(
                notice.kind,
                NoticeKind::Paused | NoticeKind::PauseUnknown | NoticeKind::NoWorker
            )
        };
        html! { @for notice in around.fleet.notices.iter().filter(shown) { (bar(notice)) } }
    }
}

/// A page for somebody who may see nothing of this deployment. How pages look can be chosen on it, too.
pub(super) fn alone(environment: Option<&str>, display: Display, page: &Page) -> Markup {
    let body = html! {
        header.top { span.name { "offboarder" } (badge(environment)) (display.form()) }
        main #content { (page.body) }
    };
    let title = title(environment, &page.title);
    document(&title, display, &body)
}

/// The answer to somebody who is not let in.
pub(super) fn refused(environment: Option<&str>, problem: &Problem) -> Response {
    let page = Page::of_problem(problem);
    (page.status, alone(environment, Display::default(), &page)).into_response()
}

fn title(environment: Option<&str>, page: &str) -> String {
    let words = [Some(page), environment, Some("offboarder")];
    words.into_iter().flatten().collect::<Vec<_>>().join(" – ")
}

fn document(title: &str, display: Display, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[display.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(STYLE.path);
                script src=(SCRIPT.path) defer {}
            }
            body data-times=[display.is_local.then_some("local")] data-keys=[display.is_without_keys.then_some("off")] { (body) }
        }
    }
}

fn badge(environment: Option<&str>) -> Markup {
    html! {
        @if let Some(name) = environment {
            @if name == "production" { span.badge.production { (name) } } @else { span.badge { (name) } }
        }
    }
}

fn bar(notice: &Notice) -> Markup {
    html! {
        p.bar {
            @match (&notice.who, notice.since) {
                (Some(who), Some(since)) => {
                    "Paused by " bdi { (who) } " since " (parts::time(since))
                    @if let Some(until) = notice.until { ", until " (parts::time(until)) }
                    @if let Some(why) = &notice.why { ": " bdi { (why) } }
                    ". No user continues."
                }
                _ => { (notice.text) "." }
            }
        }
    }
}

/// The entity tag of what a script fetches.
pub(super) fn tag(fragment: &Markup) -> String {
    let digest = hex::encode(Sha256::digest(fragment.0.as_bytes()));
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame {
            environment: Some("production".to_owned()),
            worker: "w-<1>".to_owned(),
            who: "ada".to_owned(),
            role: "operator",
            sign_in: SignIn::Session,
            around: None,
            now: Timestamp::UNIX_EPOCH,
            display: Display {
                theme: Some("dark"),
                ..Display::default()
            },
            views: OwnViews::default(),
        }
    }

    #[test]
    fn a_page_says_where_one_is_who_one_is_and_what_is_unknown() {
        let page = Page::new("Workers", Menu::Workers, html! { h1 { "Workers" } }).live();
        let text = frame().document(&page).into_string();
        for expected in [
            "<title>Workers – production – offboarder</title>",
            "<a class=\"skip\" href=\"#content\">",
            "ada (operator)",
            "<a href=\"/workers\" aria-current=\"page\" data-key=\"w\">",
            "<html lang=\"en\" data-theme=\"dark\">",
            "data-title=\"Workers – production – offboarder\"",
            "whether work is paused",
            "w-&lt;1&gt;",
            "role=\"status\"",
            "1970-01-01 00:00:00",
            "<form method=\"post\" action=\"/sign-out\">",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(
            !text.contains("style=") && !text.contains("onclick"),
            "{text}"
        );
        let older = page.clone().read_at(Timestamp::from_second(7).unwrap());
        let text = frame().document(&older).into_string();
        assert!(text.contains("1970-01-01 00:00:07"), "{text}");
        let tag = tag(&frame().fragment(&page)).replace('"', "&quot;");
        assert!(text.contains(&format!("data-live=\"{tag}\"")), "{text}");
    }

    #[test]
    fn a_pause_says_who_why_and_until_when() {
        let notice = Notice {
            kind: NoticeKind::Paused,
            text: "x".to_owned(),
            who: Some("ada".to_owned()),
            why: Some("<b>migration</b>".to_owned()),
            since: Some(Timestamp::UNIX_EPOCH),
            until: None,
            count: None,
        };
        let text = bar(&notice).into_string();
        assert!(text.contains("Paused by <bdi>ada</bdi> since"), "{text}");
        assert!(text.contains("&lt;b&gt;migration"), "{text}");
        assert!(text.contains("No user continues."), "{text}");
    }
}
