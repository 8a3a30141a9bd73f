//! A minimal PIM: issues a token, answers token checks, and has changing products.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use domain::Secret;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use tokio::net::TcpListener;
use wire::json::Value;

use crate::samples;

/// Connection of the demo's client.
pub(super) const CLIENT_ID: &str = "demo_connection";

/// A running sample PIM.
pub(super) struct SamplePim {
    /// Base URL.
    pub(super) url: String,
    /// Access token of [`CLIENT_ID`].
    pub(super) token: Secret,
}

impl SamplePim {
    /// Starts the PIM on a free port; it runs until the process exits.
    pub(super) async fn start() -> anyhow::Result<SamplePim> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the sample PIM")?;
        let url = format!("http://{}", listener.local_addr()?);
        let token = Secret::new(uuid::Uuid::new_v4().simple().to_string());
        let router =
            Router::new().route("/api/rest/v1/token-info", get(token_info)).with_state(Arc::new(token.clone()));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the sample PIM stopped");
            }
        });
        Ok(SamplePim { url, token })
    }
}

async fn token_info(State(token): State<Arc<Secret>>, headers: HeaderMap) -> impl IntoResponse {
    let expect = format!("Bearer {}", token.expose());
    let (status, answer) = match headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        Some(sent) if sent == expect => (StatusCode::OK, json!({"client_id": CLIENT_ID})),
        _ => (StatusCode::UNAUTHORIZED, json!({"code": 401, "message": "The access token provided is invalid."})),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], answer.to_string())
}

/// The changes during the demo: event type, changes to the sample payload.
const STORY: [(&str, &[&str]); 20] = [
    ("product.created", &["data.author.type=user", "data.author.identifier=julia"]),
    ("product.updated", &["data.author.type=user", "data.author.identifier=julia"]),
    ("product.updated.delta", &["data.author.type=user", "data.author.identifier=julia"]),
    ("product.updated.delta", &["data.author.type=system", "data.author.identifier=system"]),
    ("family.updated", &["data.author.type=user", "data.author.identifier=peter"]),
    ("product.created", &["data.author.type=job", "data.author.identifier=csv_product_import"]),
    ("product.created", &["data.author.type=job", "data.author.identifier=csv_product_import"]),
    ("product.updated", &["data.author.type=system", "data.author.identifier=system"]),
    ("product.deleted", &["data.author.type=user", "data.author.identifier=peter"]),
    ("attribute.updated", &["data.author.type=user", "data.author.identifier=julia"]),
    ("product.updated", &["data.author.type=api", "data.author.identifier=erp"]),
    ("product.updated.delta", &["data.author.type=api", "data.author.identifier=erp"]),
    ("product.created", &["data.author.type=system", "data.author.identifier=system"]),
    ("product.updated", &["data.author.type=api", "data.author.identifier=erp"]),
    ("product.updated.delta", &["data.author.type=api", "data.author.identifier=erp"]),
    ("product.deleted", &["data.author.type=system", "data.author.identifier=system"]),
    ("product-model.updated", &["data.author.type=user", "data.author.identifier=julia"]),
    ("product.updated", &["data.author.type=user", "data.author.identifier=peter"]),
    ("product.updated.delta", &["data.author.type=user", "data.author.identifier=peter"]),
    ("product.created", &["data.author.type=user", "data.author.identifier=julia"]),
];

/// The events of the story, created on demand.
pub(super) fn story() -> impl Iterator<Item = anyhow::Result<Value>> {
    STORY.iter().map(|(name, changes)| {
        let mut event = samples::event(&samples::event_type(name)?)?;
        for change in *changes {
            samples::set(&mut event, change)?;
        }
        Ok(event)
    })
}
