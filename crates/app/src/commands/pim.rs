//! `postrider pim`: registers the PIMs whose events are taken in and whose clients may call the API.

mod events_api;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use domain::credential::{check_client_id, check_token};
use domain::pim::{
    CLIENT_ID_FIELDS, ClientCredentials, Origin, PLATFORM_TOKEN, Pim, Probe, StaticToken, TokenCheck, is_name,
};
use domain::{ClientId, Clock, Secret, Timestamp};
use store::{ChangeError, Pims, edit_pim};
use store_sqlite::SqliteStore;

use crate::config::{Config, ConfigArgs, PimUrl};
use crate::failure::{Exit, Failure};
use crate::terminal::{self, BOLD, styled};
use crate::{data, registration, secret_input};

/// Register PIMs, and make keys for their producers
///
/// Works on the data folder, also while `postrider serve` runs on it: a change is in force there with the next request. Run it as the
/// user and with the configuration of the service, such as `sudo -u postrider postrider pim list --config
/// /etc/postrider/postrider.toml`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider pim add main --url https://pim.example.com
  postrider pim add shop --url https://pim.example.com --token-check system-information --events-api
  postrider pim check shop
  postrider pim add dev --url http://127.0.0.1:8081 --token-check static --static-token my_app=my_token
  postrider pim rotate-key main
  postrider pim rename main shop")]
pub(crate) struct PimArgs {
    #[command(subcommand)]
    command: PimCommand,
}

#[derive(Subcommand, Debug)]
enum PimCommand {
    Add(AddArgs),
    List(ListArgs),
    RotateKey(RotateArgs),
    Rename(RenameArgs),
    Remove(RemoveArgs),
    EventsApi(events_api::EventsApiArgs),
    Check(events_api::CheckArgs),
}

/// Register a PIM and make its first key
///
/// The key is printed once and only its hash is kept. Producers send it as `Authorization: Bearer <key>`.
#[derive(Args, Debug)]
struct AddArgs {
    /// A short name: lower-case letters, digits and `-`
    name: String,

    /// Base URL of the PIM, as its clients send it in `X-PIM-URL`
    #[arg(long)]
    url: String,

    /// How tokens of API callers are checked
    #[arg(long, value_enum, default_value_t = Way::TokenInfo)]
    token_check: Way,

    /// With token-info: a field of the answer that may name the client; may be repeated
    #[arg(long = "client-id-field", value_name = "PATH")]
    client_id_fields: Vec<String>,

    /// With token-info: a field of the answer that is true when the client may use the Event Platform
    #[arg(long, value_name = "PATH")]
    permission_field: Option<String>,

    /// With the other checks, whose answers name no client: believe the caller's X-PIM-CLIENT-ID
    ///
    /// It gives away that clients are kept apart: any token of this PIM may then act as any of its clients, read their subscriptions
    /// and redirect their events. Without it a client shows a token of the platform, from `postrider client token add`.
    #[arg(long)]
    trust_client_id: bool,

    /// Credentials by which the platform asks the PIM: attribute types, missed changes, permissions; no proof of who calls; `-` reads a line of standard input; may be repeated
    #[arg(long = "client", value_name = "ID:SECRET:USER:PASSWORD")]
    clients: Vec<String>,

    /// File with such credentials, one line each; `-` is standard input
    #[arg(long, value_name = "FILE")]
    client_file: Option<PathBuf>,

    /// A token that is accepted without asking the PIM, for development; `-` reads a line of standard input; may be repeated
    #[arg(long = "static-token", value_name = "CLIENT_ID=TOKEN")]
    static_tokens: Vec<String>,

    /// File with such tokens, one line each; `-` is standard input
    #[arg(long, value_name = "FILE")]
    static_token_file: Option<PathBuf>,

    /// Take in the Events API of a Community or PaaS edition: prints the URL and the secret to paste in the PIM
    #[arg(long)]
    events_api: bool,

    /// The same with the secret that the PIM shows; `-` reads a line of standard input
    #[arg(long, value_name = "SECRET")]
    events_api_secret: Option<String>,

    /// The same with the secret that a file holds; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "events_api_secret")]
    events_api_secret_file: Option<PathBuf>,

