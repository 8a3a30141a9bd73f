//! `postrider client`: platform tokens for the clients of a PIM.

use clap::{Args, Subcommand};
use domain::credential::check_client_id;
use domain::subscriber::Owner;
use domain::{ClientId, Clock};
use store::Backend;

use super::pim::{cannot_change, day, find, open};
use crate::config::ConfigArgs;
use crate::failure::{Exit, Failure};
use crate::terminal;

/// Issue platform tokens to the clients of a PIM
///
/// A client sends a platform token as `X-PIM-TOKEN` instead of a token of its PIM. The PIM is not asked about it and
/// never sees it. Community and PaaS editions need platform tokens, because their own tokens do not identify the
/// client. The command works on the data folder, also while `postrider serve` runs; changes apply from the next
/// request.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider client token add shop 1_abc
  postrider client token list shop 1_abc
  postrider client token remove shop 1_abc pt_0a1b2c3d")]
pub(crate) struct ClientArgs {
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Subcommand, Debug)]
enum ClientCommand {
    Token(TokenArgs),
}

/// Create, list and revoke platform tokens
#[derive(Args, Debug)]
struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand, Debug)]
enum TokenCommand {
    Add(AddArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Issue another token to a client
///
/// The token is printed once; only its hash is stored. The client's other tokens stay valid, so you can replace a token
/// without downtime.
#[derive(Args, Debug)]
struct AddArgs {
    #[command(flatten)]
    client: Which,

    #[command(flatten)]
    config: ConfigArgs,
}

/// List the prefixes of a client's tokens
#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    client: Which,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Revoke a token of a client
#[derive(Args, Debug)]
struct RemoveArgs {
    #[command(flatten)]
    client: Which,

    /// The token's prefix, as shown by `postrider client token list`
    prefix: String,

    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Args, Debug)]
struct Which {
    /// Name of the PIM
    pim: String,

    /// Client id of the connection or app, as sent in `X-PIM-CLIENT-ID`
    client_id: String,
}

impl Which {
    async fn owner(&self, store: &dyn Backend) -> Result<Owner, Failure> {
        check_client_id(&self.client_id)
            .map_err(|problem| Failure::message(Exit::Usage, format!("the client id {problem}")))?;
        let pim = find(store, &self.pim).await?.id;
        Ok(Owner { pim, client_id: ClientId(self.client_id.clone()) })
    }
}

/// Runs the command.
pub(crate) fn run(args: &ClientArgs) -> Result<(), Failure> {
    let ClientCommand::Token(TokenArgs { command }) = &args.command;
    super::block_on(async {
        match command {
            TokenCommand::Add(args) => add(args).await,
            TokenCommand::List(args) => list(args).await,
            TokenCommand::Remove(args) => remove(args).await,
        }
    })
}

async fn add(args: &AddArgs) -> Result<(), Failure> {
    let (_, store) = open(&args.config).await?;
    let owner = args.client.owner(&*store).await?;
    let (token, kept) = api::new_platform_token(Clock::system().wall())
        .ok_or_else(|| Failure::message(Exit::Failed, "the system provides no random numbers"))?;
    api::add_platform_token(&*store, &owner, &kept).await.map_err(cannot_change)?;
    terminal::note(format_args!("token of client {}, shown only once:", owner.client_id));
    // Alone on standard output, for use in scripts.
    terminal::line(token.expose());
    Ok(())
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let (_, store) = open(&args.config).await?;
    let owner = args.client.owner(&*store).await?;
    let client = store.client(&owner).await.map_err(anyhow::Error::from)?;
    if client.tokens.is_empty() && !args.json {
        terminal::note(format_args!("client {} has no platform token", owner.client_id));
    }
    for token in &client.tokens {
        if args.json {
            terminal::line(serde_json::json!({"prefix": token.prefix, "created_at": token.created_at.to_string()}));
        } else {
            terminal::line(format_args!("{}…  created {}", token.prefix, day(token.created_at)));
        }
    }
    Ok(())
}

async fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    let (_, store) = open(&args.config).await?;
    let owner = args.client.owner(&*store).await?;
    if !api::end_platform_token(&*store, &owner, &args.prefix).await.map_err(cannot_change)? {
        let message = format!("client {} has no token with the prefix {:?}", owner.client_id, args.prefix);
        let hint = format!("`postrider client token list {} {}` shows them", args.client.pim, owner.client_id);
        return Err(Failure::message(Exit::Failed, message).hint(hint));
    }
    terminal::note(format_args!("revoked the token {}… of client {}", args.prefix, owner.client_id));
    Ok(())
}
