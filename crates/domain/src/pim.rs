//! A PIM registered by the operator: the tenant.

use serde::{Deserialize, Serialize};

use crate::id::{ClientId, PimId};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A registered PIM instance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pim {
    /// Number in the store.
    pub id: PimId,
    /// Short name, unique, `[a-z0-9][a-z0-9-]{0,62}`: in URLs, logs and commands.
    pub name: String,
    /// Base URL as registered; `subject` of its subscribers.
    pub url: String,
    /// [`Pim::url`] in the form used for comparison: lower-case scheme and host, no default port, no trailing slash.
    pub url_key: String,
    /// Keys of its producers.
    pub keys: Vec<SourceKey>,
    /// How the tokens of its API callers are checked.
    pub token_check: TokenCheck,
    /// Tokens accepted without asking the PIM. For development only.
    pub static_tokens: Vec<StaticToken>,
    /// Secret of the Events API bridge, if in use.
    pub events_api_secret: Option<Secret>,
    /// Origin of the registration, and whether that still lists it.
    #[serde(default)]
    pub provenance: Provenance,
    /// Time of registration.
    pub created_at: Timestamp,
    /// Version of the registration. The store increments it with each change and rejects changes of an older one.
    #[serde(default)]
    pub revision: u64,
}

impl Pim {
    /// Whether any of its tokens may act as any of its clients.
    pub fn keeps_clients_together(&self) -> bool {
        matches!(self.token_check, TokenCheck::Probe { trust_client_id: true, .. })
    }

    /// Whether it was removed from the configuration file: no access and no deliveries until it returns there.
    pub fn is_withdrawn(&self) -> bool {
        self.provenance.withdrawn_at.is_some()
    }
}

/// Origin of a PIM and its settings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// Origin of the registration.
    #[serde(default)]
    pub pim: Origin,
    /// Origin of the Events API secret.
    #[serde(default)]
    pub events_api_secret: Origin,
    /// Time of its removal from the configuration file.
    #[serde(default)]
    pub withdrawn_at: Option<Timestamp>,
}

/// Origin of a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration file: entries removed from it are withdrawn at the next start.
    Configuration,
    /// A command. Records of earlier versions count as this until the configuration file lists them.
    #[default]
    Command,
    /// A call of the operator API.
    Api,
}

impl Origin {
    /// Name in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Configuration => "configuration",
            Origin::Command => "command",
            Origin::Api => "api",
        }
    }
}

/// A producer's key. Only its SHA-256 is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceKey {
    /// The first characters of the key, to distinguish keys in lists.
    pub prefix: String,
    /// Lower-case hex SHA-256 of the whole key.
    pub sha256: String,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Origin of the key.
    #[serde(default)]
    pub origin: Origin,
}

/// Prefix of the tokens issued by the platform itself. No token with this prefix is ever sent to a PIM.
pub const PLATFORM_TOKEN: &str = "pt_";

/// A token issued by the platform to a client of a PIM. Only its SHA-256 is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlatformToken {
    /// The first characters of the token, to distinguish tokens in lists.
    pub prefix: String,
    /// Lower-case hex SHA-256 of the whole token.
    pub sha256: String,
    /// Time of issue.
    pub created_at: Timestamp,
}

/// A token vouched for by the operator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StaticToken {
    /// The client it belongs to.
    pub client_id: ClientId,
    /// The token.
    pub token: Secret,
}

/// How a token is checked against its PIM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case", from = "StoredTokenCheck")]
pub enum TokenCheck {
    /// No call to the PIM: only static tokens are accepted.
    Static,
    /// `GET {pim}/api/rest/v1/token-info` of the hosted editions.
    TokenInfo {
        /// Paths in the response that may contain the client id; the first one present counts.
        client_id_fields: Vec<String>,
        /// Path of a boolean in the response that permits the client to use the Event Platform; none = always.
        permission_field: Option<String>,
        /// Credentials for periodic checks of a client's permission, without a token of that client.
        #[serde(default)]
        clients: Vec<ClientCredentials>,
    },
    /// A call permitted to any valid token, of Community and PaaS editions.
    Probe {
        /// The call: `system-information` (6.0 and later) or `measurement-families` (5.0 and later).
        probe: Probe,
        /// Whether any token of the PIM may act as any client. Otherwise, only tokens issued by the platform are
        /// accepted.
        trust_client_id: bool,
        /// Credentials for the platform's own requests to the PIM: attributes, entities, whether a client still exists.
        /// They prove nothing about a caller.
        clients: Vec<ClientCredentials>,
    },
}

/// [`TokenCheck`] as stored by this and earlier versions.
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
        /// Up to version 0.1: the binding of tokens to clients.
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

/// A REST API path of a PIM that needs a valid token and no specific permission.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// `/api/rest/v1/system-information`, PIM 6.0 and later.
    SystemInformation,
    /// `/api/rest/v1/measurement-families`, PIM 5.0 and later.
    MeasurementFamilies,
}

/// A client's credentials, as registered by the operator.
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

/// Default paths of the client id in `token-info` (contract page 7, "Token check").
pub const CLIENT_ID_FIELDS: [&str; 4] = ["client_id", "clientId", "app_id", "connection.client_id"];

/// [`is_name`] as a regular expression.
pub const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9-]{0,62}$";

/// Maximum length of a PIM's base URL.
pub const MAX_URL: usize = 2048;

/// Whether `name` is a valid PIM name: `[a-z0-9][a-z0-9-]{0,62}`.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(allowed)
}

/// Comparison form of PIM URLs: lower-case scheme and host, no default port, no trailing slash; includes the path
/// (contract page 7, API). `None` if the text isn't a valid base URL of a PIM: not `http` or `https`, or with user
/// info, query, fragment or spaces.
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
    fn equivalent_urls_have_the_same_key() {
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
    fn invalid_base_urls_have_no_key() {
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
