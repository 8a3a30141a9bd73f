//! A request of a browser: its session, and the way to the API on behalf of who is signed in.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use domain::Timestamp;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;

use crate::answer::Refused;
use crate::query::{Pairs, encoded};
use crate::session::{Session, Who};
use crate::{Console, Visitor, headers, layout};

/// A request with its session, signed in or not.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) console: Arc<Console>,
    session: Arc<Session>,
    visitor: Option<Visitor>,
    method: Method,
    path: String,
    query: Pairs,
}

/// Why there is no page.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Problem {
    /// Not signed in, or no longer.
    SignedOut,
    /// Unknown, or somebody else's.
    Missing,
    /// Nothing for whoever is signed in.
    NotForYou(&'static str),
    /// Not a form of this session.
    Form(&'static str),
    /// Refused by the API.
    Refused(Refused),
    /// The platform could not answer.
    Unavailable,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        match refused.status {
            StatusCode::UNAUTHORIZED => Problem::SignedOut,
            StatusCode::NOT_FOUND => Problem::Missing,
            _ => Problem::Refused(refused),
        }
    }
}

impl Problem {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Problem::SignedOut => StatusCode::SEE_OTHER,
            Problem::Missing => StatusCode::NOT_FOUND,
            Problem::NotForYou(_) | Problem::Form(_) => StatusCode::FORBIDDEN,
            Problem::Refused(refused) => refused.status,
            Problem::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Rendered by [`through`], which knows the session.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A session that begins or ends with a response.
#[derive(Clone)]
struct Cookie(HeaderValue);

/// Opens the session of a request, renders problems, and adds the headers of all responses.
pub(crate) async fn through(State(console): State<Arc<Console>>, mut request: Request, next: Next) -> Response {
    let now = console.clock.wall();
    let known = Session::of(request.headers(), console.sealer.as_ref(), &console.settings, now);
    let began = known.is_none();
    let session = match known.map_or_else(|| Session::begin(Who::Nobody, now), Ok) {
        Ok(session) => session,
        Err(_) => return headers::secure(Problem::Unavailable.into_response(), &console.settings, false),
    };
    let visit = Visit {
        session: Arc::new(session),
        visitor: request.extensions().get::<Visitor>().copied(),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        query: Pairs::parse(request.uri().query().unwrap_or_default()),
        console,
    };
    request.extensions_mut().insert(visit.clone());
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = visit.show(problem, response);
    }
    let cookie = match response.extensions_mut().remove::<Cookie>() {
        Some(Cookie(cookie)) => Some(cookie),
        None if !began && visit.is_signed_in() && visit.session.is_due(now) => {
            visit.session.used(now).cookie(visit.console.sealer.as_ref(), &visit.console.settings).ok()
        }
        None => None,
    };
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    let link = matches!(visit.session.who, Who::Link { .. }) || visit.path == "/console/link";
    headers::secure(response, &visit.console.settings, link)
}

impl Visit {
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn who(&self) -> &Who {
        &self.session.who
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn query(&self) -> &Pairs {
        &self.query
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.console.clock.wall()
    }

    pub(crate) fn visitor(&self) -> Option<Visitor> {
        self.visitor
    }

    pub(crate) fn is_signed_in(&self) -> bool {
        !matches!(self.who(), Who::Nobody)
    }

    pub(crate) fn is_operator(&self) -> bool {
        matches!(self.who(), Who::Operator { .. })
    }

    /// Whether actions are offered; the API decides in any case.
    pub(crate) fn may_change(&self) -> bool {
        !matches!(self.who(), Who::Link { grant, .. } if grant.read_only)
    }

    /// Whether subscribers can be created and changed.
    pub(crate) fn may_manage(&self) -> bool {
        matches!(self.who(), Who::Integrator { .. })
    }

    /// 403 on pages of clients for the operator.
    pub(crate) fn must_be_client(&self) -> Result<(), Problem> {
        if self.is_operator() {
            let message = "This page shows the data of one client. Sign in with its PIM URL, token and client id.";
            return Err(Problem::NotForYou(message));
        }
        Ok(())
    }

    /// 403 on pages of the operator for everyone else.
    pub(crate) fn must_be_operator(&self) -> Result<(), Problem> {
        if self.is_operator() { Ok(()) } else { Err(Problem::NotForYou("This page is for the platform's operator.")) }
    }

    /// Calls the API.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Refused> {
        ask(&self.console, self.who(), self.visitor, method, path, body).await
    }

