//! Rows with secrets: the domain's JSON in two parts, one readable and one sealed. The same in all backends, so that a
//! row can be moved from one to another.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::vault::{Vault, VaultError};

/// A row could not be split or joined.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// Not the expected JSON.
    #[error("a row has unexpected content: {0}")]
    Json(#[from] serde_json::Error),
    /// Sealing or opening failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Unexpected members.
    #[error("{0}")]
    Corrupt(String),
}

/// All kinds of sealed rows.
pub const KINDS: [Kind; 4] = [PIM, SUBSCRIBER, SUBSCRIPTION, NOTIFICATION];

/// The two parts of a row.
#[derive(Debug)]
pub struct Parts {
    /// JSON without the secret members.
    pub body: String,
    /// The secret members, sealed.
    pub sealed: Vec<u8>,
}

/// A kind of row: its name in authenticated data and messages, its table, its members with secrets, and the location of
/// its owner, which is authenticated as well.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Name in authenticated data and messages.
    pub name: &'static str,
    /// Its table.
    pub table: &'static str,
    secret: &'static [&'static str],
    owner: &'static [&'static str],
}

/// Registrations of PIMs.
pub const PIM: Kind = Kind {
    name: "pim",
    table: "pims",
    secret: &["token_check", "static_tokens", "events_api_secret"],
    owner: &["/id"],
};
/// Subscribers.
pub const SUBSCRIBER: Kind = Kind {
    name: "subscriber",
    table: "subscribers",
    secret: &["contact", "confirmation"],
    owner: &["/owner/pim", "/owner/client_id"],
};
/// Unsent notifications.
pub const NOTIFICATION: Kind = Kind {
    name: "notification",
    table: "notifications",
    secret: &["channel"],
    owner: &["/notification/subscriber_id"],
};
/// Subscriptions.
pub const SUBSCRIPTION: Kind = Kind {
    name: "subscription",
    table: "subscriptions",
    secret: &["destination"],
    owner: &["/pim", "/client_id", "/subscriber_id"],
};

impl Kind {
    /// Name of a row.
    pub fn row(&self, id: &str) -> String {
        format!("{} {id}", self.name)
    }

    /// Name of a row's owner, read from the row; as JSON, which is unambiguous.
    pub fn owner(&self, open: &Value) -> String {
        let parts: Vec<&Value> = self.owner.iter().map(|at| open.pointer(at).unwrap_or(&Value::Null)).collect();
        serde_json::json!(parts).to_string()
    }

    /// Splits a value into its two parts.
    pub fn split(&self, vault: &Vault, id: &str, value: &impl Serialize) -> Result<Parts, SealedError> {
        let mut open = serde_json::to_value(value)?;
        let Some(members) = open.as_object_mut() else {
            return Err(SealedError::Corrupt(format!("{} is not a JSON object", self.row(id))));
        };
        let mut secret = Map::new();
        for name in self.secret {
            secret.extend(members.remove_entry(*name));
        }
        let sealed = vault.seal(&serde_json::to_vec(&secret)?, &self.row(id), &self.owner(&open))?;
        Ok(Parts { body: serde_json::to_string(&open)?, sealed })
    }

    /// Joins the two parts of a value.
    pub fn join<T: DeserializeOwned>(
        &self,
        vault: &Vault,
        id: &str,
        body: &str,
        sealed: &[u8],
    ) -> Result<T, SealedError> {
        let mut open: Value = serde_json::from_str(body)?;
        let secret = vault.open(sealed, &self.row(id), &self.owner(&open))?;
        let secret: Map<String, Value> = serde_json::from_slice(&secret)?;
        if let Some(members) = open.as_object_mut() {
            members.extend(secret);
        }
        serde_json::from_value(open)
            .map_err(|error| SealedError::Corrupt(format!("{} cannot be read: {error}", self.row(id))))
    }
}
