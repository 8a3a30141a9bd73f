//! The frame of all pages: head, navigation, notices, forms.

use axum::response::{IntoResponse, Redirect, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, html};

use crate::answer::Fault;
use crate::form::CSRF;
use crate::query::encoded;
use crate::session::Who;
use crate::visit::{Problem, Visit};
use crate::words;

/// Entries of the navigation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Overview,
    Subscriptions,
    Subscribers,
    Events,
    Log,
    Live,
    Try,
    Pims,
    /// Not in the navigation.
    Elsewhere,
}

const OF_CLIENTS: [(Place, &str, &str); 7] = [
    (Place::Overview, "/console", "Overview"),
    (Place::Subscriptions, "/console/subscriptions", "Subscriptions"),
    (Place::Subscribers, "/console/subscribers", "Subscribers"),
    (Place::Events, "/console/events", "Events"),
    (Place::Log, "/console/log", "Log"),
    (Place::Live, "/console/live", "Live"),
    (Place::Try, "/console/try", "Test event"),
];
const OF_OPERATORS: [(Place, &str, &str); 3] = [
    (Place::Overview, "/console", "Overview"),
    (Place::Subscriptions, "/console/subscriptions", "Subscriptions"),
    (Place::Pims, "/console/pims", "PIMs"),
];

/// A page.
pub(crate) struct Page<'a> {
    pub(crate) visit: &'a Visit,
    pub(crate) place: Place,
    pub(crate) title: &'a str,
    /// Pages above this one: path and name.
    pub(crate) above: Vec<(String, String)>,
    pub(crate) status: StatusCode,
    /// Modules besides that of all pages.
    pub(crate) modules: &'a [&'a str],
}

impl<'a> Page<'a> {
    pub(crate) fn new(visit: &'a Visit, place: Place, title: &'a str) -> Page<'a> {
        Page { visit, place, title, above: Vec::new(), status: StatusCode::OK, modules: &[] }
    }

    /// Adds a page above this one.
    pub(crate) fn under(mut self, path: impl Into<String>, name: impl Into<String>) -> Page<'a> {
        self.above.push((path.into(), name.into()));
        self
    }

    pub(crate) fn answered(self, status: StatusCode) -> Page<'a> {
        Page { status, ..self }
    }

    pub(crate) fn show(self, body: Markup) -> Response {
        let Page { visit, place, title, ref above, status, modules } = self;
        let assets = &visit.console.assets;
        let signed_in = visit.is_signed_in();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    title { (title) " · Postrider" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(assets.path("console.css"));
                    script type="module" src=(assets.path("page.js")) {}
                    @for module in modules { script type="module" src=(assets.path(module)) {} }
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        a.brand href="/console" { "Postrider" }
                        @if signed_in { (navigation(visit, place)) (who(visit)) }
                    }
                    main id="main" {
                        @if !above.is_empty() {
                            nav.trail aria-label="Breadcrumb" {
                                ol {
                                    @for (path, name) in above { li { a href=(path) { (name) } } }
                                    li aria-current="page" { (title) }
                                }
                            }
                        }
                        h1 { (title) }
                        @if let Some(notice) = words::notice(visit.query().get("done")) {
                            p.notice.good role="status" { (notice) }
                        }
                        (body)
                    }
                    footer {
                        a href="/docs" { "API" } " · " a href="/docs/errors" { "Error reasons" }
                        span.zone data-zone="" { " · Times are in UTC" }
                    }
                }
            }
        };
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        (status, [(CONTENT_TYPE, html)], page.into_string()).into_response()
    }
}

fn navigation(visit: &Visit, place: Place) -> Markup {
    let entries: &[_] = if visit.is_operator() { &OF_OPERATORS } else { &OF_CLIENTS };
    html! {
        nav.main aria-label="Main" {
            ul {
                @for (entry, path, name) in entries {
                    li { a href=(path) aria-current=[(*entry == place).then_some("page")] { (name) } }
                }
            }
        }
    }
}

