//! `[[pims]]`: PIMs registered in the configuration file.

use std::collections::HashMap;

use domain::credential::{self, Unsendable};
use domain::pim::{CLIENT_ID_FIELDS, ClientCredentials, PLATFORM_TOKEN, Probe, StaticToken, TokenCheck, is_name};
use domain::{ClientId, Secret};

use super::fault::{Fault, nearest};
use super::layers::Layers;
use super::typed::{Kind, Members, Place, Typed};
use super::value::{PimUrl, TokenCheckWay, Value};

/// Minimum length of a producer key, so that it cannot be guessed.
pub(crate) const SHORTEST_KEY: usize = 16;

/// A PIM in the configuration.
#[derive(Clone, Debug)]
pub(crate) struct PimSettings {
    pub(crate) name: String,
    pub(crate) url: PimUrl,
    /// `None`: keeps the keys created by `postrider pim rotate-key`.
    pub(crate) keys: Option<Vec<Secret>>,
    pub(crate) token_check: TokenCheck,
    pub(crate) static_tokens: Vec<StaticToken>,
    pub(crate) events_api_secret: Option<Secret>,
}

/// Fields of `[[pims]]`: name, example as TOML, documentation.
pub(super) const FIELDS: &[(&str, &str, &[&str])] = &[
    ("name", "\"main\"", &["Unique short name: lower-case letters, digits and `-`. Used in URLs, logs and commands."]),
    (
        "url",
        "\"https://pim.example.com\"",
        &["Base URL, as sent by clients in `X-PIM-URL`, including `http://` or `https://`."],
    ),
    (
        "keys",
        "[\"a-long-random-key\"]",
        &[
            "Producer keys for `POST /api/v1/events`, at least 16 characters each; only hashes are stored. If",
            "omitted, the keys created by `postrider pim rotate-key` apply.",
        ],
    ),
    (
        "token_check",
        "\"token-info\"",
        &[
            "How tokens of API clients are checked: `token-info` (hosted editions), `system-information`",
            "(Community and PaaS, 6.0 and later), `measurement-families` (Community and PaaS, 5.0 and later),",
            "or `static` (only `static_tokens`).",
        ],
    ),
    (
        "client_id_fields",
        "[\"client_id\", \"clientId\", \"app_id\", \"connection.client_id\"]",
        &["With `token-info`: response fields that may contain the client id; the first one present is used."],
    ),
    (
        "permission_field",
        "\"\"",
        &[
            "With `token-info`: response field that is true if the client may use the Event Platform. Empty:",
            "all may.",
        ],
    ),
    (
        "trust_client_id",
        "false",
        &[
            "With `system-information` and `measurement-families`, whose responses do not identify the client:",
            "trusts the header `X-PIM-CLIENT-ID` of callers with a valid token. This removes the separation of",
            "clients: any token of this PIM can act as any of its clients, read their subscriptions and",
            "redirect their events. Without it, clients need a platform token from `postrider client token",
            "add`.",
        ],
    ),
    (
        "clients",
        "[{ client_id = \"1_abc\", client_secret = \"…\", username = \"api_user\", password = \"…\" }]",
        &[
            "Credentials for the platform's own requests to the PIM: attribute types, missed changes, client",
            "permissions. They don't authenticate callers: these send a platform token.",
        ],
    ),
    (
        "static_tokens",
        "[{ client_id = \"dev\", token = \"dev-token\" }]",
        &["Tokens accepted without asking the PIM. For development only."],
    ),
    ("events_api_secret", "\"\"", &["Secret of the Events API connection, for `/ingest/akeneo/{name}`."]),
];

/// Reads all of `[[pims]]`; errors are added to the layers.
pub(super) fn read(layers: &mut Layers) -> Vec<PimSettings> {
    let tables = std::mem::take(&mut layers.pims);
    let mut pims: Vec<PimSettings> = Vec::new();
    for table in &tables {
        let Some(pim) = read_one(table, &mut layers.faults) else { continue };
        for (key, problem) in clashes(&pims, &pim) {
            layers.fault(table.place.clone(), key, &problem);
        }
        pims.push(pim);
    }
    pims
}

