//! `POST /api/v1/console-links`: links to the console that an app gives to its own users.
//!
//! The secret is in the URL's fragment, which browsers don't send to servers. A link is remembered with its client, by
//! the hash of its secret, until it is opened: removing it there is what makes it usable once, on whichever node.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::console_link::ConsoleLink;
use domain::log_entry::Action;
use domain::subscriber::Owner;
use domain::{ClientId, PimId, Secret};
use http::StatusCode;
use serde_json::json;
use store::{ChangeError, edit_client};
use wire::api::console_link;
use wire::fault::code;

use crate::Api;
use crate::auth::bearer::LinkBearer;
use crate::auth::caller::Caller;
use crate::auth::credential::{random, sha256_hex};
use crate::body;
use crate::changing::{self, NotChanged, until_won};
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::refusal::{Refusal, because};
use crate::subscribers::{find, must_be_active};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "createConsoleLink",
        "Create a link to the console",
        "Opens the console for one subscriber, without a token, in one browser. The link works once, and its session \
         ends when the link expires. What its bearer may do is checked with every page like the client itself. The \
         secret is in the fragment of the URL: don't log it. Of the links that were not opened, the latest 100 of a \
         client work.",
    )
    .sends(
        "NewConsoleLink",
        r#"{"subscriber_id":"0192aabb-ccdd-7eff-8011-223344556677","read_only":true,"minutes":15}"#,
    )
    .answers(201, "The link.", Shown::One("ConsoleLink"))
    .invalid(&[code::REQUIRED, code::WRONG_TYPE, code::UNKNOWN_FIELD, code::INVALID_VALUE])
    .refuses(&[
        because::NOT_FOUND,
        because::EVENT_PLATFORM_FORBIDDEN,
        because::CONSOLE_OFF,
        because::SUBSCRIBER_REVOKED,
        because::CONCURRENT_CHANGE,
    ])
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "ConsoleLink",
    r##"{"type": "object", "required": ["url", "expires_at"], "properties": {
          "url": {"type": "string", "format": "uri", "description": "For one browser, once."},
          "expires_at": {"type": "string", "format": "date-time"}}}"##,
)];

/// Creates a link.
pub(crate) async fn create(State(api): State<Arc<Api>>, caller: Caller, sent: Sent) -> Result<Response, Refusal> {
    caller.must_be_permitted()?;
    if !api.settings.console {
        let message = "this platform's operator has disabled the console, so a link would lead nowhere";
        return Err(Refusal::new(because::CONSOLE_OFF, message));
    }
    let wanted = console_link::parse_new(&sent.json()?).map_err(Refusal::invalid)?;
    let secret = random("cl_").ok_or_else(|| {
        tracing::error!("the system provides no random numbers");
        Refusal::new(because::INTERNAL_ERROR, "the system provides no random numbers; nothing was created")
    })?;
    let now = api.clock.wall();
    let expires_at = now + Duration::from_mins(wanted.minutes);
    let subscriber = until_won(|| async {
        let caller = caller.again(&api).await?;
        caller.must_be_permitted()?;
        let subscriber = find(&api, &caller, &wanted.subscriber_id).await?;
        must_be_active(&subscriber)?;
        let mut client = api.store().client(&caller.owner).await?;
        // The record is stored only if it is still the one that the caller was judged by.
        if !caller.is_judged_by(&client) {
            return Err(NotChanged::Lost);
        }
        let sha256 = sha256_hex(secret.expose());
        client.links.retain(|link| now < link.expires_at);
        client.links.drain(..client.links.len().saturating_sub(ConsoleLink::MOST - 1));
        client.links.push(ConsoleLink { sha256, subscriber: subscriber.id, read_only: wanted.read_only, expires_at });
        api.store().put_client(&caller.owner, client).await?;
        Ok(subscriber.id)
    })
    .await?;
    // If this fails, the secret is lost and the link useless.
    let mut entry = changing::entry(&caller.owner, subscriber, None, Action::ConsoleLinkCreated, now);
    entry.call = sent.call(StatusCode::CREATED);
    api.store().add_entry(entry).await?;
    let url = format!("{}/console/link#{}", api.settings.public_url, fragment(&caller.owner, &secret));
    Ok(body::json(StatusCode::CREATED, json!({"url": url, "expires_at": expires_at.to_string()}).to_string()))
}

/// Uses a link up: `None` if there is no such link, or no longer.
pub async fn open_console_link(api: &Api, fragment: &str) -> Result<Option<LinkBearer>, ChangeError> {
    let Some((owner, secret)) = parse_fragment(fragment) else { return Ok(None) };
    let (now, sha256) = (api.clock.wall(), sha256_hex(secret));
    let is = |link: &ConsoleLink| verify_slices_are_equal(link.sha256.as_bytes(), sha256.as_bytes()).is_ok();
    let mut found = None;
    edit_client(api.store(), &owner, |client| {
        found = client.links.iter().find(|link| is(link) && now < link.expires_at).cloned();
        client.links.retain(|link| !is(link) && now < link.expires_at);
    })
    .await?;
    Ok(found.map(|link| LinkBearer {
        owner,
        subscriber: link.subscriber,
        read_only: link.read_only,
        until: link.expires_at,
    }))
}

/// Who made the link, and its secret.
fn fragment(owner: &Owner, secret: &Secret) -> String {
    format!("{}.{}.{}", owner.pim, URL_SAFE_NO_PAD.encode(&owner.client_id.0), secret.expose())
}

fn parse_fragment(text: &str) -> Option<(Owner, &str)> {
    let mut parts = text.splitn(3, '.');
    let pim = PimId(parts.next()?.parse().ok()?);
    let client_id = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
    let secret = parts.next()?;
    Some((Owner { pim, client_id: ClientId(client_id) }, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_names_the_client() {
        let owner = Owner { pim: PimId(7), client_id: ClientId("a.b c/ü".to_owned()) };
        let text = fragment(&owner, &Secret::new("cl_1.2"));
        assert_eq!(parse_fragment(&text), Some((owner, "cl_1.2")));
        for bad in ["", "7", "7.YQ", "x.YQ.cl_1", "7.*.cl_1", "-1.YQ.cl_1", "7.gA.cl_1"] {
            assert_eq!(parse_fragment(bad), None, "{bad}");
        }
    }
}
