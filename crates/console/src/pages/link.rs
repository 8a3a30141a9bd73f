//! Links for an app's customers. The secret is in the fragment of the address, which browsers don't send: a module
//! posts
//! it, and only that uses the link up.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use maud::html;
use serde_json::{Value, json};

use crate::Unavailable;
use crate::answer::Look;
use crate::form;
use crate::layout::{Page, Place};
use crate::query::encoded;
use crate::session::{Session, Who};
use crate::visit::{Anyone, Problem, ask};

/// Characters of a subscriber's name in a session: a cookie is small.
const MOST_OF_NAME: usize = 60;

/// The page that a link leads to.
pub(crate) async fn show(Anyone(visit): Anyone) -> Response {
    let page = Page { modules: &["link.js"], ..Page::new(&visit, Place::Elsewhere, "Opening the link") };
    page.show(html! {
        p id="link-state" role="status" {
            "Opening a link needs JavaScript: its secret is in the part of the address that browsers don't send."
        }
    })
}

/// Opens a link: begins its session, in which only its subscriber is accessible.
///
/// A body of JSON can't be sent from another site, so nobody can be signed in by somebody else's link.
pub(crate) async fn open(Anyone(visit): Anyone, request: Request<Body>) -> Result<Response, Problem> {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type != "application/json" {
        return Err(Problem::Form("A link is opened by its own page."));
    }
    if visit.console.throttle.attempt(visit.visitor().map(|visitor| visitor.0), visit.now()).is_err() {
        return Ok(answer(
            StatusCode::TOO_MANY_REQUESTS,
            &json!({"message": "Too many attempts. Try again in a minute."}),
        ));
    }
    let body: Value = serde_json::from_slice(&form::read(request.into_body()).await?).unwrap_or(Value::Null);
    let opened = visit.console.api.open_link(body.text("/secret")).await;
    let grant = match opened {
        Ok(Some(grant)) => grant,
        Ok(None) => {
            let message = "This link was used already, or has expired. Ask for a new one where you got it.";
            return Ok(answer(StatusCode::GONE, &json!({"message": message})));
        }
        Err(Unavailable) => return Err(Problem::Unavailable),
    };
    let framed = body.flag("/framed") && !visit.console.settings.frame_origins.is_empty();
    let path = format!("/api/v1/subscribers/{}", encoded(&grant.subscriber));
    let bearer = |subscriber: String| Who::Link { grant: grant.clone(), framed, subscriber };
    let subscriber = ask(&visit.console, &bearer(String::new()), visit.visitor(), Method::GET, &path, None).await;
    let name = subscriber.unwrap_or_default().text("/name").chars().take(MOST_OF_NAME).collect();
    let session = Session::begin(bearer(name), visit.now()).map_err(|_| Problem::Unavailable)?;
    let response = answer(StatusCode::OK, &json!({"to": "/console"}));
    visit.begin(&session, response).map_err(|_| Problem::Unavailable)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
