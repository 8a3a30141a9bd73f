//! Flags of the settings, generated from the table.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::print::help_text;
use super::setting::Setting;
use super::settings::TABLE;
use super::{Config, Refused};

/// Location of the configuration, and settings that override it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConfigArgs {
    /// Configuration file [default: ./postrider.toml, then /etc/postrider/postrider.toml, if present]
    #[arg(long, value_name = "FILE", env = "POSTRIDER_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) flags: SettingFlags,
}

impl ConfigArgs {
    /// Reads the configuration.
    pub(crate) fn load(&self) -> Result<Config, Refused> {
        Config::load(self.config.as_deref(), &self.flags.0)
    }
}

/// Settings given as flags: key and text.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingFlags(pub(crate) Vec<(String, String)>);

struct Flag {
    key: String,
    flag: String,
    short_help: String,
    long_help: String,
}

static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let flag = |setting: &Setting| {
        let doc = setting.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        Flag {
            key: setting.key(),
            flag: setting.flag(),
            short_help: doc.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned(),
            long_help: help_text(setting),
        }
    };
    let of_a_file = |setting: &Setting| Flag {
        key: format!("{}_file", setting.key()),
        flag: format!("{}-file", setting.flag()),
        short_help: format!("File with the value of --{}", setting.flag()),
        long_help: format!(
            "File with the value of --{}, which keeps it out of process lists; `-` reads standard input [env: {}_FILE]",
            setting.flag(),
            setting.variable()
        ),
    };
    let both = |setting| [Some(flag(setting)), setting.secret.then(|| of_a_file(setting))];
    TABLE.iter().flat_map(both).flatten().collect()
});

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, flag| {
            // Short help lists only the most common flags; `--help` lists all.
            let everyday = matches!(flag.key.as_str(), "data_dir" | "listen");
            command.arg(
                Arg::new(flag.key.as_str())
                    .long(flag.flag.as_str())
                    .value_name("VALUE")
                    .help(flag.short_help.as_str())
                    .long_help(flag.long_help.as_str())
                    .help_heading("Settings")
                    .hide_short_help(!everyday),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Vec::new();
        for flag in FLAGS.iter() {
            match matches.try_get_one::<String>(&flag.key) {
                Ok(Some(text)) => flags.push((flag.key.clone(), text.clone())),
                Ok(None) => {}
                Err(error) => return Err(clap::Error::raw(ErrorKind::InvalidValue, error.to_string())),
            }
        }
        Ok(SettingFlags(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
