//! The request of an attempt, built from the constant parts of a subscription's requests.

use bytes::Bytes;
use domain::destination::HttpsDestination;
use domain::outcome::{ErrorReason, Failure};
use domain::replay::REPLAY_MARK;
use domain::subscription::Subscription;
use domain::trace_parent::TraceParent;
use domain::{Event, ReplayId, Timestamp};
use http::header::{CONTENT_TYPE, Entry, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;
use uuid::Uuid;
use wire::signature::{ALGORITHM, HMAC_SHA256, Signer};

use super::connection::Connection;
use crate::connect::Security;
use crate::tls::Alpn;

/// The platform's name and version in `User-Agent`.
pub(crate) const PRODUCT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));

/// Length of HMAC-SHA256 in hexadecimal digits.
const LONGEST_SIGNATURE: usize = 64;
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const REPLAY: HeaderName = HeaderName::from_static(REPLAY_MARK);
/// W3C Trace Context.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// Optional headers of one attempt.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// The replay that it is part of.
    pub(crate) replay: Option<ReplayId>,
    pub(crate) trace: Option<TraceParent>,
}

/// Constant parts of all requests of a subscription, at one revision.
pub(crate) struct Prepared {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    /// `host:port`, for messages.
    pub(crate) name: String,
    pub(crate) send_product_identifier: bool,
    /// HTTP/1.1 names only the path, HTTP/2 the full URL.
    target: Uri,
    absolute: Uri,
    /// All headers of a request over HTTP/1.1, with placeholders for what differs from one attempt to another.
    headers: HeaderMap,
    signer: Signer,
    /// Values hidden from log entries.
    secrets: Vec<Vec<u8>>,
}

impl Prepared {
    pub(crate) fn new(subscription: &Subscription, destination: &HttpsDestination) -> Result<Prepared, Failure> {
        let url = &destination.url;
        let authority = url.authority();
        let scheme = if url.is_tls() { "https" } else { "http" };
        let target: Uri = url.target().parse().map_err(|_| invalid("the path or query of its URL"))?;
        let absolute = Uri::builder().scheme(scheme).authority(authority.as_str()).path_and_query(url.target()).build();
        let mut headers = HeaderMap::with_capacity(16);
        let media_type = match subscription.options.cloudevents_content_type {
            true => "application/cloudevents+json",
            false => "application/json",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(USER_AGENT, HeaderValue::from_static(PRODUCT));
        for (name, value) in &destination.headers.0 {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            let header = parsed.map_err(|_| invalid(&format!("the name of its header `{name}`")))?;
            let parsed = HeaderValue::from_str(value.expose());
            let mut value = parsed.map_err(|_| invalid(&format!("the value of its header `{name}`")))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let signer = Signer::new(&destination.primary, destination.secondary.as_ref());
        let placeholder = || HeaderValue::from_static("");
        for name in signer.names() {
            headers.insert(HeaderName::from_static(name), placeholder());
        }
        headers.insert(HeaderName::from_static(ALGORITHM), HeaderValue::from_static(HMAC_SHA256));
        headers.insert(CORRELATION_ID, placeholder());
        headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|_| invalid("the host of its URL"))?);
        Ok(Prepared {
            host: url.host().to_owned(),
            port: url.port(),
            security: if url.is_tls() { Security::Tls(Alpn::Http2OrHttp1) } else { Security::Plain },
            name: format!("{}:{}", url.host(), url.port()),
            send_product_identifier: subscription.send_product_identifier,
            target,
            absolute: absolute.map_err(|_| invalid("its URL"))?,
            headers,
            signer,
            secrets: secrets(destination),
        })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.security != Security::Plain
    }

    /// Values of a request hidden from log entries: custom headers, secrets, signatures.
    pub(crate) fn secrets(&self, event: &Event, body: &Bytes, at: Timestamp) -> Vec<Vec<u8>> {
        let signed = self.signer.sign(event.id(), at, body);
        let standard = signed.webhook_signature.split(' ').flat_map(|one| [one, one.trim_start_matches("v1,")]);
        let signatures = [&*signed.primary].into_iter().chain(signed.secondary.as_deref()).chain(standard);
        self.secrets.iter().cloned().chain(signatures.map(|text| text.as_bytes().to_vec())).collect()
    }

    /// Upper bound for the length of [`Prepared::secrets`].
    pub(crate) fn longest_secret(&self) -> usize {
        self.secrets.iter().map(Vec::len).max().unwrap_or(0).max(LONGEST_SIGNATURE)
    }

    /// The headers of one attempt: signed at its time, with its id.
    fn headers(&self, event: &Event, body: &Bytes, at: Timestamp, correlation_id: Uuid) -> HeaderMap {
        let mut headers = self.headers.clone();
        let mut signed = self.signer.sign(event.id(), at, body);
        let mut id = Uuid::encode_buffer();
        let id = correlation_id.hyphenated().encode_lower(&mut id);
        // Replacing them all in one pass takes a fraction of inserting each by its name.
        for (name, value) in headers.iter_mut() {
            let text = match name.as_str() {
                name if name == CORRELATION_ID.as_str() => Some(id.to_owned()),
                name => signed.take(name),
            };
            // Signatures and ids are visible ASCII.
            if let Some(text) = text
                && let Ok(text) = HeaderValue::try_from(text)
            {
                *value = text;
            }
        }
        headers
    }

    /// The request in the form needed by `connection`.
    pub(crate) fn request(
        &self,
        connection: &Connection,
        event: &Event,
        body: &Bytes,
        at: Timestamp,
        correlation_id: Uuid,
        marks: Marks,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = self.headers(event, body, at, correlation_id);
        if let Some(replay) = marks.replay
            && let Ok(value) = HeaderValue::try_from(replay.to_string())
        {
            request.headers_mut().insert(REPLAY, value);
        }
        // A subscriber's own header of that name takes precedence.
        if let Some(trace) = marks.trace
            && let Entry::Vacant(header) = request.headers_mut().entry(TRACE_PARENT)
            && let Ok(value) = HeaderValue::try_from(trace.to_string())
        {
            header.insert(value);
        }
        match connection {
            Connection::Http1(_) => {
                *request.uri_mut() = self.target.clone();
            }
            Connection::Http2(_) => {
                *request.uri_mut() = self.absolute.clone();
                request.headers_mut().remove(HOST);
                *request.version_mut() = Version::HTTP_2;
            }
        }
        request
    }
}

/// The secrets of a destination's owner. Of `Bearer …` the credentials alone count as well.
fn secrets(destination: &HttpsDestination) -> Vec<Vec<u8>> {
    let values = destination.headers.0.iter().map(|(_, value)| value.expose());
    let values = values.flat_map(|value| [Some(value), value.split_once(' ').map(|(_, credentials)| credentials)]);
    let keys = [Some(&destination.primary), destination.secondary.as_ref()].map(|key| key.map(|key| key.expose()));
    values.chain(keys).flatten().filter(|text| !text.is_empty()).map(|text| text.as_bytes().to_vec()).collect()
}

fn invalid(what: &str) -> Failure {
    let message = format!("the destination is invalid: {what} cannot be sent over HTTP");
    Failure::without_status(ErrorReason::InvalidDestinationConfiguration, message)
}
