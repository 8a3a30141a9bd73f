//! `cargo xtask sim`: the simulation of engine and lanes under virtual time, over many seeds.

use clap::Args;

use crate::shell;

/// Run the simulation
#[derive(Args)]
pub(crate) struct SimArgs {
    /// What is handed on to the simulation
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs it.
pub(crate) fn run(args: &SimArgs) -> anyhow::Result<bool> {
    let mut command = shell::cargo(&["test", "--locked", "--package", "engine", "--test", "sim", "--"]);
    shell::succeeds(command.args(&args.arguments))
}
