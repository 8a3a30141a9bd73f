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

/// A kind of row: its name in what is authenticated and in messages, its table, and the members that carry secrets.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    table: &'static str,
    secret: &'static [&'static str],
}

pub(crate) const PIM: Kind =
    Kind { name: "pim", table: "pims", secret: &["token_check", "static_tokens", "events_api_secret"] };
pub(crate) const SUBSCRIBER: Kind = Kind { name: "subscriber", table: "subscribers", secret: &["contact"] };
pub(crate) const NOTIFICATION: Kind = Kind { name: "notification", table: "notifications", secret: &["channel"] };
pub(crate) const SUBSCRIPTION: Kind = Kind { name: "subscription", table: "subscriptions", secret: &["destination"] };

impl Kind {
    fn owner(&self, id: &str) -> String {
        format!("{} {id}", self.name)
    }

    /// Takes a value apart.
    pub(crate) fn split(&self, vault: &Vault, id: &str, value: &impl Serialize) -> Result<Parts, Failure> {
        let mut open = match serde_json::to_value(value)? {
            Value::Object(members) => members,
            _ => return Err(Failure::Corrupt(format!("{} is no JSON object", self.owner(id)))),
        };
        let mut secret = Map::new();
        for name in self.secret {
            secret.extend(open.remove_entry(*name));
        }
        let sealed = vault.seal(&serde_json::to_vec(&secret)?, &self.owner(id))?;
        Ok(Parts { body: serde_json::to_string(&open)?, sealed })
    }

    /// Puts a value together again.
    pub(crate) fn join<T: DeserializeOwned>(
        &self,
        vault: &Vault,
        id: &str,
        body: &str,
        sealed: &[u8],
    ) -> Result<T, Failure> {
        let mut members: Map<String, Value> = serde_json::from_str(body)?;
        let secret: Map<String, Value> = serde_json::from_slice(&vault.open(sealed, &self.owner(id))?)?;
        members.extend(secret);
        serde_json::from_value(Value::Object(members))
            .map_err(|error| Failure::Corrupt(format!("{} cannot be read: {error}", self.owner(id))))
    }
}

/// All sealed rows of a kind: the id as it is stored, as it is named in what is sealed, and the sealed value.
fn rows(connection: &Connection, kind: &Kind) -> Result<Vec<(SqlValue, String, Vec<u8>)>, Failure> {
    // Ids are numbers or the bytes of a UUID.
    let name = "CASE typeof(id) WHEN 'blob' THEN lower(hex(id)) ELSE CAST(id AS TEXT) END";
    let mut select = connection.prepare(&format!("SELECT id, {name}, sealed FROM {}", kind.table))?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether the vault has the keys of all sealed rows, so that a missing key is said at the start and not at the first
/// delivery.
pub(crate) fn check_all(connection: &Connection, vault: &Vault) -> Result<Result<(), VaultError>, Failure> {
    for kind in [PIM, SUBSCRIBER, SUBSCRIPTION, NOTIFICATION] {
        for (_, id, sealed) in rows(connection, &kind)? {
            if let Err(error) = vault.check(&sealed, &kind.owner(&id)) {
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(()))
}

/// Seals with the current key what is sealed with an older one; gives the number of rows.
pub(crate) fn reseal_all(connection: &Connection, vault: &Vault) -> Result<u64, Failure> {
    let mut count = 0;
    for kind in [PIM, SUBSCRIBER, SUBSCRIPTION, NOTIFICATION] {
        let mut update = connection.prepare(&format!("UPDATE {} SET sealed = ?2 WHERE id = ?1", kind.table))?;
        for (id, name, sealed) in rows(connection, &kind)? {
            let owner = kind.owner(&name);
            if !vault.is_current(&sealed, &owner)? {
                update.execute((id, vault.seal(&vault.open(&sealed, &owner)?, &owner)?))?;
                count += 1;
            }
        }
    }
    Ok(count)
}
