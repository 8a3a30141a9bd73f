//! A receiver of notification webhooks: responds as configured and keeps the requests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Response to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Say {
    /// Answers with this status.
    Status(u16),
    /// Closes the connection without a response.
    Close,
    /// Never answers.
    Hang,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Answers with `says` in turn, then always with 204.
    pub(crate) async fn start(says: &[Say]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver { address: listener.local_addr().unwrap(), got: Arc::default() };
        let (got, says) = (receiver.got.clone(), Arc::new(Mutex::new(VecDeque::from_iter(says.iter().copied()))));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, got.clone(), says.clone()));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/notify?x=1", self.address)
    }

    pub(crate) fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, got: Arc<Mutex<Vec<Request>>>, says: Arc<Mutex<VecDeque<Say>>>) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let request = Request { head: head.to_owned(), body: String::new(), at: Instant::now() };
            let length: usize = request.header("content-length").unwrap().parse().unwrap();
            break (head.to_owned(), length);
        }
    };
    while bytes.len() < head.len() + 4 + length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let body = String::from_utf8(bytes[head.len() + 4..].to_vec()).unwrap();
    got.lock().unwrap().push(Request { head, body, at: Instant::now() });
    let say = says.lock().unwrap().pop_front().unwrap_or(Say::Status(204));
    match say {
        Say::Status(status) => {
            let location = if (300..400).contains(&status) { "location: /elsewhere\r\n" } else { "" };
            let answer = format!("HTTP/1.1 {status} Said\r\n{location}content-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap_or_default();
        }
        Say::Close => {}
        Say::Hang => std::future::pending().await,
    }
}