    /// Make the data folder if it is not there yet
    #[arg(long)]
    create: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Way {
    /// `GET /api/rest/v1/token-info`: hosted editions
    TokenInfo,
    /// `GET /api/rest/v1/system-information`: Community and PaaS, 6.0 and later
    SystemInformation,
    /// `GET /api/rest/v1/measurement-families`: Community and PaaS, 5.0 and later
    MeasurementFamilies,
    /// The PIM is not asked; only static tokens count
    Static,
}

/// List the registered PIMs with the beginnings of their keys
#[derive(Args, Debug)]
struct ListArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Make a new key for a PIM's producers
///
/// The newest old key stays valid, so that producers can be changed one by one; run it again with --drop-old when all of
/// them have the new one.
#[derive(Args, Debug)]
struct RotateArgs {
    /// The PIM
    name: String,

    /// Let the old keys end at once
    #[arg(long)]
    drop_old: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Give a PIM another name
///
/// Its keys, subscribers and subscriptions stay. Where the configuration file names it, give it the new name there as well, before the next
/// start. The address of its Events API has the name in it: paste the new one in the PIM.
#[derive(Args, Debug)]
struct RenameArgs {
    /// The PIM
    name: String,

    /// Its new name: lower-case letters, digits and `-`
    new_name: String,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Remove a PIM: its keys end, its subscribers and subscriptions become revoked
#[derive(Args, Debug)]
struct RemoveArgs {
    /// The PIM
    name: String,

