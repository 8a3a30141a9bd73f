//! Configuration in two steps: as typed (file, environment, flags, each value with its place) → ready to use. A ready
//! configuration is valid: nothing behind this module checks a setting again.

use std::path::{Path, PathBuf};

pub(crate) mod fault;
mod flags;
mod layers;
mod pims;
mod print;
#[cfg(test)]
mod reference_page;
mod setting;
pub(crate) mod settings;
mod typed;
pub(crate) mod units;
pub(crate) mod value;

pub(crate) use fault::Refused;
pub(crate) use flags::ConfigArgs;
pub(crate) use pims::PimSettings;
pub(crate) use print::reference;
pub(crate) use settings::Settings;
#[cfg(test)]
pub(crate) use value::Share;
pub(crate) use value::{BaseUrl, PerSecond, PimUrl};

use domain::credential;
use layers::Layers;
use typed::Place;

use crate::{database, destinations, egress, log, notifications, vault};

/// Minimum length of the operator key and the metrics key.
const SHORTEST_OPERATOR_KEY: usize = 24;

/// A valid configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    pub(crate) pims: Vec<PimSettings>,
    /// The file read, if any.
    pub(crate) file: Option<PathBuf>,
    /// Suspicious input that is not an error.
    pub(crate) warnings: Vec<String>,
    /// Origin of each setting's value, in the order of the table.
    places: Vec<Place>,
}

impl Config {
    /// Reads this process's configuration: `file` or the usual places, the environment, and `flags` (key, text).
    pub(crate) fn load(file: Option<&Path>, flags: &[(String, String)]) -> Result<Config, Refused> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("POSTRIDER_"));
        let mut layers = Layers::default();
        let file = layers::find_file(file);
        if let Some(path) = &file {
            match std::fs::read_to_string(path) {
                Ok(text) => layers.add_file(path, &text),
                Err(error) => layers.faults.push(fault::Fault {
                    place: Place::File { path: path.clone(), line: 1, column: 1 },
                    key: None,
                    problem: format!("cannot read the file: {error}"),
                    hint: Some("`postrider config --reference > postrider.toml` creates one".to_owned()),
                }),
            }
        }
        layers.add_environment(environment);
        layers.add_flags(flags);
        Config::ready(layers, file)
    }

    /// Reads a configuration without a file and without the environment.
    pub(crate) fn from_text(name: &str, text: &str) -> Result<Config, Refused> {
        let mut layers = Layers::default();
        layers.add_file(Path::new(name), text);
        Config::ready(layers, None)
    }

    fn ready(mut layers: Layers, file: Option<PathBuf>) -> Result<Config, Refused> {
        let settings = Settings::read(&mut layers);
        let pims = pims::read(&mut layers);
        if let Some(settings) = &settings {
            check_together(settings, &mut layers);
        }
        match settings {
            Some(settings) if layers.faults.is_empty() => {
                let places = settings::TABLE.iter().map(|setting| layers.place(&setting.key())).collect();
                Ok(Config { settings, pims, file, warnings: layers.warnings, places })
            }
            _ => Err(Refused { faults: layers.faults }),
        }
    }

    /// As TOML, with the origin of each value; secrets are masked.
    pub(crate) fn effective(&self) -> String {
        print::effective(self)
    }
}

/// Upper bound of `delivery.suspend_after`.
const LONGEST_SUSPEND_AFTER: std::time::Duration = std::time::Duration::from_secs(3600);

/// Lower bound of `delivery.topic_patience`.
const SHORTEST_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3600);

