//! HTTPS endpoints.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::descriptor::Traits;
use super::{CustomHeaders, Descriptor, DestinationType, EndpointUrl, Manner, Target};
use crate::secret::Secret;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "https",
    format: 1,
    manner: Manner::OneByOne,
    carries_traces: true,
    guide: "integrators/subscriptions.md#https",
};

/// An HTTPS endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HttpsDestination {
    /// Target of POST requests, kept byte for byte as given.
    pub url: EndpointUrl,
    /// Signs `X-AKENEO-SIGNATURE-PRIMARY`.
    pub primary: Secret,
    /// Signs `X-AKENEO-SIGNATURE-SECONDARY`, if set.
    pub secondary: Option<Secret>,
    /// Added after signing.
    #[serde(default)]
    pub headers: CustomHeaders,
}

/// The URL.
impl fmt::Display for HttpsDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl Traits for HttpsDestination {
    fn of_type(&self) -> DestinationType {
        DestinationType::Https
    }

    fn headers(&self) -> &CustomHeaders {
        &self.headers
    }

    fn identity(&self) -> Vec<&str> {
        vec![self.url.as_str()]
    }

    fn host(&self) -> &str {
        self.url.host()
    }

    fn target(&self) -> Target<'_> {
        Target::Server { host: self.url.host(), port: self.url.port() }
    }
}
