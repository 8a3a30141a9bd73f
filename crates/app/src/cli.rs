//! The command line: one variant per command; flags are defined in `commands`.

use clap::{Parser, Subcommand};

use crate::commands::{
    backup, client, cluster, completions, config, demo, emit, events, filter, health, listen, man, migrate, openapi,
    pim, replay, reseal, serve, test,
};

/// Ingests a PIM's events and delivers them to subscribers: filtered, signed and rate-limited
#[derive(Parser, Debug)]
#[command(name = "postrider", version, max_term_width = 110, after_help = AFTER, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Start here:
  postrider demo                run a demo: platform, receiver and a sample PIM in one terminal
  postrider serve               run the platform

Exit codes:
  0  success
  1  failure
  2  invalid arguments
  3  invalid configuration
  4  unusable data folder (in use, encryption key missing, created by a newer version)";

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Pim(pim::PimArgs),
    Client(client::ClientArgs),
    Listen(listen::ListenArgs),
    Emit(emit::EmitArgs),
    Events(events::EventsArgs),
    Replay(replay::ReplayArgs),
    Test(test::TestArgs),
    Filter(filter::FilterArgs),
    Cluster(cluster::ClusterArgs),
    Backup(backup::BackupArgs),
    Migrate(migrate::MigrateArgs),
    Reseal(reseal::ResealArgs),
    Config(config::ConfigCommandArgs),
    Health(health::HealthArgs),
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApiArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

#[cfg(test)]
mod reference_page;