/// Checks that involve several settings.
fn check_together(settings: &Settings, layers: &mut Layers) {
    let delivery = &settings.delivery;
    if delivery.rate_lowest > delivery.rate_highest {
        let problem =
            format!("is above `delivery.rate_highest`: {} > {}", delivery.rate_lowest.0, delivery.rate_highest.0);
        layers.fault(layers.place("delivery.rate_lowest"), "delivery.rate_lowest", &problem);
    } else if delivery.rate_first < delivery.rate_lowest || delivery.rate_first > delivery.rate_highest {
        let problem = format!(
            "{} is not between `delivery.rate_lowest` ({}) and `delivery.rate_highest` ({})",
            delivery.rate_first.0, delivery.rate_lowest.0, delivery.rate_highest.0
        );
        layers.fault(layers.place("delivery.rate_first"), "delivery.rate_first", &problem);
    }
    for (key, duration) in [
        ("delivery.attempt_timeout", delivery.attempt_timeout),
        ("delivery.save_interval", delivery.save_interval),
        ("tokens.timeout", settings.tokens.timeout),
        ("smtp.timeout", settings.smtp.timeout),
        ("api.header_timeout", settings.api.header_timeout),
        ("api.body_timeout", settings.api.body_timeout),
        ("storage.keep_events", settings.storage.keep_events),
        ("storage.keep_logs", settings.storage.keep_logs),
    ] {
        if duration.is_zero() {
            layers.fault(layers.place(key), key, "must be more than zero");
        }
    }
    if delivery.suspend_after > LONGEST_SUSPEND_AFTER {
        let problem = "must be at most 1h: the success rate covers one hour";
        layers.fault(layers.place("delivery.suspend_after"), "delivery.suspend_after", problem);
    }
    if !(SHORTEST_PATIENCE..=settings.storage.keep_events.max(SHORTEST_PATIENCE)).contains(&delivery.topic_patience) {
        let problem = "must be between 1h and `storage.keep_events`";
        layers.fault(layers.place("delivery.topic_patience"), "delivery.topic_patience", problem);
    }
    for (name, key) in [("api.operator_key", &settings.api.operator_key), ("metrics.key", &settings.metrics.key)] {
        let Some(key) = key else { continue };
        if key.expose().len() < SHORTEST_OPERATOR_KEY {
            let problem = "is shorter than 24 characters; generate one with `openssl rand -hex 24`";
            layers.fault(layers.place(name), name, problem);
        } else if let Err(problem) = credential::check_token(key.expose()) {
            layers.fault(layers.place(name), name, &problem.to_string());
        }
    }
    let store = &settings.store;
    if store.backend == value::Backend::Postgres && store.url.is_none() {
        let problem = "is required with `store.backend = \"postgres\"`";
        layers.fault(layers.place("store.backend"), "store.url", problem);
    }
    for (key, duration, from, to) in [("store.timeout", store.timeout, 1, 60), ("store.lease", store.lease, 2, 60)] {
        if !(from..=to).contains(&duration.as_secs()) || duration > std::time::Duration::from_secs(to) {
            layers.fault(layers.place(key), key, &format!("must be between {from}s and {to}s"));
        }
    }
    check_cluster(settings, layers);
    let smtp = &settings.smtp;
    if smtp.host.is_some() && smtp.from.is_none() {
        layers.fault(layers.place("smtp.host"), "smtp.from", "is required with `smtp.host`: the sender of all emails");
    }
    if smtp.username.is_some() != smtp.password.is_some() {
        let problem = "`smtp.username` and `smtp.password` must be set together";
        layers.fault(layers.place("smtp.username"), "smtp.username", problem);
    }
    check_by_use(settings, layers);
}

fn check_cluster(settings: &Settings, layers: &mut Layers) {
    let cluster = &settings.cluster;
    match cluster.listen {
        Some(listen) if listen.ip().is_unspecified() && cluster.advertise.is_none() => {
            let problem =
                format!("is required with `cluster.listen = \"{listen}\"`: other nodes cannot call that address");
            layers.fault(layers.place("cluster.listen"), "cluster.advertise", &problem);
        }
        Some(_) if settings.store.backend != value::Backend::Postgres => {
            let problem = "requires `store.backend = \"postgres\"`: the embedded store has a single node";
            layers.fault(layers.place("cluster.listen"), "cluster.listen", problem);
        }
        None if cluster.advertise.is_some() => {
            let problem = "requires `cluster.listen`";
            layers.fault(layers.place("cluster.advertise"), "cluster.advertise", problem);
        }
        Some(_) | None => {}
    }
}

/// Checks by the code that uses a setting: each setting is passed to the code that `serve` passes it to, so that
/// `serve` accepts every configuration that `postrider config` accepts.
fn check_by_use(settings: &Settings, layers: &mut Layers) {
    let mut refuse = |key: &str, problem: String| layers.fault(layers.place(key), key, &problem);
    if let Err(problem) = log::filter(&settings.log.level) {
        refuse("log.level", problem);
    }
    if let Err(problem) = vault::configured(settings) {
        refuse("encryption.keys", problem);
    }
    if let Err((key, problem)) = database::target(settings) {
        refuse(key, problem);
    }
    if let Err((key, problem)) = destinations::check(settings) {
        refuse(key, problem.to_owned());
    }
    match egress::tls(settings) {
        Err(error) => refuse("extra_roots", format!("{error:#}")),
        // It uses the same roots.
        Ok(_) => {
            if let Err(error) = notifications::mailer(settings) {
                refuse("smtp.from", format!("{error:#}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
