//! Attribute types from a fake PIM on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::pim::{ClientCredentials, Probe, TokenCheck};
use domain::{ClientId, PimId, Secret, testing};
use http::header::AUTHORIZATION;
use tokio::net::TcpListener;

use super::*;
use crate::http_client;

const TOKEN: (&str, &str) = ("/api/oauth/v1/token", r#"{"access_token":"t0k"}"#);

fn pim(url: String, clients: Vec<ClientCredentials>) -> Pim {
    let token_check = TokenCheck::Probe { probe: Probe::SystemInformation, trust_client_id: false, clients };
    Pim { id: PimId(1), url_key: url.clone(), url, token_check, ..testing::pim("shop") }
}

fn known() -> Vec<ClientCredentials> {
    vec![ClientCredentials {
        client_id: ClientId("app".into()),
        client_secret: Secret::new("secret"),
        username: "robot".into(),
        password: Secret::new("pass"),
    }]
}

/// Result for a PIM with these responses (path and query, body), all others 404; with the requests received.
async fn asked(
    clients: Vec<ClientCredentials>,
    answers: &'static [(&'static str, &'static str)],
) -> (Result<Option<HashMap<String, String>>, String>, Vec<String>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let remembered = Arc::clone(&seen);
    let answer = move |request: Request| async move {
        let target = request.uri().path_and_query().map_or(String::new(), |target| target.to_string());
        let authorization = request.headers().get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        remembered.lock().unwrap().push(format!("{target} {authorization}"));
        match answers.iter().find(|(path, _)| *path == target) {
            Some((_, body)) => (StatusCode::OK, *body),
            None => (StatusCode::NOT_FOUND, "{}"),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let source = HttpAttributes::new(PimClient::new(http_client::client().unwrap(), Duration::from_secs(5)));
    let found = source.attribute_types(&pim(url, clients)).await;
    let seen = seen.lock().unwrap().clone();
    (found, seen)
}

#[tokio::test]
async fn all_pages_are_read() {
    let (found, asked) = asked(
        known(),
        &[
            TOKEN,
            (
                "/api/rest/v1/attributes?page=1&limit=100",
                r#"{"_links":{"next":{"href":"x"}},"_embedded":{"items":[{"code":"a","type":"pim_catalog_text"},{}]}}"#,
            ),
            (
                "/api/rest/v1/attributes?page=2&limit=100",
                r#"{"_links":{},"_embedded":{"items":[{"code":"b","type":"pim_catalog_number"}]}}"#,
            ),
        ],
    )
    .await;
    let pair = |code: &str, of: &str| (code.to_owned(), of.to_owned());
    assert_eq!(found, Ok(Some(HashMap::from([pair("a", "pim_catalog_text"), pair("b", "pim_catalog_number")]))));
    assert_eq!(asked[0], format!("/api/oauth/v1/token Basic {}", STANDARD.encode("app:secret")));
    assert_eq!(asked[2], "/api/rest/v1/attributes?page=2&limit=100 Bearer t0k");
}

#[tokio::test]
async fn without_credentials_the_pim_is_not_asked() {
    assert_eq!(asked(vec![], &[TOKEN]).await, (Ok(None), vec![]));
}

#[tokio::test]
async fn failures_are_reported() {
    let (found, _) = asked(known(), &[]).await;
    assert_eq!(found, Err("it answered the password grant with 404".to_owned()));
    let (found, _) = asked(known(), &[TOKEN, ("/api/rest/v1/attributes?page=1&limit=100", "{}")]).await;
    assert!(found.unwrap_err().ends_with("has no `_embedded.items`"));
}
