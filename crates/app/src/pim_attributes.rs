//! Asks PIMs for the types of their attributes, for the deltas of the Events API bridge: a password grant with the first
//! credentials that the operator registered, then page by page.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::pim::Pim;
use http::StatusCode;
use intake::AttributeSource;
use serde_json::Value;

use crate::pim_client::{PimClient, credentials};

/// Attributes a page: the most that a PIM gives.
const PAGE: usize = 100;
/// More pages than any PIM has; who goes on beyond is no PIM.
const MOST_PAGES: usize = 1000;
/// What is read of an answer: a page has a few hundred KB where attributes have labels in many languages.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Attribute types over HTTP.
pub(crate) struct HttpAttributes(PimClient);

impl HttpAttributes {
    /// Asks by `client`.
    pub(crate) fn new(client: PimClient) -> HttpAttributes {
        HttpAttributes(client)
    }
}

#[async_trait]
impl AttributeSource for HttpAttributes {
    async fn attribute_types(&self, pim: &Pim) -> Result<Option<HashMap<String, String>>, String> {
        let Some(credentials) = credentials(pim) else { return Ok(None) };
        let token = self.0.grant(pim, credentials).await.map_err(|error| error.to_string())?;
        let mut types = HashMap::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/api/rest/v1/attributes?page={page}&limit={PAGE}");
            let answer = self.0.get(pim, &path, &token, MAX_ANSWER).await.map_err(|error| error.to_string())?;
            if answer.status != StatusCode::OK {
                return Err(format!("it answered {path} with {}", answer.status.as_u16()));
            }
            let answer: Value =
                serde_json::from_slice(&answer.body).map_err(|_| format!("its answer to {path} is not JSON"))?;
            let items = answer.pointer("/_embedded/items").and_then(Value::as_array);
            let items = items.ok_or_else(|| format!("its answer to {path} has no `_embedded.items`"))?;
            for item in items {
                let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
                types.extend(text("code").zip(text("type")));
            }
            if answer.pointer("/_links/next").is_none() {
                return Ok(Some(types));
            }
        }
        Err(format!("its attributes do not end after {MOST_PAGES} pages"))
    }
}

#[cfg(test)]
mod tests;
