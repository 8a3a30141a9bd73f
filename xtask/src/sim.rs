//! `cargo xtask sim`: the simulation of engine and lanes under virtual time, over many seeds.

use clap::Args;

use crate::shell;

/// Run the simulation; `cargo xtask sim -- --help` shows what it takes
#[derive(Args)]
pub(crate) struct SimArgs {
    /// What is handed on to the simulation
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs it.
pub(crate) fn run(args: &SimArgs) -> anyhow::Result<bool> {
    let mut command = shell::cargo(&["run", "--locked", "--quiet", "--package", "simulation", "--bin", "sim", "--"]);
    shell::succeeds(command.args(&args.arguments))
}
