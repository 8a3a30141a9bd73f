//! Signing in and out.

use axum::response::{IntoResponse, Redirect, Response};
use http::{Method, StatusCode};
use maud::{Markup, html};

use crate::answer::{Fault, Refused};
use crate::form::Form;
use crate::layout::{self, Page, Place};
use crate::query::Pairs;
use crate::session::{NoSession, Session, Who};
use crate::visit::{self, Anyone, Problem, Visit};

/// Who signs in. The operator has a page of its own, so that a proxy can keep it inside of the network together with
/// the
/// operator API.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Integrator,
    Operator,
}

impl Role {
    fn path(self) -> &'static str {
        match self {
            Role::Integrator => "/console/sign-in",
            Role::Operator => "/console/operator",
        }
    }
}

/// The page for integrators.
pub(crate) async fn show(Anyone(visit): Anyone) -> Result<Response, Problem> {
    shown(&visit, Role::Integrator)
}

/// The page for operators.
pub(crate) async fn show_operator(Anyone(visit): Anyone) -> Result<Response, Problem> {
    shown(&visit, Role::Operator)
}

fn shown(visit: &Visit, role: Role) -> Result<Response, Problem> {
    // The form needs a session of its own, for its token.
    let response = page(visit, role, &Pairs::default(), &[], StatusCode::OK);
    if visit.is_signed_in() {
        return Ok(response);
    }
    visit.begin(visit.session(), response).map_err(|_| Problem::Unavailable)
}

fn page(visit: &Visit, role: Role, sent: &Pairs, faults: &[Fault], status: StatusCode) -> Response {
    let to = visit.query().only(&["to"]).query();
    let action = format!("{}{to}", role.path());
    Page::new(visit, Place::Elsewhere, "Sign in").answered(status).show(html! {
        @if visit.query().has("expired") { p.notice role="status" { "Your session has ended. Sign in again." } }
        form.card method="post" action=(action) aria-labelledby="role" {
            (layout::csrf(visit))
            @match role {
                Role::Integrator => {
                    h2 id="role" { "Integration" }
                    p { "Shows the subscribers and subscriptions of one connection or app." }
                    (layout::faults(faults))
                    (field(sent, "pim_url", "PIM URL", "url", "url",
                        "Base URL of the PIM, such as https://pim.example.com"))
                    (field(sent, "client_id", "Client id", "text", "username", "Client id of the connection or app"))
                    (field(sent, "token", "Token", "password", "current-password",
                        "Access token of the PIM, or a platform token"))
                }
                Role::Operator => {
                    h2 id="role" { "Operator" }
                    p { "Shows all PIMs, clients and subscriptions." }
                    (layout::faults(faults))
                    (field(sent, "key", "Operator key", "password", "current-password", "The setting api.operator_key"))
                }
            }
            p.buttons { button { "Sign in" } }
        }
        @match role {
            Role::Integrator => { p { a href={ (Role::Operator.path()) (to) } { "Sign in as the operator" } } }
            Role::Operator => { p { a href={ (Role::Integrator.path()) (to) } { "Sign in for an integration" } } }
        }
    })
}

fn field(sent: &Pairs, name: &str, label: &str, kind: &str, complete: &str, help: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type=(kind) value=(if kind == "password" { "" } else { sent.get(name) })
                autocomplete=(complete) required aria-describedby={ (name) "-help" };
            p.help id={ (name) "-help" } { (help) }
        }
    }
}

/// Signs an integrator in.
pub(crate) async fn sign_in(Anyone(visit): Anyone, Form(form): Form) -> Result<Response, Problem> {
    let text = |name: &str| form.get(name).trim().to_owned();
    let who = Who::Integrator { pim_url: text("pim_url"), token: text("token"), client_id: text("client_id") };
    begin(&visit, Role::Integrator, who, "/api/v1/subscribers", &form).await
}

/// Signs the operator in.
pub(crate) async fn sign_in_operator(Anyone(visit): Anyone, Form(form): Form) -> Result<Response, Problem> {
    let who = Who::Operator { key: form.get("key").trim().to_owned() };
    begin(&visit, Role::Operator, who, "/api/v1/admin/statistics", &form).await
}

/// Begins a session, once the API has accepted its credentials.
async fn begin(visit: &Visit, role: Role, who: Who, probe: &str, form: &Pairs) -> Result<Response, Problem> {
    let refuse = |refused: Refused| Ok(page(visit, role, form, &refused.faults, refused.status));
    if let Err(wait) = visit.console.throttle.attempt(visit.visitor().map(|visitor| visitor.0), visit.now()) {
        let message = format!("Too many attempts from this address. Try again in {} s.", wait.as_secs().max(1));
        return refuse(Refused::own(StatusCode::TOO_MANY_REQUESTS, &message));
    }
    if let Err(refused) = visit::ask(&visit.console, &who, visit.visitor(), Method::GET, probe, None).await {
        return refuse(in_words_of_the_page(refused, role));
    }
    let begun = Session::begin(who, visit.now())
        .and_then(|session| visit.begin(&session, Redirect::to(back(visit.query().get("to"))).into_response()));
    match begun {
        Ok(response) => Ok(response),
        Err(NoSession::NoRandomness) => Err(Problem::Unavailable),
        Err(NoSession::TooLong) => {
            let message = "The credentials are too long for a session of the console.";
            refuse(Refused::own(StatusCode::UNPROCESSABLE_ENTITY, message))
        }
    }
}

/// The API names headers; the page has labels.
fn in_words_of_the_page(mut refused: Refused, role: Role) -> Refused {
    for fault in &mut refused.faults {
        let words = match (fault.code.as_str(), role) {
            ("invalid_token", Role::Integrator) => {
                "The token isn't valid for this PIM URL and client id, or the PIM isn't registered: ask the \
                 platform's operator."
            }
            (_, Role::Operator) if refused.status == StatusCode::UNAUTHORIZED => "The operator key is wrong.",
            _ => continue,
        };
        words.clone_into(&mut fault.message);
        fault.field.clear();
    }
    refused
}

/// Where to go after signing in: only to the console.
fn back(to: &str) -> &str {
    let inside = to == "/console" || to.starts_with("/console/") || to.starts_with("/console?");
    if inside && !to.contains(['\\', '\r', '\n']) { to } else { "/console" }
}

/// Signs out.
pub(crate) async fn sign_out(visit: Visit, Form(_): Form) -> Response {
    visit.end(Redirect::to("/console/sign-in?done=signed-out").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_the_console_only() {
        let check = |to: &str, expect: &str| assert_eq!(back(to), expect);
        check("/console/log?x=1", "/console/log?x=1");
        check("/console?x=1", "/console?x=1");
        check("", "/console");
        check("https://evil.example/console", "/console");
        check("//evil.example", "/console");
        check("/consolex", "/console");
        check("/console/\\evil", "/console");
    }
}