/// Conflicts between `pim` and earlier PIMs or itself: names, URLs and keys are unique. Messages never contain keys.
fn clashes(before: &[PimSettings], pim: &PimSettings) -> Vec<(&'static str, String)> {
    let mut clashes = Vec::new();
    if before.iter().any(|other| other.name == pim.name) {
        clashes.push(("pims.name", format!("there are two PIMs named {:?}", pim.name)));
    }
    if let Some(other) = before.iter().find(|other| other.url.key == pim.url.key) {
        clashes.push(("pims.url", format!("{:?} and {:?} have the same URL", other.name, pim.name)));
    }
    let owners: HashMap<&str, &str> = before
        .iter()
        .flat_map(|other| other.keys.iter().flatten().map(|key| (key.expose(), other.name.as_str())))
        .collect();
    let keys = pim.keys.as_deref().unwrap_or_default();
    if let Some(other) = keys.iter().find_map(|key| owners.get(key.expose())) {
        let problem = format!("{other:?} and {:?} have the same key: keys must be unique", pim.name);
        clashes.push(("pims.keys", problem));
    }
    clashes
}

fn read_one(table: &Typed, faults: &mut Vec<Fault>) -> Option<PimSettings> {
    let mut fields = Fields::open(table, "pims", faults)?;
    let name = fields.required::<String>("name");
    let url = fields.required::<PimUrl>("url");
    let keys = fields.optional::<Vec<Secret>>("keys");
    let way = fields.optional::<TokenCheckWay>("token_check");
    let client_id_fields = fields.optional::<Vec<String>>("client_id_fields");
    let permission_field = fields.optional::<Option<String>>("permission_field").flatten();
    let trust = fields.optional::<bool>("trust_client_id");
    let clients = fields.items("clients");
    let static_tokens = fields.items("static_tokens");
    let events_api_secret = fields.optional::<Option<Secret>>("events_api_secret").flatten();
    fields.finish(FIELDS.iter().map(|(name, ..)| *name));

    let clients: Vec<_> = clients.iter().filter_map(|client| read_client(client, faults)).collect();
    let static_tokens: Vec<_> = static_tokens.iter().filter_map(|token| read_static_token(token, faults)).collect();
    let mut fault = |key: &str, problem: &str| {
        let key = Some(format!("pims.{key}"));
        faults.push(Fault { place: table.place.clone(), key, problem: problem.to_owned(), hint: None });
    };

    for key in keys.iter().flatten() {
        if key.expose().len() < SHORTEST_KEY {
            fault("keys", "a key is shorter than 16 characters; generate one with `openssl rand -hex 24`");
        } else if let Err(problem) = credential::check_token(key.expose()) {
            fault("keys", &format!("a key {problem}"));
        }
    }
    if events_api_secret.as_ref().is_some_and(|secret| secret.expose().trim() != secret.expose()) {
        fault("events_api_secret", "has leading or trailing spaces");
    }
    if name.as_deref().is_some_and(|name| !is_name(name)) {
        fault("name", "expected 1 to 63 lower-case letters, digits and `-`, starting with a letter or digit");
    }
    let way = way.unwrap_or(TokenCheckWay::TokenInfo);
    let probing = matches!(way, TokenCheckWay::SystemInformation | TokenCheckWay::MeasurementFamilies);
    if !probing && trust.is_some() {
        fault("token_check", "`trust_client_id` requires `system-information` or `measurement-families`");
    }
    if way == TokenCheckWay::Static && !clients.is_empty() {
        fault("token_check", "`clients` cannot be used with `static`: the PIM is never asked");
    }
    if way != TokenCheckWay::TokenInfo && (client_id_fields.is_some() || permission_field.is_some()) {
        fault("token_check", "`client_id_fields` and `permission_field` require `token-info`");
    }
    let trust_client_id = trust == Some(true);
    let probe = |probe| TokenCheck::Probe { probe, trust_client_id, clients: clients.clone() };
    let token_check = match way {
        TokenCheckWay::Static => TokenCheck::Static,
        TokenCheckWay::TokenInfo => TokenCheck::TokenInfo {
            client_id_fields: client_id_fields.unwrap_or_else(|| CLIENT_ID_FIELDS.map(str::to_owned).to_vec()),
            permission_field,
            clients,
        },
        TokenCheckWay::SystemInformation => probe(Probe::SystemInformation),
        TokenCheckWay::MeasurementFamilies => probe(Probe::MeasurementFamilies),
    };
    Some(PimSettings { name: name?, url: url?, keys, token_check, static_tokens, events_api_secret })
}

