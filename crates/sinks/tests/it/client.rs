//! The client for the platform's own calls.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use sinks::client::{Call, FetchError, HttpClient};

use crate::endpoint::*;

fn get(url: &str) -> Call {
    Call {
        method: Method::GET,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        limit: 8,
        timeout: Duration::from_secs(1),
    }
}

async fn check(answer: &'static [u8], expect: Result<(u16, &str), &str>) {
    let endpoint = Endpoint::answering(answer).await;
    let client = HttpClient::new(connector(&["127.0.0.0/8"], &[]));
    let said = client.fetch(get(&endpoint.url())).await;
    let address = endpoint.address.to_string();
    match said {
        Ok(fetched) => {
            let body = String::from_utf8(fetched.body.to_vec()).unwrap();
            assert_eq!(Ok((fetched.status.as_u16(), body.as_str())), expect);
        }
        Err(error) => assert_eq!(Err(error.to_string().replace(&address, "HOST").as_str()), expect),
    }
}

#[tokio::test]
async fn every_status_is_an_answer() {
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n12345678", Ok((200, "12345678"))).await;
    check(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", Ok((404, "no"))).await;
    check(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", Ok((302, ""))).await;
}

#[tokio::test]
async fn a_refusal_counts_whatever_becomes_of_its_body() {
    let endpoint = Endpoint::start(|_, mut stream| async move {
        answer(&mut stream, b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 9\r\n\r\n123").await;
    })
    .await;
    let client = HttpClient::new(connector(&["127.0.0.0/8"], &[]));
    assert_eq!(client.fetch(get(&endpoint.url())).await.unwrap().status, 401);
    let endpoint = Endpoint::start(|_, mut stream| async move {
        answer(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123").await;
    })
    .await;
    let error = client.fetch(get(&endpoint.url())).await.unwrap_err();
    assert!(matches!(error, FetchError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn long_and_slow_responses_are_errors() {
    let long = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789";
    check(long, Err("the response of HOST is longer than 8 bytes")).await;
    let slow = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123";
    check(slow, Err("no complete response from HOST within 1 s")).await;
}

#[tokio::test]
async fn the_guard_applies_unless_the_connector_is_exempt() {
    let endpoint = Endpoint::answering(OK).await;
    let guarded = connector(&[], &[]);
    let error = HttpClient::new(guarded.clone()).fetch(get(&endpoint.url())).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error}");
    assert_eq!(endpoint.connections(), 0);
    let fetched = HttpClient::new(guarded.exempt()).fetch(get(&endpoint.url())).await.unwrap();
    assert_eq!(fetched.status, 204);
}

#[tokio::test]
async fn only_http_urls_are_called() {
    let client = HttpClient::new(connector(&[], &[]));
    for url in ["ftp://pim.example/", "/path", "pim.example", "https://", ""] {
        let error = client.fetch(get(url)).await.unwrap_err();
        assert!(matches!(error, FetchError::InvalidUrl), "{url}: {error}");
    }
}
