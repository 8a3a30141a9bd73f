//! `docs/reference/configuration.md`, generated from the table of settings by `cargo xtask docs`.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::pims;
use super::setting::TOP;
use super::settings::{GROUPS, TABLE};

#[test]
fn reference_page_of_the_configuration() {
    expect_file!["../../../../docs/reference/configuration.md"].assert_eq(&page());
}

fn page() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Generated from the code by `cargo xtask docs`. -->\n\n\
         All settings. [Configuration](../operators/configuration.md) explains their sources and precedence. \
         `delivery.rate_first` is `rate_first` under `[delivery]` in the file, `POSTRIDER_DELIVERY_RATE_FIRST` in the \
         environment, and `--delivery-rate-first` on the command line. In the environment and on the command line, \
         list \
         items are separated by commas. Durations and sizes have units: `\"5m\"`, `\"64 MiB\"`.\n",
    );
    for (group, doc) in GROUPS {
        let title = if *group == TOP { "Top level".to_owned() } else { format!("`[{group}]`") };
        _ = write!(
            text,
            "\n## {title}\n\n{}\n\n| setting | default | description |\n| --- | --- | --- |\n",
            joined(doc)
        );
        for setting in TABLE.iter().filter(|setting| setting.group == *group) {
            let default = (setting.default_toml)();
            // Units and single words need no explanation.
            let expected = (setting.expected)();
            let takes = match expected.starts_with("one of") {
                true => format!(" Values: {expected}."),
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
        "\n## `[[pims]]`\n\nPIMs, one table each, in addition to those registered by `postrider pim add`. Only in the \
         file.\n\n\
         | field | example | description |\n| --- | --- | --- |\n",
    );
    for (name, example, doc) in pims::FIELDS {
        _ = writeln!(text, "| `{name}` | `{}` | {} |", cell(example), cell(&joined(doc)));
    }
    text
}

/// Documentation lines as one paragraph.
fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
