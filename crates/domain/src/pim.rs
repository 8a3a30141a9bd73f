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
    /// Tokens accepted without asking the PIM. For development only.
    pub static_tokens: Vec<StaticToken>,
    /// The secret of the Events API bridge, where it is in use.
    pub events_api_secret: Option<Secret>,
    /// Where it comes from, and whether that still names it.
    #[serde(default)]
    pub provenance: Provenance,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Which version of the registration this is. The store counts it up with each change, and refuses a change of an
    /// older one.
    #[serde(default)]
    pub revision: u64,
}

impl Pim {
    /// Whether any token of it may act as any of its clients.
    pub fn keeps_clients_together(&self) -> bool {
        matches!(self.token_check, TokenCheck::Probe { trust_client_id: true, .. })
    }

    /// Whether the configuration file named it once and names it no more: nobody gets in, nothing is delivered, until the
    /// file names it again.
    pub fn is_withdrawn(&self) -> bool {
        self.provenance.withdrawn_at.is_some()
    }
}

/// Where a PIM and what belongs to it come from.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// Who registered the PIM.
    #[serde(default)]
    pub pim: Origin,
    /// Who set the secret of its Events API.
    #[serde(default)]
    pub events_api_secret: Origin,
    /// Since when the configuration file names it no more.
    #[serde(default)]
    pub withdrawn_at: Option<Timestamp>,
}

/// Who set something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration file: what it names no more is withdrawn at the next start.
    Configuration,
    /// A command. What earlier versions stored counts as this until the configuration file names it.
    #[default]
    Command,
    /// A call of the operator's API.
    Api,
}

impl Origin {
    /// The name in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Configuration => "configuration",
            Origin::Command => "command",
            Origin::Api => "api",
        }
    }
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
    /// Who set it.
    #[serde(default)]
    pub origin: Origin,
}

/// What tokens that the platform itself issues begin with. Nothing that begins so is ever sent to a PIM.
pub const PLATFORM_TOKEN: &str = "pt_";

/// A token that the platform issued to a client of a PIM. Only its SHA-256 is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlatformToken {
    /// Its first characters, to tell tokens apart in lists.
    pub prefix: String,
    /// Lower-case hex SHA-256 of the whole token.
    pub sha256: String,
    /// When it was issued.
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
#[serde(tag = "way", rename_all = "snake_case", from = "StoredTokenCheck")]
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
        /// Whether any token of the PIM may act as any client. Without it, only tokens that the platform issued let a client in.
        trust_client_id: bool,
        /// Credentials by which the platform asks the PIM for what it needs itself: attributes, entities, whether a client is
        /// still there. They prove nothing about a caller.
        clients: Vec<ClientCredentials>,
    },
}

/// [`TokenCheck`] as this and earlier versions store it.
#[derive(Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
enum StoredTokenCheck {
    Static,
    TokenInfo {
        client_id_fields: Vec<String>,
        permission_field: Option<String>,
        #[serde(default)]
        clients: Vec<ClientCredentials>,
    },
    Probe {
        probe: Probe,
        #[serde(default)]
        trust_client_id: bool,
        #[serde(default)]
        clients: Vec<ClientCredentials>,
        /// Up to version 0.1: what tied a token to its client.
        client_proof: Option<StoredProof>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredProof {
    None,
    Trust,
    Credentials(Vec<ClientCredentials>),
}

impl From<StoredTokenCheck> for TokenCheck {
    fn from(stored: StoredTokenCheck) -> TokenCheck {
        match stored {
            StoredTokenCheck::Static => TokenCheck::Static,
            StoredTokenCheck::TokenInfo { client_id_fields, permission_field, clients } => {
                TokenCheck::TokenInfo { client_id_fields, permission_field, clients }
            }
            StoredTokenCheck::Probe { probe, trust_client_id, clients, client_proof } => match client_proof {
                None | Some(StoredProof::None) => TokenCheck::Probe { probe, trust_client_id, clients },
                Some(StoredProof::Trust) => TokenCheck::Probe { probe, trust_client_id: true, clients },
                Some(StoredProof::Credentials(clients)) => TokenCheck::Probe { probe, trust_client_id, clients },
            },
        }
    }
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
    fn checks_that_earlier_versions_stored_can_be_read() {
        let check = |proof: &str, trusts: bool, clients: usize| {
            let stored = format!(r#"{{"way":"probe","probe":"system-information","client_proof":{proof}}}"#);
            let TokenCheck::Probe { trust_client_id, clients: known, .. } = serde_json::from_str(&stored).unwrap()
            else {
                panic!("{stored} is a probe")
            };
            assert_eq!((trust_client_id, known.len()), (trusts, clients), "{proof}");
        };
        check(r#""none""#, false, 0);
        check(r#""trust""#, true, 0);
        let credentials = r#"{"credentials":[{"client_id":"a","client_secret":"s","username":"u","password":"p"}]}"#;
        check(credentials, false, 1);
        let today = TokenCheck::Probe { probe: Probe::MeasurementFamilies, trust_client_id: true, clients: vec![] };
        assert_eq!(serde_json::from_str::<TokenCheck>(&serde_json::to_string(&today).unwrap()).unwrap(), today);
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
