//! A fake PIM: returns prepared responses and records requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use http::header::AUTHORIZATION;
use http::{StatusCode, header};
use tokio::net::TcpListener;

pub(super) struct FakePim {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakePim {
    /// A PIM with these responses (path, status, body); everything else is 404.
    pub(super) async fn start(answers: &[(&'static str, u16, &'static str)]) -> FakePim {
        let answers: HashMap<_, _> = answers.iter().map(|(path, status, body)| (*path, (*status, *body))).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = asked.clone();
        let answer = move |request: Request| async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let authorization = parts.headers.get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
            let path = parts.uri.path();
            let asked = format!("{} {path} {authorization} {}", parts.method, String::from_utf8_lossy(&body));
            remembered.lock().unwrap().push(asked);
            let (status, body) = answers.get(path).copied().unwrap_or((404, "{}"));
            (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "application/json")], body)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        FakePim { address, asked }
    }

    /// A PIM that accepts connections and never answers.
    pub(super) async fn hanging() -> FakePim {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                kept.push(stream);
            }
        });
        FakePim { address, asked: Arc::default() }
    }

    /// Registered with a trailing slash, as operators do.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Method, path, authorization and body of each request.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}
