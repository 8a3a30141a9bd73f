//! Fetches attribute types from PIMs, for the deltas of the Events API bridge: a password grant with the first
//! registered credentials, then page by page.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::pim::Pim;
use http::StatusCode;
use intake::AttributeSource;
use serde_json::Value;

use crate::pim_client::{PimClient, credentials};

/// Attributes per page: the PIM's maximum.
const PAGE: usize = 100;
/// Maximum number of pages, more than any PIM has.
const MOST_PAGES: usize = 1000;
/// Maximum size of a response: a page has a few hundred KB if attributes have labels in many languages.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Attribute types over HTTP.
pub(crate) struct HttpAttributes(PimClient);

impl HttpAttributes {
    /// Uses `client` for requests.
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
                serde_json::from_slice(&answer.body).map_err(|_| format!("its response to {path} is not JSON"))?;
            let items = answer.pointer("/_embedded/items").and_then(Value::as_array);
            let items = items.ok_or_else(|| format!("its response to {path} has no `_embedded.items`"))?;
            for item in items {
                let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
                types.extend(text("code").zip(text("type")));
            }
            if answer.pointer("/_links/next").is_none() {
                return Ok(Some(types));
            }
        }
        Err(format!("its attributes exceed {MOST_PAGES} pages"))
    }
}

#[cfg(test)]
mod tests;
