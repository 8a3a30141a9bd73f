//! A small HTTP client for commands that talk to a platform or a local URL: one keep-alive connection, HTTP/1.1.
//!
//! It is for addresses that the person at the terminal typed, so there is no address guard; deliveries go through `sinks`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// More than any answer that these commands expect.
const MAX_ANSWER: usize = 64 << 20;
/// A platform that is busy answers later than one that is idle, yet not never.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one server.
pub(crate) struct HttpClient {
    https: bool,
    host: String,
    port: u16,
    /// The path of the base URL, without a trailing slash.
    base_path: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("the answer is no JSON: {}", self.text()))
    }

    /// The body as text, for messages.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

impl HttpClient {
    /// A client of the server at `base`, an `http` or `https` URL.
    pub(crate) fn new(base: &str) -> anyhow::Result<HttpClient> {
        let uri: http::Uri = base.parse().with_context(|| format!("{base:?} is no URL"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("{base:?} is no http:// or https:// URL"),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            bail!("{base:?} names no host");
        }
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let base_path = uri.path_and_query().map_or("", |path| path.as_str()).trim_end_matches('/').to_owned();
        Ok(HttpClient { https, host, port, base_path, connection: None })
    }

    /// Sends a request to `path` (below the base URL) and reads the whole answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let work = self.send_once_or_again(method, path, headers, body);
        match tokio::time::timeout(TIMEOUT, work).await {
            Ok(answer) => answer,
            Err(_) => {
                self.connection = None;
                bail!("{} did not answer within {} s", self.authority(), TIMEOUT.as_secs())
            }
        }
    }

    async fn send_once_or_again(
        &mut self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base_path));
        if let Some(all) = request.headers_mut() {
            all.extend(headers.clone());
            all.insert(header::HOST, self.authority().parse()?);
        }
        let request = request.body(Full::new(body))?;
        if let Some(mut connection) = self.connection.take()
            && connection.ready().await.is_ok()
        {
            // The server may have closed the idle connection in the meantime; then a fresh one decides.
            if let Ok(answer) = connection.send_request(request.clone()).await {
                return self.read(connection, answer).await;
            }
        }
        let mut connection = self.connect().await?;
        let answer = connection.send_request(request).await.with_context(|| format!("{} did not answer", self.authority()))?;
        self.read(connection, answer).await
    }

    async fn read(
        &mut self,
        connection: SendRequest<Full<Bytes>>,
        answer: http::Response<hyper::body::Incoming>,
    ) -> anyhow::Result<Answer> {
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        self.connection = Some(connection);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .with_context(|| format!("cannot connect to {}", self.authority()))?;
        stream.set_nodelay(true)?;
        if self.https {
            let name = ServerName::try_from(self.host.clone())?;
            let stream = TlsConnector::from(tls_config()?).connect(name, stream).await.with_context(|| {
                format!("no TLS connection to {}", self.authority())
            })?;
            Self::drive(handshake(TokioIo::new(stream)).await?)
        } else {
            Self::drive(handshake(TokioIo::new(stream)).await?)
        }
    }

    fn drive<S>(
        (sender, connection): (SendRequest<Full<Bytes>>, hyper::client::conn::http1::Connection<S, Full<Bytes>>),
    ) -> anyhow::Result<SendRequest<Full<Bytes>>>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        tokio::spawn(async move {
            // The request under way gets the error; without one a closed connection is nobody's business.
            _ = connection.await;
        });
        Ok(sender)
    }

    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.https, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

fn tls_config() -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
