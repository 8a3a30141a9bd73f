//! A small HTTP client for the platform's own calls: token checks at a PIM, notification webhooks. One request per
//! connection, everything bounded, redirects not followed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::outcome::Lack;
use fair::Holder;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use crate::connect::{ConnectError, Connector, Security};
use crate::https::PRODUCT;
use crate::https::connection::{BodyEnd, Connection};
use crate::https::lost::Lost;
use crate::resolve::{LookupError, PLATFORM};
use crate::tls::Alpn;

/// Cause of a missing response.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is not valid. The error does not repeat it, because the path or query of a URL may be its only secret.
    #[error("the URL is not an http or https URL with a host")]
    InvalidUrl,
    /// Connecting failed.
    #[error("could not connect to {host}: {error}")]
    Connect {
        /// Host of the URL.
        host: String,
        /// The cause.
        error: ConnectError,
    },
    /// The time limit was exceeded.
    #[error("no complete response from {host} within {} s", .limit.as_secs_f64())]
    TimedOut {
        /// Host of the URL.
        host: String,
        /// The time limit.
        limit: Duration,
    },
    /// The response exceeds the size limit.
    #[error("the response of {host} is longer than {limit} bytes")]
    TooLong {
        /// Host of the URL.
        host: String,
        /// Status of the response.
        status: StatusCode,
        /// Maximum size in bytes.
        limit: usize,
    },
    /// The connection was lost, or the response is not HTTP.
    #[error("the connection to {host} failed: {error}")]
    Lost {
        /// Host of the URL.
        host: String,
        /// The cause.
        error: Lost,
    },
}

impl FetchError {
    /// The platform's lack that made the call fail, if any: the failure then says nothing about the other side.
    pub fn lack(&self) -> Option<Lack> {
        match self {
            FetchError::Connect { error: ConnectError::Ours(lack), .. }
            | FetchError::Connect { error: ConnectError::Lookup(LookupError::Lacks(lack)), .. } => Some(*lack),
            FetchError::Lost { error, .. } => error.lack(),
            FetchError::Connect { .. }
            | FetchError::InvalidUrl
            | FetchError::TimedOut { .. }
            | FetchError::TooLong { .. } => None,
        }
    }
}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// An HTTP call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The full URL.
    pub url: String,
    /// Headers; `Host`, `Content-Length` and `User-Agent` are set here.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// Maximum size of a response; a longer one is an error.
    pub limit: usize,
    /// From the look-up of the host to the end of the response; waiting for a look-up slot is not included.
    pub timeout: Duration,
}

/// Client for HTTP calls. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    connector: Connector,
    holder: Holder,
}

impl HttpClient {
    /// A client on `connector`: its guard applies, unless it is [`Connector::exempt`].
    pub fn new(connector: Connector) -> HttpClient {
        HttpClient { connector, holder: PLATFORM }
    }

    /// The same client on behalf of a tenant, using its share of look-ups instead of the platform's.
    #[must_use]
    pub fn on_behalf_of(&self, holder: Holder) -> HttpClient {
        HttpClient { holder, ..self.clone() }
    }

    /// Makes a call; any status counts as a response.
    pub async fn fetch(&self, call: Call) -> Result<Fetched, FetchError> {
        let url: Uri = call.url.parse().map_err(|_| FetchError::InvalidUrl)?;
        let (Some(host), Some(authority)) = (url.host(), url.authority()) else {
            return Err(FetchError::InvalidUrl);
        };
        let (security, usual_port) = match url.scheme_str() {
            Some("https") => (Security::Tls(Alpn::Http1), 443),
            Some("http") => (Security::Plain, 80),
            Some(_) | None => return Err(FetchError::InvalidUrl),
        };
        let port = url.port_u16().unwrap_or(usual_port);
        let named = if port == usual_port { host.to_owned() } else { format!("{host}:{port}") };
        let without_user = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
        let host_header = HeaderValue::from_str(without_user).map_err(|_| FetchError::InvalidUrl)?;
        let target = url.path_and_query().map_or("/", |target| target.as_str());

        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = call.method;
        *request.uri_mut() = target.parse().map_err(|_| FetchError::InvalidUrl)?;
        *request.headers_mut() = call.headers;
        request.headers_mut().insert(HOST, host_header);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(PRODUCT));

        // Not included in the other side's time.
        let admitted = self.connector.admit(host, self.holder).await;
        let exchange = async {
            let stream = self.connector.connect_admitted(admitted, port, security).await;
            let stream = stream.map_err(|error| FetchError::Connect { host: named.clone(), error })?;
            let lost = |error| FetchError::Lost { host: named.clone(), error };
            let mut connection = Connection::open(stream, None).await.map_err(lost)?;
            let (head, body) = connection.send(request).await.map_err(lost)?.into_parts();
            let mut whole = BytesMut::new();
            // One byte more than the limit distinguishes a response that is too long from one that just fits.
            let end = connection.read(body, call.limit.saturating_add(1), |part| whole.extend_from_slice(part)).await;
            let end = match end {
                Ok(end) => end,
                // The status decides: the body of a refusal doesn't change it.
                Err(_) if !head.status.is_success() => BodyEnd::Complete,
                Err(error) => return Err(lost(error)),
            };
            match end {
                BodyEnd::Complete if whole.len() <= call.limit => {
                    Ok(Fetched { status: head.status, headers: head.headers, body: whole.freeze() })
                }
                BodyEnd::Complete | BodyEnd::Cut => {
                    Err(FetchError::TooLong { host: named.clone(), status: head.status, limit: call.limit })
                }
            }
        };
        match tokio::time::timeout(call.timeout, exchange).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(FetchError::TimedOut { host: named.clone(), limit: call.timeout }),
        }
    }
}
