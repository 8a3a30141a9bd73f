//! `/confirm/{token}`: the target of confirmation links in emails. Opening the page confirms nothing, because mail
//! scanners open links, too; its button does.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use domain::subscriber::Subscriber;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use store::confirmation::{self, Answer};
use store::{Change, Put};
use tokio::time::Instant;

use crate::Api;
use crate::changing::{self, NotChanged, until_won};
use crate::description::operation::{Operation, Shown};
use crate::description::page::framed;
use crate::management::too_fast;
use crate::origin::Origin;
use crate::path::At;
use crate::refusal::{Refusal, because};

const ASKS: &str = "<main class=\"plain\"><h1>Confirm your address</h1><p>Confirm that the event platform may send \
    notifications about subscriptions to your address.</p><form method=\"post\"><button>Confirm</button></form></main>";
const THANKS: &str = "<main class=\"plain\"><h1>Confirmed</h1><p>Notifications will be sent to your address. \
    You can close this page.</p></main>";

/// Public description.
pub(crate) fn about_show() -> Operation {
    Operation::new(
        "showConfirmation",
        "Show the confirmation page",
        "With `notifications.confirm_addresses`, a new technical contact gets an email with a link to this page. \
         Opening it confirms nothing.",
    )
    .answers_with(200, "The page.", Some(("text/html", Shown::Text)))
}

/// Public description.
pub(crate) fn about_confirm() -> Operation {
    Operation::new(
        "confirmAddress",
        "Confirm the address of a technical contact",
        "Called by the page's button. A link works once, within 7 days, and only while the subscriber has that \
         address.",
    )
    .answers_with(200, "The address is confirmed.", Some(("text/html", Shown::Text)))
    .refuses(&[because::NOT_FOUND, because::RATE_LIMITED, because::CONCURRENT_CHANGE])
}

/// The page, the same for every link.
pub(crate) async fn show(State(api): State<Arc<Api>>) -> Response {
    let mut page = page(&api, ASKS);
    let policy = api.description().policy.replace("form-action 'none'", "form-action 'self'");
    // Consists of fixed text and a hash.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    page
}

/// Confirms the address that the link was sent to.
pub(crate) async fn confirm(
    State(api): State<Arc<Api>>,
    At(token): At<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let origin = request.extensions().get::<Origin>().copied().unwrap_or(Origin::UNKNOWN);
    api.rate_limit.come(origin, Instant::now()).map_err(too_fast)?;
    let invalid = || {
        let message = "the link is invalid: it was used, has expired, or the subscriber has a different address now";
        Refusal::new(because::NOT_FOUND, message)
    };
    let answer = Answer::parse(&token).ok_or_else(invalid)?;
    until_won(|| async {
        let asked = api.store().subscriber(answer.subscriber).await?.ok_or_else(invalid)?;
        let confirmed = confirmation::confirm(asked, &answer, api.clock.wall()).ok_or_else(invalid)?;
        let confirmed = Subscriber { revision: confirmed.revision + 1, ..confirmed };
        let change = Change { subscriber: Some(Put::Changed(confirmed)), ..changing::change() };
        api.store().change(change).await?;
        Ok::<_, NotChanged>(())
    })
    .await?;
    Ok(page(&api, THANKS))
}

/// A page that must not be cached.
fn page(api: &Api, body: &'static str) -> Response {
    let mut page = api.description().html(framed("Notifications", body));
    page.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}
