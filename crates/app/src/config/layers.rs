//! Layers of the configuration: flags over environment variables over the file over defaults.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::fault::{Fault, nearest};
use super::setting::{Setting, Source, TOP};
use super::settings::{GROUPS, TABLE};
use super::typed::{self, Kind, Place, Typed};
use super::value::Wrong;
use crate::secret_input;

/// Typed values of all layers.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Effective values by key; missing ones have their default.
    values: HashMap<String, Typed>,
    /// `[[pims]]` of the file.
    pub(super) pims: Vec<Typed>,
    /// Errors so far.
    pub(super) faults: Vec<Fault>,
    /// Suspicious input that is not an error.
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Adds a file over the defaults.
    pub(super) fn add_file(&mut self, path: &Path, text: &str) {
        let members = match typed::parse_file(path, text) {
            Ok(members) => members,
            Err((place, problem)) => {
                self.faults.push(Fault {
                    place,
                    key: None,
                    problem: format!("invalid TOML: {problem}"),
                    hint: Some("`postrider config --reference` prints a complete template".to_owned()),
                });
                return;
            }
        };
        for (name, place, value) in members {
            let is_group = name != TOP && GROUPS.iter().any(|(group, _)| *group == name);
            match (&value.kind, name.as_str()) {
                (Kind::List(items), "pims") => self.pims.extend(items.iter().cloned()),
                (_, "pims") => self.fault(place, "pims", "must be written as one table `[[pims]]` per PIM"),
                (Kind::Table(inner), _) if is_group => {
                    for (inner_name, place, value) in inner {
                        self.put_from_file(format!("{name}.{inner_name}"), place.clone(), value.clone());
                    }
                }
                (_, group) if is_group => self.fault(place, group, &format!("must be a table: `[{group}]`")),
                (Kind::Table(_), _) if !is_known(&name) => self.unknown_key(place, &name),
                _ => self.put_from_file(name, place, value),
            }
        }
    }

    /// Adds environment variables over the file. Unknown ones are not errors, because container platforms create such
    /// names.
    pub(super) fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let known: HashMap<String, &Setting> = TABLE.iter().map(|setting| (setting.variable(), setting)).collect();
        for (name, text) in variables {
            let of_a_file =
                name.strip_suffix("_FILE").and_then(|stem| known.get(stem)).filter(|setting| setting.secret);
            if let Some(setting) = of_a_file {
                self.put_from_secret_file(&setting.key(), Path::new(&text), Place::Environment(name));
                continue;
            }
            match known.get(&name) {
                Some(setting) => {
                    let typed = Typed::bare(&text, Place::Environment(name));
                    self.values.insert(setting.key(), typed);
                }
                None => {
                    let bare = |name: &'_ str| name.trim_start_matches("POSTRIDER_").to_owned();
                    let names: Vec<String> = known.keys().map(|name| bare(name)).collect();
                    if let Some(meant) = nearest(&bare(&name), names.iter().map(String::as_str)) {
                        let warning = format!("unknown environment variable {name}; did you mean POSTRIDER_{meant}?");
                        self.warnings.push(warning);
                    }
                }
            }
        }
    }

    /// Adds flags over the environment variables: pairs of key and text.
    pub(super) fn add_flags(&mut self, flags: &[(String, String)]) {
        for (key, text) in flags {
            let flag = format!("--{}", key.replace(['.', '_'], "-"));
            let of_a_file = key.strip_suffix("_file").filter(|key| is_known(key));
            match of_a_file {
                Some(key) => self.put_from_secret_file(key, Path::new(text), Place::Flag(flag)),
                None => _ = self.values.insert(key.clone(), Typed::bare(text, Place::Flag(flag))),
            }
        }
    }

    /// Reads a secret from a file; for a list, one item per line.
    fn put_from_secret_file(&mut self, key: &str, file: &Path, place: Place) {
        match secret_input::from_file(file) {
            Ok(text) => {
                let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
                let text = if lines.len() > 1 { lines.join(",") } else { text };
                self.values.insert(key.to_owned(), Typed::bare(&text, place));
            }
            Err(problem) => self.fault(place, key, &problem),
        }
    }

    /// Origin of a setting's value.
    pub(super) fn place(&self, key: &str) -> Place {
        self.values.get(key).map_or(Place::Default, |typed| typed.place.clone())
    }

    /// Records an error in a setting.
    pub(super) fn fault(&mut self, place: Place, key: &str, problem: &str) {
        self.faults.push(Fault { place, key: Some(key.to_owned()), problem: problem.to_owned(), hint: None });
    }

    fn put_from_file(&mut self, key: String, place: Place, value: Typed) {
        if is_known(&key) {
            self.values.insert(key, value);
        } else {
            self.unknown_key(place, &key);
        }
    }

    fn unknown_key(&mut self, place: Place, key: &str) {
        let keys: Vec<String> = TABLE.iter().map(Setting::key).chain(["pims".to_owned()]).collect();
        let hint = match nearest(key, keys.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`? {}", where_it_stands(meant)),
            None => "`postrider config --reference` lists all settings".to_owned(),
        };
        self.faults.push(Fault {
            place,
            key: Some(key.to_owned()),
            problem: "unknown setting".to_owned(),
            hint: Some(hint),
        });
    }
}

impl Source for Layers {
    fn typed(&self, setting: &Setting) -> Typed {
        let default = || Typed::bare(setting.default, Place::Default);
        self.values.get(&setting.key()).cloned().unwrap_or_else(default)
    }

    fn wrong(&mut self, setting: &Setting, wrong: Wrong) {
        self.faults.push(Fault {
            place: wrong.place,
            key: Some(setting.key()),
            problem: format!("expected {}, found {}", (setting.expected)(), wrong.found),
            hint: None,
        });
    }
}

fn is_known(key: &str) -> bool {
    TABLE.iter().any(|setting| setting.key() == key)
}

fn where_it_stands(key: &str) -> String {
    match key.split_once('.') {
        Some((group, _)) => format!("It belongs to the table `[{group}]`"),
        None if key == "pims" => "Each PIM is a table `[[pims]]`".to_owned(),
        None => "It belongs before the first table of the file".to_owned(),
    }
}

/// The file to read: the given one, or the first existing default.
pub(super) fn find_file(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => ["postrider.toml", "/etc/postrider/postrider.toml"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.is_file()),
    }
}
