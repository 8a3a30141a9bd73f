//! `/api/v1/admin/cluster`: the nodes of the platform and their shards. Read-only.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::answer;
use crate::Api;
use crate::description::operation::{Operation, Shown};
use crate::refusal::Refusal;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showCluster",
        "Show nodes and shards",
        "The nodes that serve this platform, and which of them delivers which shard. A PIM belongs to a shard: its \
         number modulo the number of shards. With the embedded store there is one node with one shard.",
    )
    .answers(200, "Nodes and shards.", Shown::One("Cluster"))
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "Cluster",
    r##"{"type": "object", "required": ["nodes", "shards"], "properties": {
      "nodes": {"type": "array",
      "description": "Nodes that have started and not stopped. One that was killed is listed for up to an hour.",
        "items": {"type": "object", "required": ["id", "address", "version", "live", "fit", "this_node", "shards"],
        "properties": {
          "id": {"type": "string", "format": "uuid", "description": "Another one after each start."},
          "address": {"type": ["string", "null"],
          "description": "Address at which other nodes call it (`cluster.advertise`)."},
          "version": {"type": "string"},
          "live": {"type": "boolean", "description": "Whether it has shown a sign of life within `store.lease`."},
          "fit": {"type": "boolean", "description": "`false` while it lacks something that deliveries need."},
          "this_node": {"type": "boolean", "description": "Whether it is the node that answers."},
          "shards": {"type": "integer", "description": "Number of shards that it owns."}}}},
      "shards": {"type": "array", "description": "By number.",
        "items": {"type": "object", "required": ["number", "owner", "epoch", "lag"], "properties": {
          "number": {"type": "integer"},
          "owner": {"type": ["string", "null"], "format": "uuid",
          "description": "The node that delivers its events; `null` between two owners."},
          "epoch": {"type": "integer", "description": "Number of takeovers."},
          "lag": {"type": "integer", "description": "Accepted events that are not routed yet."}}}}}}"##,
)];

/// Nodes and shards.
pub(crate) async fn show(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    answer(StatusCode::OK, &api.nodes.members().await?)
}
