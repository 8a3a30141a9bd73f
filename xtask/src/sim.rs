//! `cargo xtask sim`: simulates engine and lanes under virtual time, over many seeds.

use clap::Args;

use crate::shell;

/// Run the simulation; see `cargo xtask sim -- --help` for its options
#[derive(Args)]
pub(crate) struct SimArgs {
    /// Arguments for the simulation
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &SimArgs) -> anyhow::Result<bool> {
    let mut command = shell::cargo(&["run", "--locked", "--quiet", "--package", "simulation", "--bin", "sim", "--"]);
    shell::succeeds(command.args(&args.arguments))
}