fn who(visit: &Visit) -> Markup {
    html! {
        div.who {
            @match visit.who() {
                Who::Nobody => {}
                Who::Integrator { pim_url, client_id, .. } => {
                    span title=(pim_url) { b { (client_id) } " at " (words::host(pim_url)) }
                }
                Who::Operator { .. } => { span { b { "Operator" } } }
                Who::Link { grant, subscriber, .. } => {
                    span { b { (subscriber) } @if grant.read_only { " by a read-only link" } @else { " by a link" } }
                }
            }
            (button(visit, "/console/sign-out", "Sign out", "quiet"))
        }
    }
}

/// A form with a single button.
pub(crate) fn button(visit: &Visit, action: &str, label: &str, class: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (csrf(visit))
            button class=(class) { (label) }
        }
    }
}

/// The hidden field that binds a form to the session.
pub(crate) fn csrf(visit: &Visit) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(visit.session().csrf()); }
}

/// Faults that belong to no field of a form.
pub(crate) fn faults(faults: &[Fault]) -> Markup {
    html! {
        @if !faults.is_empty() {
            div.notice.bad role="alert" {
                @for fault in faults { p { (fault_text(fault)) } }
            }
        }
    }
}

/// A fault with a link to its page.
pub(crate) fn fault_text(fault: &Fault) -> Markup {
    html! {
        @if !fault.field.is_empty() && !fault.message.starts_with(&fault.field) { code { (fault.field) } " " }
        (fault.message)
        (fault_link(fault))
    }
}

/// A fault below its field, which needs no name there.
pub(crate) fn fault_at(fault: &Fault) -> Markup {
    let bare = fault.message.strip_prefix(&fault.field).map(|rest| rest.trim_start_matches([',', ' ']));
    let mut message = bare.filter(|rest| !rest.is_empty()).unwrap_or(&fault.message).to_owned();
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    html! { (message) (fault_link(fault)) }
}

/// In a tab of its own: a form behind it would be lost.
fn fault_link(fault: &Fault) -> Markup {
    html! {
        @if !fault.code.is_empty() {
            " (" a.reason href={ "/docs/errors/" (encoded(&fault.code)) } target="_blank" { (fault.code) } ")"
        }
    }
}

/// After an action: to a page that says what was done.
pub(crate) fn done(path: &str, what: &str) -> Response {
    let sign = if path.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{path}{sign}done={what}")).into_response()
}

/// Asks before an action that cannot be undone.
pub(crate) fn confirm(visit: &Visit, text: Markup, label: &str, back: &str) -> Markup {
    html! {
        form.confirm method="post" {
            (csrf(visit))
            p { (text) }
            p.buttons { button.danger { (label) } " " a href=(back) { "Cancel" } }
        }
    }
}

/// The page about a problem.
pub(crate) fn problem(visit: &Visit, problem: &Problem) -> Response {
    let (title, body) = match problem {
        Problem::SignedOut => ("Sign in", html! { p { a href="/console/sign-in" { "Sign in" } } }),
        Problem::Missing => (
            "Not found",
            html! {
                p { "There is nothing at this address, or it belongs to somebody else." }
                p { a href="/console" { "To the overview" } }
            },
        ),
        Problem::NotForYou(message) => ("Not available", html! { p { (message) } }),
        Problem::Form(message) => ("Not sent", html! { p role="alert" { (message) } }),
        Problem::Refused(refused) => (
            if refused.status.is_server_error() { "Not available" } else { "Refused" },
            html! {
                (faults(&refused.faults))
                @if refused.faults.is_empty() { p { "The platform answered " (refused.status.as_u16()) "." } }
                @if let Some(seconds) = refused.retry_after { p { "Try again in " (seconds) " s." } }
            },
        ),
        Problem::Unavailable => ("Not available", html! { p { "The platform could not answer. Try again later." } }),
    };
    Page::new(visit, Place::Elsewhere, title).answered(problem.status()).show(body)
}
