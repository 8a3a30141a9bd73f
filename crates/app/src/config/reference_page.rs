//! `docs/reference/configuration.md`, made from the table of settings. `cargo xtask docs` writes it anew.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::pims;
use super::settings::{GROUPS, TABLE, TOP};

#[test]
fn reference_page_of_the_configuration() {
    expect_file!["../../../../docs/reference/configuration.md"].assert_eq(&page());
}

fn page() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Made from the code by `cargo xtask docs`. -->\n\n\
         All settings. [Configuration](../operators/configuration.md) says where they may stand and which one wins. \
         `delivery.rate_first` is `rate_first` under `[delivery]` in the file, `POSTRIDER_DELIVERY_RATE_FIRST` in the \
         environment, and `--delivery-rate-first` on the command line; there, items of a list are separated by commas. \
         Durations and sizes have units: `\"5m\"`, `\"64 MiB\"`.\n",
    );
    for (group, doc) in GROUPS {
        let title = if *group == TOP { "Before the first table".to_owned() } else { format!("`[{group}]`") };
        _ = write!(
            text,
            "\n## {title}\n\n{}\n\n| setting | default | what it does |\n| --- | --- | --- |\n",
            joined(doc)
        );
        for setting in TABLE.iter().filter(|setting| setting.group == *group) {
            let default = (setting.default_toml)();
            // Of a unit or of two words everybody knows what they take.
            let expected = (setting.expected)();
            let takes = match expected.starts_with("one of") {
                true => format!(" Takes {expected}."),
                false => String::new(),
            };
            _ = writeln!(
                text,
                "| `{}` | `{}` | {}{} |",
                setting.key(),
                default,
                cell(&joined(setting.doc)),
                cell(&takes)
            );
        }
    }
    text.push_str(
        "\n## `[[pims]]`\n\nPIMs, one table each, beside those that `postrider pim add` registers. They can stand in the file only.\n\n\
         | field | example | what it does |\n| --- | --- | --- |\n",
    );
    for (name, example, doc) in pims::FIELDS {
        _ = writeln!(text, "| `{name}` | `{}` | {} |", cell(example), cell(&joined(doc)));
    }
    text
}

/// The lines of a documentation as one paragraph.
fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
