//! A client of the platform under test: one keep-alive connection.

use std::time::Duration;

use bytes::Bytes;
use domain::{Clock, Secret};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use wire::signature::SigningKey;

/// Longer waits are pointless: the platform was killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A caller: URL of the PIM, token, client id.
#[derive(Clone, Copy)]
pub(crate) struct Caller(pub(crate) &'static str, pub(crate) &'static str, pub(crate) &'static str);

/// The test's client.
pub(crate) const APP: Caller = Caller("https://pim.example.com", "token", "app");

/// A connection to a platform.
pub(crate) struct Client(SendRequest<Full<Bytes>>, String, Caller, &'static str);

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
        Ok(Client(sender, address.to_owned(), caller, KEY))
    }

    /// The same with the key of another PIM.
    pub(crate) fn with_key(self, key: &'static str) -> Client {
        Client(self.0, self.1, self.2, key)
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
            .header("authorization", format!("Bearer {}", self.3))
            .header("x-pim-url", self.2.0)
            .header("x-pim-token", self.2.1)
            .header("x-pim-client-id", self.2.2)
            .body(Full::new(body.into()))
            .unwrap();
        self.exchange(request).await
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
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

    /// Sends an event of the Events API, as the PIM itself.
    pub(crate) async fn events_api(&mut self, action: &str, id: &str, resource: &Value) -> Result<StatusCode, String> {
        let now = (Clock::system().wall().as_micros() / 1_000_000).to_string();
        let event = json!({
            "action": action, "event_id": id, "event_datetime": "2026-11-03T09:00:13+01:00",
            "author": "julia", "author_type": "ui", "data": {"resource": resource},
        });
        let body = json!({"events": [event]}).to_string();
        let signature = SigningKey::new(&Secret::new(PIM_SECRET)).events_api(&now, body.as_bytes());
        let request = Request::builder()
            .method(Method::POST)
            .uri("/ingest/akeneo/test")
            .header("host", &self.1)
            .header("content-type", "application/json")
            .header("x-akeneo-request-timestamp", now)
            .header("x-akeneo-request-signature", signature)
            .body(Full::new(body.into()))
            .unwrap();
        Ok(self.exchange(request).await?.0)
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

/// Key of the PIM's producer.
const KEY: &str = "a-key-for-the-tests";

/// Secret of the PIM's Events API.
pub(crate) const PIM_SECRET: &str = "secret of the connection";

/// Secret of all subscriptions.
pub(crate) const SECRET: &str = "your_primary_secret";
