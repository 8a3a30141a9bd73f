//! Registration of a PIM.

use domain::Secret;
use domain::credential::{self, Unsendable};
use domain::id::ClientId;
use domain::pim::{self, ClientCredentials, PLATFORM_TOKEN, Probe, StaticToken, TokenCheck};

use crate::api::reader::{Reader, read};
use crate::api::shape::{Field, Form, Object, Shape};
use crate::fault::{Fault, code};
use crate::json::Value;

/// A client id in a body: as long as its header may be.
const CLIENT_ID: Shape = Shape::Text(
    Form::of_length((1, credential::MAX_CLIENT_ID)).pattern(credential::CLIENT_ID_PATTERN).examples(&["my-app"]),
);
/// A credential created by a person or a PIM; longer ones are invalid.
const CREDENTIAL: Form = Form::of_length((1, 4096));
/// A path in the response of `token-info`.
const PATH: Form = Form::of_length((1, 256));
/// How a token is checked, by the operator's name for it.
const WAYS: [(&str, Way); 4] = [
    ("token-info", Way::TokenInfo),
    ("system-information", Way::Probe(Probe::SystemInformation)),
    ("measurement-families", Way::Probe(Probe::MeasurementFamilies)),
    ("static", Way::Static),
];
const WAY_NAMES: [&str; 4] = [WAYS[0].0, WAYS[1].0, WAYS[2].0, WAYS[3].0];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    TokenInfo,
    Probe(Probe),
    Static,
}

/// Registration of a PIM.
pub(in crate::api) const NEW_PIM: Object = Object::new(&[
    Field::required(
        "name",
        Shape::Text(Form::of_pattern(pim::NAME_PATTERN).examples(&["shop", "shop-2"])),
        "Unique short name, used in URLs, logs and commands.",
    ),
    Field::required(
        "url",
        Shape::Text(Form::of_format("pim-base-url").length((1, pim::MAX_URL)).examples(&["https://pim.example.com"])),
        "Unique base URL, without user info, query and fragment.",
    ),
    Field::optional(
        "token_check",
        Shape::Name(&WAY_NAMES),
        "How tokens are checked. `token-info` (the default) is for hosted editions, `system-information` for 6.0 and \
         later, `measurement-families` for 5.0 and later; `static` asks nobody, only `static_tokens` count.",
    ),
    Field::optional(
        "client_id_fields",
        Shape::Texts,
        "With `token-info`: paths in the response that may contain the client id; the first one present is used.",
    ),
    Field::optional(
        "permission_field",
        Shape::Text(PATH.examples(&["permissions.event_platform"])),
        "With `token-info`: the path of a boolean in the response that permits the client to use the platform.",
    ),
    Field::optional(
        "trust_client_id",
        Shape::Truth,
        "With `system-information` and `measurement-families`, whose responses do not identify the client: trusts the \
         caller's client id. This removes the separation of clients: any token of this PIM can act as any of its \
         clients, read their subscriptions and redirect their events. Without it, clients need a platform token.",
    ),
    Field::optional(
        "clients",
        Shape::Objects(&CLIENT),
        "Credentials for the platform's own requests to the PIM: attribute types, missed changes, permissions. They \
         don't authenticate callers.",
    ),
    Field::optional(
        "static_tokens",
        Shape::Objects(&STATIC_TOKEN),
        "Tokens accepted without asking the PIM. For development only.",
    ),
])
.one_of(
    r#"[{"title":"token-info","properties":{"token_check":{"enum":["token-info",null]},"trust_client_id":{"enum":[false,null]}}},
        {"title":"A probe","required":["token_check"],
         "properties":{"token_check":{"enum":["system-information","measurement-families"]},
                       "client_id_fields":{"type":"null"},"permission_field":{"type":"null"}}},
        {"title":"static","required":["token_check"],
         "properties":{"token_check":{"const":"static"},"trust_client_id":{"enum":[false,null]},
                       "client_id_fields":{"type":"null"},"permission_field":{"type":"null"},"clients":{"maxItems":0}}}]"#,
);

const CLIENT: Object = Object::new(&[
    Field::required("client_id", CLIENT_ID, "The client."),
    Field::required("client_secret", Shape::Secret(CREDENTIAL.examples(&["client-secret"])), "Secret of the client."),
    Field::required(
        "username",
        Shape::Text(CREDENTIAL.examples(&["postrider"])),
        "User name of an API user of the PIM, for the password grant.",
    ),
    Field::required("password", Shape::Secret(CREDENTIAL.examples(&["a password"])), "Password of that user."),
]);

const STATIC_TOKEN: Object = Object::new(&[
    Field::required("client_id", CLIENT_ID, "Client of the token."),
    Field::required(
        "token",
        Shape::Secret(CREDENTIAL.pattern(credential::TOKEN_PATTERN).examples(&["my-token"])),
        "The token: visible ASCII, not beginning with `pt_`.",
    ),
]);