    /// Do it: without this flag it only says what would happen
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

fn parse_client(text: &str) -> Result<ClientCredentials, String> {
    let parts: Vec<_> = text.splitn(4, ':').collect();
    match parts.as_slice() {
        [id, secret, user, password] if parts.iter().all(|part| !part.is_empty()) => {
            check_client_id(id).map_err(|problem| format!("the client id {problem}"))?;
            Ok(ClientCredentials {
                client_id: ClientId((*id).to_owned()),
                client_secret: Secret::new(*secret),
                username: (*user).to_owned(),
                password: Secret::new(*password),
            })
        }
        _ => Err("expected client id, client secret, user name and password, separated by colons".to_owned()),
    }
}

fn parse_static_token(text: &str) -> Result<StaticToken, String> {
    match text.split_once('=') {
        Some((_, token)) if token.starts_with(PLATFORM_TOKEN) => {
            Err("the token begins with `pt_`, as only the tokens do that `postrider client token add` makes".to_owned())
        }
        Some((id, token)) => {
            check_client_id(id).map_err(|problem| format!("the client id {problem}"))?;
            check_token(token).map_err(|problem| format!("the token {problem}"))?;
            Ok(StaticToken { client_id: ClientId(id.to_owned()), token: Secret::new(token) })
        }
        None => Err("expected client id and token, separated by `=`".to_owned()),
    }
}

/// Reads each of what `option` was given.
fn parse_each<T>(option: &str, given: &[String], parse: fn(&str) -> Result<T, String>) -> Result<Vec<T>, Failure> {
    let wrong = |problem: String| Failure::message(Exit::Usage, format!("{option}: {problem}"));
    given.iter().map(|text| parse(text).map_err(wrong)).collect()
}

/// Runs it.
pub(crate) fn run(args: PimArgs) -> Result<(), Failure> {
    super::block_on(async {
        match args.command {
            PimCommand::Add(args) => add(args).await,
            PimCommand::List(args) => list(&args).await,
            PimCommand::RotateKey(args) => rotate_key(&args).await,
            PimCommand::Rename(args) => rename(&args).await,
            PimCommand::Remove(args) => remove(&args).await,
            PimCommand::EventsApi(args) => events_api::set(&args).await,
            PimCommand::Check(args) => events_api::check(&args).await,
        }
    })
}

pub(super) fn open(config: &ConfigArgs) -> Result<(Config, SqliteStore), Failure> {
    let config = config.load()?;
    let store = data::open_beside(&config)?;
    Ok((config, store))
}

fn must_be_a_name(name: &str) -> Result<(), Failure> {
    if is_name(name) {
        return Ok(());
    }
    Err(Failure::message(Exit::Usage, format!("invalid PIM name {name:?}"))
        .hint("1 to 63 lower-case letters, digits and `-`, beginning with a letter or a digit"))
}

async fn add(args: AddArgs) -> Result<(), Failure> {
    must_be_a_name(&args.name)?;
    let url = PimUrl::parse(&args.url).ok_or_else(|| {
        Failure::message(Exit::Usage, format!("{:?} is not the base URL of a PIM", args.url))
            .hint("such as https://pim.example.com, without user, query and fragment")
    })?;
    let static_tokens = secret_input::given_all(&args.static_tokens, args.static_token_file.as_deref())?;
    let clients = secret_input::given_all(&args.clients, args.client_file.as_deref())?;
    let clients = parse_each("--client", &clients, parse_client)?;
    let mut pim = registration::new_pim(&args.name, &url.url, token_check(&args, clients)?)?;
    let (key, kept) = registration::new_key()?;
    pim.keys.push(kept);
    pim.static_tokens = parse_each("--static-token", &static_tokens, parse_static_token)?;
    let secret = secret_input::given(args.events_api_secret.as_deref(), args.events_api_secret_file.as_deref())?;
    pim.events_api_secret = match secret {
        Some(secret) => Some(events_api::typed_secret(&secret)?),
        None if args.events_api => Some(events_api::new_secret()?),
        None => None,
    };
    let config = args.config.load()?;
    let store = if args.create { data::open_or_create(&config)? } else { data::open_beside(&config)? };
    let added = store.add_pim(pim).await.map_err(cannot_change)?;
    let folder = data::absolute(&config.settings.top.data_dir);
    terminal::note(format_args!(
        "registered PIM {} with {} in {}",
        styled(BOLD, &added.name),
        added.url,
        folder.display()
    ));
    if added.keeps_clients_together() {
        terminal::note(TRUSTS);
    }
    show_once(&key);
    events_api::explain(&config, &added);
    Ok(())
}

/// What is said wherever the header is trusted.
const TRUSTS: &str = "any token of this PIM may act as any of its clients: clients are not kept apart from each other";

fn token_check(args: &AddArgs, clients: Vec<ClientCredentials>) -> Result<TokenCheck, Failure> {
    let usage = |message: &str| Err(Failure::message(Exit::Usage, message));
    let probing = matches!(args.token_check, Way::SystemInformation | Way::MeasurementFamilies);
    if !probing && args.trust_client_id {
        return usage("--trust-client-id goes with --token-check system-information or measurement-families");
    }
    if args.token_check == Way::Static && !clients.is_empty() {
        return usage("--client does not go with --token-check static: nobody is asked");
    }
    if args.token_check != Way::TokenInfo && (!args.client_id_fields.is_empty() || args.permission_field.is_some()) {
        return usage("--client-id-field and --permission-field go with --token-check token-info");
    }
    let trust_client_id = args.trust_client_id;
    Ok(match args.token_check {
        Way::Static => TokenCheck::Static,
        Way::TokenInfo => TokenCheck::TokenInfo {
            client_id_fields: match args.client_id_fields.as_slice() {
                [] => CLIENT_ID_FIELDS.map(str::to_owned).to_vec(),
                fields => fields.to_vec(),
            },
            permission_field: args.permission_field.clone(),
            clients,
        },
        Way::SystemInformation => TokenCheck::Probe { probe: Probe::SystemInformation, trust_client_id, clients },
        Way::MeasurementFamilies => TokenCheck::Probe { probe: Probe::MeasurementFamilies, trust_client_id, clients },
    })
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let (config, store) = open(&args.config)?;
    let pims = store.all_pims().await.map_err(anyhow::Error::from)?;
    if args.json {
        for pim in &pims {
            terminal::line(serde_json::json!({
                "name": pim.name,
                "url": pim.url,
                "token_check": way(&pim.token_check),
                "trust_client_id": pim.keeps_clients_together(),
                "origin": pim.provenance.pim.as_str(),
                "withdrawn_at": pim.provenance.withdrawn_at.map(|at| at.to_string()),
                "keys": pim.keys.iter().map(|key| serde_json::json!({"prefix": key.prefix, "created_at": key.created_at.to_string(), "origin": key.origin.as_str()})).collect::<Vec<_>>(),
                "static_tokens": pim.static_tokens.len(),
                "events_api": pim.events_api_secret.is_some(),
                "created_at": pim.created_at.to_string(),
            }));
        }
        return Ok(());
    }
    if pims.is_empty() {
        let folder = data::absolute(&config.settings.top.data_dir);
        let folder = folder.display();
        terminal::note(format_args!(
            "no PIM is registered in {folder}; `postrider pim add NAME --url URL` registers one"
        ));
    }
    for pim in &pims {
        terminal::line(format_args!("{}  {}  token check {}", styled(BOLD, &pim.name), pim.url, way(&pim.token_check)));
        terminal::line(format_args!("    {}", from(pim.provenance.pim)));
        if let Some(at) = pim.provenance.withdrawn_at {
            let since = day(at);
            terminal::line(format_args!("    locked out since {since}: the configuration file no longer names it"));
        }
        if pim.keeps_clients_together() {
            terminal::line(format_args!("    {TRUSTS}"));
        }
        for key in &pim.keys {
            terminal::line(format_args!("    key {}…  of {}, {}", key.prefix, day(key.created_at), from(key.origin)));
        }
        for token in &pim.static_tokens {
            terminal::line(format_args!("    static token of client {}", token.client_id));
        }
        if pim.events_api_secret.is_some() {
            terminal::line("    takes in its Events API");
        }
    }
    Ok(())
}

fn from(origin: Origin) -> &'static str {
    match origin {
        Origin::Configuration => "from the configuration file",
        Origin::Command => "from a command",
        Origin::Api => "from the operator's API",
    }
}

pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn way(check: &TokenCheck) -> &'static str {
    match check {
        TokenCheck::Static => "static",
        TokenCheck::TokenInfo { .. } => "token-info",
        TokenCheck::Probe { probe: Probe::SystemInformation, .. } => "system-information",
        TokenCheck::Probe { probe: Probe::MeasurementFamilies, .. } => "measurement-families",
    }
}

async fn rotate_key(args: &RotateArgs) -> Result<(), Failure> {
    let (_, store) = open(&args.config)?;
    let pim = find(&store, &args.name).await?;
    let (key, kept) = registration::new_key()?;
    edit_pim(&store, pim.id, |pim| -> Result<(), ChangeError> {
        let newest_old = pim.keys.iter().max_by_key(|key| key.created_at).cloned();
        pim.keys = newest_old.filter(|_| !args.drop_old).into_iter().chain([kept.clone()]).collect();
        Ok(())
    })
    .await
    .map_err(cannot_change)?;
    show_once(&key);
    Ok(())
}

async fn rename(args: &RenameArgs) -> Result<(), Failure> {
    must_be_a_name(&args.new_name)?;
    let (_, store) = open(&args.config)?;
    let pim = find(&store, &args.name).await?;
    let renamed = edit_pim(&store, pim.id, |pim| -> Result<(), ChangeError> {
        pim.name.clone_from(&args.new_name);
        Ok(())
    })
    .await
    .map_err(cannot_change)?;
    terminal::note(format_args!("PIM {} is named {} now", pim.name, styled(BOLD, &renamed.name)));
    if renamed.provenance.pim == Origin::Configuration {
        terminal::note("give it the new name in the configuration file as well, before the next start");
    }
    if renamed.events_api_secret.is_some() {
        terminal::note(format_args!(
            "its Events API is at a new address: `postrider pim check {}` shows it",
            renamed.name
        ));
    }
    Ok(())
}

async fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    let (_, store) = open(&args.config)?;
    let pim = find(&store, &args.name).await?;
    if !args.yes {
        return Err(Failure::message(
            Exit::Failed,
            format!("removing {:?} ends its keys and revokes all its subscribers and subscriptions for good", pim.name),
        )
        .hint("do it by adding --yes"));
    }
    store.remove_pim(pim.id, Clock::system().wall()).await.map_err(cannot_change)?;
    terminal::note(format_args!("removed PIM {}", pim.name));
    Ok(())
}

pub(super) async fn find(store: &SqliteStore, name: &str) -> Result<Pim, Failure> {
    let pims = store.all_pims().await.map_err(anyhow::Error::from)?;
    let names: Vec<_> = pims.iter().map(|pim| pim.name.clone()).collect();
    pims.into_iter().find(|pim| pim.name == name).ok_or_else(|| {
        let failure = Failure::message(Exit::Failed, format!("no PIM is registered under the name {name:?}"));
        match domain::nearest::nearest(name, names.iter().map(String::as_str)) {
            Some(meant) => failure.hint(format!("did you mean {meant:?}?")),
            None => failure.hint("`postrider pim list` shows the registered ones"),
        }
    })
}

/// The key alone on standard output, so that a script can take it.
fn show_once(key: &Secret) {
    terminal::note("the key of its producers, shown only now:");
    terminal::line(key.expose());
}

pub(super) fn cannot_change(error: ChangeError) -> Failure {
    let taken = matches!(error, ChangeError::Taken { .. });
    let failure = Failure::new(Exit::Failed, error);
    if taken { failure.hint("`postrider pim list` shows the registered ones") } else { failure }
}
