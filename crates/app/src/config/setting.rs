//! A row of the settings table, and the macro that declares the table.

use super::typed::{Place, Typed};
use super::value::{Value, Wrong};

/// One row of the table.
pub(crate) struct Setting {
    /// Table of the file, or `top`.
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    /// Lines of documentation.
    pub(super) doc: &'static [&'static str],
    /// In the syntax of an environment variable.
    pub(super) default: &'static str,
    pub(super) expected: fn() -> String,
    /// Whether the value is masked in output and may be read from a file.
    pub(super) secret: bool,
    /// The default as TOML.
    pub(super) default_toml: fn() -> String,
}

impl Setting {
    /// Full name in the file: `delivery.rate_first`.
    pub(crate) fn key(&self) -> String {
        if self.group == TOP { self.name.to_owned() } else { format!("{}.{}", self.group, self.name) }
    }

    /// Name of the environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("POSTRIDER_{}", self.key().replace('.', "_").to_uppercase())
    }

    /// Name of the flag, without leading dashes.
    pub(crate) fn flag(&self) -> String {
        self.key().replace(['.', '_'], "-")
    }
}

/// Group of the settings before the first table of the file.
pub(super) const TOP: &str = "top";

/// Looks up typed values and records invalid ones.
pub(super) trait Source {
    /// Effective value of `setting`.
    fn typed(&self, setting: &Setting) -> Typed;
    /// Records an invalid value.
    fn wrong(&mut self, setting: &Setting, wrong: Wrong);
}

/// Declares the groups, their structs, and the table of all rows.
macro_rules! settings {
    ($(
        $(#[doc = $group_doc:literal])*
        $group:ident: $Group:ident {
            $( $(#[doc = $doc:literal])* $name:ident: $ty:ty = $default:literal; )*
        }
    )*) => {
        $(
            $(#[doc = $group_doc])*
            #[derive(Clone, Debug)]
            pub(crate) struct $Group { $( $(#[doc = $doc])* pub(crate) $name: $ty, )* }
        )*

        /// All settings except the PIMs, checked one by one.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings { $( $(#[doc = $group_doc])* pub(crate) $group: $Group, )* }

        /// The groups with their documentation, in the order of the reference.
        pub(super) static GROUPS: &[(&str, &[&str])] = &[$((stringify!($group), &[$($group_doc),*])),*];

        /// The table.
        pub(crate) static TABLE: &[$crate::config::setting::Setting] = &[$($(
            $crate::config::setting::Setting {
                group: stringify!($group),
                name: stringify!($name),
                doc: &[$($doc),*],
                default: $default,
                expected: <$ty as $crate::config::value::Value>::expected,
                secret: <$ty as $crate::config::value::Value>::SECRET,
                default_toml: || $crate::config::setting::default_toml::<$ty>($default),
            },
        )*)*];

        impl Settings {
            /// Reads all settings; `None` if any is invalid. Checks all of them first.
            pub(super) fn read(source: &mut dyn $crate::config::setting::Source) -> Option<Settings> {
                let mut rows = TABLE.iter();
                $(
                    $( let $name = $crate::config::setting::read_one::<$ty>(source, rows.next()?); )*
                    let $group = || Some($Group { $($name: $name?,)* });
                    let $group = $group();
                )*
                Some(Settings { $($group: $group?,)* })
            }

            /// Every setting with its value as TOML, secrets masked, in the order of the table.
            pub(super) fn shown(&self) -> Vec<String> {
                vec![$($( $crate::config::value::Value::show(&self.$group.$name), )*)*]
            }
        }
    };
}

/// A default, written like an environment variable, as TOML; empty if it is invalid.
pub(super) fn default_toml<T: Value>(default: &str) -> String {
    T::read(&Typed::bare(default, Place::Default)).map_or_else(String::new, |value| value.show())
}

/// Reads the value of one setting, or records why it is invalid.
pub(super) fn read_one<T: Value>(source: &mut dyn Source, setting: &Setting) -> Option<T> {
    let typed = source.typed(setting);
    match T::read_or_point(&typed) {
        Ok(value) => Some(value),
        Err(wrong) => {
            source.wrong(setting, wrong);
            None
        }
    }
}

pub(super) use settings;