/// A PIM to register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPim {
    /// Short name.
    pub name: String,
    /// Base URL.
    pub url: String,
    /// The URL in the form used for comparison.
    pub url_key: String,
    /// How tokens are checked.
    pub token_check: TokenCheck,
    /// Tokens accepted without asking the PIM.
    pub static_tokens: Vec<StaticToken>,
}

/// Name of a token check.
pub fn way(check: &TokenCheck) -> &'static str {
    let way = match check {
        TokenCheck::Static => Way::Static,
        TokenCheck::TokenInfo { .. } => Way::TokenInfo,
        TokenCheck::Probe { probe, .. } => Way::Probe(*probe),
    };
    WAYS.iter().find(|(_, known)| *known == way).map_or("", |(name, _)| name)
}

/// Reads the body of `POST /admin/pims`.
pub fn parse_new_pim(body: &Value) -> Result<NewPim, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", NEW_PIM.fields, faults)?;
        let name = fields.required_string("name");
        if name.is_some_and(|name| !pim::is_name(name)) {
            let message = "must be 1 to 63 lower-case letters, digits and `-`, starting with a letter or digit";
            fields.fault("name", code::INVALID_VALUE, message);
        }
        let url = fields.required_string("url");
        let url_key = url.and_then(pim::url_key);
        if url.is_some() && url_key.is_none() {
            let message =
                "must be the base URL of a PIM, such as https://pim.example.com, without user info, query and fragment";
            fields.fault("url", code::INVALID_VALUE, message);
        }
        let token_check = token_check(&mut fields);
        let static_tokens = fields.objects("static_tokens", static_token);
        fields.finish();
        Some(NewPim {
            name: name?.to_owned(),
            url: url?.to_owned(),
            url_key: url_key?,
            token_check: token_check?,
            static_tokens,
        })
    })
}

fn token_check(fields: &mut Reader<'_, '_>) -> Option<TokenCheck> {
    let way = match fields.optional("token_check") {
        Some(_) => fields.required_name("token_check", &WAYS),
        None => Some(Way::TokenInfo),
    };
    let client_id_fields = fields.texts("client_id_fields");
    let permission_field = match fields.optional("permission_field") {
        Some(_) => fields.required_text("permission_field").map(str::to_owned),
        None => None,
    };
    let trust = fields.boolean("trust_client_id");
    let clients = fields.objects("clients", credentials);
    let way = way?;
    if trust && !matches!(way, Way::Probe(_)) {
        let message = "requires `system-information` or `measurement-families`";
        fields.fault("trust_client_id", code::INVALID_VALUE, message);
    }
    if way == Way::Static && !clients.is_empty() {
        fields.fault(
            "clients",
            code::INVALID_VALUE,
            "cannot be used with `static`, which only accepts `static_tokens`",
        );
    }
    for (name, there) in
        [("client_id_fields", client_id_fields.is_some()), ("permission_field", permission_field.is_some())]
    {
        if there && way != Way::TokenInfo {
            fields.fault(name, code::INVALID_VALUE, "requires `token-info`");
        }
    }
    Some(match way {
        Way::Static => TokenCheck::Static,
        Way::TokenInfo => TokenCheck::TokenInfo {
            client_id_fields: client_id_fields.unwrap_or_else(|| pim::CLIENT_ID_FIELDS.map(str::to_owned).to_vec()),
            permission_field,
            clients,
        },
        Way::Probe(probe) => TokenCheck::Probe { probe, trust_client_id: trust, clients },
    })
}

/// A client id that a header can carry.
fn client_id<'v>(fields: &mut Reader<'v, '_>) -> Option<&'v str> {
    let client_id = fields.required_text("client_id")?;
    sendable(fields, "client_id", credential::check_client_id(client_id)).then_some(client_id)
}

/// Records a fault if no request could carry a value.
fn sendable(fields: &mut Reader<'_, '_>, key: &str, judged: Result<(), Unsendable>) -> bool {
    if let Err(problem) = judged {
        fields.fault(key, code::INVALID_VALUE, problem);
    }
    judged.is_ok()
}

fn credentials(mut fields: Reader<'_, '_>) -> Option<ClientCredentials> {
    let client_id = client_id(&mut fields);
    let client_secret = fields.required_secret("client_secret");
    let username = fields.required_text("username");
    let password = fields.required_secret("password");
    fields.finish();
    Some(ClientCredentials {
        client_id: ClientId(client_id?.to_owned()),
        client_secret: client_secret?,
        username: username?.to_owned(),
        password: password?,
    })
}

fn static_token(mut fields: Reader<'_, '_>) -> Option<StaticToken> {
    let client_id = client_id(&mut fields);
    let token: Option<Secret> = fields.required_secret("token");
    if let Some(token) = &token {
        let reserved = token.expose().starts_with(PLATFORM_TOKEN);
        let judged = if reserved { Err(Unsendable::Reserved) } else { credential::check_token(token.expose()) };
        sendable(&mut fields, "token", judged);
    }
    fields.finish();
    Some(StaticToken { client_id: ClientId(client_id?.to_owned()), token: token? })
}
