//! A minimal HTTP client: a persistent hyper connection, driven by its user.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
    path: Uri,
    headers: HeaderMap,
}

impl Client {
    /// Connects. All requests go to `path` with these headers.
    pub(crate) async fn connect(to: SocketAddr, path: &'static str, mut headers: HeaderMap) -> anyhow::Result<Client> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        headers.insert(http::header::HOST, to.to_string().parse()?);
        Ok(Client { sender, driver, path: Uri::from_static(path), headers })
    }

    /// Sends a body and waits for the end of the response, which must have this status.
    pub(crate) async fn post(&mut self, body: Bytes, expect: StatusCode) -> anyhow::Result<()> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        let answer = {
            let mut answer = pin!(self.sender.send_request(request));
            let driver = &mut self.driver;
            poll_fn(|cx| {
                drive(driver, cx);
                answer.as_mut().poll(cx)
            })
            .await?
        };
        let status = answer.status();
        let mut body = answer.into_body();
        while let Some(frame) = poll_fn(|cx| self.poll_frame(&mut body, cx)).await {
            frame?;
        }
        if status != expect {
            bail!("{} was answered with {status}", self.path);
        }
        // The driver must notice that the response is complete.
        drive(&mut self.driver, &mut Context::from_waker(std::task::Waker::noop()));
        Ok(())
    }

    fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<hyper::body::Frame<Bytes>>>> {
        if body.is_end_stream() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        drive(&mut self.driver, cx);
        Pin::new(body).poll_frame(cx)
    }
}

fn drive(driver: &mut http1::Connection<TokioIo<TcpStream>, Full<Bytes>>, cx: &mut Context<'_>) {
    // A connection error is also reported to the request or the body.
    let _ended = Pin::new(driver).poll(cx);
}
