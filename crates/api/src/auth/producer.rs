//! Producers of events, identified by the key of their source.

use std::sync::Arc;

use domain::pim::Pim;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::Api;
use crate::refusal::{Refusal, because};

/// The PIM of the request's key, `Authorization: Bearer <source key>` (contract page 7, "Key").
pub(crate) async fn source(api: &Api, headers: &HeaderMap) -> Result<Arc<Pim>, Refusal> {
    let Some(key) = bearer(headers) else {
        return Err(Refusal::new(
            because::MISSING_SOURCE_KEY,
            "send the source key exactly once, as `Authorization: Bearer <source key>`",
        ));
    };
    let pim = api.registry.find(api.store(), |registrations| registrations.by_key(key).cloned()).await?;
    pim.ok_or_else(|| {
        Refusal::new(
            because::INVALID_SOURCE_KEY,
            "the key does not belong to a registered source; the operator creates and rotates keys",
        )
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expect: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(bearer(&headers), expect, "{values:?}");
    }

    #[test]
    fn a_key_comes_once_as_a_bearer() {
        check(&["Bearer key"], Some("key"));
        check(&["bearer  key "], Some("key"));
        check(&[], None);
        check(&["Bearer"], None);
        check(&["Bearer  "], None);
        check(&["Basic key"], None);
        check(&["Bearer key", "Bearer key"], None);
    }
}
