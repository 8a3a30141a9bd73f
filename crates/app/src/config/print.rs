//! Prints configuration as TOML: the effective one with the origin of each value, and the reference of all settings.

use std::fmt::Write as _;

use domain::Secret;
use domain::pim::{ClientCredentials, Probe, TokenCheck};

use super::Config;
use super::pims::{self, PimSettings};
use super::setting::{Setting, TOP};
use super::settings::{GROUPS, TABLE};

/// The effective configuration with the origin of each value; secrets are masked.
pub(super) fn effective(config: &Config) -> String {
    let mut text =
        String::from("# Effective configuration: flags over environment variables over the file over defaults.\n");
    match &config.file {
        Some(file) => _ = writeln!(text, "# File: {}", file.display()),
        None => text.push_str("# File: none\n"),
    }
    let rows: Vec<_> = TABLE.iter().zip(config.settings.shown()).zip(&config.places).collect();
    let width = rows.iter().map(|((setting, value), _)| setting.name.len() + value.len() + 3).filter(|w| *w < 60).max();
    for (group, _) in GROUPS {
        text.push('\n');
        if *group != TOP {
            _ = writeln!(text, "[{group}]");
        }
        for ((setting, value), place) in rows.iter().filter(|((setting, _), _)| setting.group == *group) {
            let line = format!("{} = {value}", setting.name);
            _ = writeln!(text, "{line:<width$}  # {place}", width = width.unwrap_or(0));
        }
    }
    for pim in &config.pims {
        text.push_str(&pim_as_toml(pim));
    }
    text
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn write_clients(text: &mut String, clients: &[ClientCredentials]) {
    if clients.is_empty() {
        return;
    }
    let mask = quoted(Secret::MASK);
    let shown = |client: &ClientCredentials| {
        let (id, user) = (quoted(&client.client_id.0), quoted(&client.username));
        format!("{{ client_id = {id}, client_secret = {mask}, username = {user}, password = {mask} }}")
    };
    let clients: Vec<_> = clients.iter().map(shown).collect();
    _ = writeln!(text, "clients = [{}]", clients.join(", "));
}

fn pim_as_toml(pim: &PimSettings) -> String {
    let mask = quoted(Secret::MASK);
    let mut text = format!("\n[[pims]]\nname = {}\nurl = {}\n", quoted(&pim.name), quoted(&pim.url.url));
    if let Some(keys) = &pim.keys {
        _ = writeln!(text, "keys = [{}]", vec![mask.as_str(); keys.len()].join(", "));
    }
    match &pim.token_check {
        TokenCheck::Static => text.push_str("token_check = \"static\"\n"),
        TokenCheck::TokenInfo { client_id_fields, permission_field, clients } => {
            let fields: Vec<_> = client_id_fields.iter().map(|field| quoted(field)).collect();
            _ = writeln!(text, "token_check = \"token-info\"\nclient_id_fields = [{}]", fields.join(", "));
            if let Some(field) = permission_field {
                _ = writeln!(text, "permission_field = {}", quoted(field));
            }
            write_clients(&mut text, clients);
        }
        TokenCheck::Probe { probe, trust_client_id, clients } => {
            let way = match probe {
                Probe::SystemInformation => "system-information",
                Probe::MeasurementFamilies => "measurement-families",
            };
            _ = writeln!(text, "token_check = \"{way}\"");
            if *trust_client_id {
                text.push_str("trust_client_id = true\n");
            }
            write_clients(&mut text, clients);
        }
    }
    if !pim.static_tokens.is_empty() {
        let tokens: Vec<_> = pim
            .static_tokens
            .iter()
            .map(|token| format!("{{ client_id = {}, token = {mask} }}", quoted(&token.client_id.0)))
            .collect();
        _ = writeln!(text, "static_tokens = [{}]", tokens.join(", "));
    }
    if pim.events_api_secret.is_some() {
        _ = writeln!(text, "events_api_secret = {mask}");
    }
    text
}

/// All settings with documentation and defaults: a complete template.
pub(crate) fn reference() -> String {
    let mut text = String::from(
        "# Postrider's settings with their defaults. Read from --config, POSTRIDER_CONFIG, ./postrider.toml or\n\
         # /etc/postrider/postrider.toml, whichever is found first. Each setting also has an environment variable and \
         a\n\
         # flag, where list items are separated by commas. Durations and sizes have units: \"5m\", \"64 MiB\".\n",
    );
    for (group, doc) in GROUPS {
        text.push('\n');
        comment(&mut text, doc);
        if *group != TOP {
            _ = writeln!(text, "[{group}]");
        }
        for setting in TABLE.iter().filter(|setting| setting.group == *group) {
            text.push('\n');
            comment(&mut text, setting.doc);
            _ = writeln!(text, "# {}, --{}", setting.variable(), setting.flag());
            _ = writeln!(text, "{} = {}", setting.name, (setting.default_toml)());
        }
    }
    text.push_str("\n# PIMs, one table each, in addition to those registered by `postrider pim add`.\n# [[pims]]\n");
    for (name, example, doc) in pims::FIELDS {
        text.push_str("#\n");
        for line in *doc {
            _ = writeln!(text, "#     {line}");
        }
        _ = writeln!(text, "# {name} = {example}");
    }
    text
}

fn comment(text: &mut String, doc: &[&str]) {
    for line in doc {
        _ = writeln!(text, "# {}", line.trim());
    }
}

/// A setting's documentation as one paragraph, for `--help`.
pub(crate) fn help_text(setting: &Setting) -> String {
    let doc: Vec<_> = setting.doc.iter().map(|line| line.trim()).collect();
    format!("{} [default: {}] [env: {}]", doc.join(" "), (setting.default_toml)(), setting.variable())
}
