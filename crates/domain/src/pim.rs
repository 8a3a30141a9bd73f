//! A PIM that the operator registered: the tenant.

use serde::{Deserialize, Serialize};

use crate::id::{ClientId, PimId};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A registered PIM instance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pim {
    /// Its number in the store.
    pub id: PimId,
    /// Its short name, unique, `[a-z0-9][a-z0-9-]{0,62}`: in URLs, logs and commands.
    pub name: String,
    /// Its base URL in the spelling of the registration; `subject` of its subscribers.
    pub url: String,
    /// [`Pim::url`] in the form that is compared: lower-case scheme and host, no default port, no trailing slash.
    pub url_key: String,
    /// Keys of its producers.
    pub keys: Vec<SourceKey>,
    /// How the tokens of its API callers are checked.
    pub token_check: TokenCheck,
    /// Tokens that are accepted without asking the PIM: for development.
    pub static_tokens: Vec<StaticToken>,
    /// The secret of the Events API bridge, where it is in use.
    pub events_api_secret: Option<Secret>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Which version of the registration this is. The store counts it up with each change, and refuses a change of an
    /// older one.
    #[serde(default)]
    pub revision: u64,
}

/// A producer's key. Only its SHA-256 is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceKey {
    /// The first characters of the key, to tell keys apart in lists.
    pub prefix: String,
    /// Lower-case hex SHA-256 of the whole key.
    pub sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A token that the operator vouches for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StaticToken {
    /// The client that it belongs to.
    pub client_id: ClientId,
    /// The token.
    pub token: Secret,
}

/// How a token is checked against its PIM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum TokenCheck {
    /// No call to the PIM: only static tokens count.
    Static,
    /// `GET {pim}/api/rest/v1/token-info` of the hosted editions.
    TokenInfo {
        /// Paths in the answer that may name the client; the first that is there counts.
        client_id_fields: Vec<String>,
        /// Path of a boolean in the answer that says whether the client may use the Event Platform; none = always.
        permission_field: Option<String>,
        /// Credentials by which the platform asks about a client's permission now and then, without a token of the
        /// client's own.
        #[serde(default)]
        clients: Vec<ClientCredentials>,
    },
    /// A call that any valid token may make, of Community and PaaS editions.
    Probe {
        /// Which call: `system-information` (6.0 and later) or `measurement-families` (5.0 and later).
        probe: Probe,
        /// How it is known that a token belongs to the client id that the caller names.
        client_proof: ClientProof,
    },
}

/// A REST API path of a PIM that needs a valid token and no special right.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// `/api/rest/v1/system-information`, PIM 6.0 and later.
    SystemInformation,
    /// `/api/rest/v1/measurement-families`, PIM 5.0 and later.
    MeasurementFamilies,
}

/// On editions whose tokens do not name their client: what ties the two together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientProof {
    /// Nothing: every pair is refused.
    None,
    /// The operator trusts the header of this PIM's callers.
    Trust,
    /// Client ids with their secrets and an API user of the PIM; a password grant proves the pair.
    Credentials(Vec<ClientCredentials>),
}

/// A client's credentials, as the operator registered them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientCredentials {
    /// The client.
    pub client_id: ClientId,
    /// Its secret.
    pub client_secret: Secret,
    /// User name for the password grant.
    pub username: String,
    /// Password for the password grant.
    pub password: Secret,
}

/// Where `token-info` may name the client, unless the operator says otherwise (contract page 7, "Token check").
pub const CLIENT_ID_FIELDS: [&str; 4] = ["client_id", "clientId", "app_id", "connection.client_id"];

/// [`is_name`] as a regular expression.
pub const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9-]{0,62}$";

/// The longest base URL of a PIM.
pub const MAX_URL: usize = 2048;

/// Whether `name` can be a PIM's: `[a-z0-9][a-z0-9-]{0,62}`.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(allowed)
}

/// The form in which PIM URLs are compared: lower-case scheme and host, no default port, no trailing slash; the path is
/// part of it (contract page 7, API). `None` if the text is no base URL of a PIM: not `http` or `https`, or with user
/// info, query, fragment or blanks.
pub fn url_key(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (scheme, default_port) = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => ("https", "443"),
        _ if scheme.eq_ignore_ascii_case("http") => ("http", "80"),
        _ => return None,
    };
    if url.len() > MAX_URL || !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\\\"<>^`{|}".contains(&byte)) {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let sound_port =
        port.is_empty() || port.parse::<u16>().is_ok_and(|number| number > 0 && !port.starts_with(['+', '0']));
    if host.is_empty() || !sound_port {
        return None;
    }
    let mut key = format!("{scheme}://{}", host.to_ascii_lowercase());
    if !port.is_empty() && port != default_port {
        key.push(':');
        key.push_str(port);
    }
    key.push_str(path.trim_end_matches('/'));
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: Option<&str>) {
        assert_eq!(url_key(url).as_deref(), expect, "{url}");
    }

    #[test]
    fn urls_are_compared_without_what_makes_no_difference() {
        for same in [
            "https://pim.example.com",
            "HTTPS://PIM.Example.com/",
            "https://pim.example.com:443",
            "https://pim.example.com:/",
        ] {
            check(same, Some("https://pim.example.com"));
        }
        check("https://pim.example.com:8443/", Some("https://pim.example.com:8443"));
        check("http://pim.example.com:80/Shop/", Some("http://pim.example.com/Shop"));
        check("http://[::1]:8080", Some("http://[::1]:8080"));
        check("http://[::1]", Some("http://[::1]"));
    }

    #[test]
    fn what_is_no_base_url_has_no_key() {
        for wrong in [
            "",
            "pim.example.com",
            "ftp://pim.example.com",
            "https://",
            "https:///path",
            "https://u:p@pim.example.com",
            "https://pim.example.com?x=1",
            "https://pim.example.com/#top",
            "https://pim.example.com:port",
            "https://pim.example.com:0",
            "https://pim.example.com:99999",
            "https://pim example.com",
        ] {
            check(wrong, None);
        }
    }
}
