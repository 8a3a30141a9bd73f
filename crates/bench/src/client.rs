//! A minimal HTTP client: a persistent hyper connection, driven by its user; over HTTP/2, shared by several users.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::tls::{Speaks, Tls};

/// Where a client connects to.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) speaks: Speaks,
    pub(crate) tls: Option<&'a Tls>,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

type Driver = http1::Connection<TokioIo<Box<dyn Wire>>, Full<Bytes>>;

/// A connection, and what all its requests have in common.
pub(crate) struct Client {
    connection: Connection,
    uri: Uri,
    headers: HeaderMap,
}

enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>, Box<Driver>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    /// Connects. All requests go to `path` with these headers.
    pub(crate) async fn connect(to: Peer<'_>, path: &'static str, mut headers: HeaderMap) -> anyhow::Result<Client> {
        let Peer { address, speaks, tls } = to;
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let wire: Box<dyn Wire> = match tls {
            Some(tls) => Box::new(tls.connect(stream).await?),
            None => Box::new(stream),
        };
        let (connection, uri) = if speaks == Speaks::Http2 {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(wire)).await?;
            // It ends with the last sender; an error is also reported to the requests.
            tokio::spawn(async move { _ = driver.await });
            (Connection::Http2(sender), format!("https://{address}{path}").parse()?)
        } else {
            let (sender, driver) = http1::handshake(TokioIo::new(wire)).await?;
            headers.insert(http::header::HOST, address.to_string().parse()?);
            (Connection::Http1(sender, Box::new(driver)), Uri::from_static(path))
        };
        Ok(Client { connection, uri, headers })
    }

    /// Another user of the same connection, if it can be shared.
    pub(crate) fn share(&self) -> Option<Client> {
        match &self.connection {
            Connection::Http1(..) => None,
            Connection::Http2(sender) => Some(Client {
                connection: Connection::Http2(sender.clone()),
                uri: self.uri.clone(),
                headers: self.headers.clone(),
            }),
        }
    }

    /// Sends a body and waits for the end of the response, which must have this status.
    pub(crate) async fn post(&mut self, body: Bytes, expect: StatusCode) -> anyhow::Result<()> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let status = match &mut self.connection {
            Connection::Http1(sender, driver) => send_and_drive(sender, driver, request).await?,
            Connection::Http2(sender) => {
                sender.ready().await?;
                let answer = sender.send_request(request).await?;
                let status = answer.status();
                answer.into_body().collect().await?;
                status
            }
        };
        if status != expect {
            bail!("{} was answered with {status}", self.uri);
        }
        Ok(())
    }
}

/// Sends a request over HTTP/1.1 and reads the response.
async fn send_and_drive(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    driver: &mut Driver,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<StatusCode> {
    let answer = {
        let mut answer = pin!(sender.send_request(request));
        poll_fn(|cx| {
            drive(driver, cx);
            answer.as_mut().poll(cx)
        })
        .await?
    };
    let status = answer.status();
    let mut body = answer.into_body();
    while let Some(frame) = poll_fn(|cx| poll_frame(driver, &mut body, cx)).await {
        frame?;
    }
    // The driver must notice that the response is complete.
    drive(driver, &mut Context::from_waker(std::task::Waker::noop()));
    Ok(status)
}

fn poll_frame(
    driver: &mut Driver,
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<hyper::Result<hyper::body::Frame<Bytes>>>> {
    if body.is_end_stream() {
        return Poll::Ready(None);
    }
    if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
        return Poll::Ready(frame);
    }
    drive(driver, cx);
    Pin::new(body).poll_frame(cx)
}

fn drive(driver: &mut Driver, cx: &mut Context<'_>) {
    // A connection error is also reported to the request or the body.
    let _ended = Pin::new(driver).poll(cx);
}
