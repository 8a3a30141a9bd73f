//! Bodies of forms: bounded, and only with the token of the session that the form was made for.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};

use crate::query::Pairs;
use crate::visit::{Problem, Visit};

/// Maximum size of a form: certificates and samples fit; the API accepts as much.
const MAX_BYTES: usize = 256 * 1024;
/// Name of the field with the token.
pub(crate) const CSRF: &str = "csrf";

/// A form that was sent by the person who is signed in.
pub(crate) struct Form(pub(crate) Pairs);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Form, Problem> {
        let visit = request.extensions().get::<Visit>().cloned().ok_or(Problem::SignedOut)?;
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !media_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
            return Err(Problem::Form("The form was sent in an unknown format."));
        }
        let pairs = Pairs::parse(&String::from_utf8_lossy(&read(request.into_body()).await?));
        if !visit.session().is_csrf(pairs.get(CSRF)) {
            return Err(Problem::Form(
                "This form belongs to another session, or its session has ended. Nothing was changed. Go back, reload \
                 the page and send the form again.",
            ));
        }
        Ok(Form(pairs))
    }
}

/// Reads a body within the limit.
pub(crate) async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let read = Limited::new(body, MAX_BYTES).collect().await;
    let read = read.map_err(|_| Problem::Form("The form is too large, or was not received completely."))?;
    Ok(read.to_bytes().to_vec())
}
