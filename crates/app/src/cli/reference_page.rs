//! `docs/reference/commands.md`, generated from the command line's help by `cargo xtask docs`.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};
use expect_test::expect_file;

use super::Cli;

#[test]
fn reference_page_of_commands() {
    expect_file!["../../../../docs/reference/commands.md"].assert_eq(&page());
}

fn page() -> String {
    let mut text = String::from(
        "# Commands\n\n\
         <!-- Generated from the code by `cargo xtask docs`. -->\n\n\
         Output of `postrider COMMAND -h`. Commands that work on the platform's data accept all \
         [settings](configuration.md) as \
         flags; `--help` lists them.\n",
    );
    let mut postrider = Cli::command().version("").term_width(100).max_term_width(100);
    postrider.build();
    add(&postrider, "postrider", &mut text);
    text
}

fn add(command: &Command, name: &str, text: &mut String) {
    let help = command.clone().bin_name(name).color(clap::ColorChoice::Never).render_help().to_string();
    _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        add(inner, &format!("{name} {}", inner.get_name()), text);
    }
}