    /// Reads from the API.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Problem> {
        Ok(self.ask(Method::GET, path, None).await?)
    }

    /// Reads what is not essential to a page: `null` if it is refused.
    pub(crate) async fn get_or_null(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.unwrap_or(Value::Null)
    }

    /// Calls the API for a body that must be shown byte for byte.
    pub(crate) async fn ask_bytes(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), Problem> {
        let response = send(&self.console, self.who(), self.visitor, method, path, None).await?;
        Ok((response.status(), response.into_body()))
    }

    /// A response that begins this session.
    pub(crate) fn begin(
        &self,
        session: &Session,
        mut response: Response,
    ) -> Result<Response, crate::session::NoSession> {
        let cookie = session.cookie(self.console.sealer.as_ref(), &self.console.settings)?;
        response.extensions_mut().insert(Cookie(cookie));
        Ok(response)
    }

    /// A response that ends the session.
    pub(crate) fn end(&self, mut response: Response) -> Response {
        if let Some(cookie) = self.session.no_cookie(&self.console.settings) {
            response.extensions_mut().insert(Cookie(cookie));
        }
        response
    }

    /// The page about a problem.
    fn show(&self, problem: Problem, mut before: Response) -> Response {
        let cookie = before.extensions_mut().remove::<Cookie>();
        let mut response = match &problem {
            Problem::SignedOut => return self.sign_in_again(),
            problem => layout::problem(self, problem),
        };
        if let Some(cookie) = cookie {
            response.extensions_mut().insert(cookie);
        }
        response
    }

    /// To the sign-in page, and from there back to this one.
    fn sign_in_again(&self) -> Response {
        // A form cannot be sent again without its fields.
        let reads = self.method == Method::GET;
        let back = if reads { format!("{}{}", self.path, self.query.query()) } else { "/console".to_owned() };
        let expired = if self.is_signed_in() { "&expired=1" } else { "" };
        let response = Redirect::to(&format!("/console/sign-in?to={}{expired}", encoded(&back))).into_response();
        if self.is_signed_in() { self.end(response) } else { response }
    }
}

/// Calls the API with credentials.
pub(crate) async fn ask(
    console: &Console,
    who: &Who,
    visitor: Option<Visitor>,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Refused> {
    read(send(console, who, visitor, method, path, body.map(Value::to_string)).await?)
}

/// The body of a successful response.
fn read(response: http::Response<Bytes>) -> Result<Value, Refused> {
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let status = response.status();
    let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    if status.is_success() { Ok(body) } else { Err(Refused::read(status, &body, retry_after)) }
}

async fn send(
    console: &Console,
    who: &Who,
    visitor: Option<Visitor>,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Result<http::Response<Bytes>, Refused> {
    let unsendable = || Refused::own(StatusCode::UNAUTHORIZED, "A credential contains characters that cannot be sent.");
    let mut request = Request::builder().method(method).uri(path);
    match who {
        Who::Nobody | Who::Link { .. } => {}
        Who::Integrator { pim_url, token, client_id } => {
            for (name, value) in [("x-pim-url", pim_url), ("x-pim-token", token), ("x-pim-client-id", client_id)] {
                request = request.header(name, HeaderValue::from_str(value).map_err(|_| unsendable())?);
            }
        }
        Who::Operator { key } => {
            let value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| unsendable())?;
            request = request.header(AUTHORIZATION, value);
        }
    }
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let mut request = request
        .body(Bytes::from(body.unwrap_or_default()))
        .map_err(|_| Refused::own(StatusCode::NOT_FOUND, "Invalid address."))?;
    if let Who::Link { grant, .. } = who {
        request.extensions_mut().insert(grant.clone());
    }
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor);
    }
    Ok(console.api.call(request).await)
}

/// A visit of somebody who is signed in.
impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visit, Problem> {
        let visit = parts.extensions.get::<Visit>().cloned();
        visit.filter(Visit::is_signed_in).ok_or(Problem::SignedOut)
    }
}

/// A visit of anyone.
pub(crate) struct Anyone(pub(crate) Visit);

impl<S: Sync> FromRequestParts<S> for Anyone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Anyone, Problem> {
        parts.extensions.get::<Visit>().cloned().map(Anyone).ok_or(Problem::Missing)
    }
}
