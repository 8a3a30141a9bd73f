//! The notification webhook: one attempt to call it (contract page 5).

use bytes::Bytes;
use domain::Secret;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use sinks::client::{Call, FetchError, HttpClient};
use sinks::connect::ConnectError;
use wire::signature::{ALGORITHM, HMAC_SHA256, PRIMARY, SigningKey};

use crate::settings::Settings;

/// Maximum size of a response, which is not used.
const MAX_ANSWER: usize = 64 * 1024;

/// The webhook did not accept the notification.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// Permanently.
    #[error("{0}")]
    Final(String),
    /// Temporarily.
    #[error("{0}")]
    Transient(String),
    /// The platform lacks a resource for the call, which says nothing about the webhook.
    #[error("{0}")]
    Ours(String),
}

/// Calls the webhook once.
pub(crate) async fn call(
    client: &HttpClient,
    settings: &Settings,
    url: &str,
    secret: &Secret,
    body: &str,
) -> Result<(), Lost> {
    if !settings.allow_http && !url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        return Err(Lost::Final("the URL is not https, and the platform does not allow http".into()));
    }
    let signature = SigningKey::new(secret).akeneo(body.as_bytes());
    let signature = HeaderValue::try_from(signature).map_err(|error| Lost::Final(error.to_string()))?;
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (HeaderName::from_static(ALGORITHM), HeaderValue::from_static(HMAC_SHA256)),
        (HeaderName::from_static(PRIMARY), signature),
    ]);
    let call = Call {
        method: Method::POST,
        url: url.to_owned(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        limit: MAX_ANSWER,
        timeout: settings.webhook_timeout,
    };
    match client.fetch(call).await {
        Ok(answer) => judge(answer.status),
        // The status was received; the body is just too long.
        Err(FetchError::TooLong { status, .. }) => judge(status),
        Err(error) => Err(lost(&error)),
    }
}

fn lost(error: &FetchError) -> Lost {
    let said = error.to_string();
    if error.lack().is_some() {
        return Lost::Ours(said);
    }
    match error {
        FetchError::InvalidUrl
        | FetchError::Connect { error: ConnectError::Forbidden(_) | ConnectError::NotAHost, .. } => Lost::Final(said),
        FetchError::Connect { .. }
        | FetchError::TimedOut { .. }
        | FetchError::TooLong { .. }
        | FetchError::Lost { .. } => Lost::Transient(said),
    }
}

fn judge(status: StatusCode) -> Result<(), Lost> {
    let said = || format!("it answered {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Ok(()),
        429 | 500..=599 => Err(Lost::Transient(said())),
        _ => Err(Lost::Final(said())),
    }
}

#[cfg(test)]
mod tests {
    use domain::outcome::Lack;
    use sinks::resolve::LookupError;

    use super::*;

    #[track_caller]
    fn check(status: u16, expect: &str) {
        let judged = match judge(StatusCode::from_u16(status).unwrap()) {
            Ok(()) => "taken",
            Err(Lost::Transient(_)) => "again",
            Err(Lost::Final(_)) => "final",
            Err(Lost::Ours(_)) => "ours",
        };
        assert_eq!(judged, expect, "{status}");
    }

    #[test]
    fn lacks_of_the_platform_do_not_count_against_a_webhook() {
        let connect = |error| FetchError::Connect { host: "hooks.example".to_owned(), error };
        for lack in [Lack::FileDescriptors, Lack::LocalPorts] {
            assert!(matches!(lost(&connect(ConnectError::Ours(lack))), Lost::Ours(_)), "{lack}");
        }
        let no_name_server = ConnectError::Lookup(LookupError::Lacks(Lack::NameServers));
        assert!(matches!(lost(&connect(no_name_server)), Lost::Ours(_)));
        assert!(matches!(lost(&connect(ConnectError::Refused)), Lost::Transient(_)));
        assert!(matches!(lost(&connect(ConnectError::NotAHost)), Lost::Final(_)));
    }

    #[test]
    fn results_by_status() {
        for (status, expect) in [
            (200, "taken"),
            (204, "taken"),
            (299, "taken"),
            (301, "final"),
            (307, "final"),
            (400, "final"),
            (404, "final"),
            (410, "final"),
            (429, "again"),
            (500, "again"),
            (503, "again"),
        ] {
            check(status, expect);
        }
    }
}
