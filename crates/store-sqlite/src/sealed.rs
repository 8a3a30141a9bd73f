//! Rows with secrets: the domain's JSON in two parts, one readable and one sealed.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use store::Vault;
use store::vault::VaultError;

use crate::failure::Failure;

/// The two parts of a row.
pub(crate) struct Parts {
    /// JSON without the secret members.
    pub(crate) body: String,
    /// The secret members, sealed.
    pub(crate) sealed: Vec<u8>,
}

/// A kind of row: its name in authenticated data and messages, its table, its members with secrets, and the location of
/// its owner, which is authenticated as well.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    table: &'static str,
    secret: &'static [&'static str],
    owner: &'static [&'static str],
}

pub(crate) const PIM: Kind = Kind {
    name: "pim",
    table: "pims",
    secret: &["token_check", "static_tokens", "events_api_secret"],
    owner: &["/id"],
};
pub(crate) const SUBSCRIBER: Kind = Kind {
    name: "subscriber",
    table: "subscribers",
    secret: &["contact", "confirmation"],
    owner: &["/owner/pim", "/owner/client_id"],
};
pub(crate) const NOTIFICATION: Kind = Kind {
    name: "notification",
    table: "notifications",
    secret: &["channel"],
    owner: &["/notification/subscriber_id"],
};
pub(crate) const SUBSCRIPTION: Kind = Kind {
    name: "subscription",
    table: "subscriptions",
    secret: &["destination"],
    owner: &["/pim", "/client_id", "/subscriber_id"],
};

impl Kind {
    /// Name of a row.
    fn row(&self, id: &str) -> String {
        format!("{} {id}", self.name)
    }

    /// Name of a row's owner, read from the row; as JSON, which is unambiguous.
    fn owner(&self, open: &Value) -> String {
        let parts: Vec<&Value> = self.owner.iter().map(|at| open.pointer(at).unwrap_or(&Value::Null)).collect();
        serde_json::json!(parts).to_string()
    }

    /// Splits a value into its two parts.
    pub(crate) fn split(&self, vault: &Vault, id: &str, value: &impl Serialize) -> Result<Parts, Failure> {
        let mut open = serde_json::to_value(value)?;
        let Some(members) = open.as_object_mut() else {
            return Err(Failure::Corrupt(format!("{} is not a JSON object", self.row(id))));
        };
        let mut secret = Map::new();
        for name in self.secret {
            secret.extend(members.remove_entry(*name));
        }
        let sealed = vault.seal(&serde_json::to_vec(&secret)?, &self.row(id), &self.owner(&open))?;
        Ok(Parts { body: serde_json::to_string(&open)?, sealed })
    }

    /// Joins the two parts of a value.
    pub(crate) fn join<T: DeserializeOwned>(
        &self,
        vault: &Vault,
        id: &str,
        body: &str,
        sealed: &[u8],
    ) -> Result<T, Failure> {
        let mut open: Value = serde_json::from_str(body)?;
        let secret = vault.open(sealed, &self.row(id), &self.owner(&open))?;
        let secret: Map<String, Value> = serde_json::from_slice(&secret)?;
        if let Some(members) = open.as_object_mut() {
            members.extend(secret);
        }
        serde_json::from_value(open)
            .map_err(|error| Failure::Corrupt(format!("{} cannot be read: {error}", self.row(id))))
    }
}

/// A sealed row: id as stored, id as named in the sealed value's context, readable part, and sealed value.
type Row = (SqlValue, String, String, Vec<u8>);

/// All sealed rows of a kind.
fn rows(connection: &Connection, kind: &Kind) -> Result<Vec<Row>, Failure> {
    // Ids are numbers or the bytes of a UUID.
    let name = "CASE typeof(id) WHEN 'blob' THEN lower(hex(id)) ELSE CAST(id AS TEXT) END";
    let mut select = connection.prepare(&format!("SELECT id, {name}, body, sealed FROM {}", kind.table))?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Checks that the vault has the keys of all sealed rows, so that a missing key is reported at the start and not at the
/// first delivery.
pub(crate) fn check_all(connection: &Connection, vault: &Vault) -> Result<Result<(), VaultError>, Failure> {
    for kind in [PIM, SUBSCRIBER, SUBSCRIPTION, NOTIFICATION] {
        for (_, id, _, sealed) in rows(connection, &kind)? {
            if let Err(error) = vault.check(&sealed, &kind.row(&id)) {
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(()))
}

/// Reseals all rows that are not sealed with the current key and bound to their owner. Returns their number.
pub(crate) fn reseal_all(connection: &Connection, vault: &Vault) -> Result<u64, Failure> {
    let mut count = 0;
    for kind in [PIM, SUBSCRIBER, SUBSCRIPTION, NOTIFICATION] {
        let mut update = connection.prepare(&format!("UPDATE {} SET sealed = ?2 WHERE id = ?1", kind.table))?;
        for (id, name, body, sealed) in rows(connection, &kind)? {
            let row = kind.row(&name);
            if !vault.is_current(&sealed, &row)? {
                let owner = kind.owner(&serde_json::from_str(&body)?);
                update.execute((id, vault.seal(&vault.open(&sealed, &row, &owner)?, &row, &owner)?))?;
                count += 1;
            }
        }
    }
    Ok(count)
}