fn read_client(typed: &Typed, faults: &mut Vec<Fault>) -> Option<ClientCredentials> {
    let mut fields = Fields::open(typed, "pims.clients", faults)?;
    let client_id = fields.required::<String>("client_id");
    let client_secret = fields.required::<Secret>("client_secret");
    let username = fields.required::<String>("username");
    let password = fields.required::<Secret>("password");
    if let Some(client_id) = &client_id {
        fields.judge("client_id", credential::check_client_id(client_id));
    }
    fields.finish(["client_id", "client_secret", "username", "password"]);
    Some(ClientCredentials {
        client_id: ClientId(client_id?),
        client_secret: client_secret?,
        username: username?,
        password: password?,
    })
}

fn read_static_token(typed: &Typed, faults: &mut Vec<Fault>) -> Option<StaticToken> {
    let mut fields = Fields::open(typed, "pims.static_tokens", faults)?;
    let client_id = fields.required::<String>("client_id");
    let token = fields.required::<Secret>("token");
    if let Some(client_id) = &client_id {
        fields.judge("client_id", credential::check_client_id(client_id));
    }
    if let Some(token) = &token {
        let reserved = token.expose().starts_with(PLATFORM_TOKEN);
        let judged = if reserved { Err(Unsendable::Reserved) } else { credential::check_token(token.expose()) };
        fields.judge("token", judged);
    }
    fields.finish(["client_id", "token"]);
    Some(StaticToken { client_id: ClientId(client_id?), token: token? })
}

/// Members of a table, consumed one by one; leftovers are unknown.
struct Fields<'a> {
    path: &'static str,
    place: Place,
    members: Members,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Fields<'a> {
    fn open(typed: &Typed, path: &'static str, faults: &'a mut Vec<Fault>) -> Option<Fields<'a>> {
        let Kind::Table(members) = &typed.kind else {
            let problem = format!("expected a table, found {}", typed.found());
            faults.push(Fault { place: typed.place.clone(), key: Some(path.to_owned()), problem, hint: None });
            return None;
        };
        Some(Fields { path, place: typed.place.clone(), members: members.clone(), faults })
    }

    fn take(&mut self, name: &str) -> Option<Typed> {
        let index = self.members.iter().position(|(member, ..)| member == name)?;
        Some(self.members.remove(index).2)
    }

    fn optional<T: Value>(&mut self, name: &str) -> Option<T> {
        let typed = self.take(name)?;
        match T::read_or_point(&typed) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let problem = format!("expected {}, found {}", T::expected(), wrong.found);
                self.fault(wrong.place, name, problem, None);
                None
            }
        }
    }

    fn required<T: Value>(&mut self, name: &str) -> Option<T> {
        if !self.members.iter().any(|(member, ..)| member == name) {
            let problem = format!("is missing: {}", T::expected());
            self.fault(self.place.clone(), name, problem, None);
            return None;
        }
        self.optional(name)
    }

    /// Records a value that no request could carry.
    fn judge(&mut self, name: &str, judged: Result<(), Unsendable>) {
        if let Err(problem) = judged {
            self.fault(self.place.clone(), name, problem.to_string(), None);
        }
    }

    fn items(&mut self, name: &str) -> Vec<Typed> {
        let Some(typed) = self.take(name) else { return Vec::new() };
        match typed.kind {
            Kind::List(items) => items,
            _ => {
                self.fault(
                    typed.place.clone(),
                    name,
                    format!("expected a list of tables, found {}", typed.found()),
                    None,
                );
                Vec::new()
            }
        }
    }

    fn finish(mut self, known: impl IntoIterator<Item = &'static str> + Clone) {
        for (name, place, _) in std::mem::take(&mut self.members) {
            let hint = nearest(&name, known.clone()).map(|meant| format!("did you mean `{meant}`?"));
            self.fault(place, &name, "unknown field".to_owned(), hint);
        }
    }

    fn fault(&mut self, place: Place, name: &str, problem: String, hint: Option<String>) {
        self.faults.push(Fault { place, key: Some(format!("{}.{name}", self.path)), problem, hint });
    }
}
