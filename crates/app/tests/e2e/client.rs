//! A client of the platform under test: one keep-alive connection.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Longer waits are pointless: the platform was killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A caller: URL of the PIM, token, client id.
#[derive(Clone, Copy)]
pub(crate) struct Caller(pub(crate) &'static str, pub(crate) &'static str, pub(crate) &'static str);

/// The test's client.
pub(crate) const APP: Caller = Caller("https://pim.example.com", "token", "app");

/// A connection to a platform.
pub(crate) struct Client(SendRequest<Full<Bytes>>, String, Caller);

impl Client {
    /// Connects as the test's client.
    pub(crate) async fn connect(address: &str) -> Result<Client, String> {
        Client::connect_as(APP, address).await
    }

    /// Connects as another one.
    pub(crate) async fn connect_as(caller: Caller, address: &str) -> Result<Client, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Client(sender, address.to_owned(), caller))
    }

    /// Makes a request as the test's client and producer.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        media_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.1)
            .header("content-type", media_type)
            .header("authorization", "Bearer a-key-for-the-tests")
            .header("x-pim-url", self.2.0)
            .header("x-pim-token", self.2.1)
            .header("x-pim-client-id", self.2.2)
            .body(Full::new(body.into()))
            .unwrap();
        let exchange = async {
            self.0.ready().await?;
            let answer = self.0.send_request(request).await?;
            let status = answer.status();
            Ok((status, answer.into_body().collect().await?.to_bytes()))
        };
        let ended: Result<_, hyper::Error> =
            tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| "no answer in time".to_owned())?;
        ended.map_err(|error| error.to_string())
    }

    /// Creates an object; returns its id.
    pub(crate) async fn create(&mut self, path: &str, body: &Value) -> String {
        let (status, answer) = self.call(Method::POST, path, "application/json", body.to_string()).await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&answer));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Reads an object.
    pub(crate) async fn get(&mut self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, "application/json", "").await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap()
    }

    /// Status and body of a response.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.call(method, path, "application/json", body).await.unwrap();
        (status.as_u16(), serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// Requests an action (`…/suspend`, `…/resume`): whether it was done, else the rejection; an error without a
    /// response.
    pub(crate) async fn order(&mut self, path: &str) -> Result<StatusCode, String> {
        Ok(self.call(Method::POST, path, "application/json", "").await?.0)
    }

    /// All log entries of a subscription, oldest first.
    pub(crate) async fn log_of(&mut self, subscription: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        let query = format!("/api/v1/logs?order=asc&limit=100&subscription_id={subscription}");
        let mut page = self.get(&query).await;
        loop {
            entries.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { return entries };
            page = self.get(&format!("{query}&cursor={next}")).await;
        }
    }

    /// Creates a subscriber; returns the path of its subscriptions.
    pub(crate) async fn subscriber(&mut self) -> String {
        let body = json!({"name": "test", "contact": {"technical_email": "test@example.com"}});
        let id = self.create("/api/v1/subscribers", &body).await;
        format!("/api/v1/subscribers/{id}/subscriptions")
    }

    /// Creates a subscription to `url` with further fields; returns its id.
    pub(crate) async fn subscribe(&mut self, subscriptions: &str, url: &str, types: &[String], more: Value) -> String {
        let config = json!({"url": url, "secret": {"primary": SECRET}});
        let mut body = json!({"source": "pim", "type": "https", "events": types, "config": config});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.create(subscriptions, &body).await
    }

    /// Posts a batch of events; whether it was accepted, else the reason.
    pub(crate) async fn publish(&mut self, events: &[String]) -> Result<(), String> {
        let body = format!("[{}]", events.join(","));
        let (status, answer) =
            self.call(Method::POST, "/api/v1/events", "application/cloudevents-batch+json", body).await?;
        match status {
            StatusCode::ACCEPTED => Ok(()),
            _ => Err(format!("{status} {}", String::from_utf8_lossy(&answer))),
        }
    }
}

/// Secret of all subscriptions.
pub(crate) const SECRET: &str = "your_primary_secret";
