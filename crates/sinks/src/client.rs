//! A small HTTP client for the platform's own calls: token checks at a PIM, notification webhooks. One request a
//! connection, everything bounded, redirects not followed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use crate::connect::{ConnectError, Connector, Security};
use crate::https::PRODUCT;
use crate::https::connection::{BodyEnd, Connection};
use crate::tls::Alpn;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL cannot be called.
    #[error("`{0}` is not an http or https URL with a host")]
    InvalidUrl(String),
    /// There is no connection.
    #[error("could not connect to {host}: {error}")]
    Connect {
        /// Host of the URL.
        host: String,
        /// Why.
        error: ConnectError,
    },
    /// It took too long.
    #[error("no complete answer from {host} within {} s", .limit.as_secs_f64())]
    TimedOut {
        /// Host of the URL.
        host: String,
        /// The time that was given.
        limit: Duration,
    },
    /// The answer is longer than what is read.
    #[error("the answer of {host} is longer than {limit} bytes")]
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
        error: hyper::Error,
    },
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
    /// From the look-up of the host to the end of the answer.
    pub timeout: Duration,
}

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    connector: Connector,
}

impl Client {
    /// A client on `connector`: its guard applies, or not if it is [`Connector::exempt`].
    pub fn new(connector: Connector) -> Client {
        Client { connector }
    }

    /// Makes a call; every status is an answer.
    pub async fn fetch(&self, call: Call) -> Result<Fetched, FetchError> {
        let url: Uri = call.url.parse().map_err(|_| FetchError::InvalidUrl(call.url.clone()))?;
        let (Some(host), Some(authority)) = (url.host(), url.authority()) else {
            return Err(FetchError::InvalidUrl(call.url));
        };
        let (security, usual_port) = match url.scheme_str() {
            Some("https") => (Security::Tls(Alpn::Http1), 443),
            Some("http") => (Security::Plain, 80),
            Some(_) | None => return Err(FetchError::InvalidUrl(call.url)),
        };
        let port = url.port_u16().unwrap_or(usual_port);
        let named = if port == usual_port { host.to_owned() } else { format!("{host}:{port}") };
        let without_user = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
        let host_header = HeaderValue::from_str(without_user).map_err(|_| FetchError::InvalidUrl(call.url.clone()))?;
        let target = url.path_and_query().map_or("/", |target| target.as_str());

        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = call.method;
        *request.uri_mut() = target.parse().map_err(|_| FetchError::InvalidUrl(call.url.clone()))?;
        *request.headers_mut() = call.headers;
        request.headers_mut().insert(HOST, host_header);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(PRODUCT));

        let exchange = async {
            let stream = self.connector.connect(host, port, security).await;
            let stream = stream.map_err(|error| FetchError::Connect { host: named.clone(), error })?;
            let lost = |error| FetchError::Lost { host: named.clone(), error };
            let mut connection = Connection::open(stream, None).await.map_err(lost)?;
            let (head, body) = connection.send(request).await.map_err(lost)?.into_parts();
            let mut whole = BytesMut::new();
            // One byte more than the limit tells a longer answer from one that just fits.
            let end = connection.read(body, call.limit.saturating_add(1), |part| whole.extend_from_slice(part)).await;
            match end.map_err(lost)? {
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
