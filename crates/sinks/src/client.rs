//! A small HTTP client for the platform's own calls: token checks at a PIM, notification webhooks. One request a
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

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL cannot be called. It is not repeated: the path or query of a URL may be all that keeps others from using
    /// it.
    #[error("the URL is not an http or https URL with a host")]
    InvalidUrl,
    /// There is no connection.
    #[error("could not connect to {host}: {error}")]
    Connect {
        /// Host of the URL.
        host: String,
        /// Why.
        error: ConnectError,
    },
    /// It took too long.
    #[error("no complete response from {host} within {} s", .limit.as_secs_f64())]
    TimedOut {
        /// Host of the URL.
        host: String,
        /// The time that was given.
        limit: Duration,
    },
    /// The answer is longer than what is read.
    #[error("the response of {host} is longer than {limit} bytes")]
    TooLong {
        /// Host of the URL.
        host: String,
        /// The answer's status.
        status: StatusCode,
        /// The bytes that are read.
        limit: usize,
    },
    /// The connection was lost, or what came is not HTTP.
    #[error("the connection to {host} failed: {error}")]
    Lost {
        /// Host of the URL.
        host: String,
        /// How.
        error: Lost,
    },
}

impl FetchError {
    /// What the platform lacked for the call, if that is why there is no answer: it says nothing about the other side
    /// then.
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

/// An answer, complete.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Headers; `Host`, `Content-Length` and `User-Agent` are set here.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// At most this much of an answer is read; a longer one is an error.
    pub limit: usize,
    /// From the look-up of the host to the end of the answer; waiting for a look-up's place is not part of it.
    pub timeout: Duration,
}

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    connector: Connector,
    holder: Holder,
}

impl HttpClient {
    /// A client on `connector`: its guard applies, or not if it is [`Connector::exempt`].
    pub fn new(connector: Connector) -> HttpClient {
        HttpClient { connector, holder: PLATFORM }
    }

    /// The same on behalf of a tenant, whose share of look-ups it uses, instead of the platform.
    #[must_use]
    pub fn on_behalf_of(&self, holder: Holder) -> HttpClient {
        HttpClient { holder, ..self.clone() }
    }

    /// Makes a call; every status is an answer.
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

        // Not on the other side's time.
        let admitted = self.connector.admit(host, self.holder).await;
        let exchange = async {
            let stream = self.connector.connect_admitted(admitted, port, security).await;
            let stream = stream.map_err(|error| FetchError::Connect { host: named.clone(), error })?;
            let lost = |error| FetchError::Lost { host: named.clone(), error };
            let mut connection = Connection::open(stream, None).await.map_err(lost)?;
            let (head, body) = connection.send(request).await.map_err(lost)?.into_parts();
            let mut whole = BytesMut::new();
            // One byte more than the limit tells a longer answer from one that just fits.
            let end = connection.read(body, call.limit.saturating_add(1), |part| whole.extend_from_slice(part)).await;
            let end = match end {
                Ok(end) => end,
                // The status decides: what was to be read of a refusal does not change it.
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
