//! An endpoint that records requests.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A received request.
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Listens on a free port; returns its URL and the requests.
pub(crate) fn listen() -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut read = Vec::new();
            let mut buffer = [0; 4096];
            let (head, body) = loop {
                let count = stream.read(&mut buffer).unwrap();
                if count == 0 {
                    break (String::new(), Vec::new());
                }
                read.extend_from_slice(&buffer[..count]);
                let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if read.len() >= end + 4 + length.parse::<usize>().unwrap() {
                    break (head, read[end + 4..].to_vec());
                }
            };
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if sender.send(Received { head, body }).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

/// The next request.
pub(crate) fn next(received: &Receiver<Received>) -> Received {
    received.recv_timeout(Duration::from_secs(20)).expect("an event arrives")
}
